"""How the vocabulary grows with the text (Heaps), observed and expected."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from lmbench.errors import InputError
from lmbench.zipf.counting import spectrum


@dataclass(frozen=True)
class Growth:
    """Types V among the first n tokens. n: (P,) int64; observed: (P,) int64; expected, deviation: (P,) float64.

    expected: the mean over random orders of the same tokens, V − Σ_m V_m C(N − m, n) / C(N, n) with V_m types seen
    m times among all N; deviation: the standard deviation over these orders. It says how far the text's own order may
    stray by chance, and nothing of another text: what stands n tokens into that one varies more.
    beta, k: V ≈ k n^beta by least squares on the log-log points. missing_mass: V_1/N, the probability that
    the next token is new (Good–Turing).
    """

    n: np.ndarray
    observed: np.ndarray
    expected: np.ndarray
    deviation: np.ndarray
    beta: float
    k: float
    missing_mass: float


def vocabulary_growth(ids: np.ndarray, points: int = 60) -> Growth:
    """Heaps' curve of a sequence of token ids (T,), at up to ``points`` lengths even in ln n, T ≥ 2.

    Raises InputError for fewer tokens.

    >>> growth = vocabulary_growth(np.array([0, 1, 0, 2]))
    >>> growth.n.tolist(), growth.observed.tolist(), growth.expected.round(2).tolist()
    ([1, 2, 3, 4], [1, 2, 2, 3], [1.0, 1.83, 2.5, 3.0])
    """
    from scipy.special import gammaln

    total = len(ids)
    if total < 2:
        raise InputError(f"the text has {total} tokens; the growth of a vocabulary needs at least 2")
    _, first, counts = np.unique(ids, return_index=True, return_counts=True)
    n = np.unique(np.geomspace(1, total, points).round().astype(np.int64))
    observed = np.searchsorted(np.sort(first), n)
    values, types = spectrum(counts)
    # P(a type of count m is not among n) = C(N − m, n) / C(N, n) = (N − m)! (N − n)! / (N! (N − m − n)!)
    ways = gammaln(total - values + 1) - gammaln(total + 1)
    left = np.maximum(total - values - n[:, None], -0.5)
    unseen = np.exp(ways + gammaln(total - n[:, None] + 1) - gammaln(left + 1)) * (left >= 0)
    # Were each token taken by itself with probability n / N, types would come independently of one another. Given that
    # exactly n are taken, what goes along with their number is known: variance less covariance² / variance of the number.
    share = n / total
    along = share * (unseen @ (types * values))
    of_number = np.maximum(total * share * (1 - share), 1e-300)
    variance = (unseen * (1 - unseen)) @ types - along**2 / of_number * (share < 1)
    beta, log_k = np.polyfit(np.log(n), np.log(observed), 1)
    return Growth(
        n,
        observed,
        len(counts) - unseen @ types,
        np.sqrt(np.maximum(variance, 0)) * (n > 1),
        float(beta),
        math.exp(log_k),
        int((counts == 1).sum()) / total,
    )
