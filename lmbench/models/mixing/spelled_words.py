"""The words of a vocabulary as sequences of characters, and a text of characters as words."""

from __future__ import annotations

import itertools
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, Self

import numpy as np

from lmbench.errors import InputError
from lmbench.models.saved import saved_array
from lmbench.text.tokens import Tokens
from lmbench.text.vocab import NOTHING, Vocab

_SURROGATES = 0xD800, 0x800  # no string of ids holds them: first, number


class Segment(NamedTuple):
    """A word and what ends it, a space or a line feed; an empty line is the line feed alone.

    begin, end: its characters, end exclusive. closed: whether its last one ends it. row: the token of the stream of words that it
    begins with. opens: whether it begins a line. key: the word's own characters.
    """

    begin: int
    end: int
    closed: bool
    row: int
    opens: bool
    key: str


@dataclass(frozen=True)
class SpelledWords:
    """The words in lexicographic order of the ids of their characters, so that those with a common beginning stand together.

    symbols: (S,) int32, the characters of all of them. begins: (W + 1,) int64. words: (W,) int32, their ids. marks: (3,) int64, the
    space and the line feed among the characters, the line feed among the words; ``NOTHING`` where there is none. A word whose characters
    are not all in the vocabulary of characters is not among them.
    """

    symbols: np.ndarray
    begins: np.ndarray
    words: np.ndarray
    marks: np.ndarray

    @classmethod
    def of(cls, words: Vocab, characters: Vocab) -> Self:
        """Those of a vocabulary of words, over one of characters."""
        first = len(words.reserved)
        spelled = []
        for i, word in enumerate(words.tokens[first:], first):
            ids = characters.encode(list(word))
            if word != "\n" and (ids > 0).all():
                spelled.append((key_of(ids), i))
        if len(words) > most_words(len(spelled)):
            raise InputError(
                f"of {len(words):,} words only {len(spelled):,} are spelled in the characters that the other model knows; mix models of one text"
            )
        spelled.sort()
        keys = [_ids(key) for key, _ in spelled]
        begins = np.cumsum([0, *map(len, keys)], dtype=np.int64)
        symbols = np.concatenate([np.zeros(0, dtype=np.int32), *keys])
        space = int(characters.encode([" "])[0]) or NOTHING
        marks = np.array([space, characters.newline, words.newline], dtype=np.int64)
        return cls(symbols, begins, np.array([i for _, i in spelled], dtype=np.int32), marks)

    @property
    def space(self) -> int:
        return int(self.marks[0])

    @property
    def newline(self) -> int:
        return int(self.marks[1])

    @property
    def word_newline(self) -> int:
        return int(self.marks[2])

    @cached_property
    def keys(self) -> list[str]:
        """The words as strings of their characters' ids, ascending."""
        bounds = self.begins.tolist()
        return [key_of(self.symbols[a:b]) for a, b in itertools.pairwise(bounds)]

    @cached_property
    def _places(self) -> dict[str, int]:
        return {key: place for place, key in enumerate(self.keys)}

    @cached_property
    def _intervals(self) -> dict[str, list[tuple[int, int]]]:
        return {}

    def intervals(self, key: str) -> list[tuple[int, int]]:
        """The half-open ranges of the words that begin with ever longer beginnings of ``key``, from the empty one on; it ends before the
        first that is empty."""
        if key in self._intervals:
            return self._intervals[key]
        low, high, ranges = 0, len(self.keys), []
        for length in range(len(key) + 1):
            if length:
                low = bisect_left(self.keys, key[:length], low, high)
                high = bisect_right(self.keys, key[:length], low, high, key=lambda word: word[:length])
            if low == high:
                break
            ranges.append((low, high))
        if len(self._intervals) < 1 << 20:
            self._intervals[key] = ranges
        return ranges

    def place(self, key: str) -> int:
        """Of the word of exactly these characters, or -1."""
        return self._places.get(key, -1)

    def following(self, key: str) -> tuple[np.ndarray, np.ndarray]:
        """The longer words that begin with ``key``: their places, and their next characters."""
        ranges = self.intervals(key)
        if len(ranges) <= len(key):
            return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
        places = np.arange(*ranges[-1])
        places = places[np.diff(self.begins)[places] > len(key)]
        return places, self.symbols[self.begins[places] + len(key)].astype(np.int64)

    # Characters to words ------------------------------------------------------------------------------

    def segments(self, ids: np.ndarray) -> tuple[list[Segment], list[int]]:
        """The segments of a document, and the ids of its words and line feeds."""
        segments: list[Segment] = []
        words: list[int] = []
        for begin, end, closed in self._bounds(ids):
            opens = begin == 0 or ids[begin - 1] == self.newline
            ended = closed and ids[end - 1] == self.newline
            key = key_of(ids[begin : end - closed])
            segments.append(Segment(begin, end, closed, len(words), bool(opens), key))
            if closed:
                words += self.ended(key, bool(opens), bool(ended))
        return segments, words

    def ended(self, key: str, opens: bool, newline: bool) -> list[int]:
        """The ids of words and line feeds that a segment comes to which has ended, by a space or by a line feed."""
        ids = []
        if not (opens and newline and not key):
            place = self.place(key)
            ids.append(int(self.words[place]) if place >= 0 else 0)
        return [*ids, max(self.word_newline, 0)] if newline else ids

    def _bounds(self, ids: np.ndarray) -> Iterator[tuple[int, int, bool]]:
        stops = np.flatnonzero((ids == self.space) | (ids == self.newline)).tolist()
        begin = 0
        for stop in stops:
            yield begin, stop + 1, True
            begin = stop + 1
        if begin < len(ids):
            yield begin, len(ids), False

    # Saving -------------------------------------------------------------------------------------------

    def state(self) -> dict[str, np.ndarray]:
        return {"symbols": self.symbols, "begins": self.begins, "words": self.words, "marks": self.marks}

    @classmethod
    def saved(cls, state: Mapping[str, np.ndarray], characters: int, words: int) -> Self:
        """Read back. characters, words: how many there are. Raises InputError where it is not what was saved."""
        spelled = cls(
            saved_array(state, "symbols", (None,), "i"),
            saved_array(state, "begins", (None,), "i"),
            saved_array(state, "words", (None,), "i"),
            saved_array(state, "marks", (3,), "i"),
        )
        begins = spelled.begins
        sound = (
            len(begins) == len(spelled.words) + 1 and begins[0] == 0 and begins[-1] == len(spelled.symbols)
        )
        sound = sound and bool((np.diff(begins) >= 0).all())
        for ids, size in ((spelled.symbols, characters), (spelled.words, words)):
            sound = sound and (not len(ids) or 0 < ids.min() <= ids.max() < size)
        for mark, size in zip(spelled.marks.tolist(), (characters, characters, words), strict=True):
            sound = sound and (mark == NOTHING or 0 < mark < size)
        if not sound or spelled.keys != sorted(spelled.keys):
            raise InputError("its words are not spelled in its characters; fit the model anew")
        return spelled


def most_words(spelled: int) -> int:
    """How many words a model may have, of which so many are spelled in the other's characters: a file that says more is damaged."""
    return 64 * spelled + 4096


def key_of(ids: np.ndarray | Sequence[int]) -> str:
    """Ids as a string, a character each, which compares as they do.

    >>> key_of([97, 0xD7FF, 0xD800]) == "a" + chr(0xD7FF) + chr(0xE000)
    True
    """
    first, number = _SURROGATES
    return "".join([chr(i if i < first else i + number) for i in np.asarray(ids).tolist()])


def _ids(key: str) -> np.ndarray:
    first, number = _SURROGATES
    return np.array([ord(c) - number * (ord(c) > first) for c in key], dtype=np.int32)


def one_longer(documents: Sequence[Sequence[int]], bos: int) -> Tokens:
    """Documents with a token more at the end of each, of which only what is said before it counts."""
    ids = [np.append(np.asarray(document, dtype=np.int32), np.int32(0)) for document in documents]
    lengths = np.array([len(document) for document in ids], dtype=np.int64)
    return Tokens(np.concatenate(ids), np.cumsum(lengths) - lengths, bos)
