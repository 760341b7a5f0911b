"""A layer of long short-term memory, by torch or by the kernels for a GPU."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lmbench.models.neural.network import one_hot_rows
from lmbench.models.neural.persistent import Kernel, Persistent, chosen
from lmbench.models.neural.products import from_input


class LstmCell(nn.LSTM):
    """torch's layer, which oneDNN computes as one program on a processor and cuDNN on a GPU; there also by ``Persistent``.

    Written out for a processor it reaches 0.7 of oneDNN's speed.
    """

    kernel: Kernel = "auto"
    weight_ih_l0: Tensor
    weight_hh_l0: Tensor
    bias_ih_l0: Tensor
    bias_hh_l0: Tensor

    def forward(  # type: ignore[override]
        self, x: Tensor, state: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """x: (steps, batch) ids, which stand for one-hot rows (-1: for zeros), or (steps, batch, inputs)."""
        W, U = self.weight_ih_l0, self.weight_hh_l0
        plan = chosen(self.kernel, U, *x.shape[:2])
        if plan is None:
            rows = one_hot_rows(x, self.input_size, W.dtype) if x.dim() == 2 else x
            if len(x) == 1 and not W.is_cuda and not torch.is_grad_enabled():
                # A step by itself, as a text is coded or drawn: in a fifth of the time that oneDNN's program takes to begin.
                h, c = torch.lstm_cell(
                    rows[0], (state[0][0], state[1][0]), W, U, self.bias_ih_l0, self.bias_hh_l0
                )
                return h[None], (h[None], c[None])
            if (
                W.is_cuda
            ):  # cuDNN keeps what gradients need of a layer in training alone; this one drops nothing itself
                self.train(torch.is_grad_enabled())
            return super().forward(rows, state)
        Z = from_input(x, W.t(), self.bias_ih_l0 + self.bias_hh_l0)
        h, c = (part[0] for part in state)
        H, C = Persistent.apply(plan, Z, h, c.float(), U.to(Z.dtype), None)  # type: ignore[no-untyped-call]
        return H, (H[-1:], C[None])
