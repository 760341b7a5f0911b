"""The gated recurrent unit, its backward pass written out, and a layer of it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from lmbench.models.neural.network import one_hot_rows
from lmbench.models.neural.persistent import Kernel, Persistent, chosen
from lmbench.models.neural.products import from_input, product, product_with


class GruRecurrence(torch.autograd.Function):
    """r, z = σ(Z_r + U_r H), σ(Z_z + U_z H);  n = tanh(Z_n + r (U_n H + b));  H' = (1 - z) n + z H, for all steps.

    Back through time, with D_t the loss's derivative by H_t and u = U_n H + b: that by Z_n is A D with A = (1 - z)(1 - n²), that by
    what U H adds to r, z and n is D times A u r (1 - r), (H_{t-1} - n) z (1 - z) and A r. These factors do not depend
    on what comes later, and are had for all steps at once; a step back is then one product and two sums, and the
    gradient of U one product over steps and rows (the reset gate after the product: Cho et al. 2014 as cuDNN has it).
    """

    @staticmethod
    def forward(ctx: Any, Z: Tensor, first: Tensor, U: Tensor, b: Tensor) -> Tensor:
        """Z: (steps, batch, 3 H), first: (batch, H), U: (3 H, H), b: (H). Gives (steps, batch, H)."""
        steps, batch, size = *Z.shape[:2], first.shape[1]
        H, N = Z.new_empty(steps + 1, batch, size), Z.new_empty(steps, batch, size)
        H[0] = first
        added = torch.cat([Z[..., : 2 * size], b.expand(steps, batch, size)], dim=-1)
        step, gates = product_with(U.t(), batch), []
        for t in range(steps):
            g = step(H[t], added[t])
            rz = g[:, : 2 * size].sigmoid_()
            n = torch.addcmul(Z[t, :, 2 * size :], rz[:, :size], g[:, 2 * size :], out=N[t]).tanh_()
            torch.lerp(n, H[t], rz[:, size:], out=H[t + 1])
            gates.append(g)
        if any(ctx.needs_input_grad):
            ctx.save_for_backward(H, N, torch.stack(gates), U)
        return H[1:]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        (from_above,) = gradients
        H, N, gates, U = ctx.saved_tensors
        steps, batch, size = N.shape
        r, z, u = gates.view(steps, batch, 3, size).unbind(2)
        A = (1 - z) * (1 - N * N)
        factors = torch.empty_like(gates).view(steps, batch, 3, size)
        torch.mul(A, r, out=factors[:, :, 2])
        torch.mul(factors[:, :, 2] * u, 1 - r, out=factors[:, :, 0])
        torch.mul((H[:-1] - N) * z, 1 - z, out=factors[:, :, 1])
        by_state, D = torch.empty_like(N), torch.empty_like(factors)
        step_back, nothing = product_with(U, batch), torch.zeros_like(N[0])
        later = from_above[-1]
        for t in range(steps - 1, -1, -1):
            by_state[t] = later
            torch.mul(later[:, None], factors[t], out=D[t])
            beside = torch.addcmul(from_above[t - 1] if t else nothing, later, z[t])
            later = step_back(D[t].view(batch, -1), beside)
        of_U = product(D.view(steps * batch, -1).t(), H[:-1].flatten(0, 1))
        of_b = D[:, :, 2].sum((0, 1))
        torch.mul(by_state, A, out=D[:, :, 2])
        return D.view(steps, batch, -1), later, of_U, of_b


class GruCell(nn.GRU):
    """torch's layer of gated units, which on a GPU ``Persistent`` or cuDNN does, and ``GruRecurrence`` elsewhere."""

    kernel: Kernel = "auto"
    weight_ih_l0: Tensor
    weight_hh_l0: Tensor
    bias_ih_l0: Tensor
    bias_hh_l0: Tensor

    def forward(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        """x: (steps, batch) ids, which stand for one-hot rows (-1: for zeros) and look theirs up, or (steps, batch, inputs)."""
        W, U, size = self.weight_ih_l0, self.weight_hh_l0, self.hidden_size
        plan = chosen(self.kernel, U, *x.shape[:2])
        if U.is_cuda and plan is None:
            rows = one_hot_rows(x, self.input_size, U.dtype) if x.dim() == 2 else x
            self.train(torch.is_grad_enabled())  # as in ``LstmCell``
            return super().forward(rows, state)
        bias, of_new = self.bias_hh_l0[: 2 * size], self.bias_hh_l0[2 * size :]
        bias = self.bias_ih_l0 + torch.cat([bias, torch.zeros_like(of_new)])
        Z = from_input(x, W.t(), bias)
        U, of_new = U.to(Z.dtype), of_new.to(Z.dtype)
        H: Tensor
        if plan is None:
            H = GruRecurrence.apply(Z, state[0].to(Z.dtype), U, of_new)  # type: ignore[no-untyped-call]
        else:
            (H,) = Persistent.apply(plan, Z, state[0], None, U, of_new)  # type: ignore[no-untyped-call]
        return H, H[-1:]
