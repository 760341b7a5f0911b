"""Long columns of numbers: in memory, or in files that only this process sees, so that little memory is held at once."""

from __future__ import annotations

import contextlib
import errno
import mmap
import re
import tempfile
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np

from lmbench.errors import InputError

MEMORY_LIMIT = (
    "of counting and estimating, beside the text, such as 500MB; n-grams are then kept on disk (in TMPDIR)"
)
_BYTES_AN_ENTRY = 128  # of all temporary columns of a block, while it is sorted, merged or estimated
_LEAST = 1_000_000
_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}


class Memory:
    """Columns as arrays in memory, worked on in blocks that suit the cache."""

    block = 1 << 20

    def column(self, dtype: Any) -> Column:
        """A column to be written from its beginning to its end."""
        return Column(dtype)

    def copy(self, values: np.ndarray) -> np.ndarray:
        """A writable copy of a column."""
        return values.copy()

    def blocks(self, size: int) -> Iterator[slice]:
        """Slices that cover 0..size."""
        for begin in range(0, size, self.block):
            yield slice(begin, min(begin + self.block, size))
            self.release()

    def release(self) -> None:
        """Tells that the columns are not needed in memory for now."""


class Column:
    """Gathers a column piece by piece."""

    def __init__(self, dtype: Any) -> None:
        self._dtype = np.dtype(dtype)
        self._pieces: list[np.ndarray] = []

    def append(self, values: np.ndarray) -> None:
        self._pieces.append(values.astype(self._dtype, copy=False))

    def array(self) -> np.ndarray:
        """All of it; nothing can be appended any more."""
        if len(self._pieces) == 1:
            return self._pieces[0]
        return np.concatenate(self._pieces) if self._pieces else np.zeros(0, dtype=self._dtype)


class Disk(Memory):
    """Columns in temporary files that have no name: whatever happens to the process, they leave nothing behind.

    limit: bytes of memory that the blocks worked on may take together. The files are mapped; what the system keeps of
    them in memory it takes back when memory is short. Raises InputError where the disk is full.
    """

    def __init__(self, limit: int) -> None:
        self.folder = tempfile.gettempdir()
        self.block = limit // _BYTES_AN_ENTRY
        self._maps: weakref.WeakSet[mmap.mmap] = weakref.WeakSet()

    def column(self, dtype: Any) -> Column:
        return _FileColumn(self, dtype)

    def copy(self, values: np.ndarray) -> np.ndarray:
        column = self.column(values.dtype)
        for block in self.blocks(len(values)):
            column.append(values[block])
        return column.array()

    def release(self) -> None:
        for mapped in self._maps:
            mapped.madvise(mmap.MADV_DONTNEED)

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Says what is wrong with the folder, in place of the system's error."""
        try:
            yield
        except OSError as error:
            why = "the disk is full" if error.errno == errno.ENOSPC else error.strerror or str(error)
            raise InputError(
                f"cannot keep n-grams in {self.folder}: {why}; nothing is left there. Set TMPDIR to a folder with room, "
                "or raise memory_limit"
            ) from None


class _FileColumn(Column):
    """A column that is written to a file and read through a mapping of it."""

    def __init__(self, disk: Disk, dtype: Any) -> None:
        super().__init__(dtype)
        self._disk, self._size = disk, 0
        with disk.writing():
            self._stream = tempfile.TemporaryFile(dir=disk.folder, buffering=0)  # noqa: SIM115
        weakref.finalize(self, self._stream.close)

    def append(self, values: np.ndarray) -> None:
        left = np.ascontiguousarray(values, dtype=self._dtype).view(np.uint8).data
        with self._disk.writing():
            while len(left):
                written = self._stream.write(left)
                self._size += written
                left = left[written:]

    def array(self) -> np.ndarray:
        if not self._size:
            return np.zeros(0, dtype=self._dtype)
        with self._disk.writing():
            mapped = mmap.mmap(self._stream.fileno(), self._size)
        self._stream.close()
        self._disk._maps.add(mapped)
        return np.frombuffer(mapped, dtype=self._dtype)


def columns_within(memory_limit: str) -> Memory:
    """Where columns are kept under a limit such as ``500MB``, ``2GiB`` or a number of bytes; empty: in memory.

    Raises InputError where it is no size or less than a megabyte.
    """
    if not memory_limit:
        return Memory()
    size = re.fullmatch(r"([0-9.]+)\s*([KMG]?I?B?)", memory_limit.strip().upper())
    try:
        limit = int(float(size[1]) * _UNITS[size[2]]) if size else 0
    except (ValueError, KeyError, OverflowError):
        limit = 0
    if limit < _LEAST:
        raise InputError(
            f"option memory_limit={memory_limit}: give a size of 1MB or more, such as 500MB or 2GB"
        )
    return Disk(limit)
