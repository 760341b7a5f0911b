"""What a figure shows, as data. Whoever computes fills these in; draw.py alone draws them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["line", "points", "step", "bar", "interval", "dashed", "ring"]
Scale = Literal["linear", "log"]


@dataclass(frozen=True)
class Series:
    """One set of points, all sequences of one length.

    label: in the legend, or '' for none. kind: how they are joined; ``interval`` draws low..high with a mark at y,
    ``ring`` a circle around points that others draw.
    low, high: a band (or error bar) around y. key: what the colour stands for (a model's label: the same
    colour everywhere); default the label.
    """

    label: str
    x: Sequence[float] | Sequence[str]
    y: Sequence[float]
    kind: Kind = "line"
    low: Sequence[float] | None = None
    high: Sequence[float] | None = None
    key: str | None = None


@dataclass(frozen=True)
class Panel:
    """One pair of axes; xlabel and ylabel name the quantity with its unit."""

    title: str
    xlabel: str
    ylabel: str
    series: Sequence[Series]
    xscale: Scale = "linear"
    yscale: Scale = "linear"
    horizontal: Sequence[tuple[float, str]] = ()  # reference lines: height and what it is
    vertical: Sequence[tuple[float, str]] = ()


@dataclass(frozen=True)
class Chart:
    """One figure: a file name without suffix, a caption that says what to see, panels side by side."""

    name: str
    caption: str
    panels: Sequence[Panel]


def chart_of(plain: Mapping[str, Any]) -> Chart:
    """The chart that ``dataclasses.asdict`` took apart, as JSON gives it back."""
    panels = [
        Panel(
            **{
                **panel,
                "series": [Series(**series) for series in panel["series"]],
                "horizontal": [(height, name) for height, name in panel["horizontal"]],
                "vertical": [(place, name) for place, name in panel["vertical"]],
            }
        )
        for panel in plain["panels"]
    ]
    return Chart(plain["name"], plain["caption"], panels)
