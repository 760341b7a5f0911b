"""Which of some numbers stand among many others that come piece by piece: what is held is as large as the first."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

ROOM = 4  # places of the filter a number; of other numbers about one in nine passes


def distinct(ascending: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(K,) each of some ascending values (N,) once, and (K,), (K,) int64 where it stands first and how often."""
    first = np.flatnonzero(np.append(True, ascending[1:] != ascending[:-1])[: len(ascending)])
    return ascending[first], first, np.diff(first, append=len(ascending))


def holds(members: np.ndarray, hashes: np.ndarray) -> np.ndarray:
    """(N,) bool: which of some hashes are among the members (K,), which are sorted."""
    if not len(members):
        return np.zeros(len(hashes), dtype=bool)
    return np.asarray(members.take(np.searchsorted(members, hashes), mode="clip") == hashes)


def occurring(members: np.ndarray, pieces: Iterable[np.ndarray]) -> np.ndarray:
    """(K,) bool: which of the members (K,), ascending and distinct, occur in some pieces of hashes (N,).

    Most that occur do so early and often; they leave the filter, which is made anew when twice as many pieces have been read.

    >>> some = np.arange(5, dtype=np.uint64)
    >>> occurring(some, [some[:2], some[1:3] * 7]).tolist()
    [True, True, False, False, False]
    """
    found = np.zeros(len(members), dtype=bool)
    wanted = Filter(len(members))
    wanted.add(members)
    for number, hashes in enumerate(pieces, 1):
        maybe = hashes[wanted.may_hold(hashes)]
        places = np.minimum(np.searchsorted(members, maybe), len(members) - 1)
        found[places[members[places] == maybe]] = True
        if number & (number - 1) == 0:
            wanted = Filter(len(members))
            wanted.add(members[~found])
    return found


class Filter:
    """A set of 64-bit hashes that may take some others for its own (Bloom 1970, with two bits a hash).

    size: how many there will be at most.
    """

    def __init__(self, size: int) -> None:
        bits = max(10, (ROOM * size).bit_length())
        self._shift, self._next = np.uint64(64 - bits), np.uint64(min(bits, 64 - bits))
        self._places = np.zeros(1 << bits, dtype=bool)

    def add(self, hashes: np.ndarray) -> None:
        self._places[hashes >> self._shift] = True
        self._places[hashes << self._next >> self._shift] = True

    def may_hold(self, hashes: np.ndarray) -> np.ndarray:
        """(N,) bool; true of all that were added, and of few others."""
        held = self._places[hashes >> self._shift]
        maybe = np.flatnonzero(held)
        held[maybe] = self._places[hashes[maybe] << self._next >> self._shift]
        return np.asarray(held)
