"""Witten–Bell smoothing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lmbench.counts.blocks import Block, Counts
from lmbench.models.smoothing.backoff import CountModel, interpolate
from lmbench.models.smoothing.table import Backoff
from lmbench.text.tokens import Tokens


@dataclass(kw_only=True, eq=False)
class WittenBell(CountModel):
    """p(w | h) = (n(h w) + t(h) p(w | h')) / (n(h) + t(h)), where t(h) words have been seen after h.

    Every first sighting of a word after h counts as one event of meeting something new there
    (Witten & Bell 1991, method C; Bell, Cleary & Witten 1990). The recursion ends in the uniform distribution.
    """

    def _estimate(self, counts: Counts, train: Tokens, valid: Tokens | None) -> Backoff:
        return interpolate(counts, self._parts)

    def _parts(self, block: Block) -> tuple[np.ndarray, np.ndarray]:
        weight = np.maximum(block.total + block.types, 1)
        return block.n / weight[block.prefixes], np.where(block.total > 0, block.types / weight, 1.0)
