"""What programs that everyone has pay for the test text once they have read the training text.

A compressor is a language model of sorts: what a text adds to the size of an archive that already holds the training
text is what it pays for it.
"""

from __future__ import annotations

import bz2
import lzma
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from lmbench.text.canonical import CanonicalText


def _bz2(data: bytes) -> int:
    return len(bz2.compress(data, 9))


def _xz(data: bytes) -> int:
    window = max(1 << 20, len(data))
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 9, "dict_size": min(window, 1 << 30)}]
    return len(lzma.compress(data, lzma.FORMAT_RAW, filters=filters))


def _ppmd(data: bytes) -> int:
    """PPMd variant H of order 6, by the 7-Zip program."""
    program = seven_zip()
    if program is None:
        raise FileNotFoundError("7-Zip")
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "text").write_bytes(data)
        command = [program, "a", "-t7z", "-m0=PPMd:o=6:mem=256m", "-ms=on", "-bd", "archive.7z", "text"]
        subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
        return Path(folder, "archive.7z").stat().st_size


def seven_zip() -> str | None:
    """The 7-Zip program, where it is installed."""
    return next((path for name in ("7zz", "7z", "7za") if (path := shutil.which(name))), None)


def compressors() -> dict[str, Callable[[bytes], int]]:
    """Bytes -> compressed size, by name; ``ppmd`` where 7-Zip is installed.

    bz2 looks back 900 kB at most, so of a longer training text it knows the end only.
    """
    found: dict[str, Callable[[bytes], int]] = {"bz2": _bz2, "xz": _xz}
    return found | {"ppmd": _ppmd} if seven_zip() else found


def baseline_bits_per_char(train: CanonicalText, test: CanonicalText) -> dict[str, float]:
    """Name -> (compressed size of train and test - compressed size of train) in bits over the test's characters.

    The texts are UTF-8, one after the other. Sizes are whole bytes, bz2's in blocks: on a short test text the figures are
    coarse.
    """
    before, after = train.text.encode(), (train.text + test.text).encode()
    return {
        name: 8 * (size(after) - size(before)) / test.chars
        for name, size in compressors().items()
        if test.chars
    }
