"""Passages of the test text that stand in what models have seen with few changes, and a test text that is one.

A copy in which words are changed has few long stretches word for word. What is left of it is runs of five words that
come in the same order at about the same distances. So two texts are aligned passage by passage, as programs that find
reused text do (Smith, Cordell & Dillon 2013, "Infectious texts", sections III and IV: shared n-grams that are not too
frequent propose passages, alignment judges them), with a few words changed, left out or put in, as Llama 2 allows when it
looks for test samples in its training text (Touvron et al. 2023, section A.6).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lmbench.comparing.overlap import cover
from lmbench.comparing.words import LONG_WORDS
from lmbench.text.canonical import CanonicalText
from lmbench.text.hashing import hashes_of_words, word_hashes
from lmbench.text.runs import Numbered, window_hashes
from lmbench.text.searching import Filter, Members, distinct

RUN = 5  # words alike that propose a passage
PASSAGE = 20  # words of the shortest passage
SAME = 2 / 3  # of a passage's words, at least, are those of the copy
GAP = 16  # words, at most, from one run to the next
DRIFT = 8  # words left out or put in between, at most
OFTEN = 4  # a run that the test text has more often is its way of speaking
PLACES = 8  # of a run in the seen text that are looked at
INSIDE = 0.5  # of the test text's characters in copies: no rank
LETTERS = 5  # a word, in a text without blanks, whose characters are taken for words


@dataclass(frozen=True)
class Copies:
    """Passages of 20 words or more of which at least two thirds stand in a seen text too, in the same order.

    spans: (P, 2) int64, the test text's characters where passages begin and end, in the order of the text, apart from each
    other. sources: (P, 2) int64, for the longest copy in each passage the number of the seen text and its character where
    the copy begins. chars: of the test text.
    """

    spans: np.ndarray
    sources: np.ndarray
    chars: int

    @property
    def covered(self) -> np.ndarray:
        """(chars,) bool: the characters of the test text that lie in a copy."""
        return cover(self.spans[:, 0], self.spans[:, 1], self.chars)

    @property
    def share(self) -> float:
        """Of the test text's characters that lie in a copy, 0..1."""
        return float((self.spans[:, 1] - self.spans[:, 0]).sum() / self.chars) if self.chars else 0.0

    @property
    def unranked_reason(self) -> str | None:
        """Why models that have seen these texts have no rank on the test text; None where they may have.

        The reason: half of its characters or more lie in copies. (PaLM leaves test sets out of which 70% stood in
        training text, Chowdhery et al. 2022, section 8.)
        """
        if self.share < INSIDE:
            return None
        longest = int(np.argmax(self.spans[:, 1] - self.spans[:, 0]))
        (begin, end), (_, place) = self.spans[longest].tolist(), self.sources[longest].tolist()
        return (
            f"{self.share:.0%} of the test text stands in the text that the model has seen "
            f"(characters {begin:,} to {end:,} from character {place:,} of it on)"
        )


def copies(seen: CanonicalText | Sequence[CanonicalText], test: CanonicalText) -> Copies:
    """Looks for the test text's passages in the texts that models have seen.

    Words are runs of letters and digits, small and capital letters being the same. A run of five that the test text
    itself has more than four times (a refrain, a form, a source of few words) proposes nothing: that training text has
    it too is what is to be learnt, not a copy.

    >>> line = "the ferry waits by the old landing until the last of the miners has come down from the hills with his lamp"
    >>> changed = line.replace("waits", "lies").replace("come down", "climbed")
    >>> train, test = CanonicalText.of([f"{line} and then they sail"]), CanonicalText.of([f"Why, {changed} and then"])
    >>> copies(train, test).share > 0.7
    True
    """
    texts = [seen] if isinstance(seen, CanonicalText) else list(seen)
    hashes, spans = word_hashes(test.text, folded=True)
    letters = test.chars > LONG_WORDS * max(len(hashes), 1)
    scale, words = LETTERS if letters else 1, Numbered(hashes)
    if letters:
        words = Numbered.characters(test.text)
        spans = np.stack([np.arange(test.chars), np.arange(1, test.chars + 1)], axis=1)
    parts = [np.zeros((0, 4), dtype=np.int64)]
    for number, text in enumerate(texts):
        source = Numbered.characters(text.text) if letters else Numbered.words(text, folded=True)
        passages = _aligned(words, source, scale)
        places = _places(text.text, passages[:, 2], letters)
        parts.append(np.column_stack([passages[:, :2], np.full(len(passages), number), places]))
    return _joined(np.concatenate(parts), spans, test.chars)


def _places(text: str, words: np.ndarray, letters: bool) -> np.ndarray:
    """(P,) int64: the characters where some words of a text begin; words: (P,) their numbers."""
    if letters or not len(words):
        return words
    places, done = np.zeros(len(words), dtype=np.int64), 0
    for of_piece, spans in hashes_of_words(text, folded=True):
        here = (words >= done) & (words < done + len(of_piece))
        places[here] = spans[words[here] - done, 0]
        done += len(of_piece)
    return places


