"""Texts whose truth is known: losses of two equally good models, drawn again and again, with what they lose in the long run.

A case draws a test text: sources of characters, whose models are tables with a computed loss; documents of random level; topics whose
lengths have no finite variance; and stretches of real texts, of which the whole is the truth.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from lmbench.corpora.chains import HiddenMarkov
from lmbench.corpora.corpus import Corpus
from lmbench.corpora.sources import even_process, golden_mean, markov
from lmbench.models import make_model
from lmbench.scoring.scorer import Scorer
from lmbench.text.canonical import CanonicalText

CONTEXT = 3  # characters that the models of sources see
EXCESS = 0.02  # bits per character that the equal models lose over the best
STRETCH = 1500  # characters of a real text that go to one half or the other
WEIRD = 1 / 30  # share of weird documents


@dataclass(frozen=True)
class Draw:
    """A test text as two equally good models see it. losses: (T, 2) bits; lengths: (T,) characters; documents: starts, or None.

    truth: bits per character of both in the long run.
    """

    losses: np.ndarray
    lengths: np.ndarray
    documents: np.ndarray | None
    truth: float


@dataclass(frozen=True)
class Case:
    """Where texts come from. settled: the settings of the error bars were chosen while looking at this case."""

    name: str
    draw: Callable[[int, np.random.Generator], Draw]
    settled: bool


# Sources of characters -------------------------------------------------------------------------------


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


def passages(stay: float = 0.97) -> HiddenMarkov:
    """Two states over "abc ", easy passages and hard ones: losses depend on each other over some 30 characters."""
    write = np.array([[0.91, 0.03, 0.03, 0.03], [0.25, 0.25, 0.25, 0.25]])
    go = np.array([[stay, 1 - stay], [1 - stay, stay]])
    return HiddenMarkov("abc ", np.einsum("sa,st->ast", write, go))


def of_source(name: str, make: Callable[[], HiddenMarkov], settled: bool) -> Case:
    """Model a is too sure of itself and loses EXCESS bits over the source's best table, b is too timid and loses as much."""
    laboratory = Laboratory.of(make())
    sharper = np.log(laboratory.best)
    tables = [laboratory.tilted(direction, EXCESS) for direction in (sharper, -sharper)]
    truth = laboratory.loss(tables[0])

    def draw(length: int, rng: np.random.Generator) -> Draw:
        text = laboratory.source.generate(length + CONTEXT, rng)
        losses = np.stack([laboratory.bits(table, text) for table in tables], axis=1)
        return Draw(losses, np.ones(length), None, truth)

    return Case(name, draw, settled)


# Documents and topics of random level ----------------------------------------------------------------


def of_documents(name: str, count: int, tail: float | None, settled: bool, weird: bool = False) -> Case:
    """So many documents; each has a level of its own for each model, besides a common one, and noise in its tokens.

    tail: of the Pareto distribution of their lengths, None where all are of one length. weird: one in thirty costs thrice as much.
    """

    def draw(length: int, rng: np.random.Generator) -> Draw:
        shares = np.ones(count) if tail is None else 1 + rng.pareto(tail, count)
        # Tokens of five characters.
        sizes = np.maximum(1, (length * shares / shares.sum() / 5).astype(np.int64))
        level = rng.normal(2, 0.3, (count, 1)) + rng.normal(0, 0.1, (count, 2))
        truth = 2.0
        if weird:
            level, truth = level + 4 * (rng.random((count, 1)) < WEIRD), 2 + 4 * WEIRD
        losses = 5 * np.repeat(level, sizes, axis=0) + rng.normal(0, 2, (int(sizes.sum()), 2))
        return Draw(losses, np.full(len(losses), 5.0), np.cumsum(sizes) - sizes, truth)

    return Case(name, draw, settled)


