"""A text cut by a unit whose tokens depend on what stands around them, so that no piece of it may be cut alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from lmbench.text.canonical import CanonicalText


@dataclass(frozen=True)
class Cut:
    """A text's tokens and how they lie in it.

    text: what was cut (a tokenizer that normalises reads another than it was given, where that is asked for). types:
    the distinct tokens by first appearance. which: (T,) int32, which of them each token is. starts: (D,) int64, the
    tokens with which documents begin. ends: (T,) int64, where each token's span of characters ends.
    """

    text: CanonicalText
    types: list[str]
    which: np.ndarray
    starts: np.ndarray
    ends: np.ndarray

    def surface(self) -> list[str]:
        """(T,) the tokens by name."""
        return [self.types[i] for i in self.which.tolist()]
