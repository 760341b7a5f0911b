"""Draws charts. The only file that imports matplotlib; it computes nothing and knows no model.

A key (a model's label) has one colour, marker and dash everywhere, given by its place in ``order``. Panels whose
x are names are drawn sideways, so that the names read. Files are reproducible: no date, no random ids.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import math
import textwrap
import warnings
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import matplotlib
import numpy as np
from matplotlib import font_manager, ticker
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.transforms import ScaledTranslation

from lmbench.charts.chart import Chart, Panel, Series
from lmbench.charts.placing import leader, place
from lmbench.charts.style import GRID, INK, MUTED, PAPER, Style, style_of

FALLBACK_FONTS = ("Noto Sans CJK SC", "Noto Sans CJK JP", "WenQuanYi Zen Hei", "Noto Emoji", "Symbola")
CELL = 5.4, 3.9  # inches, a panel
NAMED = 8.6, 5.2  # the same, of a panel with the names of many points in it
MANY = 8
DENSE = 300  # points from which on a line is thin
PIXELS = 700.0  # points closer together than a panel's width over this are drawn once


_Point = tuple[float, float, str]  # x, y and the name beside it


def draw(chart: Chart, order: Sequence[str] = (), transparent: bool = False) -> tuple[bytes, str]:
    """A chart as (PNG bytes at 200 dpi, SVG text). ``order``: the keys that have a colour of their own."""
    with _quietly(chart.name):
        figure = _figure(chart, order)
        return _save(figure, "png", transparent), _save(figure, "svg", transparent).decode("utf-8")


def draw_panels(chart: Chart, order: Sequence[str] = ()) -> list[str]:
    """Each panel as an SVG text of its own, on no background: for pages that lay panels out themselves."""
    svgs = []
    for number, panel in enumerate(chart.panels):
        alone = Chart(f"{chart.name}-{number}", chart.caption, [panel])
        with _quietly(alone.name):
            svgs.append(_save(_figure(alone, order), "svg", transparent=True).decode("utf-8"))
    return svgs


SETTINGS: dict[str, Any] = {
    "svg.fonttype": "none",
    "text.parse_math": False,  # a label may hold dollar signs
    "font.size": 11,
    "axes.titlesize": 11.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "text.color": INK,
    "lines.linewidth": 1.9,
    "lines.solid_capstyle": "round",
    "legend.frameon": False,
    "legend.fontsize": 10,
    "savefig.dpi": 200,
}


@contextlib.contextmanager
def _quietly(salt: str) -> Iterator[None]:
    """Our settings for a while, with the chart's name as the seed of ids, and no word of missing glyphs."""
    installed = set(font_manager.get_font_names())
    fonts = ["DejaVu Sans", *(f for f in FALLBACK_FONTS if f in installed)]
    own: Any = {**SETTINGS, "svg.hashsalt": salt, "font.family": fonts}
    with matplotlib.rc_context(own), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        warnings.filterwarnings("ignore", message="constrained_layout not applied")
        yield


def _save(figure: Figure, kind: str, transparent: bool) -> bytes:
    stream = io.BytesIO()
    metadata = {"Date": None, "Creator": None} if kind == "svg" else {"Software": None}
    figure.savefig(stream, format=kind, metadata=metadata, transparent=transparent)
    return stream.getvalue()


