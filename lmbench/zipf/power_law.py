"""Power laws in the distribution of counts: how many types occur m times, p(m) ∝ m^-γ for m ≥ xmin.

Everything works on the spectrum: the distinct counts m (ascending) and how many types V_m have each. Method:
Clauset, Shalizi & Newman, "Power-law distributions in empirical data", SIAM Review 51 (2009).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lmbench.zipf.counting import spectrum

MIN_TAIL = 50  # a tail of fewer types is not fitted (the paper's rule of thumb)
MAX_CANDIDATES = 150  # values of xmin that are tried; more are thinned at even steps of ln(index)


@dataclass(frozen=True)
class PowerLaw:
    """p(m) = m^-γ / ζ(γ, xmin) for counts m ≥ xmin. nan and None where there is no tail to fit.

    se: standard error of gamma given xmin. ks: the largest distance of the two distribution functions.
    n_tail: types with m ≥ xmin.
    """

    gamma: float
    se: float
    xmin: int | None
    ks: float
    n_tail: int


@dataclass(frozen=True)
class TailComparison:
    """The power law against another law of the same tail, by likelihood.

    log_ratio: ln likelihood of the power law less that of the other, nats; positive favours the power law. The
    exponential is tested by Vuong (1989), two-sided. The other three contain the power law where their second
    parameter goes to 0 (Malevergne, Pisarenko & Sornette 2011), so their ratio is ≤ 0. That 0 is the boundary of
    what the parameter can be: under the power law twice the ratio is 0 half of the time, else χ² with one degree of
    freedom, and p is half of χ²'s (Self & Liang 1987, case 5). A small p says that the second parameter is needed.
    xmin is taken as known, and types as independent.
    parameters: of the other law, by maximum likelihood.
    """

    other: str
    log_ratio: float
    p: float
    parameters: dict[str, float]


def hurwitz_zeta(exponent: np.ndarray | float, start: np.ndarray | float) -> np.ndarray:
    """Σ_{k≥0} (start + k)^-exponent for exponent > 1, start ≥ 1; arguments broadcast. Relative error below 1e-9.

    Twenty terms (more for exponents above 10), then Euler–Maclaurin's tail with the Bernoulli numbers to B₁₀ (NIST
    Handbook, 25.11.43): three times as fast as scipy's on the tables here, and a bootstrap refits a thousand times.

    >>> float(hurwitz_zeta(2.0, 1.0) * 6 / math.pi**2)
    1.0
    """
    s, q = np.broadcast_arrays(np.asarray(exponent, dtype=float), np.asarray(start, dtype=float))
    # Beyond them each further B is a hundredth of the last.
    terms = max(20, math.ceil(2 * float(s.max(initial=0))))
    small = q < terms
    x = np.where(small, q + terms, q)
    # Σ_j B_2j / (2j)! s (s + 1) … (s + 2j − 2) x^(1 − 2j), from the innermost term outwards.
    square = x**-2
    tail = 1 - (s + 7) * (s + 8) / 39.6 * square
    for k, ratio in ((5, 40), (3, 42), (1, 60)):
        tail = 1 - (s + k) * (s + k + 1) / ratio * square * tail
    total = np.asarray(x**-s * (x / (s - 1) + 0.5 + s / (12 * x) * tail))
    if small.any():
        first = q[small][..., None] + np.arange(terms)
        total[small] += (first ** -s[small][..., None]).sum(axis=-1)
    return total


def fit_power_law(values: np.ndarray, types: np.ndarray, xmin: int | None = None) -> PowerLaw:
    """Maximum likelihood for γ; xmin, unless given, is the one of the least KS distance.

    values, types: the spectrum, (D,) each. Tails of fewer than 50 types or of one distinct count are not fitted.
    """
    tail = types[::-1].cumsum()[::-1]
    usable = tail >= MIN_TAIL
    usable[-1:] = False
    if xmin is not None:
        usable &= values == values[values >= xmin].min(initial=values[-1])
    chosen = np.flatnonzero(usable)
    if not len(chosen):
        return PowerLaw(math.nan, math.nan, None, math.nan, 0)
    if len(chosen) > MAX_CANDIDATES:
        steps = np.geomspace(1, len(chosen), MAX_CANDIDATES).round().astype(int)
        chosen = chosen[np.unique(steps) - 1]
    logs = (types * np.log(values))[::-1].cumsum()[::-1]
    starts = values[chosen].astype(float)
    if xmin is not None:
        starts[:] = xmin
    gammas = _maximise(starts, logs[chosen] / tail[chosen])
    distances = _ks_distances(values, types, chosen, starts, gammas)
    best = int(np.argmin(distances))
    curvature = _log_zeta_derivatives(gammas[best : best + 1], starts[best : best + 1])[1][0]
    n_tail = int(tail[chosen[best]])
    return PowerLaw(
        float(gammas[best]),
        1 / math.sqrt(n_tail * curvature),
        int(starts[best]),
        float(distances[best]),
        n_tail,
    )


def _log_zeta_derivatives(gamma: np.ndarray, q: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First and second derivatives of ln ζ(γ, q) in γ, by central differences."""
    h = 1e-3 * (gamma - 1)
    low, mid, high = (np.log(hurwitz_zeta(g, q)) for g in (gamma - h, gamma, gamma + h))
    return (high - low) / (2 * h), (high - 2 * mid + low) / (h * h)


