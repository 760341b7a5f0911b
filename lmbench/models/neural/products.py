"""Matrix products by the faster of torch's libraries, with the backward pass that they then lack."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor, nn

# Rows of a table whose gradient a GPU has sooner by a product with ones and zeros than row by row, where those of a token wait for each other.
MOST_MULTIPLIED = 1000


def has_own_order(x: Tensor) -> bool:
    """Whether products of x's kind go to oneDNN, which reads a matrix in an order of its own: float32 on a processor.

    torch itself sends these to MKL, which on processors of other makers leaves half of what they can unused.
    """
    single = x.device.type == "cpu" and x.dtype == torch.float32
    return single and bool(torch.backends.mkldnn.is_available())  # type: ignore[no-untyped-call]


def product(a: Tensor, b: Tensor) -> Tensor:
    """a b of two matrices, outside of differentiation.

    >>> product(torch.tensor([[1.0, 2.0], [0.0, 1.0]]), torch.tensor([[3.0], [4.0]])).tolist()
    [[11.0], [4.0]]
    """
    if len(a) < 2 or not has_own_order(a):
        return a @ b
    linear = torch.ops.mkldnn._linear_pointwise
    return cast(Tensor, linear(a.contiguous(), b.t(), None, "none", [], ""))


def product_with(W: Tensor, rows: int) -> Callable[[Tensor, Tensor], Tensor]:
    """(x, z) -> x W + z for many x of ``rows`` rows.

    W is brought once into the order that the library's kernel reads, where it has one: products of few rows
    otherwise spend a part of their time on that, each of them anew.
    """
    rounded = (
        W.device.type == "cpu" and W.dtype == torch.bfloat16 and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    )
    if rows > 1 and (rounded or has_own_order(W)):
        linear = torch.ops.mkldnn._linear_pointwise.binary
        packed = torch.ops.mkldnn._reorder_linear_weight(W.t().contiguous(), rows)
        return lambda x, z: linear(x, z, packed, None, "add")
    return lambda x, z: torch.addmm(z, x, W)


class _Affine(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, W: Tensor, b: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, W)
        return product(x, W) if b is None else product(x, W).add_(b)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (g,) = gradients
        x, W = ctx.saved_tensors
        of_x, of_W, of_b = ctx.needs_input_grad
        # In the order in memory that the weights have, so that the optimiser reads both in one sweep.
        transposed = W.stride(0) == 1
        return (
            product(g, W.t()) if of_x else None,
            (product(g.t(), x).t() if transposed else product(x.t(), g)) if of_W else None,
            g.sum(0) if of_b else None,
        )


def affine(x: Tensor, W: Tensor, b: Tensor | None) -> Tensor:
    """x W + b of (n, inputs), (inputs, outputs) and (outputs), differentiable once."""
    if torch.is_autocast_enabled(x.device.type) or not has_own_order(x):
        return x @ W if b is None else torch.addmm(b, x, W)
    return cast(Tensor, _Affine.apply(x, W, b))  # type: ignore[no-untyped-call]


class _Selected(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, ids: Tensor, W: Tensor, b: Tensor, kind: torch.dtype) -> Tensor:
        table = W.new_empty(len(W) + 1, len(b), dtype=kind)
        torch.add(W, b, out=table[:-1])
        table[-1] = b
        places = ids % len(table)
        ctx.save_for_backward(places)
        ctx.kind, ctx.tokens = W.dtype, len(W)
        return table.index_select(0, places)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, Tensor, Tensor, None]:
        (places,), (g,), last = ctx.saved_tensors, gradients, ctx.tokens
        if g.is_cuda and g.dtype != ctx.kind == torch.float32 and last <= MOST_MULTIPLIED:
            # Of tokens line by line, and in place of nothing's the sum of all, which is that of b.
            chosen = (torch.arange(last + 1, device=g.device)[:, None] == places).to(g.dtype)
            chosen[last] = 1
            of_rows = torch.mm(chosen, g, out_dtype=torch.float32)
            return None, of_rows[:last], of_rows[last], None
        # Summed without the rounding of what is added.
        of_rows = g.new_zeros(last + 1, g.shape[1], dtype=ctx.kind).index_add_(0, places, g.to(ctx.kind))
        return None, of_rows[:last], of_rows[:last].sum(0) + of_rows[last], None


def kind_of(W: Tensor) -> torch.dtype:
    """The kind of number that products with W are to be in: that which autocast asks for, or W's own."""
    device = W.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else W.dtype


def from_input(x: Tensor, W: Tensor, b: Tensor) -> Tensor:
    """(steps, batch, outputs): x W + b of rows x (steps, batch, inputs), or of ids (steps, batch).

    Ids stand for one-hot rows, -1 for zeros, and look theirs up.
    """
    if x.dim() > 2:
        return affine(x.flatten(0, 1), W, b).view(*x.shape[:2], -1)
    chosen: Tensor = _Selected.apply(x.flatten(), W, b, kind_of(W))  # type: ignore[no-untyped-call]
    return chosen.view(*x.shape, -1)


class Linear(nn.Linear):
    """torch's linear layer, by ``affine``."""

    def forward(self, x: Tensor) -> Tensor:
        """x: (..., inputs). Gives (..., outputs)."""
        return affine(x.flatten(0, -2), self.weight.t(), self.bias).view(*x.shape[:-1], -1)
