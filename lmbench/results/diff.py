"""Two run directories side by side: which models moved, which beyond noise, by a size that matters, and which do not compare."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from msgspec import Struct

from lmbench.comparing.family import holm
from lmbench.comparing.pairs import WORTHWHILE, Comparison, comparisons, unlike
from lmbench.comparing.summed import Summed
from lmbench.errors import InputError
from lmbench.results.file import read_results
from lmbench.results.schema import Ends, Results

Changed = dict[str, tuple[Any, Any]]  # what differs -> before, after


class Change(Struct, frozen=True, kw_only=True):
    """What became of one model on one corpus.

    seeds_before, seeds_after: of training; what follows is of the mean over them, and its error holds what training still varies it by.
    before, after: bits per character. difference_bits_per_char: after less before, negative is better, with its interval ``ci95`` and
    ``p_value``; percent: of the bits before. p_corrected: for all models that the two runs compare. beyond_noise: it is ≤ 0.05.
    worthwhile: the difference is of a size that matters. same: two one-sided tests put it within that size, and
    it is not beyond noise. signatures: the fields that differ. trained_alike: both learnt from the same texts, as far as their signatures
    tell. reason: why the two do not compare.
    """

    corpus: str
    label: str
    seeds_before: list[int] = []
    seeds_after: list[int] = []
    before: float | None = None
    after: float | None = None
    difference_bits_per_char: float | None = None
    ci95: Ends | None = None
    percent: float | None = None
    p_value: float | None = None
    p_corrected: float | None = None
    beyond_noise: bool = False
    worthwhile: bool = False
    same: bool = False
    signatures: Changed = {}
    trained_alike: bool = True
    reason: str | None = None

    @property
    def moved(self) -> int:
        """-1 where the model got better beyond noise, 1 where it got worse, else 0."""
        difference = self.difference_bits_per_char or 0.0
        return 0 if self.reason is not None or not self.beyond_noise else 1 if difference > 0 else -1

    @property
    def verdict(self) -> str:
        """What came of the comparison, in words."""
        if self.reason is not None:
            return self.reason
        if self.beyond_noise:
            said = "worse" if self.moved > 0 else "better"
            return said if self.worthwhile else f"{said}, by hardly anything"
        if self.difference_bits_per_char == 0:
            return "unchanged"
        return "the same" if self.same else "too short to tell"


class Changes(Struct, frozen=True, kw_only=True):
    """What changed from one run directory to another.

    models: a row a model. environment: versions and machine where they differ. tolerance: the least difference that matters, in bits
    per character.
    """

    before: str
    after: str
    models: list[Change]
    environment: Changed = {}
    tolerance: float = WORTHWHILE

    @property
    def compared(self) -> list[Change]:
        """The rows that compare."""
        return [row for row in self.models if row.reason is None]

    @property
    def trained_otherwise(self) -> list[Change]:
        """The rows that compare, of models that learnt from different texts: what moved may be the text's doing."""
        return [row for row in self.compared if not row.trained_alike]


def diff_runs(before: Path, after: Path, tolerance: float = WORTHWHILE) -> Changes:
    """What changed from one run directory to another.

    All models that compare are one family: p-values are corrected together, on one corpus by the draws that its rows share, on several
    by Holm's steps. Several seeds of a label are averaged. tolerance: bits per character, the least difference that
    matters, ≥ 0. Raises InputError for what is no run.
    """
    documents = [_results(folder) for folder in (before, after)]
    one, other = (_runs(folder, results) for folder, results in zip((before, after), documents, strict=True))
    rows = [_change(key, one.get(key, []), other.get(key, [])) for key in dict.fromkeys([*one, *other])]
    alike = [(row.corpus, row.label) for row in rows if row.reason is None]
    pairs = _pairs({key: (one[key], other[key]) for key in alike}, tolerance)
    return Changes(
        before=str(before),
        after=str(after),
        models=[_judged(row, pairs.get((row.corpus, row.label)), tolerance) for row in rows],
        environment=_changed(*(results.environment if results else {} for results in documents)),
        tolerance=tolerance,
    )


def scored_rows(folder: Path) -> set[tuple[str, str]]:
    """The corpora and labels that a run directory has scores of. Raises InputError where it has none."""
    return set(_runs(folder, _results(folder)))


def _results(folder: Path) -> Results | None:
    """The folder's results.json, where there is one yet."""
    return read_results(folder) if (folder / "results.json").exists() else None


