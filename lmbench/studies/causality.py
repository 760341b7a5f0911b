"""Is text easier to predict forwards than backwards? (Dive into Deep Learning, 8.1.4)

By the chain rule the probability of a text is the same product either way, so the truth costs the same bits; models,
which learn conditional distributions from a finite text, need not.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from lmbench.charts.chart import Chart, Panel, Series
from lmbench.comparing.pairs import compare
from lmbench.corpora.corpus import Corpus
from lmbench.models import make_model
from lmbench.models.monitor import Monitor
from lmbench.scoring.run import Run, Signature
from lmbench.scoring.scorer import Scorer
from lmbench.scoring.scores import LN2, Scores
from lmbench.studies.study import SMALL_RNN, Study, at_least, small_torch
from lmbench.text.canonical import CanonicalText

MODELS: dict[str, tuple[str, str, dict[str, Any]]] = {  # label: (model, unit, options)
    "char 1-gram": ("unigram", "char", {}),
    "char 3-gram": ("trigram", "char", {}),
    "char Kneser–Ney 3": ("kneser-ney", "char", {"order": 3}),
    "char Kneser–Ney 5": ("kneser-ney", "char", {"order": 5}),
    "word 3-gram": ("trigram", "word", {}),
    "word Kneser–Ney 3": ("kneser-ney", "word", {"order": 3}),
}


def run(corpus: Corpus, *, seed: int = 0, full: bool = False, monitor: Monitor) -> Study:
    """The same models on the corpus and on its mirror image, each document read from its end.

    full: the recurrent network with 256 units on all of the training text.
    """
    import pandas as pd

    corpus = corpus.with_held_out()
    at_least("characters of held-out text", corpus.text("test").chars, 1000)
    mirrored = mirror(corpus)
    models = {**MODELS, "char RNN": ("rnn", "char", {"hidden": 256} if full else SMALL_RNN)}
    rows = []
    for i, (label, (model, unit, options)) in enumerate(models.items()):
        runs: list[Run] = []
        for way, text in (("forwards", corpus), ("backwards", mirrored)):
            monitor.progress(2 * i + len(runs), 2 * len(models), f"{label}, {way}")
            with small_torch(np.random.default_rng(seed)):
                scorer = Scorer.fit(make_model(model, **options), text, unit, seed)
                scores = by_character(scorer.score(text.text("test")))
            scores = turned(scores, corpus.text("test")) if way == "backwards" else scores
            runs.append(Run(corpus.name, way, scores, Signature(corpus=corpus.name)))
        pair = compare(runs[::-1], rng=np.random.default_rng(seed)).iloc[0]
        rows.append(
            {
                "model": label,
                "unit": unit,
                "forwards": runs[0].scores.bits_per_char,
                "backwards": runs[1].scores.bits_per_char,
                "difference": pair["difference_bits_per_char"],
                "low": pair["ci95"][0],
                "high": pair["ci95"][1],
                "p": pair["p_value"],
                "total_bits": (runs[0].scores.log_prob - runs[1].scores.log_prob) / LN2,
            }
        )
    table = pd.DataFrame(rows)
    return Study.of(table, [_chart(table)], _sentences(table, corpus.name))


def mirror(corpus: Corpus) -> Corpus:
    """The corpus with every document reversed, character by character, but for the line feed that ends it."""
    texts = [None if text is None else _mirrored(text) for text in (corpus.train, corpus.valid, corpus.test)]
    assert texts[0] is not None
    name = f"{corpus.name}, backwards"
    return Corpus(name, texts[0], texts[1], texts[2], corpus.normalise, corpus.documents)


def _mirrored(text: CanonicalText) -> CanonicalText:
    pieces = [d[:-1][::-1] + "\n" if d.endswith("\n") else d[::-1] for d in text.documents()]
    return CanonicalText("".join(pieces), text.starts)


def by_character(scores: Scores) -> Scores:
    """The same bits as if each character were a token, those of a longer token spread evenly over its characters.

    So both directions and all units share their places.
    """
    spans = np.diff(scores.ends, prepend=0)
    nats = np.repeat(scores.nats / np.maximum(spans, 1), spans)
    starts = np.append(0, scores.ends)[scores.starts]
    ends = np.arange(1, len(nats) + 1)
    nothing = np.zeros(len(nats))
    return dataclasses.replace(
        scores, log_probs=nats, ends=ends, oov=nothing.astype(bool), spelling=nothing, starts=starts
    )


def turned(scores: Scores, text: CanonicalText) -> Scores:
    """Scores by character of the mirrored text, as scores of the text itself."""
    place = np.arange(text.chars)
    for a, b in zip(text.starts.tolist(), [*text.starts[1:].tolist(), text.chars], strict=True):
        last = b - 1 if text.text[b - 1] == "\n" else b
        place[a:last] = place[a:last][::-1]
    return dataclasses.replace(scores, log_probs=scores.log_probs[place])


def _chart(table: Any) -> Chart:
    names = table["model"].tolist()
    series = Series(
        "backwards less forwards",
        names,
        table["difference"].tolist(),
        "interval",
        table["low"].tolist(),
        table["high"].tolist(),
    )
    clear = table[(table["low"] > 0) | (table["high"] < 0)]
    forwards = int((clear["difference"] > 0).sum())
    title = f"{forwards} of {len(table)} models read better forwards, {len(clear) - forwards} backwards"
    panel = Panel(title, "model", "bits per character", [series], horizontal=[(0.0, "the truth")])
    caption = (
        "What the same model pays more when it is trained and scored on the text read backwards (95% intervals); by the "
        "chain rule the true distribution would pay nothing."
    )
    return Chart("causality", caption, [panel])


def _sentences(table: Any, name: str) -> list[str]:
    clear = table[(table["low"] > 0) | (table["high"] < 0)]
    largest = table.loc[table["difference"].abs().idxmax()]
    sentences = [
        f"Of {len(table)} models on {name}, {int((clear['difference'] > 0).sum())} predict it better forwards and "
        f"{int((clear['difference'] < 0).sum())} better backwards, beyond their 95% intervals; for the other "
        f"{len(table) - len(clear)} the direction makes no difference that this text can show."
    ]
    way = "forwards" if largest["difference"] > 0 else "backwards"
    sentences.append(
        f"The largest difference is that of {largest['model']}: {abs(largest['difference']):.3f} bits a character "
        f"({abs(largest['total_bits']):,.0f} bits of {largest['forwards']:.3f} a character) in favour of {way}, interval "
        f"{largest['low']:+.3f} to {largest['high']:+.3f} backwards less forwards."
    )
    rest = "; ".join(f"{r.model} {r.difference:+.4f}" for r in table.itertuples())
    sentences.append(
        f"By the chain rule the text itself has one probability either way. Backwards less forwards: {rest}."
    )
    return sentences
