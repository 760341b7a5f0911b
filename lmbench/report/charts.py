"""Charts that only select from results: learning curves, quality against cost, intervals side by side."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from lmbench.charts.chart import Chart, Panel, Series
from lmbench.report.ranking import Results, Row, corpora, interval, number, rows, truth

BITS = "bits per character"
NAMES = {"char": "character"}


def file_name(text: str) -> str:
    """A name that every file system takes: letters, digits, points and hyphens, at most 60 characters."""
    return re.sub(r"[^\w.]+", "-", text).strip("-.")[:60].strip("-.") or "unnamed"


def charts(results: Results) -> list[Chart]:
    """Every chart that the results themselves hold; those without data are left out."""
    made = []
    for corpus in corpora(results):
        for make in (bits_chart, quality_chart, size_chart, learning_chart):
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
    """Bits per character against the time to train, that of the models which a model combines included."""
    caption = (
        f"What each model of {corpus['name']} takes to train and how well it predicts; lower and further left is better. "
        "No model is both faster to train and better than one in a ring."
    )
    return _against(results, corpus, "quality", "total_fit_seconds", "time to train / s", caption)


def size_chart(results: Results, corpus: Mapping[str, Any]) -> Chart | None:
    """Bits per character against the numbers that a model keeps."""
    caption = (
        f"How many numbers each model of {corpus['name']} keeps and how well it predicts; lower and further left is "
        "better. No model is both smaller and better than one in a ring."
    )
    return _against(results, corpus, "size", "parameters", "parameters", caption)


def _against(
    results: Results, corpus: Mapping[str, Any], name: str, cost: str, label: str, caption: str
) -> Chart | None:
    """A point a ranked model, and a ring and a stair through those that are the best for their cost."""
    found = [
        (paid, row) for row in _ranked(results, corpus) if (paid := number(row.entry, cost)) and paid > 0
    ]
    if len(found) < 2:
        return None
    best = sorted((paid, row.bits or 0.0) for paid, row in found if cost in row.entry.get("best_for", ()))
    x, y = [paid for paid, _ in best], [bits for _, bits in best]
    front = []
    if best:
        furthest = max(paid for paid, _ in found)
        front.append(Series("best for the cost", [*x, furthest], [*y, y[-1]], "step", key=""))
        front.append(Series("", x, y, "ring", key=""))
    points = [Series(row.name, [paid], [row.bits or 0.0], "points", key=row.label) for paid, row in found]
    title = f"Unseen text of {corpus['name']}"
    panel = Panel(title, label, BITS, [*front, *points], "log", "log", horizontal=_truth(corpus))
    return Chart(f"{name}-{file_name(corpus['name'])}", caption, [panel])


def learning_chart(results: Results, corpus: Mapping[str, Any]) -> Chart | None:
    """Held-out (solid) and training (dashed) bits over time, a panel a unit: bits a token of one unit compare."""
    units: dict[str, list[Series]] = {}
    named: set[str] = set()
    order = {row.label: place for place, row in enumerate(rows(results, corpus["name"]))}
    entries = [e for e in results.get("results", ()) if e["corpus"] == corpus["name"]]
    for entry in sorted(entries, key=lambda e: order[str(e["label"])]):
        label = str(entry["label"])
        history = [h for h in entry.get("history") or () if number(h, "seconds") is not None]
        shown = "" if label in named else label  # of several seeds, one stands in the legend
        named |= {label} if history else set()
        for key, kind, name in (("valid_bits", "line", shown), ("train_bits", "dashed", "")):
            kept = [h for h in history if number(h, key) is not None]
            if kept:
                x, y = [number(h, "seconds") or 0.0 for h in kept], [number(h, key) or 0.0 for h in kept]
                units.setdefault(str(entry.get("unit", "token")), []).append(
                    Series(name, x, y, kind, key=label)  # type: ignore[arg-type]
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
