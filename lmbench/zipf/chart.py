"""Counts by rank and the distribution of counts, with the fitted lines, as a chart."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from lmbench.charts.chart import Chart, Panel, Series
from lmbench.zipf.counting import Spectrum
from lmbench.zipf.fits import ZipfFit
from lmbench.zipf.power_law import hurwitz_zeta

APART = 2.0  # times as many types as a power law says, or half as many: the law has left the points


def thin(length: int, points: int = 300) -> np.ndarray:
    """At most ``points`` indices of 0..length-1, even in ln(index + 1), the first and the last among them.

    >>> thin(10_000, 5).tolist()
    [0, 9, 99, 999, 9999]
    """
    return np.unique(np.geomspace(1, max(length, 1), points).round().astype(np.int64))[:length] - 1


def zipf_chart(name: str, what: str, tables: Mapping[str, tuple[Spectrum, ZipfFit]]) -> Chart:
    """Rank-frequency curves with their lines, and beside them the distribution of counts with its power laws.

    what: whose counts they are, for the caption. tables: label -> counts and their fit; a label's colour is the same in both panels.
    """
    ranked, spread, ends = [], [], []
    for label, (counts, fit) in tables.items():
        ranked += _ranked(label, counts, fit)
        distribution, left = _spread(label, counts, fit)
        spread += distribution
        if left is not None:
            ends.append(f"{label} beyond {left:,}")
    caption = (
        f"{what[0].upper()}{what[1:]}: counts by rank, with least-squares lines (dashed) and Zipf–Mandelbrot's law by maximum "
        "likelihood, given these ranks; and the share of types that occur so often at least, with the power law of the counts."
    )
    if ends:
        caption += f" Points and power law are a factor of {APART:g} or more apart for {', '.join(ends)}."
    first = next(iter(tables.values()))[1]
    slope = first.rank_mle.alpha
    title = (
        "Rank and frequency"
        if math.isnan(slope)
        else f"Counts fall about as rank^−{slope:.2f} ({next(iter(tables))})"
    )
    return Chart(
        name,
        caption,
        [
            Panel(title, "rank", "count", ranked, "log", "log"),
            Panel(
                "How many types are so frequent",
                "count m",
                "share of types with count ≥ m",
                spread,
                "log",
                "log",
            ),
        ],
    )


def _ranked(label: str, counts: Spectrum, fit: ZipfFit) -> list[Series]:
    """The curve at some ranks, its least-squares line and Zipf–Mandelbrot's law."""
    ranks = thin(counts.kinds) + 1
    series = [Series(label, ranks.tolist(), counts.at_ranks(ranks).tolist(), "points")]
    ols, law = fit.ols, fit.zipf_mandelbrot
    if math.isfinite(ols.alpha):
        heights = np.exp(ols.c - ols.alpha * np.log(ranks))
        series.append(
            Series(f"least squares: α {ols.alpha:.2f}", ranks.tolist(), heights.tolist(), "dashed", key=label)
        )
    if math.isfinite(law.alpha):
        heights = np.exp(law.c - law.alpha * np.log(ranks + law.b))
        name = f"Mandelbrot: α {law.alpha:.2f}, b {law.b:.2f}".replace("-", "−")
        series.append(Series(name, ranks.tolist(), heights.tolist(), "line", key=label))
    return series


def _spread(label: str, counts: Spectrum, fit: ZipfFit) -> tuple[list[Series], int | None]:
    """The distribution of counts and its power law; the count from which on they are apart, if they are."""
    values, types = counts
    share = types[::-1].cumsum()[::-1] / counts.kinds
    some = thin(len(values))
    series = [Series(label, values[some].tolist(), share[some].tolist(), "points")]
    law = fit.frequency_mle
    if law.xmin is None:
        return series, None
    inside = values >= law.xmin
    m, share = values[inside], share[inside]
    expected = hurwitz_zeta(law.gamma, m) / hurwitz_zeta(law.gamma, law.xmin) * law.n_tail / counts.kinds
    kept = thin(len(m))
    name = f"γ = {law.gamma:.2f} from {law.xmin} up"
    series.append(Series(name, m[kept].tolist(), expected[kept].tolist(), "line", key=label))
    apart = np.flatnonzero(np.abs(np.log(share / expected)) >= math.log(APART))
    return series, int(m[apart[0]]) if len(apart) else None
