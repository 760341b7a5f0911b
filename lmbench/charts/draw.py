"""Draws charts. The only file that imports matplotlib; it computes nothing and knows no model.

A key (a model's label) has one colour, marker and dash everywhere, given by its place in ``order``. Panels whose
x are names are drawn sideways, so that the names read. Files are reproducible: no date, no random ids.
"""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import matplotlib
import numpy as np
from matplotlib import font_manager, ticker
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from lmbench.charts.chart import Chart, Panel, Series
from lmbench.charts.placing import leader, place

INK, MUTED, GRID, PAPER = "#1f2328", "#59636e", "#d8dee4", "#ffffff"
# Okabe & Ito (2008) without their yellow, which does not show on white; then grey and three of Tol's muted colours.
PALETTE = (
    *("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"),
    *("#6b6b6b", "#882255", "#999933", "#332288"),
)
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "p", "h")  # one fewer than colours: pairs repeat after 90 keys
FALLBACK_FONTS = ("Noto Sans CJK SC", "Noto Sans CJK JP", "WenQuanYi Zen Hei", "Noto Emoji", "Symbola")
CELL = 5.4, 3.9  # inches, a panel
NAMED = 8.6, 5.2  # the same, of a panel with the names of many points in it
MANY = 8
PIXELS = 700.0  # points closer together than a panel's width over this are drawn once


_Point = tuple[float, float, str]  # x, y and the name beside it


class Style(NamedTuple):
    """How a key is drawn."""

    colour: str
    marker: str


def style_of(key: str, order: Sequence[str]) -> Style:
    """The style of a key: by its place in ``order``; keys not in it come after all that are; '' is grey."""
    if not key:
        return Style(MUTED, MARKERS[0])
    place = order.index(key) if key in order else len(order)
    return Style(PALETTE[place % len(PALETTE)], MARKERS[place % len(MARKERS)])


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


