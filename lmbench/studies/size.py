"""What does a smaller model cost in bits?

One Kneser-Ney model, made smaller in four ways: n-grams dropped by count, n-grams dropped by relative entropy, fewer
words in the vocabulary (the others are spelt, and charged for), probabilities rounded. Bytes are those of the saved file.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from lmbench.charts.chart import Chart, Panel, Series
from lmbench.corpora.corpus import Corpus
from lmbench.models import make_model
from lmbench.models.monitor import Monitor
from lmbench.scoring.scorer import Scorer
from lmbench.studies.study import Study, announced, at_least, paired_interval, plural

BLOCKS = 20  # of the test text, for the interval of a difference
WHOLE = "whole"


def run(
    corpus: Corpus, *, seed: int = 0, full: bool = False, monitor: Monitor, unit: str = "word", order: int = 5
) -> Study:
    """Fitted on the training text, scored on test; full: more settings of each kind."""
    import pandas as pd

    at_least(f"{plural(unit)} of training text", len(corpus.encoded(unit, "train").tokens), 1000)
    at_least(f"{plural(unit)} of test text", len(corpus.encoded(unit, "test").tokens), 10 * BLOCKS)
    rows: list[dict[str, Any]] = []
    whole = np.zeros(0)
    settings = ways(len(corpus.vocab(unit)), order, full)
    for way, setting, options in announced(settings, monitor, lambda each: f"{each[0]} {each[1]}"):
        scorer = Scorer.fit(make_model("kneser-ney", order=order, **options), corpus, unit, seed)
        scores = scorer.score(corpus.encoded(unit, "test"))
        # Tokens are the same in every vocabulary: differences are paired token by token.
        bits = scores.bits
        whole = bits if way == WHOLE else whole
        chars = np.diff(scores.ends, prepend=0)
        blocks = zip(np.array_split(bits - whole, BLOCKS), np.array_split(chars, BLOCKS), strict=True)
        cost, low, high = paired_interval(np.array([b.sum() / c.sum() for b, c in blocks]))
        rows.append(
            {
                "way": way,
                "setting": setting,
                "numbers": scorer.model.parameters,
                "bytes": _saved_bytes(scorer),
                "bits_per_char": scores.bits_per_char,
                "cost": cost,
                "low": low,
                "high": high,
            }
        )
    table = pd.DataFrame(rows)
    table["share"] = table["bytes"] / table["bytes"].iloc[0]
    return Study.of(table, [_chart(table)], _sentences(table, corpus.name))


def ways(vocab_size: int, order: int, full: bool) -> list[tuple[str, str, dict[str, Any]]]:
    """(way, setting, options of the model), the whole model first."""
    counts = ["0,0,1", "0,1,1", "0,1,2", "0,2,3"] if full else ["0,0,1", "0,1,1", "0,2,3"]
    entropies = np.logspace(-9, -5, 9 if full else 5)
    bits = [32, 16, 12, 8] if full else [32, 16, 8]  # fewer than 8 take a byte each all the same
    shares = [2, 4, 8, 16, 32] if full else [2, 8, 32]
    return [
        (WHOLE, "", {}),
        *(("by count", c, {"prune": ",".join(c.split(",")[:order])}) for c in counts),
        *(("by relative entropy", f"{e:.2g}", {"prune_entropy": float(e)}) for e in entropies),
        *(("rounded", f"{b} bits", {"bits": b}) for b in bits),
        *(
            ("vocabulary", f"{vocab_size // s}", {"vocab_size": vocab_size // s})
            for s in shares
            if vocab_size // s > 20
        ),
        ("entropy and 8 bits", "1e-07", {"prune_entropy": 1e-7, "bits": 8}),
    ]


def _saved_bytes(scorer: Scorer) -> int:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model"
        scorer.save(path)
        return path.stat().st_size


def _chart(table: Any) -> Chart:
    whole = table.iloc[0]
    series = [
        Series(
            str(way),
            [*of["bytes"].tolist(), whole["bytes"]] if len(of) > 1 else of["bytes"].tolist(),
            [*of["bits_per_char"].tolist(), whole["bits_per_char"]]
            if len(of) > 1
            else of["bits_per_char"].tolist(),
            "line" if len(of) > 1 else "points",
        )
        for way, of in table[table["way"] != WHOLE].sort_values("bytes").groupby("way", sort=False)
    ]
    caption = (
        "Bits a character of one model made smaller in several ways, over the bytes of its file. Lines end in the whole "
        "model; what lies lower and further left is better."
    )
    reference = [(float(whole["bits_per_char"]), "whole model")]
    half = table[table["share"] <= 0.5]
    title = (
        f"Half of the file costs {half['cost'].min():.3f} bits at least" if len(half) else "Size and quality"
    )
    panel = Panel(title, "bytes saved to disk", "bits per character", series, "log", "linear", reference)
    return Chart("size", caption, [panel])


def _sentences(table: Any, name: str) -> list[str]:
    whole = table.iloc[0]
    sentences = [
        f"On {name} the whole model takes {whole['bytes'] / 1e6:.2f} MB and {whole['bits_per_char']:.4f} bits a character."
    ]
    for way, of in table[table["way"] != WHOLE].groupby("way", sort=False):
        row = of[of["share"] <= 0.5].nlargest(1, "bytes")
        if row.empty:
            smallest = of.nsmallest(1, "bytes").iloc[0]
            sentences.append(f"{str(way).capitalize()}, the file shrinks to {smallest['share']:.0%} at most.")
            continue
        row = row.iloc[0]
        setting = f" ({row['setting']})" if row["setting"] else ""
        sentences.append(
            f"{str(way).capitalize()}{setting}, {row['share']:.0%} of the file cost {row['cost']:+.4f} bits a character "
            f"(95% interval {row['low']:+.4f} to {row['high']:+.4f})."
        )
    return sentences
