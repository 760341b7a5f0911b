"""Runs -> paired differences with error bars, p-values corrected for their number, and verdicts.

Two models on one text are compared on the same cells of that text, so that what makes a passage hard for both cancels. A
difference is bits per character of ``a`` less that of ``b``: negative where ``a`` is better.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from lmbench.comparing.cells import Cells
from lmbench.comparing.dependence import NORMAL, Errors, effective_documents
from lmbench.comparing.error_bars import ROUNDING, resolvable
from lmbench.comparing.family import step_down
from lmbench.comparing.summed import Summed
from lmbench.errors import InputError
from lmbench.scoring.run import Run

if TYPE_CHECKING:
    import pandas as pd

TEXT_FIELDS = ("corpus", "text", "normalise", "documents")  # of a signature: what must agree
Verdict = Literal["a", "b", "same", "open"]
WORTHWHILE = 0.005  # bits per character: a difference that is less is of no practical size


@dataclass(frozen=True)
class Comparison:
    """Two labels on one corpus. Bits are per character of its test text; None where a number cannot be had.

    corpus, a, b: the labels compared. difference_bits_per_char: a less b; ci95: its 95% interval. p_value: two-sided, of equal models. p_holm: corrected for all
    pairs of the corpus that are compared together (step-down max-|t|, ``comparing.family``). standard_error, se_text, se_seeds: of
    the difference, the first squared is the sum of the others squared. resolvable_difference: what would be found, after the correction, four times in five. percent: of b's bits;
    bytes: the difference over the whole test text. p_equivalence: of two one-sided tests (TOST; Schuirmann 1987) that the difference
    is beyond ± worthwhile. verdict: ``a`` or ``b`` is better (p_holm ≤ 0.05), ``same`` (p_equivalence ≤ 0.05: as good as
    the other, for any practical purpose), or ``open`` (the text is too short to tell). method: ``documents`` or ``stream``;
    effective_documents: what the documents are worth, where they are the units. note: why numbers are missing.
    """

    corpus: str
    a: str
    b: str
    difference_bits_per_char: float | None = None
    ci95: tuple[float, float] | None = None
    p_value: float | None = None
    p_holm: float | None = None
    standard_error: float | None = None
    se_text: float | None = None
    se_seeds: float | None = None
    resolvable_difference: float | None = None
    percent: float | None = None
    bytes: float | None = None
    p_equivalence: float | None = None
    verdict: Verdict = "open"
    method: str = "none"
    effective_documents: float | None = None
    note: str = ""


COLUMNS = tuple(field.name for field in fields(Comparison))


def compare(
    runs: Sequence[Run],
    *,
    pairs: Sequence[tuple[str, str]] | None = None,
    worthwhile: float = WORTHWHILE,
    rng: np.random.Generator | None = None,
) -> pd.DataFrame:
    """``comparisons`` as a table: a row a pair of labels, with the fields of ``Comparison`` as columns.

    >>> import lmbench as lb
    >>> corpus = lb.load_corpus("golden-mean")
    >>> table = compare([lb.evaluate(lb.make_model(name), corpus) for name in ("bigram", "unigram")])
    >>> table[["a", "b", "verdict"]].values.tolist(), table["difference_bits_per_char"].round(1).tolist()
    ([['bigram', 'unigram', 'a']], [-0.3])
    """
    from lmbench.comparing.table import ResultTable

    rows = [asdict(row) for row in comparisons(runs, pairs=pairs, worthwhile=worthwhile, rng=rng)]
    numbers = [field.name for field in fields(Comparison) if field.type == "float | None"]
    return ResultTable(rows, columns=list(COLUMNS)).astype(dict.fromkeys(numbers, "float64"))


def comparisons(
    runs: Sequence[Run | Summed],
    *,
    pairs: Sequence[tuple[str, str]] | None = None,
    worthwhile: float = WORTHWHILE,
    rng: np.random.Generator | None = None,
) -> list[Comparison]:
    """Every pair of labels within each corpus, or those of ``pairs``, in the order of the runs, which are read some tokens at a time.

    Several seeds of one label are averaged; what the means over seeds would still vary by on this very text is se_seeds
    (0 where each label has one seed: then the result speaks of these two trained models, not of their kind).
    worthwhile: bits per character, the least difference of practical size, > 0. rng: of the draws that correct the p-values
    (default seed 0: the same runs give the same numbers).

    A model with probability 0 somewhere is infinitely worse than one without: p = 0; two such are not told apart: p
    = 1. Pairs of one corpus whose signatures name different texts have no numbers, and a ``note`` why.
    Raises InputError where no pair compares, or where two runs carry the same label and seed.
    """
    rng = np.random.default_rng(0) if rng is None else rng
    wanted = None if pairs is None else {frozenset(pair) for pair in pairs}
    rows: list[Comparison] = []
    reason = "give at least two models on the same corpus"
    summed = [run if isinstance(run, Summed) else Summed.of(run) for run in runs]
    for corpus, of_corpus in grouped(summed, lambda run: run.corpus).items():
        texts = grouped(of_corpus, _text)
        for same_text in texts.values():
            rows += _of_text(corpus, _by_label(same_text), wanted, worthwhile, rng)
        for one, other in itertools.combinations(texts.values(), 2):
            why = unlike(one[0], other[0])
            reason = f"corpus {corpus}: {why}"
            labels = itertools.product(grouped(one, _label), grouped(other, _label))
            rows += [
                Comparison(corpus, a, b, note=why)
                for a, b in labels
                if wanted is None or frozenset((a, b)) in wanted
            ]
    if not any(row.p_value is not None for row in rows):
        raise InputError(f"these runs do not compare: {reason}")
    return rows


def unlike(one: Run | Summed, other: Run | Summed) -> str:
    """Why two runs do not compare, as a few words; '' where they do."""
    for field in TEXT_FIELDS:
        ours, theirs = getattr(one.signature, field), getattr(other.signature, field)
        if ours != theirs:
            return f"different {field} ({ours} and {theirs})"
    lengths = [run.chars if isinstance(run, Summed) else run.scores.chars for run in (one, other)]
    if lengths[0] != lengths[1]:
        return f"texts of different length ({lengths[0]} and {lengths[1]} characters)"
    return ""


def _text(run: Summed) -> tuple[Any, ...]:
    return (*(getattr(run.signature, field) for field in TEXT_FIELDS), run.chars)


def _label(run: Summed) -> str:
    return run.label


def grouped(runs: Sequence[Any], key: Any) -> dict[Any, list[Any]]:
    """Runs by a key of theirs, in order of first appearance."""
    groups: dict[Hashable, list[Any]] = {}
    for run in runs:
        groups.setdefault(key(run), []).append(run)
    return groups


def _by_label(runs: Sequence[Summed]) -> dict[str, list[Summed]]:
    labels = grouped(runs, _label)
    for label, seeds in labels.items():
        if len({run.seed for run in seeds}) < len(seeds):
            raise InputError(
                f"two runs on {seeds[0].corpus} are called {label} with one seed; label them apart"
            )
    return labels


# Models on the cells of one text ---------------------------------------------------------------------

PAIRS_AT_ONCE = 4096


def is_lines(run: Run) -> bool:
    """Whether the run's documents are the lines of running text, neighbours of each other: no units of an error."""
    return bool(run.signature.documents == "line")


