"""Models over several corpora: where each stands on every one, the mean gap to the best, average ranks and their test."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lmbench.comparing.pairs import Comparison, grouped
from lmbench.scoring.run import Run

MIN_CORPORA = 5  # for ranks across corpora


@dataclass(frozen=True)
class Ranking:
    """Average ranks over corpora (1 is best), best first.

    p_value: Friedman's test that all labels rank alike (the F form of Iman & Davenport 1980).
    critical_difference: Nemenyi's; average ranks that are further apart differ at 5% (Demšar 2006).
    alike: the largest sets of two labels or more, none of which differ.
    """

    labels: list[str]
    average_ranks: list[float]
    corpora: list[str]
    p_value: float
    critical_difference: float
    alike: list[list[str]]


def rankings(runs: Sequence[Run]) -> list[list[Run]]:
    """Runs of models that stand still, and apart from them of those that go on learning from the test text; an empty ranking is left out."""
    still = [run for run in runs if not run.facts.adaptive]
    adaptive = [run for run in runs if run.facts.adaptive]
    return [part for part in (still, adaptive) if part]


def across(runs: Sequence[Run]) -> Ranking | None:
    """Ranks of the labels that every corpus has; None for fewer than 5 corpora or 3 labels.

    Ties share the mean rank. Infinite losses rank last.
    """
    table = _bits(runs)
    labels = [label for label, row in table.items() if None not in row.values()]
    corpora = list(next(iter(table.values()), {}))
    n, k = len(corpora), len(labels)
    if n < MIN_CORPORA or k < 3:
        return None
    from scipy import stats

    bits = np.array([[table[label][corpus] for label in labels] for corpus in corpora], dtype=float)
    ranks = stats.rankdata(bits, axis=1).mean(axis=0)
    chi2 = 12 * n / (k * (k + 1)) * (float((ranks**2).sum()) - k * (k + 1) ** 2 / 4)
    p = 0.0
    if chi2 < n * (k - 1):
        p = float(stats.f.sf((n - 1) * chi2 / (n * (k - 1) - chi2), k - 1, (k - 1) * (n - 1)))
    q = float(stats.studentized_range.ppf(0.95, k, np.inf)) / math.sqrt(2)
    order = np.argsort(ranks, kind="stable").tolist()
    critical = q * math.sqrt(k * (k + 1) / (6 * n))
    names, means = [labels[i] for i in order], [float(ranks[i]) for i in order]
    return Ranking(names, means, corpora, p, critical, alike(names, means, critical))


def alike(labels: Sequence[str], ranks: Sequence[float], critical: float) -> list[list[str]]:
    """The largest sets of two labels or more whose ranks, ascending, lie within the critical difference.

    >>> alike(["a", "b", "c", "d"], [1.0, 1.8, 2.5, 4.7], 1.2)
    [['a', 'b'], ['b', 'c']]
    """
    lasts = [max(j for j, rank in enumerate(ranks) if rank - low <= critical) for low in ranks]
    return [
        list(labels[i : last + 1])
        for i, last in enumerate(lasts)
        if last > i and (i == 0 or last > lasts[i - 1])
    ]


@dataclass(frozen=True)
class Standing:
    """One model over several corpora, in the order of these; None where it has no rank on one.

    label: the model's row. adaptive: whether it goes on learning from the text that it scores; such models are a ranking of their own.
    bits: (C,) bits per character of each. places: (C,) its place on each in its ranking, 1 is best; places95: (C,) from the first to the
    last place that the paired tests leave it there (Mogstad, Romano, Shaikh & Wilhelm 2024): 1 and as many as are better beyond noise, all
    but as many as are worse. gap, gap_low, gap_high:
    mean, least and largest over corpora of its bits above the fewest of the models that stand still, in percent of these; None
    where a corpus lacks it, or a fewest is 0 or infinite. average_rank: over corpora, among the models of its ranking that all of them
    have. rank95: the places over corpora that Nemenyi's test leaves it; None for fewer than 5 corpora or 3 models.
    """

    label: str
    adaptive: bool
    bits: list[float | None]
    places: list[int | None]
    places95: list[tuple[int, int] | None]
    gap: float | None = None
    gap_low: float | None = None
    gap_high: float | None = None
    average_rank: float | None = None
    rank95: tuple[int, int] | None = None


@dataclass(frozen=True)
class Across:
    """Models over several corpora. corpora: by their names. rows: a row a model, the least mean gap first."""

    corpora: list[str]
    rows: list[Standing]


def standings(runs: Sequence[Run], comparisons: Sequence[Comparison]) -> Across | None:
    """Each label over all corpora; None for fewer than two corpora.

    runs: those that have a rank, of one seed or several. comparisons: of all of them.
    """
    orders = [ranking for part in rankings(runs) if (ranking := across(part)) is not None]
    table, adaptive = _bits(runs), {run.label: run.facts.adaptive for run in runs}
    corpora = list(next(iter(table.values()), {}))
    if len(corpora) < 2:
        return None
    least = _least(table, adaptive, corpora)
    rows = []
    for label in table:
        peers = {other: row for other, row in table.items() if adaptive[other] == adaptive[label]}
        rows.append(_standing(label, peers, adaptive[label], comparisons, least, orders))
    rows.sort(key=lambda row: (row.gap is None, row.gap or 0.0, -sum(b is not None for b in row.bits)))
    return Across(corpora, rows)


def _bits(runs: Sequence[Run]) -> dict[str, dict[str, float | None]]:
    """label -> corpus -> bits per character, the mean over seeds; None where there is no run."""
    labels, corpora = grouped(runs, lambda run: run.label), grouped(runs, lambda run: run.corpus)
    table: dict[str, dict[str, float | None]] = {}
    for label, of_label in labels.items():
        cells = {
            corpus: [run.scores.bits_per_char for run in of_label if run.corpus == corpus]
            for corpus in corpora
        }
        table[label] = {
            corpus: float(np.mean(values)) if values else None for corpus, values in cells.items()
        }
    return table


def _least(
    table: Mapping[str, Mapping[str, float | None]], adaptive: Mapping[str, bool], corpora: Sequence[str]
) -> dict[str, float]:
    """The fewest bits on each corpus, of the models that stand still where there are any."""
    fewest = {}
    for corpus in corpora:
        bits = {label: b for label, row in table.items() if (b := row[corpus]) is not None}
        still = [b for label, b in bits.items() if not adaptive[label]]
        fewest[corpus] = min(still or bits.values())
    return fewest


def _standing(
    label: str,
    table: Mapping[str, Mapping[str, float | None]],
    adaptive: bool,
    comparisons: Sequence[Comparison],
    least: Mapping[str, float],
    orders: Sequence[Ranking],
) -> Standing:
    """table: of the models of its ranking. orders: of all rankings."""
    places: list[int | None] = []
    ranges: list[tuple[int, int] | None] = []
    gaps: list[float] = []
    for corpus, own in table[label].items():
        others = [b for row in table.values() if (b := row[corpus]) is not None]
        if own is None:
            places.append(None)
            ranges.append(None)
            continue
        places.append(1 + sum(b < own for b in others))
        verdicts = [
            c.verdict if c.a == label else {"a": "b", "b": "a"}.get(c.verdict, c.verdict)
            for c in comparisons
            if c.corpus == corpus and label in (c.a, c.b) and {c.a, c.b} <= _ranked(table, corpus)
        ]
        ranges.append((1 + verdicts.count("b"), len(others) - verdicts.count("a")))
        if 0 < least[corpus] < math.inf and math.isfinite(own):
            gaps.append(100 * (own / least[corpus] - 1))
    whole = len(gaps) == len(table[label])
    average, rank95 = None, None
    ranking = next((order for order in orders if label in order.labels), None)
    if ranking is not None:
        average = ranking.average_ranks[ranking.labels.index(label)]
        apart = [rank - average for rank in ranking.average_ranks]
        better = sum(d < -ranking.critical_difference for d in apart)
        worse = sum(d > ranking.critical_difference for d in apart)
        rank95 = (1 + better, len(apart) - worse)
    return Standing(
        label,
        adaptive,
        list(table[label].values()),
        places,
        ranges,
        float(np.mean(gaps)) if whole else None,
        min(gaps) if whole else None,
        max(gaps) if whole else None,
        average,
        rank95,
    )


def _ranked(table: Mapping[str, Mapping[str, float | None]], corpus: str) -> set[str]:
    return {label for label, row in table.items() if row[corpus] is not None}
