"""Runs as one table, of each corpus the best first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from lmbench.results.build import result_of
from lmbench.scoring.run import Run

if TYPE_CHECKING:
    import pandas as pd

# Of a result's fields, those that a notebook has room for.
SHOWN = (
    *("corpus", "rank", "label", "groups", "bits_per_char", "ci95", "train_bits_per_char", "perplexity"),
    *("unit", "vocab_size", "oov", "fit_seconds", "score_seconds", "parameters", "adaptive"),
    "unranked_reason",
)


def leaderboard(runs: Sequence[Run]) -> pd.DataFrame:
    """Runs as a table, a row a run, of each corpus the best first; its columns are fields of ``results.schema.Result``.

    Models that go on learning from the test text (``adaptive``) are a ranking of their own, after the others. groups: labels that
    share a letter cannot be told apart (``compare.groups``). rank: missing where a run is not ranked. Raises InputError where runs of one corpus name different texts.

    >>> import lmbench as lb
    >>> corpus = lb.load_corpus("golden-mean")
    >>> table = leaderboard([lb.evaluate(lb.make_model(name), corpus) for name in ("unigram", "bigram")])
    >>> table[["rank", "label", "groups"]].values.tolist()
    [[1, 'bigram', 'a'], [2, 'unigram', 'b']]
    """
    from lmbench.comparing.grouping import groups
    from lmbench.comparing.ranks import rankings
    from lmbench.comparing.table import ResultTable

    rows: list[dict[str, Any]] = []
    for corpus in dict.fromkeys(run.corpus for run in runs):
        here = sorted((run for run in runs if run.corpus == corpus), key=lambda run: run.scores.bits_per_char)
        ranked = [run for run in here if run.ranked]
        letters = groups(ranked)
        placed: list[tuple[Run, int | None]] = [
            (run, place) for part in rankings(ranked) for place, run in enumerate(part, 1)
        ]
        for run, place in [*placed, *((run, None) for run in here if not run.ranked)]:
            result = result_of(run)
            beside = {"rank": place, "groups": letters.get(run.label, "")}
            rows.append({name: beside[name] if name in beside else result.value(name) for name in SHOWN})
    return ResultTable(rows, columns=list(SHOWN)).astype({"rank": "Int64"})
