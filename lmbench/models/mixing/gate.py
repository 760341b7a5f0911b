"""Weights of a geometric pool that depend on how sure each of its models is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from lmbench.models.mixing.log_linear import newton
from lmbench.models.saved import MOST, saved_array

STRENGTH = 30.0  # of the pull to weights that are the same everywhere, for each spread that an entropy may be off its mean
_LEAST = 1e-6  # nats, a spread
_FARTHEST = 4.0  # spreads


@dataclass(frozen=True)
class Gate:
    """w(h) = W (1, z_1 .. z_M), with z_i the entropy of model i's distribution after h, less its mean, in spreads, cut at 4.

    M models. mean, spread: (M,), of the entropies on the text that the gate was learnt on, in nats. values: (M, M + 1), W, of which the first
    column holds the weights where all are as sure as usual.
    """

    mean: np.ndarray
    spread: np.ndarray
    values: np.ndarray

    @classmethod
    def learnt(cls, rows: np.ndarray, ids: np.ndarray, weights: np.ndarray) -> Self:
        """The W under which a text is likeliest, drawn towards weights (M,) that are the same everywhere.

        rows: (T, M, V) nats; ids: (T,). The likelihood is concave in W, so that Newton's method finds its top from anywhere.

        >>> ids, rng = np.tile([0, 1], 500), np.random.default_rng(0)
        >>> right = np.where(np.arange(2) == ids[:, None], 0.8, 0.2)
        >>> one = np.where(rng.random((1000, 1)) < 0.5, right, 0.5)  # knows the symbol, or says so
        >>> other = np.where(rng.random((1000, 1)) < 0.6, right, right[:, ::-1])  # is as sure when it errs
        >>> gate = Gate.learnt(np.log(np.stack([one, other], axis=1)), ids, np.array([0.5, 0.5]))
        >>> bool(gate.values[1, 1] > 0)  # the less sure the one is, the more is the other believed
        True
        """
        entropies = _entropies(rows)
        prior = np.zeros((len(weights), len(weights) + 1))
        prior[:, 0] = weights
        gate = cls(entropies.mean(axis=0), entropies.std(axis=0) + _LEAST, prior)
        return replace(gate, values=newton(rows, ids, prior, STRENGTH, gate._looks(entropies)))

    def weights(self, rows: np.ndarray) -> np.ndarray:
        """(T, M): the weights where the distributions are these (T, M, V)."""
        weights: np.ndarray = self._looks(_entropies(rows)) @ self.values.T
        return weights

    def _looks(self, entropies: np.ndarray) -> np.ndarray:
        """(T, M + 1), what the weights depend on."""
        z = ((entropies - self.mean) / self.spread).clip(-_FARTHEST, _FARTHEST)
        return np.concatenate([np.ones((len(z), 1)), z], axis=1)

    def state(self) -> dict[str, np.ndarray]:
        return {"gate.mean": self.mean, "gate.spread": self.spread, "gate.values": self.values}

    @classmethod
    def saved(cls, state: Mapping[str, np.ndarray], models: int) -> Self:
        """Read back. Raises InputError where it is no gate of so many models."""
        mean = saved_array(state, "gate.mean", (models,), least=0.0, most=MOST)
        spread = saved_array(state, "gate.spread", (models,), least=_LEAST, most=MOST)
        values = saved_array(state, "gate.values", (models, models + 1), least=-MOST, most=MOST)
        return cls(mean, spread, values)


def _entropies(rows: np.ndarray) -> np.ndarray:
    """(T, M) nats, of (T, M, V)."""
    entropies: np.ndarray = -(np.exp(rows) * rows).sum(axis=2)
    return entropies
