"""Where the words of a text are, and how probable a model of any unit holds it that a word ends where it does.

A text that has come to the end of a word may go on with it: ``mat`` may become ``matron``. A word's probability is that of its letters and
of its end, and the end is told by what comes next: by a token that begins with a blank, say. Its probability is therefore the sum over all
tokens that do not go on with the word (Pimentel & Meister 2024, "How to Compute the Probability of a Word", section 4; Oh &
Schuler 2024, "Leading Whitespaces of Language Models' Subword Vocabulary Pose a Confound for Calculating Word
Probabilities"); what comes next is then charged with what is left of its own probability.
"""

from __future__ import annotations

import functools
import math
import unicodedata
from dataclasses import dataclass
from typing import Literal

import numpy as np

from lmbench.errors import InputError
from lmbench.scoring.boundaries import following, other_tokens, path, token_begun
from lmbench.scoring.scorer import Scorer
from lmbench.text.canonical import BLANKS
from lmbench.text.tokens import EncodedText, Tokens
from lmbench.text.units import code_points

Punctuation = Literal["joined", "apart"]
End = Literal["blank", "space"]
BLANK, LETTER, MARK, OPEN = range(
    4
)  # kinds of characters; OPEN: the first bytes of a character, of several kinds
IN_WORDS = "'’-‐‑_"  # marks that are counted as letters where punctuation stands apart
ROWS = 1 << 23  # numbers of distributions that are held at once: 64 MiB
NEGLIGIBLE = 1e-6  # a share of a distribution that is not looked into


@functools.cache
def kinds_of_characters(punctuation: Punctuation) -> np.ndarray:
    """(0x110000,) uint8: BLANK (``str.isspace``), LETTER or MARK of every code point.

    joined: all that is not blank is a letter. apart: punctuation and symbols (Unicode's P and S) are marks, but for apostrophes,
    hyphens and the low line, which belong to words.
    """
    kinds = np.full(0x110000, LETTER, dtype=np.uint8)
    if punctuation == "apart":
        marks = [unicodedata.category(chr(point))[0] in "PS" for point in range(len(kinds))]
        kinds[marks] = MARK
        kinds[[ord(c) for c in IN_WORDS]] = LETTER
    kinds[BLANKS] = BLANK
    return kinds


@dataclass(frozen=True)
class Words:
    """The words of a text, runs of characters of one kind: letters, or, where punctuation stands apart, marks.

    starts, ends: (W,) int64 characters, end exclusive. kinds: (W,) uint8, LETTER or MARK. first: (D + 1,) int64, with which of them
    each document begins, and W.

    >>> from lmbench.text.canonical import CanonicalText
    >>> text = CanonicalText.of(['"Where is it?"'])
    >>> [text.text[a:b] for a, b in zip(*Words.of(text.text, text.starts, "apart").spans, strict=True)]
    ['"', 'Where', 'is', 'it', '?"']
    """

    starts: np.ndarray
    ends: np.ndarray
    kinds: np.ndarray
    first: np.ndarray

    @classmethod
    def of(cls, text: str, documents: np.ndarray, punctuation: Punctuation) -> Words:
        """documents: (D,) int64, the characters with which documents begin."""
        kinds = kinds_of_characters(punctuation)[code_points(text)]
        changes = np.flatnonzero(np.diff(kinds)) + 1
        starts = np.unique(np.concatenate([documents, changes])).astype(np.int64)
        ends = np.append(starts[1:], len(text))
        inside = kinds[starts] != BLANK if len(starts) else np.zeros(0, dtype=bool)
        starts, ends = starts[inside], ends[inside]
        first = np.append(np.searchsorted(starts, documents), len(starts))
        return cls(starts, ends, kinds[starts], first)

    @property
    def spans(self) -> tuple[list[int], list[int]]:
        return self.starts.tolist(), self.ends.tolist()


