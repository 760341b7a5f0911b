"""Do the error bars hold? Coverage, false positives and power on texts whose truth is known.

A source writes many test texts. The models are tables of next-character probabilities, so that what each of
them loses per character in the long run is computed, not estimated; ``summary`` and ``compare`` then see the
texts' scores as they see any other.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lmbench.charts.chart import Chart, Panel, Series
from lmbench.comparing.metrics import summary
from lmbench.comparing.pairs import compare
from lmbench.corpora.corpus import Corpus
from lmbench.corpora.sources import HiddenMarkov, even_process, golden_mean, markov
from lmbench.models.monitor import Monitor
from lmbench.scoring.run import Run, Signature
from lmbench.scoring.scores import LN2, Scores
from lmbench.studies import Study

if TYPE_CHECKING:
    import pandas as pd

QUESTION = "Do the 95% intervals hold the truth 95 times in 100, and do equal models pass for equal?"
CONTEXT = 3  # characters that the models see
EXCESS = 0.02  # bits per character that the equal models lose over the best
LENGTH = 10_000  # characters of a test text


def passages(stay: float = 0.97) -> HiddenMarkov:
    """Two states over "abc ", easy passages and hard ones: losses depend on each other over some 30 characters."""
    write = np.array([[0.91, 0.03, 0.03, 0.03], [0.25, 0.25, 0.25, 0.25]])
    go = np.array([[stay, 1 - stay], [1 - stay, stay]])
    return HiddenMarkov("abc ", np.einsum("sa,st->ast", write, go))


# name: (source, documents of a text)
CASES: dict[str, tuple[Callable[[], HiddenMarkov], int]] = {
    "golden-mean": (lambda: golden_mean(0.3), 1),
    "even-process": (lambda: even_process(0.3), 1),
    "markov": (markov, 1),
    "passages": (passages, 1),
    "80 documents": (passages, 80),
}


# Models of known loss ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Laboratory:
    """A source, and what any table of probabilities loses on it in the long run.

    joint: (A^k, S) probability of the last k characters and the hidden state; writes: (S, A) P(character | state).
    """

    source: HiddenMarkov
    joint: np.ndarray
    writes: np.ndarray

    @classmethod
    def of(cls, source: HiddenMarkov) -> Laboratory:
        joint = source.stationary[None, :]
        for _ in range(CONTEXT):
            joint = np.einsum("cs,ast->cat", joint, source.moves).reshape(-1, joint.shape[1])
        return cls(source, joint, source.moves.sum(axis=2).T)

    @property
    def best(self) -> np.ndarray:
        """(A^k, A): P(character | last k characters), smoothed so that nothing is impossible."""
        counts = self.joint @ self.writes
        return _rows(counts + 1e-4)

    def loss(self, table: np.ndarray) -> float:
        """Bits per character of a model (A^k, A) in the long run: its cross-entropy, exactly."""
        return float(-((self.joint @ self.writes) * np.log2(table)).sum())

    def bits(self, table: np.ndarray, text: str) -> np.ndarray:
        """(len(text) - k,) of each character after the first k."""
        alphabet = self.source.alphabet
        place = np.zeros(128, dtype=np.int64)
        place[[ord(c) for c in alphabet]] = np.arange(len(alphabet))
        symbols = place[np.frombuffer(text.encode("ascii"), dtype=np.uint8)]
        context = np.zeros(len(symbols) - CONTEXT, dtype=np.int64)
        for start in range(CONTEXT):
            context = context * len(alphabet) + symbols[start : start - CONTEXT]
        return -np.log2(table[context, symbols[CONTEXT:]])

    def tilted(self, direction: np.ndarray, excess: float) -> np.ndarray:
        """The best table tilted along ``direction`` (A^k, A) until it loses ``excess`` bits per character more."""
        from scipy.optimize import brentq

        logs, floor = np.log(self.best), self.loss(self.best)

        def table(strength: float) -> np.ndarray:
            return _rows(np.exp(logs + strength * direction))

        # The loss is convex in the strength, with its least value at 0 up to the smoothing of ``best``.
        return table(brentq(lambda s: self.loss(table(s)) - floor - excess, 0, 50, xtol=1e-12))


def _rows(counts: np.ndarray) -> np.ndarray:
    table: np.ndarray = counts / counts.sum(axis=1, keepdims=True)
    return table


# Trials --------------------------------------------------------------------------------------------


@dataclass
class Tally:
    """How often something happened in so many trials."""

    hits: int = 0
    trials: int = 0

    def add(self, hit: bool) -> None:
        self.hits += hit
        self.trials += 1

    def interval(self) -> tuple[float, float, float]:
        """The share and its 95% interval (Wilson 1927)."""
        n, p, z = self.trials, self.hits / self.trials, 1.96
        centre, half = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        return p, max(0.0, (centre - half) / (1 + z * z / n)), min(1.0, (centre + half) / (1 + z * z / n))


def scores_of(bits: np.ndarray, documents: int) -> Scores:
    """Scores of a text of one-character tokens in so many documents of one length."""
    n = len(bits)
    starts = np.arange(0, n, n // documents, dtype=np.int64)
    nothing = np.zeros(n)
    return Scores(-bits * LN2, np.arange(1, n + 1), nothing > 0, nothing, starts, n, n, n, 0)


def independent(bits: np.ndarray, truth: float) -> bool:
    """Whether mean ± 1.96 sd/√n, which takes tokens for independent, holds the truth."""
    return bool(abs(bits.mean() - truth) <= 1.96 * bits.std(ddof=1) / math.sqrt(len(bits)))


def trials(
    name: str, texts: int, length: int, rng: np.random.Generator, monitor: Monitor, done: int, total: int
) -> dict[str, tuple[Tally, float]]:
    """(kind, method) -> tally and the nominal rate, for one case of CASES.

    Model a is too sure of itself and loses EXCESS bits over the source's best table, b is too timid and loses as
    much, elsewhere in the text; c is more timid still, by what ``compare`` says that it can resolve.
    """
    make, documents = CASES[name]
    laboratory = Laboratory.of(make())
    sharper = np.log(laboratory.best)
    a, b = laboratory.tilted(sharper, EXCESS), laboratory.tilted(-sharper, EXCESS)

    def text() -> tuple[str, ...]:
        return tuple(laboratory.source.generate(length // documents + CONTEXT, rng) for _ in range(documents))

    def runs(written: tuple[str, ...], *tables: np.ndarray) -> list[Run]:
        found = []
        for label, table in zip("abc", tables, strict=False):
            bits = np.concatenate([laboratory.bits(table, piece) for piece in written])
            found.append(Run(name, label, scores_of(bits, documents), Signature(corpus=name)))
        return found

    def test(written: tuple[str, ...], other: np.ndarray) -> tuple[float, bool, float]:
        pair = runs(written, a, other)
        row = compare(pair, rng=rng).iloc[0]
        bits = [-run.scores.log_probs / LN2 for run in pair]
        return row["p_value"], not independent(bits[0] - bits[1], 0.0), row["resolvable_difference"]

    # How much c is to be worse: what is said to be resolvable, in the middle of some texts; thrice over, since the
    # error bar of a - c is wider than that of a - b.
    c = b
    for _ in range(3):
        resolvable = float(np.median([test(text(), c)[2] for _ in range(max(9, texts // 20))]))
        c = laboratory.tilted(-sharper, EXCESS + resolvable)

    truth = laboratory.loss(a)
    names = ("coverage", "false positives", "power")
    tallies = {f"{kind}, {how}": Tally() for kind in names for how in ("blocks", "independent")}
    for i in range(texts):
        written = text()
        scores = runs(written, a)[0].scores
        low, high = summary(scores)["ci95"]
        tallies["coverage, blocks"].add(low <= truth <= high)
        tallies["coverage, independent"].add(independent(-scores.log_probs / LN2, truth))
        for kind, other in (("false positives", b), ("power", c)):
            p, naive, _ = test(written, other)
            tallies[f"{kind}, blocks"].add(p <= 0.05)
            tallies[f"{kind}, independent"].add(naive)
        monitor.progress(done + (i + 1) / texts, total, name)
    return {key: (tally, laboratory.loss(c) - truth) for key, tally in tallies.items()}


# The study -----------------------------------------------------------------------------------------

NOMINAL = {"coverage": 0.95, "false positives": 0.05, "power": 0.80}


def run(
    corpus: Corpus,
    *,
    seed: int = 0,
    full: bool = False,
    monitor: Monitor,
    texts: int = 0,
    length: int = LENGTH,
) -> Study:
    """Simulates; the corpus is not read. texts: how many a source writes (default 100, with ``full`` 1000).

    length: characters of each.
    """
    import pandas as pd

    texts = texts or (1000 if full else 100)
    rows: list[dict[str, Any]] = []
    for done, name in enumerate(CASES):
        rng = np.random.default_rng([seed, done])
        for key, (tally, gap) in trials(name, texts, length, rng, monitor, done, len(CASES)).items():
            kind, _, method = key.partition(", ")
            share, low, high = tally.interval()
            row = {"source": name, "length": length, "what": kind, "method": method, "nominal": NOMINAL[kind]}
            row |= {"rate": share, "low": low, "high": high, "texts": texts}
            rows.append(
                row | {"difference_bits_per_char": {"coverage": math.nan, "power": gap}.get(kind, 0.0)}
            )
    table = pd.DataFrame(rows)
    caption = (
        f"Over {texts:,} texts of {length:,} characters a source: how often the 95% interval holds the true bits per "
        "character, how often two equally good models are told apart at 5%, and how often a difference of "
        "the size called resolvable is found. The lines are what is promised."
    )
    panels = [
        Panel(
            kind.capitalize(),
            "source",
            "share of texts",
            _series(table, kind),
            horizontal=[(NOMINAL[kind], f"{NOMINAL[kind]:.0%}")],
        )
        for kind in NOMINAL
    ]
    sentences = [_sentence(table, kind) for kind in NOMINAL]
    return Study("validity", QUESTION, table, [Chart("validity", caption, panels)], sentences)


def _series(table: pd.DataFrame, kind: str) -> list[Series]:
    """A row a source and method; the power of bars that are too narrow says nothing and is not shown."""
    rows = table[(table["what"] == kind) & ((table["method"] == "blocks") | (kind != "power"))]
    return [
        Series("", [f"{source}: {method}"], [rate], "interval", [low], [high], key=method)
        for source, method, rate, low, high in rows[
            ["source", "method", "rate", "low", "high"]
        ].values.tolist()
    ]


def _sentence(table: pd.DataFrame, kind: str) -> str:
    rates = {
        method: table[(table["what"] == kind) & (table["method"] == method)]["rate"]
        for method in ("blocks", "independent")
    }
    told = {method: f"{r.min():.1%} to {r.max():.1%}" for method, r in rates.items()}
    what = {
        "coverage": "The 95% interval held the true bits per character in {blocks} of the texts of a source; "
        "error bars that take tokens for independent did in {independent}.",
        "false positives": "Two equally good models were told apart at the 5% level in {blocks} of the texts; "
        "by a test that takes tokens for independent in {independent}.",
        "power": "A difference of the size stated as resolvable was found in {blocks} of the texts (80% is promised).",
    }[kind]
    return what.format(**told)
