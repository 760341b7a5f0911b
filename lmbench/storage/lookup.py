"""Many keys found at once: a table in which each key has two places and is in one of them (Pagh & Rodler 2004)."""

from __future__ import annotations

from itertools import count

import numpy as np

_SEED = 0x9E3779B97F4A7C15  # of the second try; the first has none
# The finaliser of Stafford 2011 (mix 13), a bijection under which each bit of a key changes half of all bits.
_SHIFTS, _MULTIPLIERS = (30, 27, 31), (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
_ROUNDS = 60
_TRIES = 4  # with other places, before it is asked whether keys repeat
_GROWTH, _LARGEST = 1.2, 2  # of the room after that, and how many times the first at most
_BLOCK = 1 << 15  # keys mixed at once: they stay near the processor
_EMPTY = np.uint32(2**32 - 1)


class TwoPlaces:
    """Where each of N distinct 64-bit keys may be, for whoever can tell a key by its number.

    keys: (N,) uint64, distinct; numbers: (N,) below 2^32, what is kept of each. room: places a key; more make it faster to
    build, with two or less it often cannot be built. It takes 4 ``room`` bytes a key, whatever the keys, and rarely more: they are mixed
    before they are placed. ``candidates`` gives two numbers for any key, wanted or not; a key that was put in has its own
    among them. Raises ValueError where keys repeat (more than twice).

    >>> one, two = TwoPlaces(np.array([7, 10**18], np.uint64), np.array([5, 6])).candidates(np.array([10**18], np.uint64))
    >>> 6 in (one[0], two[0])
    True
    """

    def __init__(self, keys: np.ndarray, numbers: np.ndarray, room: float = 2.3) -> None:
        most = room * _LARGEST
        for tried in count():
            if tried == _TRIES and len(np.unique(keys)) < len(keys):
                raise ValueError("keys to look up must be distinct")
            if tried >= _TRIES:
                room = min(room * _GROWTH, most)
            self._seed = np.uint64(tried * _SEED % 2**64)
            self._places = np.uint64(max(1, int(len(keys) * room)))
            places = _placed(self._homes(keys), int(self._places))
            if places is not None:
                self._numbers = np.zeros(int(self._places), dtype=np.uint32)
                self._numbers[places] = numbers
                break

    def candidates(self, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(Q,), (Q,) uint32: the numbers of what stands in a key's two places (0 where nothing does); keys: (Q,) uint64."""
        one, two = (self._numbers.take(home, mode="clip") for home in self._homes(keys))
        return one, two

    @property
    def nbytes(self) -> int:
        return self._numbers.nbytes

    def _homes(self, keys: np.ndarray) -> np.ndarray:
        """(2, Q) uint32: two places in 0..places-1, one from each half of a mixed key's bits."""
        homes = np.empty((2, len(keys)), dtype=np.uint32)
        for begin in range(0, len(keys), _BLOCK):
            block = slice(begin, begin + _BLOCK)
            halves = _mixed(keys[block] ^ self._seed).view(np.uint32).reshape(-1, 2).T
            products = np.multiply(halves, self._places, dtype=np.uint64, order="C")
            homes[:, block] = products.view(np.uint32)[:, 1::2]
        return homes


def _mixed(keys: np.ndarray) -> np.ndarray:
    """(N,) uint64, in place: every bit of a key has changed half of all bits."""
    shifted = np.empty_like(keys)
    for shift, multiplier in zip(_SHIFTS, (*_MULTIPLIERS, None), strict=True):
        np.right_shift(keys, np.uint64(shift), out=shifted)
        keys ^= shifted
        if multiplier is not None:
            keys *= np.uint64(multiplier)
    return keys


def _placed(homes: np.ndarray, places: int) -> np.ndarray | None:
    """(N,) uint32: the place of each key, in 0..places-1; None where they do not fit.

    homes: (2, N), the two places of each key. All go to their first place; who finds a later comer there goes to the other,
    putting out whoever stands in it, and so on.
    """
    table = np.full(places, _EMPTY)
    keys = np.arange(homes.shape[1], dtype=np.uint32)
    table[homes[0]] = keys  # of several for one place the last stays
    homeless = np.flatnonzero(table.take(homes[0]) != keys)
    side = np.zeros(len(keys), dtype=np.int8)
    for _ in range(_ROUNDS):
        if not len(homeless):
            return np.where(side, homes[1], homes[0])
        side[homeless] ^= 1
        wanted = np.where(side.take(homeless), homes[1].take(homeless), homes[0].take(homeless))
        before = table.take(wanted)
        table[wanted] = homeless
        stays = table.take(wanted) == homeless
        out = before[stays]
        homeless = np.concatenate([homeless[~stays], out[out != _EMPTY]])
    return None
