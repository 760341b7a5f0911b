"""How do bits fall with more training text, longer n-grams, and larger networks?"""

from __future__ import annotations

import dataclasses
import itertools
import math
from typing import Any

import numpy as np

from lmbench.charts.chart import Chart, Panel, Series
from lmbench.comparing.metrics import summary
from lmbench.corpora.corpus import Corpus
from lmbench.models import make_model
from lmbench.models.monitor import Monitor
from lmbench.scoring.scorer import Scorer
from lmbench.studies.study import SMALL_RNN, Study, at_least, small_torch
from lmbench.text.canonical import CanonicalText

SHARES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
RNN_SHARES = (0.02, 0.1, 0.5, 1.0)
EPOCHS = (
    16  # at most, of the recurrent network on a part of the text: as many passes as make the updates alike
)
COUNT_MODELS: dict[str, tuple[str, str, dict[str, Any]]] = {  # label: (model, unit, options)
    "char 3-gram": ("trigram", "char", {}),
    "char Kneser–Ney 5": ("kneser-ney", "char", {"order": 5}),
    "word Kneser–Ney 3": ("kneser-ney", "word", {"order": 3}),
}
NETWORK = "char RNN"
ORDERS = (1, 2, 3, 4, 5, 6, 7, 8)
HIDDENS = (16, 32, 64, 128)
HIDDEN_CHARS = 50_000  # of training text for the curve against hidden size


def run(corpus: Corpus, *, seed: int = 0, full: bool = False, monitor: Monitor) -> Study:
    """Parts of the training text from its beginning on; the held-out text stays the same.

    full: the recurrent network with twice the passes, on more sizes, and against hidden size on all of the text.
    """
    import pandas as pd

    corpus = corpus.with_held_out()
    at_least("characters of training text", corpus.train.chars, 10_000)
    budget = {**SMALL_RNN, "epochs": 2 * SMALL_RNN["epochs"]} if full else SMALL_RNN
    cells = list(_cells(corpus, budget, SHARES if full else RNN_SHARES, full))
    rows = []
    for i, (vary, label, value, part, (model, unit, options)) in enumerate(cells):
        monitor.progress(i, len(cells), f"{label}, {vary} {value:,}")
        with small_torch(np.random.default_rng([seed, i])):
            scorer = Scorer.fit(make_model(model, **options), part, unit, seed)
            found = summary(scorer.score(corpus.text("test")))
        low, high = found["ci95"]
        rows.append(
            {
                "vary": vary,
                "model": label,
                "value": value,
                "train_chars": part.train.chars,
                "bits_per_char": found["bits_per_char"],
                "low": low,
                "high": high,
                "parameters": scorer.model.parameters,
            }
        )
    table = pd.DataFrame(rows)
    curves = {
        str(label): (of["train_chars"].to_numpy(float), of["bits_per_char"].to_numpy(float))
        for label, of in table[table["vary"] == "size"].groupby("model", sort=False)
    }
    fits = {label: fit_curve(*curve) for label, curve in curves.items()}
    crossings = [
        c for a, b in itertools.combinations(curves, 2) for c in overtakings(a, curves[a], b, curves[b])
    ]
    facts = {
        "fits": {k: None if f is None else dataclasses.asdict(f) for k, f in fits.items()},
        "crossings": crossings,
    }
    charts = [_chart(table, curves, fits, crossings)]
    return Study.of(
        table,
        charts,
        _sentences(table, curves, fits, crossings, corpus.name),
        facts,
    )


def _cells(corpus: Corpus, budget: dict[str, Any], rnn_shares: tuple[float, ...], full: bool) -> Any:
    """(what varies, label, its value, the corpus to learn from, (model, unit, options)), one after another."""

    def part(chars: int, valid: CanonicalText | None = corpus.valid) -> Corpus:
        # Not dataclasses.replace: that would share the cache of encoded texts.
        train = corpus.train.head(chars)
        return Corpus(corpus.name, train, valid, corpus.test, corpus.normalise, corpus.documents)

    chars = corpus.train.chars
    for label, kind in COUNT_MODELS.items():
        for share in SHARES:
            yield "size", label, int(share * chars), part(int(share * chars)), kind
    # Networks make a fixed number of passes: held-out text would be scored after each, and decide nothing.
    for share in rnn_shares:
        epochs = min(round(budget["epochs"] / share), EPOCHS)
        yield (
            "size",
            NETWORK,
            int(share * chars),
            part(int(share * chars), None),
            ("rnn", "char", {**budget, "epochs": epochs}),
        )
    for order in ORDERS:
        yield "order", "char Kneser–Ney", order, corpus, ("kneser-ney", "char", {"order": order})
    small = part(chars if full else min(HIDDEN_CHARS, chars), None)
    for hidden in HIDDENS:
        yield (
            "hidden",
            NETWORK,
            hidden,
            small,
            ("rnn", "char", {**budget, "hidden": hidden, "epochs": 2 * budget["epochs"]}),
        )


# Curves --------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class CurveFit:
    """L(D) = E + B D^-beta: bits per character after D characters of training text; E is where it would end."""

    E: float
    B: float
    beta: float

    def at(self, chars: np.ndarray) -> np.ndarray:
        return np.asarray(self.E + self.B * chars**-self.beta)


