"""Fits of the rank-frequency curve of a table of counts.

The least-squares line on log-log axes is what people draw. It is biased: ranks and counts come from one
sample, and the many types seen once weigh as much as the few that carry the text. The likelihood fits stand beside it.
Neither has a standard error that means anything for other text: the ranks were read off the same counts, the exponent
moves with the length of the text, and words come in bursts. ``lengths.py`` measures instead how it varies.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lmbench.charts.card import Card
from lmbench.storage.plain import plain
from lmbench.zipf.counting import Spectrum, falling_counts, spectrum
from lmbench.zipf.power_law import PowerLaw, fit_power_law
from lmbench.zipf.ranks import RankCurve


@dataclass(frozen=True)
class LeastSquares:
    """ln n_r = c − α ln r by least squares over all ranks. r2: share of the variance of ln n_r that the line explains."""

    alpha: float
    c: float
    r2: float


@dataclass(frozen=True)
class RankLikelihood:
    """p(r) ∝ (r + b)^-α over the K ranks that occur, by maximum likelihood; b = 0 in Zipf's own law.

    se_given_ranks, b_se_given_ranks: from the Fisher information, as if the true ranks were known beforehand and the
    tokens independent: no error for another text. c: expected counts are exp(c) (r + b)^-α. log_likelihood: nats.
    """

    alpha: float
    se_given_ranks: float
    b: float
    b_se_given_ranks: float
    c: float
    log_likelihood: float


@dataclass(frozen=True, repr=False)
class ZipfFit(Card):
    """What Zipf's law says of one table of counts. Numbers that the counts cannot give are nan, and notes say why."""

    tokens: int
    types: int
    hapaxes: int
    ols: LeastSquares
    rank_mle: RankLikelihood
    zipf_mandelbrot: RankLikelihood
    frequency_mle: PowerLaw
    notes: tuple[str, ...]

    def _card(self) -> tuple[str, list[tuple[str, str]]]:
        said = [
            ("tokens", f"{self.tokens:,}"),
            ("types", f"{self.types:,}"),
            ("once only", f"{self.hapaxes:,}"),
        ]
        shift = self.zipf_mandelbrot
        for name, value in (
            ("α, least squares", self.ols.alpha),
            ("α, likelihood", self.rank_mle.alpha),
            (f"α, Zipf–Mandelbrot (b = {shift.b:.3g})", shift.alpha),
            ("γ of counts", self.frequency_mle.gamma),
        ):
            said.append((name, f"{value:.4g}"))
        return "ZipfFit", said + [("note", note) for note in self.notes]

    def to_dict(self) -> dict[str, Any]:
        """For JSON: nested dicts, None for nan."""
        values: dict[str, Any] = plain(self)
        for key in ("b", "b_se_given_ranks"):
            del values["rank_mle"][key]
        return values


def fit_zipf(counts: Mapping[Any, int] | Sequence[int] | np.ndarray) -> ZipfFit:
    """Fits Zipf's law to counts of types: (K,) positive integers in any order, or a Counter.

    Raises InputError where there are none, or where one is not a positive integer.

    >>> fit = fit_zipf([60, 30, 20, 15, 12])  # 60 / r
    >>> round(fit.ols.alpha, 6), round(fit.rank_mle.alpha, 6)
    (1.0, 1.0)
    """
    return fit_spectrum(spectrum(falling_counts(counts)))


def fit_spectrum(counts: Spectrum) -> ZipfFit:
    """``fit_zipf`` of counts of which it is known how many types have each."""
    notes = []
    types, tokens = counts.kinds, counts.tokens
    if types < 2 or len(counts.values) < 2:
        notes.append(f"{types} types with one distinct count: too few to fit a slope")
    power = fit_power_law(*counts)
    if power.xmin is None:
        notes.append("no tail of 50 types with two distinct counts: no power law of frequencies")
    curve = RankCurve.of_runs(counts.values[::-1], counts.types[::-1])
    mandelbrot = fit_ranks(curve, shifted=True)
    if math.isnan(mandelbrot.b_se_given_ranks):
        notes.append("Zipf–Mandelbrot's b is not determined by these counts")
    return ZipfFit(
        tokens,
        types,
        int(counts.types[counts.values == 1].sum()),
        _least_squares(curve),
        fit_ranks(curve, shifted=False),
        mandelbrot,
        power,
        tuple(notes),
    )


def _least_squares(curve: RankCurve) -> LeastSquares:
    if curve.types < 3:
        return LeastSquares(math.nan, math.nan, math.nan)
    x, y, weights = np.log(curve.ranks), np.log(curve.counts), curve.weights / curve.types
    x_mean, y_mean = float(weights @ x), float(weights @ y)
    dx, dy = x - x_mean, y - y_mean
    slope = float(weights @ (dx * dy) / (weights @ dx**2))
    residual, total = float(weights @ (dy - slope * dx) ** 2), float(weights @ dy**2)
    return LeastSquares(-slope, y_mean - slope * x_mean, 1 - residual / total if total else math.nan)


def fit_ranks(curve: RankCurve, shifted: bool) -> RankLikelihood:
    """Fisher scoring in α and, if shifted, in ln(1 + b), each step halved until the likelihood grows."""
    below, weights = curve.ranks - 1, curve.weights
    mass = weights * curve.counts
    tokens = round(float(mass.sum()))
    distinct = min(curve.types, len(np.unique(curve.counts)) + 1)
    if curve.types < (3 if shifted else 2) or (shifted and distinct < 3):
        return RankLikelihood(*[math.nan] * 6)

    def likelihood(theta: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        logs = np.log(below + math.exp(theta[1]))
        p = weights * np.exp(-theta[0] * (logs - logs[0]))
        norm = p.sum()
        value = -float(theta[0]) * float(mass @ (logs - logs[0])) - tokens * math.log(float(norm))
        return value, p / norm, logs

    theta = np.array([1.0, 1.0 if shifted else 0.0])
    value, p, logs = likelihood(theta)
    for _ in range(200):
        statistics = np.stack([-logs, -theta[0] * np.exp(theta[1] - logs)][: 1 + shifted])
        mean = statistics @ p
        gradient = statistics @ mass - tokens * mean
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
    c = math.log(tokens) - first - math.log(float(weights @ np.exp(-theta[0] * logs - first)))
    log_likelihood = float(mass @ (c - theta[0] * logs)) - tokens * math.log(tokens)
    errors = np.full(2, math.nan)
    if not shifted:
        errors[:] = 1 / math.sqrt(information[0, 0]), 0.0
    elif -7 < theta[1] < 16 and np.linalg.cond(information) < 1e12:
        errors = np.sqrt(np.diag(np.linalg.inv(information))) * (1.0, shift)
    return RankLikelihood(float(theta[0]), float(errors[0]), shift - 1, float(errors[1]), c, log_likelihood)


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
    alphas = [fit_ranks(RankCurve.of(split_half(counts, rng)), shifted=False).alpha for _ in range(splits)]
    return float(np.mean(alphas)), float(np.std(alphas, ddof=1))
