"""A perceptron over the last few tokens: the neural n-gram of Bengio et al. (2003), autoregression on text."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lmbench.errors import InputError
from lmbench.models.neural.model import TunedModel
from lmbench.models.neural.network import DirectNetwork, Network, State, dropped, gram_table
from lmbench.models.neural.products import affine
from lmbench.models.options import option


class WindowNetwork(DirectNetwork):
    """O_t = W_o tanh(Σ_k E[x_{t-k}] U_k + b) + c over the last ``window`` tokens; the state is those tokens.

    A row of E of its own stands for "before the beginning of the document". direct: n-grams of up to so many tokens
    have weights straight to the output, as in the recurrent networks.
    """

    looked_up = ("embedding", "grams")
    of_tokens = ("embedding", "grams", "output")

    def __init__(self, model: WindowPerceptron, generator: torch.Generator) -> None:
        super().__init__()
        vocab_size, hidden = model.vocab_size, model.hidden
        self.vocab_size, self.window, self.dropout = vocab_size, model.window, model.dropout
        self.generator, self.direct = generator, model.longest
        self.kept = max(self.window - 1, self.direct)
        self.embedding = nn.Parameter(torch.empty(vocab_size + 1, model.embedding))
        self.U = nn.Parameter(torch.empty(self.window * model.embedding, hidden))
        self.b = nn.Parameter(torch.zeros(hidden))
        self.output = nn.Parameter(torch.empty(hidden, vocab_size))
        self.c = nn.Parameter(torch.zeros(vocab_size))
        self.grams = gram_table(vocab_size) if self.direct else None
        with torch.no_grad():
            self.embedding.normal_(0.0, 1.0, generator=generator)
            for matrix in (self.U, self.output):
                matrix.normal_(0.0, len(matrix) ** -0.5, generator=generator)

    def start(self, batch: int) -> State:
        return (torch.full((batch, self.kept), self.vocab_size, device=self.b.device),)

    def forward(self, ids: Tensor, state: State) -> tuple[Tensor, State]:
        (before,) = state
        every = torch.cat([before.t(), torch.where(ids < 0, self.vocab_size, ids)])
        windows = nn.functional.embedding(every, self.embedding).unfold(0, self.window, 1)[-len(ids) :]
        read = windows.transpose(-1, -2).flatten(2).flatten(0, 1)
        hidden = torch.tanh(affine(read, self.U, self.b))
        if self.training:
            hidden = dropped(hidden, self.dropout, self.generator)
        logits = affine(hidden, self.output, self.c).view(*ids.shape, -1)
        return self.with_grams(logits, every), (every[len(every) - self.kept :].t(),)


@dataclass(kw_only=True, eq=False)
class WindowPerceptron(TunedModel):
    """A one-layer perceptron that predicts a token from the ``window`` tokens before it."""

    hidden: int = option(512, "hidden units")
    window: int = option(8, "tokens that a prediction depends on")
    embedding: int = option(32, "numbers a token is read as")
    dropout: float = option(0.1, "share of the hidden units dropped")
    weight_decay: float = option(0.02, "AdamW's, on matrices alone")
    batch: int = option(8, "rows of a minibatch")
    lr: float = option(0.003, "learning rate at its highest")
    epochs: int = option(10, "passes over the training text at most")

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("window", "embedding"):
            if getattr(self, name) < 1:
                raise InputError(f"{name}={getattr(self, name)} must be at least 1")

    def _network(self, generator: torch.Generator) -> Network:
        return WindowNetwork(self, generator)
