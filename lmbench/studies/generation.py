"""What do models write at each temperature, and what do other models say of it? (Dive into Deep Learning, 8.5.5)"""

from __future__ import annotations

from typing import Any

import numpy as np

from lmbench.charts.chart import Chart, Panel, Series
from lmbench.corpora.corpus import Corpus
from lmbench.counts import ngram_counts
from lmbench.models import make_model
from lmbench.models.monitor import Monitor
from lmbench.scoring.scorer import Scorer
from lmbench.studies.study import SMALL_RNN, Study, at_least, small_torch
from lmbench.text.canonical import CanonicalText
from lmbench.text.runs import window_hashes
from lmbench.text.units import code_points
from lmbench.zipf.fits import fit_zipf

TEMPERATURES = (0.4, 0.7, 1.0, 1.3)
MODELS: dict[str, tuple[str, str, dict[str, Any]]] = {  # label: (model, unit, options)
    "char Kneser–Ney 5": ("kneser-ney", "char", {"order": 5}),
    "word Kneser–Ney 3": ("kneser-ney", "word", {"order": 3}),
    "char RNN": ("rnn", "char", SMALL_RNN),
}
REPEAT = 4  # words: how long a repeated sequence is
COPY = 30  # characters: how long a sequence taken from the training text is
REAL = "held-out text"


def run(
    corpus: Corpus, *, seed: int = 0, full: bool = False, monitor: Monitor, prompt: str | None = None
) -> Study:
    """Each model writes on from a prompt (default: the first words of the held-out text), at four temperatures.

    full: 20,000 characters a sample in place of 3,000, and the recurrent network with four times the passes.
    """
    import pandas as pd

    corpus = corpus.with_held_out()
    length = 20_000 if full else 3_000
    test = corpus.text("test")
    at_least("characters of held-out text", test.chars, 1000)
    prompt = " ".join(test.text[:60].split(" ")[:-1]) + " " if prompt is None else prompt
    scorers: dict[str, Scorer] = {}
    steps = len(MODELS) * (1 + len(TEMPERATURES))
    for label, (model, unit, options) in MODELS.items():
        monitor.progress(len(scorers), steps, f"{label} learns")
        if full and "epochs" in options:
            options = {**options, "epochs": 4 * options["epochs"]}
        with small_torch(np.random.default_rng(seed)):
            scorers[label] = Scorer.fit(make_model(model, **options), corpus, unit, seed)
    learnt_windows = np.unique(windows(corpus.train.text))
    real = test.text[len(prompt) : len(prompt) + length]
    samples: list[tuple[str, float | None, str]] = [(REAL, None, real)]
    for i, (label, scorer) in enumerate(scorers.items()):
        for j, temperature in enumerate(TEMPERATURES):
            monitor.progress(
                len(scorers) + i * len(TEMPERATURES) + j, steps, f"{label} writes at {temperature}"
            )
            rng = np.random.default_rng([seed, i, j])
            with small_torch(rng):
                samples.append(
                    (label, temperature, written_after(scorer, prompt, length, corpus, rng, temperature))
                )
    rows = []
    for writer, written_at, text in samples:
        row = {"writer": writer, "temperature": written_at, **sample_statistics(text, learnt_windows)}
        with small_torch(np.random.default_rng(seed)):
            for judge, scorer in scorers.items():
                row[f"bits by {judge}"] = scorer.score(CanonicalText.of([text])).bits_per_char
        rows.append(row)
    table = pd.DataFrame(rows)
    shown = {f"{writer}, {warmth}" if warmth else writer: text[:300] for writer, warmth, text in samples}
    facts = {"prompt": prompt, "samples": shown}
    return Study.of(table, [_chart(table)], _sentences(table, corpus.name), facts)


def written_after(
    scorer: Scorer, prompt: str, length: int, corpus: Corpus, rng: np.random.Generator, temperature: float
) -> str:
    """``length`` characters that a model writes after the prompt (fewer where it writes hardly anything but blanks)."""
    tokens = len(corpus.encoded(scorer.unit.name, "train").tokens) / corpus.train.chars
    text = prompt
    for _ in range(8):
        missing = length + len(prompt) - len(text)
        if missing <= 0:
            break
        text = scorer.generate(rng, round(1.1 * missing * tokens) + 20, text, temperature)
    return text[len(prompt) :][:length]


