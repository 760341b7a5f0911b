"""Any fitted models pooled into one: their probabilities' weighted mean, or their weighted product."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from lmbench.errors import InputError
from lmbench.models import make_model, model_class
from lmbench.models.base import LanguageModel, Traits, learned
from lmbench.models.mixing.log_linear import log_softmax, newton, small_enough
from lmbench.models.monitor import Monitor
from lmbench.models.options import option
from lmbench.models.saved import saved_array
from lmbench.text.tokens import Tokens
from lmbench.text.vocab import Vocab

_IMPOSSIBLE = -50.0  # nats: what a geometric pool takes for the logarithm of less


@dataclass(kw_only=True, eq=False)
class Mixture(LanguageModel):
    """p(x | h) = Σ_i w_i p_i(x | h), with the w that make the held-out text likeliest (Jelinek & Mercer 1980).

    Or, with ``pooling=geometric``, p(x | h) ∝ ∏_i p_i(x | h)^w_i (Klakow 1998, log-linear interpolation), where the w
    need not sum to 1: components that know different things add up, and no weight has to be taken from one
    for another. It costs the whole vocabulary at every token, 8 T V bytes for each component.

    The components are count or neural models, adaptive ones too, fitted beforehand on the same training text and
    vocabulary. Either likelihood is concave in w: expectation–maximisation, or Newton's method, finds its top from
    anywhere.
    """

    of: tuple[str, ...] = option((), "labels of the models to mix, separated by commas")
    pooling: Literal["linear", "geometric"] = option(
        "linear", "how: a weighted mean of probabilities, or a weighted product"
    )

    weights: np.ndarray = learned()  # (components,); of a linear pool they sum to 1

    def __post_init__(self) -> None:
        if not self.of or not all(self.of):
            raise InputError("option of: name the models to mix, for instance of=kneser-ney,cache")
        if len(set(self.of)) < len(self.of):
            raise InputError(
                f"option of={','.join(self.of)}: a model beside itself adds nothing; name each once"
            )

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

    def _fit(self, train: Tokens, valid: Tokens | None, rng: np.random.Generator, monitor: Monitor) -> None:
        assert valid is not None  # fit has seen to it
        for label, component in zip(self.of, self.components, strict=True):
            if not component.traits.normalised:
                raise InputError(f"{label} gives scores, not probabilities; it cannot be mixed")
            if component.vocab_size != self.vocab_size:
                raise InputError(
                    f"{label} has {component.vocab_size} tokens in its vocabulary, not {self.vocab_size}"
                )
        if self.pooling == "linear":
            self.weights = learn_weights(np.stack([c.log_probs(valid) for c in self.components]))
        else:
            rows = [np.maximum(c.distributions(valid), _IMPOSSIBLE) for c in self.components]
            equal = np.full(len(self.of), 1 / len(self.of))
            self.weights = newton(np.stack(rows, axis=1), valid.ids, equal, 1.0)
        shares = ", ".join(f"{label} {w:.4f}" for label, w in zip(self.of, self.weights, strict=True))
        self.notes.append(f"weights {shares}")

    def _log_probs(self, tokens: Tokens) -> np.ndarray:
        if self.pooling == "linear":
            return self._mix(np.stack([c.log_probs(tokens) for c in self.components]))
        log_probs: np.ndarray = self._distributions(tokens)[np.arange(len(tokens)), tokens.ids]
        return log_probs

    def _distributions(self, tokens: Tokens) -> np.ndarray:
        return self._mix(np.stack([c.distributions(tokens) for c in self.components]))

    def _next_log_probs(self, contexts: Sequence[np.ndarray], bos: int) -> np.ndarray:
        return self._mix(np.stack([c.next_log_probs(contexts, bos) for c in self.components]))

    def _next_after(self, tokens: Tokens) -> np.ndarray:
        return self._mix(np.stack([c.next_log_probs(tokens) for c in self.components]))

    def _mix(self, log_probs: np.ndarray) -> np.ndarray:
        """ln Σ_i w_i exp(log_probs[i]); or the normalised Σ_i w_i log_probs[i], for which the last axis is the vocabulary."""
        if self.pooling == "geometric":
            return log_softmax(np.tensordot(self.weights, np.maximum(log_probs, _IMPOSSIBLE), axes=1))
        with np.errstate(divide="ignore"):
            terms = log_probs + np.log(self.weights).reshape(-1, *[1] * (log_probs.ndim - 1))
            top = np.maximum(terms.max(axis=0), -1e300)  # where all are impossible, stay clear of inf - inf
            mixed: np.ndarray = np.log(np.exp(terms - top).sum(axis=0)) + top
        return mixed

    def _state(self) -> dict[str, np.ndarray]:
        """``weights``; for component i ``i.about`` (its name and options, JSON) and its own state under ``i.``."""
        state = {"weights": self.weights}
        for i, component in enumerate(self.components):
            about = {"name": component.name, "options": component.options()}
            state[f"{i}.about"] = np.frombuffer(json.dumps(about).encode(), dtype=np.uint8)
            state |= {f"{i}.state.{key}": array for key, array in component.state().items()}
        return state

    def _restore(self, state: Mapping[str, np.ndarray]) -> None:
        self.weights = saved_array(state, "weights", (len(self.of),))
        shares = (self.weights >= 0).all() and abs(self.weights.sum() - 1) < 1e-6
        if not (shares if self.pooling == "linear" else np.isfinite(self.weights).all()):
            raise InputError("its weights are not those of a mixture; fit the model anew")
        self.components = []
        for i in range(len(self.weights)):
            about = json.loads(state[f"{i}.about"].tobytes())
            prefix = f"{i}.state."
            own = {k.removeprefix(prefix): a for k, a in state.items() if k.startswith(prefix)}
            self.components.append(_made(about["name"], about["options"]).restore(own, self.vocab_size))


def _made(name: str, options: Mapping[str, Any]) -> LanguageModel:
    """A model by its name and all of its options, those that the name fixes included."""
    fixed = model_class(name)[1]
    return make_model(name, **{key: value for key, value in options.items() if key not in fixed})


def learn_weights(log_probs: np.ndarray) -> np.ndarray:
    """(M,) float64, summing to 1: the weights that make Σ_t ln Σ_i w_i p_it highest, by expectation–maximisation.

    log_probs: (M, T) nats. Stops when no w can gain more than 1e-8 nats a token, which is at most
    max_i mean_t(p_it / p_t) - 1 for the mixture's present p, or after 2000 steps.

    >>> learn_weights(np.log([[0.9, 0.9, 0.1], [0.1, 0.1, 0.9]])).round(3)  # two tokens in three for the first
    array([0.708, 0.292])
    """
    p = np.exp(log_probs - np.maximum(log_probs.max(axis=0), -1e300))
    p = p[:, p.max(axis=0) > 0]  # a token that all find impossible says nothing about the weights
    w = np.full(len(p), 1 / len(p))
    for _ in range(2000 if p.size else 0):
        gain = (p / (w @ p)).mean(axis=1)
        if gain.max() - 1 < 1e-8:
            break
        w = w * gain / (w @ gain)
    return w
