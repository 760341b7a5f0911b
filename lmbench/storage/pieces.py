"""Long arrays piece by piece: those in mapped files, whose pages go again when a piece has been read, and those made while they are written."""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

PIECE = 1 << 20  # entries


@dataclass(frozen=True, eq=False)
class Made:
    """(N,) numbers that are made when they are wanted, some at a time.

    make: gives those from a place to before another.

    >>> np.asarray(Made(np.dtype(np.uint8), 3, lambda begin, end: np.arange(begin, end)))
    array([0, 1, 2], dtype=uint8)
    """

    dtype: np.dtype
    size: int
    make: Callable[[int, int], np.ndarray]

    @property
    def shape(self) -> tuple[int]:
        return (self.size,)

    @property
    def nbytes(self) -> int:
        return self.size * self.dtype.itemsize

    def __len__(self) -> int:
        return self.size

    def pieces(self) -> Iterator[np.ndarray]:
        for begin in range(0, self.size, PIECE):
            yield self.make(begin, min(begin + PIECE, self.size)).astype(self.dtype, copy=False)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.concatenate([*self.pieces(), np.zeros(0, self.dtype)]).astype(dtype or self.dtype)


def pieces_of(array: np.ndarray | Made) -> Iterator[np.ndarray]:
    """An array along its first axis, all of it."""
    if isinstance(array, Made):
        yield from array.pieces()
        return
    if array.ndim == 0:
        yield array
        return
    for begin in range(0, len(array), PIECE):
        yield array[begin : begin + PIECE]
        release(array)


def release(array: np.ndarray) -> None:
    """Where an array lies in a mapped file that is only read, tells that its pages are not needed in memory for now."""
    base: Any = array
    while isinstance(base, np.ndarray):
        if isinstance(base, np.memmap) and base.mode == "r":
            base._mmap.madvise(mmap.MADV_DONTNEED)  # type: ignore[attr-defined]
            return
        base = base.base
