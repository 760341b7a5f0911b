"""How much memory work may take: a limit as the user writes it, and what there is left of it."""

from __future__ import annotations

import re
import resource
from pathlib import Path

from lmbench.errors import InputError

MEMORY_LIMIT = "of the whole process, such as 500MB; n-grams are then counted and estimated from files to files (in TMPDIR, or --work)"
_LEAST = 1_000_000
_SHARE = (
    4  # of a limit that the program and the vocabulary alone exceed, a quarter is worked with all the same
)
_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}


def limit_of(memory_limit: str) -> int | None:
    """Bytes of a limit such as ``500MB``, ``2GiB`` or a number of bytes; None of an empty one.

    Raises InputError where it is no size or less than a megabyte.

    >>> limit_of("2MB"), limit_of("1 GiB"), limit_of("")
    (2000000, 1073741824, None)
    """
    if not memory_limit:
        return None
    size = re.fullmatch(r"([0-9.]+)\s*([KMG]?I?B?)", memory_limit.strip().upper())
    try:
        limit = int(float(size[1]) * _UNITS[size[2]]) if size else 0
    except (ValueError, KeyError, OverflowError):
        limit = 0
    if limit < _LEAST:
        raise InputError(
            f"option memory_limit={memory_limit}: give a size of 1MB or more, such as 500MB or 2GB"
        )
    return limit


def left_of(limit: int) -> int:
    """Bytes that are left of a limit beside what this process holds now; a quarter of it at least."""
    return max(limit - _resident(), limit // _SHARE)


def _resident() -> int:
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:  # no Linux: the most that it ever was
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return pages * resource.getpagesize()
