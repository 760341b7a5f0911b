"""Sources of text whose entropy rate is known, so that a model's bits can be set against the truth.

Two families cover them. A hidden Markov source moves between states and writes a character at each step (Markov
chains of order k, the Golden Mean and the Even process are cases of it). A grammar writes sentence after sentence.
"""

from __future__ import annotations

import bisect
import inspect
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from lmbench.errors import InputError, unknown

LETTERS = "abcdefghijklmnopqrstuvwxyz"


class Source(Protocol):
    """Something that writes text at random."""

    @property
    def entropy_rate(self) -> tuple[float, float]:
        """Bounds in bits per character, low ≤ high; equal where the rate is known exactly."""
        ...

    def generate(self, length: int, rng: np.random.Generator) -> str:
        """``length`` characters from the stationary beginning on."""
        ...

    def log_probs(self, text: str) -> np.ndarray | None:
        """(len(text),) float64 nats ≤ 0: ln p(character | those before it in the text) of a stretch of what it writes.

        −inf from the first character on that it cannot have written; None where it is not known how to compute it.
        """
        ...


# Chains --------------------------------------------------------------------------------------------


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
        return float(self.stationary @ _entropy(self.transition))


def _entropy(p: np.ndarray) -> np.ndarray:
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
            exact = float(self.stationary @ _entropy(self.moves.sum(axis=2).T))
            return exact, exact
        size, states = len(self.alphabet), len(self.stationary)
        n = max(2, int(math.log(4e6 / states**2) / math.log(size)))
        known = np.diag(self.stationary)[:, None, :]
        return self._last_entropy(known, n), self.conditional_entropies(n)[-1]

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
        return float((p * _entropy(shares)).sum())

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


# Grammars ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Grammar:
    r"""Sentences of words between single spaces, each ended by ``\n``, drawn independently.

    rules: for each symbol, its expansions with their probabilities; a name that is no key of ``rules`` is a word.
    start: the symbol of a sentence. The grammar must be unambiguous, with finite sentences on average: then the
    entropy of a sentence is that of the choices made in it, and the rate is H(sentence) / E(characters).
    """

    rules: dict[str, Sequence[tuple[float, Sequence[str]]]]
    start: str = "S"

    @cached_property
    def entropy_rate(self) -> tuple[float, float]:
        names = list(self.rules)
        index = {name: i for i, name in enumerate(names)}
        uses = np.zeros((len(names), len(names)))
        choice, length = np.zeros(len(names)), np.zeros(len(names))
        for name, expansions in self.rules.items():
            i = index[name]
            choice[i] = _entropy(np.array([p for p, _ in expansions]))
            for p, symbols in expansions:
                for symbol in symbols:
                    if symbol in index:
                        uses[i, index[symbol]] += p
                    else:
                        length[i] += p * (len(symbol) + 1)  # the blank or line feed after it
        # H(A) = H(choice of A) + Σ_B E(uses of B in A) H(B), and so for lengths.
        solved = np.linalg.solve(np.eye(len(names)) - uses, np.stack([choice, length], axis=1))
        bits, characters = solved[index[self.start]]
        return float(bits / characters), float(bits / characters)

    def sentence(self, rng: np.random.Generator) -> list[str]:
        """The words of one sentence."""
        words: list[str] = []
        stack = [self.start]
        while stack:
            symbol = stack.pop()
            if symbol not in self._choices:
                words.append(symbol)
                continue
            cumulative, expansions = self._choices[symbol]
            stack.extend(expansions[bisect.bisect_right(cumulative, rng.random())])
        return words

    @cached_property
    def _choices(self) -> dict[str, tuple[list[float], list[list[str]]]]:
        """symbol: (cumulative probabilities, expansions backwards, as a stack wants them)."""
        tables = {}
        for name, expansions in self.rules.items():
            cumulative = np.cumsum([p for p, _ in expansions])
            cumulative[-1] = math.inf
            tables[name] = cumulative.tolist(), [list(reversed(symbols)) for _, symbols in expansions]
        return tables

    def generate(self, length: int, rng: np.random.Generator) -> str:
        lines, total = [], 0
        while total < length:
            lines.append(" ".join(self.sentence(rng)) + "\n")
            total += len(lines[-1])
        return "".join(lines)[:length]

    def log_probs(self, text: str) -> None:
        """Not known: a stretch that begins within a sentence would have to be parsed."""
        return None


# The registry --------------------------------------------------------------------------------------


def golden_mean(p: float = 0.5) -> HiddenMarkov:
    """Over "ab", no b follows a b: after an a, b with probability p. At p = 1/2 the rate is 2/3 bit."""
    _within("p", p, 0, 1)
    return HiddenMarkov("ab", np.array([[[1 - p, 0], [1, 0]], [[0, p], [0, 0]]]))


def even_process(p: float = 0.5) -> HiddenMarkov:
    """Over "ab", b's come in runs of even length: of infinite Markov order. At p = 1/2 the rate is 2/3 bit."""
    _within("p", p, 0, 1)
    return HiddenMarkov("ab", np.array([[[1 - p, 0], [0, 0]], [[0, p], [1, 0]]]))


