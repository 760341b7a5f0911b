"""The mogrifier: a layer of LSTM whose input and state change each other before each step (Melis, Kočiský & Blunsom 2020)."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn

from lmbench.models.neural.network import one_hot_rows
from lmbench.models.neural.persistent import Kernel
from lmbench.models.neural.products import kind_of


class MogrifierCell(nn.Module):
    """x = 2 σ(h Q') x and h = 2 σ(x R') h in turn, ``rounds`` of them in all, each with a matrix of its own; then an LSTM's step.

    Section 2 of the paper. With matrices of zeros it is the LSTM, whose parameters' names it has.
    """

    kernel: Kernel = "auto"

    def __init__(self, inputs: int, hidden: int, rounds: int) -> None:
        super().__init__()
        self.inputs = inputs
        self.weight_ih_l0 = nn.Parameter(torch.empty(4 * hidden, inputs))
        self.weight_hh_l0 = nn.Parameter(torch.empty(4 * hidden, hidden))
        self.bias_hh_l0 = nn.Parameter(torch.empty(4 * hidden))
        first, second = (rounds + 1) // 2, rounds // 2
        self.of_input = nn.ParameterList(nn.Parameter(torch.empty(inputs, hidden)) for _ in range(first))
        self.of_state = nn.ParameterList(nn.Parameter(torch.empty(hidden, inputs)) for _ in range(second))

    def forward(self, x: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """x: (steps, batch) ids, which stand for one-hot rows (-1: for zeros), or (steps, batch, inputs)."""
        kind = kind_of(self.weight_hh_l0)
        rows = one_hot_rows(x, self.inputs, kind) if x.dim() == 2 else x.to(kind)
        W = torch.cat([self.weight_ih_l0, self.weight_hh_l0], dim=1).t().to(kind).contiguous()
        b = self.bias_hh_l0.to(kind)
        of_input, of_state = ([Q.t().to(kind) for Q in those] for those in (self.of_input, self.of_state))
        h, c = state[0][0].to(kind), state[1][0]
        outputs = []
        for now in rows:
            for Q, R in itertools.zip_longest(of_input, of_state):
                now = 2 * torch.sigmoid(h @ Q) * now
                h = h if R is None else 2 * torch.sigmoid(now @ R) * h
            i, f, g, o = torch.addmm(b, torch.cat([now, h], dim=1), W).chunk(4, dim=1)
            # What is added up over the steps is not rounded.
            forget, write, new = (x.to(c.dtype) for x in (torch.sigmoid(f), torch.sigmoid(i), torch.tanh(g)))
            c = forget * c + write * new
            h = torch.sigmoid(o) * torch.tanh(c).to(kind)
            outputs.append(h)
        return torch.stack(outputs), (h[None], c[None])
