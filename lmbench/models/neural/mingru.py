"""Minimal gated recurrences: gates that see the token alone, so that a row is learnt in parallel (Feng et al. 2024)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn

from lmbench.errors import InputError
from lmbench.models.neural.model import MOST_LAYERS, TunedModel
from lmbench.models.neural.network import (
    DirectNetwork,
    Network,
    State,
    dropped,
    gram_table,
    rows_of,
    unrounded,
)
from lmbench.models.neural.products import Linear
from lmbench.models.options import option

MOST_TAPS = 64


class SequentialScan(torch.autograd.Function):
    """h_t = a_t h_{t-1} + b_t, a step at a time: where a row is short and its numbers near, this is fastest.

    With D_t the loss's derivative by h_t, through all that follows: D_t = dL/dh_t + a_{t+1} D_{t+1}; that by b_t is D_t,
    and that by a_t is h_{t-1} D_t.
    """

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, first: Tensor) -> Tensor:
        """a, b: (steps, ...), first: (...). Gives (steps, ...)."""
        h = b.new_empty(len(b) + 1, *b.shape[1:])
        h[0] = first
        for t in range(len(b)):
            torch.addcmul(b[t], a[t], h[t], out=h[t + 1])
        ctx.save_for_backward(a, h)
        return h[1:]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        (D,) = (g.clone() for g in gradients)
        a, h = ctx.saved_tensors
        for t in range(len(D) - 2, -1, -1):
            D[t].addcmul_(a[t + 1], D[t + 1])
        return D * h[:-1], D, D[0] * a[0]


def scan_in_logarithms(log_a: Tensor, log_b: Tensor, first: Tensor) -> Tensor:
    """The same of positive b, for all steps at once: log h_t = A_t + log Σ_s≤t exp(log b_s - A_s), A_t = Σ_s≤t log a_s.

    log_a, log_b: (steps, ...), first: (...), not negative (appendix B of the paper).

    >>> scan_in_logarithms(torch.zeros(3, 1), torch.zeros(3, 1), torch.ones(1))[:, 0].tolist()
    [2.0, 3.0, 4.0]
    """
    A = log_a.cumsum(0)
    return torch.exp(A) * first + torch.exp(A + torch.logcumsumexp(log_b - A, 0))


def scan(gate: Tensor, candidate: Tensor, first: Tensor) -> Tensor:
    """h_t = (1 - z_t) h_{t-1} + z_t g(c_t), z = σ(gate), g(c) = c + 1/2 where c > 0, else σ(c); all (steps, batch, n)."""
    if gate.is_cuda:
        log_g = torch.where(
            candidate > 0, (candidate.relu() + 0.5).log(), -nn.functional.softplus(-candidate)
        )
        log_b = log_g - nn.functional.softplus(-gate)
        return scan_in_logarithms(-nn.functional.softplus(gate), log_b, first)
    z = gate.sigmoid()
    value = torch.where(candidate > 0, candidate + 0.5, candidate.sigmoid())
    return cast(Tensor, SequentialScan.apply(1 - z, z * value, first))  # type: ignore[no-untyped-call]


class MinGruBlock(nn.Module):
    """A short convolution, the recurrence, and a gate on what it gives; then a two-layer perceptron; each beside a straight way."""

    def __init__(self, model: MinGru, generator: torch.Generator) -> None:
        super().__init__()
        width = model.hidden
        self.inner = int(width * model.expansion)
        self.dropout, self.generator = model.dropout, generator
        self.norm_a = nn.LayerNorm(width)
        self.taps = nn.Parameter(torch.empty(model.convolution, 1, width))
        self.read, self.project = Linear(width, 3 * self.inner), Linear(self.inner, width)
        self.norm_b = nn.LayerNorm(width) if model.widening else None
        if model.widening:
            inside = int(width * model.widening)
            self.widen, self.narrow = Linear(width, inside), Linear(inside, width)

    def forward(self, x: Tensor, before: Tensor, h: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """x: (steps, batch, width), before: (taps - 1, batch, width) read earlier, h: (batch, inner). Gives all three anew."""
        every = torch.cat([before, self.norm_a(x).to(before.dtype)])
        mixed = every[: len(x)] * self.taps[0]
        for back, tap in enumerate(self.taps[1:], 1):
            mixed = torch.addcmul(mixed, every[back : back + len(x)], tap)
        gate, candidate, way_out = unrounded(self.read(mixed)).chunk(3, dim=-1)
        states = scan(gate, candidate, h)
        x = x + self._dropped(self.project(states * nn.functional.silu(way_out)))
        if self.norm_b is not None:
            x = x + self._dropped(self.narrow(nn.functional.gelu(self.widen(self.norm_b(x)))))
        return x, every[len(x) :], states[-1]

    def _dropped(self, x: Tensor) -> Tensor:
        return dropped(x, self.dropout, self.generator, x.shape[1:]) if self.training else x


class MinGruNetwork(DirectNetwork):
    """Embedding, blocks, and a linear output; the state is each block's h, and what its convolution has read last."""

    looked_up = ("embedding.weight", "grams")
    of_tokens = ("embedding.weight", "grams", "output.weight")

    def __init__(self, model: MinGru, generator: torch.Generator) -> None:
        super().__init__()
        self.vocab_size, self.width, self.taps = model.vocab_size, model.hidden, model.convolution
        self.dropout, self.direct, self.generator = model.dropout, model.longest, generator
        self.embedding = nn.Embedding(self.vocab_size, self.width)
        self.blocks = nn.ModuleList(MinGruBlock(model, generator) for _ in range(model.layers))
        self.norm, self.output = nn.LayerNorm(self.width), Linear(self.width, self.vocab_size)
        self.grams = gram_table(self.vocab_size) if self.direct else None
        with torch.no_grad():
            for name, p in self.named_parameters():
                if name == "embedding.weight":
                    p.normal_(0.0, 1.0, generator=generator)
                elif name.endswith("taps"):
                    p.zero_()
                    p[-1] = 1.0
                elif p.dim() > 1 and name != "grams":
                    branch = "project" in name or "narrow" in name  # they add to the straight way
                    spread = p.shape[1] ** -0.5 * ((2 * model.layers) ** -0.5 if branch else 1.0)
                    p.normal_(0.0, spread, generator=generator)
                elif name.endswith("bias"):
                    p.zero_()

    def start(self, batch: int) -> State:
        new = self.norm.weight.new_zeros
        before = torch.full((batch, self.direct), self.vocab_size, device=self.norm.weight.device)
        kept: list[Tensor] = []
        for block in self.blocks:
            kept += [new(self.taps - 1, batch, self.width), new(batch, cast(MinGruBlock, block).inner)]
        return (before, *kept)

    def forward(self, ids: Tensor, state: State) -> tuple[Tensor, State]:
        before, *kept = state
        x = rows_of(ids, self.embedding.weight)
        every = torch.cat([before.t(), ids])
        after = [every[len(ids) :].t()]
        for i, block in enumerate(self.blocks):
            x, read, h = block(x, *kept[2 * i : 2 * i + 2])
            after += [read, h]
        return self.with_grams(self.output(self.norm(x)), every), tuple(after)


