"""Draws charts: the figure, its panels and legends. It computes nothing and knows no model.

``series``, ``ticks`` and ``labels`` are its hands; they, ``shapes`` and this file alone import matplotlib.

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
from dataclasses import dataclass
from typing import Any

import numpy as np

from lmbench.errors import InputError

try:
    import matplotlib
except ValueError as error:
    raise InputError(f"matplotlib does not start ({error}); correct MPLBACKEND or its matplotlibrc") from None
from matplotlib import font_manager, ticker
from matplotlib.axes import Axes as Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.transforms import ScaledTranslation

from lmbench.charts.chart import Chart, Panel
from lmbench.charts.labels import Point, label_points, note_references, one_line, references
from lmbench.charts.series import draw_series, finite_points
from lmbench.charts.style import GRID, INK, MUTED, PAPER, style_of
from lmbench.charts.ticks import set_ticks

FALLBACK_FONTS = ("Noto Sans CJK SC", "Noto Sans CJK JP", "WenQuanYi Zen Hei", "Noto Emoji", "Symbola")
CELL = 5.4, 3.9  # inches, a panel
LONG = 27  # letters of a name that takes a legend's row alone
NAMED = 8.6, 5.2  # the same, of a panel with the names of many points in it


def draw(chart: Chart, order: Sequence[str] = (), transparent: bool = False) -> tuple[bytes, str]:
    """A chart as (PNG bytes at 200 dpi, SVG text). ``order``: the keys that have a colour of their own."""
    with _quietly(chart.name):
        figure = _figure(chart, order)
        return _save(figure, "png", transparent), _save(figure, "svg", transparent).decode("utf-8")


@dataclass(frozen=True)
class Drawn:
    """A chart as PNG bytes and SVG text, and each panel as an SVG of its own."""

    png: bytes
    svg: str
    panels: list[str]


def draw_all(chart: Chart, order: Sequence[str] = ()) -> Drawn:
    """A chart for files and for a page; what is the same in both is laid out once."""
    with _quietly(chart.name):
        figure = _figure(chart, order)
        png, svg = _save(figure, "png", False), _save(figure, "svg", False).decode("utf-8")
        alone = [_save(figure, "svg", True).decode("utf-8")] if len(chart.panels) == 1 else None
    return Drawn(png, svg, draw_panels(chart, order) if alone is None else alone)


def draw_on(chart: Chart, order: Sequence[str] = (), ax: Axes | None = None) -> Axes:
    """The first panel of a chart on axes that are there, or on those of a new figure of pyplot; returns them."""
    if ax is None:
        from matplotlib import pyplot

        # Made before our settings begin: the backend of a notebook changes some when its first figure is made.
        figure = pyplot.figure(facecolor=PAPER)
        with _quietly(chart.name):
            return _filled(figure, chart, order).axes[0]
    with _quietly(chart.name):
        panel = chart.panels[0]
        entries, points = _draw_panel(ax, panel, _keys(chart, order), CELL[0])
        _legend(ax, entries)
        note_references(ax, panel)
        set_ticks(ax)
        label_points(ax, points, _steps(panel))
        return ax


def draw_pdf(chart: Chart, order: Sequence[str] = ()) -> bytes:
    """A chart as PDF, its text as text."""
    with _quietly(chart.name):
        return _save(_figure(chart, order), "pdf", transparent=False)


def draw_panels(chart: Chart, order: Sequence[str] = ()) -> list[str]:
    """Each panel as an SVG text of its own, on no background: for pages that lay panels out themselves."""
    svgs = []
    for number, panel in enumerate(chart.panels):
        alone = Chart(f"{chart.name}-{number}", chart.caption, [panel])
        with _quietly(alone.name):
            svgs.append(_save(_figure(alone, order), "svg", transparent=True).decode("utf-8"))
    return svgs


# What would differ from one drawing to the next, by format.
DATELESS: dict[str, dict[str, Any]] = {
    "svg": {"Date": None, "Creator": None},
    "png": {"Software": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}

SETTINGS: dict[str, Any] = {
    "svg.fonttype": "none",
    "pdf.fonttype": 42,  # fonts that journals take
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
    figure.savefig(stream, format=kind, metadata=DATELESS[kind], transparent=transparent)
    return stream.getvalue()


def _keys(chart: Chart, order: Sequence[str]) -> list[str]:
    """The keys in the order that gives them their styles."""
    shown = [series.colour_key for panel in chart.panels for series in panel.series]
    keys = [*order] if any(key in order for key in shown) else []  # laws and counts have colours of their own
    return keys + list(dict.fromkeys(key for key in shown if key and key not in keys))


def _figure(chart: Chart, order: Sequence[str]) -> Figure:
    """A figure that only files know of."""
    figure = Figure(facecolor=PAPER)
    FigureCanvasAgg(figure)
    return _filled(figure, chart, order)


def _filled(figure: Figure, chart: Chart, order: Sequence[str]) -> Figure:
    """The chart on an empty figure, which is made as large as it needs."""
    keys = _keys(chart, order)
    width, height = NAMED if any(panel.crowded for panel in chart.panels) else CELL
    rows = max([len(panel.names) for panel in chart.panels if panel.sideways], default=0)
    entries = [_legend_entries(panel) for panel in chart.panels]
    shared = _shared(entries)
    own = max(
        [_legend_rows(rest := [n for n in names if n not in shared], _columns(rest)) for names in entries],
        default=0,
    )
    height = max(height, 1.3 + 0.3 * rows) + 0.22 * (
        own + _legend_rows(shared, _columns(shared) * max(1, len(chart.panels)))
    )
    figure.set_size_inches(width * max(1, len(chart.panels)), height)
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
        note_references(axes, panel)
        set_ticks(axes)
    if handles:
        columns = min(_columns(list(handles)) * len(chart.panels), len(handles))
        figure.legend(
            list(handles.values()), _legend_names(handles), loc="outside lower center", ncols=columns
        )
    # Laid out once for all formats; then names of points can be placed, and stay where they are.
    if chart.panels:
        layout = ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.06)
        for _ in range(2):  # once more with the ticks that the first found room for
            layout.execute(figure)
    for axes, points, lines in labelled:
        label_points(axes, points, lines)
    return figure


def _steps(panel: Panel) -> list[np.ndarray]:
    """The corners of a panel's stairs, (N, 2) each, which names of points had better not cover."""
    stairs = []
    for series in panel.series:
        if series.kind == "step" and len(series.x) and not panel.sideways:
            x, y = np.repeat(np.array(series.x, float), 2)[1:], np.repeat(np.array(series.y, float), 2)[:-1]
            stairs.append(np.stack([x, y], axis=1))
    return stairs


