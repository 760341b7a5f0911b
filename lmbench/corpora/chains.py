"""Markov chains and hidden Markov sources: their stationary distributions, their entropy rates, and text from them."""

from __future__ import annotations

import bisect
import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from lmbench.errors import InputError


@dataclass(frozen=True)
class MarkovChain:
    """A first-order chain. transition: (S, S) float64, row i is P(x_{t+1} | x_t = i)."""

    transition: np.ndarray

    @classmethod
    def from_counts(cls, counts: np.ndarray, eps: float = 0.0) -> MarkovChain:
        """From bigram counts (S, S): (n_ij + eps/S) / (n_i + eps); a row never seen is uniform."""
        size = len(counts)
        totals = counts.sum(axis=1, keepdims=True) + eps
        rows = np.divide(counts + eps / size, totals, out=np.full((size, size), 1 / size), where=totals > 0)
        return cls(rows)

    @classmethod
    def from_ids(
        cls, ids: np.ndarray, size: int, starts: np.ndarray | None = None, eps: float = 0.0
    ) -> MarkovChain:
        """From ids (T,) in 0..size-1; pairs do not cross documents, which begin at ``starts``."""
        pairs = np.asarray(ids[:-1], dtype=np.int64) * size + ids[1:]
        if starts is not None:
            pairs = np.delete(pairs, np.asarray(starts[1:]) - 1)
        return cls.from_counts(np.bincount(pairs, minlength=size * size).reshape(size, size), eps)

    def marginals(self, start: np.ndarray, steps: int) -> np.ndarray:
        """(steps + 1, S): row k is P(x_{t+k}) when x_t is distributed as ``start`` (S,).

        By dynamic programming, one product a step: P(x_{t+k+1} = j) = Σ_i P(x_{t+k} = i) P_ij.
        """
        rows = [np.asarray(start, dtype=float)]
        for _ in range(steps):
            rows.append(rows[-1] @ self.transition)
        return np.stack(rows)

    def k_step(self, k: int) -> np.ndarray:
        """(S, S): P(x_{t+k} = j | x_t = i)."""
        return np.linalg.matrix_power(self.transition, k)

    @cached_property
    def stationary(self) -> np.ndarray:
        """(S,) the distribution π = π P. Raises InputError where more than one set of states is never left."""
        return _stationary(self.transition)

    @cached_property
    def entropy_rate(self) -> float:
        """−Σ_i π_i Σ_j P_ij log2 P_ij, bits a symbol."""
        return float(self.stationary @ entropy(self.transition))


def entropy(p: np.ndarray) -> np.ndarray:
    """Entropy in bits of the distributions along the last axis."""
    return np.asarray(-(p * np.log2(np.where(p > 0, p, 1))).sum(axis=-1))


def _stationary(transition: np.ndarray) -> np.ndarray:
    from scipy.sparse.csgraph import connected_components

    count, of_state = connected_components(transition > 0, directed=True, connection="strong")
    leaves = np.zeros(count, dtype=bool)
    source, target = np.nonzero(transition)
    leaves[of_state[source][of_state[source] != of_state[target]]] = True
    if (~leaves).sum() != 1:
        raise InputError(
            f"the chain has {(~leaves).sum()} sets of states that it never leaves, so no single "
            "stationary distribution; smooth it (eps > 0)"
        )
    kept = np.flatnonzero(~leaves[of_state])
    inside = transition[np.ix_(kept, kept)]
    system = np.eye(len(kept)) - inside.T
    system[-1] = 1  # one balance equation is redundant; the shares sum to 1
    result = np.zeros(len(transition))
    result[kept] = np.linalg.solve(system, np.append(np.zeros(len(kept) - 1), 1.0))
    return result


@dataclass(frozen=True)
class HiddenMarkov:
    """States that write characters. moves: (A, S, S), moves[a, s, t] = P(write alphabet[a], go to t | in s).

    Where every character leads from a state to one state only (a Markov chain, the Golden Mean and the Even
    process), the rate is exact: Σ_s π_s H(character | s). Elsewhere it lies between H(x_n | x_<n, s_0) and
    H(x_n | x_<n), both computed over all strings of n characters (Cover & Thomas 2006, section 4.5).
    """

    alphabet: str
    moves: np.ndarray

    @cached_property
    def stationary(self) -> np.ndarray:
        """(S,) the long-run share of each state."""
        return _stationary(self.moves.sum(axis=0))

    @cached_property
    def entropy_rate(self) -> tuple[float, float]:
        if ((self.moves > 0).sum(axis=2) <= 1).all():
            exact = float(self.stationary @ entropy(self.moves.sum(axis=2).T))
            return exact, exact
        size, states = len(self.alphabet), len(self.stationary)
        n = max(2, int(math.log(4e6 / states**2) / math.log(size)))
        begun = np.diag(self.stationary)[:, None, :]
        return self._last_entropy(begun, n), self.conditional_entropies(n)[-1]

    def conditional_entropies(self, n: int) -> list[float]:
        """H(x_1), H(x_2 | x_1), … H(x_n | x_<n) in bits: what the best model with so much context needs."""
        return [self._last_entropy(self.stationary[None, None, :], k) for k in range(1, n + 1)]

    def _last_entropy(self, start: np.ndarray, n: int) -> float:
        """H(x_n | x_<n, row) for start (R, 1, S): joint probabilities of a row and the state s_0."""
        joint = start
        for _ in range(n - 1):
            joint = np.einsum("rws,ast->rwat", joint, self.moves).reshape(len(start), -1, start.shape[2])
        p = joint.sum(axis=2)
        after = np.einsum("rws,as->rwa", joint, self.moves.sum(axis=2))
        shares = np.divide(after, p[..., None], out=np.zeros_like(after), where=p[..., None] > 0)
        return float((p * entropy(shares)).sum())

    def generate(self, length: int, rng: np.random.Generator) -> str:
        states = self.moves.shape[1]
        choices = []
        for s in range(states):
            symbol, target = np.nonzero(self.moves[:, s])
            cumulative = np.cumsum(self.moves[symbol, s, target])
            cumulative[-1] = math.inf
            choices.append((cumulative.tolist(), [self.alphabet[a] for a in symbol], target.tolist()))
        state = int(rng.choice(states, p=self.stationary))
        written = []
        for u in rng.random(length).tolist():
            cumulative_list, symbols, targets = choices[state]
            i = bisect.bisect_right(cumulative_list, u)
            written.append(symbols[i])
            state = targets[i]
        return "".join(written)

    def log_probs(self, text: str) -> np.ndarray:
        """By the forward recursion over the states, from their long-run shares on.

        >>> from lmbench.corpora.sources import golden_mean
        >>> np.exp(golden_mean().log_probs("ba")).round(6).tolist()  # a third of the characters are b; then a must come
        [0.333333, 1.0]
        """
        from scipy.sparse import csr_array

        steps = {symbol: csr_array(moves.T) for symbol, moves in zip(self.alphabet, self.moves, strict=True)}
        nats = np.full(len(text), -np.inf)
        shares = self.stationary
        for place, symbol in enumerate(text):
            if symbol not in steps:
                break
            shares = steps[symbol] @ shares
            p = float(shares.sum())
            if p == 0:
                break
            nats[place] = math.log(p)
            shares = shares / p
        return nats
