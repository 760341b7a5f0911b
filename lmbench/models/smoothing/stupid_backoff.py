"""Stupid backoff: scores, not probabilities."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lmbench.counts.blocks import Block, Counts
from lmbench.errors import InputError
from lmbench.models.base import Traits
from lmbench.models.options import option
from lmbench.models.smoothing.backoff import CountModel, build
from lmbench.models.smoothing.table import Backoff
from lmbench.text.tokens import Tokens


@dataclass(kw_only=True, eq=False)
class StupidBackoff(CountModel):
    """S(w | h) = n(h w) / n(h) where h w has been seen, else ``alpha`` · S(w | h') (Brants et al. 2007).

    The scores after a context sum to more than one, so that bits and perplexities made of them mean nothing
    beside those of other models. A context never seen is passed over at no cost, which changes no ranking of words;
    a word never seen scores alpha / V.
    """

    alpha: float = option(0.4, "what every step to a shorter context costs")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.alpha <= 1:
            raise InputError(f"option alpha={self.alpha}: give a number above 0 and at most 1")

    @property
    def traits(self) -> Traits:
        return Traits(normalised=False)

    def _estimate(self, counts: Counts, train: Tokens, valid: Tokens | None) -> Backoff:
        return build(counts, self._scores)

    def _scores(self, block: Block, lower: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        scores = block.n / np.maximum(block.total, 1)[block.prefixes]
        if block.k == 1:
            scores[block.n == 0] = self.alpha / self.vocab_size
        return scores, np.where(block.total > 0, self.alpha, 1.0)
