"""Dynamic evaluation: a network that goes on learning from the text it has scored (Krause et al. 2018)."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import torch
from torch import Tensor, nn

from lmbench.models.neural.network import Network, inputs_and_targets
from lmbench.models.neural.walk import Walk
from lmbench.text.tokens import Tokens

FLOOR = 0.3  # of the mean, which is added to the root of each mean square


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
        self.rate, self.pull = rate, pull
        self.trained = [p.detach() for p in network.parameters()]
        self.roots = [m.sqrt() for m in squares]
        touched = max(1, sum(int((r > 0).sum()) for r in self.roots))
        # Where nothing could be learnt, of a vocabulary of one symbol, nothing moves, by whatever it is divided.
        self.mean = float(sum(r.sum() for r in self.roots)) / touched or 1.0
        self.floor = FLOOR * self.mean

    @cached_property
    def gains(self) -> list[Tensor]:
        return [self.rate / (r + self.floor) for r in self.roots]

    @cached_property
    def pulls(self) -> list[Tensor]:
        return [(self.pull * r / self.mean).clamp(max=1.0) for r in self.roots]

    def walk(self) -> Walk:
        """A text's way through the network, which learns on it, from the trained weights on."""
        return self.network.walk(self)

    def score(self, tokens: Tokens, whole: bool = False) -> np.ndarray:
        """(T,) float64, nats: each token under the weights learnt from the whole segments before it.

        whole: (T, V), the distributions of which these are entries.
        """
        inputs, targets = inputs_and_targets(tokens)
        result = np.empty((len(tokens), self.network.vocab_size) if whole else len(tokens))
        walk = self.walk()
        for begin, end in zip(tokens.starts, [*tokens.starts[1:], len(tokens)], strict=True):
            walk.begin()
            for offset in range(begin, end, self.segment):
                piece = slice(offset, min(end, offset + self.segment))
                rows = walk.feed(inputs[piece], each=True)
                result[piece] = rows if whole else rows[np.arange(len(rows)), targets[piece]]
                if len(rows) == self.segment:
                    walk.learn(targets[piece])
        return np.minimum(result, 0.0)


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