def _figure(chart: Chart, order: Sequence[str]) -> Figure:
    shown = [_key(series) for panel in chart.panels for series in panel.series]
    keys = [*order] if any(key in order for key in shown) else []  # laws and counts have colours of their own
    keys += dict.fromkeys(key for key in shown if key and key not in keys)
    width, height = NAMED if any(map(_crowded, chart.panels)) else CELL
    rows = max([_rows(panel) for panel in chart.panels], default=0)
    entries = [_legend_entries(panel) for panel in chart.panels]
    shared = _shared(entries)
    own = max(
        [_legend_rows([name for name in names if name not in shared], 2) for names in entries], default=0
    )
    height = max(height, 1.3 + 0.3 * rows) + 0.22 * (
        own + _legend_rows(shared, 2 * max(1, len(chart.panels)))
    )
    figure = Figure((width * max(1, len(chart.panels)), height), facecolor=PAPER)
    FigureCanvasAgg(figure)
    handles: dict[str, Any] = {}
    labelled = []
    all_axes: list[Axes] = []
    for number, panel in enumerate(chart.panels, 1):
        axes = figure.add_subplot(1, len(chart.panels), number)
        more, points = _draw_panel(axes, panel, keys, width)
        _legend(axes, {name: handle for name, handle in more.items() if name not in shared})
        handles |= {name: handle for name, handle in more.items() if name in shared}
        labelled.append((axes, points, _steps(panel)))
        all_axes.append(axes)
    if chart.same_scales:
        _share(all_axes)
    for axes, panel in zip(all_axes, chart.panels, strict=True):
        _note_references(axes, panel)
        _ticks(axes)
    if handles:
        columns = min(2 * len(chart.panels), len(handles))
        figure.legend(
            list(handles.values()), _legend_names(handles), loc="outside lower center", ncols=columns
        )
    # Laid out once for all formats; then names of points can be placed, and stay where they are.
    if chart.panels:
        layout = ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.06)
        for _ in range(2):  # once more with the ticks that the first found room for
            layout.execute(figure)
    for axes, points, lines in labelled:
        _label_points(axes, points, lines)
    return figure


def _key(series: Series) -> str:
    return series.label if series.key is None else series.key


def _rows(panel: Panel) -> int:
    return len(_names(panel)) if _sideways(panel) else 0


def _sideways(panel: Panel) -> bool:
    return any(len(s.x) and isinstance(s.x[0], str) for s in panel.series)


def _names(panel: Panel) -> list[str]:
    return list(dict.fromkeys(str(x) for s in panel.series for x in s.x))


def _directly_labelled(panel: Panel) -> bool:
    """Single points carry their names beside them; all else has a legend."""
    marks = [s for s in panel.series if s.kind in ("points", "interval")]
    return len(marks) > 1 and all(len(s.x) <= 1 for s in marks)


def _steps(panel: Panel) -> list[np.ndarray]:
    """The corners of a panel's stairs, (N, 2) each, which names of points had better not cover."""
    stairs = []
    for series in panel.series:
        if series.kind == "step" and len(series.x) and not _sideways(panel):
            x, y = np.repeat(np.array(series.x, float), 2)[1:], np.repeat(np.array(series.y, float), 2)[:-1]
            stairs.append(np.stack([x, y], axis=1))
    return stairs


def wide(chart: Chart) -> bool:
    """Whether a chart wants the whole width of a page: several panels, or the names of many points."""
    return len(chart.panels) > 1 or any(map(_crowded, chart.panels))


def _crowded(panel: Panel) -> bool:
    return _directly_labelled(panel) and len(panel.series) > MANY


def _legend_entries(panel: Panel) -> list[str]:
    """What a panel's legend shows, as it is spelt there."""
    if _sideways(panel):
        names = _names(panel)
        shown = [s.label for s in panel.series if s.label and s.label not in names]
    else:
        single = _directly_labelled(panel)
        shown = [s.label for s in panel.series if s.label and not (single and len(s.x) <= 1)]
    return list(dict.fromkeys(map(_plain, shown)))


def _shared(entries: Sequence[Sequence[str]]) -> list[str]:
    """What stands in the legend of the figure: of several panels, what more than one of them shows."""
    every = dict.fromkeys(itertools.chain(*entries))
    return [name for name in every if len(entries) == 1 or sum(name in names for names in entries) > 1]


def _legend_rows(names: Sequence[str], columns: int) -> int:
    return math.ceil(len(names) / columns)


def _legend_names(handles: dict[str, Any]) -> list[str]:
    """A label that begins with an underscore would be left out of the legend."""
    return [f" {name}" if name.startswith("_") else name for name in handles]


