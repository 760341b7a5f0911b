"""Runs as one table, of each corpus the best first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from lmbench.results.build import result_of
from lmbench.scoring.run import Run

if TYPE_CHECKING:
    import pandas as pd


LEADERBOARD = (
    *(
        "corpus",
        "rank",
        "label",
        "groups",
        "bits_per_char",
        "ci95",
        "train_bits_per_char",
        "perplexity",
        "unit",
    ),
    *("vocab_size", "oov", "fit_seconds", "score_seconds", "parameters", "unranked_reason"),
)


def leaderboard(runs: Sequence[Run]) -> pd.DataFrame:
    """Runs as a table, a row a run, of each corpus the best first, with the columns ``LEADERBOARD``.

    groups: labels that share a letter cannot be told apart (``compare.groups``). rank: missing where a run is not
    ranked. Raises InputError where runs of one corpus name different texts.
    """
    from lmbench.comparing.grouping import groups
    from lmbench.comparing.table import Table

    found: list[dict[str, Any]] = []
    for corpus in dict.fromkeys(run.corpus for run in runs):
        here = [run for run in runs if run.corpus == corpus]
        ranked = [run for run in here if run.ranked]
        letters = groups(ranked)
        here.sort(key=lambda run: (run not in ranked, run.scores.bits_per_char))
        for place, run in enumerate(here, 1):
            row = result_of(run)
            row |= {key: getattr(run.scores, key) for key in ("bits_per_char", "perplexity")}
            told = {"rank": place if place <= len(ranked) else None, "groups": letters.get(run.label, "")}
            found.append(row | told)
    return Table(found, columns=list(LEADERBOARD)).astype({"rank": "Int64"})
