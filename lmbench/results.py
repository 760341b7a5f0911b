"""results.json: all numbers of a run as plain values, from finished runs; nothing is trained here."""

from __future__ import annotations

import json
import math
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import lmbench
from lmbench.baselines import baseline_bits_per_char
from lmbench.charts import Chart
from lmbench.contamination import contamination
from lmbench.corpus import Corpus
from lmbench.costs import mark_fronts, total_fit_seconds
from lmbench.files import InputError, write_whole
from lmbench.metrics import summary
from lmbench.scores import Run
from lmbench.seeds import mean_run, spread
from lmbench.text import CanonicalText, encode
from lmbench.units import unit_named
from lmbench.zipf import fit_zipf, ngram_counts, zipf_chart

if TYPE_CHECKING:
    import pandas as pd

SCHEMA_VERSION = 1
FEW_TYPES = 10  # of a run's n-grams of words, fewer show no law


def environment() -> dict[str, Any]:
    """Versions, processor and threads: what timings depend on."""
    import importlib.metadata

    versions = {}
    for package in ("numpy", "scipy", "pandas", "torch"):
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        "lmbench": lmbench.__version__,
        "python": platform.python_version(),
        "system": platform.platform(),
        "processor": _processor(),
        "threads": os.cpu_count(),
        **versions,
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next(
        (x.split(":", 1)[1].strip() for x in lines if x.startswith("model name")), platform.processor()
    )


def signature_text(fields: dict[str, Any]) -> str:
    """A run's signature as one string: what exactly was measured."""
    return "|".join(f"{key}:{value}" for key, value in fields.items())


def result_of(run: Run) -> dict[str, Any]:
    """One finished row of results.json, and what ``score --json`` prints."""
    return {
        "corpus": run.corpus,
        "label": run.label,
        "seed": run.seed,
        "status": "ok",
        "unranked_reason": None,
        "signature": signature_text(run.signature),
        "normalise": run.signature["normalise"],
        "documents": run.signature["documents"],
        **run.facts,
        "total_fit_seconds": total_fit_seconds(run.facts),
        "last_epoch_perplexity": _last_epoch(run.facts.get("history") or ()),
        **summary(run.scores),
    }


def _last_epoch(history: Sequence[dict[str, float]]) -> float | None:
    """Perplexity of the training text while it was learnt for the last time, which is what tutorials print."""
    return 2.0 ** history[-1]["train_bits"] if history and "train_bits" in history[-1] else None


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
    from lmbench.comparison import groups
    from lmbench.frames import Table

    found: list[dict[str, Any]] = []
    for corpus in dict.fromkeys(run.corpus for run in runs):
        here = [run for run in runs if run.corpus == corpus]
        ranked = [run for run in here if run.facts.get("unranked_reason") is None]
        letters = groups(ranked)
        here.sort(key=lambda run: (run not in ranked, run.scores.bits_per_char))
        for place, run in enumerate(here, 1):
            row = result_of(run)
            row |= {key: getattr(run.scores, key) for key in ("bits_per_char", "perplexity")}
            told = {"rank": place if place <= len(ranked) else None, "groups": letters.get(run.label, "")}
            found.append(row | told)
    return Table(found, columns=list(LEADERBOARD)).astype({"rank": "Int64"})


def zipf_counts(text: CanonicalText, unit: str, orders: Sequence[int]) -> dict[int, np.ndarray]:
    """For each order, the counts of a text's n-grams, (K,) falling; line feeds and empty words are no words."""
    from lmbench.text import build_vocab

    vocab = build_vocab(text, unit_named(unit))
    tokens = encode(text, unit_named(unit), vocab).tokens
    blanks = {vocab.index(t) for t in ("\n", "") if t in vocab} if unit == "word" else set()
    return ngram_counts(tokens.ids, tokens.starts, orders, sorted(blanks))


def zipf_rows(
    corpus: str, text: CanonicalText, unit: str, orders: Sequence[int], least: int = 1
) -> tuple[list[dict[str, Any]], Chart]:
    """The fits of a text's n-grams, a row an order, and their figure; orders of fewer types than ``least`` are left out.

    Raises InputError where no order is left.
    """
    names = {1: "1-grams", 2: "2-grams", 3: "3-grams"}
    counts = {k: c for k, c in zipf_counts(text, unit, orders).items() if len(c) >= least}
    if not counts:
        raise InputError(f"{corpus} has too few {unit}s to count")
    rows = [{"corpus": corpus, "unit": unit, "order": k, **fit_zipf(c).to_dict()} for k, c in counts.items()]
    caption = f"Zipf's law in {corpus}: {unit} n-grams by rank, and the distribution of their counts."
    tables = {names.get(k, f"{k}-grams"): c for k, c in counts.items()}
    return rows, zipf_chart(f"zipf-{corpus}", caption, tables)


def results_of(
    suite: dict[str, Any],
    corpora: dict[str, Corpus],
    runs: Sequence[Run],
    failures: Sequence[dict[str, Any]],
) -> tuple[dict[str, Any], list[Chart]]:
    """The dict that results.json holds, and the figures that only the texts can give.

    suite: its plain values (``zipf_orders`` among them). failures: rows of cells that have no scores.
    """
    from lmbench.comparison import across, compare, groups

    rows = [result_of(run) for run in runs]
    here = {name: [run for run in runs if run.corpus == name] for name in corpora}
    several = [name for name in corpora if len({run.label for run in here[name]}) > 1]
    table = compare([run for name in several for run in here[name]]) if several else None
    comparisons: list[Any] = [] if table is None else table.to_dict(orient="records")
    for name in corpora:
        letters = groups([run for run in here[name] if run.facts["unranked_reason"] is None], table)
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
    ranking = across([run for run in runs if run.facts["unranked_reason"] is None])
    if ranking is not None:
        charts.append(ranking.chart())
    results = {
        "schema_version": SCHEMA_VERSION,
        "suite": suite["name"],
        "title": suite["title"],
        "signature": f"lmbench:{lmbench.__version__}|corpora:"
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


def plain(value: Any) -> Any:
    """JSON's own types all the way down: arrays to lists, what is not finite to None."""
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def write_results(results: dict[str, Any], folder: Path) -> None:
    """results.json, whole or not at all."""
    write_whole(
        folder / "results.json", json.dumps(results, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    )


def read_results(folder: Path) -> dict[str, Any]:
    """A run directory's results.json; raises InputError where it is missing or of another kind."""
    path = folder / "results.json" if folder.is_dir() else folder
    try:
        found: dict[str, Any] = json.loads(path.read_bytes())
        if found["schema_version"] != SCHEMA_VERSION:
            raise InputError(
                f"{path} has schema {found['schema_version']}, this lmbench reads {SCHEMA_VERSION}"
            )
    except FileNotFoundError:
        raise InputError(f"{path} is not there; `lmbench run` makes a run directory with one") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} is not a results.json of lmbench ({error})") from None
    return found
