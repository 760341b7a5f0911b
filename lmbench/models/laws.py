"""The laws that every model keeps, written once: the tests, ``check_model`` and the runner ask for the same.

They are asked of a whole text, at places drawn from all of it, so that a model that keeps them in the beginning alone is
found out too. Each place is asked for with everything before it; all questions together cost about as much as scoring the
text four times.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from lmbench.errors import InputError
from lmbench.models.base import LanguageModel
from lmbench.text.tokens import Tokens

PLACES = 20  # of a text, one drawn from each of as many parts
READINGS = 2  # times the text's length in tokens, what is read at most with another end
TAIL = 8  # tokens put in place of what comes after a place
TOGETHER = 6  # beginnings, of about one length, that a model reads side by side
STRETCH = 512  # tokens that are scored twice, and as two documents


@dataclass(frozen=True)
class Question:
    """A fitted model, a text of one or more documents, and the places of it, ascending, at which laws are looked at."""

    model: LanguageModel
    tokens: Tokens
    places: np.ndarray
    rng: np.random.Generator

    @classmethod
    def of(cls, model: LanguageModel, tokens: Tokens, rng: np.random.Generator) -> Question:
        parts = np.linspace(0, len(tokens), PLACES + 1).astype(np.int64)
        drawn = rng.integers(parts[:-1], np.maximum(parts[1:], parts[:-1] + 1))
        every = np.unique([0, 1, 2, len(tokens) - 1, *drawn])
        return cls(model, tokens, every[(every >= 0) & (every < len(tokens))], rng)

    @cached_property
    def scored(self) -> np.ndarray:
        """(T,) nats: the text's scores."""
        return self.model.log_probs(self.tokens)

    @cached_property
    def rows(self) -> np.ndarray:
        """(P, V) nats: the distributions at the places, said before what comes is known."""
        befores = [self.tokens.before(t) for t in self.places.tolist()]
        if self.model.traits.adaptive:
            return np.stack([self.model.next_log_probs(before) for before in befores])
        contexts = [before.ids[before.starts[-1] :] for before in befores]
        rows = np.empty((len(contexts), self.model.vocab_size))
        by_length = np.argsort([len(context) for context in contexts], kind="stable")
        for some in np.array_split(by_length, -(-len(by_length) // TOGETHER)):
            rows[some] = self.model.next_log_probs([contexts[i] for i in some.tolist()], self.tokens.bos)
        return rows

    def stretch(self) -> Tokens:
        """Some tokens of the text from anywhere, as one document."""
        first = int(self.rng.integers(0, max(0, len(self.tokens) - STRETCH) + 1))
        return Tokens.of(self.tokens.ids[first : first + STRETCH], self.tokens.bos)

    def differs(self, one: np.ndarray, other: np.ndarray) -> np.ndarray:
        """(N,) bool: where two ways to the same log-probabilities lead to different probabilities."""
        tolerance = self.model.traits.precision * 10
        return ~np.isclose(np.exp(one), np.exp(other), rtol=0, atol=tolerance)


# A law returns what is wrong, or None.
Law = Callable[[Question], str | None]


def at_most_one(asked: Question) -> str | None:
    highest = asked.scored.max(
        initial=-np.inf
    )  # NaN, and what is above 1 by more than rounding, has been refused
    return None if highest <= 0 else f"a probability is {np.exp(highest):.6g}, above 1"


def shape(asked: Question) -> str | None:
    scored = asked.scored
    if scored.shape != (len(asked.tokens),) or scored.dtype != np.float64:
        return f"log_probs is {scored.dtype} {scored.shape}, not float64 ({len(asked.tokens)},)"
    return None


def sums_to_one(asked: Question) -> str | None:
    sums = np.exp(asked.rows).sum(axis=1)
    worst = int(np.abs(sums - 1).argmax())
    if not abs(sums[worst] - 1) <= asked.model.traits.precision:
        return f"the next-token probabilities sum to {sums[worst]:.9g}, not 1"
    return None


def one_distribution(asked: Question) -> str | None:
    """What was said before a token is known, and what it is charged: no score can rest on the token itself or a later one."""
    foretold = asked.rows[np.arange(len(asked.places)), asked.tokens.ids[asked.places]]
    wrong = np.flatnonzero(asked.differs(foretold, asked.scored[asked.places]))
    if not len(wrong):
        return None
    place = int(asked.places[wrong[0]])
    scored = asked.scored[place]
    return f"token {place} is scored {scored:.9g} but next_log_probs says {foretold[wrong[0]]:.9g} nats"


def causal(asked: Question) -> str | None:
    """What comes after a place is replaced, and the scores before it stay."""
    begun: list[Tokens] = []
    firsts: list[int] = []
    places: list[int] = []
    left = READINGS * len(asked.tokens)
    for place in asked.rng.permutation(asked.places).tolist():
        before = asked.tokens.before(place)
        first = 0 if asked.model.traits.adaptive else int(before.starts[-1])
        left -= place - first + TAIL
        if left >= 0 or not begun:
            ends = asked.rng.integers(0, asked.model.vocab_size, TAIL).astype(np.int32)
            starts = before.starts[before.starts >= first] - first
            begun.append(Tokens(np.append(before.ids[first:], ends), starts, before.bos))
            firsts, places = [*firsts, first], [*places, place]
    for scores, first, place in zip(_scores(asked.model, begun), firsts, places, strict=True):
        if asked.differs(scores[: place - first], asked.scored[first:place]).any():
            return f"the tokens before {place} score otherwise when other tokens come after"
    return None


def deterministic(asked: Question) -> str | None:
    stretch = asked.stretch()
    same = np.array_equal(asked.model.log_probs(stretch), asked.model.log_probs(stretch))
    return None if same else "the same tokens score differently the second time"


def documents_apart(asked: Question) -> str | None:
    if asked.model.traits.adaptive or len(asked.tokens) < 2:
        return None
    stretch = asked.stretch()
    half = len(stretch) // 2
    both = asked.model.log_probs(Tokens(stretch.ids, np.array([0, half]), stretch.bos))
    parts = [asked.model.log_probs(Tokens.of(ids, stretch.bos)) for ids in np.split(stretch.ids, [half])]
    if asked.differs(both, np.concatenate(parts)).any():
        return "a document's score depends on the document before it"
    return None


LAWS: dict[str, Law] = {
    "at most one": at_most_one,
    "shape": shape,
    "sums to one": sums_to_one,
    "one distribution": one_distribution,
    "causal": causal,
    "deterministic": deterministic,
    "documents apart": documents_apart,
}


def broken_laws(model: LanguageModel, tokens: Tokens, seed: int = 0) -> dict[str, str]:
    """Law -> what is wrong, for the laws that a fitted model breaks on a text; empty where it keeps all.

    tokens: one document or more, one token at least. seed: draws the places.
    """
    asked = Question.of(model, tokens, np.random.default_rng(seed))
    broken: dict[str, str] = {}
    for name, law in LAWS.items():
        try:
            wrong = law(asked)
        except InputError as error:
            wrong = str(error)
        if wrong:
            broken[name] = wrong
            if law in (at_most_one, shape):  # the others could not even ask
                break
    return broken


def check_model(
    model: LanguageModel, vocab_size: int = 12, length: int = 400, seed: int = 0
) -> dict[str, str]:
    """Runs the contract's laws on a model, fitting it on drawn tokens where it is not fitted.

    Returns law -> what is wrong; empty where all is well.

    >>> from lmbench.models import make_model
    >>> check_model(make_model("bigram", eps="1,1"))
    {}
    """
    rng = np.random.default_rng(seed)
    if not model.vocab_size:
        # A random walk on a ring: every token is followed by few others, and 0 (<unk>) is rare.
        steps = rng.choice([1, 2, 5], size=3 * length)
        walk = 1 + np.cumsum(steps) % (vocab_size - 1)
        model.fit(walk[: 2 * length], walk[2 * length :], vocab_size, rng)
        ids = walk[2 * length :]
    else:
        ids = rng.integers(0, model.vocab_size, size=length)
    half = Tokens.of(ids)
    return broken_laws(model, Tokens(half.ids, np.array([0, length // 2]), half.bos), seed)


def _scores(model: LanguageModel, texts: list[Tokens]) -> list[np.ndarray]:
    """The scores of each text: of a model that is not adaptive, all in one go, as documents of one text."""
    if model.traits.adaptive:
        return [model.log_probs(text) for text in texts]
    lengths = [len(text) for text in texts]
    together = Tokens(np.concatenate([t.ids for t in texts]), np.cumsum([0, *lengths[:-1]]), texts[0].bos)
    return np.split(model.log_probs(together), np.cumsum(lengths)[:-1])
