"""The recurrent network written out from its formulas (Dive into Deep Learning, 8.4 and 8.5)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from lmbench.models.neural.model import NeuralModel
from lmbench.models.neural.network import Network, State
from lmbench.models.options import option


def one_hot(ids: Tensor, vocab_size: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """(steps, batch) ids as (steps, batch, V) rows of the unit matrix."""
    return torch.eye(vocab_size, dtype=dtype, device=ids.device)[ids]


class ScratchNetwork(Network):
    """H_t = tanh(X_t W_xh + H_{t-1} W_hh + b_h);  O_t = H_t W_hq + b_q.

    X_t is one-hot, so that X_t W_xh selects rows of W_xh: the product is a lookup. Weights begin
    as N(0, scale²), those of W_xh as N(0, input_scale²), biases as 0; the book's scales are 0.01.
    """

    looked_up = ("W_xh",)
    of_tokens = ("W_xh", "W_hq")

    def __init__(
        self, vocab_size: int, hidden: int, scale: float, input_scale: float, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.vocab_size, self.hidden = vocab_size, hidden

        def normal(scale: float, *shape: int) -> nn.Parameter:
            return nn.Parameter(torch.empty(*shape).normal_(generator=generator).mul_(scale))

        self.W_xh = normal(input_scale, vocab_size, hidden)
        self.W_hh, self.b_h = normal(scale, hidden, hidden), nn.Parameter(torch.zeros(hidden))
        self.W_hq, self.b_q = normal(scale, hidden, vocab_size), nn.Parameter(torch.zeros(vocab_size))

    def start(self, batch: int) -> State:
        return (self.b_h.new_zeros(batch, self.hidden),)

    def forward(self, ids: Tensor, state: State) -> tuple[Tensor, State]:
        (H,) = state
        outputs = []
        looked_up = self.W_xh[ids.clamp(min=0)].masked_fill((ids < 0)[..., None], 0.0)  # nothing read: zeros
        for XW_xh in looked_up:  # one_hot(ids, V) @ W_xh
            H = torch.tanh(XW_xh + H @ self.W_hh + self.b_h)
            outputs.append(H @ self.W_hq + self.b_q)
        return torch.stack(outputs), (H,)


@dataclass(kw_only=True, eq=False)
class RnnScratch(NeuralModel):
    """A plain recurrent network trained by stochastic gradient descent, the gradient clipped, with early stopping."""

    hidden: int = option(256, "hidden units")
    lr: float = option(2.0, "learning rate")
    clip: float = option(0.5, "radius of the ball that gradients are clipped to")
    epochs: int = option(20, "passes over the training text at most")
    schedule: Literal["constant", "cosine"] = option("cosine", "the learning rate over the training")
    scale: float = option(0.05, "standard deviation of the first weights")
    input_scale: float = option(1.0, "that of W_xh, of which a token meets one row alone")
    batch: int = option(16, "rows of a minibatch")

    def _network(self, generator: torch.Generator) -> Network:
        return ScratchNetwork(self.vocab_size, self.hidden, self.scale, self.input_scale, generator)
