"""Networks that read a text token by token: one step of the network a token."""

from __future__ import annotations

import numpy as np

from lmbench.models.base import LanguageModel, Stepper
from lmbench.models.neural.dynamic import DynamicEvaluation
from lmbench.models.neural.walk import Walk


class StateStepper(Stepper):
    """What a network on its way says of the next token; every: inputs after which its state begins afresh, None: never."""

    def __init__(self, model: LanguageModel, bos: int, walk: Walk, every: int | None = None) -> None:
        super().__init__(model, bos)
        self.walk, self.every = walk, every

    def begin(self) -> None:
        self.inputs = 0
        self.walk.begin()
        self._feed(np.array([self.bos]))

    def read(self, ids: np.ndarray) -> None:
        done = 0
        while done < len(ids):
            left = len(ids) if self.every is None else self.every - self.inputs % self.every
            self._feed(ids[done : done + left])
            done += left

    def _feed(self, ids: np.ndarray) -> None:
        if self.every is not None and self.inputs % self.every == 0:
            self.walk.begin()
        self.row = self.walk.feed(ids)[0]
        self.inputs += len(ids)

    def _distribution(self) -> np.ndarray:
        return self.row


class AdaptingStepper(StateStepper):
    """One whose network learns from each whole segment of a document, once that has been read (see ``DynamicEvaluation``)."""

    def __init__(self, model: LanguageModel, bos: int, adapting: DynamicEvaluation) -> None:
        super().__init__(model, bos, adapting.walk())
        self.size, self.segment = adapting.segment, np.zeros(0, dtype=np.int32)

    def begin(self) -> None:
        self.segment = self.segment[:0]
        super().begin()

    def read(self, ids: np.ndarray) -> None:
        while len(ids):
            some = ids[: self.size - len(self.segment)]
            self.segment = np.append(self.segment, some)
            whole = len(self.segment) == self.size
            if whole and len(some) > 1:
                self._feed(some[:-1])
            if whole:
                # Its last token, which is no input of it, is the first input of the next one.
                self.walk.learn(self.segment)
                self.segment = self.segment[:0]
            self._feed(some[-1:] if whole else some)
            ids = ids[len(some) :]
