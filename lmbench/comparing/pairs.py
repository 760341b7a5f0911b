"""Runs -> paired differences with intervals, p-values, groups; average ranks across corpora.

Two models on one text are compared on the same resampled blocks of that text, so that what makes a passage hard for
both cancels. A difference is bits per character of ``a`` less that of ``b``: negative where ``a`` is better.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lmbench.comparing.bootstrap import Resampling, half_width, merge_atoms, p_value, standard_error
from lmbench.comparing.metrics import MIN_DOCUMENTS, RESOLVABLE
from lmbench.errors import InputError
from lmbench.scoring.run import Run
from lmbench.scoring.scores import LN2

if TYPE_CHECKING:
    import pandas as pd

REPLICATES = 9999
TEXT_FIELDS = ("corpus", "text", "normalise", "documents")  # of a signature: what must agree
ROUNDING = 1e-9  # bits per character: what two ways of computing one model may differ by
COLUMNS = (
    "corpus",
    "a",
    "b",
    "difference_bits_per_char",
    "ci95",
    "p_value",
    "p_holm",
    "standard_error",
    "se_text",
    "se_seeds",
    "resolvable_difference",
    "block_length",
    "note",
)


# Pairs on one text ---------------------------------------------------------------------------------


def compare(
    runs: Sequence[Run], *, replicates: int = REPLICATES, rng: np.random.Generator | None = None
) -> pd.DataFrame:
    """Every pair of labels within each corpus: one row a pair, with the columns ``COLUMNS``.

    difference_bits_per_char, ci95 (low, high), standard_error, resolvable_difference (2.8 standard errors) are in bits
    per character. p_value is two-sided, (c + 1)/(R + 1) by the circular block bootstrap; p_holm is Holm's over all
    pairs of the corpus. Each pair is cut where its two models both have a token boundary; documents are
    the units of resampling where there are 50 or more. block_length counts those units.

    Several seeds of one label are averaged; standard_error² = se_text² + se_seeds², where se_seeds is what the
    means over seeds would still vary by on this very text (0 where each label has one seed: then the result
    speaks of these two trained models, not of their kind).

    A model with probability 0 somewhere is infinitely worse than one without: p = 0; two such are not told apart: p
    = 1. Pairs of one corpus whose signatures name different texts have no numbers, and a ``note`` why.
    Raises InputError where no pair compares, or where two runs carry the same label and seed.
    """
    from lmbench.comparing.table import Table

    rng = np.random.default_rng(0) if rng is None else rng
    rows: list[dict[str, Any]] = []
    reason = "give at least two models on the same corpus"
    for corpus, of_corpus in _by(runs, lambda run: run.corpus).items():
        texts = _by(of_corpus, _text)
        for same_text in texts.values():
            rows += _pairs(corpus, _by_label(same_text), replicates, rng)
        for one, other in itertools.combinations(texts.values(), 2):
            reason = f"corpus {corpus}: {unlike(one[0], other[0])}"
            for a, b in itertools.product(_by(one, lambda r: r.label), _by(other, lambda r: r.label)):
                rows.append({"corpus": corpus, "a": a, "b": b, "note": unlike(one[0], other[0])})
    if not any("p_value" in row for row in rows):
        raise InputError(f"these runs do not compare: {reason}")
    return Table(rows, columns=list(COLUMNS)).astype({"note": "string"}).fillna({"note": ""})


def unlike(one: Run, other: Run) -> str:
    """Why two runs do not compare, as a few words; '' where they do."""
    for field in TEXT_FIELDS:
        ours, theirs = getattr(one.signature, field), getattr(other.signature, field)
        if ours != theirs:
            return f"different {field} ({ours} and {theirs})"
    if one.scores.chars != other.scores.chars:
        return f"texts of different length ({one.scores.chars} and {other.scores.chars} characters)"
    return ""


def _text(run: Run) -> tuple[Any, ...]:
    return (*(getattr(run.signature, field) for field in TEXT_FIELDS), run.scores.chars)


def _by(runs: Sequence[Run], key: Any) -> dict[Any, list[Run]]:
    """Runs by a key of theirs, in order of first appearance."""
    groups: dict[Any, list[Run]] = {}
    for run in runs:
        groups.setdefault(key(run), []).append(run)
    return groups


def _by_label(runs: Sequence[Run]) -> dict[str, list[Run]]:
    labels = _by(runs, lambda run: run.label)
    for label, seeds in labels.items():
        if len({run.seed for run in seeds}) < len(seeds):
            raise InputError(
                f"two runs on {seeds[0].corpus} are called {label} with one seed; label them apart"
            )
    return labels


@dataclass(frozen=True)
class Aligned:
    """Runs on one text, cut where all of them have a token boundary.

    bits: (N, M) float64, of each run in each piece, infinite losses left out; chars: (N,) of each piece; infinite: (M,)
    bool, runs that have such losses.
    """

    bits: np.ndarray
    chars: np.ndarray
    infinite: np.ndarray


def align(runs: Sequence[Run]) -> Aligned:
    """Pieces of the text that end where every run has a token boundary: documents, where there are 50 or more."""
    first = runs[0].scores
    if len(first.starts) >= MIN_DOCUMENTS:
        cuts = np.append(first.ends[first.starts[1:] - 1], first.chars)
    else:
        common = np.ones(first.chars + 1, dtype=bool)
        for run in runs:
            here = np.zeros(len(common), dtype=bool)
            here[run.scores.ends] = True
            common &= here
        cuts = np.flatnonzero(common)
    columns = []
    infinite = np.array([not np.isfinite(run.scores.nats).all() for run in runs])
    for run in runs:
        nats = np.where(np.isfinite(run.scores.nats), run.scores.nats, 0)
        totals = np.concatenate([[0.0], np.cumsum(-nats / LN2)])
        columns.append(np.diff(totals[np.searchsorted(run.scores.ends, cuts, side="right")], prepend=0.0))
    pieces = merge_atoms(np.stack([*columns, np.diff(cuts, prepend=0)], axis=1))
    return Aligned(pieces[:, :-1], pieces[:, -1], infinite)


def _pairs(
    corpus: str, labels: Mapping[str, Sequence[Run]], replicates: int, rng: np.random.Generator
) -> list[dict[str, Any]]:
    """A row a pair, each cut where its own two models have a boundary; pairs that are cut alike share their draws."""
    rows: list[dict[str, Any]] = [
        {"corpus": corpus, "a": a, "b": b} for a, b in itertools.combinations(labels, 2)
    ]
    kinds = {label: frozenset(run.scores.ends.tobytes() for run in labels[label]) for label in labels}
    alike: dict[frozenset[bytes], list[dict[str, Any]]] = {}
    for row in rows:
        alike.setdefault(kinds[row["a"]] | kinds[row["b"]], []).append(row)
    for group in alike.values():
        members = {label: labels[label] for label in labels if any(label in (r["a"], r["b"]) for r in group)}
        _fill(group, members, replicates, rng)
    for row, adjusted in zip(rows, holm([row["p_value"] for row in rows]), strict=True):
        row["p_holm"] = adjusted
    return rows


def _fill(
    rows: Sequence[dict[str, Any]],
    labels: Mapping[str, Sequence[Run]],
    replicates: int,
    rng: np.random.Generator,
) -> None:
    """The numbers of some pairs of labels, all cut where every one of these labels has a token boundary."""
    aligned = align([run for seeds in labels.values() for run in seeds])
    of_run = [label for label, seeds in labels.items() for _ in seeds]
    members = [[i for i, name in enumerate(of_run) if name == label] for label in labels]
    bits = np.stack([aligned.bits[:, of_label].mean(axis=1) for of_label in members], axis=1)
    infinite = [bool(aligned.infinite[of_label].any()) for of_label in members]
    chars = float(aligned.chars.sum())
    place = {label: number for number, label in enumerate(labels)}
    of_length: dict[int, list[tuple[dict[str, Any], int, int]]] = {}
    for row in rows:
        a, b = place[row["a"]], place[row["b"]]
        if infinite[a] or infinite[b] or len(bits) < 2:
            row |= _without_numbers(infinite[a], infinite[b])
            continue
        difference = bits[:, a] - bits[:, b]
        row["difference_bits_per_char"] = float(difference.sum()) / chars
        residual = difference - row["difference_bits_per_char"] * aligned.chars
        # To the nearest power of two, so that pairs share their draws.
        length = 1 << round(math.log2(Resampling.of(residual, replicates).length))
        of_length.setdefault(length, []).append((row, a, b))
    per_seed = [aligned.bits[:, of_label].sum(axis=0) / chars for of_label in members]
    for length in sorted(of_length):
        resampling = Resampling(len(bits), length, replicates)
        draws = resampling.sums(np.column_stack([bits, aligned.chars]), rng)
        means = draws[:, :-1] / draws[:, -1:]
        for row, a, b in of_length[length]:
            estimate = row["difference_bits_per_char"]
            deviations = (means[:, a] - means[:, b] - estimate) * resampling.factor
            seeds, freedom = seed_error(per_seed[a], per_seed[b])
            row["se_text"] = standard_error(deviations)
            row["se_seeds"] = seeds
            if seeds:
                deviations = deviations + seeds * rng.standard_t(freedom, size=replicates)
            half = half_width(deviations)
            error = math.hypot(row["se_text"], seeds)
            p = 1.0 if abs(estimate) < ROUNDING else p_value(estimate, deviations)
            row |= {"ci95": (estimate - half, estimate + half), "p_value": p}
            row |= {"standard_error": error, "resolvable_difference": RESOLVABLE * error}
            row |= {"block_length": length, "note": ""}


def _without_numbers(a_infinite: bool, b_infinite: bool) -> dict[str, Any]:
    """The row of a pair that has no error bar: probability 0 somewhere, or a text of one piece."""
    if a_infinite and b_infinite:
        return {"p_value": 1.0, "note": "both give probability 0 somewhere"}
    if a_infinite or b_infinite:
        difference = math.inf if a_infinite else -math.inf
        return {"difference_bits_per_char": difference, "p_value": 0.0, "note": "probability 0 somewhere"}
    return {"p_value": 1.0, "note": "the text is too short to resample"}


def seed_error(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """What the difference of two means over seeds may still vary by, and its degrees of freedom (Welch).

    a, b: bits per character of each seed. A label of one seed adds nothing: its seeds' variance is not known.
    """
    variances = [float(x.var(ddof=1)) / len(x) if len(x) > 1 else 0.0 for x in (a, b)]
    total = sum(variances)
    if total == 0:
        return 0.0, 1.0
    freedom = total**2 / sum(v**2 / (len(x) - 1) for v, x in zip(variances, (a, b), strict=True) if v)
    return math.sqrt(total), freedom


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's (1979) step-down adjustment: (m - i) p of the i-th smallest, made monotone, at most 1."""
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(stepped, 1)
    return adjusted.tolist()


# Groups that cannot be told apart ------------------------------------------------------------------


# Across corpora ------------------------------------------------------------------------------------