def of_topics(name: str, tail: float, settled: bool) -> Case:
    """One stream of topics of 50 characters and more, of Pareto lengths (memory without end for tails below 2)."""

    def draw(length: int, rng: np.random.Generator) -> Draw:
        # Long enough before and after that the text begins anywhere in a topic.
        total, level, begin = 4 * length, np.empty((4 * length, 2)), 0
        while begin < total:
            end = begin + min(int(50 * (1 + rng.pareto(tail))), total)
            level[begin:end] = rng.gamma(16, 1 / 16) + rng.normal(0, 0.05, 2)
            begin = end
        begin = int(rng.integers(0, total - length))
        losses = rng.exponential(2, (length, 1)) * level[begin : begin + length]
        return Draw(losses, np.ones(length), None, 2.0)

    return Case(name, draw, settled)


# Real texts --------------------------------------------------------------------------------------------


def of_stretches(corpus: Corpus, settled: bool) -> Case:
    """Stretches of a real text, of which the whole is the truth; both models learnt from text spread through all of it.

    The text is dealt in pieces to two halves; each half is scored by models fitted to the other: Kneser–Ney of order 6 and
    Witten–Bell of order 4 by character. The second model's losses are moved by a constant a character, so that over
    the whole text both lose the same.
    """
    text = corpus.whole().text
    columns = [_cross_fitted(text, name, order) for name, order in (("kneser-ney", 6), ("witten-bell", 4))]
    losses = np.stack(columns, axis=1)
    losses[:, 1] += losses[:, 0].mean() - losses[:, 1].mean()
    truth = float(losses[:, 0].mean())

    def draw(length: int, rng: np.random.Generator) -> Draw:
        begin = int(rng.integers(0, len(losses) - length))
        return Draw(losses[begin : begin + length], np.ones(length), None, truth)

    return Case(corpus.name, draw, settled)


def _cross_fitted(text: str, model: str, order: int) -> np.ndarray:
    """(N,) bits of each character, by a model that learnt from the other half's pieces."""
    pieces = list(_pieces(text))
    bits: list[np.ndarray] = [np.zeros(0)] * len(pieces)
    for half in (0, 1):
        learnt, scored = (CanonicalText.of(["".join(pieces[side::2])]) for side in (1 - half, half))
        corpus = Corpus("half", learnt, None, scored)
        scorer = Scorer.fit(make_model(model, order=order), corpus, "char", 0)
        parts = np.split(scorer.score(scored).bits, np.cumsum([len(piece) for piece in pieces[half::2]])[:-1])
        bits[half::2] = parts
    return np.concatenate(bits)


def _pieces(text: str) -> Iterator[str]:
    """Some STRETCH characters each, up to a blank or a line's end."""
    begin = 0
    while begin < len(text):
        ends = [place for blank in "\n " if (place := text.find(blank, begin + STRETCH)) >= 0]
        end = min(ends) + 1 if ends else len(text)
        yield text[begin:end]
        begin = end


# All of them -------------------------------------------------------------------------------------------

MADE: tuple[Callable[[], Case], ...] = (
    lambda: of_source("golden-mean", lambda: golden_mean(0.3), False),
    lambda: of_source("even-process", lambda: even_process(0.3), False),
    lambda: of_source("markov", markov, False),
    lambda: of_source("passages", passages, True),
    lambda: of_topics("topics, tail 3", 3.0, True),
    lambda: of_topics("topics, tail 1.5", 1.5, True),
    lambda: of_topics("topics, tail 1.2", 1.2, True),
    lambda: of_documents("3 equal documents", 3, None, False),
    lambda: of_documents("10 unequal documents", 10, 1.5, False),
    lambda: of_documents("49 equal documents", 49, None, False),
    lambda: of_documents("49 unequal documents", 49, 1.5, False),
    lambda: of_documents("300 equal documents", 300, None, False),
    lambda: of_documents("300 unequal documents", 300, 1.5, False),
    lambda: of_documents("a weird document in 30", 60, None, False, weird=True),
)
SETTLED = ("tiny-shakespeare",)  # real texts that the settings were chosen on
