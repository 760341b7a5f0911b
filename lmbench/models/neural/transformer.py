"""A small Transformer that remembers: attention to a fixed number of tokens before, kept from minibatch to minibatch."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from lmbench.errors import InputError
from lmbench.models.neural.model import MOST_LAYERS, MOST_REMEMBERED, TunedModel
from lmbench.models.neural.network import DirectNetwork, Network, State, dropped, gram_table, rows_of
from lmbench.models.neural.products import Linear
from lmbench.models.options import option

# On a GPU: cuDNN's is planned anew for each length of rows in bfloat16, and the others add up gradients in no order of their own,
# so that no two trainings come to the same bits; of windows such as these it is as fast as they are.
ATTENTION = SDPBackend.MATH


def rotate(x: Tensor, first: int) -> Tensor:
    """Turns pairs of features by angles that grow with the position, so that products depend on distances alone.

    x: (batch, heads, length, even width), at positions first, first + 1, ... (Su et al. 2021).
    """
    half = x.shape[-1] // 2
    kind = torch.promote_types(x.dtype, torch.float32)  # bfloat16 cannot tell 256 from 257
    speeds = 10000.0 ** (-torch.arange(half, dtype=kind, device=x.device) / half)
    angles = torch.arange(first, first + x.shape[-2], dtype=kind, device=x.device)[:, None] * speeds
    a, b = x[..., :half], x[..., half:]
    turned = torch.cat([a * angles.cos() - b * angles.sin(), a * angles.sin() + b * angles.cos()], dim=-1)
    return turned.to(x.dtype)


class TransformerBlock(nn.Module):
    """Attention and a two-layer perceptron, each beside a straight way (Vaswani et al. 2017, normalised first)."""

    def __init__(self, width: int, heads: int, dropout: float, generator: torch.Generator) -> None:
        super().__init__()
        self.heads, self.dropout, self.generator = heads, dropout, generator
        self.norm_a, self.norm_b = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query = Linear(width, width, bias=False)
        self.key_value = Linear(width, 2 * width, bias=False)
        self.project = Linear(width, width, bias=False)
        self.widen, self.narrow = Linear(width, 4 * width), Linear(4 * width, width)

    def forward(self, x: Tensor, memory: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """x: (steps, batch, width), memory: (window - 1, batch, width) of before. Gives both anew."""
        every = torch.cat([memory, self.norm_a(x)])
        q = rotate(self._heads(self.query(every[len(memory) :])), len(memory))
        keys, values = self.key_value(every).chunk(2, dim=-1)
        with sdpa_kernel(ATTENTION) if x.is_cuda else nullcontext():
            attended = nn.functional.scaled_dot_product_attention(
                q, rotate(self._heads(keys), 0), self._heads(values), mask
            )
        x = x + self._dropped(self.project(attended.permute(2, 0, 1, 3).flatten(2)))
        x = x + self._dropped(self.narrow(nn.functional.gelu(self.widen(self.norm_b(x)))))
        return x, every[len(x) :]

    def _dropped(self, x: Tensor) -> Tensor:
        return dropped(x, self.dropout, self.generator) if self.training else x

    def _heads(self, x: Tensor) -> Tensor:
        """(length, batch, width) as (batch, heads, length, width / heads)."""
        return x.view(*x.shape[:2], self.heads, -1).permute(1, 2, 0, 3)


class TransformerNetwork(DirectNetwork):
    """Each layer of each token sees the ``window`` tokens up to it; of those before the minibatch it sees the
    values that the layer below had then, and no gradient flows to them (Dai et al. 2019).

    direct: n-grams of up to so many tokens have weights straight to the output, as in the recurrent networks.
    """

    looked_up = ("embedding.weight", "grams")
    of_tokens = ("embedding.weight", "grams", "output.weight")

    def __init__(self, model: Transformer, generator: torch.Generator) -> None:
        super().__init__()
        vocab_size, width, layers = model.vocab_size, model.hidden, model.layers
        self.vocab_size, self.width, self.window = vocab_size, width, model.window
        self.dropout, self.direct, self.generator = model.dropout, model.longest, generator
        self.embedding = nn.Embedding(vocab_size, width)
        self.blocks = nn.ModuleList(
            TransformerBlock(width, model.heads, model.dropout, generator) for _ in range(layers)
        )
        self.norm, self.output = nn.LayerNorm(width), Linear(width, vocab_size)
        self.grams = gram_table(vocab_size) if self.direct else None
        with torch.no_grad():
            for name, p in self.named_parameters():
                if name == "embedding.weight":
                    p.normal_(0.0, 1.0, generator=generator)
                elif p.dim() > 1 and name != "grams":
                    branch = "project" in name or "narrow" in name  # they add to the straight way
                    spread = p.shape[1] ** -0.5 * ((2 * layers) ** -0.5 if branch else 1.0)
                    p.normal_(0.0, spread, generator=generator)
                elif name.endswith("bias"):
                    p.zero_()

    def start(self, batch: int) -> State:
        memories = [self.norm.weight.new_zeros(self.window - 1, batch, self.width) for _ in self.blocks]
        before = torch.full((batch, self.direct), self.vocab_size, device=self.norm.weight.device)
        # How many tokens are remembered, and the last few of them.
        return (self.norm.weight.new_zeros(batch, 1), before, *memories)

    def forward(self, ids: Tensor, state: State) -> tuple[Tensor, State]:
        seen, before, *memories = state
        kept = self.window - 1
        queries = torch.arange(kept, kept + len(ids), device=ids.device)[:, None]
        keys = torch.arange(kept + len(ids), device=ids.device)
        mask = (keys <= queries) & (keys > queries - self.window) & (keys >= kept - seen[0])
        x = rows_of(ids, self.embedding.weight)
        every = torch.cat([before.t(), ids])
        after = [(seen + len(ids)).clamp(max=kept), every[len(ids) :].t()]
        for block, memory in zip(self.blocks, memories, strict=True):
            x, memory = block(x, memory, mask)
            after.append(memory)
        return self.with_grams(self.output(self.norm(x)), every), tuple(after)


@dataclass(kw_only=True, eq=False)
class Transformer(TunedModel):
    """A causal Transformer with a sliding window and rotary positions: a yardstick for the recurrent networks."""

    hidden: int = option(128, "width of a layer")
    layers: int = option(3, "layers")
    heads: int = option(4, "attention heads a layer")
    window: int = option(64, "tokens that a layer sees, the present one included")
    dropout: float = option(0.2, "share of the layers' outputs dropped")
    batch: int = option(16, "rows of a minibatch")
    steps: int = option(32, "tokens of a row")
    lr: float = option(0.003, "learning rate at its highest")
    epochs: int = option(14, "passes over the training text at most")

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("layers", "heads", "window"):
            if getattr(self, name) < 1:
                raise InputError(f"{name}={getattr(self, name)} must be at least 1")
        for name, most in (("layers", MOST_LAYERS), ("window", MOST_REMEMBERED)):
            if getattr(self, name) > most:
                raise InputError(f"{name}={getattr(self, name)} must be {most} at most")
        if self.hidden % (2 * self.heads):
            raise InputError(f"hidden={self.hidden} must be a multiple of twice heads={self.heads}")

    def _network(self, generator: torch.Generator) -> Network:
        return TransformerNetwork(self, generator)
