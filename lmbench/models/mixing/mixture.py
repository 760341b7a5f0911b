"""Any fitted models pooled into one: their probabilities' weighted mean, or their weighted product."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from lmbench.errors import InputError
from lmbench.models.base import LanguageModel, Part, Stepper, Traits, learned
from lmbench.models.mixing.gate import Gate
from lmbench.models.mixing.log_linear import log_softmax, newton, small_enough
from lmbench.models.mixing.parts import check_labels, check_parts, exactly, pack_parts, unpack_parts
from lmbench.models.mixing.static import static_mixture
from lmbench.models.mixing.weights import KINDS, Weights, check_groups, groups
from lmbench.models.mixing.widened import joined
from lmbench.models.monitor import Monitor
from lmbench.models.options import option
from lmbench.models.saved import MOST, saved_array
from lmbench.text.tokens import Tokens
from lmbench.text.vocab import Vocab

_IMPOSSIBLE = -50.0  # nats: what a geometric pool takes for the logarithm of less


@dataclass(kw_only=True, eq=False)
class Mixture(LanguageModel):
    """p(x | h) = Σ_i w_i p_i(x | h), with the w that make the held-out text likeliest (Jelinek & Mercer 1980).

    Or, with ``pooling=geometric``, p(x | h) ∝ ∏_i p_i(x | h)^w_i (Klakow 1998, log-linear interpolation), where the w
    need not sum to 1: components that know different things add up, and no weight has to be taken from one
    for another. It costs the whole vocabulary at every token, 8 T V bytes for each component. With ``weights=by-entropy`` the w depend on
    how sure each component is there (``gate.py``).

    The components are count or neural models, adaptive ones too, fitted beforehand, on the same training text or on others: a
    model that lacks words of the common vocabulary spells them in place of its ``<unk>``. Either likelihood is concave in
    w: expectation–maximisation, or Newton's method, finds its top from anywhere. The w of a linear pool may depend on
    what the components know of a context.
    """

    of: tuple[str, ...] = option((), "labels of the models to mix, separated by commas")
    pooling: Literal["linear", "geometric"] = option(
        "linear", "how: a weighted mean of probabilities, or a weighted product"
    )

    by: Literal["fixed", "per-order", "by-context", "by-entropy"] = option(
        "fixed",
        "the same for all tokens; or, of a linear pool, by the longest context that each model knows, or besides by how "
        "much it knows of it; or, of a geometric one, by how sure each model is",
        name="weights",
    )

    read_valid: bool = option(
        False,
        "after the weights were learnt on the held-out text, let the components that can go on learn from it too",
    )

    weights: np.ndarray = learned()  # (components,); of a linear pool they sum to 1
    grouped: Weights = learned()  # of a linear pool: those of each group of contexts
    gate: Gate = learned()  # of a geometric pool by entropy: what makes them

    def __post_init__(self) -> None:
        of = "geometric" if self.by == "by-entropy" else "linear"
        if self.by != "fixed" and self.pooling != of:
            raise InputError(f"option weights={self.by} is of pooling={of}; leave it out or ask for that")
        check_labels(self.of or ("",))
        check_groups(self.by, len(self.of))

    def vocabulary(self, corpus_vocab: Vocab) -> Vocab:
        if self.pooling == "linear":
            return corpus_vocab
        return small_enough(corpus_vocab, "pooling=geometric", "pooling=linear")

    @property
    def traits(self) -> Traits:
        return Traits(
            held_out="needed",
            adaptive=any(component.traits.adaptive for component in self.components),
            precision=1e-5,  # that of a component in single precision
            components=self.of,
        )

    @property
    def scores_candidates(self) -> bool:
        return any(component.scores_candidates for component in self.components)

    @property
    def reach(self) -> int | None:
        reaches = [component.reach for component in self.components]
        return (
            None if not reaches or None in reaches else max(reach for reach in reaches if reach is not None)
        )

    def joined(self, vocab: Vocab, parts: Sequence[Part]) -> list[LanguageModel]:
        return joined(vocab, parts)

    def backed_off(self) -> LanguageModel:
        """All of the components' n-grams, with the mixture's probabilities (SRILM's ``ngram -mix-lm``)."""
        return static_mixture(self) if self.pooling == "linear" else self

    def _fit(self, train: Tokens, valid: Tokens | None, rng: np.random.Generator, monitor: Monitor) -> None:
        assert valid is not None  # fit has seen to it
        check_parts(self.of, self.components, self.vocab_size)
        if self.pooling == "linear":
            log_probs = np.stack([c.log_probs(valid) for c in self.components])
            self.grouped = Weights.learnt(log_probs, groups(self.by, self.components, valid))
            self.weights = self.grouped.values[0][0]
        else:
            rows = _between([c.distributions(valid) for c in self.components])
            self.weights = newton(rows, valid.ids, np.full(len(self.of), 1 / len(self.of)), 1.0)
            if self.by == "by-entropy":
                self.gate = Gate.learnt(rows, valid.ids, self.weights)
        shares = ", ".join(f"{label} {w:.4f}" for label, w in zip(self.of, self.weights, strict=True))
        self.notes.append(f"weights {shares}")
        if self.read_valid:
            before, self.components = self.components, [c.read_on(valid) for c in self.components]
            pairs = zip(self.of, before, self.components, strict=True)
            readers = [label for label, one, other in pairs if other is not one]
            if not readers:
                raise InputError(
                    "option read_valid: no model that is mixed can go on learning; leave it out or mix context-mixing"
                )
            self.notes.append(f"then {', '.join(readers)} read the held-out text too")

    def _log_probs(self, tokens: Tokens) -> np.ndarray:
        if self.pooling == "linear":
            return _mean(np.stack([c.log_probs(tokens) for c in self.components]), self._weights_at(tokens).T)
        places = np.arange(len(tokens))
        log_probs: np.ndarray = self._distributions(tokens, places)[places, tokens.ids]
        return log_probs

    def _distributions(self, tokens: Tokens, places: np.ndarray) -> np.ndarray:
        return self._mix([c.distributions(tokens, places) for c in self.components], tokens, places)

    def _next_log_probs(self, contexts: Sequence[np.ndarray], bos: int) -> np.ndarray:
        rows = [c.next_log_probs(contexts, bos) for c in self.components]
        # What stands before decides the weights: any token after each context will do.
        ids = np.concatenate([np.append(context, np.int32(0)) for context in contexts])
        lengths = np.array([len(context) + 1 for context in contexts], dtype=np.int64)
        following = Tokens(ids, np.cumsum(lengths) - lengths, bos)
        return self._mix(rows, following, np.cumsum(lengths) - 1)

    def _stepper(self, bos: int) -> Stepper:
        return MixtureStepper(self, bos)

    def _weights_at(self, tokens: Tokens, places: np.ndarray | slice = slice(None)) -> np.ndarray:
        """(N, components): the weights of some tokens."""
        levels = groups(self.by, self.components, tokens)
        return self.grouped.at([level[places] for level in levels])

    def _mix(
        self, rows: Sequence[np.ndarray], tokens: Tokens, places: np.ndarray | slice = slice(None)
    ) -> np.ndarray:
        """(N, V) nats: the mixture, given (N, V) of each component, at some places of a text."""
        if self.pooling == "geometric":
            between = _between(rows)
            weights = self.gate.weights(between) if self.by == "by-entropy" else self.weights
            return log_softmax((weights[..., None, :] @ between)[:, 0])
        return _mean(np.stack(rows), self._weights_at(tokens, places).T[..., None])

    def _state(self) -> dict[str, np.ndarray]:
        """``weights``, those of groups where there are some, and the components."""
        own = self.grouped.state() if self.pooling == "linear" else {"weights": self.weights}
        if self.by == "by-entropy":
            own |= self.gate.state()
        return own | pack_parts(self.components)

    def _restore(self, state: Mapping[str, np.ndarray]) -> None:
        if self.pooling == "linear":
            self.grouped = Weights.saved(state, len(self.of), KINDS.index(self.by) + 1)
            self.weights = self.grouped.values[0][0]
        else:
            self.weights = saved_array(state, "weights", (len(self.of),), least=-MOST, most=MOST)
            if self.by == "by-entropy":
                self.gate = Gate.saved(state, len(self.of))
        self.components = unpack_parts(state, [exactly(self.vocab_size)] * len(self.of))
        check_parts(self.of, self.components, self.vocab_size)


class MixtureStepper(Stepper):
    """Those of the components, side by side, and the last tokens, which may decide the weights."""

    model: Mixture

    def __init__(self, model: Mixture, bos: int) -> None:
        super().__init__(model, bos)
        self.steppers = [component.stepper(bos) for component in model.components]
        reaches = [component.reach for component in model.components]
        self.most = max((reach for reach in reaches if reach is not None), default=0)
        self.last = np.zeros(0, dtype=np.int32)

    def begin(self) -> None:
        self.last = self.last[:0]
        for stepper in self.steppers:
            stepper.begin()

    def read(self, ids: np.ndarray) -> None:
        both = np.append(self.last, ids)
        self.last = both[max(0, len(both) - self.most) :]
        for stepper in self.steppers:
            stepper.read(ids)

    def _distribution(self) -> np.ndarray:
        rows = [stepper.distribution()[None] for stepper in self.steppers]
        # What stands before decides the weights: any token after it will do.
        following = Tokens.of(np.append(self.last, np.int32(0)), self.bos)
        return self.model._mix(rows, following, np.array([len(self.last)]))[0]


def _between(rows: Sequence[np.ndarray]) -> np.ndarray:
    """(N, components, V) nats, none of them impossible, of (N, V) of each component."""
    return np.maximum(np.stack(rows, axis=1), _IMPOSSIBLE)


def _mean(log_probs: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """ln Σ_i w_i exp(log_probs[i]), of arrays that match from the left."""
    with np.errstate(divide="ignore"):
        terms = log_probs + np.log(weights)
        top = np.maximum(terms.max(axis=0), -1e300)  # where all are impossible, stay clear of inf - inf
        terms -= top
        mixed: np.ndarray = np.log(np.exp(terms, out=terms).sum(axis=0)) + top
    return mixed
