"""A cache: what has been read lately is likely to come again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lmbench.errors import InputError
from lmbench.models.base import LanguageModel, Traits, learned
from lmbench.models.logs import LEAST, logs_of
from lmbench.models.monitor import Monitor
from lmbench.models.options import option
from lmbench.models.saved import saved_array
from lmbench.models.smoothing.backoff import check_order
from lmbench.text.tokens import Tokens

_CELLS = 1 << 20  # counts of what is remembered that are held at once


@dataclass(kw_only=True, eq=False)
class Cache(LanguageModel):
    """p(w | h) = (c(h w) + s p(w | h')) / (c(h) + s), with c counted in the last ``window`` tokens of the scored text.

    The cache of Kuhn & De Mori (1990), for n-grams up to ``order`` as in Jelinek et al. (1991); it ends in the
    frequencies of the training text, each word once more. Adaptive: it reads on from one document to
    the next. Meant as a component of a mixture, where the others know the language and this one the topic.
    """

    order: int = option(3, "the longest n-grams")
    window: int = option(300, "how many tokens it remembers")
    strength: float = option(4.0, "s, in tokens: how much a cache must hold to be believed")

    unigrams: np.ndarray = learned()  # (V,) probabilities

    def __post_init__(self) -> None:
        check_order(self.order)
        if self.window < 0:
            raise InputError(f"option window={self.window}: a number of tokens is 0 or more")
        if not 0 < self.strength < np.inf:
            raise InputError(f"option strength={self.strength}: give a number above 0, and finite")

    @property
    def traits(self) -> Traits:
        return Traits(adaptive=True)

    def _fit(self, train: Tokens, valid: Tokens | None, rng: np.random.Generator, monitor: Monitor) -> None:
        counts = np.bincount(train.ids, minlength=self.vocab_size) + 1
        self.unigrams = counts / counts.sum()

    def _log_probs(self, tokens: Tokens) -> np.ndarray:
        p = self.unigrams[tokens.ids]
        for contexts in self._contexts(tokens):
            seen, total = (
                count_recent(which, self.window) for which in (number(contexts, tokens.ids), contexts)
            )
            p = (seen + self.strength * p) / (total + self.strength)
        return logs_of(p)

    def _distributions(self, tokens: Tokens, asked: np.ndarray) -> np.ndarray:
        rows = np.tile(self.unigrams, (len(asked), 1))
        some = max(1, _CELLS // max(self.vocab_size, self.window))
        for contexts in self._contexts(tokens):
            order, earliest = recent(contexts, self.window)
            last = np.empty(len(order), dtype=np.int64)
            last[order] = np.arange(len(order))
            for part in range(0, len(asked), some):
                ends = last[asked[part : part + some]]
                row = rows[part : part + some]
                total = ends - earliest[ends]
                # What is remembered of the context of each place, the places one after the other.
                of_place = np.repeat(np.arange(len(row)), total)
                within = np.arange(len(of_place)) + np.repeat(ends - np.cumsum(total), total)
                cells = of_place * self.vocab_size + tokens.ids[order[within]]
                row *= self.strength
                row += np.bincount(cells, minlength=row.size).reshape(row.shape)
                row /= (total + self.strength)[:, None]
        return logs_of(rows)

    def _next_log_probs(self, contexts: Sequence[np.ndarray], bos: int) -> np.ndarray:
        return np.stack([self._after(Tokens.of(context, bos)) for context in contexts])

    def _next_after(self, tokens: Tokens) -> np.ndarray:
        # What is remembered, and the contexts of that.
        first = max(0, len(tokens) - self.window - self.order)
        kept, begin = tokens.ids[first:], max(0, len(tokens) - first - self.window)
        starts = np.append(0, tokens.starts[tokens.starts > first] - first)
        row = self.unigrams
        for which in self._contexts(Tokens(np.append(kept, np.int32(0)), starts, tokens.bos)):
            alike = np.flatnonzero(which[begin:-1] == which[-1]) + begin
            seen = np.bincount(kept[alike], minlength=self.vocab_size)
            row = (seen + self.strength * row) / (len(alike) + self.strength)
        return logs_of(row.copy() if row is self.unigrams else row)

    def _contexts(self, tokens: Tokens) -> list[np.ndarray]:
        """For each order from 1, (T,) int64: a number for the tokens before each token, alike where they are."""
        positions, contexts = tokens.positions(), [np.zeros(len(tokens), dtype=np.int64)]
        for back in range(1, self.order):
            before = np.roll(tokens.ids, back)
            before[positions < back] = self.vocab_size  # nothing, further back than the beginning
            before[positions == back - 1] = tokens.bos
            contexts.append(number(contexts[-1], before))
        return contexts

    def _state(self) -> dict[str, np.ndarray]:
        return {"unigrams": self.unigrams}

    def _restore(self, state: Mapping[str, np.ndarray]) -> None:
        self.unigrams = saved_array(state, "unigrams", (self.vocab_size,), least=LEAST, most=1.0)


def number(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(T,) int64: the distinct pairs numbered."""
    second = second - second.min()  # of symbols, NOTHING is the least
    pairs = first * (int(second.max()) + 1) + second
    numbers: np.ndarray = np.unique(pairs, return_inverse=True)[1]
    return numbers


def recent(which: np.ndarray, window: int) -> tuple[np.ndarray, np.ndarray]:
    """Tokens sorted by their numbers, stably: (T,) their places in the text, (T,) where the window of each begins.

    In that order entry i is preceded, from entry earliest[i] on, by those of the ``window`` tokens before it that have
    its number.
    """
    order = np.argsort(which, kind="stable")
    place = which[order] * len(which) + order  # ascending; those of one number lie together
    return order, np.searchsorted(place, which[order] * len(which) + np.maximum(order - window, 0))


def count_recent(which: np.ndarray, window: int) -> np.ndarray:
    """(T,) int64: how many of the ``window`` tokens before each have the same number."""
    order, earliest = recent(which, window)
    count = np.empty(len(which), dtype=np.int64)
    count[order] = np.arange(len(which)) - earliest
    return count