def align(runs: Sequence[Run | Summed], count: int | None = None) -> Cells:
    """Bits (K, M) of runs on one text in its documents, or in the cells of a stream; infinite losses left out.

    count: cells of a stream, a power of 2; default as many as the run of the fewest tokens allows.
    """
    summed = [run if isinstance(run, Summed) else Summed.of(run) for run in runs]
    count = count or min(run.fineness for run in summed)
    cells = [run.totals(count).cells("bits", "chars") for run in summed]
    losses = np.concatenate([of_run.losses for of_run in cells], axis=1)
    return Cells(losses, cells[0].lengths, cells[0].by_document)


def _of_text(
    corpus: str,
    labels: Mapping[str, Sequence[Summed]],
    wanted: set[frozenset[str]] | None,
    worthwhile: float,
    rng: np.random.Generator,
) -> list[Comparison]:
    """The pairs of one text, corrected together; a pair is seen in as many cells as its coarser model allows."""
    names = list(labels)
    places = [
        (a, b)
        for a, b in itertools.combinations(range(len(names)), 2)
        if wanted is None or frozenset((names[a], names[b])) in wanted
    ]
    runs = [run for seeds in labels.values() for run in seeds]
    fineness = np.array([min(run.fineness for run in labels[name]) for name in names])
    finest = int(fineness.max())
    cells = align(runs, finest)
    infinite = np.array([any(not math.isfinite(r.totals(finest).bits) for r in labels[n]) for n in names])
    owner = np.repeat(np.arange(len(names)), [len(labels[name]) for name in names])
    per_seed = [cells.ratios[owner == i] for i in range(len(names))]
    means = np.stack([cells.losses[:, owner == i].mean(axis=1) for i in range(len(names))], axis=1)
    cells = Cells(means, cells.lengths, cells.by_document)
    rows: dict[tuple[int, int], Comparison] = {}
    judged: list[_Judged] = []
    for count in sorted({int(min(fineness[a], fineness[b])) for a, b in places}):
        mine = cells.coarser(count)
        here = [(a, b) for a, b in places if min(fineness[a], fineness[b]) == count]
        for a, b in here:
            if infinite[a] or infinite[b] or mine.trouble:
                kind = _without_numbers(bool(infinite[a]), bool(infinite[b]), mine.trouble)
                rows[a, b] = Comparison(corpus, names[a], names[b], **kind)
        here = [pair for pair in here if pair not in rows]
        for begin in range(0, len(here), PAIRS_AT_ONCE):
            judged.append(_Judged.of(mine, here[begin : begin + PAIRS_AT_ONCE], per_seed))
    if judged:
        pairs = np.concatenate([part.pairs for part in judged])
        p_values = np.concatenate([part.p_values for part in judged])
        adjusted, level = step_down(p_values, cells.residuals(cells.losses), pairs, rng)
        for part in judged:
            part_adjusted, adjusted = adjusted[: len(part.pairs)], adjusted[len(part.pairs) :]
            for pair, row in zip(
                part.pairs.tolist(), part.rows(corpus, names, part_adjusted, level, worthwhile), strict=True
            ):
                rows[pair[0], pair[1]] = row
    return [rows[pair] for pair in places]


