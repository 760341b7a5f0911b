"""Stupid backoff: scores, not probabilities."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lmbench.counts.ngrams import count_ngrams
from lmbench.errors import InputError
from lmbench.models.base import Traits
from lmbench.models.options import option
from lmbench.models.smoothing.backoff import Backoff, BackoffModel, check_order
from lmbench.text.tokens import Tokens


@dataclass(kw_only=True, eq=False)
class StupidBackoff(BackoffModel):
    """S(w | h) = n(h w) / n(h) where h w has been seen, else ``alpha`` · S(w | h') (Brants et al. 2007).

    The scores after a context sum to more than one, so that bits and perplexities made of them mean nothing
    beside those of other models. A context never seen is passed over at no cost, which changes no ranking of words;
    a word never seen scores alpha / V.
    """

    order: int = option(5, "the longest n-grams")
    alpha: float = option(0.4, "what every step to a shorter context costs")

    def __post_init__(self) -> None:
        check_order(self.order)
        if not 0 < self.alpha <= 1:
            raise InputError(f"option alpha={self.alpha}: give a number above 0 and at most 1")

    @property
    def traits(self) -> Traits:
        return Traits(normalised=False)

    def _estimate(self, train: Tokens, valid: Tokens | None) -> Backoff:
        counts = count_ngrams(train, self.order, self.vocab_size)
        probs, backoffs = [np.ones(1)], []
        for k in range(1, self.order + 1):
            total = counts.context_counts(k - 1)
            probs.append(counts.counts[k] / np.maximum(total, 1)[counts.prefixes(k)])
            backoffs.append(np.where(total > 0, self.alpha, 1.0))
        backoffs[0] = np.ones(1)
        probs[1][counts.counts[1] == 0] = self.alpha / self.vocab_size
        return Backoff(self.vocab_size, counts.words, counts.begins, tuple(probs), tuple(backoffs))
