"""The ticks of axes on a logarithmic scale: few, round, and within less than a decade too."""

from __future__ import annotations

import math

from matplotlib import ticker
from matplotlib.axes import Axes

# Numbers for the ticks of a log axis within a decade, the roundest first.
ROUND = (1, 2, 5, 3, 4, 1.5, 2.5, 6, 8, 7, 9, 1.2, 1.8, 3.5, 4.5, 1.4, 1.6, 1.7, 1.3, 2.2, 2.8, 1.1, 1.9)


def set_ticks(axes: Axes) -> None:
    """Ticks of log axes, at the limits as they are."""
    for axis, scale in ((axes.xaxis, axes.get_xscale()), (axes.yaxis, axes.get_yscale())):
        if scale == "log":
            left, right = axis.get_view_interval()
            axis.set_major_locator(_log_ticks(left, right, 6 if axis is axes.xaxis else 11))
            axis.set_major_formatter(ticker.FuncFormatter(_decade))
            axis.set_minor_locator(ticker.NullLocator())


def _log_ticks(left: float, right: float, most: int) -> ticker.Locator:
    """Ticks of a log axis: round numbers where it spans less than a decade, else powers of ten, not too many."""
    if right >= 10 * left:
        return ticker.LogLocator(
            subs=(1, 2, 5) if 3 * math.log10(right / left) <= most else (1,), numticks=most
        )
    unit, apart = 10.0 ** math.floor(math.log10(left)), math.log(right / left) / most
    ticks: list[float] = []
    for tick in [k * u for u in (unit, 10 * unit) for k in ROUND]:
        if left <= tick <= right and all(abs(math.log(tick / other)) >= apart for other in ticks):
            ticks.append(tick)
    return ticker.FixedLocator(sorted(ticks))


def _decade(value: float, _: object = None) -> str:
    """A tick of a log axis: plain up to 100,000, then 1M, 10M ...; small ones as 0.001."""
    if value >= 1e6:
        for size, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M")):
            if value >= size:
                return f"{value / size:,.4g}{letter}"
    return f"{value:,.10g}" if value >= 1e-4 else f"{value:.0e}".replace("e-0", "e-")
