"""One series of a panel, drawn: its line, points, stairs, bars or intervals."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes

from lmbench.charts.chart import Series
from lmbench.charts.style import INK, Style

DENSE = 300  # points from which on a line is thin
PIXELS = 700.0  # points closer together than a panel's width over this are drawn once


class _Points(NamedTuple):
    """(K,) floats each; x of names is their place; low and high where given."""

    x: np.ndarray
    y: np.ndarray
    low: np.ndarray | None
    high: np.ndarray | None


def finite_points(series: Series, names: list[str], xscale: str, yscale: str, sideways: bool) -> _Points:
    """What the axes can show of a series: numbers that are finite, and above 0 where the scale is logarithmic."""
    x = np.array([names.index(str(v)) if sideways else v for v in series.x], dtype=float)
    y = np.array(series.y, dtype=float)
    across = xscale if sideways else yscale
    keep = np.isfinite(x) & np.isfinite(y) & ((y > 0) | (across != "log"))
    keep &= (x > 0) | (xscale != "log" or sideways)
    low = None if series.low is None else np.array(series.low, dtype=float)[keep]
    high = None if series.high is None else np.array(series.high, dtype=float)[keep]
    return _Points(x[keep], y[keep], low, high)


def draw_series(
    axes: Axes, series: Series, style: Style, points: _Points, sideways: bool, crowded: bool
) -> Any:
    """Draws a series and returns what stands for it in a legend. crowded: whether the panel has many points."""
    (x, y, low, high), (colour, marker), kind = points, style, series.kind
    across, along = (y, x) if sideways else (x, y)
    if kind == "bar":
        return axes.barh(x, y, 0.62, color=colour) if sideways else axes.bar(x, y, color=colour)
    if kind == "interval":
        if low is not None and high is not None:
            ends = np.nan_to_num(np.stack([y - low, high - y]), nan=0.0, posinf=0.0).clip(min=0)
            error = {"xerr" if sideways else "yerr": ends}
            axes.errorbar(across, along, fmt="none", ecolor=colour, elinewidth=5, alpha=0.4, **error)
        return axes.plot(across, along, marker=marker, linestyle="none", color=colour, markersize=4)[0]
    if low is not None and high is not None and not sideways:
        axes.fill_between(x, low, high, color=colour, alpha=0.15, linewidth=0)
    if kind == "ring":
        return axes.plot(
            across, along, "o", color=INK, markersize=13, markerfacecolor="none", markeredgewidth=1.1
        )[0]
    if kind == "points":
        look: dict[str, Any] = {"markersize": 3, "alpha": 0.75} if crowded else {"markersize": 6.5}
        if not series.colour_key:
            small = {"markersize": 2, "alpha": 0.5, "markeredgewidth": 0}
            look = small if len(x) > DENSE else {"markersize": 5, "markerfacecolor": "none"}
            look["zorder"] = 1.5
        look |= {"marker": marker, "linestyle": "none", "color": colour}
        return axes.plot(*_seen(axes, across, along), **look)[0]
    line: dict[str, Any] = {"linestyle": (0, (5, 2.5))} if kind == "dashed" else {}
    if not series.colour_key:
        line |= {"linewidth": 1.2, "zorder": 1.5}
    elif len(x) > DENSE:
        line["linewidth"] = 1.2
    if kind == "step":
        line["drawstyle"] = "steps-post"
    if len(x) == 1:
        line["marker"] = marker
    return axes.plot(across, along, color=colour, **line)[0]


def _seen(axes: Axes, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The points without those that would cover one another to the pixel: smaller files, the same picture."""
    if len(x) < 500:
        return x, y
    cells = []
    for values, scale in ((x, axes.get_xscale()), (y, axes.get_yscale())):
        v = np.log(values) if scale == "log" else values
        spread = float(v.max() - v.min()) or 1.0
        cells.append(np.round((v - v.min()) / spread * PIXELS))
    _, first = np.unique(np.stack(cells, 1), axis=0, return_index=True)
    first.sort()
    return x[first], y[first]
