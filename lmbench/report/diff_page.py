"""The page of ``lmbench diff --html``: what moved from one run directory to another, in the report's dress."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from lmbench.report.page import legal, page_environment, template

WIDTH, HEIGHT = 170, 20


def changes_html(found: Mapping[str, Any]) -> str:
    """One self-contained page of what ``diff_runs`` found."""
    compared = [row for row in found["models"] if row["reason"] is None]
    ends = [abs(e) for row in compared for e in (*(row["ci95"] or ()), row["difference_bits_per_char"])]
    furthest = max(filter(math.isfinite, ends), default=0.0) or 1.0
    rows = [{**row, "drawn": _interval(row, furthest), "kind": _kind(row)} for row in found["models"]]
    page = page_environment().get_template("diff.html")
    told = {"found": found, "answer": changes_answer(found), "rows": rows, "furthest": furthest}
    return legal(page.render(told, js=Markup(template("page.js"))))


def changes_answer(found: Mapping[str, Any]) -> str:
    """What moved, in one sentence."""
    compared = [row for row in found["models"] if row["reason"] is None]
    if not compared:
        return "No model of the two runs compares."
    better = _named([row for row in compared if _kind(row) == "fewer"], compared)
    worse = _named([row for row in compared if _kind(row) == "more"], compared)
    if not better and not worse:
        return f"Nothing moved beyond noise ({_count(len(compared))} compared)."
    said = [f"{better} better" if better else "", f"{worse} worse" if worse else ""]
    return f"Beyond noise, {' and '.join(filter(None, said))} ({_count(len(compared))} compared)."


def _named(rows: Sequence[Mapping[str, Any]], compared: Sequence[Mapping[str, Any]]) -> str:
    """Up to three of the rows by name, or how many they are, with the verb."""
    several = len({row["corpus"] for row in compared}) > 1
    names = [f"{row['label']} on {row['corpus']}" if several else str(row["label"]) for row in rows]
    if len(names) > 3:
        return f"{len(names)} models got"
    return f"{', '.join(names)} got" if names else ""


def _count(models: int) -> str:
    return "1 model" if models == 1 else f"{models} models"


def _kind(row: Mapping[str, Any]) -> str:
    """The style of a row's difference: fewer bits, more, or none that noise does not explain."""
    if row["reason"] is not None or not row["beyond_noise"]:
        return "tie"
    return "fewer" if row["difference_bits_per_char"] < 0 else "more"


def _interval(row: Mapping[str, Any], furthest: float) -> Markup:
    """A row's difference and interval to the left (better) or right of nothing."""
    if row["reason"] is not None or row["ci95"] is None:
        return Markup("")

    def at(value: float) -> float:
        return round(WIDTH / 2 + value / furthest * (WIDTH / 2 - 8), 1)

    difference = row["difference_bits_per_char"]
    low, high = row["ci95"]
    drawn = Markup(
        '<svg class="interval" viewBox="0 0 {w} {h}" aria-hidden="true"><line class="tick" x1="{zero}" x2="{zero}" y1="0" '
        'y2="{h}"/><line class="ci" x1="{low}" x2="{high}" y1="{y}" y2="{y}"/><circle class="dot" cx="{x}" cy="{y}" r="3.6"/></svg>'
    )
    places = {"zero": at(0), "low": at(low), "high": at(high), "x": at(difference)}
    return drawn.format(w=WIDTH, h=HEIGHT, y=HEIGHT / 2, **places)
