"""Every token as likely as every other: the model whose answers are known, and the example to copy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lmbench.models.base import LanguageModel
from lmbench.models.monitor import Monitor
from lmbench.text.tokens import Tokens


@dataclass(kw_only=True, eq=False)
class Uniform(LanguageModel):
    """p(x) = 1/V; its perplexity is V on any text."""

    def _fit(self, train: Tokens, valid: Tokens | None, rng: np.random.Generator, monitor: Monitor) -> None:
        pass

    def _log_probs(self, tokens: Tokens) -> np.ndarray:
        return np.full(len(tokens), -np.log(self.vocab_size))

    def _next_log_probs(self, contexts: Sequence[np.ndarray], bos: int) -> np.ndarray:
        return np.full((len(contexts), self.vocab_size), -np.log(self.vocab_size))

    def _state(self) -> dict[str, np.ndarray]:
        return {}

    def _restore(self, state: Mapping[str, np.ndarray]) -> None:
        pass