def _runs(folder: Path, results: Results | None) -> dict[tuple[str, str], list[Summed]]:
    """By corpus and label the runs that the folder's results tell of, one a seed; where there are no results yet, all that were scored."""
    rows = None if results is None else {(row.corpus, row.label, row.seed) for row in results.results}
    runs: dict[tuple[str, str], dict[int, Summed]] = {}
    for path in sorted((folder / "scores").glob("*/*.npz")):
        run = Summed.stored(path)
        if rows is None or (run.corpus, run.label, run.seed) in rows:
            runs.setdefault((run.corpus, run.label), {})[run.seed] = run
    if not runs:
        raise InputError(f"{folder} holds no scores; name a run directory, such as reports/default")
    return {key: [seeds[seed] for seed in sorted(seeds)] for key, seeds in runs.items()}


def _changed(one: Mapping[str, Any], other: Mapping[str, Any]) -> Changed:
    keys = dict.fromkeys([*one, *other])
    return {key: (one.get(key), other.get(key)) for key in keys if one.get(key) != other.get(key)}


def _change(key: tuple[str, str], one: Sequence[Summed], other: Sequence[Summed]) -> Change:
    """A row before its comparison: what it is of, and why the two do not compare, where they do not."""
    row = Change(
        corpus=key[0],
        label=key[1],
        seeds_before=[run.seed for run in one],
        seeds_after=[run.seed for run in other],
        before=_mean(one),
        after=_mean(other),
    )
    if not one or not other:
        return msgspec.structs.replace(row, reason="only before" if one else "only after")
    signatures = _changed(*(msgspec.structs.asdict(runs[0].signature) for runs in (one, other)))
    if [run.seed for run in one] != [run.seed for run in other]:
        signatures["seeds"] = (row.seeds_before, row.seeds_after)
    learnt = [pair for field, pair in signatures.items() if field in ("train", "valid") and all(pair)]
    row = msgspec.structs.replace(row, signatures=signatures, trained_alike=not learnt)
    reasons = [why for run in (*one, *other) if (why := unlike(one[0], run))]
    return msgspec.structs.replace(row, reason=f"not comparable: {reasons[0]}") if reasons else row


def _mean(runs: Sequence[Summed]) -> float | None:
    return sum(run.bits_per_char for run in runs) / len(runs) if runs else None


def _pairs(
    alike: Mapping[tuple[str, str], tuple[Sequence[Summed], Sequence[Summed]]], tolerance: float
) -> dict[tuple[str, str], Comparison]:
    """By corpus and label after against before, p_holm corrected for all of them."""
    compared: dict[tuple[str, str], Comparison] = {}
    for corpus in dict.fromkeys(corpus for corpus, _ in alike):
        runs: list[Summed] = []
        pairs: dict[tuple[str, str], tuple[str, str]] = {}
        for number, (key, sides) in enumerate(alike.items()):
            if key[0] == corpus:
                names = (f"{number} after", f"{number} before")
                pairs[names] = key
                for name, side in zip(names, reversed(sides), strict=True):
                    runs += [replace(run, label=name) for run in side]
        for pair in comparisons(runs, pairs=list(pairs), worthwhile=tolerance or WORTHWHILE):
            compared[pairs[pair.a, pair.b]] = pair
    if len({corpus for corpus, _ in compared}) > 1:
        corrected = holm(
            np.array([1.0 if pair.p_value is None else pair.p_value for pair in compared.values()])
        )
        return {
            key: replace(pair, p_holm=float(p))
            for (key, pair), p in zip(compared.items(), corrected, strict=True)
        }
    return compared


def _judged(row: Change, pair: Comparison | None, tolerance: float) -> Change:
    """A row with what its comparison says."""
    if pair is None:
        return row
    difference, corrected = pair.difference_bits_per_char, pair.p_holm
    if corrected is None or difference is None:
        return msgspec.structs.replace(row, reason=f"not comparable: {pair.note}")
    beyond = corrected <= 0.05
    return msgspec.structs.replace(
        row,
        difference_bits_per_char=difference,
        ci95=pair.ci95,
        percent=pair.percent,
        p_value=pair.p_value,
        p_corrected=corrected,
        beyond_noise=beyond,
        worthwhile=abs(difference) >= tolerance,
        same=not beyond and pair.p_equivalence is not None and pair.p_equivalence <= 0.05,
    )