class Vocabulary:
    """How the tokens of a scorer's vocabulary begin, and which of them hold the end of a word inside.

    begins: (V,) uint8, the kind of the first character that each brings; BLANK of one that brings nothing (the end of a text,
    say). spaces: (V,) bool, whether it begins with a space. inside: for the bytes up to the end of a word inside a token, the
    tokens (N,) that begin so.
    """

    def __init__(self, scorer: Scorer, punctuation: Punctuation) -> None:
        self.punctuation: Punctuation = punctuation
        self.kinds = kinds_of_characters(punctuation)
        self.brings = scorer.brings
        self.begins = np.array([self.begin(data) if data else BLANK for data in self.brings], dtype=np.uint8)
        self.spaces = np.array([data[:1] == b" " for data in self.brings], dtype=bool)
        ends: dict[bytes, list[int]] = {}
        for i, data in enumerate(self.brings) if scorer.unit.name == "subword" else ():
            for end in self._ends_inside(data):
                ends.setdefault(data[:end], []).append(i)
        self.inside = {data: np.array(ids) for data, ids in ends.items()}

    def begin(self, data: bytes) -> int:
        """The kind of the character that some bytes begin with; OPEN where they are the first bytes of several kinds."""
        lead = data[0]
        size = 1 if lead < 0xC0 else 2 if lead < 0xE0 else 3 if lead < 0xF0 else 4
        if 0x80 <= lead < 0xC0 or lead > 0xF4 or any(byte >> 6 != 2 for byte in data[1:size]):
            return LETTER  # no character begins so
        value = lead if size == 1 else lead & (0x7F >> size)
        for byte in data[1:size]:
            value = value << 6 | (byte & 0x3F)
        open_bits = 6 * (size - min(size, len(data)))
        some = self.kinds[value << open_bits : (value + 1) << open_bits]
        if not len(some) or (some == some[0]).all():
            return int(some[0]) if len(some) else LETTER
        return OPEN

    def _ends_inside(self, data: bytes) -> list[int]:
        """The bytes of a token after which a word has ended, but for those at its end."""
        if len(data) < 2:
            return []
        try:
            text = data.decode()
        except UnicodeDecodeError:
            return []
        kinds = self.kinds[code_points(text)]
        ends = np.flatnonzero((kinds[:-1] != BLANK) & (kinds[:-1] != kinds[1:])) + 1
        return [len(text[:end].encode()) for end in ends.tolist()]


