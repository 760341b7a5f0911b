"""What is known of a place in a text before its symbol is foretold: what its contexts hold, and which matches go on there."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lmbench.models.compiled import compiled
from lmbench.models.mixing.bit_contexts import BEGIN, CONTEXTS, NOW, ORDERS, SELECTORS, Place
from lmbench.models.mixing.bit_memory import MATCHES, SETS, Memory
from lmbench.models.mixing.bit_slots import key_of_node, kind_of_run, place_of

u64 = np.uint64
LEAST_MATCH = (5, 9, 16)  # symbols that a match has at least
_LONGEST_LOOK = 64  # symbols that a match is looked back over when it is found


class Desk(NamedTuple):
    """What is worked out for one symbol, and for D decisions of it.

    Of the K contexts: keys (uint64); roots (where their entries are), states (0 new, 1 one symbol, 2 several), symbols (the last), runs, kinds
    (of runs). chosen: (SELECTORS,). numbers: (3,), the longest order that is seen, by one more; the longest match's length, graded; its number,
    -1 for none. Of each decision and context: nodes, there (where its entry is, and whether), history, run (which probabilities were
    asked, -1 for none). match, expected: (D, MATCHES) which probability, and the bit. rows: (D, SETS), second: (D, 2), table: (D, 4), which weights
    and corrections. inputs: (D, W); sums, guesses: (D, SETS + 2) log-odds and probabilities of the sets and of both second mixers, float32.
    offsets, bases: where each set of weights and each table of corrections begins.
    """

    keys: np.ndarray
    roots: np.ndarray
    states: np.ndarray
    symbols: np.ndarray
    runs: np.ndarray
    kinds: np.ndarray
    chosen: np.ndarray
    numbers: np.ndarray
    nodes: np.ndarray
    there: np.ndarray
    history: np.ndarray
    run: np.ndarray
    match: np.ndarray
    expected: np.ndarray
    rows: np.ndarray
    second: np.ndarray
    table: np.ndarray
    inputs: np.ndarray
    sums: np.ndarray
    guesses: np.ndarray
    offsets: np.ndarray
    bases: np.ndarray


@compiled(inline="always")
def empty_desk(decisions: int, width: int, offsets: np.ndarray, bases: np.ndarray) -> Desk:
    """For ways of so many decisions at most, each with ``width`` inputs; offsets, bases: see ``bounds_of``."""
    return Desk(
        np.zeros(CONTEXTS, dtype=np.uint64),
        np.zeros(CONTEXTS, dtype=np.int64),
        np.zeros(CONTEXTS, dtype=np.int64),
        np.zeros(CONTEXTS, dtype=np.int64),
        np.zeros(CONTEXTS, dtype=np.int64),
        np.zeros(CONTEXTS, dtype=np.int64),
        np.zeros(SELECTORS, dtype=np.int64),
        np.zeros(4, dtype=np.int64),
        np.zeros((decisions, CONTEXTS), dtype=np.int64),
        np.zeros((decisions, CONTEXTS), dtype=np.int64),
        np.zeros((decisions, CONTEXTS), dtype=np.int64),
        np.zeros((decisions, CONTEXTS), dtype=np.int64),
        np.zeros((decisions, MATCHES), dtype=np.int64),
        np.zeros((decisions, MATCHES), dtype=np.int64),
        np.zeros((decisions, SETS), dtype=np.int64),
        np.zeros((decisions, 2), dtype=np.int64),
        np.zeros((decisions, 4), dtype=np.int64),
        np.zeros((decisions, width), dtype=np.float32),
        np.zeros((decisions, SETS + 2), dtype=np.float32),
        np.zeros((decisions, SETS + 2), dtype=np.float32),
        offsets,
        bases,
    )


@compiled()
def follow(place: Place, memory: Memory, learns: bool) -> None:
    """Lets the matches go on to the present place, and looks for new ones where they broke."""
    text, now = place.text, place.numbers[NOW]
    ends, sizes, broken = memory.matches[0], memory.matches[1], memory.matches[2]
    mask = u64(memory.heads.shape[1] - 1)
    for q in range(MATCHES):
        if sizes[q] > 0 and text[ends[q]] == text[now - 1]:
            sizes[q] += 1
            ends[q] += 1
        else:
            if sizes[q] > 0:
                broken[q] = 8
            sizes[q] = 0
        least = LEAST_MATCH[q]
        if now - place.numbers[BEGIN] >= least:
            h = u64(q)
            for j in range(least):
                h = h * u64(0x9E3779B97F4A7C15) + u64(text[now - 1 - j] + 1)
            h = (h ^ (h >> u64(31))) * u64(0xD6E8FEB86659FD93)
            slot = np.int64((h >> u64(32)) & mask)
            if sizes[q] == 0:
                candidate, n = memory.heads[q, slot], 0
                while (
                    n < _LONGEST_LOOK
                    and candidate - 1 - n >= 0
                    and text[candidate - 1 - n] == text[now - 1 - n]
                ):
                    n += 1
                if candidate > 0 and n >= least:
                    sizes[q], ends[q] = n, candidate
            if learns:
                memory.heads[q, slot] = now
        if broken[q] > 0:
            broken[q] -= 1


@compiled()
def gather(place: Place, memory: Memory, desk: Desk) -> None:
    """What is known of the contexts of the next symbol."""
    now, depth = place.numbers[NOW], 0
    for k in range(CONTEXTS):
        i, there = place_of(memory.roots, desk.keys[k], 16, 0x3FF)
        desk.roots[k] = i
        desk.states[k] = 0
        if there:
            entry = memory.roots[i]
            several = np.int64(entry >> u64(25)) & 1
            run = np.int64(entry >> u64(16)) & 511
            desk.states[k], desk.symbols[k], desk.runs[k] = 1 + several, np.int64(entry & u64(0xFFFF)), run
            age = (now - (np.int64(entry >> u64(26)) & 0x3FFFF)) & 0x3FFFF
            desk.kinds[k] = kind_of_run(run, age, several)
            if k < ORDERS:
                depth = k + 1
    longest = -1
    for q in range(MATCHES):
        if memory.matches[1, q] > 0:
            longest = q
    length = 0
    if longest >= 0:
        n = memory.matches[1, longest]
        far = 11 if n < 24 else (12 if n < 32 else (13 if n < 64 else (14 if n < 200 else 15)))
        length = max(1, n - 4) if n < 16 else 1 + min(far, 14)
    desk.numbers[0], desk.numbers[1], desk.numbers[2] = depth, length, longest


@compiled()
def touch(first: int, end: int, decisions: np.ndarray, memory: Memory, desk: Desk) -> None:
    """Reads where the nodes of some decisions would be, so that they are at hand: many at a time arrive in the time of one."""
    last, seen = u64(len(memory.nodes) - 1), u64(0)
    for i in range(first, end):
        for k in range(CONTEXTS):
            if desk.states[k] == 2:
                seen ^= memory.nodes[np.int64(key_of_node(desk.keys[k], decisions[i]) & last)]
    desk.numbers[3] = np.int64(seen >> u64(1))