@dataclass(kw_only=True, eq=False)
class MinGru(TunedModel):
    """Blocks of minimal gated recurrences, whose gates do not see the state."""

    hidden: int = option(256, "width of a layer")
    layers: int = option(2, "layers")
    expansion: float = option(1.5, "units of a recurrence, as a multiple of the width")
    convolution: int = option(4, "tokens that a layer's convolution reads; 1: the present one alone")
    widening: float = option(
        2.0, "units of a layer's perceptron, as a multiple of the width; 0: no perceptron"
    )
    dropout: float = option(0.3, "share of the layers' outputs dropped")
    arithmetic: Literal["auto", "float32", "bfloat16"] = option(
        "auto", "of the network in training, never in scoring; auto: bfloat16 where the processor has it"
    )
    lr: float = option(0.004, "learning rate at its highest")
    epochs: int = option(12, "passes over the training text at most")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.layers < 1:
            raise InputError(f"layers={self.layers} must be at least 1")
        if self.layers > MOST_LAYERS:
            raise InputError(f"layers={self.layers} must be {MOST_LAYERS} at most")
        if not 1 <= self.convolution <= MOST_TAPS:
            raise InputError(f"convolution={self.convolution} must be from 1 to {MOST_TAPS}")
        if not 1 <= self.hidden * self.expansion <= 2**20:
            raise InputError(
                f"expansion={self.expansion:g} must make from 1 to {2**20} units of hidden={self.hidden}"
            )
        if self.widening and not 1 <= self.hidden * self.widening <= 2**20:
            raise InputError(f"widening={self.widening:g} must be 0, or make from 1 to {2**20} units")

    def _network(self, generator: torch.Generator) -> Network:
        return MinGruNetwork(self, generator)
