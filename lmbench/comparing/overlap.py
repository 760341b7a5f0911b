"""How much of the test text stands in what the models have seen, word for word, and what they pay there and elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from lmbench.scoring.scores import Scores
from lmbench.text.canonical import CanonicalText
from lmbench.text.hashing import word_hashes
from lmbench.text.runs import Numbered
from lmbench.text.searching import Filter, Members, distinct

WORDS, CHARS = 8, 30  # lengths of the stretches that are looked for


@dataclass(frozen=True)
class Contamination:
    """Stretches of ``length`` units of the test text, and which of them the training text has word for word.

    unit: ``word`` (maximal runs of non-blank characters; blanks and line ends between them do not matter) or ``char``.
    stretches: how many there are in the test text; matches: how many of them stand in the training text. covered:
    (chars,) bool, the characters of the test text that lie in such a stretch.
    """

    unit: str
    length: int
    stretches: int
    matches: int
    covered: np.ndarray

    @property
    def share(self) -> float:
        """Of the test stretches, 0..1; 0 where the text is shorter than a stretch."""
        return self.matches / self.stretches if self.stretches else 0.0


def tokens_inside(covered: np.ndarray, scores: Scores) -> np.ndarray:
    """(T,) bool: the tokens whose last character is covered. covered: (chars,) bool."""
    return np.asarray(covered[np.maximum(scores.ends - 1, 0)])


def bits_inside_and_outside(covered: np.ndarray, scores: Scores) -> tuple[float, float]:
    """Bits a character of the tokens whose last character is covered, and of the others; nan where there are none."""
    inside, chars = tokens_inside(covered, scores), np.diff(scores.ends, prepend=0)
    sums = ((float(scores.bits[side].sum()), int(chars[side].sum())) for side in (inside, ~inside))
    within, without = (bits / size if size else np.nan for bits, size in sums)
    return within, without


def contamination(
    seen: CanonicalText | Sequence[CanonicalText], test: CanonicalText, unit: str = "word"
) -> Contamination:
    """Looks for every stretch of the test text, 8 words or 30 characters, in the texts that models have seen.

    seen: the training text, or it and the valid text, by which models were chosen or tuned.

    >>> text = CanonicalText.of(["one two three four five six seven eight nine"])
    >>> contamination(CanonicalText.of(["zero " + text.text[:-5]]), text).share
    0.5
    """
    texts = [seen] if isinstance(seen, CanonicalText) else list(seen)
    if unit == "word":
        length, (hashes, spans) = WORDS, word_hashes(test.text)
        matched = _stand_in(Numbered(hashes), length, map(Numbered.words, texts))
        first = np.flatnonzero(matched)
        begins, ends = spans[first, 0], spans[first + length - 1, 1]
    else:
        length, characters = CHARS, Numbered.characters(test.text)
        matched = _stand_in(characters, length, (Numbered.characters(text.text) for text in texts))
        first = np.flatnonzero(matched)
        begins, ends = first, first + length
    return Contamination(unit, length, len(matched), len(first), cover(begins, ends, test.chars))


def cover(begins: np.ndarray, ends: np.ndarray, size: int) -> np.ndarray:
    """(size,) bool: what lies between some begins (N,) and ends (N,), the end exclusive."""
    steps = np.zeros(size + 1, dtype=np.int32)
    for edges, step in ((begins, 1), (ends, -1)):
        places, _, times = distinct(np.sort(edges))
        steps[places] += step * times.astype(np.int32)
    return np.asarray(np.cumsum(steps[:-1], out=steps[:-1]) > 0)


def _stand_in(values: Numbered, length: int, texts: Iterable[Numbered]) -> np.ndarray:
    """(N - length + 1,) bool: the runs of ``length`` of a test text that stand in other texts.

    A run of ``length`` holds a shorter one, of ``block``, that begins at a multiple of ``step`` in the other text; so of that
    text no more than these are looked for in a filter of the test text's, and the long runs around those alone that it
    lets pass. What has passed a filter of the long runs is sorted, and nothing else.
    """
    size, block = max(len(values) - length + 1, 0), length // 2 + 1
    step = length - block + 1
    matched = np.zeros(size, dtype=bool)
    if not size:
        return matched
    short, wanted = Filter(len(values)), Filter(size)
    for of_length, members in ((block, short), (length, wanted)):
        for hashes in values.runs(of_length):
            members.add(hashes)
    shared = [np.zeros(0, dtype=np.uint64)]
    for text in texts:
        begin = 0
        for hashes in text.spaced_runs(block, step):
            # The long runs that hold a block begin up to so much before it.
            firsts = (begin + np.flatnonzero(short.may_hold(hashes))) * step - (step - 1)
            begin += len(hashes)
            for around in text.runs_from(firsts, length, step):
                shared.append(around.take(np.flatnonzero(wanted.may_hold(around))))
    of_both = distinct(np.sort(np.concatenate(shared)))[0]
    offered = Filter(len(of_both))
    offered.add(of_both)
    among, begin = Members(of_both), 0
    for hashes in values.runs(length) if len(of_both) else ():
        maybe = np.flatnonzero(offered.may_hold(hashes))
        matched[begin + maybe] = among.places(hashes.take(maybe)) >= 0
        begin += len(hashes)
    return matched
