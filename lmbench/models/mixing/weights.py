"""Weights of a linear mixture, learnt on held-out text: the same everywhere, or others by what the models know of a context."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lmbench.errors import InputError
from lmbench.models.base import LanguageModel
from lmbench.models.saved import saved_array
from lmbench.text.tokens import Tokens

KINDS = ("fixed", "per-order", "by-context")
STRENGTH = 30.0  # tokens that a group's weights take over from those of the group around it
_ORDERS, _KINDS = 16, 8  # of contexts, and of how many kinds of tokens follow them, that are told apart
_ONE = 1 + 1e-6  # a weight, or the sum of some, at most
# Models whose groups have numbers of their own in 64 bits.
_MOST_MODELS = {"per-order": 16, "by-context": 9}
_STEPS = 2000
_ENOUGH = 1e-8  # nats a token


def check_groups(kind: str, number: int) -> None:
    """Raises InputError where the groups of so many models cannot be told apart.

    >>> check_groups("by-context", 9)
    """
    most = _MOST_MODELS.get(kind, number)
    if number > most:
        raise InputError(
            f"option weights={kind} is of {most} models at most, not {number}; use weights=fixed"
        )


def groups(kind: str, models: Sequence[LanguageModel], tokens: Tokens) -> list[np.ndarray]:
    """For each level of groups, from the coarsest, (T,) int64: which group each token is in.

    ``fixed``: one group. ``per-order``: besides, by the length of the longest context that each model has seen (Jelinek &
    Mercer 1980 tie weights so). ``by-context``: besides, by how many kinds of tokens each has seen after it, in octaves (Hsu 2007
    lets weights depend on such features). Only what stands before a token decides.
    """
    levels = [np.zeros(len(tokens), dtype=np.int64)]
    if kind == "fixed":
        return levels
    seen = [model.seen(tokens) for model in models]
    levels.append(_combined([np.minimum(orders, _ORDERS - 1) for orders, _ in seen], _ORDERS))
    if kind == "by-context":
        octaves = [
            np.minimum(np.ceil(np.log2(kinds + 1.0)), _KINDS - 1).astype(np.int64) for _, kinds in seen
        ]
        levels.append(levels[1] * _KINDS ** len(models) + _combined(octaves, _KINDS))
    return levels


def _combined(columns: Sequence[np.ndarray], size: int) -> np.ndarray:
    total = np.zeros(len(columns[0]), dtype=np.int64)
    for column in columns:
        total = total * size + column
    return total


@dataclass(frozen=True)
class Weights:
    """For each level its groups and their weights.

    names: for each level (G,) int64, ascending. values: for each level (G, M) float64, each row sums to 1.
    """

    names: tuple[np.ndarray, ...]
    values: tuple[np.ndarray, ...]

    @classmethod
    def learnt(cls, log_probs: np.ndarray, levels: Sequence[np.ndarray]) -> Weights:
        """The weights that make Σ_t ln Σ_i w_i p_it highest, those of a group drawn towards those of the group around it.

        log_probs: (M, T) nats. A Dirichlet prior of ``STRENGTH`` tokens does that, so that groups of few tokens keep near (MAP
        estimation by expectation–maximisation, Gauvain & Lee 1994).
        """
        names, values = [np.zeros(1, dtype=np.int64)], [learn_weights(log_probs)[None]]
        p = np.exp(log_probs - np.maximum(log_probs.max(axis=0), -1e300)).T
        able = p.max(axis=1) > 0  # a token that all find impossible says nothing about the weights
        for level in levels[1:]:
            of_level, which = np.unique(level, return_inverse=True)
            around = cls(tuple(names), tuple(values)).at(levels[: len(names)])
            prior = np.zeros((len(of_level), p.shape[1]))
            prior[which] = around  # the same for all tokens of a group
            values.append(_map_weights(p[able], which[able], prior))
            names.append(of_level)
        return cls(tuple(names), tuple(values))

    def at(self, levels: Sequence[np.ndarray]) -> np.ndarray:
        """(T, M): each token's weights, of the finest group that was met in learning."""
        weights = np.repeat(self.values[0], len(levels[0]), axis=0)
        for names, values, level in zip(self.names[1:], self.values[1:], levels[1:], strict=True):
            if not len(names):
                continue
            place = np.minimum(np.searchsorted(names, level), len(names) - 1)
            met = names[place] == level
            weights[met] = values[place[met]]
        return weights

    def state(self) -> dict[str, np.ndarray]:
        state = {"weights": self.values[0][0]}
        for k in range(1, len(self.names)):
            state |= {f"groups.{k}": self.names[k], f"weights.{k}": self.values[k]}
        return state

    @classmethod
    def saved(cls, state: Mapping[str, np.ndarray], number: int, levels: int) -> Weights:
        """Read back. number: of models. Raises InputError where they are no weights."""
        names, values = (
            [np.zeros(1, dtype=np.int64)],
            [saved_array(state, "weights", (number,), least=0.0, most=_ONE)[None]],
        )
        for k in range(1, levels):
            names.append(saved_array(state, f"groups.{k}", (None,), "i"))
            values.append(saved_array(state, f"weights.{k}", (len(names[k]), number), least=0.0, most=_ONE))
        for rows in values:
            if not (np.abs(rows.sum(axis=1) - 1) < 1e-6).all():
                raise InputError("its weights are not those of a mixture; fit the model anew")
        return cls(tuple(names), tuple(values))


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
    for _ in range(_STEPS if p.size else 0):
        gain = (p / (w @ p)).mean(axis=1)
        if gain.max() - 1 < _ENOUGH:
            break
        w = w * gain / (w @ gain)
    return w


def _map_weights(p: np.ndarray, which: np.ndarray, prior: np.ndarray) -> np.ndarray:
    """(G, M): for each group the w that makes Σ_t ln w·p_t + STRENGTH Σ_i prior_i ln w_i highest. p: (T, M)."""
    w = prior.copy()
    for _ in range(200):
        shares = w[which] * p
        shares /= shares.sum(axis=1, keepdims=True)
        counted = STRENGTH * prior
        for i in range(p.shape[1]):
            counted[:, i] += np.bincount(which, shares[:, i], len(prior))
        counted /= counted.sum(axis=1, keepdims=True)
        moved = np.abs(counted - w).max(initial=0.0)
        w = counted
        if moved < 1e-6:
            break
    return w
