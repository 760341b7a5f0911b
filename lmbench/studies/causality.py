"""Is text easier to predict forwards than backwards? (Dive into Deep Learning, 8.1.4)

By the chain rule the probability of a text is the same product either way, so the truth costs the same bits; models,
which learn conditional distributions from a finite text, need not.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lmbench.bootstrap import Resampling
from lmbench.charts import Chart, Panel, Series
from lmbench.corpus import Corpus
from lmbench.models import make_model
from lmbench.models.base import Monitor
from lmbench.scores import LN2, Scorer
from lmbench.studies import Study, at_least, small_torch
from lmbench.text import CanonicalText

QUESTION = "Is text easier to predict forwards than backwards?"
BLOCK = 64  # characters whose bits are summed before they are resampled
MODELS: dict[str, tuple[str, str, dict[str, Any]]] = {  # label: (model, unit, options)
    "char 1-gram": ("unigram", "char", {}),
    "char 3-gram": ("trigram", "char", {}),
    "char Kneser–Ney 3": ("kneser-ney", "char", {"order": 3}),
    "char Kneser–Ney 5": ("kneser-ney", "char", {"order": 5}),
    "word 3-gram": ("trigram", "word", {}),
    "word Kneser–Ney 3": ("kneser-ney", "word", {"order": 3}),
}
RNN: dict[str, Any] = {"hidden": 64, "epochs": 4, "max_tokens": 60_000}


def run(corpus: Corpus, *, seed: int = 0, full: bool = False, monitor: Monitor) -> Study:
    """The same models on the corpus and on its mirror image, each document read from its end.

    full: the recurrent network with 256 units on all of the training text.
    """
    import pandas as pd

    corpus = corpus.with_held_out()
    at_least("characters of held-out text", corpus.text("test").chars, 4 * BLOCK)
    mirrored = mirror(corpus)
    models = {**MODELS, "char RNN": ("rnn-scratch", "char", {"hidden": 256, "epochs": 10} if full else RNN)}
    rows = []
    for i, (label, (model, unit, options)) in enumerate(models.items()):
        bits = []
        for j, text in enumerate((corpus, mirrored)):
            monitor.progress(2 * i + j, 2 * len(models), f"{label}, {('forwards', 'backwards')[j]}")
            with small_torch(np.random.default_rng(seed)):
                scorer = Scorer.fit(make_model(model, **options), text, unit, seed)
            bits.append(block_bits(scorer, text.text("test"), backwards=j == 1))
        rows.append({"model": label, "unit": unit, **difference(*bits, corpus.text("test").chars, seed)})
    monitor.progress(1, 1)
    table = pd.DataFrame(rows)
    return Study("causality", QUESTION, table, [_chart(table)], _sentences(table, corpus.name), {})


def mirror(corpus: Corpus) -> Corpus:
    """The corpus with every document reversed, character by character, but for the line feed that ends it."""
    texts = [None if text is None else _mirrored(text) for text in (corpus.train, corpus.valid, corpus.test)]
    assert texts[0] is not None
    name = f"{corpus.name}, backwards"
    return Corpus(name, texts[0], texts[1], texts[2], corpus.normalise, corpus.documents)


def _mirrored(text: CanonicalText) -> CanonicalText:
    pieces = [d[:-1][::-1] + "\n" if d.endswith("\n") else d[::-1] for d in text.documents()]
    return CanonicalText("".join(pieces), text.starts)


def block_bits(scorer: Scorer, text: CanonicalText, backwards: bool) -> np.ndarray:
    """(B,) bits spent on each run of BLOCK characters of the text as it stands, whichever way it was read.

    A token's bits are spread evenly over its characters, so that both directions and all units share their blocks.
    """
    scores = scorer.score(text)
    spans = np.diff(scores.ends, prepend=0)
    per_char = np.repeat(-scores.nats / LN2 / np.maximum(spans, 1), spans)
    if backwards:
        ends = np.append(text.starts[1:], text.chars)
        place = np.arange(text.chars)
        for a, b in zip(text.starts.tolist(), ends.tolist(), strict=True):
            last = b - 1 if text.text[b - 1] == "\n" else b
            place[a:last] = place[a:last][::-1]
        per_char = per_char[place]
    return np.asarray(np.add.reduceat(per_char, np.arange(0, len(per_char), BLOCK)))


def difference(forwards: np.ndarray, backwards: np.ndarray, chars: int, seed: int) -> dict[str, float]:
    """Bits per character both ways, and backwards less forwards with its interval over resampled blocks."""
    found = backwards - forwards
    resampling = Resampling.of(found, 1999)
    drawn = resampling.sums(found[:, None], np.random.default_rng(seed))[:, 0]
    # Replicates may hold a block more or fewer than the text: a mean of blocks does not mind.
    deviations = (drawn / (resampling.blocks * resampling.length) - found.mean()) * len(found) / chars
    mean, half = float(found.sum() / chars), resampling.half_width(deviations)
    return {
        "forwards": float(forwards.sum() / chars),
        "backwards": float(backwards.sum() / chars),
        "difference": mean,
        "low": mean - half,
        "high": mean + half,
        "p": resampling.p_value(mean, deviations),
        "total_bits": float(found.sum()),
    }


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
    panel = Panel(
        "Which way is easier", "model", "bits per character", [series], horizontal=[(0.0, "the truth")]
    )
    caption = (
        "What the same model pays more when it is trained and scored on the text read backwards (95% intervals); by the "
        "chain rule the true distribution would pay nothing."
    )
    return Chart("causality", caption, [panel])


def _sentences(table: Any, name: str) -> list[str]:
    clear = table[(table["low"] > 0) | (table["high"] < 0)]
    largest = table.loc[table["difference"].abs().idxmax()]
    found = [
        f"Of {len(table)} models on {name}, {int((clear['difference'] > 0).sum())} predict it better forwards and "
        f"{int((clear['difference'] < 0).sum())} better backwards, beyond their 95% intervals; for the other "
        f"{len(table) - len(clear)} the direction makes no difference that this text can show."
    ]
    way = "forwards" if largest["difference"] > 0 else "backwards"
    found.append(
        f"The largest difference is that of {largest['model']}: {abs(largest['difference']):.3f} bits a character "
        f"({abs(largest['total_bits']):,.0f} bits of {largest['forwards']:.3f} a character) in favour of {way}, interval "
        f"{largest['low']:+.3f} to {largest['high']:+.3f} backwards less forwards."
    )
    rest = "; ".join(f"{r.model} {r.difference:+.4f}" for r in table.itertuples())
    found.append(
        f"By the chain rule the text itself has one probability either way. Backwards less forwards: {rest}."
    )
    return found
