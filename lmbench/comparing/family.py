"""p-values corrected for the number of comparisons, by what the comparisons have in common."""

from __future__ import annotations

import numpy as np

DRAWS, FEWER_DRAWS, MANY_PAIRS = 4999, 1999, 1000
BATCH = 1 << 20  # numbers at a time


def step_down(
    p_values: np.ndarray, residuals: np.ndarray, pairs: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, float]:
    """Step-down max-|t| over pairs of models (Romano & Wolf 2005): adjusted p (P,), and the level of a single test.

    p_values: (P,) of the pairs. residuals: (K, M), of each model in each cell. pairs: (P, 2) models. All pairs share
    draws of Gaussian multipliers of the cells, so that what they have in common (one text, one model) is not paid for twice; the
    adjusted p of a pair is the chance that the largest of the remaining statistics is as large as its own, on the normal
    scale. Where no draw is as large, Bonferroni's bound for the remaining pairs. The level is the p-value that the
    largest statistic of all pairs falls below in 5% of the draws.

    (The family-wise error rate is held under any truth, since the step-down is by free quantiles; the draws
    take the pairs' errors for jointly normal.)
    """
    from scipy.special import ndtr, ndtri

    count = len(p_values)
    draws = DRAWS if count <= MANY_PAIRS else FEWER_DRAWS
    sums = residuals.T @ rng.standard_normal((len(residuals), draws))  # (M, draws)
    heights = -ndtri(np.clip(p_values, 1e-300, 1.0) / 2)
    order = np.argsort(p_values, kind="stable")
    adjusted = np.empty(count)
    largest = np.zeros(draws)
    step = max(1, BATCH // draws)
    for stop in range(count, 0, -step):
        mine = order[max(0, stop - step) : stop][::-1]  # the least significant first
        a, b = pairs[mine].T
        spread = np.linalg.norm(residuals[:, a] - residuals[:, b], axis=0)
        scale = np.divide(1.0, spread, out=np.zeros_like(spread), where=spread > 0)
        statistics = np.abs(sums[a] - sums[b]) * scale[:, None]
        statistics[0] = np.maximum(statistics[0], largest)
        running = np.maximum.accumulate(statistics, axis=0)
        largest = running[-1].copy()
        exceeding = (running >= heights[mine][:, None]).sum(axis=1)
        remaining = count - (stop - 1 - np.arange(len(mine)))
        drawn = (exceeding + 1) / (draws + 1)
        adjusted[mine] = np.where(exceeding > 0, drawn, np.minimum(drawn, p_values[mine] * remaining))
    stepped = np.maximum.accumulate(np.maximum(adjusted[order], p_values[order]))
    adjusted[order] = np.minimum(stepped, 1.0)
    level = float(2 * ndtr(-np.quantile(largest, 0.95))) if count > 1 else 0.05
    return adjusted, min(level, 0.05)


def holm(p_values: np.ndarray) -> np.ndarray:
    """Holm's (1979) step-down adjustment (P,): (m - i) p of the i-th smallest, made monotone, at most 1.

    For comparisons that have no draws in common: pairs on different texts.
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(stepped, 1)
    return adjusted
