"""A file of named arrays that is mapped, not read: opened at once whatever its size, checked where it is read.

The file is one of safetensors' kind (8 bytes: the length of a JSON header, which names each array's type, shape
and place; then the arrays). The header carries a checksum of itself, and the array ``crc32`` one of every 64 KiB
of the others; a block is checked when something of it is first asked for.
"""

from __future__ import annotations

import json
import math
import stat
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np

from lmbench.errors import InputError
from lmbench.storage.files import whole_file
from lmbench.storage.pieces import Made, pieces_of, release

_BLOCK = 1 << 16
_MANY = 1 << 7  # blocks
_TYPES = {
    "F64": np.float64,
    "F32": np.float32,
    "F16": np.float16,
    "I64": np.int64,
    "I32": np.int32,
    "I16": np.int16,
    "I8": np.int8,
    "U64": np.uint64,
    "U32": np.uint32,
    "U16": np.uint16,
    "U8": np.uint8,
    "BOOL": np.bool_,
}
_Size = Annotated[int, msgspec.Meta(ge=0, le=2**62)]
_NAMES = {np.dtype(kind): name for name, kind in _TYPES.items()}


class _Place(msgspec.Struct):
    dtype: str
    shape: list[_Size]
    data_offsets: tuple[_Size, _Size]