def _joined(parts: np.ndarray, spans: np.ndarray, chars: int) -> Copies:
    """parts: (P, 4) first and last word of a passage, number of the seen text, its character. spans: (W, 2) of words."""
    parts = parts[np.lexsort((-parts[:, 1], parts[:, 0]))]
    reached = np.maximum.accumulate(parts[:, 1]) if len(parts) else parts[:, 1]
    new = np.append(True, parts[1:, 0] > reached[:-1])[: len(parts)]
    first = np.flatnonzero(new)
    if not len(first):
        return Copies(np.zeros((0, 2), np.int64), np.zeros((0, 2), np.int64), chars)
    last = np.maximum.reduceat(parts[:, 1], first)
    of = np.cumsum(new) - 1
    longest = np.lexsort((parts[:, 0] - parts[:, 1], of))[first]
    return Copies(np.column_stack([spans[parts[first, 0], 0], spans[last, 1]]), parts[longest, 2:], chars)


def _aligned(words: Numbered, source: Numbered, scale: int) -> np.ndarray:
    """(P, 3) int64: the first and last word of passages that are in the source too, and where there they begin. They may overlap."""
    run, passage, gap, drift = (scale * length for length in (RUN, PASSAGE, GAP, DRIFT))
    here, there = _runs(words, source, run)
    passages = []
    # What drifts by up to ``drift`` words is in one band, of one division or of the other.
    for shift in (0, drift):
        band = (there - here + len(words) + shift) // (2 * drift)
        order = np.lexsort((here, band))
        i, d = here[order], (there - here)[order]
        fresh = np.append(True, (np.diff(band[order]) != 0) | (np.diff(i) > gap))[: len(i)]
        first = np.flatnonzero(fresh)
        last = np.append(first[1:], len(i)) - 1
        last = last[: len(first)]
        long = i[last] + run - i[first] >= passage
        for a, b in zip(first[long].tolist(), last[long].tolist(), strict=True):
            if _same(words, source, i[a : b + 1], d[a : b + 1], run) >= SAME:
                passages.append((i[a], i[b] + run - 1, i[a] + d[a]))
    return np.array(passages, dtype=np.int64).reshape(-1, 3)


def _same(words: Numbered, source: Numbered, i: np.ndarray, d: np.ndarray, run: int) -> float:
    """Of the words of a passage, the share that stands at its place in the source.

    i: (R,) ascending, where runs of words begin that both have; d: (R,) how much further on in the source. A word's place
    is as far on as that of the run before it, or of the next.
    """
    numbers = np.arange(i[0], i[-1] + run)
    before = np.searchsorted(i, numbers, side="right") - 1
    same = np.zeros(len(numbers), dtype=bool)
    for of_run in (before, np.minimum(before + 1, len(i) - 1)):
        place = numbers + d[of_run]
        same |= (source.take(place) == words.take(numbers)) & (place >= 0) & (place < len(source))
    return float(same.mean())


def _runs(words: Numbered, source: Numbered, run: int) -> tuple[np.ndarray, np.ndarray]:
    """(R,), (R,) int64: where runs begin in the words and in the source that are the same in both, all pairs of places.

    Of each run ``PLACES`` places in the source at most; none of a run that the words have over ``OFTEN`` times.
    """
    hashes = window_hashes(words, run)
    each, _, times = distinct(np.sort(hashes))
    each = each[times <= OFTEN]
    wanted, runs, place, begin = Filter(len(each)), [hashes[:0]], [np.zeros(0, np.int64)], 0
    wanted.add(each)
    among = Members(each)
    for windows in source.runs(run):
        size, maybe = len(windows), np.flatnonzero(wanted.may_hold(windows))
        windows = windows.take(maybe)
        of_both = np.flatnonzero(among.places(windows) >= 0)
        runs.append(windows.take(of_both))
        place.append(maybe.take(of_both) + begin)
        begin += size
    of_source, there = np.concatenate(runs), np.concatenate(place)
    shared = distinct(np.sort(of_source))[0]
    # Where each of those that both have begins in the words, in order, and in the source.
    of_words = Members(shared).places(hashes)
    here = np.flatnonzero(of_words >= 0)
    here = here[np.argsort(of_words[here], kind="stable")]
    first = np.searchsorted(of_words[here], np.arange(len(shared)))
    times = np.diff(first, append=len(here))
    which = np.searchsorted(shared, of_source)
    by_run = np.argsort(which, kind="stable")
    which, there = which[by_run], there[by_run]
    rank = np.arange(len(which)) - np.searchsorted(which, which)
    which, there = which[rank < PLACES], there[rank < PLACES]
    repeated = times[which]
    of_pair = np.repeat(np.arange(len(which)), repeated)
    step = np.arange(len(of_pair)) - np.repeat(np.cumsum(repeated) - repeated, repeated)
    return here[first[which[of_pair]] + step], there[of_pair]