def _legend(axes: Axes, handles: dict[str, Any]) -> None:
    """The panel's own legend, below its axis label."""
    if handles:
        figure = axes.get_figure(root=True)
        assert figure is not None
        below = axes.transAxes + ScaledTranslation(0, -42 / 72, figure.dpi_scale_trans)
        axes.legend(
            list(handles.values()),
            _legend_names(handles),
            loc="upper center",
            bbox_to_anchor=(0.5, 0),
            bbox_transform=below,
            ncols=min(2, len(handles)),
            fontsize=9,
            columnspacing=1.0,
            handlelength=1.6,
        )


def _share(all_axes: Sequence[Axes]) -> None:
    """The same limits on all axes."""
    for get, put in ((Axes.get_xlim, Axes.set_xlim), (Axes.get_ylim, Axes.set_ylim)):
        ends = [get(axes) for axes in all_axes]
        for axes in all_axes:
            put(axes, min(low for low, _ in ends), max(high for _, high in ends))


def _ticks(axes: Axes) -> None:
    """Ticks of log axes, at the limits as they are."""
    for axis, scale in ((axes.xaxis, axes.get_xscale()), (axes.yaxis, axes.get_yscale())):
        if scale == "log":
            left, right = axis.get_view_interval()
            axis.set_major_locator(_log_ticks(left, right, 6 if axis is axes.xaxis else 11))
            axis.set_major_formatter(ticker.FuncFormatter(_decade))
            axis.set_minor_locator(ticker.NullLocator())


def _draw_panel(
    axes: Axes, panel: Panel, keys: Sequence[str], width: float
) -> tuple[dict[str, Any], list[_Point]]:
    """Draws a panel; returns what its legend shows, by label, and the points that carry their names."""
    sideways, single = _sideways(panel), _directly_labelled(panel)
    names = _names(panel) if sideways else []
    title = textwrap.fill(_plain(panel.title), max(20, round(9.8 * width)))
    axes.set_title(title, pad=22 if (panel.horizontal if sideways else panel.vertical) else 10)
    xlabel, ylabel, xscale, yscale = panel.xlabel, panel.ylabel, panel.xscale, panel.yscale
    if sideways:
        xlabel, ylabel, xscale, yscale = ylabel, "", yscale, "linear"
        axes.set_yticks(range(len(names)), [_plain(name) for name in names])
        axes.set_ylim(len(names) - 0.4, -0.6)
        axes.grid(False, axis="y")
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
    axes.set_xlabel(_plain(xlabel))
    axes.set_ylabel(_plain(ylabel))
    if xscale == "log":
        axes.set_xscale("log")
    if yscale == "log":
        axes.set_yscale("log")
    handles: dict[str, Any] = {}
    points: list[_Point] = []
    crowded = any(len(series.x) > 30 for series in panel.series if series.kind == "points")
    empty = True
    for series in panel.series:
        shown = _finite(series, names, xscale, yscale, sideways)
        if not len(shown.x):
            continue
        empty = False
        handle = _draw_series(axes, series, style_of(_key(series), keys), shown, sideways, crowded)
        if single and len(shown.x) == 1 and series.label and not sideways:
            points.append((shown.x[0], shown.y[0], _plain(series.label)))
        elif series.label and series.label not in names:
            handles.setdefault(_plain(series.label), handle)
    if empty:
        axes.text(0.5, 0.5, "nothing to show", transform=axes.transAxes, ha="center", color=MUTED)
    for height, _ in _references(panel)[0]:
        axes.axhline(height, **REFERENCE)
    for position, _ in _references(panel)[1]:
        axes.axvline(position, **REFERENCE)
    numbers = [x for series in panel.series for x in series.x]
    if not sideways and xscale == "linear" and all(float(x).is_integer() for x in numbers):
        axes.xaxis.set_major_locator(ticker.MaxNLocator(integer=True))
    if points:
        axes.margins(x=0.12, y=0.1)
    return handles, points


class _Points(NamedTuple):
    """What the axes can show of a series, as (K,) floats; x of names is their place; low and high where given."""

    x: np.ndarray
    y: np.ndarray
    low: np.ndarray | None
    high: np.ndarray | None