class MappedArray:
    """An array in a file. Indexing gives an ordinary array, after checking the blocks that it comes from."""

    def __init__(self, file: _Blocks, begin: int, values: np.ndarray) -> None:
        self._file, self._begin, self._values = file, begin, values
        self.dtype, self.shape, self.nbytes = values.dtype, values.shape, values.nbytes
        self._blocks = slice(begin // _BLOCK, -(-(begin + values.nbytes) // _BLOCK))
        self._checked = False
        self._bound: int | None = None

    def below(self, bound: int) -> MappedArray:
        """The same array; from now on a number in it that is not below the bound counts as damage."""
        self._bound = bound
        return self

    def __len__(self) -> int:
        return len(self._values)

    def __getitem__(self, ranks: np.ndarray) -> np.ndarray:
        """Entries (first axis) by their ranks ≥ 0; raises InputError where other arrays of the file give wrong ranks."""
        try:
            if not self._checked:
                self._file.check((self._begin + np.asarray(ranks, np.int64) * self.dtype.itemsize) // _BLOCK)
                self._checked = self._file.checked(self._blocks)
            return self._bounded(self._values[ranks])
        except IndexError:
            raise self._misfit() from None

    def _bounded(self, entries: np.ndarray) -> np.ndarray:
        if self._bound is not None and entries.max(initial=0) >= self._bound:
            raise self._misfit()
        return entries

    def _misfit(self) -> InputError:
        return InputError(
            f"{self._file.path} has arrays that do not belong together; copy it again or fit it anew"
        )

    def stretch(self, begin: int, end: int) -> np.ndarray:
        """Entries ``begin`` to before ``end``, checked, in their place in the file: to be read, and released (``storage.pieces``)."""
        if not 0 <= begin <= end <= len(self):
            raise self._misfit()
        size = self.nbytes // max(len(self), 1)
        first, beyond = self._begin + begin * size, self._begin + end * size
        self._file.check(np.arange(first // _BLOCK, -(-beyond // _BLOCK)))
        return self._bounded(self._values[begin:end])

    def all(self) -> np.ndarray:
        """The whole array, checked."""
        self._file.check(np.arange(self._blocks.start, self._blocks.stop))
        values, self._bound = self._bounded(self._values), None  # nothing is left to be looked at
        return values

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.all(), dtype=dtype, copy=copy)


class _Blocks:
    """The bytes that arrays lie in, and which of their blocks have been checked."""

    def __init__(self, path: str | Path, data: np.ndarray, crc32: np.ndarray) -> None:
        self.path, self._data, self._crc32 = path, data, crc32
        self._seen = np.zeros(len(crc32), dtype=bool)

    def checked(self, blocks: slice) -> bool:
        return bool(self._seen[blocks].all())

    def check(self, blocks: np.ndarray) -> None:
        """Raises InputError where one of the blocks is not what was written."""
        touched = np.zeros(len(self._seen), dtype=bool)
        touched[blocks] = True
        for number, block in enumerate(np.flatnonzero(touched & ~self._seen).tolist(), 1):
            if number % _MANY == 0:  # of a file that is checked from end to end no more need be in memory
                release(self._data)
            if zlib.crc32(self._data[block * _BLOCK : (block + 1) * _BLOCK].data) != self._crc32[block]:
                raise _damaged(self.path)
            self._seen[block] = True


def write_arrays(path: str | Path, arrays: Mapping[str, np.ndarray | Made], facts: Mapping[str, Any]) -> None:
    """Writes named arrays and facts (plain values), whole or not at all, piece by piece. Raises InputError where it cannot."""
    # Wide types first, so that every entry lies within a block.
    ordered = sorted(arrays.items(), key=lambda item: (-item[1].dtype.itemsize, item[0]))
    blocks = _checksums(sum(array.nbytes for _, array in ordered))
    places, offset = {}, 4 * blocks
    for name, array in ordered:
        places[name] = _Place(_NAMES[array.dtype], list(array.shape), (offset, offset + array.nbytes))
        offset += array.nbytes
    crc32 = np.zeros(blocks, dtype=np.uint32)
    places["crc32"] = _Place("U32", [len(crc32)], (0, crc32.nbytes))
    running, filled = 0, 0
    for _, array in ordered:
        for data in map(_bytes, pieces_of(array)):
            while len(data):
                piece = data[: _BLOCK - filled % _BLOCK]
                running = zlib.crc32(piece, running)
                crc32[filled // _BLOCK] = running
                filled, data = filled + len(piece), data[len(piece) :]
                running *= filled % _BLOCK > 0
    text = msgspec.json.encode(facts).decode()
    metadata = {"lmbench": text, "crc32": str(_digest(text, places, crc32))}
    header = json.dumps({"__metadata__": metadata} | msgspec.to_builtins(places)).encode()
    header += b" " * (-len(header) % 8)
    with whole_file(path) as stream:
        stream.write(len(header).to_bytes(8, "little") + header)
        for array in (crc32, *(array for _, array in ordered)):
            for values in pieces_of(array):
                stream.write(_bytes(values))


def open_arrays(path: str | Path) -> tuple[dict[str, Any], dict[str, MappedArray]]:
    """The facts and the arrays of a file. Raises InputError where it is foreign, cut short or damaged."""
    try:
        about = Path(path).stat()
        if stat.S_ISFIFO(about.st_mode):  # opening it would wait for a writer
            raise InputError(
                f"{path} is a pipe; copy what it gives into a file first, models are read in place"
            )
        size = about.st_size
        with open(path, "rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            if not 2 <= length <= size - 8:
                raise _foreign(path)
            header = msgspec.json.decode(stream.read(length), type=dict[str, dict[str, Any]])
        metadata = header.pop("__metadata__")
        text, digest = metadata["lmbench"], metadata.get("crc32")
        if digest is None:
            raise InputError(f"{path} was saved by an earlier lmbench; fit it anew")
        places = msgspec.convert(header, dict[str, _Place])
        shape = (size - 8 - length,)
        data: np.ndarray = np.memmap(path, dtype=np.uint8, mode="r", offset=8 + length, shape=shape)
        begin, end = places.pop("crc32").data_offsets
        if max((place.data_offsets[1] for place in places.values()), default=end) != len(data):
            raise InputError(
                f"{path} is cut short or has something after its end; copy it again or fit it anew"
            )
        if begin or end != 4 * _checksums(len(data) - end):
            raise _foreign(path)
        crc32 = data[:end].view(np.uint32)
        if str(_digest(text, places, crc32)) != digest:
            raise _damaged(path)
        facts = msgspec.json.decode(text, type=dict[str, Any])
        data = data[crc32.nbytes :].view(np.ndarray)
        file = _Blocks(path, data, crc32[: -(-len(data) // _BLOCK)])
        arrays = {}
        for name, place in places.items():
            begin, end = (offset - crc32.nbytes for offset in place.data_offsets)
            kind = np.dtype(_TYPES[place.dtype])
            if (
                begin % kind.itemsize
                or not 0 <= begin <= end == begin + math.prod(place.shape) * kind.itemsize
            ):
                raise _foreign(path)
            arrays[name] = MappedArray(file, begin, data[begin:end].view(kind).reshape(place.shape))
        return facts, arrays
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"no such model file: {path}; `lmbench fit --save {path}` makes one") from None
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from None
    except (KeyError, TypeError, ValueError, RecursionError):
        raise _foreign(path) from None


def _checksums(size: int) -> int:
    """How many checksums stand before so many bytes: one a block, and one more where the arrays would not be aligned."""
    blocks = -(-size // _BLOCK)
    return blocks + blocks % 2


def _bytes(array: np.ndarray) -> memoryview:
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data


def _digest(text: str, places: Mapping[str, _Place], crc32: np.ndarray) -> int:
    """Of all that is not in the blocks: the facts, where the arrays lie, and the blocks' own checksums."""
    table = sorted(
        (name, p.dtype, list(p.shape), list(p.data_offsets)) for name, p in places.items() if name != "crc32"
    )
    return zlib.crc32(_bytes(crc32), zlib.crc32((text + json.dumps(table)).encode()))


def _damaged(path: str | Path) -> InputError:
    return InputError(f"{path} is damaged (a checksum does not fit); copy it again or fit it anew")


def _foreign(path: str | Path) -> InputError:
    return InputError(
        f"{path} is not a model that lmbench saved, or is damaged; `lmbench fit --save` makes one"
    )
