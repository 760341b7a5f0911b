"""Figures as files: reproducible, complete, and never broken by a label or a number."""

from __future__ import annotations

import io
import math
import warnings
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
import report_example as example

from lmbench.charts import draw as figures
from lmbench.charts.chart import Chart, Kind, Panel, Series

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
    colour = figures.style_of("lstm", ORDER).colour
    assert shows(alone, colour)
    assert shows(among, colour)


def test_styles_repeat_only_after_ninety_keys() -> None:
    keys = [str(i) for i in range(90)]
    assert len({figures.style_of(key, keys) for key in keys}) == 90
    assert figures.style_of("", keys).colour == figures.MUTED


def test_palette_stands_out_from_both_papers() -> None:
    from lmbench.report.inline import DARK

    assert len(DARK) == len(figures.PALETTE)
    for colours, paper in ((figures.PALETTE, "#ffffff"), (DARK, "#14171c")):
        assert min(contrast(c, paper) for c in colours) > 2  # beside a marker and a name of its own
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


def test_panels_are_drawn_alone() -> None:
    made = example.zipf_chart()
    assert len(figures.draw_panels(made)) == len(made.panels) == 2
