"""A corpus's tables for the page: leaderboard, costs, and the matrix of paired differences, ready to print."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from lmbench.charts import draw as figures
from lmbench.report.axis import Axis
from lmbench.report.columns import BEST_FOR, BOARD, COLUMNS, COST, number_text, signed_bits
from lmbench.report.ranking import Results, Row, interval, number, rows
from lmbench.report.ranking import truth as truth_of

ALPHA = 0.05  # up to which a paired difference, after Holm's correction, is called one


def colour(label: str, order: Sequence[str]) -> str:
    return f"var(--c{order.index(label) % len(figures.PALETTE)})" if label in order else "var(--muted)"


def swatch(label: str, order: Sequence[str]) -> Markup:
    return Markup('<i class="swatch" style="background:{}"></i>').format(colour(label, order))


def board(results: Results, corpus: Mapping[str, Any], order: Sequence[str]) -> dict[str, Any]:
    """A corpus's leaderboard and matrix of paired differences, ready to print."""
    found = rows(results, corpus["name"])
    truth = truth_of(corpus)
    axis = Axis(found, truth)
    columns = [COLUMNS[name] for name in BOARD]
    costs = [COLUMNS[name] for name in COST[1:]]
    lines = []
    for row in found:
        cells = [(c.text(row), sort_key(c.key(row))) for c in columns]
        above = None if truth is None or row.bits is None else row.bits - truth
        drawn = axis.draw(row, colour(row.label, order)) if row.bits is not None else ""
        lines.append({"row": row, "cells": cells, "above": above, "drawn": drawn, "key": sort_key(row.bits)})
    return {
        "name": corpus["name"],
        "columns": columns,
        "lines": lines,
        "axis": axis.head(),
        "truth": truth,
        "grouped": any(row.groups for row in found),
        "matrix": matrix(results, corpus["name"], found),
        "cost_columns": costs,
        "costs": [
            {"row": row, "cells": [(c.text(row), sort_key(c.key(row)), c.numeric) for c in costs]}
            for row in found
            if costs_told(row)
        ],
    }


def costs_told(row: Row) -> int:
    """How many of the costs a row tells; rows that have failed, and scores from elsewhere, tell none."""
    return sum(number(row.entry, key) is not None for key in BEST_FOR)


def sort_key(value: float | str | None) -> str:
    return "" if value is None else value if isinstance(value, str) else repr(float(value))


def matrix(results: Results, corpus: str, found: Sequence[Row]) -> list[dict[str, Any]]:
    """A line a model, a cell an opponent: the difference in bits per character, line minus column."""
    pairs: dict[tuple[str, str], tuple[float, Mapping[str, Any], int]] = {}
    for c in results.get("comparisons", ()):
        d = number(c, "difference_bits_per_char")
        if c["corpus"] == corpus and d is not None:
            pairs[c["a"], c["b"]], pairs[c["b"], c["a"]] = (d, c, 1), (-d, c, -1)
    ranked = dict.fromkeys(row.label for row in found if row.rank is not None)
    names = [a for a in ranked if any(a in pair for pair in pairs)]
    lines = []
    for a in names:
        cells = []
        for b in names:
            if (a, b) not in pairs:
                cells.append({"text": "", "kind": "self" if a == b else "none", "title": ""})
                continue
            d, c, sign = pairs[a, b]
            p = number(c, "p_holm")
            ends = sorted(sign * e for e in interval(c) or (d, d))
            sure = p is not None and p <= ALPHA
            title = f"{a} minus {b}: {signed_bits(d)} bits per character, 95% interval "
            title += f"{signed_bits(ends[0])} to {signed_bits(ends[1])}, p = {number_text(p, 2)} (Holm)"
            kind = ("fewer" if d < 0 else "more") if sure else "tie"
            cells.append({"text": signed_bits(d), "kind": kind, "title": title})
        lines.append({"label": a, "cells": cells})
    return lines
