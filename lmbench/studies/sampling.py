"""Random sampling or sequential partition: which trains the better network? (Dive into Deep Learning, 8.5)"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from lmbench.charts.chart import Chart, Panel, Series
from lmbench.corpora.corpus import Corpus
from lmbench.models import make_model
from lmbench.models.monitor import Monitor
from lmbench.scoring.scorer import Scorer
from lmbench.studies.study import Study, announced, at_least, paired_interval, small_torch

SAMPLINGS = ("sequential", "random")
SEEDS = 5
BUDGET: dict[str, Any] = {
    "hidden": 64,
    "batch": 16,
    "steps": 35,
    "epochs": 8,
    "max_tokens": 30_000,
    "patience": None,
}
FULL: dict[str, Any] = {
    "hidden": 256,
    "batch": 32,
    "steps": 35,
    "epochs": 30,
    "max_tokens": 120_000,
    "patience": None,
}


def run(corpus: Corpus, *, seed: int = 0, full: bool = False, monitor: Monitor) -> Study:
    """The network written out, with the same budget and seeds under both samplings, on characters.

    full: a larger network, more text and 10 seeds in place of 5.
    """
    import pandas as pd

    corpus = corpus.with_held_out()
    seeds, budget = (2 * SEEDS, FULL) if full else (SEEDS, BUDGET)
    at_least("characters of training text", corpus.train.chars, 2000)
    learnt_from = corpus.train.head(budget["max_tokens"])
    rows: list[dict[str, Any]] = []
    trainings = list(itertools.product(range(seeds), SAMPLINGS))
    for number, sampling in announced(trainings, monitor, lambda each: f"seed {each[0] + 1}, {each[1]}"):
        with small_torch(np.random.default_rng([seed, number])):
            model = make_model("rnn-scratch", sampling=sampling, **budget)
            scorer = Scorer.fit(model, corpus, "char", seed * 1000 + number)
            trained, held_out = scorer.score(learnt_from), scorer.score(corpus.text("test"))
        rows.append(
            {
                "sampling": sampling,
                "seed": number,
                "train_perplexity": trained.perplexity,
                "perplexity": held_out.perplexity,
                "train_bits_per_char": trained.bits_per_char,
                "bits_per_char": held_out.bits_per_char,
            }
        )
    table = pd.DataFrame(rows)
    by = table.pivot(index="seed", columns="sampling")
    differences = {
        what: paired_interval((by[what]["random"] - by[what]["sequential"]).to_numpy())
        for what in ("train_bits_per_char", "bits_per_char")
    }
    sentences = [
        _verdict(table, corpus.name, seeds, differences["bits_per_char"]),
        _training(table, differences["train_bits_per_char"]),
        f"Each network had {budget['hidden']} units and {budget['epochs']} passes over the first {learnt_from.chars:,} "
        f"characters; over the seeds held-out bits spread by {by['bits_per_char']['sequential'].std():.3f} (sequential) and "
        f"{by['bits_per_char']['random'].std():.3f} (random).",
    ]
    facts = {f"random_minus_sequential_{what}": list(d) for what, d in differences.items()}
    return Study.of(table, [_chart(table)], sentences, facts | {"budget": budget})


def _verdict(table: Any, name: str, seeds: int, interval: tuple[float, float, float]) -> str:
    difference, low, high = interval
    mean = table.groupby("sampling")["perplexity"].mean()
    if low <= 0 <= high:
        said = "which is within the seeds' spread"
    else:
        said = f"{'sequential partition' if difference > 0 else 'random sampling'} is better, beyond the seeds' spread"
    return (
        f"On held-out {name}, sequential partition reaches perplexity {mean['sequential']:.2f}, random sampling "
        f"{mean['random']:.2f} (means of {seeds} seeds); random less sequential is {difference:+.3f} bits a character "
        f"({low:+.3f} to {high:+.3f}), {said}."
    )


def _training(table: Any, interval: tuple[float, float, float]) -> str:
    mean = table.groupby("sampling")["train_perplexity"].mean()
    return (
        f"On the text learnt from, the perplexities are {mean['sequential']:.2f} and {mean['random']:.2f}, a difference of "
        f"{interval[0]:+.3f} bits ({interval[1]:+.3f} to {interval[2]:+.3f})."
    )


def _chart(table: Any) -> Chart:
    panels = []
    for what, title in (("train_bits_per_char", "Text learnt from"), ("bits_per_char", "Held-out text")):
        series = []
        for sampling in SAMPLINGS:
            rows = table[table["sampling"] == sampling]
            series.append(Series(sampling, [str(n + 1) for n in rows["seed"]], rows[what].tolist(), "points"))
        means = [(float(table[table["sampling"] == s][what].mean()), f"mean, {s}") for s in SAMPLINGS]
        (first, _), (second, _) = means
        title = f"{title}: random {second - first:+.3f} bits, mean of seeds"
        panels.append(Panel(title, "seed", "bits per character", series, horizontal=means))
    caption = "The same network, seeds and budget under both samplings; pairs above one another share a seed."
    return Chart("sampling", caption, panels)
