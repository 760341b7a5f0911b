"""Many keys found at once: a table in which each key has two places and is in one of them (Pagh & Rodler 2004)."""

from __future__ import annotations

import numpy as np

_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # odd, its bits well spread (Knuth 1998, section 6.4)
_ROUNDS = 60
_HALF = np.uint64(32)


class TwoPlaces:
    """Where each of N distinct 64-bit keys may be, for whoever can tell a key by its number.

    keys: (N,) uint64, distinct; numbers: (N,) below 2^32, what is kept of each. room: places a key; more make it faster to
    build, with two or less it often cannot be built. ``candidates`` gives two numbers for any key, wanted or not; a key
    that was put in has its own among them. Raises ValueError where keys repeat (more than twice).
    """

    def __init__(self, keys: np.ndarray, numbers: np.ndarray, room: float = 2.3) -> None:
        while True:
            self._places = np.uint64(max(1, int(len(keys) * room)))
            placed = _placed(self._at(keys), int(self._places))
            if placed is not None:
                break
            if len(np.unique(keys)) < len(keys):
                raise ValueError("keys to look up must be distinct")
            room *= 1.2
        self._numbers = np.zeros(len(placed), dtype=np.uint32)
        full = placed >= 0
        self._numbers[full] = numbers[placed[full]]

    def candidates(self, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(Q,), (Q,) uint32: the numbers of what stands in a key's two places (0 where nothing does); keys: (Q,) uint64."""
        numbers = self._numbers.take(self._at(keys), mode="clip")
        return numbers[0], numbers[1]

    @property
    def nbytes(self) -> int:
        return self._numbers.nbytes

    def _at(self, keys: np.ndarray) -> np.ndarray:
        """(2, Q) int64: two places in 0..places-1, one from each half of a product's bits."""
        halves = (keys * _MULTIPLIER).view(np.uint32).reshape(-1, 2).T
        at = np.multiply(halves, self._places, dtype=np.uint64, order="C")
        at >>= _HALF
        return at.view(np.int64)


def _placed(homes: np.ndarray, places: int) -> np.ndarray | None:
    """(places,) int64: which key stands in each place, -1 where none does; None where they do not fit.

    homes: (2, N), the two places of each key. All go to their first place; who finds a later comer there goes to the other,
    putting out whoever stands in it, and so on.
    """
    table = np.full(places, -1, dtype=np.int64)
    side = np.zeros(homes.shape[1], dtype=np.int8)
    homeless = np.arange(homes.shape[1])
    for _ in range(_ROUNDS):
        if not len(homeless):
            return table
        at = homes[side[homeless], homeless]
        before = table[at]
        table[at] = homeless  # of several for one place the last stays
        stays = table[at] == homeless
        out = before[stays]
        homeless = np.concatenate([homeless[~stays], out[out >= 0]])
        side[homeless] ^= 1
    return None
