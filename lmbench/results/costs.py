"""What quality costs: rates of training from what a model has measured, and the models that are the best for their cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

COSTS = ("total_fit_seconds", "score_seconds", "parameters")


def mark_fronts(rows: Sequence[dict[str, Any]]) -> None:
    """Sets ``best_for`` of one corpus's ranked rows: the costs for which no row with fewer bits costs less or the same.

    Of rows that cost the same, that with the fewest bits; each of ``COSTS`` where a row has that cost.
    """
    for row in rows:
        row["best_for"] = []
    for cost in COSTS:
        priced = [row for row in rows if row.get(cost) is not None and row.get("bits_per_char") is not None]
        best = float("inf")
        for row in sorted(priced, key=lambda row: (row[cost], row["bits_per_char"])):
            if row["bits_per_char"] < best:
                best = row["bits_per_char"]
                row["best_for"].append(cost)
