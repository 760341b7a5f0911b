"""Jelinek–Mercer smoothing: relative frequencies of all orders, interpolated by weights learnt on held-out text."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from lmbench.counts.blocks import Block, Counts
from lmbench.errors import InputError
from lmbench.models.base import Traits
from lmbench.models.options import option
from lmbench.models.smoothing.backoff import CountModel, interpolate
from lmbench.models.smoothing.laplace import frequencies
from lmbench.models.smoothing.table import Backoff
from lmbench.text.tokens import Tokens


@dataclass(kw_only=True, eq=False)
class JelinekMercer(CountModel):
    """p(w | h) = λ n(h w) / n(h) + (1 − λ) p(w | h'), the λ of a context depending on how often it was seen.

    Contexts of one order share a λ where ⌊log₂ n(h)⌋ is the same, up to ``buckets`` of them (Jelinek & Mercer 1980);
    the λ make the held-out text likeliest, by expectation–maximisation over the order that each token was
    drawn from. One token each way is added to the evidence, so that no λ is 0 or 1. The recursion ends in
    the uniform distribution.
    """

    buckets: int = option(12, "groups of contexts, by count, with a weight each; 1: one weight an order")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.buckets <= 1000:  # counts have 63 of them
            raise InputError(f"option buckets={self.buckets}: every order needs 1 to 1000")

    @property
    def traits(self) -> Traits:
        return Traits(held_out="needed")

    def _estimate(self, counts: Counts, train: Tokens, valid: Tokens | None) -> Backoff:
        assert valid is not None  # fit has seen to it
        weights = learn_weights(counts, valid, self.buckets)

        return interpolate(counts, partial(self._parts, weights))

    def _parts(self, weights: np.ndarray, block: Block) -> tuple[np.ndarray, np.ndarray]:
        total = block.total
        of_context = np.where(total > 0, weights[block.k - 1][bucket(total, self.buckets)], 0.0)
        frequency = block.n / np.maximum(total, 1)[block.prefixes]
        return of_context[block.prefixes] * frequency, 1 - of_context


def bucket(total: np.ndarray, buckets: int) -> np.ndarray:
    """int64: the group of contexts seen so often: ⌊log₂ n⌋, and all above in the last; 0 where n is 0."""
    return np.minimum(np.frexp(np.maximum(total, 1))[1] - 1, buckets - 1)


def learn_weights(counts: Counts, valid: Tokens, buckets: int) -> np.ndarray:
    """(order, buckets) the λ of each order from 1 that make held-out text likeliest, one token added each way."""
    observed = counts.observed(valid, frequencies)
    frequency = np.zeros((counts.order, len(valid)))
    seen = np.zeros((counts.order, len(valid)), dtype=bool)
    group = np.zeros((counts.order, len(valid)), dtype=np.int64)
    for k, ((of_gram,), (total,)) in enumerate(observed, 1):
        frequency[k - 1] = of_gram / np.maximum(total, 1)
        seen[k - 1] = total > 0
        group[k - 1] = bucket(total, buckets) + buckets * (k - 1)
    weights = np.full(counts.order * buckets, 0.5)
    before = -np.inf
    for _ in range(200):
        of_token = np.where(seen, weights[group], 0.0)
        p = np.empty((counts.order + 1, len(valid)))
        p[0] = 1 / counts.vocab_size
        for k in range(counts.order):
            p[k + 1] = of_token[k] * frequency[k] + (1 - of_token[k]) * p[k]
        # Going down: the chance that the token comes from this order or below, then from this order itself.
        reached, here = np.ones(len(valid)), np.empty_like(frequency)
        below = np.empty_like(frequency)
        for k in reversed(range(counts.order)):
            here[k] = reached * of_token[k] * frequency[k] / p[k + 1]
            below[k] = reached - here[k]
            reached = below[k]
        taken, passed = (
            np.bincount(group[seen], weights=part[seen], minlength=len(weights)) for part in (here, below)
        )
        weights = (taken + 1) / (taken + passed + 2)
        likelihood = float(np.log(p[-1]).sum())
        if likelihood - before < 1e-7 * abs(likelihood):
            break
        before = likelihood
    return weights.reshape(counts.order, buckets)
