"""A mixture of models of n-grams as one such model, which any toolkit reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from lmbench.counts.ngrams import split_keys
from lmbench.counts.trie import roots
from lmbench.errors import InputError
from lmbench.models.base import LanguageModel
from lmbench.models.monitor import Monitor
from lmbench.models.smoothing.backoff import BackoffModel
from lmbench.models.smoothing.pruning import normalised
from lmbench.models.smoothing.table import Backoff
from lmbench.text.tokens import Tokens
from lmbench.text.vocab import NOTHING


@dataclass(kw_only=True, eq=False)
class StaticMixture(BackoffModel):
    """The n-grams of all components, each with the probability that the mixture gives it after its context; others back off.

    What SRILM's ``ngram -mix-lm`` writes (Stolcke 2002). Backoff weights are worked out anew, so that every distribution sums to one. At
    the n-grams it is the mixture; elsewhere it backs off once, where the mixture lets each component back off by itself.
    """

    @classmethod
    def of(cls, table: Backoff) -> Self:
        model = cls()
        model.table, model.vocab_size = table, table.vocab_size
        return model

    def _fit(self, train: Tokens, valid: Tokens | None, rng: np.random.Generator, monitor: Monitor) -> None:
        raise InputError("a static mixture is made of a fitted mixture; fit that, and save it as .arpa")


def static_mixture(mixture: LanguageModel) -> StaticMixture:
    """A linear mixture of models of n-grams as one. Raises InputError where a component is none."""
    sets = []
    for component in mixture.components:
        ngrams = component.ngrams()
        if ngrams is None:
            raise InputError(
                "a mixture is written as n-grams where all that it mixes are; save it to another name than .arpa"
            )
        sets.append(ngrams)
    size, order = mixture.vocab_size, max(map(len, sets))
    words, begins = roots(size)
    columns: list[np.ndarray] = []  # the union's n-grams of the last order
    probs = [np.ones(1), np.exp(mixture.log_probs(_apart(np.arange(size, dtype=np.int32)[:, None])))]
    columns, ranks = (
        [np.arange(size, dtype=np.int32)[:, None]],
        [[rows[:, 0].astype(np.int64) for rows in of[1:]] for of in sets],
    )
    for k in range(2, order + 1):
        keys = [
            [rank * size + rows[:, k - 1] for rank, rows in zip(of_ranks, of[k - 1 :], strict=True)]
            for of_ranks, of in zip(ranks, sets, strict=True)
        ]
        # Of each component its n-grams of order k; the prefixes of longer ones are among them.
        needed = np.unique(np.concatenate([of[0] for of in keys if of]))
        ranks = [[np.searchsorted(needed, some) for some in of[1:]] for of in keys]
        rows = np.concatenate(
            [columns[-1][needed // size], (needed % size).astype(np.int32)[:, None]], axis=1
        )
        last, begin = split_keys(needed, len(columns[-1]), size)
        words.append(last)
        begins.append(begin)
        columns.append(rows)
        probs.append(np.exp(mixture.log_probs(_apart(rows))[k - 1 :: k]))
    backoffs = tuple(np.ones(len(p)) for p in probs[:-1])
    table = Backoff(size, tuple(words), tuple(begins), tuple(probs), backoffs)
    return StaticMixture.of(normalised(table))


def _apart(rows: np.ndarray) -> Tokens:
    """(N, k) n-grams, each a text of its own with nothing before it."""
    starts = np.arange(len(rows), dtype=np.int64) * rows.shape[1]
    return Tokens(np.ascontiguousarray(rows).ravel(), starts, NOTHING)
