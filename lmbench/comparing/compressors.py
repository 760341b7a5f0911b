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
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lmbench.text.canonical import CanonicalText

BLOCK = 900_000 - 19  # bytes of a block of bzip2 at its largest


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
    by_name: dict[str, Callable[[bytes], int]] = {"bz2": _bz2, "xz": _xz}
    return by_name | {"ppmd": _ppmd} if seven_zip() else by_name


# How many bytes of both texts a slow program is given: a quarter of them for the test text, what that leaves for training.
READ = {"xz": 4 << 20, "ppmd": 32 << 20}


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """What a compressor pays for the test text after the training text.

    name: the program. bits_per_char: of the first test_chars characters of the test text, after the last train_bytes of
    the training text. train_bytes: in UTF-8. test_chars: so many. note: what of both texts it was given, where that is not all.
    """

    name: str
    bits_per_char: float
    train_bytes: int | None = None
    test_chars: int | None = None
    note: str = ""


def baselines(train: CanonicalText, test: CanonicalText) -> list[Baseline]:
    """Bits a character of the test text given the training text, by every compressor there is.

    (compressed size of train and test - compressed size of train) in bits over the test's characters; the texts are UTF-8,
    one after the other. Sizes are whole bytes, bz2's in blocks: on a short test text the figures are coarse. xz and ppmd,
    which are slow, are given the end of a long training text and the beginning of a long test text (``READ``); bz2's
    figure is exact, but what stands before its last block of training text is not compressed, since it changes nothing.

    >>> once = CanonicalText.of(["the ferry waits by the river and " * 200])
    >>> {b.name: b.bits_per_char < 0.05 for b in baselines(once, once) if b.name == "xz"}
    {'xz': True}
    """
    if not test.chars:
        return []
    before, after = train.text.encode(), test.text.encode()
    made = []
    for name, size in compressors().items():
        end, beginning, test_chars = before, after, test.chars
        if name == "bz2":
            end = before[_last_block(before) :]
        elif len(before) + len(after) > READ[name]:
            beginning = after[: READ[name] // 4].decode(errors="ignore").encode()
            end = before[max(0, len(before) + len(beginning) - READ[name]) :]
            test_chars = len(beginning.decode())
        bits = 8 * (size(end + beginning) - size(end)) / test_chars
        train_bytes, note = len(before) if name == "bz2" else len(end), ""
        if test_chars < test.chars or train_bytes < len(before):
            note = f"the first {test_chars / 1e6:.1f} million characters, after the last {train_bytes / 1e6:.1f} MB of training text"
        given = {"train_bytes": train_bytes, "test_chars": test_chars}
        made.append(Baseline(name=name, bits_per_char=bits, note=note, **given))
    return made


def _last_block(data: bytes) -> int:
    """Where the block begins that is open when bzip2 has read the data: all before it is compressed apart.

    A block is full when 900,000 - 19 bytes or more are in it, runs of 4 to 255 equal bytes counting as five (Seward,
    bzip2 1.0.8, compress.c: the first of its run-length codings).
    """
    begin = 0
    while True:
        reach = BLOCK
        while True:  # what runs make shorter needs more bytes
            sizes, ends = _run_lengths(data[begin : begin + reach])
            full = int(np.searchsorted(np.cumsum(sizes), BLOCK))
            if full < len(sizes) - 1 or begin + reach >= len(data):
                break
            reach *= 2
        if full >= len(sizes) - 1:
            return begin
        begin += int(ends[full])


def _run_lengths(data: bytes) -> tuple[np.ndarray, np.ndarray]:
    """(R,), (R,): what each run of up to 255 equal bytes takes in a block, and where it ends."""
    values = np.frombuffer(data, dtype=np.uint8)
    ends = np.append(np.flatnonzero(values[1:] != values[:-1]) + 1, len(values))
    lengths = np.diff(ends, prepend=0)
    if lengths.max(initial=0) > 255:
        pieces = -(-lengths // 255)
        last = np.cumsum(pieces) - 1
        lengths_of_last = lengths - 255 * (pieces - 1)
        lengths = np.full(int(pieces.sum()), 255)
        lengths[last] = lengths_of_last
        ends = np.cumsum(lengths)
    return np.where(lengths < 4, lengths, 5), ends
