"""Models that fail or cheat, by the names that suites give them: ``odd_models:Failing``."""

import os
import signal
from dataclasses import dataclass

import numpy as np

from lmbench.models.uniform import Uniform


@dataclass(kw_only=True, eq=False)
class Failing(Uniform):
    """Fails in one way or another."""

    how: str = "error"

    def _fit(self, train, valid, rng, monitor):
        if self.how == "error":
            raise ZeroDivisionError("by design")
        if self.how == "memory":
            raise MemoryError
        if self.how == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.how == "interrupt":
            raise KeyboardInterrupt


@dataclass(kw_only=True, eq=False)
class Peeking(Uniform):
    """Gives the token that comes all the probability, which no distribution does."""

    def _log_probs(self, tokens):
        return np.zeros(len(tokens))