class _quietly:
    """Our settings for a while, with the chart's name as the seed of ids, and no word of missing glyphs."""

    def __init__(self, salt: str) -> None:
        installed = set(font_manager.get_font_names())
        fonts = ["DejaVu Sans", *(f for f in FALLBACK_FONTS if f in installed)]
        self.settings: dict[str, Any] = {
            "svg.hashsalt": salt,
            "svg.fonttype": "none",
            "text.parse_math": False,  # a label may hold dollar signs
            "font.family": fonts,
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

    def __enter__(self) -> None:
        self.context = matplotlib.rc_context(self.settings)  # type: ignore[arg-type]
        self.context.__enter__()
        self.warnings = warnings.catch_warnings()
        self.warnings.__enter__()
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        warnings.filterwarnings("ignore", message="constrained_layout not applied")

    def __exit__(self, *error: Any) -> None:
        self.warnings.__exit__(*error)
        self.context.__exit__(*error)


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
    entries = _legend_entries(chart.panels)
    height = max(height, 1.3 + 0.3 * rows) + 0.22 * math.ceil(len(entries) / (2 * max(1, len(chart.panels))))
    figure = Figure((width * max(1, len(chart.panels)), height), facecolor=PAPER)
    FigureCanvasAgg(figure)
    handles: dict[str, Any] = {}
    labelled = []
    for number, panel in enumerate(chart.panels, 1):
        axes = figure.add_subplot(1, len(chart.panels), number)
        more, points = _draw_panel(axes, panel, keys)
        handles |= more
        labelled.append((axes, points, _steps(panel)))
    if handles:
        # A label that begins with an underscore would be left out of the legend.
        names = [f" {name}" if name.startswith("_") else name for name in handles]
        columns = 2 * len(chart.panels)
        figure.legend(
            list(handles.values()), names, loc="outside lower center", ncols=min(columns, len(names))
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
    found = []
    for series in panel.series:
        if series.kind == "step" and len(series.x) and not _sideways(panel):
            x, y = np.repeat(np.array(series.x, float), 2)[1:], np.repeat(np.array(series.y, float), 2)[:-1]
            found.append(np.stack([x, y], axis=1))
    return found


def wide(chart: Chart) -> bool:
    """Whether a chart wants the whole width of a page: several panels, or the names of many points."""
    return len(chart.panels) > 1 or any(map(_crowded, chart.panels))


def _crowded(panel: Panel) -> bool:
    return _directly_labelled(panel) and len(panel.series) > MANY


def _legend_entries(panels: Iterable[Panel]) -> list[str]:
    entries: dict[str, None] = {}
    for panel in panels:
        if _sideways(panel):
            names = _names(panel)
            entries |= dict.fromkeys(s.label for s in panel.series if s.label and s.label not in names)
        else:
            single = _directly_labelled(panel)
            entries |= dict.fromkeys(
                s.label for s in panel.series if s.label and not (single and len(s.x) <= 1)
            )
    return list(entries)


def _draw_panel(axes: Axes, panel: Panel, keys: Sequence[str]) -> tuple[dict[str, Any], list[_Point]]:
    """Draws a panel; returns what its legend shows, by label, and the points that carry their names."""
    sideways, single = _sideways(panel), _directly_labelled(panel)
    names = _names(panel) if sideways else []
    axes.set_title(_plain(panel.title), pad=22 if (panel.horizontal if sideways else panel.vertical) else 10)
    horizontal, vertical = panel.horizontal, panel.vertical
    xlabel, ylabel, xscale, yscale = panel.xlabel, panel.ylabel, panel.xscale, panel.yscale
    if sideways:
        horizontal, vertical = vertical, horizontal
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
    _draw_references(axes, horizontal, vertical)
    for axis, scale in ((axes.xaxis, xscale), (axes.yaxis, yscale)):
        if scale == "log":
            left, right = axis.get_view_interval()
            axis.set_major_locator(_log_ticks(left, right, 6 if axis is axes.xaxis else 11))
            axis.set_major_formatter(ticker.FuncFormatter(_decade))
            axis.set_minor_locator(ticker.NullLocator())
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
        return axes.plot(across, along, marker, color=colour, markersize=4)[0]
    if low is not None and high is not None and not sideways:
        axes.fill_between(x, low, high, color=colour, alpha=0.15, linewidth=0)
    if kind == "ring":
        return axes.plot(
            across, along, "o", color=INK, markersize=13, markerfacecolor="none", markeredgewidth=1.1
        )[0]
    if kind == "points":
        look: dict[str, Any] = {"markersize": 3, "alpha": 0.75} if crowded else {"markersize": 6.5}
        if not _key(series):
            look |= {"markersize": 5, "markerfacecolor": "none", "zorder": 1.5}
        return axes.plot(*_seen(axes, across, along), marker, color=colour, **look)[0]
    line: dict[str, Any] = {"linestyle": (0, (5, 2.5))} if kind == "dashed" else {}
    if not _key(series):
        line |= {"linewidth": 1.2, "zorder": 1.5}
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


def _draw_references(
    axes: Axes, horizontal: Sequence[tuple[float, str]], vertical: Sequence[tuple[float, str]]
) -> None:
    line: dict[str, Any] = {"color": MUTED, "linewidth": 1.1, "linestyle": (0, (1.5, 2))}
    note: dict[str, Any] = {"textcoords": "offset points", "va": "bottom", "fontsize": 9, "color": MUTED}
    for y, text in horizontal:
        if math.isfinite(y):
            axes.axhline(y, **line)
            axes.annotate(_plain(text), (1, y), (-2, 2), axes.get_yaxis_transform(), ha="right", **note)
    for x, text in vertical:
        if math.isfinite(x):
            axes.axvline(x, **line)
            axes.annotate(_plain(text), (x, 1), (0, 1), axes.get_xaxis_transform(), ha="left", **note)


def _label_points(axes: Axes, points: Sequence[_Point], lines: Sequence[np.ndarray]) -> None:
    """Names beside points, in the frame and clear of points, lines and one another; far ones with a line."""
    figure = axes.get_figure(root=True)
    assert figure is not None
    renderer = figure.canvas.get_renderer()  # type: ignore[attr-defined]
    unit = figure.dpi / 72
    at = axes.transData.transform(np.array([(x, y) for x, y, _ in points])) / unit
    notes = [
        axes.annotate(text, (x, y), (0, 0), textcoords="offset points", fontsize=9.5, color=INK)
        for x, y, text in points
    ]
    extents = [note.get_window_extent(renderer) for note in notes]
    sizes = np.array([(box.width, box.height) for box in extents]) / unit
    corners = [axes.transData.transform(line) / unit for line in lines]
    segments = [np.stack([line[:-1], line[1:]], axis=1) for line in corners if len(line) > 1]
    frame = np.array(axes.get_window_extent(renderer).get_points()) / unit
    found = place(at, sizes, frame, np.concatenate([np.zeros((0, 2, 2)), *segments]))
    for (x, y, _), note, here, corner, size in zip(points, notes, at, found, sizes, strict=True):
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
        return ticker.LogLocator(subs=(1, 2, 5) if right < 100 * left else (1,), numticks=most)
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
