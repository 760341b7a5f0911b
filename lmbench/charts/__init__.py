"""What a figure shows, as data, and the one place that draws it.

In: numbers that are computed already. Out: a ``Chart``; ``lmbench.charts.draw`` (imported by its own name, when
a picture is wanted: it alone loads matplotlib) makes it PNG and SVG.
"""

from lmbench.charts.chart import Chart, Panel, Series

__all__ = ["Chart", "Panel", "Series"]
