"""The plain recurrence, its backward pass written out, and a layer of it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from lmbench.models.neural.persistent import Kernel, Persistent, chosen
from lmbench.models.neural.products import from_input, product, product_with


class PlainRecurrence(torch.autograd.Function):
    """H_t = tanh(Z_t + H_{t-1} W) for all steps, with backpropagation through time written out.

    tanh(a) is had as 2 σ(2a) - 1, which takes a third of the time. With D_t the loss's derivative by the argument
    of tanh, D_t = (dL/dH_t + D_{t+1} W') (1 - H_t²); the gradient of Z is D, and that of W is the one product
    Σ_t H_{t-1}' D_t over steps and rows.
    """

    @staticmethod
    def forward(ctx: Any, Z: Tensor, first: Tensor, W: Tensor) -> Tensor:
        """Z: (steps, batch, H), first: (batch, H), W: (H, H). Gives (steps, batch, H)."""
        H = Z.new_empty(len(Z) + 1, *Z.shape[1:])
        H[0] = first
        twice, step, minus_one = 2 * Z, product_with(2 * W, len(first)), -Z.new_ones(())
        for t in range(len(Z)):
            torch.add(minus_one, step(H[t], twice[t]).sigmoid_(), alpha=2, out=H[t + 1])
        ctx.save_for_backward(H, W)
        return H[1:]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        (from_above,) = gradients
        H, W = ctx.saved_tensors
        D = torch.empty_like(H[1:])
        step_back, nothing = product_with(W.t(), H.shape[1]), torch.zeros_like(H[0])
        later = from_above[-1]
        for t in range(len(D) - 1, -1, -1):
            torch.ops.aten.tanh_backward.grad_input(later, H[t + 1], grad_input=D[t])
            later = step_back(D[t], from_above[t - 1] if t else nothing)
        return D, later, product(H[:-1].flatten(0, 1).t(), D.flatten(0, 1))


class PlainCell(nn.Module):
    """A layer of the plain recurrence, with the parameters' names of torch's own cells."""

    kernel: Kernel = "auto"

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.weight_ih_l0 = nn.Parameter(torch.empty(inputs, hidden))
        self.weight_hh_l0 = nn.Parameter(torch.empty(hidden, hidden))
        self.bias_ih_l0 = nn.Parameter(torch.empty(hidden))

    def forward(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """x: (steps, batch) ids, which stand for one-hot rows (-1: for zeros) and look theirs up, or (steps, batch, inputs)."""
        plan = chosen(self.kernel, self.weight_hh_l0, *x.shape[:2])
        Z = from_input(x, self.weight_ih_l0, self.bias_ih_l0)
        W = self.weight_hh_l0.to(Z.dtype)
        H: Tensor
        if plan is None:
            H = PlainRecurrence.apply(Z, state[0].to(Z.dtype), W)  # type: ignore[no-untyped-call]
        else:
            (H,) = Persistent.apply(plan, Z, state[0], None, W.t(), None)  # type: ignore[no-untyped-call]
        return H, H[-1:]
