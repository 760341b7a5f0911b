"""Absolute discounting."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np

from lmbench.counts.blocks import Block, Counts
from lmbench.errors import InputError
from lmbench.models.options import option
from lmbench.models.smoothing.backoff import CountModel, interpolate
from lmbench.models.smoothing.table import Backoff
from lmbench.text.tokens import Tokens


@dataclass(kw_only=True, eq=False)
class AbsoluteDiscounting(CountModel):
    """p(w | h) = max(n(h w) − D, 0) / n(h) + D t(h) / n(h) · p(w | h'), where t(h) words have been seen after h.

    Every count gives up the same D < 1 (Ney, Essen & Kneser 1994); by default D = n₁ / (n₁ + 2 n₂), order by
    order, from the numbers of n-grams seen once and twice. The recursion ends in the uniform distribution.
    """

    discounts: tuple[float, ...] | Literal["auto"] = option(
        "auto", "D of each order from 1, or one for all; auto: from the counts of counts"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.discounts == "auto":
            return
        if len(self.discounts) not in (1, self.order) or not all(0 < d <= 1 for d in self.discounts):
            raise InputError(
                f"option discounts={','.join(map(str, self.discounts))}: give {self.order} numbers above 0 "
                "and at most 1, or one for all"
            )

    def _estimate(self, counts: Counts, train: Tokens, valid: Tokens | None) -> Backoff:
        discounts = [self._discount(k, counts) for k in range(1, self.order + 1)]

        return interpolate(counts, partial(self._parts, discounts))

    @staticmethod
    def _parts(discounts: list[float], block: Block) -> tuple[np.ndarray, np.ndarray]:
        discount, total = discounts[block.k - 1], np.maximum(block.total, 1)
        own = np.maximum(block.n - discount, 0) / total[block.prefixes]
        return own, np.where(block.total > 0, discount * block.types / total, 1.0)

    def _discount(self, k: int, counts: Counts) -> float:
        if self.discounts != "auto":
            return self.discounts[min(k, len(self.discounts)) - 1]
        _, once, twice = counts.tally(k, 2).tolist()
        if once and twice:
            return float(once / (once + 2 * twice))
        if counts.sizes[k]:
            self.notes.append(f"order {k}: no n-gram is seen {'twice' if once else 'once'}; used D = 0.5")
        return 0.5
