"""Charts that only select from results: learning curves, quality against cost, intervals side by side."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from lmbench.charts import Chart, Panel, Series
from lmbench.report.leaderboard import Results, Row, corpora, interval, number, rows, truth

BITS = "bits per character"
NAMES = {"char": "character"}


def file_name(text: str) -> str:
    """A name that every file system takes: letters, digits, points and hyphens, at most 60 characters."""
    return re.sub(r"[^\w.]+", "-", text).strip("-.")[:60].strip("-.") or "unnamed"


def charts(results: Results) -> list[Chart]:
    """Every chart that the results themselves hold; those without data are left out."""
    made = []
    for corpus in corpora(results):
        for make in (bits_chart, quality_chart, learning_chart):
            chart = make(results, corpus)
            if chart is not None:
                made.append(chart)
    return made


def _ranked(results: Results, corpus: Mapping[str, Any]) -> list[Row]:
    found = rows(results, corpus["name"])
    return [row for row in found if row.rank is not None and row.bits is not None and row.bits < float("inf")]


def _truth(corpus: Mapping[str, Any]) -> list[tuple[float, str]]:
    known = truth(corpus)
    return [] if known is None else [(known, "entropy rate of the source")]


def bits_chart(results: Results, corpus: Mapping[str, Any]) -> Chart | None:
    """Bits per character with 95% intervals, best first, and the training text's beside them."""
    found = _ranked(results, corpus)
    if not found:
        return None
    series, trained = [], {}
    for row in found:
        bits, train = row.bits or 0.0, number(row.entry, "train_bits_per_char")
        low, high = interval(row.entry) or (bits, bits)
        series.append(Series(row.label, [row.name], [bits], "interval", [low], [high], row.label))
        if train is not None:
            trained[row.name] = train
    if trained:
        series.append(Series("training text", list(trained), list(trained.values()), "points", key=""))
    panel = Panel(f"Unseen text of {corpus['name']}", "model", BITS, series, horizontal=_truth(corpus))
    caption = (
        f"Bits per character on the unseen text of {corpus['name']}, with 95% intervals; fewer is better. "
        "A model that is far better on its training text (hollow) has memorised it."
    )
    return Chart(f"bits-{file_name(corpus['name'])}", caption, [panel])


def quality_chart(results: Results, corpus: Mapping[str, Any]) -> Chart | None:
    """Bits per character against time to train and against size, and the best that each budget buys."""
    costs = (("fit_seconds", "time to train / s"), ("parameters", "parameters"))
    panels = []
    for key, label in costs:
        found = [
            (cost, row) for row in _ranked(results, corpus) if (cost := number(row.entry, key)) and cost > 0
        ]
        if len(found) < 2:
            continue
        found.sort(key=lambda pair: (pair[0], pair[1].bits))
        best: list[tuple[float, float]] = []
        for cost, row in found:
            bits = row.bits or 0.0
            if not best or bits < best[-1][1]:
                best.append((cost, bits))
        best.append((found[-1][0], best[-1][1]))
        frontier = Series("best for the cost", [c for c, _ in best], [b for _, b in best], "step", key="")
        points = [Series(row.name, [cost], [row.bits or 0.0], "points", key=row.label) for cost, row in found]
        title = "Against time" if key == "fit_seconds" else "Against size"
        panels.append(Panel(title, label, BITS, [frontier, *points], xscale="log", horizontal=_truth(corpus)))
    if not panels:
        return None
    caption = f"What each model of {corpus['name']} costs and how well it predicts; lower and further left is better."
    return Chart(f"quality-{file_name(corpus['name'])}", caption, panels)


def learning_chart(results: Results, corpus: Mapping[str, Any]) -> Chart | None:
    """Held-out (solid) and training (dashed) bits over time, a panel a unit: bits a token of one unit compare."""
    units: dict[str, list[Series]] = {}
    for row in rows(results, corpus["name"]):
        history = [h for h in row.entry.get("history") or () if number(h, "seconds") is not None]
        for key, kind, name in (("valid_bits", "line", row.name), ("train_bits", "dashed", "")):
            kept = [h for h in history if number(h, key) is not None]
            if kept:
                x, y = [number(h, "seconds") or 0.0 for h in kept], [number(h, key) or 0.0 for h in kept]
                units.setdefault(str(row.entry.get("unit", "token")), []).append(
                    Series(name, x, y, kind, key=row.label)  # type: ignore[arg-type]
                )
    if not units:
        return None
    panels = [
        Panel(
            f"Learning {corpus['name']}", "time in training / s", f"bits per {NAMES.get(unit, unit)}", series
        )
        for unit, series in units.items()
    ]
    caption = (
        f"Learning curves on {corpus['name']}: held-out text solid, training text dashed. "
        "Where the dashed line falls and the solid one does not, the model memorises."
    )
    return Chart(f"learning-{file_name(corpus['name'])}", caption, panels)
