"""Absolute discounting."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from lmbench.counts.ngrams import count_ngrams
from lmbench.errors import InputError
from lmbench.models.options import option
from lmbench.models.smoothing.backoff import Backoff, BackoffModel, check_order, interpolate
from lmbench.text.tokens import Tokens


@dataclass(kw_only=True, eq=False)
class AbsoluteDiscounting(BackoffModel):
    """p(w | h) = max(n(h w) − D, 0) / n(h) + D t(h) / n(h) · p(w | h'), where t(h) words have been seen after h.

    Every count gives up the same D < 1 (Ney, Essen & Kneser 1994); by default D = n₁ / (n₁ + 2 n₂), order by
    order, from the numbers of n-grams seen once and twice. The recursion ends in the uniform distribution.
    """

    order: int = option(5, "the longest n-grams")
    discounts: tuple[float, ...] | Literal["auto"] = option(
        "auto", "D of each order from 1, or one for all; auto: from the counts of counts"
    )

    def __post_init__(self) -> None:
        check_order(self.order)
        if self.discounts == "auto":
            return
        if len(self.discounts) not in (1, self.order) or not all(0 < d <= 1 for d in self.discounts):
            raise InputError(
                f"option discounts={','.join(map(str, self.discounts))}: give {self.order} numbers above 0 "
                "and at most 1, or one for all"
            )

    def _estimate(self, train: Tokens, valid: Tokens | None) -> Backoff:
        counts = count_ngrams(train, self.order, self.vocab_size)
        own, share = [], []
        for k in range(1, self.order + 1):
            discount = self._discount(k, counts.counts[k])
            total = counts.context_counts(k - 1)
            own.append(np.maximum(counts.counts[k] - discount, 0) / np.maximum(total, 1)[counts.prefixes(k)])
            share.append(np.where(total > 0, discount * counts.followers(k - 1) / np.maximum(total, 1), 1.0))
        return interpolate(counts, own, share)

    def _discount(self, k: int, counts: np.ndarray) -> float:
        if self.discounts != "auto":
            return self.discounts[min(k, len(self.discounts)) - 1]
        once, twice = int((counts == 1).sum()), int((counts == 2).sum())
        if once and twice:
            return once / (once + 2 * twice)
        if len(counts):
            self.notes.append(f"order {k}: no n-gram is seen {'twice' if once else 'once'}; used D = 0.5")
        return 0.5
