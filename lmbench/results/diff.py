"""Two run directories side by side: which numbers moved, which beyond noise, and which do not compare."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from lmbench.comparing.pairs import comparisons, unlike
from lmbench.errors import InputError
from lmbench.results.file import read_results
from lmbench.results.schema import Interval, Results
from lmbench.scoring.run import Run, load_run

Changed = dict[str, tuple[Any, Any]]  # what differs -> before, after


class Change(Struct, frozen=True, kw_only=True):
    """What became of one model on one corpus with one seed.

    before, after: bits per character. difference_bits_per_char: after less before, negative is better, with its interval ``ci95`` and
    ``p_value`` from the same stretches of text. beyond_noise: p ≤ 0.05. signatures: the fields that differ. trained_alike: both learnt
    from the same texts, as far as their signatures tell. reason: why the two do not compare.
    """

    corpus: str
    label: str
    seed: int
    before: float | None = None
    after: float | None = None
    difference_bits_per_char: float | None = None
    ci95: Interval | None = None
    p_value: float | None = None
    beyond_noise: bool = False
    signatures: Changed = {}
    trained_alike: bool = True
    reason: str | None = None

    @property
    def moved(self) -> int:
        """-1 where the model got better beyond noise, 1 where it got worse, else 0."""
        difference = self.difference_bits_per_char or 0.0
        return 0 if self.reason is not None or not self.beyond_noise else 1 if difference > 0 else -1


class Changes(Struct, frozen=True, kw_only=True):
    """What changed from one run directory to another. models: a row a model. environment: versions and machine where they differ."""

    before: str
    after: str
    models: list[Change]
    environment: Changed = {}

    @property
    def trained_otherwise(self) -> list[Change]:
        """The rows that compare, of models that learnt from different texts: what moved may be the text's doing."""
        return [row for row in self.models if row.reason is None and not row.trained_alike]


def diff_runs(before: Path, after: Path) -> Changes:
    """What changed from one run directory to another. Raises InputError for what is no run."""
    told = [_results(folder) for folder in (before, after)]
    one, other = (_runs(folder, results) for folder, results in zip((before, after), told, strict=True))
    return Changes(
        before=str(before),
        after=str(after),
        models=[_change(key, one.get(key), other.get(key)) for key in dict.fromkeys([*one, *other])],
        environment=_changed(*(results.environment if results else {} for results in told)),
    )


def _results(folder: Path) -> Results | None:
    """The folder's results.json, where there is one yet."""
    return read_results(folder) if (folder / "results.json").exists() else None


def _runs(folder: Path, results: Results | None) -> dict[tuple[str, str, int], Run]:
    """The runs that the folder's results tell of; where there are no results yet, all that were scored."""
    told = None if results is None else {(row.corpus, row.label, row.seed) for row in results.results}
    found = {}
    for path in sorted((folder / "scores").glob("*/*.npz")):
        run = load_run(path)
        if run is not None and (told is None or (run.corpus, run.label, run.seed) in told):
            found[run.corpus, run.label, run.seed] = run
    if not found:
        raise InputError(f"{folder} holds no scores; name a run directory, such as reports/default")
    return found


def _changed(one: Mapping[str, Any], other: Mapping[str, Any]) -> Changed:
    keys = dict.fromkeys([*one, *other])
    return {key: (one.get(key), other.get(key)) for key in keys if one.get(key) != other.get(key)}


def _change(key: tuple[str, str, int], one: Run | None, other: Run | None) -> Change:
    row = Change(
        corpus=key[0],
        label=key[1],
        seed=key[2],
        before=None if one is None else one.scores.bits_per_char,
        after=None if other is None else other.scores.bits_per_char,
    )
    if one is None or other is None:
        return msgspec.structs.replace(row, reason="only after" if one is None else "only before")
    signatures = _changed(*(msgspec.structs.asdict(run.signature) for run in (one, other)))
    learnt = [pair for key, pair in signatures.items() if key in ("train", "valid") and all(pair)]
    row = msgspec.structs.replace(row, signatures=signatures, trained_alike=not learnt)
    if reason := unlike(one, other):
        return msgspec.structs.replace(row, reason=f"not comparable: {reason}")
    (pair,) = comparisons([replace(other, label="after"), replace(one, label="before")])
    if pair.difference_bits_per_char is None or pair.p_value is None:
        return msgspec.structs.replace(row, reason=f"not comparable: {pair.note}")
    return msgspec.structs.replace(
        row,
        difference_bits_per_char=pair.difference_bits_per_char,
        ci95=pair.ci95,
        p_value=pair.p_value,
        beyond_noise=pair.p_value <= 0.05,
    )
