"""One text's way through a network, token by token, on which it may learn from what it has read."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from lmbench.models.neural.network import Network, State, step

if TYPE_CHECKING:
    from lmbench.models.neural.dynamic import DynamicEvaluation


class Walk(ABC):
    """The state of a network in a text, and what has been learnt there; the network itself does not change."""

    @abstractmethod
    def begin(self) -> None:
        """A document begins: the state is what it was at first, what was learnt stays."""

    @abstractmethod
    def feed(self, ids: np.ndarray, each: bool = False) -> np.ndarray:
        """(1, V) float64, nats: the distribution after the next (n,) inputs, n > 0; each: (n, V), after every one of them, of a
        walk that learns, which is fed with no more than a segment before it does."""

    @abstractmethod
    def learn(self, targets: np.ndarray) -> None:
        """A step downhill: of all inputs since the document began, or since the last step, these (n,) ids are what came after each."""


class TorchWalk(Walk):
    """That of any network. adapting: how it learns; None: it does not."""

    def __init__(self, network: Network, adapting: DynamicEvaluation | None) -> None:
        self.network, self.adapting = network if adapting is None else copy.deepcopy(network), adapting
        self.network.eval()
        for module in self.network.modules():
            if isinstance(module, nn.RNNBase):
                module.flatten_parameters()  # as cuDNN wants them, which a copy does not have
        self.parameters = list(self.network.parameters())
        self.begin()

    def begin(self) -> None:
        self.state: State = self.network.start(1)
        self.logits: list[Tensor] = []  # of the inputs that are to be learnt from

    def feed(self, ids: np.ndarray, each: bool = False) -> np.ndarray:
        if self.adapting is None:
            row, self.state = step(self.network, ids, self.state)
            return row[None]
        logits, self.state = self.network(self._tensor(ids)[:, None], self.state)
        self.logits.append(logits[:, 0])
        rows: np.ndarray = logits[0 if each else -1 :, 0].detach().double().log_softmax(-1).cpu().numpy()
        return rows

    def learn(self, targets: np.ndarray) -> None:
        assert self.adapting is not None
        loss = nn.functional.cross_entropy(torch.cat(self.logits), self._tensor(targets))
        gradients = torch.autograd.grad(loss, self.parameters)
        self.state, self.logits = tuple(s.detach() for s in self.state), []
        rule = self.adapting
        with torch.no_grad():
            for p, g, gain, pull, first in zip(
                self.parameters, gradients, rule.gains, rule.pulls, rule.trained, strict=True
            ):
                back = first - p
                p.addcmul_(g, gain, value=-1).addcmul_(back, pull)

    def _tensor(self, ids: np.ndarray) -> Tensor:
        return torch.from_numpy(ids.astype(np.int64)).to(self.parameters[0].device)
