"""Zipf's law in a text: n-gram counts, the rank-frequency curve, four fits of it, and the vocabulary's growth.

The least-squares line on log-log axes is what people draw. It is biased: ranks and counts come from one
sample, and the many types seen once weigh as much as the few that carry the text. The likelihood fits stand beside it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from lmbench.errors import InputError
from lmbench.zipf.power_law import PowerLaw, fit_power_law, spectrum

# Counts --------------------------------------------------------------------------------------------


def ngram_counts(
    ids: np.ndarray,
    starts: np.ndarray | None = None,
    orders: Sequence[int] = (1, 2, 3),
    skip: Sequence[int] = (),
) -> dict[int, np.ndarray]:
    """For each order, the counts of the n-grams that occur: (K,) int64, falling.

    ids: (T,) int ≥ 0. starts: (D,) offsets of documents, which n-grams do not cross (default: one document).
    skip: ids left out before n-grams are formed (line feeds, say, in a count of words).
    """
    ids = np.asarray(ids, dtype=np.int64)
    document = np.zeros(len(ids), dtype=np.int64)
    if starts is not None:
        document = np.searchsorted(starts, np.arange(len(ids)), side="right")
    keep = ~np.isin(ids, skip)
    ids, document = ids[keep], document[keep]
    size = int(ids.max(initial=0)) + 1
    counts = {}
    code = ids
    for order in range(1, max(orders, default=0) + 1):
        if order > 1:
            code = code[:-1] * size + ids[order - 1 :]
        whole = document[order - 1 :] == document[: len(document) - order + 1]
        distinct, code = np.unique(code, return_inverse=True)
        if order in orders:
            seen = np.bincount(code[whole], minlength=len(distinct))
            counts[order] = np.sort(seen[seen > 0])[::-1].astype(np.int64)
        if not len(code):
            counts.update({k: np.zeros(0, dtype=np.int64) for k in orders if k > order})
            break
    return counts


# Fits ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class LeastSquares:
    """ln n_r = c − α ln r by least squares over all ranks. se: of α, as if the points were independent (they are not)."""

    alpha: float
    se: float
    c: float
    r2: float


@dataclass(frozen=True)
class RankLikelihood:
    """p(r) ∝ (r + b)^-α over the K ranks that occur, by maximum likelihood; b = 0 in Zipf's own law.

    se, b_se: from the Fisher information, taking the ranks as known. c: expected counts are exp(c) (r + b)^-α.
    log_likelihood: nats.
    """

    alpha: float
    se: float
    b: float
    b_se: float
    c: float
    log_likelihood: float


@dataclass(frozen=True)
class ZipfFit:
    """What Zipf's law says of one table of counts. Numbers that the counts cannot give are nan, and notes say why."""

    tokens: int
    types: int
    hapaxes: int
    ols: LeastSquares
    rank_mle: RankLikelihood
    zipf_mandelbrot: RankLikelihood
    frequency_mle: PowerLaw
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """For JSON: nested dicts, None for nan."""
        plain: dict[str, Any] = _without_nan(asdict(self))
        for key in ("b", "b_se"):
            del plain["rank_mle"][key]
        return plain


def fit_zipf(counts: Mapping[Any, int] | Sequence[int] | np.ndarray) -> ZipfFit:
    """Fits Zipf's law to counts of types: (K,) positive integers in any order, or a Counter.

    Raises InputError where there are none, or where one is not a positive integer.
    """
    counts = falling_counts(counts)
    notes = []
    types, tokens = len(counts), int(counts.sum())
    if types < 2 or counts[0] == counts[-1]:
        notes.append(f"{types} types with one distinct count: too few to fit a slope")
    power = fit_power_law(*spectrum(counts))
    if power.xmin is None:
        notes.append("no tail of 50 types with two distinct counts: no power law of frequencies")
    mandelbrot = _fit_ranks(counts, shifted=True)
    if math.isnan(mandelbrot.b_se):
        notes.append("Zipf–Mandelbrot's b is not determined by these counts")
    return ZipfFit(
        tokens,
        types,
        int((counts == 1).sum()),
        _least_squares(counts),
        _fit_ranks(counts, shifted=False),
        mandelbrot,
        power,
        tuple(notes),
    )


def falling_counts(counts: Mapping[Any, int] | Sequence[int] | np.ndarray) -> np.ndarray:
    """(K,) int64, falling: the rank-frequency curve. Raises InputError for no counts or ones that are not ≥ 1."""
    given = np.asarray(list(counts.values()) if isinstance(counts, Mapping) else counts)
    if given.ndim != 1 or not len(given):
        raise InputError("no counts to fit Zipf's law to; give a text with at least one token")
    whole = given.astype(np.int64)
    if (whole != given).any() or whole.min() < 1:
        bad = given[(whole != given) | (whole < 1)][0]
        raise InputError(f"a count of {bad} cannot be: counts are whole numbers from 1 up")
    return np.sort(whole)[::-1]