@dataclass(frozen=True)
class _Judged:
    """P pairs (P, 2) of labels on the same cells, with their errors of text and seeds."""

    cells: Cells
    pairs: np.ndarray
    differences: np.ndarray
    text: Errors
    errors: Errors
    seeds: np.ndarray
    methods: np.ndarray
    p_values: np.ndarray

    @classmethod
    def of(cls, cells: Cells, places: Sequence[tuple[int, int]], per_seed: Sequence[np.ndarray]) -> _Judged:
        pairs = np.array(places)
        losses = cells.losses[:, pairs[:, 0]] - cells.losses[:, pairs[:, 1]]
        text, methods = cells.errors(losses)
        differences = losses.sum(axis=0) / cells.lengths.sum()
        seeds, freedom = np.array([seed_error(per_seed[a], per_seed[b]) for a, b in places]).T
        errors = text.beside(seeds, freedom)
        p_values = np.where(np.abs(differences) < ROUNDING, 1.0, errors.p_value(differences))
        return cls(cells, pairs, differences, text, errors, seeds, methods, p_values)

    def rows(
        self, corpus: str, names: Sequence[str], adjusted: np.ndarray, level: float, worthwhile: float
    ) -> list[Comparison]:
        total = float(self.cells.lengths.sum())
        worth = effective_documents(self.cells.lengths) if self.cells.by_document else None
        half, resolved = self.errors.half_width(), resolvable(self.errors, level)
        error, text = half / NORMAL, self.text.standard_error()
        inside = self.errors.p_value(worthwhile - np.abs(self.differences)) / 2
        same = np.where(np.abs(self.differences) < worthwhile, inside, 1 - inside)
        others = self.cells.ratios
        rows = []
        for i, (a, b) in enumerate(self.pairs.tolist()):
            difference = float(self.differences[i])
            verdict: Verdict = "same" if same[i] <= 0.05 else "open"
            if adjusted[i] <= 0.05:
                verdict = "a" if difference < 0 else "b"
            rows.append(
                Comparison(
                    corpus,
                    names[a],
                    names[b],
                    difference_bits_per_char=difference,
                    ci95=(difference - float(half[i]), difference + float(half[i])),
                    p_value=float(self.p_values[i]),
                    p_holm=float(adjusted[i]),
                    standard_error=float(error[i]),
                    se_text=float(text[i]),
                    se_seeds=float(self.seeds[i]),
                    resolvable_difference=float(resolved[i]),
                    percent=100 * difference / float(others[b]) if others[b] else None,
                    bytes=difference * total / 8,
                    p_equivalence=float(same[i]),
                    verdict=verdict,
                    method=str(self.methods[i]),
                    effective_documents=worth,
                )
            )
        return rows


def _without_numbers(a_infinite: bool, b_infinite: bool, trouble: str) -> dict[str, Any]:
    """The fields of a pair that has no error bar: probability 0 somewhere, or too short a text."""
    if a_infinite and b_infinite:
        return {"p_value": 1.0, "p_holm": 1.0, "note": "both give probability 0 somewhere"}
    if a_infinite or b_infinite:
        worse = math.inf if a_infinite else -math.inf
        verdict = "b" if a_infinite else "a"
        given = {"p_value": 0.0, "p_holm": 0.0, "verdict": verdict, "note": "probability 0 somewhere"}
        return {"difference_bits_per_char": worse, **given}
    return {"p_value": 1.0, "p_holm": 1.0, "note": trouble}


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
