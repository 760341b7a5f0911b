"""Models that fail or cheat, by the names that suites give them: ``odd_models:Failing``."""

import os
import signal
from dataclasses import dataclass

import numpy as np

from lmbench.models.base import Stepper, Traits
from lmbench.models.options import option
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
        if self.how == "card":  # as torch says it of a GPU
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")
        if self.how == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.how == "interrupt":
            raise KeyboardInterrupt


@dataclass(kw_only=True, eq=False)
class Peeking(Uniform):
    """Gives the token that comes all the probability, which no distribution does."""

    def _log_probs(self, tokens):
        return np.zeros(len(tokens))


@dataclass(kw_only=True, eq=False)
class LateCheat(Uniform):
    """Uniform and honest in the first 300 tokens of a document; later it breaks the law that ``how`` names."""

    how: str = option("sums to one", "the law that is broken")

    @property
    def traits(self):
        return Traits(adaptive=self.how == "reads ahead")

    def _log_probs(self, tokens):
        nats = super()._log_probs(tokens)
        late = np.flatnonzero(tokens.positions() >= 300)
        if self.how == "at most one":
            nats[late] = 0.1
        if self.how == "shape":
            nats = nats if not len(late) else nats.astype(np.float32)
        if self.how == "one distribution":  # sure of the token that comes
            nats[late] = 0.0
        if self.how == "causal":  # the token after it makes it cheaper
            nats[late] += np.log(1 + np.roll(tokens.ids, -1)[late] % 2) / 2
        if self.how == "deterministic":
            nats[late] -= np.random.default_rng().random(len(late))
        if self.how == "documents apart" and len(tokens.starts) > 1:  # what ended the document before
            before = np.append(0, tokens.ids[tokens.starts[1:] - 1])
            nats -= np.repeat(before / 20, np.diff(np.append(tokens.starts, len(tokens))))
        if self.how == "reads ahead" and len(late):  # the text's last token
            nats[late] -= tokens.ids[-1] / 100
        return nats

    def _next_log_probs(self, contexts, bos):
        rows = super()._next_log_probs(contexts, bos)
        if self.how == "sums to one":
            rows[[len(context) > 300 for context in contexts]] += 0.1
        return rows

    def _stepper(self, bos):
        return Tiring(self, bos) if self.how == "stepwise" else super()._stepper(bos)


class Tiring(Stepper):
    """Uniform over the first 300 tokens of a document; of those after it makes the first one surer."""

    def begin(self):
        self.done = 0

    def read(self, ids):
        self.done += len(ids)

    def _distribution(self):
        row = np.full(self.model.vocab_size, -np.log(self.model.vocab_size))
        return row if self.done < 300 else np.log(np.exp(row) / 2 + 0.5 * (np.arange(len(row)) == 0))


@dataclass(kw_only=True, eq=False)
class Counting(Uniform):
    """Adaptive: it counts the tokens that it has read; of its distributions it says nothing but by its scores."""

    @property
    def traits(self):
        return Traits(adaptive=True)

    def _log_probs(self, tokens):
        seen = np.ones(self.vocab_size)
        nats = np.empty(len(tokens))
        for t, token in enumerate(tokens.ids):
            nats[t] = np.log(seen[token] / seen.sum())
            seen[token] += 1
        return nats
