"""What compressors pay for the test text once they have read the training text and the held-out text.

A compressor is a language model of sorts, one that goes on learning from what it codes: what a text adds to an archive that
already holds the others is what it pays for it.
"""

from __future__ import annotations

import bz2
import lzma
import os
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
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


# Orders of PPMd of which the held-out text chooses: 6 is its usual one, 16 is better where text repeats itself at length.
ORDERS = (6, 16)
# Bytes of training text, and a quarter of that of held-out text, on which the order is chosen.
CHOICE = 1 << 20


def ppmd_added(before: bytes, after: bytes, order: int = 6) -> int:
    """Bytes by which the coder of PPMd, variant H, moves on while it codes ``after``, having coded ``before`` in the same run.

    Both ends are positions of a range coder (what it holds back is 5 bytes at either), so that the figure is exact but for
    what lies within a byte at each, and nothing that ends an archive is in it.

    >>> ppmd_added(b"ferry " * 100, b"ferry " * 100) < 10
    True
    """
    import pyppmd

    encoder = pyppmd.Ppmd7Encoder(order, 256 << 20)
    encoder.encode(before)
    return len(encoder.encode(after))


def ppmd_order(train: CanonicalText, valid: CanonicalText) -> int:
    """The order of ``ORDERS`` that codes the held-out text into the fewest bytes; the lowest where none is better."""
    before, after = train.text[-CHOICE:].encode(), valid.text[: CHOICE // 4].encode()
    return min(ORDERS, key=lambda order: ppmd_added(before, after, order))


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


# Name -> (what is read before, test text) -> bytes that the test text adds.
COMPRESSORS: dict[str, Callable[[bytes, bytes], int]] = {"bz2": _bz2, "xz": _xz, "ppmd": ppmd_added}
# How many bytes of both texts each is given: a quarter of them for the test text, what that leaves for training.
READ = {"bz2": 8 << 20, "xz": 2 << 20, "ppmd": 4 << 20}


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """What a compressor, which learns as it codes, pays for the test text after the training text and the held-out text.

    name: the program, with its order where it has one. bits_per_char: of the first test_chars characters of the test text,
    after the last train_bytes of the other two. train_bytes: in UTF-8. test_chars: so many. seconds: to code all of that.
    note: what of the texts it was given, where that is not all.
    """

    name: str
    bits_per_char: float
    train_bytes: int | None = None
    test_chars: int | None = None
    seconds: float | None = None
    note: str = ""


def baselines(
    train: CanonicalText,
    valid: CanonicalText | None,
    test: CanonicalText,
    names: Sequence[str] = tuple(COMPRESSORS),
) -> list[Baseline]:
    """Bits a character of the test text given the training text and then the held-out text, by each compressor.

    The texts are UTF-8, one after the other. PPMd, in the order that is best on the held-out text, is measured by where its
    coder stands inside one run. bz2 and xz: (compressed size of all - compressed size without test) in bits over the test's
    characters; sizes are whole bytes, bz2's in blocks: on a short test text the figures are coarse. They are given
    the end of a long training text and the beginning of a long test text (``READ``). bz2 looks back 900 kB at most: what stands
    before its last block changes nothing.

    >>> once = CanonicalText.of(["the ferry waits by the river and " * 200])
    >>> [(b.name, b.bits_per_char < 0.05) for b in baselines(once, once, once, ["xz", "ppmd"])]
    [('xz', True), ('ppmd (order 6)', True)]
    """
    if not test.chars:
        return []
    valid = CanonicalText.of([]) if valid is None else valid
    made = []
    for name in names:
        most = READ[name]
        # No character takes more than four bytes, so that no more of a long text is encoded than is read.
        after = test.text[:most].encode()
        if len(after) > most // 4 and train.bytes + valid.bytes + test.bytes > most:
            after = after[: most // 4].decode(errors="ignore").encode()
        room = most - len(after)
        held_out = valid.text[max(0, valid.chars - room) :]
        before = (train.text[max(0, train.chars - room) :] + held_out).encode()
        before = before[max(0, len(before) - room) :]
        title, added = name, COMPRESSORS[name]
        if name == "ppmd":
            order = ppmd_order(train, valid)
            title, added = f"ppmd (order {order})", partial(ppmd_added, order=order)
        begun = time.perf_counter()
        test_chars = len(after.decode())
        bits, note = 8 * added(before, after) / test_chars, ""
        seconds = round(time.perf_counter() - begun, 3)
        if test_chars < test.chars or len(before) < train.bytes + valid.bytes:
            note = f"the first {test_chars / 1e6:.1f} million characters, after the last {len(before) / 1e6:.1f} MB of what stands before"
        given = {"train_bytes": len(before), "test_chars": test_chars}
        made.append(Baseline(name=title, bits_per_char=bits, seconds=seconds, note=note, **given))
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
