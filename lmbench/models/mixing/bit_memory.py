"""What context mixing in bits has learnt: tables of contexts, maps from what they hold to probabilities, weights, corrections."""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np

from lmbench.models.mixing.bit_contexts import CONTEXTS, ORDERS
from lmbench.models.mixing.bit_slots import RUN_KINDS, first_guesses
from lmbench.models.mixing.decisions import KINDS

INPUTS = 4  # of each context
MATCHES = 3
GRADES = 16  # of matches' lengths, by which weights are chosen
OWN = INPUTS * CONTEXTS + 2 * MATCHES + 1  # inputs of a decision, before those that other models give
SETS = 10
FARTHEST = 12.0  # log-odds
BUCKETS = 33  # of log-odds, in the tables of the last correction


class Memory(NamedTuple):
    """What has been learnt, written in place.

    roots, nodes: (2^m,) uint64 (see ``bit_slots``). heads: (MATCHES, 2^h) int32, where each hash of last symbols came latest. matches:
    (3, MATCHES) int64, of the present matches: where they go on, their lengths, and steps since one broke. histories: (CONTEXTS, HISTORIES, 2),
    runs: (CONTEXTS, RUN_KINDS, 2), lengths: (MATCHES, 64, 2), corrections: (C, 2), probabilities and how often met; weights: (W, width);
    second: (S, SETS); all float32. seen: (1,) int64, symbols from which the weights have learnt.
    """

    roots: np.ndarray
    nodes: np.ndarray
    heads: np.ndarray
    matches: np.ndarray
    histories: np.ndarray
    runs: np.ndarray
    lengths: np.ndarray
    corrections: np.ndarray
    weights: np.ndarray
    second: np.ndarray
    seen: np.ndarray


def set_sizes(vocab_size: int) -> np.ndarray:
    """(SETS,) how many choices each set of weights has."""
    sizes = [GRADES * 3, vocab_size, vocab_size + 1, 8 * KINDS, 16 * (ORDERS + 1)]
    sizes += [25, 4 * (KINDS + 1), 16 * KINDS, KINDS**3, vocab_size + 1]
    return np.array(sizes, dtype=np.int64)


def correction_sizes(vocab_size: int) -> np.ndarray:
    """(4,) contexts of each table of corrections: the decision, with the last symbol, with the last two (hashed), the match."""
    wide = int(np.ceil(np.log2(vocab_size + 1)))
    return np.array([vocab_size, 1 << min(14, 2 * wide), 1 << min(16, 3 * wide), GRADES * 3 * 16])


def width_with(others: int) -> int:
    """Inputs of a decision with those of so many other models, in whole vectors of a processor."""
    return (OWN + others + 15) // 16 * 16


@functools.lru_cache(maxsize=8)
def bounds_of(vocab_size: int) -> tuple[np.ndarray, np.ndarray]:
    """(SETS + 1,) where each set of weights begins and the last ends, and (5,) the same of the tables of corrections."""
    first, second = (np.cumsum(sizes(vocab_size)) for sizes in (set_sizes, correction_sizes))
    return np.append(0, first), np.append(0, second)


def empty_memory(vocab_size: int, tokens: int, others: int = 0) -> Memory:
    """One that knows nothing, with room for a text of so many tokens."""
    slots = 1 << max(10, int(np.ceil(np.log2(32 * max(tokens, 1)))))
    heads = 1 << max(8, int(np.ceil(np.log2(2 * max(tokens, 1)))))

    def pairs(probability: np.ndarray) -> np.ndarray:
        return np.stack([probability, np.zeros_like(probability)], axis=-1).astype(np.float32)

    odds = np.linspace(-FARTHEST, FARTHEST, BUCKETS)
    corrections = np.tile(1 / (1 + np.exp(-odds)), int(correction_sizes(vocab_size).sum()))
    return Memory(
        np.zeros(slots, dtype=np.uint64),
        np.zeros(slots, dtype=np.uint64),
        np.zeros((MATCHES, heads), dtype=np.int32),
        np.zeros((3, MATCHES), dtype=np.int64),
        pairs(np.tile(first_guesses(), (CONTEXTS, 1))),
        pairs(np.full((CONTEXTS, RUN_KINDS), 0.9)),
        pairs(np.full((MATCHES, 64), 0.9)),
        pairs(corrections),
        np.full((set_sizes(vocab_size).sum(), width_with(others)), 0.02, dtype=np.float32),
        np.full((vocab_size + GRADES * 3, SETS), 1 / SETS, dtype=np.float32),
        np.zeros(1, dtype=np.int64),
    )
