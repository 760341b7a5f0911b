"""Names that may be a file's or a folder's, on every system, and folders that nothing is to be written out of."""

from __future__ import annotations

import os
import re
import tempfile
import unicodedata
from collections.abc import Iterator
from pathlib import Path

from lmbench.errors import InputError, shown

MOST_BYTES = (
    120  # of a name in UTF-8, so that there is room for endings within the 255 that file systems allow
)
# Devices of Windows, with whatever ending.
_DEVICES = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?", re.IGNORECASE)


def name_fault(name: str) -> str | None:
    """Why a name will not do for a file or folder of its own; None where it will.

    >>> name_fault("kneser-ney 5"), name_fault("../x"), name_fault("NUL.txt")
    (None, 'it holds a slash', 'it is a device on some systems')
    """
    if not name:
        return "it is empty"
    if "/" in name or "\\" in name:
        return "it holds a slash"
    if name.startswith("."):
        return "it begins with a dot"
    if name[0].isspace() or name.endswith((".", " ")):
        return "it begins or ends with what some systems drop"
    if not name.isprintable():
        return "it holds characters that do not print"
    if len(name.encode()) > MOST_BYTES:
        return f"it takes more than {MOST_BYTES} bytes"
    if _DEVICES.fullmatch(name):
        return "it is a device on some systems"
    return None


def folded(name: str) -> str:
    """The same for names that some file systems take for one: case, and ways to write an accent, do not count.

    >>> folded("Café") == folded("CAFE\u0301")
    True
    """
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def check_within(folder: Path, path: Path) -> None:
    """Raises InputError where a path below a folder leads out of it, through a link."""
    if not path.parent.resolve().is_relative_to(folder.resolve()):
        raise InputError(
            f"{shown(str(path.parent), 120)} is a link that leads out of {shown(str(folder), 80)}; remove it, "
            "or name another --out"
        )


def folders_within(folder: Path) -> Iterator[Path]:
    """A folder and all below it. Raises InputError where one is a link that leads out of it, or to nowhere."""
    yield folder
    for path in folder.rglob("*"):
        if path.is_symlink() and not path.is_file():
            check_within(folder, path / "file")
        elif path.is_dir():
            yield path


def check_own(folder: Path) -> None:
    """Raises InputError where a folder for work is a link, or another user's, who may change what is kept there."""
    try:
        with tempfile.TemporaryFile(dir=folder) as ours:  # whose files are on this file system
            mine = os.fstat(ours.fileno()).st_uid == folder.lstat().st_uid
    except OSError as error:
        raise InputError(f"--work: cannot write into {folder} ({error.strerror})") from None
    if folder.is_symlink() or not mine:
        what = "a link" if folder.is_symlink() else "another user's"
        raise InputError(
            f"--work: {folder} is {what}, and what is kept there cannot be relied on; name another folder"
        )
