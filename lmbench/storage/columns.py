"""Files of named columns, whole or not there, of which any stretch is read by itself.

What tasks hand each other in a work folder: no wait for the disk, since a file that a killed machine leaves cut short, or whose
checksum does not fit when a later start would go on with it, counts as missing and is made anew.

>>> import tempfile
>>> with tempfile.TemporaryDirectory() as folder:
...     write_columns(Path(folder) / "numbers", {"n": np.arange(9)}, {"made by": "hand"})
...     file = ColumnFile(Path(folder) / "numbers")
...     file.read("n", 2, 4), file.size("n"), file.facts
(array([2, 3]), 9, {'made by': 'hand'})
"""

from __future__ import annotations

import errno
import os
import struct
import tempfile
import zlib
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from lmbench.errors import InputError
from lmbench.storage.pieces import pieces_of

# The length of the header and its checksum.
_START = "<QL"
_BEGIN = struct.calcsize(_START)
_HEADER = 1 << 14  # bytes in which most headers are


def write_columns(
    path: Path, columns: Mapping[str, np.ndarray], facts: Mapping[str, Any] | None = None
) -> None:
    """Writes one-dimensional arrays and facts (plain values). Raises InputError where the folder cannot be written or is full."""
    places, offset, check = {}, 0, 0
    for name, column in columns.items():
        places[name] = (column.dtype.str, offset, len(column))
        offset += column.nbytes
        check = zlib.crc32(np.ascontiguousarray(column).view(np.uint8).data, check)
    header = msgspec.json.encode((places, dict(facts or {}), offset, check))
    aside = None
    try:
        handle, aside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "wb") as stream:
            stream.write(struct.pack(_START, len(header), _seal(path, header)) + header)
            for column in columns.values():
                for piece in pieces_of(column):
                    np.ascontiguousarray(piece).tofile(stream)
        os.replace(aside, path)
        aside = None
    except OSError as error:
        # numpy says of a full disk only how much it has written.
        full = error.errno in (None, errno.ENOSPC)
        why = "the disk is full" if full else error.strerror
        raise InputError(
            f"cannot write {path}: {why}; name a work folder with room (--work, TMPDIR)"
        ) from None
    finally:
        if aside is not None and os.path.exists(aside):
            os.unlink(aside)


class GrowingColumn:
    """A column that is written to a file from its beginning to its end, and then mapped."""

    def __init__(self, path: Path, kind: Any) -> None:
        self._path, self._kind = path, np.dtype(kind)
        path.write_bytes(b"")

    def append(self, values: np.ndarray) -> None:
        """Raises InputError where the disk is full."""
        try:
            with open(self._path, "ab") as stream:
                values.astype(self._kind, copy=False).tofile(stream)
        except OSError:
            raise InputError(
                f"cannot write {self._path}: the disk is full; name a work folder with room (--work, TMPDIR)"
            ) from None

    def array(self) -> np.ndarray:
        if not self._path.stat().st_size:
            return np.zeros(0, dtype=self._kind)
        return np.memmap(self._path, dtype=self._kind, mode="r")


def _seal(path: Path, header: bytes) -> int:
    """The checksum of a header, of its place too: that of another file, or of another fit's, does not fit."""
    return zlib.crc32(header, zlib.crc32(os.fsencode(f"{path.parent.name}/{path.name}")))


class ColumnFile:
    """What ``write_columns`` wrote."""

    def __init__(self, path: Path) -> None:
        self.path, self._name = path, os.fspath(path)

    @cached_property
    def _header(self) -> tuple[dict[str, tuple[str, int, int]], dict[str, Any], int, int, int]:
        """The columns' types, places and lengths; the facts; where the columns begin, their bytes and their checksum."""
        try:
            handle = os.open(self._name, os.O_RDONLY)
            try:
                data = os.pread(handle, _HEADER, 0)
                length, check = struct.unpack_from(_START, data)
                if len(data) == _HEADER and length > _HEADER - _BEGIN:
                    data = os.pread(handle, min(_BEGIN + length, os.fstat(handle).st_size), 0)
            finally:
                os.close(handle)
            header = data[_BEGIN : _BEGIN + length]
            if _seal(self.path, header) != check:
                raise ValueError
            places, facts, size, check = msgspec.json.decode(
                header, type=tuple[dict[str, tuple[str, int, int]], dict[str, Any], int, int]
            )
        except OSError as error:
            raise InputError(f"cannot read {self.path}: {error.strerror}") from None
        except (ValueError, struct.error):
            raise InputError(f"{self.path} is damaged; remove it") from None
        return places, facts, _BEGIN + length, size, check

    @property
    def whole(self) -> bool:
        """Whether the file is there, all of it."""
        try:
            _, _, begin, size, _ = self._header
            return self.path.stat().st_size == begin + size
        except (OSError, InputError):
            return False

    @property
    def sound(self) -> bool:
        """Whether the file is there, all of it, and nothing of it has changed: what is asked of one that an earlier start has left."""
        if not self.whole:
            return False
        _, _, begin, _, expected = self._header
        check = 0
        with open(self.path, "rb") as stream:
            stream.seek(begin)
            while data := stream.read(1 << 20):
                check = zlib.crc32(data, check)
        return check == expected

    @property
    def facts(self) -> dict[str, Any]:
        return self._header[1]

    def size(self, name: str) -> int:
        """How many entries a column has."""
        return self._header[0][name][2]

    def read(self, name: str, begin: int = 0, end: int | None = None) -> np.ndarray:
        """Entries ``begin`` to ``end`` (all) of a column."""
        places, _, start, *_ = self._header
        kind, offset, size = places[name]
        end = size if end is None else end
        column = np.empty(end - begin, dtype=kind)
        left, place = column.view(np.uint8).data, start + offset + begin * column.itemsize
        # A third of np.fromfile's time, which is what many tasks with little of many files in each come to.
        handle = os.open(self._name, os.O_RDONLY)
        try:
            while len(left):
                number = os.preadv(handle, [left], place)
                if not number:
                    raise InputError(f"{self.path} is cut short; remove it")
                left, place = left[number:], place + number
        finally:
            os.close(handle)
        return column