class WordEnds:
    """What a model holds of the ends of a text's words.

    end: ``blank``: with whatever does not go on with the word, the end of the text among it; ``space``: with tokens that begin
    with a space alone, as Oh & Schuler count. Of tokens of several bytes that bring part of a character it is not known
    whether that is a blank: they count as going on, unless it is the text that does so.
    """

    def __init__(self, scorer: Scorer, punctuation: Punctuation = "joined", end: End = "blank") -> None:
        if end == "space" and punctuation == "apart":
            raise InputError(
                "words end in a space only together with their punctuation; leave one of the two out"
            )
        self.scorer, self.end = scorer, end
        self.vocabulary = Vocabulary(scorer, punctuation)

    def over(self, kind: int) -> np.ndarray:
        """(V,) bool: the tokens before which a word of some kind is over; of ``<unk>`` only ``unknown_share`` is."""
        if self.end == "space":
            return self.vocabulary.spaces
        begins = self.vocabulary.begins
        over = (begins != kind) & (begins != OPEN)
        over[0] = False
        return over

    def unknown_share(self, kind: int) -> float:
        """Of the probability of ``<unk>``, that of single characters which are not of this kind."""
        return 0.0 if self.end == "space" else self._unknown_shares[kind]

    @functools.cached_property
    def _unknown_shares(self) -> dict[int, float]:
        table, known = self.vocabulary.kinds, set(self.scorer.vocab.tokens)

        def share(kind: int) -> float:
            others = [c for c in map(chr, np.flatnonzero(table == kind).tolist()) if c not in known]
            return float(np.exp(self.scorer.speller.log_probs(others)).sum()) if others else 0.0

        blanks, marks = share(BLANK), share(MARK)
        return {LETTER: blanks + marks, MARK: 1.0 - marks}

    def chances(self, rows: np.ndarray, kind: int) -> np.ndarray:
        """(n,): that words of one kind are over, before distributions (n, V) in nats of the tokens that follow."""
        chances, unknown = np.exp(rows[:, self.over(kind)]).sum(axis=1), np.exp(rows[:, 0])
        # A byte that the vocabulary lacks begins no blank; other units but words lack single characters.
        if unknown.any() and self.scorer.unit.name != "byte":
            chances += unknown * self.unknown_share(kind)
        return np.asarray(chances)

    # Ends that one more token does not tell ---------------------------------------------------------------

    def opened(self, tokens: Tokens, places: np.ndarray, rows: np.ndarray, kinds: np.ndarray) -> np.ndarray:
        """(n,): what bytes that only begin a character add to the chances, of a model by byte.

        rows: (n, V) nats, the distributions of the tokens at some places (n,), where words of some kinds (n,) have come to an end.
        """
        added = np.zeros(len(places))
        if self.scorer.unit.name != "byte" or self.end == "space":
            return added
        waiting = [(i, np.zeros(0, dtype=np.int32), b"", 1.0, row) for i, row in enumerate(rows)]
        while waiting:
            deeper = []
            for i, suffix, data, weight, row in waiting:
                over, unclear = self._after(data, int(kinds[i]))
                if data:
                    added[i] += weight * float(np.exp(row[over]).sum())
                for token in unclear.tolist():
                    if (share := weight * math.exp(row[token])) > NEGLIGIBLE:
                        longer = np.append(suffix, np.int32(token))
                        deeper.append((i, longer, data + self.vocabulary.brings[token], share))
            rows_after = following(
                self.scorer.model, tokens, [(int(places[i]), suffix) for i, suffix, *_ in deeper]
            )
            waiting = [(*one, row) for one, row in zip(deeper, rows_after, strict=True)]
        return added

    def _after(self, data: bytes, kind: int) -> tuple[np.ndarray, np.ndarray]:
        """After the first bytes of a character: the tokens that make it one of another kind, and those that leave it open."""
        if (data, kind) not in self._seen:
            begin, brings = self.vocabulary.begin, self.vocabulary.brings
            begins = np.array([begin(data + more) if more else kind for more in brings])
            self._seen[data, kind] = (
                np.flatnonzero((begins != kind) & (begins != OPEN)),
                np.flatnonzero(begins == OPEN),
            )
        return self._seen[data, kind]

    @functools.cached_property
    def _seen(self) -> dict[tuple[bytes, int], tuple[np.ndarray, np.ndarray]]:
        return {}

    def across(self, encoded: EncodedText, place: int, end: int, row: np.ndarray, kind: int) -> float:
        """The chance, before the token at a place, that the text goes on to a word's end inside that token, and ends it there.

        By a token that holds this end; or by the tokens that the text up to there has, and what ends a word after them.
        row: (V,) nats, the distribution of the token.
        """
        held = self.vocabulary.inside.get(token_begun(self.scorer, encoded, place, end))
        chance = 0.0 if held is None else float(np.exp(row[held]).sum())
        rest = other_tokens(self.scorer, encoded, place, end)
        if len(rest):
            nats, after = path(self.scorer.model, encoded.tokens, place, row, rest)
            chance += math.exp(nats) * float(self.chances(after[None], kind)[0])
        return chance

    def longer(self, token: int, row: np.ndarray) -> float:
        """Before a word's last token, the chance of tokens that hold the word's end inside; row: (V,) nats."""
        ids = self.vocabulary.inside.get(self.vocabulary.brings[token])
        return 0.0 if ids is None or self.end == "space" else float(np.exp(row[ids]).sum())
