"""What programs that everyone has pay for the test text once they have read the training text.

A compressor is a language model of sorts: what a text adds to the size of an archive that already holds the training
text is what it pays for it.
"""

from __future__ import annotations

import bz2
import lzma
import os
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from lmbench.text.canonical import CanonicalText

BLOCK = 900_000 - 19  # bytes of a block of bzip2 at its largest


def _bz2(before: bytes, after: bytes) -> int:
    return _added(lambda _: bz2.BZ2Compressor(9), before[_last_block(before) :], after)


def _xz(before: bytes, after: bytes) -> int:
    def compressor(size: int) -> lzma.LZMACompressor:
        filters = [{"id": lzma.FILTER_LZMA2, "preset": 9, "dict_size": min(max(1 << 20, size), 1 << 30)}]
        return lzma.LZMACompressor(lzma.FORMAT_RAW, filters=filters)

    return _added(compressor, before, after)


def _ppmd(before: bytes, after: bytes) -> int:
    """PPMd variant H of order 6, as the 7-Zip program has it."""
    import pyppmd

    encoder = pyppmd.Ppmd7Encoder(6, 256 << 20)
    encoder.encode(before)
    # What it holds back is 5 bytes, after either text.
    return len(encoder.encode(after))


class _Compressor(Protocol):
    def compress(self, data: bytes, /) -> bytes: ...

    def flush(self) -> bytes: ...


def _added(compressor: Callable[[int], _Compressor], before: bytes, after: bytes) -> int:
    """Bytes that ``after`` adds to the compressed ``before``, which is read once where processes can be forked.

    compressor: a new one for so many bytes. The library cannot copy one; a forked process is a copy, which ends the archive and says its size.
    """
    made = compressor(len(before) + len(after))
    made.compress(before)
    rest = _size_of_rest(made)
    if rest is None:
        alone = compressor(len(before) + len(after))
        alone.compress(before)
        rest = len(alone.flush())
    return len(made.compress(after)) + len(made.flush()) - rest


def _size_of_rest(compressor: _Compressor) -> int | None:
    """How many bytes would end the archive now; None where no process can be forked."""
    if not hasattr(os, "fork"):
        return None
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        # Python 3.12 warns of locks that other threads may hold; the copy asks for none.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if not child:
        try:
            os.write(writing, len(compressor.flush()).to_bytes(8, "little"))
        finally:
            os._exit(0)
    os.close(writing)
    with open(reading, "rb") as answer:
        size = answer.read()
    os.waitpid(child, 0)
    return int.from_bytes(size, "little") if len(size) == 8 else None


# Name -> (training text, test text) -> bytes that the test text adds.
COMPRESSORS: dict[str, Callable[[bytes, bytes], int]] = {"bz2": _bz2, "xz": _xz, "ppmd": _ppmd}
# How many bytes of both texts each is given: a quarter of them for the test text, what that leaves for training.
READ = {"bz2": 16 << 20, "xz": 4 << 20, "ppmd": 8 << 20}


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


def baselines(
    train: CanonicalText, test: CanonicalText, names: Sequence[str] = tuple(COMPRESSORS)
) -> list[Baseline]:
    """Bits a character of the test text given the training text, by each compressor.

    (compressed size of train and test - compressed size of train) in bits over the test's characters; the texts are UTF-8,
    one after the other. Sizes are whole bytes, bz2's in blocks: on a short test text the figures are coarse. They are given
    the end of a long training text and the beginning of a long test text (``READ``). bz2 looks back 900 kB at most: what stands
    before its last block of training text changes nothing.

    >>> once = CanonicalText.of(["the ferry waits by the river and " * 200])
    >>> [(b.name, b.bits_per_char < 0.05) for b in baselines(once, once, ["xz", "ppmd"])]
    [('xz', True), ('ppmd', True)]
    """
    if not test.chars:
        return []
    made = []
    for name in names:
        most = READ[name]
        # No character takes more than four bytes, so that no more of a long text is encoded than is read.
        after = test.text[:most].encode()
        if len(after) > most // 4 and train.bytes + test.bytes > most:
            after = after[: most // 4].decode(errors="ignore").encode()
        room = most - len(after)
        before = train.text[max(0, train.chars - room) :].encode()
        before = before[max(0, len(before) - room) :]
        test_chars = len(after.decode())
        bits, note = 8 * COMPRESSORS[name](before, after) / test_chars, ""
        if test_chars < test.chars or len(before) < train.bytes:
            note = f"the first {test_chars / 1e6:.1f} million characters, after the last {len(before) / 1e6:.1f} MB of training text"
        given = {"train_bytes": len(before), "test_chars": test_chars}
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