def _legend_entries(panel: Panel) -> list[str]:
    """What a panel's legend shows, as it is written there."""
    if panel.sideways:
        names = panel.names
        shown = [s.label for s in panel.series if s.label and s.label not in names]
    else:
        single = panel.directly_labelled
        shown = [s.label for s in panel.series if s.label and not (single and len(s.x) <= 1)]
    return list(dict.fromkeys(map(one_line, shown)))


def _shared(entries: Sequence[Sequence[str]]) -> list[str]:
    """What stands in the legend of the figure: of several panels, what more than one of them shows."""
    every = dict.fromkeys(itertools.chain(*entries))
    return [name for name in every if len(entries) == 1 or sum(name in names for names in entries) > 1]


def _legend_rows(names: Sequence[str], columns: int) -> int:
    return math.ceil(len(names) / columns)


def _columns(names: Sequence[str]) -> int:
    """Columns of a panel's own legend: two, where its names are short."""
    return 1 if any(len(name) > LONG for name in names) else 2


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
            ncols=min(_columns(list(handles)), len(handles)),
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


def _draw_panel(
    axes: Axes, panel: Panel, keys: Sequence[str], width: float
) -> tuple[dict[str, Any], list[Point]]:
    """Draws a panel; returns what its legend shows, by label, and the points that carry their names."""
    sideways, single = panel.sideways, panel.directly_labelled
    names = panel.names if sideways else []
    room = (
        9.8 * width * (0.66 if sideways else 1.0)
    )  # names stand to the left of axes that are drawn sideways
    title = textwrap.fill(one_line(panel.title), max(20, round(room)))
    axes.set_title(title, pad=22 if (panel.horizontal if sideways else panel.vertical) else 10)
    xlabel, ylabel, xscale, yscale = panel.xlabel, panel.ylabel, panel.xscale, panel.yscale
    if sideways:
        xlabel, ylabel, xscale, yscale = ylabel, "", yscale, "linear"
        axes.set_yticks(range(len(names)), [one_line(name) for name in names])
        axes.set_ylim(len(names) - 0.4, -0.6)
        axes.grid(False, axis="y")
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
    axes.set_xlabel(one_line(xlabel))
    axes.set_ylabel(one_line(ylabel))
    if xscale == "log":
        axes.set_xscale("log")
    if yscale == "log":
        axes.set_yscale("log")
    handles: dict[str, Any] = {}
    points: list[Point] = []
    crowded = any(len(series.x) > 30 for series in panel.series if series.kind == "points")
    empty = True
    for series in panel.series:
        shown = finite_points(series, names, xscale, yscale, sideways)
        if not len(shown.x):
            continue
        empty = False
        handle = draw_series(axes, series, style_of(series.colour_key, keys), shown, sideways, crowded)
        if single and len(shown.x) == 1 and series.label and not sideways:
            points.append((shown.x[0], shown.y[0], one_line(series.label)))
        elif series.label and series.label not in names:
            handles.setdefault(one_line(series.label), handle)
    if empty:
        axes.text(0.5, 0.5, "nothing to show", transform=axes.transAxes, ha="center", color=MUTED)
    for height, _ in references(panel)[0]:
        axes.axhline(height, **REFERENCE)
    for position, _ in references(panel)[1]:
        axes.axvline(position, **REFERENCE)
    numbers = [x for series in panel.series for x in series.x]
    if not sideways and xscale == "linear" and all(float(x).is_integer() for x in numbers):
        axes.xaxis.set_major_locator(ticker.MaxNLocator(integer=True))
    if points:
        axes.margins(x=0.12, y=0.1)
    return handles, points


REFERENCE: dict[str, Any] = {"color": MUTED, "linewidth": 1.1, "linestyle": (0, (1.5, 2)), "label": ""}
