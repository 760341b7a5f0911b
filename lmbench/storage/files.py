"""Files read with clear errors, and files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from lmbench.errors import InputError
from lmbench.storage.unpacking import named, read_unpacked

# How files begin that hold text, but are none; and what to do.
_NO_TEXTS = {
    b"PK\x03\x04": "a zip archive, as .docx, .odt and .epub are; take the text out (unzip, or pandoc FILE -t plain)",
    b"%PDF-": "a PDF; take the text out (pdftotext FILE)",
    b"{\\rtf": "RTF; take the text out (pandoc FILE -t plain)",
    b"\xd0\xcf\x11\xe0": "an old Word or Excel file; save it as text",
    b"7z\xbc\xaf": "a 7z archive; unpack it first",
    b"Rar!": "a RAR archive; unpack it first",
    b"SQLite format 3": "an SQLite database; write its texts out as JSON lines",
    b"PAR1": "Parquet; give its name the ending .parquet",
    b"\x89PNG": "an image; give a text",
    b"\xff\xd8\xff": "an image; give a text",
    b"GIF8": "an image; give a text",
    b"\x7fELF": "a program; give a text",
    b"\xff\xfe": "UTF-16; convert it first (iconv -f UTF-16 -t UTF-8)",
    b"\xfe\xff": "UTF-16; convert it first (iconv -f UTF-16 -t UTF-8)",
}
_TEXT_PER_ZERO = 10  # bytes of a text that has a zero byte, at least


def read_bytes(path: str | os.PathLike[str]) -> bytes:
    """The contents of a regular file; raises InputError where it cannot be read, or is a pipe or device, which may have no end."""
    try:
        check_regular(path)
        return Path(path).read_bytes()
    except IsADirectoryError:
        raise InputError(f"{path} is a directory; name a file in it") from None
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from None


def check_regular(path: str | os.PathLike[str]) -> None:
    """Raises InputError of a pipe or a device, which opens when somebody writes to it, or has no end; OSError where nothing is there."""
    with named(path):
        mode = os.stat(path).st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise InputError(f"{path} is no ordinary file but a pipe or device; name a file")


def read_text(path: str | os.PathLike[str]) -> str:
    """A UTF-8 text file as a string, without its byte-order mark; a packed one (gzip, bzip2, xz, zstd) is unpacked.

    Raises InputError where the file is missing, damaged, empty, binary, or not UTF-8 (the byte offset is named).
    """
    return decode_utf8(read_unpacked(path), str(path))


def decode_utf8(data: bytes, name: str, offset: int = 0) -> str:
    """Bytes as text; ``name`` is what the error calls them. A leading byte-order mark is dropped.

    offset: how many bytes of the file stood before them.
    """
    if not data:
        raise InputError(f"{name} is empty; give a text file")
    if not offset and data[:2] == b"\x1f\x8b":
        raise InputError(f"{name} looks like a gzip file; unpack it first (gunzip {name})")
    kind = next((kind for magic, kind in _NO_TEXTS.items() if data.startswith(magic)), "")
    if not offset and kind:
        raise InputError(f"{name} is {kind}")
    if not offset and data[257:262] == b"ustar" and b"\0" in data[:257]:
        raise InputError(f"{name} is a tar archive; unpack it first")
    # A few zero bytes are a slip in a text; a file that is no text has many.
    if (nul := data.find(b"\0")) >= 0 and data.count(b"\0") > max(8, len(data) // _TEXT_PER_ZERO):
        raise InputError(f"{name} is a binary file (a zero byte at offset {offset + nul}); give UTF-8 text")
    try:
        return data.decode("utf-8" if offset else "utf-8-sig")
    except UnicodeDecodeError as error:
        start = error.start + (3 if not offset and data[:3] == b"\xef\xbb\xbf" else 0)
        raise InputError(
            f"{name} is not UTF-8: byte 0x{data[start]:02x} at offset {offset + start}; "
            "convert it first (iconv -f LATIN1 -t UTF-8)"
        ) from None


def check_place(path: str | os.PathLike[str]) -> None:
    """Raises InputError where a file cannot be written, for what is known before: ask it before long work."""
    place = Path(path)
    if not str(path):
        raise InputError("cannot write to a file without a name; give one")
    if place.is_dir():
        raise InputError(f"cannot write {path}: it is a directory; name a file in it")
    if place.exists() and not place.is_file():  # a file would take the place of the device or pipe
        raise InputError(f"cannot write {path}: it is no ordinary file; give another name")
    if place.parent.exists() and not os.access(place.parent, os.W_OK):
        raise InputError(f"cannot write {path}: its folder may not be written to; name another")


@contextlib.contextmanager
def whole_file(path: str | os.PathLike[str], mode: str = "wb", private: bool = False) -> Iterator[IO[Any]]:
    """Opens a file that appears under its name complete, or not at all (write aside, sync, rename).

    Where the system has files without a name, nothing is left of it even when the process is killed. private: none but the
    user may read it. A link in its place is replaced, not followed. Raises InputError where the place cannot be written or the disk is full.
    """
    check_place(path)
    path = Path(path)
    temporary: str | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        sweep(path.parent, path.name)
        handle, temporary = _aside(path)
        with contextlib.suppress(OSError):  # a file system without locks: what is left there stays
            _lock(handle)
        encoding = None if "b" in mode else "utf-8"
        with os.fdopen(handle, mode, encoding=encoding, newline=None if "b" in mode else "") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
            if os.chmod in os.supports_fd:  # by its name, another might stand there by now
                os.chmod(stream.fileno(), 0o600 if private else 0o644)
            if temporary is None:
                temporary = _name(stream.fileno(), path)
        os.replace(temporary, path)
        temporary = None
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise InputError(f"cannot write {path}: the disk is full; nothing was changed") from None
        raise InputError(f"cannot write {path}: {error.strerror or error}") from None
    finally:
        if temporary is not None:
            with contextlib.suppress(OSError):
                os.unlink(temporary)


def sweep(folder: Path, name: str | None = None) -> None:
    """Removes from a folder what processes that were killed have left of files they wrote aside, of one file or of all.

    Whoever still writes holds a lock on it, which ends with the process; what others have put there has other names.
    """
    with contextlib.suppress(OSError):
        for left in os.listdir(folder):
            ours = _PART.fullmatch(left)
            if ours and name in (None, ours[1]):
                with contextlib.suppress(OSError):
                    _remove_unlocked(os.path.join(folder, left))


def _remove_unlocked(path: str) -> None:
    # A pipe of such a name would be waited for.
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    try:
        _lock(handle)
        os.unlink(path)
    finally:
        os.close(handle)


def _lock(handle: int) -> None:
    """Marks an open file as being written; raises OSError where another process has. Nothing, on a system without such locks."""
    try:
        import fcntl
    except ImportError:
        return
    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


# How files are named while they are written aside: the name that they are to have, and what tempfile adds.
_PART = re.compile(r"\.(.+)\.[a-z0-9_]{8}\.part")


def _aside(path: Path) -> tuple[int, str | None]:
    """A file beside another, open to be written, and its name where it needs one."""
    with contextlib.suppress(AttributeError, OSError):
        handle = os.open(path.parent, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
        if os.path.exists(f"/proc/self/fd/{handle}"):
            return handle, None
        os.close(handle)
    return tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")


def _name(handle: int, path: Path) -> str:
    """Names a file that has none, to be renamed at once."""
    name = tempfile.mktemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    folder = os.open(path.parent, os.O_RDONLY)
    try:  # only with a folder given, os.link follows the link in /proc
        os.link(f"/proc/self/fd/{handle}", name, src_dir_fd=folder, follow_symlinks=True)
    finally:
        os.close(folder)
    return name


def write_whole(path: str | os.PathLike[str], data: str | bytes, private: bool = False) -> None:
    """Writes a file at once: complete, or not at all; see ``whole_file``.

    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_whole(f"{folder}/note.txt", "whole or not at all")
    ...     read_text(f"{folder}/note.txt")
    'whole or not at all'
    """
    with whole_file(path, "w" if isinstance(data, str) else "wb", private) as stream:
        stream.write(data)