def _finite(series: Series, names: list[str], xscale: str, yscale: str, sideways: bool) -> _Points:
    x = np.array([names.index(str(v)) if sideways else v for v in series.x], dtype=float)
    y = np.array(series.y, dtype=float)
    across = xscale if sideways else yscale
    keep = np.isfinite(x) & np.isfinite(y) & ((y > 0) | (across != "log"))
    keep &= (x > 0) | (xscale != "log" or sideways)
    low = None if series.low is None else np.array(series.low, dtype=float)[keep]
    high = None if series.high is None else np.array(series.high, dtype=float)[keep]
    return _Points(x[keep], y[keep], low, high)


def _draw_series(
    axes: Axes, series: Series, style: Style, points: _Points, sideways: bool, crowded: bool
) -> Any:
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
        if not _key(series):
            small = {"markersize": 2, "alpha": 0.5, "markeredgewidth": 0}
            look = small if len(x) > DENSE else {"markersize": 5, "markerfacecolor": "none"}
            look["zorder"] = 1.5
        return axes.plot(*_seen(axes, across, along), marker=marker, linestyle="none", color=colour, **look)[
            0
        ]
    line: dict[str, Any] = {"linestyle": (0, (5, 2.5))} if kind == "dashed" else {}
    if not _key(series):
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


REFERENCE: dict[str, Any] = {"color": MUTED, "linewidth": 1.1, "linestyle": (0, (1.5, 2)), "label": ""}


def _references(panel: Panel) -> tuple[list[tuple[float, str]], list[tuple[float, str]]]:
    """Horizontal and vertical lines as they are drawn, those that are finite."""
    horizontal, vertical = (
        [
            (position, _plain(text))
            for position, text in lines
            if position is not None and math.isfinite(position)
        ]
        for lines in (panel.horizontal, panel.vertical)
    )
    return (vertical, horizontal) if _sideways(panel) else (horizontal, vertical)


def _note_references(axes: Axes, panel: Panel) -> None:
    """What the reference lines are: at the end, and on the side, that fewest data come near to."""
    note: dict[str, Any] = {"textcoords": "offset points", "fontsize": 9, "color": MUTED}
    horizontal, vertical = _references(panel)
    for height, _ in horizontal:
        if 0 <= _level(axes, height) < 0.06:  # room for its name below it
            low, high = axes.transData.inverted().transform(axes.transAxes.transform([(0, -0.06), (1, 1)]))[
                :, 1
            ]
            axes.set_ylim(low, high)
    data = _data(axes) if horizontal else np.zeros((0, 2))
    for height, text in horizontal:
        level = _level(axes, height)
        wide = min(0.9, 0.017 * len(text))
        corners = [(x, up) for up in (True, False) for x in (1, 0)]

        def crowd(corner: tuple[int, bool], level: float = level, wide: float = wide) -> int:
            left, low = (1 - wide if corner[0] else 0), (level if corner[1] else level - 0.055)
            inside = (data >= (left, low)) & (data <= (left + wide, low + 0.055))
            outside = low < 0 or low + 0.055 > 1
            return int(inside.all(axis=1).sum()) + len(data) * outside

        x, up = min(corners, key=crowd)
        side: dict[str, Any] = {"ha": "right" if x else "left", "va": "bottom" if up else "top"}
        axes.annotate(
            text, (x, height), (-2 if x else 2, 2 if up else -3), axes.get_yaxis_transform(), **side, **note
        )
    for position, text in vertical:
        axes.annotate(text, (position, 1), (0, 1), axes.get_xaxis_transform(), ha="left", va="bottom", **note)


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


def _label_points(axes: Axes, points: Sequence[_Point], lines: Sequence[np.ndarray]) -> None:
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


# Numbers for the ticks of a log axis within a decade, the roundest first.
ROUND = (1, 2, 5, 3, 4, 1.5, 2.5, 6, 8, 7, 9, 1.2, 1.8, 3.5, 4.5, 1.4, 1.6, 1.7, 1.3, 2.2, 2.8, 1.1, 1.9)


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


def _plain(text: str) -> str:
    """A label as one line without control characters and lone surrogates, which SVG cannot hold."""
    shown = "".join(c if c.isprintable() else " " for c in text)
    return shown.encode("utf-8", "replace").decode("utf-8").strip()
