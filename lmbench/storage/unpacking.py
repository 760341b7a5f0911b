"""Files that were packed to be small, read as if they were not."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import lzma
import os
import sys
import zlib
from collections.abc import Iterator
from typing import IO, cast

from lmbench.errors import InputError

_PIPE = (
    1 << 20
)  # bytes that a pipe may hold while those before are worked on; the most that Linux allows anyone
# How a packed file begins; the name says nothing, since files are renamed.
MAGIC = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ\0": "xz", b"\x28\xb5\x2f\xfd": "zstd"}


@contextlib.contextmanager
def unpacked(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """The bytes of a file, of a packed one (gzip, bzip2, xz, zstd) unpacked as they are read; ``-``: standard input.

    Raises InputError where the file cannot be read or its packing is damaged, also while it is read.
    """
    kind = ""
    try:
        with _raw(path) as raw:
            head = raw.peek(8)[:8]
            kind = next((name for magic, name in MAGIC.items() if head.startswith(magic)), "")
            yield _opened(kind, raw, str(path))
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
        # A buffer over a buffer waits until it is full; what a program is still writing is wanted as it comes.
        source = source.raw if isinstance(source, io.BufferedReader) else source
        with contextlib.suppress(
            AttributeError, ImportError, OSError, ValueError
        ):  # where it is no pipe of Linux
            import fcntl

            fcntl.fcntl(source.fileno(), fcntl.F_SETPIPE_SZ, _PIPE)
        yield io.BufferedReader(cast(io.RawIOBase, source))
        return
    with open(path, "rb") as stream:
        yield stream


def _opened(kind: str, raw: io.BufferedReader, name: str) -> IO[bytes]:
    if kind == "gzip":
        return cast(IO[bytes], gzip.GzipFile(fileobj=raw))
    if kind == "bzip2":
        return bz2.BZ2File(raw)
    if kind == "xz":
        return lzma.LZMAFile(raw)
    if kind == "zstd":
        try:
            import pyarrow
        except ImportError:
            raise InputError(
                f"{name} is packed by zstd, which needs pyarrow: pip install 'lmbench[parquet]'; or unpack it first"
            ) from None
        return io.BufferedReader(pyarrow.CompressedInputStream(pyarrow.PythonFile(raw, "r"), "zstd"))
    return raw
