"""Katz's backing-off with Good–Turing discounts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lmbench.counts.ngrams import count_ngrams, sum_by
from lmbench.errors import InputError
from lmbench.models.base import Traits
from lmbench.models.options import option
from lmbench.models.smoothing.backoff import Backoff, BackoffModel, check_order
from lmbench.text.tokens import Tokens


@dataclass(kw_only=True, eq=False)
class Katz(BackoffModel):
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
        check_order(self.order)
        if self.cutoff < 1:
            raise InputError(f"option cutoff={self.cutoff}: without discounts nothing is left for the unseen")
        lowest = list(self.min_counts)
        if not lowest or lowest[0] != 1 or lowest != sorted(lowest):
            raise InputError(
                f"option min_counts={','.join(map(str, lowest))}: give numbers that do not fall, the first 1"
            )

    @property
    def traits(self) -> Traits:
        return Traits(precision=1e-10)  # α divides by what is left of 1: the digits lost there are lost

    def _estimate(self, train: Tokens, valid: Tokens | None) -> Backoff:
        counts = count_ngrams(train, self.order, self.vocab_size)
        probs, backoffs, kept_grams = [np.full(1, 1 / self.vocab_size)], [], []
        for k in range(1, self.order + 1):
            prefix, n = counts.prefixes(k), counts.counts[k]
            size = counts.sizes[k - 1]
            seen = n >= self.min_counts[min(k, len(self.min_counts)) - 1]
            lower = np.full(len(n), 1 / self.vocab_size) if k == 1 else probs[k - 1][counts.suffixes[k]]
            unseen = np.where(
                np.bincount(prefix[seen], minlength=size) < self.vocab_size,
                1 - sum_by(prefix[seen], size, lower[seen]),
                0.0,
            )
            discounted = np.where(seen, n * self._ratios(k, n)[np.minimum(n, self.cutoff + 1)], 0.0)
            total = counts.context_counts(k - 1).astype(np.float64)
            kept = sum_by(prefix, size, discounted)
            total[(unseen > 0) & (kept >= total)] += 1
            # Every word has been seen after this context: nothing to free, the discounted counts are all.
            total = np.where(unseen > 0, total, kept)
            freed = 1 - kept / np.where(total > 0, total, 1)
            alpha = np.divide(freed, unseen, out=np.ones(size), where=unseen > 0)
            probs.append(np.where(seen, discounted / total[prefix], alpha[prefix] * lower))
            backoffs.append(alpha)
            kept_grams.append(seen)
        backoffs[0] = np.ones(1)
        table = Backoff(self.vocab_size, counts.words, counts.begins, tuple(probs), tuple(backoffs))
        return table.select(kept_grams[1:]) if self.order > 1 else table

    def _ratios(self, k: int, counts: np.ndarray) -> np.ndarray:
        """(cutoff + 2,) the d_r of r = 0..cutoff and of all above."""
        n = np.bincount(np.minimum(counts, self.cutoff + 2), minlength=self.cutoff + 3)[: self.cutoff + 2]
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
        if len(counts):
            self.notes.append(
                f"order {k}: Good–Turing ratios unusable; counts up to {self.cutoff} lose {discount:.3g}"
            )
        return ratios
