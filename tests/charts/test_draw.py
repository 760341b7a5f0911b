"""Figures as files: reproducible, complete, and never broken by a label or a number."""

from __future__ import annotations

import io
import math
import re
import warnings
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
import report_example as example

from lmbench.charts import draw as figures
from lmbench.charts import style
from lmbench.charts.chart import Chart, Kind, Panel, Series
from lmbench.charts.shapes import shape

ORDER = list(example.LABELS)


def chart(*series: Series, **changed: object) -> Chart:
    return Chart("c", "caption", [Panel("title", "x / s", "y / bits", series, **changed)])  # type: ignore[arg-type]


def pixels(png: bytes) -> np.ndarray:
    from matplotlib.image import imread

    return np.asarray(imread(io.BytesIO(png), format="png"))[..., :3]


def shows(png: bytes, colour: str) -> bool:
    wanted = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return bool((np.abs(pixels(png) - wanted).max(-1) < 0.02).any())


def test_the_same_chart_gives_the_same_bytes() -> None:
    assert figures.draw(example.zipf_chart()) == figures.draw(example.zipf_chart())


def test_svg_is_xml_with_axes_named() -> None:
    _, svg = figures.draw(chart(Series("m", [1, 2], [3, 4])))
    ElementTree.fromstring(svg)
    assert "x / s" in svg
    assert "y / bits" in svg
    assert "<dc:date>" not in svg


def test_a_key_has_one_colour_whatever_else_is_drawn() -> None:
    alone, _ = figures.draw(chart(Series("lstm", [1, 2], [3, 4])), ORDER)
    among, _ = figures.draw(
        chart(Series("trigram", [1], [2]), Series("x", [1, 2], [3, 4], key="lstm")), ORDER
    )
    colour = style.style_of("lstm", ORDER).colour
    assert shows(alone, colour)
    assert shows(among, colour)


def test_every_model_up_to_24_has_a_colour_and_a_shape_of_its_own() -> None:
    keys = [str(i) for i in range(24 * 24)]
    first = [style.style_of(key, keys) for key in keys[:24]]
    assert len({s.colour for s in first}) == len({s.marker for s in first}) == 24
    assert len({style.style_of(key, keys) for key in keys}) == 24 * 24
    assert style.style_of("", keys).colour == style.MUTED


def test_shapes_are_drawn_and_differ() -> None:
    drawn = [
        figures.draw(chart(Series("a", [1.0], [2.0], key=str(i))), list(map(str, range(24))))[0]
        for i in (0, 17, 19)
    ]
    assert len(set(drawn)) == 3


def test_palette_stands_out_from_both_papers() -> None:
    from lmbench.report.inline import DARK

    assert len(DARK) == len(style.PALETTE) == 24
    for colours, paper in ((style.PALETTE, "#ffffff"), (DARK, "#14171c")):
        assert len(set(colours)) == 24
        assert min(contrast(c, paper) for c in colours) >= 3  # WCAG 2.1, 1.4.11
    assert contrast("#000000", "#ffffff") == pytest.approx(21)


