"""What is written into a panel: names beside points, and what its reference lines are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from lmbench.charts.chart import Panel
from lmbench.charts.placing import leader, place
from lmbench.charts.style import INK, MUTED

Point = tuple[float, float, str]  # x, y and the name beside it


def label_points(axes: Axes, points: Sequence[Point], lines: Sequence[np.ndarray]) -> None:
    """Names beside points, in the frame and clear of points, lines and one another; far ones with a line."""
    figure = axes.get_figure(root=True)
    assert figure is not None
    renderer = figure.canvas.get_renderer()  # type: ignore[attr-defined]
    unit = figure.dpi / 72
    marks = axes.transData.transform(np.array([(x, y) for x, y, _ in points])) / unit
    notes = [
        axes.annotate(text, (x, y), (0, 0), textcoords="offset points", fontsize=9.5, color=INK)
        for x, y, text in points
    ]
    extents = [note.get_window_extent(renderer) for note in notes]
    sizes = np.array([(box.width, box.height) for box in extents]) / unit
    corners = [axes.transData.transform(line) / unit for line in lines]
    segments = [np.stack([line[:-1], line[1:]], axis=1) for line in corners if len(line) > 1]
    frame = np.array(axes.get_window_extent(renderer).get_points()) / unit
    corners_of_names = place(marks, sizes, frame, np.concatenate([np.zeros((0, 2, 2)), *segments]))
    for (x, y, _), note, here, corner, size in zip(
        points, notes, marks, corners_of_names, sizes, strict=True
    ):
        note.set(position=tuple(corner - here), ha="left", va="bottom")
        end = leader(here, corner, size)[1] - here
        if np.linalg.norm(end) > 12:
            line = {"arrowstyle": "-", "color": MUTED, "linewidth": 0.7, "shrinkA": 0, "shrinkB": 4}
            axes.annotate("", (x, y), tuple(end), textcoords="offset points", arrowprops=line)


def note_references(axes: Axes, panel: Panel) -> None:
    """What the reference lines are: at the end, and on the side, that fewest data come near to."""
    note: dict[str, Any] = {"textcoords": "offset points", "fontsize": 9, "color": MUTED}
    horizontal, vertical = references(panel)
    for height, _ in horizontal:
        if 0 <= _level(axes, height) < 0.06:  # room for its name below it
            corners = axes.transAxes.transform([(0, -0.06), (1, 1)])
            low, high = axes.transData.inverted().transform(corners)[:, 1]
            axes.set_ylim(low, high)
    data = _data(axes) if horizontal else np.zeros((0, 2))
    for height, text in horizontal:
        level = _level(axes, height)
        wide = min(0.9, 0.017 * len(text))
        places = [(x, up) for up in (True, False) for x in (1, 0)]

        def crowd(corner: tuple[int, bool], level: float = level, wide: float = wide) -> int:
            left, low = (1 - wide if corner[0] else 0), (level if corner[1] else level - 0.055)
            inside = (data >= (left, low)) & (data <= (left + wide, low + 0.055))
            outside = low < 0 or low + 0.055 > 1
            return int(inside.all(axis=1).sum()) + len(data) * outside

        x, up = min(places, key=crowd)
        side: dict[str, Any] = {"ha": "right" if x else "left", "va": "bottom" if up else "top"}
        axes.annotate(
            text, (x, height), (-2 if x else 2, 2 if up else -3), axes.get_yaxis_transform(), **side, **note
        )
    for position, text in vertical:
        axes.annotate(text, (position, 1), (0, 1), axes.get_xaxis_transform(), ha="left", va="bottom", **note)


def references(panel: Panel) -> tuple[list[tuple[float, str]], list[tuple[float, str]]]:
    """Horizontal and vertical lines as they are drawn, those that are finite; of a logarithmic axis, those above 0."""
    horizontal, vertical = (
        [
            (position, one_line(text))
            for position, text in lines
            if position is not None and math.isfinite(position) and (scale != "log" or position > 0)
        ]
        for lines, scale in ((panel.horizontal, panel.yscale), (panel.vertical, panel.xscale))
    )
    return (vertical, horizontal) if panel.sideways else (horizontal, vertical)


def _level(axes: Axes, height: float) -> float:
    """A height in shares of the axes."""
    return float(
        axes.transAxes.inverted().transform(axes.transData.transform((axes.get_xlim()[0], height)))[1]
    )


def _data(axes: Axes) -> np.ndarray:
    """(N, 2) where the lines of the axes run, in shares of the axes."""
    places = [np.zeros((0, 2))]
    for line in axes.lines:
        corners = np.asarray(line.get_xydata(), dtype=float)
        if line.get_transform() == axes.transData and len(corners):
            corners = axes.transData.transform(corners)
            along = np.linspace(0, len(corners) - 1, max(200, len(corners)))
            run = np.stack([np.interp(along, np.arange(len(corners)), c) for c in corners.T], axis=1)
            places.append(axes.transAxes.inverted().transform(run))
    return np.concatenate(places)


def one_line(text: str) -> str:
    """A label as one line without control characters and lone surrogates, which SVG cannot hold."""
    shown = "".join(c if c.isprintable() else " " for c in text)
    return shown.encode("utf-8", "replace").decode("utf-8").strip()
