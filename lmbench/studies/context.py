"""How far back does a network look? Bits against the tokens of context that it is shown."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from lmbench.charts.chart import Chart, Panel, Series
from lmbench.comparing.metrics import summary
from lmbench.corpora.corpus import Corpus
from lmbench.errors import unknown
from lmbench.models import make_model
from lmbench.models.monitor import Monitor
from lmbench.scoring.scorer import Scorer
from lmbench.studies.study import SMALL_RNN, Study, at_least, plural

LENGTHS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)
ORDERS = 8  # of the count model beside it
ENOUGH = 0.01  # bits a character by which the whole past may be better
# Small networks, without weights from n-grams straight to the output: what they remember themselves is seen.
RECURRENT: dict[str, Any] = {**SMALL_RNN, "epochs": 4}
WINDOWED: dict[str, Any] = {"hidden": 64, "epochs": 4, "patience": None}
MODELS: dict[str, dict[str, Any]] = {
    "rnn": RECURRENT,
    "gru": RECURRENT,
    "lstm": RECURRENT,
    "mlp": WINDOWED | {"window": 16},
    "transformer": WINDOWED | {"layers": 2},
}
SCORED = 10_000  # characters, in the short version
WAYS = {
    "fixed": "network, the last N alone",
    "reset": "network, begun anew every N",
    "carry": "network, the whole past",
    "counts": "Kneser–Ney of order N + 1",
}


def run(
    corpus: Corpus,
    *,
    seed: int = 0,
    full: bool = False,
    monitor: Monitor,
    model: str = "lstm",
    unit: str = "char",
) -> Study:
    """One network, trained once, scored with the last N tokens alone, with the state anew every N, and with all.

    model: rnn, gru, lstm, mlp or transformer (which takes some minutes). full: its default size and training, and all of the test text.
    """
    import pandas as pd

    if model not in MODELS:
        raise unknown("network", model, MODELS)
    corpus = corpus.with_held_out()
    trained, held_out = (len(corpus.encoded(unit, split).tokens) for split in ("train", "test"))
    at_least(f"{plural(unit)} of training text", trained, 1000)
    at_least(f"{plural(unit)} of test text", held_out, 100)
    network: Any = make_model(model, direct=0, **({} if full else MODELS[model]))
    whole = corpus.text("test")
    text = whole if full else whole.head(SCORED)
    total = 2 * len(LENGTHS) + ORDERS + 1
    rows: list[dict[str, Any]] = []

    def note(way: str, length: int | None, scorer: Scorer) -> None:
        monitor.progress(len(rows) + 1, total, WAYS[way] if length is None else f"{WAYS[way]}, N = {length}")
        scored = summary(scorer.score(text))
        low, high = scored["ci95"]
        rows.append(
            {"way": way, "tokens": length, "bits_per_char": scored["bits_per_char"], "low": low, "high": high}
        )

    monitor.progress(0, total, f"training {model}")
    scorer = Scorer.fit(network, corpus, unit, seed)
    note("carry", None, scorer)
    for length in LENGTHS:
        note("fixed", length, replace(scorer, model=network.with_context(f"fixed:{length}")))
        note("reset", length, replace(scorer, model=network.with_context("reset", length)))
    for order in range(2, ORDERS + 1):
        note("counts", order - 1, Scorer.fit(make_model("kneser-ney", order=order), corpus, unit, seed))
    table = pd.DataFrame(rows).astype({"tokens": "Int64"})
    facts = {"characters": text.chars, "model": model}
    return Study.of(table, [_chart(table, unit)], _sentences(table, corpus.name, model, unit), facts)


def _chart(table: Any, unit: str) -> Chart:
    series = []
    for way, of in table.groupby("way", sort=False):
        x, y, low, high = (of[name].tolist() for name in ("tokens", "bits_per_char", "low", "high"))
        if way == "carry":
            series.append(Series(WAYS[way], [LENGTHS[0], LENGTHS[-1]], y * 2, "dashed"))
        elif way == "fixed":
            series.append(Series(WAYS[way], x, y, "line", low, high))
        else:
            series.append(Series(WAYS[way], x, y, "points" if way == "reset" else "line"))
    caption = (
        "One network, shown the last N alone (band: 95% interval), read with its state begun anew every N, and with all "
        "that went before; and count models that see N."
    )
    label = f"{plural(unit)} of context, N"
    whole = float(table[table["way"] == "carry"]["bits_per_char"].iloc[0])
    fixed = table[table["way"] == "fixed"]
    near = fixed[fixed["bits_per_char"] <= whole + ENOUGH]["tokens"]
    title = (
        f"The last {int(near.iloc[0])} are worth all that went before"
        if len(near)
        else f"Even the last {LENGTHS[-1]} are not worth all that went before"
    )
    panel = Panel(title, label, "bits per character", series, "log")
    return Chart("context", caption, [panel])


def _sentences(table: Any, name: str, model: str, unit: str) -> list[str]:
    by = {way: of.set_index("tokens")["bits_per_char"] for way, of in table.groupby("way")}
    whole = float(by["carry"].iloc[0])
    near = by["fixed"][by["fixed"] <= whole + ENOUGH]
    reach = (
        f"the last {near.index[0]} alone are enough to come within {ENOUGH} of that"
        if len(near)
        else f"the last {LENGTHS[-1]} alone are not enough to come within {ENOUGH} of that "
        f"({by['fixed'].iloc[-1]:.3f})"
    )
    best = by["counts"].idxmin()
    return [
        f"On held-out {name}, {model} needs {whole:.3f} bits a character with all that went before; {reach}.",
        f"With the last {LENGTHS[0]}, {LENGTHS[3]} and {LENGTHS[5]} alone it needs "
        + ", ".join(f"{by['fixed'][n]:.3f}" for n in (LENGTHS[0], LENGTHS[3], LENGTHS[5]))
        + f"; a state begun anew every {LENGTHS[-1]} costs {by['reset'].iloc[-1] - whole:+.3f}.",
        f"Kneser–Ney, given 1 to {ORDERS - 1}, needs least with {best}: {by['counts'][best]:.3f}.",
    ]
