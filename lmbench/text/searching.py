"""Which of some numbers stand among many others that come piece by piece: what is held is as large as the first."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

ROOM = 4  # places of the filter a number; of other numbers about one in nine passes
DEEP = 64  # members that share their first bits; where more do, all are bisected


def distinct(ascending: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(K,) each of some ascending values (N,) once, and (K,), (K,) int64 where it stands first and how often."""
    first = np.flatnonzero(np.append(True, ascending[1:] != ascending[:-1])[: len(ascending)])
    return ascending[first], first, np.diff(first, append=len(ascending))


class Members:
    """Some 64-bit hashes (K,), ascending and distinct, among which others are looked up: the first bits of one tell about where it stands.

    >>> Members(np.array([3, 1 << 63], dtype=np.uint64)).places(np.array([1 << 63, 4, 3], dtype=np.uint64)).tolist()
    [1, -1, 0]
    """

    def __init__(self, hashes: np.ndarray) -> None:
        bits = max(1, len(hashes).bit_length())
        self._hashes, self._shift = hashes, np.uint64(64 - bits)
        number = np.bincount((hashes >> self._shift).view(np.int64), minlength=1 << bits)
        self._deep = int(number.max()) > DEEP
        self._begins = np.append(0, np.cumsum(number, out=number)).astype(np.int32)

    def places(self, hashes: np.ndarray) -> np.ndarray:
        """(N,) int64: where each of some hashes (N,) stands among the members, -1 of one that does not."""
        if self._deep or not len(self._hashes):
            places = np.minimum(np.searchsorted(self._hashes, hashes), len(self._hashes) - 1)
            return np.where(self._hashes[places] == hashes, places, -1) if len(self._hashes) else places
        home = (hashes >> self._shift).view(np.int64)
        places, beyond = self._begins.take(home), self._begins.take(home + 1)
        found = np.full(len(hashes), -1)
        open_ = np.flatnonzero(places < beyond)
        wanted, places, beyond = hashes.take(open_), places.take(open_), beyond.take(open_)
        while len(open_):
            here = self._hashes.take(places)
            same = np.flatnonzero(here == wanted)
            found[open_.take(same)] = places.take(same)
            # On to the next one, where that one is smaller and is not the last of its home.
            on = np.flatnonzero((here < wanted) & (places + 1 < beyond))
            open_, wanted, places, beyond = (
                open_.take(on),
                wanted.take(on),
                places.take(on) + 1,
                beyond.take(on),
            )
        return found


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
    among = Members(members)
    for number, hashes in enumerate(pieces, 1):
        places = among.places(hashes.take(np.flatnonzero(wanted.may_hold(hashes))))
        found[places[places >= 0]] = True
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
        self._places[self._first(hashes)] = True
        self._places[self._second(hashes)] = True

    def may_hold(self, hashes: np.ndarray) -> np.ndarray:
        """(N,) bool; true of all that were added, and of few others."""
        held = self._places.take(self._first(hashes))
        maybe = np.flatnonzero(held)
        held[maybe] = self._places.take(self._second(hashes.take(maybe)))
        return held

    # Signed, which numpy looks up without making them so: a number has 63 bits at most.
    def _first(self, hashes: np.ndarray) -> np.ndarray:
        return (hashes >> self._shift).view(np.int64)

    def _second(self, hashes: np.ndarray) -> np.ndarray:
        return (hashes << self._next >> self._shift).view(np.int64)
