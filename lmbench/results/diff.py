"""Two run directories side by side: which numbers moved, which beyond noise, and which do not compare."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from lmbench.comparing.pairs import compare, unlike
from lmbench.errors import InputError
from lmbench.scoring.run import Run, load_run


def diff_runs(before: Path, after: Path) -> dict[str, Any]:
    """What changed from one run directory to another.

    ``models``: a row a model (corpus, label, seed): bits per character ``before`` and ``after``, their difference
    (after less before: negative is better) with interval and p-value from the same resampled blocks,
    ``beyond_noise`` (p ≤ 0.05), or the ``reason`` why the two do not compare. ``signatures`` in a row: the fields that
    differ. ``environment``: versions and machine where they differ. Raises InputError for what is no run.
    """
    one, other = _runs(before), _runs(after)
    return {
        "before": str(before),
        "after": str(after),
        "models": [_row(key, one.get(key), other.get(key)) for key in dict.fromkeys([*one, *other])],
        "environment": _changed(*(_results(folder).get("environment", {}) for folder in (before, after))),
    }


def _runs(folder: Path) -> dict[tuple[str, str, int], Run]:
    """The runs that the folder's results tell of; where there are no results yet, all that were scored."""
    told = {
        (row.get("corpus"), row.get("label"), row.get("seed")) for row in _results(folder).get("results", [])
    }
    found = {}
    for path in sorted((folder / "scores").glob("*/*.npz")):
        run = load_run(path)
        if run is not None and (not told or (run.corpus, run.label, run.seed) in told):
            found[run.corpus, run.label, run.seed] = run
    if not found:
        raise InputError(f"{folder} holds no scores; name a run directory, such as reports/default")
    return found


def _results(folder: Path) -> dict[str, Any]:
    import json

    try:
        return dict(json.loads((folder / "results.json").read_bytes()))
    except (OSError, TypeError, ValueError):
        return {}


def _changed(one: dict[str, Any], other: dict[str, Any]) -> dict[str, list[Any]]:
    keys = dict.fromkeys([*one, *other])
    return {key: [one.get(key), other.get(key)] for key in keys if one.get(key) != other.get(key)}


def _row(key: tuple[str, str, int], one: Run | None, other: Run | None) -> dict[str, Any]:
    row: dict[str, Any] = {
        "corpus": key[0],
        "label": key[1],
        "seed": key[2],
        "before": one and one.scores.bits_per_char,
        "after": other and other.scores.bits_per_char,
        "difference_bits_per_char": None,
        "ci95": None,
        "p_value": None,
        "beyond_noise": False,
        "signatures": {},
        "reason": None,
    }
    if one is None or other is None:
        return {**row, "reason": "only after" if one is None else "only before"}
    row["signatures"] = _changed(*(msgspec.structs.asdict(run.signature) for run in (one, other)))
    if reason := unlike(one, other):
        return {**row, "reason": f"not comparable: {reason}"}
    pair = [replace(other, label="after"), replace(one, label="before")]
    found = compare(pair).to_dict(orient="records")[0]
    difference = float(found["difference_bits_per_char"])
    if math.isnan(difference):
        return {**row, "reason": f"not comparable: {found['note']}"}
    return {
        **row,
        "difference_bits_per_char": difference,
        "ci95": [float(e) for e in found["ci95"]] if math.isfinite(difference) else None,
        "p_value": float(found["p_value"]),
        "beyond_noise": bool(found["p_value"] <= 0.05),
    }
