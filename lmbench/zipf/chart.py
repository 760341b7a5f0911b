"""Counts by rank and the distribution of counts, with the fitted lines, as a chart."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from lmbench.charts.chart import Chart, Panel, Series
from lmbench.zipf.fits import RankLikelihood, fit_zipf
from lmbench.zipf.power_law import hurwitz_zeta, spectrum


def thin(length: int, points: int = 300) -> np.ndarray:
    """At most ``points`` indices of 0..length-1, even in ln(index + 1), the first and the last among them."""
    return np.unique(np.geomspace(1, max(length, 1), points).round().astype(np.int64))[:length] - 1


def zipf_chart(name: str, caption: str, tables: Mapping[str, np.ndarray]) -> Chart:
    """Rank-frequency curves with their lines, and beside them the distribution of counts with its power laws.

    tables: label -> counts (K,) as ``falling_counts`` gives them; a label's colour is the same in both panels.
    """
    ranked, spread = [], []
    for label, counts in tables.items():
        fit = fit_zipf(counts)
        ranks = thin(len(counts)) + 1
        ranked.append(Series(label, ranks.tolist(), counts[ranks - 1].tolist(), "points"))
        for kind, line, what in (
            ("dashed", fit.ols, "least squares"),
            ("line", fit.zipf_mandelbrot, "likelihood"),
        ):
            if math.isfinite(line.alpha):
                shift = line.b if isinstance(line, RankLikelihood) else 0.0
                heights = np.exp(line.c - line.alpha * np.log(ranks + shift))
                ranked.append(_fitted(f"{what}: α = {line.alpha:.2f}", ranks, heights, kind, label))
        values, types = spectrum(counts)
        at_least = types[::-1].cumsum()[::-1] / len(counts)
        some = thin(len(values))
        spread.append(Series(label, values[some].tolist(), at_least[some].tolist(), "points"))
        law = fit.frequency_mle
        if law.xmin is not None:
            x = values[some][values[some] >= law.xmin]
            tail = hurwitz_zeta(law.gamma, x) / hurwitz_zeta(law.gamma, law.xmin) * law.n_tail / len(counts)
            spread.append(_fitted(f"γ = {law.gamma:.2f} from {law.xmin} up", x, tail, "line", label))
    return Chart(
        name,
        caption,
        [
            Panel("Rank and frequency", "rank", "count", ranked, "log", "log"),
            Panel("Distribution of counts", "count m", "share of types with count ≥ m", spread, "log", "log"),
        ],
    )


def _fitted(label: str, x: np.ndarray, y: np.ndarray, kind: Any, key: str) -> Series:
    return Series(label, x.tolist(), y.tolist(), kind, key=key)