def _maximise(q: np.ndarray, mean_log: np.ndarray) -> np.ndarray:
    """γ for each xmin q: the root of (ln ζ)'(γ, q) + mean ln m, by Newton (ln ζ is convex in γ)."""
    gamma = 1 + 1 / (mean_log - np.log(q - 0.5))
    for _ in range(50):
        slope, curvature = _log_zeta_derivatives(gamma, q)
        step = -(slope + mean_log) / curvature
        new = np.clip(gamma + step, 1 + (gamma - 1) / 4, 1 + (gamma - 1) * 4)
        moved = np.abs(new - gamma).max()
        gamma = new
        if moved < 1e-9:
            break
    return gamma


def _ks_distances(
    values: np.ndarray, types: np.ndarray, chosen: np.ndarray, starts: np.ndarray, gammas: np.ndarray
) -> np.ndarray:
    """(C,) the largest |empirical − fitted| distribution function over all integers ≥ xmin, a row a candidate."""
    column = np.arange(len(values))
    inside = column[None, :] >= chosen[:, None]
    seen = np.cumsum(types)
    before = (seen - types)[chosen]
    tail = seen[-1] - before
    empirical = (seen[None, :] - before[:, None]) / tail[:, None]
    norm = hurwitz_zeta(gammas, starts)[:, None]
    # Between two observed counts the empirical function is flat: its distance is largest at either end.
    after = np.append(values[1:], values[-1] + 1)
    distance = np.zeros(len(chosen))
    for upper in (values + 1, after):
        fitted = 1 - hurwitz_zeta(gammas[:, None], upper[None, :]) / norm
        distance = np.maximum(distance, np.where(inside, np.abs(empirical - fitted), 0).max(axis=1))
    return distance


def sample_power_law(gamma: float, xmin: int, size: int, rng: np.random.Generator) -> np.ndarray:
    """(size,) int64 draws from p(m) = m^-γ / ζ(γ, xmin), m ≥ xmin.

    Exact by table up to xmin + 10,000; beyond, by the continuous approximation, whose error is then below 1e-8.
    """
    table = np.arange(xmin, xmin + 10_000)
    survival = hurwitz_zeta(gamma, table + 1.0) / hurwitz_zeta(gamma, float(xmin))
    u = 1 - rng.random(size)  # in (0, 1]: the draw is the least m with P(M > m) < u
    index = np.searchsorted(-survival, -u, side="right")
    draws = table[np.minimum(index, len(table) - 1)]
    far = index == len(table)
    ratio = (u[far] / survival[-1]) ** (-1 / (gamma - 1))
    draws[far] = np.minimum((table[-1] + 0.5) * ratio + 0.5, 2**53).astype(np.int64)
    return draws.astype(np.int64)


def goodness_of_fit(
    counts: np.ndarray,
    replicates: int,
    rng: np.random.Generator,
    progress: Callable[[float, float], None] | None = None,
) -> float:
    """p of the hypothesis that counts above xmin follow a power law; below 0.1 it is in doubt (the paper's rule).

    Semi-parametric bootstrap: each replicate draws as many types, those below xmin from the data and those above
    from the fitted law, and fits anew, xmin included. p = (1 + replicates with a larger KS distance) /
    (1 + replicates); nan where no tail was fitted.
    """
    values, types = spectrum(counts)
    fit = fit_power_law(values, types)
    if fit.xmin is None:
        return math.nan
    body = counts[counts < fit.xmin]
    larger = 0
    for done in range(replicates):
        n_tail = int(rng.binomial(len(counts), fit.n_tail / len(counts)))
        below = rng.choice(body, len(counts) - n_tail) if len(body) else np.zeros(0, dtype=np.int64)
        replicate = np.concatenate([below, sample_power_law(fit.gamma, fit.xmin, n_tail, rng)])
        again = fit_power_law(*spectrum(replicate))
        larger += again.ks >= fit.ks
        if progress:
            progress(done + 1, replicates)
    return (1 + larger) / (1 + replicates)


