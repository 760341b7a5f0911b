"""results.json: all numbers of a run as plain values, from finished runs; nothing is trained here."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from lmbench.charts.chart import Chart
from lmbench.comparing.compressors import baseline_bits_per_char
from lmbench.comparing.metrics import summary
from lmbench.comparing.overlap import contamination
from lmbench.comparing.seeds import mean_run, spread
from lmbench.corpora.corpus import Corpus
from lmbench.errors import InputError
from lmbench.results.costs import mark_fronts
from lmbench.results.environment import environment
from lmbench.results.file import SCHEMA_VERSION
from lmbench.scoring.run import Epoch, Run
from lmbench.storage.plain import plain
from lmbench.version import __version__
from lmbench.zipf.table import zipf_rows

if TYPE_CHECKING:
    pass

FEW_TYPES = 10  # of a run's n-grams of words, fewer show no law


def result_of(run: Run) -> dict[str, Any]:
    """One finished row of results.json, and what ``score --json`` prints."""
    return {
        "corpus": run.corpus,
        "label": run.label,
        "seed": run.seed,
        "status": "ok",
        "unranked_reason": None,
        "signature": str(run.signature),
        "normalise": run.signature.normalise,
        "documents": run.signature.documents,
        **msgspec.to_builtins(run.facts),
        "total_fit_seconds": run.facts.total_fit_seconds,
        "last_epoch_perplexity": _last_epoch(run.facts.history),
        **summary(run.scores, lines=run.signature.documents == "line"),
    }


def _last_epoch(history: Sequence[Epoch]) -> float | None:
    """Perplexity of the training text while it was learnt for the last time, which is what tutorials print."""
    return 2.0 ** history[-1].train_bits if history and history[-1].train_bits is not None else None


def results_of(
    suite: dict[str, Any],
    corpora: dict[str, Corpus],
    runs: Sequence[Run],
    failures: Sequence[dict[str, Any]],
) -> tuple[dict[str, Any], list[Chart]]:
    """The dict that results.json holds, and the figures that only the texts can give.

    suite: its plain values (``zipf_orders`` among them). failures: rows of cells that have no scores.
    """
    from lmbench.comparing.grouping import groups
    from lmbench.comparing.pairs import compare, unlike
    from lmbench.comparing.ranks import across

    rows = [result_of(run) for run in runs]
    here = {name: [run for run in runs if run.corpus == name] for name in corpora}
    several = [
        name
        for name in corpora
        if any(a.label != b.label and not unlike(a, b) for a, b in itertools.combinations(here[name], 2))
    ]
    table = compare([run for name in several for run in here[name]]) if several else None
    comparisons: list[Any] = [] if table is None else table.to_dict(orient="records")
    for name in corpora:
        letters = groups([run for run in here[name] if run.ranked], table)
        for row in rows:
            if row["corpus"] == name:
                row["groups"] = letters.get(row["label"], "")
    zipf: list[dict[str, Any]] = []
    charts: list[Chart] = []
    for name, corpus in corpora.items():
        try:
            found, chart = zipf_rows(name, corpus.whole(), "word", suite["zipf_orders"], FEW_TYPES)
        except InputError:
            continue
        zipf += found
        charts.append(chart)
    meant = over_seeds(runs, rows)
    shown = [*rows, *meant]
    for name in corpora:
        several_seeds = {row["label"] for row in meant if row["corpus"] == name}
        mark_fronts(
            [
                row
                for row in shown
                if row["corpus"] == name
                and row["unranked_reason"] is None
                and ("seeds" in row or row["label"] not in several_seeds)
            ]
        )
    ranking = across([run for run in runs if run.ranked])
    if ranking is not None:
        charts.append(ranking.chart())
    results = {
        "schema_version": SCHEMA_VERSION,
        "suite": suite["name"],
        "title": suite["title"],
        "signature": f"lmbench:{__version__}|corpora:"
        + ",".join(f"{name}:{corpus.sha256[:12]}" for name, corpus in corpora.items()),
        "environment": environment(),
        "corpora": [
            corpus.describe() | beside(corpus, runs, rows, comparisons) for corpus in corpora.values()
        ],
        "results": [*rows, *failures],
        "over_seeds": meant,
        "comparisons": comparisons,
        "ranks": None if ranking is None else asdict(ranking),
        "zipf": zipf,
    }
    return plain(results), charts


def over_seeds(runs: Sequence[Run], rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """A row a label that was trained with several seeds on a corpus: means over seeds, and their spread.

    Beside the keys of a single row: ``seeds``; ``bits_per_char_of_seeds``; ``bits_per_char_sd``, their standard deviation
    (over n - 1). The interval is that of the mean over seeds and speaks of the text alone; history and samples are the
    first seed's. rows: of the runs, from ``result_of`` and filled in.
    """
    found: list[dict[str, Any]] = []
    labels = dict.fromkeys((run.corpus, run.label) for run in runs)
    for corpus, label in labels:
        pairs = [(n, r) for n, r in zip(runs, rows, strict=True) if (n.corpus, n.label) == (corpus, label)]
        if len(pairs) < 2:
            continue
        run, each = mean_run([n for n, _ in pairs]), [r for _, r in pairs]
        reasons = [row["unranked_reason"] for row in each if row["unranked_reason"] is not None]
        told = {"groups": each[0]["groups"], "unranked_reason": reasons[0] if reasons else None}
        row = (
            {key: each[0].get(key) for key in each[0]} | result_of(run) | told | spread([n for n, _ in pairs])
        )
        found.append(row)
    return found


def beside(
    corpus: Corpus, runs: Sequence[Run], rows: Sequence[dict[str, Any]], comparisons: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    """What the report says beside a corpus: compressors, stretches seen in training, what the test text resolves.

    resolvable: the median over pairs of models of the difference that is found four times in five. The rows of the
    runs learn what each pays on 30-grams of characters that were seen in training and elsewhere
    (``bits_per_char_seen``, ``bits_per_char_unseen``).
    """
    train, test = corpus.text("train"), corpus.text("test")
    resolvable = [c["resolvable_difference"] for c in comparisons if c["corpus"] == corpus.name]
    resolvable = [x for x in resolvable if np.isfinite(x)]
    stretches = [contamination(train, test, unit) for unit in ("word", "char")]
    for run, row in zip(runs, rows, strict=True):
        if run.corpus == corpus.name:
            row["bits_per_char_seen"], row["bits_per_char_unseen"] = stretches[1].bits_per_char(run.scores)
    return {
        "baselines": [
            {"name": name, "bits_per_char": bits}
            for name, bits in baseline_bits_per_char(train, test).items()
        ],
        "contamination": {
            f"share_of_test_{found.length}_grams_of_{found.unit}s_seen_in_train": found.share
            for found in stretches
        },
        "resolvable": float(np.median(resolvable)) if resolvable else None,
    }
