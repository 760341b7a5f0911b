"""Networks that read a text token by token: one step of the network a token."""

from __future__ import annotations

import numpy as np

from lmbench.models.base import LanguageModel, Stepper
from lmbench.models.neural.dynamic import DynamicEvaluation
from lmbench.models.neural.network import Network, State, step


class StateStepper(Stepper):
    """The state of a network, and what it says of the next token; every: inputs after which the state begins afresh, None: never."""

    def __init__(self, model: LanguageModel, bos: int, network: Network, every: int | None = None) -> None:
        super().__init__(model, bos)
        self.network, self.every = network.eval(), every
        self.state: State | None = None

    def begin(self) -> None:
        self.state, self.inputs = None, 0
        self._feed(np.array([self.bos]))

    def read(self, ids: np.ndarray) -> None:
        done = 0
        while done < len(ids):
            left = len(ids) if self.every is None else self.every - self.inputs % self.every
            self._feed(ids[done : done + left])
            done += left

    def _feed(self, ids: np.ndarray) -> None:
        if self.state is None or (self.every is not None and self.inputs % self.every == 0):
            self.state = self.network.start(1)
        self.row, self.state = step(self.network, ids, self.state)
        self.inputs += len(ids)

    def _distribution(self) -> np.ndarray:
        return self.row


class AdaptingStepper(StateStepper):
    """One whose network learns from each whole segment of a document, once that has been read (see ``DynamicEvaluation``)."""

    def __init__(self, model: LanguageModel, bos: int, adapting: DynamicEvaluation) -> None:
        super().__init__(model, bos, adapting.network)
        self.adapting = adapting
        # The segment so far: the state before it, what was read first in it, and the tokens that came.
        self.before, self.first, self.segment = self.network.start(1), bos, np.zeros(0, dtype=np.int32)

    def begin(self) -> None:
        self.before, self.first, self.segment = self.network.start(1), self.bos, self.segment[:0]
        super().begin()

    def read(self, ids: np.ndarray) -> None:
        size = self.adapting.segment
        while len(ids):
            some = ids[: size - len(self.segment)]
            self.segment = np.append(self.segment, some)
            if len(self.segment) < size:
                self._feed(some)
            else:
                self._learn()
            ids = ids[len(some) :]

    def _learn(self) -> None:
        inputs = np.append(self.first, self.segment[:-1])
        self.before = self.state = self.adapting.read(inputs, self.segment, self.before)[1]
        self.first, self.segment = int(self.segment[-1]), self.segment[:0]
        self._feed(np.array([self.first]))