def _least_squares(counts: np.ndarray) -> LeastSquares:
    if len(counts) < 3:
        return LeastSquares(math.nan, math.nan, math.nan, math.nan)
    x, y = np.log(np.arange(1, len(counts) + 1)), np.log(counts)
    dx, dy = x - x.mean(), y - y.mean()
    slope = float(dx @ dy / (dx @ dx))
    residual, total = float(((dy - slope * dx) ** 2).sum()), float(dy @ dy)
    se = math.sqrt(residual / (len(x) - 2) / float(dx @ dx))
    return LeastSquares(
        -slope, se, float(y.mean() - slope * x.mean()), 1 - residual / total if total else math.nan
    )


def _fit_ranks(counts: np.ndarray, shifted: bool) -> RankLikelihood:
    """Fisher scoring in α and, if shifted, in ln(1 + b), each step halved until the likelihood grows."""
    tokens, below = int(counts.sum()), np.arange(len(counts), dtype=float)
    distinct = min(len(counts), len(np.unique(counts)) + 1)
    if len(counts) < (3 if shifted else 2) or (shifted and distinct < 3):
        return RankLikelihood(*[math.nan] * 6)

    def likelihood(theta: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        logs = np.log(below + math.exp(theta[1]))
        p = np.exp(-theta[0] * (logs - logs[0]))
        norm = p.sum()
        value = -float(theta[0]) * float(counts @ (logs - logs[0])) - tokens * math.log(float(norm))
        return value, p / norm, logs

    theta = np.array([1.0, 1.0 if shifted else 0.0])
    value, p, logs = likelihood(theta)
    for _ in range(200):
        statistics = np.stack([-logs, -theta[0] * np.exp(theta[1] - logs)][: 1 + shifted])
        mean = statistics @ p
        gradient = statistics @ counts - tokens * mean
        information = tokens * ((statistics * p) @ statistics.T - np.outer(mean, mean))
        step = np.linalg.pinv(information, rcond=1e-13, hermitian=True) @ gradient
        if gradient @ step < 1e-10:
            break
        step = np.append(step, np.zeros(2 - len(step)))
        step *= min(1.0, 3 / np.abs(step).max())
        while True:
            trial = np.clip(theta + step, (0.0, -7.0), (1e3, 16.0))
            new, new_p, new_logs = likelihood(trial)
            if new > value or np.abs(step).max() < 1e-12:
                break
            step /= 2
        if new <= value:
            break
        theta, value, p, logs = trial, new, new_p, new_logs
    shift = math.exp(theta[1])
    first = -float(theta[0] * logs[0])  # ln of the unnormalised p(1), taken out so that nothing underflows
    c = math.log(tokens) - first - math.log(float(np.exp(-theta[0] * logs - first).sum()))
    log_likelihood = float(counts @ (c - theta[0] * logs)) - tokens * math.log(tokens)
    errors = np.full(2, math.nan)
    if not shifted:
        errors[:] = 1 / math.sqrt(information[0, 0]), 0.0
    elif -7 < theta[1] < 16 and np.linalg.cond(information) < 1e12:
        errors = np.sqrt(np.diag(np.linalg.inv(information))) * (1.0, shift)
    return RankLikelihood(float(theta[0]), float(errors[0]), shift - 1, float(errors[1]), c, log_likelihood)


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(v) for key, v in value.items()}
    if isinstance(value, tuple):
        return [_without_nan(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


# Split halves (Piantadosi 2014) --------------------------------------------------------------------


def split_half(counts: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(L,) int64: counts in one random half of the tokens, by rank in the other half; zeros occur.

    Each token falls into either half with probability 1/2, so that a type's rank and its count have independent
    errors (S. Piantadosi, "Zipf's word frequency law in natural language", 2014). Only the L ≤ K types that
    the ranking half holds have a rank; ties are ordered at random.
    """
    first = rng.binomial(counts, 0.5)
    order = np.lexsort((rng.random(len(counts)), -first))[: np.count_nonzero(first)]
    return np.asarray((counts - first)[order])


def fit_split_half(counts: np.ndarray, rng: np.random.Generator, splits: int = 20) -> tuple[float, float]:
    """Mean and standard deviation, over random splits, of α by rank likelihood with ranks from the other half."""
    alphas = [_fit_ranks(split_half(counts, rng), shifted=False).alpha for _ in range(splits)]
    return float(np.mean(alphas)), float(np.std(alphas, ddof=1))


# The vocabulary's growth (Heaps) -------------------------------------------------------------------


# Charts --------------------------------------------------------------------------------------------
