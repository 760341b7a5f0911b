"""What is kept of a context: which symbol came last, and, once several have come, a history of bits for each decision.

All in tables of 64-bit entries that are found by a hash. A context after which one symbol alone has come has one entry, its root:

    root: check 20 bits | when 18 | more than one symbol 1 | run 9 | last symbol 16
    node: check 20 bits | probability of a 1 22 | how often met, to 63 6 | history 16
    history: zeros 6 bits | ones 6 | the last four bits 4

A bit history forgets: a 1 takes from many zeros (Mahoney 2005, PAQ8's nonstationary states, has the idea; numbers and form are others).
"""

from __future__ import annotations

import numpy as np

from lmbench.models.compiled import compiled

u64 = np.uint64
PROBES = 8
HISTORIES = 8 * 8 * 16
RUN_KINDS = 8 * 8 * 2
LIMIT = 60.0  # a node's probability moves by one part in so many at least
_REPRESENTATIVES = (0, 1, 2, 3, 4, 6, 11, 24)  # counts that are told apart


def _sure() -> np.ndarray:
    """(64,) float32: the probability of a bit that has come n times and no other."""
    sure, p = np.zeros(64, dtype=np.float32), 0.5
    for n in range(64):
        sure[n] = p
        p += (1 - p) / min(n + 1.5, LIMIT)
    return sure


SURE = _sure()


def first_guesses() -> np.ndarray:
    """(HISTORIES,) float32: the probability of a 1 after each history, before anything has been learnt of histories."""
    guesses = np.empty((8, 8, 16), dtype=np.float32)
    for zeros, n0 in enumerate(_REPRESENTATIVES):
        for ones, n1 in enumerate(_REPRESENTATIVES):
            guesses[zeros, ones] = (n1 + 0.4) / (n0 + n1 + 0.8)
    return guesses.reshape(-1)


@compiled(inline="always")
def _eighth(n: int) -> int:
    return n if n < 5 else (5 if n < 8 else (6 if n < 16 else 7))


@compiled(inline="always")
def kind_of_history(history: int) -> int:
    """0 to HISTORIES - 1: both counts, by eight steps each, and the last four bits."""
    return (_eighth((history >> 10) & 63) * 8 + _eighth((history >> 4) & 63)) * 16 + (history & 15)


@compiled(inline="always")
def history_after(history: int, bit: int) -> int:
    """The history when one more bit has come."""
    zeros, ones, last = (history >> 10) & 63, (history >> 4) & 63, history & 15
    if bit:
        ones = min(ones + 1, 63)
        if zeros > 2:
            zeros = 2 + ((zeros - 2) >> 1) if zeros < 12 else 6
    else:
        zeros = min(zeros + 1, 63)
        if ones > 2:
            ones = 2 + ((ones - 2) >> 1) if ones < 12 else 6
    return (zeros << 10) | (ones << 4) | (((last << 1) | bit) & 15)


@compiled(inline="always")
def history_of_run(n: int, bit: int) -> int:
    """The history of n bits that were all the same."""
    n = min(n, 63)
    if bit:
        return (n << 4) | (15 if n >= 4 else (1 << n) - 1)
    return n << 10


@compiled(inline="always")
def kind_of_run(run: int, age: int, several: int) -> int:
    """0 to RUN_KINDS - 1: how often the last symbol came in a row, how long ago, and whether others have come."""
    length = run - 1 if run < 4 else (3 if run < 6 else (4 if run < 10 else (5 if run < 20 else 6)))
    if run >= 60:
        length = 7
    far, step = 0, 16
    while far < 7 and age >= step:
        far, step = far + 1, step * 5
    return (length * 8 + far) * 2 + several


@compiled(inline="always")
def place_of(table: np.ndarray, key: np.uint64, shift: int, mask: int) -> tuple[np.int64, bool]:
    """Where the key's entry is, and that there is one; or where to lay it: in an empty place, or that of the least important.

    How important an entry is stands in its bits from ``shift`` on, under the mask.
    """
    check = key >> u64(44)
    base = np.int64(key & u64(len(table) - 1))
    worst, least = base, np.int64(1 << 60)
    for j in range(PROBES):
        i = base ^ j
        entry = table[i]
        if entry == u64(0):
            return i, False
        if entry >> u64(44) == check:
            return i, True
        importance = np.int64(entry >> u64(shift)) & mask
        if importance < least:
            worst, least = i, importance
    return worst, False


@compiled(inline="always")
def key_of_node(key: np.uint64, decision: int) -> np.uint64:
    """A hash of a context's hash and a decision."""
    x = (key ^ (u64(decision + 1) * u64(0x9E3779B97F4A7C15))) * u64(0xD6E8FEB86659FD93)
    return x ^ (x >> u64(32))


@compiled(inline="always")
def root_entry(key: np.uint64, when: int, several: int, run: int, symbol: int) -> np.uint64:
    """The entry of a context (see above). several: 0 or 1. run: of more than 511, 511 are kept; symbol: below 2^16."""
    check = (key >> u64(44)) << u64(44)
    numbers = (u64(when & 0x3FFFF) << u64(26)) | (u64(several) << u64(25)) | (u64(min(run, 511)) << u64(16))
    return check | numbers | u64(symbol)


@compiled(inline="always")
def node_of_run(key: np.uint64, run: int, bit: int) -> np.uint64:
    """The entry of a decision that has turned out the same so many times."""
    p = SURE[min(run, 63)]
    if not bit:
        p = np.float32(1) - p
    numbers = (u64(p * np.float32(4194303)) << u64(22)) | (u64(min(run, 63)) << u64(16))
    return ((key >> u64(44)) << u64(44)) | numbers | u64(history_of_run(run, bit))


@compiled(inline="always")
def probability(entry: np.uint64) -> np.float32:
    """Of a 1, that a node's entry holds, 0 ≤ p < 1."""
    return np.float32(np.int64(entry >> u64(22)) & 0x3FFFFF) * np.float32(1 / 4194304)


@compiled(inline="always")
def learn_bit(nodes: np.ndarray, place: int, there: bool, key: np.uint64, bit: int) -> None:
    """A node's entry when one more bit has come, laid where there was none."""
    p, n, history = 2097152.0, np.int64(0), np.int64(0)
    if there:
        entry = nodes[place]
        p = np.float64(np.int64(entry >> u64(22)) & 0x3FFFFF)
        n, history = np.int64(entry >> u64(16)) & 63, np.int64(entry & u64(0xFFFF))
    p += ((4194303.0 if bit else 0.0) - p) / min(n + 1.5, LIMIT)
    numbers = (u64(np.int64(p)) << u64(22)) | (u64(min(n, np.int64(62)) + 1) << u64(16))
    nodes[place] = ((key >> u64(44)) << u64(44)) | numbers | u64(history_after(history, bit))
