"""The laws that every model keeps, written once: the tests, ``check_model`` and the runner ask for the same.

They are asked of a whole text and of stretches of it. In the text, places are drawn from all of it, each asked for with
everything before it, as long as that is together no more reading than the text itself, so that a model that keeps the laws
in the beginning alone is found out. The stretches are from anywhere, each a document: few tokens, of which everything
can be asked. With the text's scores given, all questions together cost about as much as scoring it once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from lmbench.errors import InputError
from lmbench.models.base import LanguageModel
from lmbench.models.stepping import Rereading
from lmbench.text.tokens import Tokens

PLACES = 20  # of a text, one drawn from each of as many parts
STRETCHES = (400, 400, 400, 200, 100, 50, 25, 10)  # tokens each, the longest first
STEPS = 8  # tokens at the end of a stretch that are read one by one
TAIL = 8  # tokens put in place of what comes after a place
TOGETHER = 6  # beginnings, of about one length, that a model reads side by side


@dataclass(frozen=True)
class Question:
    """A fitted model, a text of one or more documents, and the places of it at which laws are looked at.

    foretold: ascending, where the distribution is asked for before what comes is known. changed: where what comes is replaced.
    given: (T,) nats, the scores that the model has given the text; None: it is asked.
    """

    model: LanguageModel
    tokens: Tokens
    foretold: np.ndarray
    changed: np.ndarray
    rng: np.random.Generator
    given: np.ndarray | None = None

    @classmethod
    def of_text(
        cls, model: LanguageModel, tokens: Tokens, rng: np.random.Generator, given: np.ndarray | None = None
    ) -> Question:
        """The whole text, at as many places as one more reading of it allows."""
        parts = np.linspace(0, len(tokens), PLACES + 1).astype(np.int64)
        drawn = rng.integers(parts[:-1], np.maximum(parts[1:], parts[:-1] + 1))
        places = np.unique([0, 1, 2, len(tokens) - 1, *drawn])
        places = places[(places >= 0) & (places < len(tokens))]
        return cls(model, tokens, *_within(model, tokens, rng.permutation(places), len(tokens)), rng, given)

    @classmethod
    def of_stretches(cls, model: LanguageModel, tokens: Tokens, rng: np.random.Generator) -> Question:
        """Stretches of the text from anywhere, each a document, and the last token of each."""
        lengths = np.minimum(STRETCHES, len(tokens))
        firsts = rng.integers(0, len(tokens) - lengths + 1)
        ids = [tokens.ids[first : first + length] for first, length in zip(firsts, lengths, strict=True)]
        some = _documents(ids, tokens.bos)
        ends = some.starts + lengths - 1
        return cls(model, some, *_within(model, some, ends, 2 * len(some), least=2), rng)

    @cached_property
    def scored(self) -> np.ndarray:
        """(T,) nats: the text's scores."""
        return self.model.log_probs(self.tokens) if self.given is None else self.given

    @cached_property
    def rows(self) -> np.ndarray:
        """(P, V) nats: the distributions at the places, said before what comes is known."""
        befores = [self.tokens.before(t) for t in self.foretold.tolist()]
        rows = np.empty((len(befores), self.model.vocab_size))
        if self.model.traits.adaptive:
            for i, before in enumerate(befores):
                rows[i] = self.model.next_log_probs(before)
            return rows
        contexts = [before.ids[before.starts[-1] :] for before in befores]
        by_length = np.argsort([len(context) for context in contexts], kind="stable")
        for some in np.array_split(by_length, -(-len(by_length) // TOGETHER)):
            rows[some] = self.model.next_log_probs([contexts[i] for i in some.tolist()], self.tokens.bos)
        return rows

    def differs(self, one: np.ndarray, other: np.ndarray) -> np.ndarray:
        """(N,) bool: where two ways to the same log-probabilities lead to different probabilities."""
        tolerance = self.model.traits.precision * 10
        return ~np.isclose(np.exp(one), np.exp(other), rtol=0, atol=tolerance)


def _within(
    model: LanguageModel, tokens: Tokens, places: np.ndarray, purse: int, least: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Of the places, in their order, where to ask for a distribution and where to replace what comes (ascending both).

    purse: tokens that may be read for both, the distributions first. least: so many places of each, whatever they cost;
    of distributions at most one where the model reads what stands before once for every symbol.
    """
    position = places if model.traits.adaptive else tokens.positions()[places]
    if model.scores_candidates:
        foretold, purse = _afford(places, position * model.vocab_size, purse, min(least, 1))
    else:
        foretold, purse = _afford(places, position, purse, least)
    changed, _ = _afford(places, position + TAIL, purse, least)
    return foretold, changed


def _afford(places: np.ndarray, costs: np.ndarray, purse: int, least: int) -> tuple[np.ndarray, int]:
    """The places, in their order, that the purse still pays for, ascending; and what is left of it."""
    chosen: list[int] = []
    for place, cost in zip(places.tolist(), costs.tolist(), strict=True):
        if cost <= purse or len(chosen) < least:
            chosen.append(place)
            purse -= cost
    return np.unique(np.array(chosen, dtype=np.int64)), purse


def _documents(documents: Sequence[np.ndarray], bos: int) -> Tokens:
    """Documents laid end to end."""
    starts = np.cumsum([0, *(len(document) for document in documents[:-1])])
    return Tokens(np.concatenate(documents), starts, bos)


# A law returns what is wrong, or None.
Law = Callable[[Question], str | None]


def at_most_one(asked: Question) -> str | None:
    highest = asked.scored.max(initial=-np.inf)  # NaN, and what is well above 1, has been refused
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
    foretold = asked.rows[np.arange(len(asked.foretold)), asked.tokens.ids[asked.foretold]]
    wrong = np.flatnonzero(asked.differs(foretold, asked.scored[asked.foretold]))
    if not len(wrong):
        return None
    place = int(asked.foretold[wrong[0]])
    scored = asked.scored[place]
    return f"token {place} is scored {scored:.9g} but next_log_probs says {foretold[wrong[0]]:.9g} nats"


def causal(asked: Question) -> str | None:
    """What comes after a place is replaced, and the scores before it stay."""
    adaptive = asked.model.traits.adaptive
    begun: list[Tokens] = []
    firsts: list[int] = []
    for place in asked.changed.tolist():
        before = asked.tokens.before(place)
        first = 0 if adaptive else int(before.starts[-1])
        tail = asked.rng.integers(0, asked.model.vocab_size, TAIL).astype(np.int32)
        starts = before.starts[before.starts >= first] - first
        begun.append(Tokens(np.append(before.ids[first:], tail), starts, before.bos))
        firsts.append(first)
    for scores, first, place in zip(_scores(asked.model, begun), firsts, asked.changed, strict=True):
        if asked.differs(scores[: place - first], asked.scored[first:place]).any():
            return f"the tokens before {place} score otherwise when other tokens come after"
    return None


def deterministic(asked: Question) -> str | None:
    same = np.array_equal(asked.model.log_probs(asked.tokens), asked.scored)
    return None if same else "the same tokens score differently the second time"


def stepwise(asked: Question) -> str | None:
    """Read token by token, as a decoder does, the text is what it is read at once; of models that have a way of their own to do so."""
    tokens, stepper = asked.tokens, asked.model.stepper(asked.tokens.bos)
    if isinstance(stepper, Rereading):  # which asks for what the other laws have asked for
        return None
    ends = [*tokens.starts[1:].tolist(), len(tokens)]
    for begin, end in zip(tokens.starts.tolist(), ends, strict=True):
        stepper.begin()
        places = np.arange(max(begin, end - STEPS), end)
        if places[0] > begin:
            stepper.read(tokens.ids[begin : places[0]])
        foretold = np.empty(len(places))
        for i, place in enumerate(places.tolist()):
            foretold[i] = stepper.distribution()[tokens.ids[place]]
            stepper.read(tokens.ids[place : place + 1])
        wrong = np.flatnonzero(asked.differs(foretold, asked.scored[places]))
        if len(wrong):
            place, said = int(places[wrong[0]]), foretold[wrong[0]]
            return (
                f"token {place} is scored {asked.scored[place]:.9g} but read token by token {said:.9g} nats"
            )
    return None


def documents_apart(asked: Question) -> str | None:
    """The documents in another order, and each scores as before."""
    if asked.model.traits.adaptive:
        return None
    backwards = asked.tokens.documents()[::-1]
    scores = asked.model.log_probs(_documents(backwards, asked.tokens.bos))
    again = np.split(scores, np.cumsum([len(document) for document in backwards])[:-1])
    if asked.differs(np.concatenate(again[::-1]), asked.scored).any():
        return "a document's score depends on the document before it"
    return None


LAWS: dict[str, Law] = {
    "at most one": at_most_one,
    "shape": shape,
    "sums to one": sums_to_one,
    "one distribution": one_distribution,
    "causal": causal,
    "deterministic": deterministic,
    "stepwise": stepwise,
    "documents apart": documents_apart,
}
# Of stretches alone: the text is scored again in them.
_OF_STRETCHES = ("deterministic", "stepwise", "documents apart")


def broken_laws(
    model: LanguageModel, tokens: Tokens, seed: int = 0, scored: np.ndarray | None = None
) -> dict[str, str]:
    """Law -> what is wrong, for the laws that a fitted model breaks on a text; empty where it keeps all.

    tokens: one document or more, one token at least. seed: draws the places. scored: (T,) nats, what the model has
    given the tokens where they have been scored already.
    """
    rng = np.random.default_rng(seed)
    text = Question.of_text(model, tokens, rng, scored)
    stretches = Question.of_stretches(model, tokens, rng)
    broken: dict[str, str] = {}
    for name, law in LAWS.items():
        for asked in (stretches,) if name in _OF_STRETCHES else (text, stretches):
            try:
                wrong = law(asked)
            except InputError as error:
                wrong = str(error)
            if wrong:
                broken.setdefault(name, wrong)
        if broken and law in (at_most_one, shape):  # the others could not even ask
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
    if model.traits.adaptive or not texts:
        return [model.log_probs(text) for text in texts]
    scores = model.log_probs(_documents([text.ids for text in texts], texts[0].bos))
    return np.split(scores, np.cumsum([len(text) for text in texts])[:-1])
