"""What the page carries inside itself: figures, extracts and data for its script."""

from __future__ import annotations

import base64
import json
import re
import zlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup

from lmbench.charts import style
from lmbench.charts.chart import Chart
from lmbench.comparing.extracts import Extract
from lmbench.report.page_tables import colour

# The palette of charts/draw.py, lighter, for dark pages: the same hues in the same order, 3.7 : 1 on the page at least.
DARK = (
    *("#1fa6ff", "#ffae81", "#bf4a5a", "#5eb749", "#f5a1f9", "#7f61c5", "#048e5c", "#ef6a9a"),
    *("#4ae2ac", "#d28f09", "#9dc7fe", "#968cff", "#08b6af", "#ae6105", "#f47249", "#0adbfe"),
    *("#af4e93", "#f0bb3b", "#a4d76a", "#4474cf", "#feaaa9", "#0a85a1", "#dd71c8", "#6e8204"),
)


SAMPLE, PASSAGE, WORD = 1000, 300, 40  # characters shown of a sample, a passage, a token


SECTIONS = {
    "ranks": "across",
    "quality": "quality",
    "size": "quality",
    "learning": "learning",
    "zipf": "zipf",
    "heaps": "zipf",
    "bits": "bits",
}


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}…"


def _inline_figures(
    charts: Sequence[Chart], drawn: Sequence[Sequence[str]], places: Mapping[str, str]
) -> dict[str, list[dict[str, Any]]]:
    """Charts by section, each panel an SVG whose colours follow the page's theme. drawn: of each chart its panels' SVGs. places:
    sections of single charts."""
    themed = {style.INK: "ink", style.MUTED: "muted", style.GRID: "line"}
    themed |= {colour: f"c{i}" for i, colour in enumerate(style.PALETTE)}
    sections: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for chart, svgs in zip(charts, drawn, strict=True):
        panels = []
        for svg in svgs:
            svg = svg[svg.index("<svg") :]
            svg = re.sub("|".join(themed), lambda m: f"var(--{themed[m[0]]})", svg)
            svg = re.sub(r'(<svg[^>]*?) (?:width|height)="[^"]*"', r"\1", svg, count=1)
            svg = re.sub(r'(<svg[^>]*?) (?:width|height)="[^"]*"', r"\1", svg, count=1)
            panels.append(Markup(svg.replace("<svg ", '<svg aria-hidden="true" ', 1)))
        section = places.get(chart.name) or SECTIONS.get(chart.name.split("-")[0], "more")
        sections[section].append(
            {
                "name": chart.name,
                "caption": chart.caption,
                "panels": panels,
                "wide": chart.wide,
                "crowded": any(p.crowded for p in chart.panels),
            }
        )
    return sections


def extract_data(shown: Extract, order: Sequence[str]) -> dict[str, Any]:
    """An extract as the page's script reads it: ends as steps (none where each token is a character), bits in hundredths, -1 for infinity."""
    every = np.arange(1, len(shown.text) + 1)
    tracks = []
    for track in shown.tracks:
        hundredths = np.where(
            np.isfinite(track.bits), np.round(100 * np.minimum(track.bits, 1e15)), -1
        ).astype(np.int64)
        made: dict[str, Any] = {
            "label": track.label,
            "unit": track.unit,
            "colour": colour(track.label, order),
            "bits": hundredths.tolist(),
            "oov": track.oov.nonzero()[0].tolist(),
        }
        if not np.array_equal(track.ends, every):
            made["steps"] = np.diff(track.ends, prepend=0).tolist()
        if len(track.alternatives):
            made["alternatives"] = {
                str(place): [[_short(t, WORD), float(f"{p:.2g}")] for t, p in options]
                for place, options in track.alternatives.items()
            }
        tracks.append(made)
    return {"text": shown.text, "tracks": tracks}


def packed(value: Any) -> str:
    """JSON, compressed (zlib) and in base64: what a script element may hold, whatever the text."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return base64.b64encode(zlib.compress(text.encode("utf-8", "surrogatepass"))).decode("ascii")
