"""A range coder: probabilities to bits and back, exactly."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import Protocol

import numpy as np

SCALE = 1 << 30  # frequencies of a distribution sum to about this


Cumulative = np.ndarray | Sequence[int]


class Coder(Protocol):
    """Encoder and Decoder through one method, so that what drives them is written once and cannot disagree."""

    def code(self, cumulative: Cumulative, symbol: int | None) -> int:
        """Codes one symbol and returns it. An encoder is given it; a decoder reads it, and is given None.

        cumulative: V + 1 integers, 0 first, ascending; symbol s has frequency cumulative[s + 1] - cumulative[s].
        """
        ...


# Of the interval, which is at least 2^56 wide, so that cutting it into 2^30 parts is exact to 2^-26.
BITS, KEPT = 64, 56


class Encoder:
    """Symbols -> bytes."""

    def __init__(self) -> None:
        self._low, self._width = 0, 1 << BITS
        self._out = bytearray()

    def code(self, cumulative: Cumulative, symbol: int | None) -> int:
        if symbol is None:
            raise ValueError("an encoder must be told the symbol")
        unit = self._width // int(cumulative[-1])
        self._low += unit * int(cumulative[symbol])
        self._width = unit * int(cumulative[symbol + 1] - cumulative[symbol])
        self._carry()
        while self._width < 1 << KEPT:
            self._out.append(self._low >> KEPT)
            self._low = (self._low << 8) & ((1 << BITS) - 1)
            self._width <<= 8
        return symbol

    def _carry(self) -> None:
        if self._low >> BITS:
            self._low &= (1 << BITS) - 1
            place = len(self._out) - 1
            while self._out[place] == 255:
                self._out[place] = 0
                place -= 1
            self._out[place] += 1

    def finish(self) -> bytes:
        """All bytes: the shortest number inside the last interval ends them."""
        for count in range(BITS // 8 + 1):
            step = 1 << (BITS - 8 * count)
            value = -(-self._low // step) * step
            if value < self._low + self._width:
                self._low = value
                self._carry()
                self._out += self._low.to_bytes(BITS // 8, "big")[:count]
                break
        return bytes(self._out)


class Decoder:
    """Bytes -> symbols; beyond the end stand zeros."""

    def __init__(self, data: bytes) -> None:
        self._bytes = iter(data)
        self._width = 1 << BITS
        self._above = 0  # how far into the interval the number points
        for _ in range(BITS // 8):
            self._above = self._above << 8 | next(self._bytes, 0)

    def code(self, cumulative: Cumulative, symbol: int | None) -> int:
        unit = self._width // int(cumulative[-1])
        place = min(self._above // unit, int(cumulative[-1]) - 1)
        if isinstance(cumulative, np.ndarray):
            coded = int(np.searchsorted(cumulative, place, side="right")) - 1
        else:
            coded = bisect_right(cumulative, place) - 1
        self._above -= unit * int(cumulative[coded])
        self._width = unit * int(cumulative[coded + 1] - cumulative[coded])
        while self._width < 1 << KEPT:
            self._above = self._above << 8 | next(self._bytes, 0)
            self._width <<= 8
        return coded


def cumulative_frequencies(p: np.ndarray) -> np.ndarray:
    """(…, V + 1) int64 from probabilities (…, V): floor(p (2^30 - V)) + 1 summed up, so that nothing is impossible."""
    size = p.shape[-1]
    result = np.zeros((*p.shape[:-1], size + 1), dtype=np.int64)
    np.cumsum((p * (SCALE - size)).astype(np.int64) + 1, axis=-1, out=result[..., 1:])
    return result


def code_uniform(coder: Coder, size: int, value: int | None) -> int:
    """Codes one of 0..size-1, all alike."""
    return coder.code(range(size + 1), value)


def code_choice(coder: Coder, share: float, yes: bool | None) -> bool:
    """Codes a yes of probability ``share``, or a no."""
    table = cumulative_frequencies(np.array([1 - share, share]))
    return bool(coder.code(table, None if yes is None else int(yes)))