def sample_statistics(text: str, learnt_windows: np.ndarray) -> dict[str, Any]:
    """What a sample is like as a text. learnt_windows: hashes of the training text's windows, sorted.

    alpha: Zipf exponent of its words by rank likelihood. repeated: share of its sequences of four words that stand
    in it already. copied: share of its characters in runs of 30 or more that stand in the training text.
    """
    words = text.split()
    distinct = {word: i for i, word in enumerate(dict.fromkeys(words))}
    ids = np.array([distinct[word] for word in words], dtype=np.int64)
    counts = ngram_counts(ids, orders=(1, REPEAT)) if len(ids) else {1: ids, REPEAT: ids}
    sequences = int(counts[REPEAT].sum())
    copied = np.isin(windows(text), learnt_windows)
    inside = np.convolve(copied, np.ones(COPY), "full") > 0 if len(copied) else np.zeros(1, dtype=bool)
    return {
        "chars": len(text),
        "words": len(words),
        "types": len(distinct),
        "alpha": fit_zipf(counts[1]).rank_mle.alpha if len(distinct) > 1 else float("nan"),
        "repeated": 1 - len(counts[REPEAT]) / sequences if sequences else float("nan"),
        "copied": float(inside.mean()),
    }


def windows(text: str) -> np.ndarray:
    """(N − 29,) uint64 hashes of every run of 30 characters."""
    return window_hashes(code_points(text), COPY)


def _chart(table: Any) -> Chart:
    real = table[table["writer"] == REAL].iloc[0]
    judges = [c.removeprefix("bits by ") for c in table.columns if c.startswith("bits by ")]
    panels = []
    written = table[table["writer"] != REAL]
    cold = written[written["temperature"] == TEMPERATURES[0]]
    plain = written[written["temperature"] == 1.0]
    most = cold.nlargest(1, "repeated")
    repeats = [f"At {row.temperature} {row.writer} repeats {row.repeated:.0%}" for row in most.itertuples()]
    steep = f"{plain['alpha'].min():.2f} to {plain['alpha'].max():.2f}"
    for column, title, label in (
        ("own", "The hotter, the dearer its own text", "bits per character"),
        ("alpha", f"At temperature 1 α is {steep} ({REAL} {real['alpha']:.2f})", "α of the words"),
        (
            "repeated",
            repeats[0] if repeats else "Repetition",
            f"share of {REPEAT}-word sequences repeated",
        ),
    ):
        series = []
        for judge in judges:
            of = table[table["writer"] == judge]
            values = of[f"bits by {judge}"] if column == "own" else of[column]
            series.append(Series(judge, of["temperature"].tolist(), values.tolist(), "line"))
        line = [] if column == "own" else [(float(real[column]), REAL)]
        panels.append(Panel(title, "temperature", label, series, horizontal=line))
    caption = "Text written at four temperatures: what its own writer would pay for it, its words' Zipf exponent, repetition."
    return Chart("generation", caption, panels)


def _sentences(table: Any, name: str) -> list[str]:
    real = table[table["writer"] == REAL].iloc[0]
    writers = [w for w in table["writer"].unique() if w != REAL]

    def at(writer: str, temperature: float) -> Any:
        return table[(table["writer"] == writer) & (table["temperature"] == temperature)].iloc[0]

    cold, warm = TEMPERATURES[0], TEMPERATURES[-1]
    own = "; ".join(
        f"{w} {at(w, cold)[f'bits by {w}']:.2f} at {cold}, {at(w, 1.0)[f'bits by {w}']:.2f} at 1, "
        f"{at(w, warm)[f'bits by {w}']:.2f} at {warm} (held-out text {real[f'bits by {w}']:.2f})"
        for w in writers
    )
    loops = "; ".join(f"{w} {at(w, cold)['repeated']:.0%} and {at(w, 1.0)['repeated']:.0%}" for w in writers)
    copies = "; ".join(f"{w} {at(w, cold)['copied']:.0%} and {at(w, 1.0)['copied']:.0%}" for w in writers)
    alphas = "; ".join(f"{w} {at(w, 1.0)['alpha']:.2f}" for w in writers)
    strange = max(writers, key=lambda w: min(at(w, 1.0)[f"bits by {j}"] for j in writers if j != w))
    by = min((j for j in writers if j != strange), key=lambda j: at(strange, 1.0)[f"bits by {j}"])
    sentences = [
        f"What a model pays for a character of its own text rises with temperature: {own}.",
        f"The share of {REPEAT}-word sequences that are repeats, at temperatures {cold} and 1: {loops} (held-out {name} "
        f"{real['repeated']:.0%}); of characters in runs of {COPY} or more copied from the training text: {copies} "
        f"({real['copied']:.0%}).",
        f"At temperature 1 the words' Zipf exponents are: {alphas} (held-out text {real['alpha']:.2f})",
    ]
    if len(writers) > 1:
        sentences[-1] += (
            f"; other models find the text of {strange} strangest: {by}, the mildest, pays "
            f"{at(strange, 1.0)[f'bits by {by}']:.2f} bits a character for it."
        )
    else:
        sentences[-1] += "."
    return sentences
