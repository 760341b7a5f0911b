"""Dynamic evaluation: a network that goes on learning from the text it has scored (Krause et al. 2018)."""

from __future__ import annotations

import copy
from typing import Self

import numpy as np
import torch
from torch import Tensor, nn

from lmbench.models.neural.network import Network, State, inputs_and_targets
from lmbench.text.tokens import Tokens


class DynamicEvaluation:
    """After each segment of scored tokens, a step downhill on their loss and a pull back to the trained weights.

    w <- w - rate g / (s + 0.3 s̄) + pull (w_0 - w) s/s̄, with g the gradient of the segment's mean loss, s the root of
    the mean of g² over the training text, s̄ the mean of s where it is not 0, and pull s/s̄ at most 1 (the
    RMS rule, section 4 of the paper). What is learnt is kept from one document to the next.
    """

    def __init__(
        self, network: Network, squares: list[Tensor], rate: float, pull: float, segment: int
    ) -> None:
        self.network, self.segment = network, segment
        self.parameters = list(network.parameters())
        self.trained = [p.detach().clone() for p in self.parameters]
        roots = [m.sqrt() for m in squares]
        mean = float(sum(r.sum() for r in roots)) / max(1, sum(int((r > 0).sum()) for r in roots))
        self.gains = [rate / (r + 0.3 * mean) for r in roots]
        self.pulls = [(pull * r / mean).clamp(max=1.0) for r in roots]

    def score(self, tokens: Tokens, whole: bool = False) -> np.ndarray:
        """(T,) float64, nats: each token under the weights learnt from the whole segments before it.

        whole: (T, V), the distributions of which these are entries.
        """
        inputs, targets = inputs_and_targets(tokens)
        result = np.empty((len(tokens), self.network.vocab_size) if whole else len(tokens))
        for begin, end in zip(tokens.starts, [*tokens.starts[1:], len(tokens)], strict=True):
            state = self.network.start(1)
            for offset in range(begin, end, self.segment):
                piece = slice(offset, min(end, offset + self.segment))
                rows, state = self.read(inputs[piece], targets[piece], state)
                result[piece] = rows if whole else rows[np.arange(len(rows)), targets[piece]]
        self._load(self.trained)
        return np.minimum(result, 0.0)

    def apart(self) -> Self:
        """A copy that learns by itself, from the trained weights on."""
        other = copy.copy(self)
        other.network = copy.deepcopy(self.network)
        other.parameters = list(other.network.parameters())
        other._load(other.trained)
        return other

    def read(self, inputs: np.ndarray, targets: np.ndarray, state: State) -> tuple[np.ndarray, State]:
        """(n, V) nats of up to a segment's n tokens, and the state after; learns from them where the segment is whole."""
        logits, state = self.network(self._tensor(inputs), state)
        if len(inputs) == self.segment:
            loss = nn.functional.cross_entropy(logits[:, 0], self._tensor(targets)[:, 0])
            gradients = torch.autograd.grad(loss, self.parameters)
            with torch.no_grad():
                for p, g, gain, pull, first in zip(
                    self.parameters, gradients, self.gains, self.pulls, self.trained, strict=True
                ):
                    back = first - p
                    p.addcmul_(g, gain, value=-1).addcmul_(back, pull)
        rows = logits[:, 0].detach().double().log_softmax(-1)
        return rows.cpu().numpy(), tuple(s.detach() for s in state)

    def _tensor(self, ids: np.ndarray) -> Tensor:
        return torch.from_numpy(ids.astype(np.int64)[:, None]).to(self.parameters[0].device)

    def _load(self, weights: list[Tensor]) -> None:
        with torch.no_grad():
            for p, w in zip(self.parameters, weights, strict=True):
                p.copy_(w)


def mean_squares(
    network: Network, tokens: Tokens, rng: np.random.Generator, segment: int, samples: int = 200
) -> list[Tensor]:
    """The mean of squared gradients of the mean loss of segments drawn from a text, each read after a run-up."""
    inputs, targets = inputs_and_targets(tokens)
    parameters = list(network.parameters())
    sums = [torch.zeros_like(p) for p in parameters]
    network.eval()
    for _ in range(samples):
        offset = int(rng.integers(max(1, len(tokens) - segment)))
        run_up = torch.from_numpy(inputs[max(0, offset - 2 * segment) : offset].astype(np.int64)[:, None])
        state = network.start(1)
        if len(run_up):
            with torch.no_grad():
                _, state = network(run_up.to(sums[0].device), state)
        piece = torch.from_numpy(inputs[offset : offset + segment].astype(np.int64)[:, None]).to(
            sums[0].device
        )
        chosen = torch.from_numpy(targets[offset : offset + segment].astype(np.int64)).to(sums[0].device)
        logits, _ = network(piece, state)
        loss = nn.functional.cross_entropy(logits[:, 0], chosen)
        for total, g in zip(sums, torch.autograd.grad(loss, parameters), strict=True):
            total.addcmul_(g, g, value=1 / samples)
    return sums
