"""Katz's backing-off with Good–Turing discounts."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from lmbench.counts.blocks import Block, Counts, sum_by
from lmbench.errors import InputError
from lmbench.models.base import Traits
from lmbench.models.options import option
from lmbench.models.smoothing.backoff import CountModel, build
from lmbench.models.smoothing.table import Backoff
from lmbench.text.tokens import Tokens

HIGHEST = 10**6  # count that is discounted


@dataclass(kw_only=True, eq=False)
class Katz(CountModel):
    """p(w | h) = d_r n(h w) / n(h) where h w has been seen r ≥ ``min_counts`` times, else α(h) p(w | h').

    d_r is Good and Turing's ratio for r ≤ ``cutoff``, adjusted so that what it frees is what they give to unseen
    n-grams, and 1 above (Katz 1987); α(h) makes the sum one. Where the ratios are unusable, the order discounts
    every r ≤ cutoff by a constant instead, and says so. A context that frees nothing though some word has not been
    seen after it behaves as if it had occurred once more. Words never seen share the unigrams' freed mass equally.
    """

    order: int = option(3, "the longest n-grams")
    cutoff: int = option(7, "counts above it are taken at their word")
    min_counts: tuple[int, ...] = option(
        (1, 1, 2), "rarer n-grams are dropped, a number an order from 1 up, the last for all above"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.cutoff < 1:
            raise InputError(f"option cutoff={self.cutoff}: without discounts nothing is left for the unseen")
        if self.cutoff > HIGHEST:
            raise InputError(f"option cutoff={self.cutoff}: give {HIGHEST:,} at most, 5 to 10 are usual")
        lowest = list(self.min_counts)
        if not lowest or lowest[0] != 1 or lowest != sorted(lowest):
            raise InputError(
                f"option min_counts={','.join(map(str, lowest))}: give numbers that do not fall, the first 1"
            )

    @property
    def traits(self) -> Traits:
        return Traits(precision=1e-10)  # α divides by what is left of 1: the digits lost there are lost

    def _estimate(self, counts: Counts, train: Tokens, valid: Tokens | None) -> Backoff:
        ratios = [self._ratios(k, counts) for k in range(1, self.order + 1)]
        least = [self.min_counts[min(k, len(self.min_counts)) - 1] for k in range(1, self.order + 1)]
        return build(counts, partial(self._smooth, ratios, least), least=least)

    def _smooth(
        self, ratios: list[np.ndarray], least: list[int], block: Block, lower: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        seen, size = block.n >= least[block.k - 1], block.size
        of_seen = block.prefixes[seen]
        unseen = np.where(
            np.bincount(of_seen, minlength=size) < self.vocab_size,
            1 - sum_by(of_seen, size, lower[seen]),
            0.0,
        )
        ratio = ratios[block.k - 1][np.minimum(block.n, self.cutoff + 1)]
        discounted = np.where(seen, block.n * ratio, 0.0)
        total = block.total.astype(np.float64)
        kept = sum_by(block.prefixes, size, discounted)
        total[(unseen > 0) & (kept >= total)] += 1
        # Every word has been seen after this context: nothing to free, the discounted counts are all.
        total = np.where(unseen > 0, total, kept)
        freed = 1 - kept / np.where(total > 0, total, 1)
        alpha = np.divide(freed, unseen, out=np.ones(size), where=unseen > 0)
        return np.where(seen, discounted / total[block.prefixes], alpha[block.prefixes] * lower), alpha

    def _ratios(self, k: int, counts: Counts) -> np.ndarray:
        """(cutoff + 2,) the d_r of r = 0..cutoff and of all above."""
        n = counts.tally(k, self.cutoff + 1)
        r = np.arange(self.cutoff + 2)
        ratios = np.ones(self.cutoff + 2)
        if n[1:].all():
            rest = (self.cutoff + 1) * n[-1] / n[1]
            turing = r[2:] * n[2:] / (r[1:-1] * n[1:-1])
            if rest < 1 and ((turing > rest) & (turing < 1)).all():
                ratios[1:-1] = (turing - rest) / (1 - rest)
                return ratios
        discount = n[1] / (n[1] + 2 * n[2]) if n[1] and n[2] else 0.5
        ratios[1:-1] = (r[1:-1] - discount) / r[1:-1]
        if counts.sizes[k]:
            self.notes.append(
                f"order {k}: Good–Turing ratios unusable; counts up to {self.cutoff} lose {discount:.3g}"
            )
        return ratios
