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
from lmbench.scoring.scores import Scores
from lmbench.studies.study import SMALL_RNN, Study, announced, at_least, small_torch
from lmbench.text.canonical import CanonicalText

SHARES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
RNN_SHARES = (0.02, 0.1, 0.5, 1.0)
# At most, of the recurrent network on a part of the text: as many passes as make the updates alike.
EPOCHS = 16
BLOCKS = 20  # of the held-out text, drawn anew for the errors of a curve; of fewer documents than that
DRAWS = 200
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
    blocks: dict[str, list[np.ndarray]] = {}  # label: bits of each block of the held-out text, a size each
    test = corpus.text("test")
    for i, (vary, label, value, part, (model, unit, options)) in enumerate(
        announced(cells, monitor, lambda cell: f"{cell[1]}, {cell[0]} {cell[2]:,}")
    ):
        with small_torch(np.random.default_rng([seed, i])):
            scorer = Scorer.fit(make_model(model, **options), part, unit, seed)
            scores = scorer.score(test)
        scored = summary(scores)
        low, high = scored["ci95"]
        rows.append(
            {
                "vary": vary,
                "model": label,
                "value": value,
                "train_chars": part.train.chars,
                "bits_per_char": scored["bits_per_char"],
                "low": low,
                "high": high,
                "parameters": scorer.model.parameters,
            }
        )
        if vary == "size":
            blocks.setdefault(label, []).append(block_bits(scores, block_starts(test)))
    table = pd.DataFrame(rows)
    curves = {
        str(label): (of["train_chars"].to_numpy(float), of["bits_per_char"].to_numpy(float))
        for label, of in table[table["vary"] == "size"].groupby("model", sort=False)
    }
    lengths = np.diff(block_starts(test), append=test.chars)
    fits = {
        label: fit_with_errors(curve[0], np.array(blocks[label]), lengths, np.random.default_rng(seed))
        for label, curve in curves.items()
    }
    crossings = [
        c for a, b in itertools.combinations(curves, 2) for c in overtakings(a, curves[a], b, curves[b])
    ]
    facts = {
        "fits": {k: None if f is None else dataclasses.asdict(f) for k, f in fits.items()},
        "crossings": crossings,
    }
    charts = [_chart(table, curves, fits, crossings)]
    return Study.of(table, charts, _sentences(table, curves, fits, crossings, corpus.name), facts)


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
    """L(D) = E + B D^-beta: bits per character after D characters of training text; E is where it would end.

    E_interval, beta_interval: 95%, by ``fit_with_errors``; nan where they have not been computed.
    """

    E: float
    B: float
    beta: float
    E_interval: tuple[float, float] = (math.nan, math.nan)
    beta_interval: tuple[float, float] = (math.nan, math.nan)

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


def block_starts(text: CanonicalText) -> np.ndarray:
    """(N,) int64, where blocks of a text begin, in characters: its documents, or BLOCKS equal parts if they are fewer."""
    if len(text.starts) >= BLOCKS:
        return np.asarray(text.starts)
    return np.arange(BLOCKS) * text.chars // BLOCKS


def block_bits(scores: Scores, starts: np.ndarray) -> np.ndarray:
    """(N,) bits of each block that begins at one of ``starts`` (characters); a token counts where it ends."""
    place = np.searchsorted(starts, scores.ends - 1, side="right") - 1
    return np.bincount(place, weights=scores.bits, minlength=len(starts))


def fit_with_errors(
    chars: np.ndarray, bits: np.ndarray, lengths: np.ndarray, rng: np.random.Generator, draws: int = DRAWS
) -> CurveFit | None:
    """The curve with 95% intervals of E and beta: blocks of the held-out text and points of the curve drawn anew.

    chars: (P,) of training text; bits: (P, N) of each block; lengths: (N,) characters of the blocks. The blocks
    drawn are the same for all points, which have met the same text. At least three points of a draw differ. Of 100
    curves of this form, of 7 points, they held E in 99 and beta in 100; of curves of another form they know nothing.
    """
    fit = fit_curve(chars, bits.sum(axis=1) / lengths.sum())
    if fit is None:
        return None
    drawn: list[tuple[float, float]] = []
    while len(drawn) < draws:
        weights = rng.multinomial(len(lengths), np.full(len(lengths), 1 / len(lengths)))
        points = np.sort(rng.integers(0, len(chars), len(chars)))
        if len(np.unique(points)) >= 3:
            again = fit_curve(chars[points], (bits[points] @ weights) / (lengths @ weights))
            assert again is not None
            drawn.append((again.E, again.beta))
    (E_low, beta_low), (E_high, beta_high) = np.quantile(drawn, (0.025, 0.975), axis=0).tolist()
    return dataclasses.replace(fit, E_interval=(E_low, E_high), beta_interval=(beta_low, beta_high))


