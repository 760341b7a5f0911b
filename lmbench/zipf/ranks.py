"""The rank-frequency curve in few numbers: sums over millions of ranks at a few thousand points.

A text of a hundred million words has tens of millions of 3-grams, all but a few of them rare. Within a run of ranks
with one count, every sum that a fit takes is over a smooth function of the rank; it is replaced by a weighted sum at
NODES points for each 2^k ranks, exact for polynomials of degree below NODES.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from numpy.polynomial import chebyshev

NODES = 12
LEAST, MOST = 16, 2**14  # ranks that stand for themselves, up to the first; ranks that share nodes, at most


@dataclass(frozen=True)
class RankCurve:
    """ranks, counts, weights: (P,) float64; Σ_r f(r, n_r) over all ranks is Σ weights · f(ranks, counts). types: K."""

    ranks: np.ndarray
    counts: np.ndarray
    weights: np.ndarray
    types: int

    @classmethod
    def of(cls, counts: np.ndarray) -> RankCurve:
        """counts: (K,) by rank, in any order (zeros too): runs of equal ones are what is taken together."""
        begins = np.append(0, np.flatnonzero(np.diff(counts)) + 1)
        return cls.of_runs(counts[begins], np.diff(begins, append=len(counts)))

    @classmethod
    def of_runs(cls, counts: np.ndarray, lengths: np.ndarray) -> RankCurve:
        """counts: (R,) of runs of ranks, from rank 1; lengths: (R,) of the runs.

        For f analytic beyond rank 0, as ln r and (r + b)^-α with b > −1 are, the relative error is below 1e-11: a run
        of L ranks is cut so that each piece begins beyond its own length, whence a factor of 9.9 a node (Trefethen,
        Approximation Theory and Approximation Practice, theorem 8.2).
        """
        begins = np.cumsum(lengths) - lengths
        ranks, values, weights = [], [], []
        single = lengths <= LEAST
        inside = np.arange(lengths[single].sum()) - np.repeat(
            np.cumsum(lengths[single]) - lengths[single], lengths[single]
        )
        ranks.append(np.repeat(begins[single], lengths[single]) + inside + 1.0)
        values.append(np.repeat(counts[single], lengths[single]))
        weights.append(np.ones(len(inside)))
        long = zip(begins[~single].tolist(), lengths[~single].tolist(), counts[~single].tolist(), strict=True)
        for begin, length, count in long:
            for start, size in _pieces(begin, length):
                places, shares = _rule(size)
                ranks.append(start + 1.0 + places)
                weights.append(shares)
                values.append(np.full(len(places), count))
        place = np.concatenate(ranks)
        order = np.argsort(place)
        return cls(
            place[order],
            np.concatenate(values)[order].astype(float),
            np.concatenate(weights)[order],
            int(lengths.sum()),
        )


def _pieces(begin: int, length: int) -> list[tuple[int, int]]:
    """(first, 2^k ranks) that fill a run, none longer than what stands before it (or LEAST)."""
    pieces = []
    while length:
        size = min(MOST, max(LEAST, begin // 2), length)
        size = 1 << (size.bit_length() - 1)
        pieces.append((begin, size))
        begin, length = begin + size, length - size
    return pieces


@functools.cache
def _rule(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Places within 0..size-1 and weights whose weighted sum is the sum over all of 0..size-1."""
    if size <= LEAST:
        return np.arange(float(size)), np.ones(size)
    nodes = chebyshev.chebpts1(NODES)
    scaled = (2 * np.arange(size) + 1) / size - 1
    sums = chebyshev.chebvander(scaled, NODES - 1).sum(axis=0)
    weights = np.linalg.solve(chebyshev.chebvander(nodes, NODES - 1).T, sums)
    return (nodes + 1) * size / 2 - 0.5, weights