def markov(order: int = 2, symbols: int = 4, concentration: float = 0.5, table: int = 0) -> HiddenMarkov:
    """A chain of the given order over that many characters (the last a space).

    Each context's distribution is drawn from a symmetric Dirichlet of the given concentration, by the seed
    ``table``: small concentrations make a predictable text.
    """
    _within("order", order, 0, 10)
    _within("symbols", symbols, 2, 27)
    _within("concentration", concentration, 0.01, 1e6)
    contexts = symbols**order
    if contexts > 1024:
        raise InputError(f"symbols ** order = {contexts} contexts are more than 1024; lower one of them")
    rows = np.random.default_rng(table).dirichlet(np.full(symbols, concentration), size=contexts)
    moves = np.zeros((symbols, contexts, contexts))
    for a in range(symbols):
        moves[a, np.arange(contexts), (np.arange(contexts) * symbols + a) % contexts] = rows[:, a]
    return HiddenMarkov(LETTERS[: symbols - 1] + " ", moves)


def hidden_markov(stay: float = 0.9, purity: float = 0.85) -> HiddenMarkov:
    """Three hidden states over "abc ", each kept with probability ``stay``, each writing mostly its own letter.

    A state writes its letter with probability ``purity``, else another character, all alike; the rate is bounded.
    """
    _within("stay", stay, 0, 1)
    _within("purity", purity, 0, 1)
    go = np.full((3, 3), (1 - stay) / 2)
    np.fill_diagonal(go, stay)
    write = np.full((3, 4), (1 - purity) / 3)
    np.fill_diagonal(write, purity)
    return HiddenMarkov("abc ", np.einsum("sa,st->ast", write, go))


def zipf_mandelbrot(types: int = 2000, alpha: float = 1.0, b: float = 2.7, line: int = 10) -> Grammar:
    """Independent words, p(r) ∝ (r + b)^-alpha over that many types, ``line`` words a line.

    The frequent ones are short, as in a language: words are the numbers 1, 2, … spelled in 100 syllables.
    """
    _within("types", types, 2, 100_000)
    _within("alpha", alpha, 0, 20)
    _within("b", b, -0.99, 1e6)
    _within("line", line, 1, 10_000)
    weights = (np.arange(1, types + 1) + b) ** -float(alpha)
    words = [_spell(r) for r in range(1, types + 1)]
    return Grammar(
        {
            "S": [(1.0, ["W"] * line)],
            "W": [(p, [w]) for p, w in zip(weights / weights.sum(), words, strict=True)],
        }
    )


_SYLLABLES = [c + v for v in "aeiou" for c in "tnshrdlcmwfgypbvkjxz"]


def _spell(number: int) -> str:
    """1 → ta, 2 → na, … 100 → zu, 101 → tata: bijective, so that no two numbers share a word."""
    word = ""
    while number:
        number, digit = divmod(number - 1, len(_SYLLABLES))
        word = _SYLLABLES[digit] + word
    return word


def grammar(clause: float = 0.3) -> Grammar:
    """Small English sentences; a noun takes a relative clause with probability ``clause`` (nested without bound)."""
    _within("clause", clause, 0, 0.9)

    def words(text: str) -> list[tuple[float, list[str]]]:
        items = text.split()
        weights = 1 / np.arange(1, len(items) + 1)
        return [(float(p), [w]) for p, w in zip(weights / weights.sum(), items, strict=True)]

    return Grammar(
        {
            "S": [(0.8, ["NOUNS", "VERBS"]), (0.2, ["ADVERB", "NOUNS", "VERBS"])],
            "NOUNS": [(1 - clause, ["ARTICLE", "NAME"]), (clause, ["ARTICLE", "NAME", "that", "VERBS"])],
            "NAME": [(0.7, ["NOUN"]), (0.3, ["ADJECTIVE", "NOUN"])],
            "VERBS": [(0.5, ["STANDS"]), (0.5, ["SEES", "NOUNS"])],
            "ARTICLE": [(0.6, ["the"]), (0.3, ["a"]), (0.1, ["every"])],
            "ADVERB": words("today often then there"),
            "ADJECTIVE": words("old small red quiet other"),
            "NOUN": words("ferry river man woman dog house bell lamp stranger captain"),
            "STANDS": words("waits sleeps turns sings returns"),
            "SEES": words("sees hears follows finds remembers"),
        }
    )


SOURCES: dict[str, Callable[..., Source]] = {
    "zipf-mandelbrot": zipf_mandelbrot,
    "markov": markov,
    "golden-mean": golden_mean,
    "even-process": even_process,
    "hidden-markov": hidden_markov,
    "grammar": grammar,
}


def make_source(name: str, **options: Any) -> Source:
    """A source by its name in SOURCES; raises InputError for unknown names, options or values out of range."""
    if name not in SOURCES:
        raise unknown("source", name, SOURCES)
    parameters = inspect.signature(SOURCES[name]).parameters
    for key, value in options.items():
        if key not in parameters:
            raise unknown(f"option of source {name}", key, parameters)
        whole = isinstance(parameters[key].default, int)
        if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
            raise InputError(
                f"{key}={value!r} of source {name} is not {'an integer' if whole else 'a number'}"
            )
    return SOURCES[name](**options)


def _within(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise InputError(f"{name}={value} is outside {low}..{high}")