def contrast(a: str, b: str) -> float:
    """The ratio of WCAG 2.1."""

    def luminance(colour: str) -> float:
        channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        r, g, b = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
        return 0.2126 * r + 0.7152 * g + 0.0722 * b

    light, dark = sorted((luminance(a), luminance(b)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


HOSTILE = ["_hidden", "$\\frac{1}{$", "模型 🙂", "<b>&", "a\x00b\nc", "\ud800", "", "x" * 80]


@pytest.mark.parametrize("kind", ["line", "points", "step", "bar", "interval", "dashed"])
def test_no_label_and_no_number_breaks_a_figure(kind: Kind) -> None:
    bad = [1.0, math.nan, math.inf, -1.0, 0.0]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scale = "linear" if kind in ("bar", "points") else "log"
        named = [Series(t, [1, 2, 3, 4, 5], bad, kind, bad, bad) for t in HOSTILE]
        names = [Series(t, [t], [2.0], kind, [1.0], [3.0]) for t in HOSTILE]
        made = chart(*named, xscale=scale, yscale=scale, horizontal=[(math.nan, "$"), (1, "t")])
        for svg in figures.draw_panels(made) + figures.draw_panels(chart(*names, vertical=[(1, "v")])):
            ElementTree.fromstring(svg)


def test_labels_that_begin_with_an_underscore_are_in_the_legend() -> None:
    _, svg = figures.draw(chart(Series("_mine", [1, 2], [3, 4])))
    assert "_mine" in svg


@pytest.mark.parametrize(
    "made", [chart(), Chart("empty", "", []), chart(Series("a", [], [])), chart(Series("a", [1], [math.inf]))]
)
def test_nothing_to_show_is_a_picture_too(made: Chart) -> None:
    png, svg = figures.draw(made)
    assert png[:4] == b"\x89PNG"
    ElementTree.fromstring(svg)


def test_points_that_cover_one_another_are_drawn_once() -> None:
    x = np.linspace(1, 2, 100_000)
    _, svg = figures.draw(chart(Series("a", x, x, "points")))
    assert len(svg) < 400_000
    assert svg.count("<use") > 400


def test_what_several_panels_show_is_named_once_and_the_rest_beside_its_panel() -> None:
    both, left = Series("both", [1, 2], [3, 4]), Series("left alone", [1, 2], [4, 5])
    made = Chart("c", "", [Panel("a", "x", "y", [both, left]), Panel("b", "x", "y", [both])])
    _, svg = figures.draw(made)
    assert svg.count(">both<") == svg.count(">left alone<") == 1


def test_panels_of_the_same_scales_have_the_same_limits() -> None:
    panels = [
        Panel("a", "x", "y", [Series("s", [1, 2], [1, 10])]),
        Panel("b", "x", "y", [Series("s", [5, 6], [200, 300])]),
    ]
    _, apart = figures.draw(Chart("c", "", panels))
    _, same = figures.draw(Chart("c", "", panels, same_scales=True))
    assert apart.count(">300<") == 1
    assert same.count(">300<") == 2


def test_a_reference_is_named_where_no_data_are() -> None:
    rising = Series("s", list(range(50)), [0.0] * 25 + [1.05] * 25)
    _, svg = figures.draw(chart(rising, horizontal=[(1.0, "the rate")]))
    before = svg[: svg.index(">the rate<")].rsplit("<text", 1)[1]
    assert "text-anchor: end" not in before  # at the left end: the data are at the right


@pytest.mark.parametrize("odd", [None, math.nan])
def test_charts_come_back_from_their_plain_values(odd: float | None) -> None:
    import msgspec

    made = chart(
        Series("s", ["a"], [1.0], "interval", [0.5], [2.0], "k"), horizontal=[(1.0, "one")], xscale="log"
    )
    again = msgspec.json.decode(msgspec.json.encode(made), type=Chart)
    assert msgspec.json.encode(again) == msgspec.json.encode(made)
    assert figures.draw(again) == figures.draw(made)
    told = msgspec.json.encode(chart(Series("s", [1, 2], [1.0, odd]), horizontal=[(odd, "none")]))
    figures.draw(msgspec.json.decode(told, type=Chart))


def test_panels_are_drawn_alone() -> None:
    made = example.zipf_chart()
    assert len(figures.draw_panels(made)) == len(made.panels) == 2


@pytest.mark.parametrize("kind", ["interval", "points"])
def test_every_shape_marks_a_point_and_none_is_a_line(kind: Kind) -> None:
    keys = [f"m{i}" for i in range(len(style.MARKERS))]
    series = [Series("", [key], [float(i)], kind, key=key) for i, key in enumerate(keys)]
    _, svg = figures.draw(Chart("shapes", "All of them.", [Panel("", "model", "bits", series)]), keys)
    # A line would be stroked in its model's colour and not filled.
    assert [colour for colour in style.PALETTE if f"fill: none; stroke: {colour}" in svg] == []


def test_shapes_of_pages_are_those_of_figures():
    """Every marker as a path within -1 .. 1, each its own, curves and all."""
    paths = [shape(marker) for marker in style.MARKERS]
    assert len(set(paths)) == len(paths) == len(style.PALETTE)
    for path in paths:
        numbers = [float(n) for n in re.findall(r"-?[\d.]+", path)]
        assert path.startswith("M")
        assert max(map(abs, numbers)) == 1.0
    assert shape("s") == "M-1 1 L1 1 L1 -1 L-1 -1 Z"
    assert "C" in shape("o")
    assert shape("^").startswith("M0 -1 ")  # the first corner is the top


def test_a_reference_at_zero_has_no_place_on_a_logarithmic_axis():
    """A program that needs no bits of a text that says one thing again and again, beside a model that needs some."""
    bars = Series("s", ["a", "b"], [3.5, 0.02], "interval", [3.4, 0.01], [3.6, 0.03], "k")
    for scale, drawn in (("log", 0), ("linear", 1)):
        png, svg = figures.draw(chart(bars, yscale=scale, horizontal=[(0.0, "bz2")]))
        assert png.startswith(b"\x89PNG")
        assert svg.count(">bz2<") == drawn
