"""Files that were packed to be small, read as if they were not."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import lzma
import os
import stat
import struct
import sys
import zipfile
import zlib
from collections.abc import Iterator
from typing import IO, Any, cast

from lmbench.errors import InputError, shown

_PIPE = (
    1 << 20
)  # bytes that a pipe may hold while those before are worked on; the most that Linux allows anyone
# A text of one word again and again packs to a thousandth; what is small may do anything.
MOST_RATIO, FREE_BYTES = 300, 100 << 20
# How a packed file begins; the name says nothing, since files are renamed.
MAGIC = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ\0": "xz", b"\x28\xb5\x2f\xfd": "zstd"}


@contextlib.contextmanager
def unpacked(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """The bytes of a file, of a packed one (gzip, bzip2, xz, zstd) unpacked as they are read; ``-``: standard input.

    Raises InputError where the file cannot be read, its packing is damaged, or it unpacks to more than ``MOST_RATIO`` times its size
    (and ``FREE_BYTES``), also while it is read.
    """
    kind = ""
    try:
        with _raw(path) as raw:
            head = raw.peek(8)[:8]
            kind = next((name for magic, name in MAGIC.items() if head.startswith(magic)), "")
            if kind:
                packed = _Counted(raw)
                bounded = _Bounded(_opened(kind, packed, str(path)), packed, str(path))
                yield _as_utf8(io.BufferedReader(bounded, _PIPE), str(path))
            else:
                yield _as_utf8(raw, str(path))
    except IsADirectoryError:
        raise InputError(f"{path} is a directory; name a file in it") from None
    except (EOFError, lzma.LZMAError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"{path} is a damaged {kind or 'packed'} file ({error}); get it anew") from None
    except OSError as error:
        if kind and error.errno is None:  # what bzip2 and zstd raise for wrong data
            raise InputError(f"{path} is a damaged {kind} file ({error}); get it anew") from None
        raise InputError(f"cannot read {path}: {error.strerror or error}") from None


def read_unpacked(path: str | os.PathLike[str]) -> bytes:
    """All of a file's bytes, unpacked. Raises InputError as ``unpacked`` does."""
    with unpacked(path) as stream:
        return stream.read()


@contextlib.contextmanager
def _raw(path: str | os.PathLike[str]) -> Iterator[io.BufferedReader]:
    if str(path) == "-":
        source = sys.stdin.buffer
        if source.closed:
            raise InputError("the standard input has been read already; name it (-) once, or give a file")
        # A buffer over a buffer waits until it is full; what a program is still writing is wanted as it comes.
        source = source.raw if isinstance(source, io.BufferedReader) else source
        with contextlib.suppress(
            AttributeError, ImportError, OSError, ValueError
        ):  # where it is no pipe of Linux
            import fcntl

            fcntl.fcntl(source.fileno(), fcntl.F_SETPIPE_SZ, _PIPE)
        yield io.BufferedReader(cast(io.RawIOBase, source))
        return
    with named(path):
        stream = open(path, "rb")  # noqa: SIM115
    with stream:
        kind = os.fstat(stream.fileno()).st_mode
        if stat.S_ISBLK(kind) or (stat.S_ISCHR(kind) and not stream.isatty()):
            raise InputError(f"{path} is a device, which may have no end; name a file")
        yield stream


@contextlib.contextmanager
def named(path: str | os.PathLike[str]) -> Iterator[None]:
    """Raises InputError where no file can have such a name (one with a zero byte, or half a pair of code units)."""
    try:
        yield
    except InputError:
        raise
    except ValueError as error:
        raise InputError(f"{shown(str(path))} is no file's name: {error}") from None


def check_ratio(size: int, packed: int, name: str) -> None:
    """Raises InputError where so many bytes came of so few packed ones that nothing but an attack on memory is likely."""
    if size > FREE_BYTES and size > MOST_RATIO * packed:
        raise InputError(
            f"{name} unpacks to more than {MOST_RATIO} times its size; if it is no trap, unpack it first and give what comes out"
        )


@contextlib.contextmanager
def zip_archive(source: str | os.PathLike[str] | IO[bytes], name: str) -> Iterator[zipfile.ZipFile]:
    """A zip archive's index, which says of each file how long it is; one that says less than there is is damaged when it is read.

    Raises InputError where it is no such archive, is damaged, or packs files otherwise than by deflate: of bzip2's and LZMA's, Python
    unpacks all before it looks how much that is.
    """
    try:
        with zipfile.ZipFile(source) as archive:
            for member in archive.infolist():
                if (
                    member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
                    or member.flag_bits & 1
                ):
                    raise InputError(
                        f"{name}:{member.filename} is encrypted, or not packed by deflate; unpack it first"
                    )
            yield archive
    except InputError:
        raise
    # Places before the file's beginning, names that are no UTF-8, fields that are cut short, sizes beyond all bounds.
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        RuntimeError,
        ValueError,
        struct.error,
        OverflowError,
    ) as error:
        raise InputError(f"{name} is a damaged zip archive ({error}); get it anew") from None


class _Counted(io.RawIOBase):
    """A stream, and how much of it has been read."""

    def __init__(self, stream: io.BufferedReader) -> None:
        self._stream, self.count = stream, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        size = self._stream.readinto(buffer)
        self.count += size
        return size


class _Bounded(io.RawIOBase):
    """What an unpacking stream gives, as long as that is in proportion to what it has read."""

    def __init__(self, stream: io.BufferedIOBase, packed: _Counted, name: str) -> None:
        self._stream, self._packed, self._name, self._size = stream, packed, name, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._stream.read1(len(buffer))  # what a program is still writing is wanted as it comes
        buffer[: len(data)] = data
        self._size += len(data)
        check_ratio(self._size, self._packed.count, self._name)
        return len(data)

    def readall(self) -> bytes:
        pieces = []
        while piece := self._stream.read(_PIPE):
            pieces.append(piece)
            self._size += len(piece)
            check_ratio(self._size, self._packed.count, self._name)
        return b"".join(pieces)


def _as_utf8(stream: io.BufferedReader, name: str) -> IO[bytes]:
    """A text in UTF-16, which its byte-order mark says, as UTF-8; any other as it is. The first is read as a whole."""
    if stream.peek(2)[:2] not in (b"\xff\xfe", b"\xfe\xff"):
        return stream
    try:
        return io.BytesIO(stream.read().decode("utf-16").encode())
    except UnicodeError as error:
        raise InputError(f"{name} begins as UTF-16 does, but is none ({error}); give UTF-8 text") from None


def _opened(kind: str, raw: io.RawIOBase, name: str) -> io.BufferedIOBase:
    stream = cast(IO[bytes], raw)
    if kind == "gzip":
        return gzip.GzipFile(fileobj=stream)
    if kind == "bzip2":
        return bz2.BZ2File(stream)
    if kind == "xz":
        return lzma.LZMAFile(stream)
    try:
        import pyarrow
    except ImportError:
        raise InputError(
            f"{name} is packed by zstd, which needs pyarrow: pip install 'lmbench[parquet]'; or unpack it first"
        ) from None
    return io.BufferedReader(pyarrow.CompressedInputStream(pyarrow.PythonFile(stream, "r"), "zstd"))