# Other laws of the same tail -----------------------------------------------------------------------


def compare_tails(counts: np.ndarray, xmin: int | None = None) -> list[TailComparison]:
    """The fitted power law against four others on the same tail m ≥ xmin (default: as fitted); empty where no tail was fitted.

    With L = ln(m / xmin): exponential, p ∝ e^{-rate m}; truncated power law, p ∝ m^-gamma e^{-rate m}; stretched
    exponential, p ∝ exp((beta - 1) L - slope (e^{beta L} - 1) / beta); lognormal, p ∝ exp(-exponent L - curvature
    L² / 2), that is σ² = 1 / curvature and μ = ln xmin + (1 - exponent) σ². Each is normalised over whole m ≥ xmin.
    """
    from scipy.optimize import minimize
    from scipy.special import chdtrc, erfc

    values, types = spectrum(counts)
    fit = fit_power_law(values, types, xmin)
    if fit.xmin is None:
        return []
    keep = values >= fit.xmin
    m, weight = values[keep].astype(float), types[keep]
    n = fit.n_tail
    power = -fit.gamma * np.log(m) - math.log(float(hurwitz_zeta(fit.gamma, float(fit.xmin))))

    rate = math.log1p(n / float(weight @ (m - fit.xmin)))
    difference = power - (math.log(-math.expm1(-rate)) - rate * (m - fit.xmin))
    ratio = float(weight @ difference)
    spread = math.sqrt(2 * float(weight @ (difference - ratio / n) ** 2))
    p = float(erfc(abs(ratio) / spread)) if spread else 1.0
    results = [TailComparison("exponential", ratio, p, {"rate": rate})]

    # Sums to infinity: the first thousand terms, then an integral over L (midpoint error below 1e-7).
    grid = np.geomspace(fit.xmin + 999.5, max(1e15, 1e6 * m[-1]), 3000)
    terms = np.concatenate([np.arange(fit.xmin, fit.xmin + 1000), grid])
    steps = np.gradient(np.log(grid))
    steps[[0, -1]] /= 2
    weights = np.concatenate([np.ones(1000), steps * grid])
    for name, (density, start, names) in _RIVALS.items():

        def law(theta: np.ndarray, density: _Density = density) -> np.ndarray:
            one, two = theta[0], math.exp(min(theta[1], 50.0))
            norm = float(weights @ np.exp(np.minimum(density(terms, fit.xmin or 1, one, two), 500)))
            return density(m, fit.xmin or 1, one, two) - math.log(norm or 1e-300)

        def loss(theta: np.ndarray, law: Callable[[np.ndarray], np.ndarray] = law) -> float:
            return -float(weight @ law(theta)) / n

        optimum = minimize(
            loss,
            np.array([start(fit.gamma), math.log(1e-3)]),
            method="Nelder-Mead",
            options={"xatol": 1e-6, "fatol": 1e-11, "maxiter": 2000},
        )
        ratio = min(float(weight @ (power - law(optimum.x))), 0.0)
        parameters = dict(zip(names, (float(optimum.x[0]), math.exp(optimum.x[1])), strict=True))
        at_boundary = -2 * ratio < 1e-6
        p = 1.0 if at_boundary else float(chdtrc(1, -2 * ratio)) / 2
        results.append(TailComparison(name, ratio, p, parameters))
    return results


_Density = Callable[[np.ndarray, int, float, float], np.ndarray]


def _truncated(m: np.ndarray, xmin: int, gamma: float, rate: float) -> np.ndarray:
    return -gamma * np.log(m / xmin) - rate * (m - xmin)


def _lognormal(m: np.ndarray, xmin: int, exponent: float, curvature: float) -> np.ndarray:
    logs = np.log(m / xmin)
    return -exponent * logs - curvature * logs * logs / 2


def _stretched(m: np.ndarray, xmin: int, slope: float, beta: float) -> np.ndarray:
    logs = np.log(m / xmin)
    return (beta - 1) * logs - slope * np.expm1(np.minimum(beta * logs, 500)) / beta


# name: (ln of the density, the first parameter where the second is 0, names of both; the second is ≥ 0)
_RIVALS: dict[str, tuple[_Density, Callable[[float], float], tuple[str, str]]] = {
    "truncated power law": (_truncated, lambda gamma: gamma, ("gamma", "rate")),
    "lognormal": (_lognormal, lambda gamma: gamma, ("exponent", "curvature")),
    "stretched exponential": (_stretched, lambda gamma: gamma - 1, ("slope", "beta")),
}
