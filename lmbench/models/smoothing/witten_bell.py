"""Witten–Bell smoothing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lmbench.counts.ngrams import count_ngrams
from lmbench.models.options import option
from lmbench.models.smoothing.backoff import Backoff, BackoffModel, check_order, interpolate
from lmbench.text.tokens import Tokens


@dataclass(kw_only=True, eq=False)
class WittenBell(BackoffModel):
    """p(w | h) = (n(h w) + t(h) p(w | h')) / (n(h) + t(h)), where t(h) words have been seen after h.

    Every first sighting of a word after h counts as one event of meeting something new there
    (Witten & Bell 1991, method C; Bell, Cleary & Witten 1990). The recursion ends in the uniform distribution.
    """

    order: int = option(5, "the longest n-grams")

    def __post_init__(self) -> None:
        check_order(self.order)

    def _estimate(self, train: Tokens, valid: Tokens | None) -> Backoff:
        counts = count_ngrams(train, self.order, self.vocab_size)
        own, share = [], []
        for k in range(1, self.order + 1):
            types, total = counts.followers(k - 1), counts.context_counts(k - 1)
            weight = np.maximum(total + types, 1)
            own.append(counts.counts[k] / weight[counts.prefixes(k)])
            share.append(np.where(total > 0, types / weight, 1.0))
        return interpolate(counts, own, share)