Curve = tuple[np.ndarray, np.ndarray]


def overtakings(a: str, one: Curve, b: str, other: Curve) -> list[dict[str, Any]]:
    """Where two curves cross, by straight lines over ln D between the sizes that both have been measured at."""
    sizes, of_one, of_other = np.intersect1d(one[0], other[0], return_indices=True)
    x, first, second = np.log(sizes), one[1][of_one], other[1][of_other]
    gap = first - second
    crossings = []
    for i in np.flatnonzero(gap[:-1] * gap[1:] < 0):
        share = gap[i] / (gap[i] - gap[i + 1])
        winner, loser = (a, b) if gap[i] > 0 else (b, a)
        crossings.append(
            {
                "overtakes": winner,
                "overtaken": loser,
                "chars": float(math.exp(x[i] + share * (x[i + 1] - x[i]))),
                "bits_per_char": float(first[i] + share * (first[i + 1] - first[i])),
            }
        )
    return crossings


def _between(low: float, high: float) -> str:
    """An interval in as many decimals as its width allows.

    >>> _between(0.4512, 2.3811), _between(1.304, 1.352), _between(0.2, 0.2)
    ('0.5 to 2.4', '1.30 to 1.35', '0.200')
    """
    digits = 3 if high <= low else min(3, max(1, math.ceil(-math.log10(high - low))))
    return f"{low:.{digits}f} to {high:.{digits}f}" if high > low else f"{low:.{digits}f}"


def _floor(fit: CurveFit) -> str:
    low, high = fit.E_interval
    return f"E {_between(low, high)}" if low > 0.01 else f"E anywhere from 0 to {high:.1f}"


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
        places = [c["chars"] for c in crossings]
        size.append(Series("overtakes", places, [c["bits_per_char"] for c in crossings], "points"))
    best = min(curves, key=lambda label: curves[label][1][-1])
    title = f"With all of the text {best} is best"
    panels = [Panel(title, "characters of training text", "bits per character", size, xscale="log")]
    for vary, what, xlabel in (
        ("order", "order", "order of the n-gram"),
        ("hidden", "units", "hidden units"),
    ):
        of = table[table["vary"] == vary]
        series = Series.of(str(of["model"].iloc[0]), of, "value", "bits_per_char", band=("low", "high"))
        least = of.loc[of["bits_per_char"].idxmin(), "value"]
        title = f"Least bits at {what} {least}" if vary == "order" else f"Least bits at {least} {what}"
        scale: Any = "log" if vary == "hidden" else "linear"
        panels.append(Panel(title, xlabel, "bits per character", [series], scale))
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
        f"{label} {curves[label][1][-1]:.3f} (β {_between(*f.beta_interval)}, {_floor(f)})"
        for label, f in fits.items()
        if f
    )
    sentences = [
        f"After all {chars:,.0f} characters of {name}, {best} needs fewest bits a character of held-out text: {slopes}."
    ]
    if crossings:
        overtakings_told = "; ".join(
            f"{c['overtakes']} overtakes {c['overtaken']} after {c['chars']:,.0f} characters"
            for c in crossings
        )
        sentences.append(f"As the training text grows, {overtakings_told}.")
    else:
        sentences.append("No model overtakes another at the sizes measured.")
    orders, hiddens = table[table["vary"] == "order"], table[table["vary"] == "hidden"]
    order = orders.iloc[int(np.argmin(orders["bits_per_char"]))]
    first, last = hiddens.iloc[0], hiddens.iloc[-1]
    sentences.append(
        f"Of orders {ORDERS[0]} to {ORDERS[-1]} Kneser–Ney is best at {order['value']}, with {order['bits_per_char']:.3f} bits; from {first['value']} to "
        f"{last['value']} hidden units the network goes from {first['bits_per_char']:.3f} to {last['bits_per_char']:.3f} bits "
        f"after {last['train_chars']:,} characters of training text."
    )
    return sentences