def fit_curve(chars: np.ndarray, bits: np.ndarray) -> CurveFit | None:
    """Least squares on the bits, E ≥ 0, B ≥ 0, 0 < beta ≤ 2; None for fewer than four points.

    For each beta the other two are linear, so beta alone is searched.
    """
    from scipy.optimize import minimize_scalar, nnls

    if len(chars) < 4:
        return None
    scaled = chars / chars[-1]

    def solve(beta: float) -> tuple[np.ndarray, float]:
        weights, residual = nnls(np.column_stack([np.ones(len(chars)), scaled**-beta]), bits)
        return weights, float(residual)

    grid = np.geomspace(0.01, 2, 60)
    best = int(np.argmin([solve(beta)[1] for beta in grid]))
    bounds = (grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)])
    beta = float(
        minimize_scalar(lambda b: solve(b)[1], bounds=bounds, method="bounded", options={"xatol": 1e-9}).x
    )
    (E, B), _ = solve(beta)
    return CurveFit(float(E), float(B * chars[-1] ** beta), beta)


Curve = tuple[np.ndarray, np.ndarray]


def overtakings(a: str, one: Curve, b: str, other: Curve) -> list[dict[str, Any]]:
    """Where two curves cross, by straight lines over ln D between the sizes that both have been measured at."""
    sizes, of_one, of_other = np.intersect1d(one[0], other[0], return_indices=True)
    x, first, second = np.log(sizes), one[1][of_one], other[1][of_other]
    gap = first - second
    found = []
    for i in np.flatnonzero(gap[:-1] * gap[1:] < 0):
        share = gap[i] / (gap[i] - gap[i + 1])
        winner, loser = (a, b) if gap[i] > 0 else (b, a)
        found.append(
            {
                "overtakes": winner,
                "overtaken": loser,
                "chars": float(math.exp(x[i] + share * (x[i + 1] - x[i]))),
                "bits_per_char": float(first[i] + share * (first[i + 1] - first[i])),
            }
        )
    return found


def _chart(
    table: Any, curves: dict[str, Curve], fits: dict[str, CurveFit | None], crossings: list[dict[str, Any]]
) -> Chart:
    size = []
    for label, (chars, bits) in curves.items():
        of = table[(table["vary"] == "size") & (table["model"] == label)]
        size.append(
            Series(label, chars.tolist(), bits.tolist(), "points", of["low"].tolist(), of["high"].tolist())
        )
        fit = fits[label]
        if fit is not None:
            x = np.geomspace(chars[0], chars[-1], 60)
            size.append(Series("", x.tolist(), fit.at(x).tolist(), "line", key=label))
    if crossings:
        at = [c["chars"] for c in crossings]
        size.append(Series("overtakes", at, [c["bits_per_char"] for c in crossings], "points"))
    panels = [Panel("Training text", "characters of training text", "bits per character", size, xscale="log")]
    for vary, title, xlabel in (
        ("order", "Order of the n-gram", "order"),
        ("hidden", "Units of the network", "hidden units"),
    ):
        of = table[table["vary"] == vary]
        label = str(of["model"].iloc[0])
        series = Series(
            label,
            of["value"].tolist(),
            of["bits_per_char"].tolist(),
            "line",
            of["low"].tolist(),
            of["high"].tolist(),
        )
        panels.append(
            Panel(title, xlabel, "bits per character", [series], "log" if vary == "hidden" else "linear")
        )
    caption = (
        "Held-out bits against the training text with the fitted E + B·D^-β, against order and against hidden units "
        "(95% intervals)."
    )
    return Chart("learning-curve", caption, panels)


def _sentences(
    table: Any,
    curves: dict[str, Curve],
    fits: dict[str, CurveFit | None],
    crossings: list[dict[str, Any]],
    name: str,
) -> list[str]:
    chars = max(c[0][-1] for c in curves.values())
    best = min(curves, key=lambda label: curves[label][1][-1])
    slopes = "; ".join(
        f"{label} {curves[label][1][-1]:.3f} (β = {f.beta:.2f}, {f'E = {f.E:.2f}' if f.E > 0 else 'no floor in sight'})"
        for label, f in fits.items()
        if f
    )
    found = [
        f"After all {chars:,.0f} characters of {name}, {best} needs fewest bits a character of held-out text: {slopes}."
    ]
    if crossings:
        told = "; ".join(
            f"{c['overtakes']} overtakes {c['overtaken']} after {c['chars']:,.0f} characters"
            for c in crossings
        )
        found.append(f"As the training text grows, {told}.")
    else:
        found.append("No model overtakes another at the sizes measured.")
    orders, hiddens = table[table["vary"] == "order"], table[table["vary"] == "hidden"]
    order = orders.iloc[int(np.argmin(orders["bits_per_char"]))]
    first, last = hiddens.iloc[0], hiddens.iloc[-1]
    found.append(
        f"Of orders {ORDERS[0]} to {ORDERS[-1]} Kneser–Ney is best at {order['value']}, with {order['bits_per_char']:.3f} bits; from {first['value']} to "
        f"{last['value']} hidden units the network goes from {first['bits_per_char']:.3f} to {last['bits_per_char']:.3f} bits "
        f"after {last['train_chars']:,} characters of training text."
    )
    return found
