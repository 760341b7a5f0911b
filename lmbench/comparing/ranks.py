"""Average ranks of models over several corpora, and the test whether they differ."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lmbench.charts.chart import Chart, Panel, Series
from lmbench.comparing.pairs import grouped
from lmbench.scoring.run import Run

MIN_CORPORA = 5  # for ranks across corpora


@dataclass(frozen=True)
class Ranking:
    """Average ranks over corpora (1 is best), best first.

    p_value: Friedman's test that all labels rank alike (the F form of Iman & Davenport 1980).
    critical_difference: Nemenyi's; average ranks that are further apart differ at 5% (Demšar 2006).
    """

    labels: list[str]
    average_ranks: list[float]
    corpora: list[str]
    p_value: float
    critical_difference: float

    def chart(self) -> Chart:
        """Bars half a critical difference each way: two labels differ where their bars do not overlap."""
        half = self.critical_difference / 2
        ranks = self.average_ranks
        bars = [
            Series("", [label], [rank], kind="interval", low=[rank - half], high=[rank + half], key=label)
            for label, rank in zip(self.labels, ranks, strict=True)
        ]
        return Chart(
            "ranks",
            f"Average rank over {len(self.corpora)} corpora (1 is best) with Nemenyi's critical difference "
            f"{self.critical_difference:.2f}: models whose bars do not overlap differ. Friedman p = {self.p_value:.2g}.",
            [Panel("Ranks across corpora", "model", "average rank", bars)],
        )


def across(runs: Sequence[Run]) -> Ranking | None:
    """Ranks of the labels that every corpus has; None for fewer than 5 corpora or 3 labels.

    Ties share the mean rank. Infinite losses rank last.
    """
    from scipy import stats

    corpora = grouped(runs, lambda run: run.corpus)
    labels = [
        x
        for x in grouped(runs, lambda r: r.label)
        if all(any(r.label == x for r in c) for c in corpora.values())
    ]
    n, k = len(corpora), len(labels)
    if n < MIN_CORPORA or k < 3:
        return None
    bits = np.array(
        [
            [float(np.mean([r.scores.bits_per_char for r in of_corpus if r.label == x])) for x in labels]
            for of_corpus in corpora.values()
        ]
    )
    ranks = stats.rankdata(bits, axis=1).mean(axis=0)
    chi2 = 12 * n / (k * (k + 1)) * (float((ranks**2).sum()) - k * (k + 1) ** 2 / 4)
    p = 0.0
    if chi2 < n * (k - 1):
        p = float(stats.f.sf((n - 1) * chi2 / (n * (k - 1) - chi2), k - 1, (k - 1) * (n - 1)))
    q = float(stats.studentized_range.ppf(0.95, k, np.inf)) / math.sqrt(2)
    order = np.argsort(ranks, kind="stable").tolist()
    critical = q * math.sqrt(k * (k + 1) / (6 * n))
    return Ranking([labels[i] for i in order], [float(ranks[i]) for i in order], list(corpora), p, critical)
