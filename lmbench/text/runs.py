"""Runs of neighbours in a text, each a number, equal exactly where the runs are: how long texts are searched in each other.

A run's number is a polynomial of its members' numbers modulo 2^64 (Karp & Rabin 1987), taken as a difference of running sums where
all runs are asked for; unequal runs meet by chance about once in 2^50 pairs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lmbench.text.hashing import (
    BASE,
    CHUNK,
    OF_BYTE,
    powers_and_inverse,
    running_sums,
    scramble,
    word_hashes,
)
from lmbench.text.units import UNITS, narrow_points

if TYPE_CHECKING:
    from lmbench.text.canonical import CanonicalText


@dataclass(frozen=True, eq=False)
class Numbered:
    """What a text's runs are made of: its characters, its words, or the ids of tokens.

    ids: (N,) ≥ 0, which of some kinds each is. numbers: (K,) uint64, of each kind a number that shows nothing of it; None where
    these are many, and made of the ids when they are asked for.
    """

    ids: np.ndarray
    numbers: np.ndarray | None = None

    @classmethod
    def tokens(cls, ids: np.ndarray, size: int) -> Numbered:
        """Ids below ``size``."""
        return cls(ids, scramble(np.arange(size)))

    @classmethod
    def characters(cls, text: str) -> Numbered:
        """Those of a text, by their code points; a text's width changes no number."""
        points = narrow_points(text)
        if points.dtype == np.uint8:
            return cls(points, OF_BYTE)
        return cls.tokens(points, int(points.max(initial=0)) + 1)

    @classmethod
    def words(cls, text: CanonicalText, folded: bool = False) -> Numbered:
        """Those of ``word_hashes``, by the distinct tokens of the ``word`` unit, none of which has a part of two words.

        >>> from lmbench.text.canonical import CanonicalText
        >>> words = Numbered.words(CanonicalText.of(["The ferry's crew:\\nthe cook"]), folded=True)
        >>> bool(words.of(0, 1) == words.of(4, 5)), len(words)
        (True, 6)
        """
        types, which = text.types(UNITS["word"])
        hashes, spans = word_hashes("\n".join(types), folded)
        lengths = np.fromiter(map(len, types), dtype=np.int64, count=len(types)) + 1
        of_type = np.searchsorted(np.cumsum(lengths), spans[:, 0], side="right")
        number = np.bincount(of_type, minlength=len(types))
        first = (np.cumsum(number) - number).astype(np.int32)
        parts, number = [first[:0]], number.astype(np.int32)
        single = number.max(initial=0) <= 1
        for begin in range(0, len(which), CHUNK):
            some = which[begin : begin + CHUNK]
            each = number.take(some)
            if single:
                parts.append(first.take(some.take(np.flatnonzero(each))))
                continue
            ends = np.cumsum(each, dtype=np.int32)
            before = ends - each - first.take(some)
            parts.append(np.arange(ends[-1], dtype=np.int32) - np.repeat(before, each))
        return cls(np.concatenate(parts), scramble(hashes))

    def __len__(self) -> int:
        return len(self.ids)

    def of(self, begin: int, end: int, step: int = 1) -> np.ndarray:
        """uint64: the numbers of those from ``begin`` to before ``end``, each or each ``step``-th."""
        return self._numbers(self.ids[begin:end:step])

    def take(self, places: np.ndarray) -> np.ndarray:
        """The numbers of those at some places; of one beyond an end, that of the one at this end."""
        return self._numbers(self.ids.take(places, mode="clip"))

    def _numbers(self, ids: np.ndarray) -> np.ndarray:
        return scramble(ids) if self.numbers is None else self.numbers.take(ids)

    def runs(self, length: int) -> Iterator[np.ndarray]:
        """(N - length + 1,) uint64 in all: a number for each run of ``length``, some ``CHUNK`` at a time."""
        powers, inverse = powers_and_inverse(CHUNK + length)
        for begin in range(0, len(self) - length + 1, CHUNK):
            sums = running_sums(self.of(begin, begin + CHUNK + length - 1), powers)
            hashes = sums[length:] - sums[:-length]
            hashes *= inverse[: len(hashes)]
            yield hashes

    def spaced_runs(self, length: int, step: int) -> Iterator[np.ndarray]:
        """The numbers of those alone that begin at multiples of ``step``."""
        for begin in range(0, len(self) - length + 1, CHUNK * step):
            end = min(begin + CHUNK * step, len(self) - length + 1)
            hashes, power = self.of(begin, end, step), 1
            for place in range(1, length):
                power = power * BASE % (1 << 64)
                more = self.of(begin + place, end + place, step)
                more *= np.uint64(power)
                hashes += more
            yield hashes

    def runs_from(self, begins: np.ndarray, length: int, number: int) -> Iterator[np.ndarray]:
        """Those of ``number`` runs in a row from each of some places (B,) on, as far as they lie in the text."""
        size = length + number - 1
        powers, inverse = powers_and_inverse(size + 1)
        rows = max(1, CHUNK // size)
        for first in range(0, len(begins) if len(self) >= length else 0, rows):
            places = begins[first : first + rows, None] + np.arange(size)
            sums = np.zeros((len(places), size + 1), dtype=np.uint64)
            np.cumsum(self.take(places) * powers[:size], axis=1, out=sums[:, 1:])
            hashes = (sums[:, length:] - sums[:, :-length]) * inverse[:number]
            inside = (places[:, :number] >= 0) & (places[:, length - 1 :] < len(self))
            yield hashes.ravel() if inside.all() else hashes[inside]


def window_hashes(values: np.ndarray | Numbered, length: int) -> np.ndarray:
    """(N - length + 1,) uint64: a number for each run of ``length`` values (N,) ≥ 0, the same for equal runs.

    >>> hashes = window_hashes(np.array([7, 8, 9, 7, 8]), 2)
    >>> bool(hashes[0] == hashes[3]), len(set(hashes.tolist()))
    (True, 3)
    """
    some = values if isinstance(values, Numbered) else Numbered(values)
    return np.concatenate([np.zeros(0, dtype=np.uint64), *some.runs(length)])
