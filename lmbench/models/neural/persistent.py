"""Recurrences by the kernels of ``kernels.py``: what they are launched with, when they are chosen, and their gradients."""

from __future__ import annotations

import functools
import importlib.util
import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor

from lmbench.errors import InputError
from lmbench.models.neural.products import kind_of

Kernel = Literal["auto", "torch", "triton"]
LARGEST = 1024  # units: of more, a step's operands do not fit the registers
SMALLEST = (
    17  # units of gated cells: of fewer, a program's part on the way back is smaller than matrix units take
)
MOST_ROWS = 32
TOLERANCE = 0.1  # of the largest number, in bfloat16: some 25 of its steps


@dataclass(frozen=True)
class Plan:
    """How a layer of ``size`` units is divided among programs.

    rows, columns: of the minibatch and of the units, a program; back: rows on the way back. steps: of a launch; 0: all, in which the
    programs that share rows wait for each other and must run at once. ahead: gates of which a step back reads before it multiplies.
    """

    size: int
    rows: int = 16
    columns: int = 16
    back: int = 16
    steps: int = 0
    ahead: int = 1

    @property
    def padded(self) -> int:
        """Numbers summed over: ``size`` brought to a power of two."""
        return max(16, 1 << (self.size - 1).bit_length())

    def grid(self, batch: int, rows: int) -> tuple[int, int]:
        """Programs over the rows, and over the units."""
        return -(-batch // rows), -(-self.size // self.columns)

    def shape(self, gates: int, batch: int) -> dict[str, int]:
        """What is fixed when the kernel of the way there is compiled."""
        shape = {"G": gates, "SIZE": self.size, "K": self.padded, "ROWS": self.rows, "COLUMNS": self.columns}
        return shape | {"FULL": batch % self.rows == 0}

    def shape_back(self, gates: int, batch: int) -> dict[str, int]:
        """And that of the way back."""
        shape = self.shape(gates, batch) | {"ROWS": self.back, "FULL": batch % self.back == 0}
        return shape | {"PARTS": min(8, self.padded // 16), "AHEAD": min(self.ahead, gates)}


def warps(shape: dict[str, int]) -> int:
    """Of a program: four, which together have 64 lines of a matrix, or one for each part that is summed by itself."""
    if shape["G"] > 1 and "PARTS" in shape:
        return shape["PARTS"]
    return 4


def plan_for(gates: int, size: int, batch: int, multiprocessors: int, shared: int) -> Plan | None:
    """A plan in bfloat16 whose programs run at once, one a multiprocessor, and hold their weights; None where there is none.

    shared: bytes of memory that a program may have of its multiprocessor.

    >>> plan_for(4, 1024, 32, 132, 232_448)
    Plan(size=1024, rows=16, columns=16, back=16, steps=0, ahead=1)
    >>> plan_for(4, 512, 32, 132, 232_448)  # fewer units: fewer rows each on the way back, which reads of all gates
    Plan(size=512, rows=16, columns=16, back=8, steps=0, ahead=4)
    >>> plan_for(3, 512, 64, 108, 166_912)  # more rows of the minibatch than programs for 16 each: 32
    Plan(size=512, rows=32, columns=16, back=32, steps=0, ahead=3)
    >>> plan_for(4, 1024, 32, 108, 166_912) is None
    True
    """
    if size > LARGEST or (gates > 1 and size < SMALLEST):
        return None

    def together(plan: Plan, rows: int) -> bool:
        rows_of_programs, columns = plan.grid(batch, rows)
        return rows_of_programs * columns <= multiprocessors

    for rows in range(16, MOST_ROWS + 1, 16):
        # The large matrix units take 64 lines: a unit has as many as gates, and three are brought to four.
        plan = Plan(size, rows, 64 if gates == 1 else 16)
        weights, least = 2 * 64 * plan.padded, 2**14
        if together(plan, rows) and weights + max(2 * plan.padded * rows, least) <= shared:
            back = 8 if gates > 1 and together(plan, 8) else rows
            ahead = gates if weights + gates * 2 * plan.padded * back <= shared else 1
            return replace(plan, back=back, ahead=ahead)
    return None


def interpreted() -> bool:
    """Whether Triton's interpreter stands in for a GPU, as in tests."""
    return os.environ.get("TRITON_INTERPRET") == "1"


@functools.cache
def has_triton() -> bool:
    """Whether the package triton is here; torch's wheels for CUDA bring it."""
    return importlib.util.find_spec("triton") is not None


def check_kernel(kernel: Kernel, cuda: bool) -> None:
    """Raises InputError where ``kernel=triton`` cannot be had."""
    if kernel == "triton" and not has_triton():
        raise InputError("kernel=triton needs the package triton (pip install triton); use kernel=auto")
    if kernel == "triton" and not cuda and not interpreted():
        raise InputError("kernel=triton needs a GPU; use kernel=auto")


def chosen(kernel: Kernel, U: Tensor, steps: int, batch: int) -> Plan | None:
    """The plan for a layer of recurrent weights U (gates H, H), or None: torch does it.

    auto: in bfloat16 on a GPU, where a plan is to be had and, tried once, gives what the formulas say. triton: without that
    trial, and InputError where there is no plan; by the interpreter, which is for tests, in float32.
    """
    kind, gates, size = kind_of(U), len(U) // U.shape[1], U.shape[1]
    if kernel == "torch" or not steps:
        return None
    if interpreted():
        return Plan(size, columns=Plan(size).padded) if kernel == "triton" and kind == torch.float32 else None
    if not U.is_cuda or kind != torch.bfloat16 or not has_triton():
        return None
    device = torch.cuda.get_device_properties(U.device)
    shared = getattr(device, "shared_memory_per_block_optin", 49_152)
    plan = plan_for(gates, size, batch, device.multi_processor_count, shared)
    if kernel == "triton" and plan is None:
        raise InputError(
            f"kernel=triton of this GPU does not take hidden={size} and batch={batch} (of hidden it takes {SMALLEST} to {LARGEST}); use kernel=auto"
        )
    if plan is None or kernel == "triton":
        return plan
    return plan if agrees(plan, gates, U.device, batch % plan.rows == 0) else None


class Persistent(torch.autograd.Function):
    """All steps of a layer of cells: 1 gate: ``PlainRecurrence``, 3: ``GruRecurrence``, 4: LSTM (gates i, f, g, o, as torch's).

    Backwards the kernel finds the loss's derivatives D by what U h adds, step by step; the gradient of U is then one product
    over steps and rows, outside of it.
    """

    @staticmethod
    def forward(
        ctx: Any, plan: Plan, Z: Tensor, first: Tensor, cell: Tensor | None, U: Tensor, b: Tensor | None
    ) -> tuple[Tensor, ...]:
        """Z: (steps, batch, gates H); first, cell: (batch, H), cell of an LSTM; U: (gates H, H), b: (H), of gated units.

        Z, U and b are of one kind, first is brought to it.

        Gives the states (steps, batch, H) and, of an LSTM, the last cell (batch, H) in float32.
        """
        from lmbench.models.neural import kernels

        steps, batch, size = *Z.shape[:2], first.shape[1]
        gates = Z.shape[2] // size
        Z = Z.contiguous()
        H = Z.new_empty(steps + 1, batch, size)
        H[0] = first
        C = Z.new_empty((steps + 1 if gates == 4 else 1), batch, size, dtype=torch.float32)
        if cell is not None:
            C[0] = cell
        S = Z.new_empty(steps if gates > 1 else 1, batch, 4, size)
        bias = H if b is None else b.contiguous()
        layout = (batch, plan.grid(batch, plan.rows)[1], U.stride(1), U.stride(0), size * U.stride(0))
        _launch(kernels.forward, plan, plan.shape(gates, batch), steps, (Z, H, C, S, U, bias), layout)
        ctx.save_for_backward(H, C, S, U)
        ctx.plan, ctx.kind = plan, first.dtype
        ctx.set_materialize_grads(False)
        return (H[1:], C[-1]) if gates == 4 else (H[1:],)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Any, ...]:
        from lmbench.models.neural import kernels

        H, C, S, U = ctx.saved_tensors
        plan, A = ctx.plan, torch.zeros_like(H[1:]) if gradients[0] is None else gradients[0].contiguous()
        steps, batch, size = A.shape
        gates = len(U) // size
        D = A.new_empty(steps + 1, batch, gates, size)
        D[-1] = 0
        N = A.new_empty(steps if gates == 3 else 1, batch, size)
        carried = A.new_zeros(batch, size, dtype=torch.float32)
        if gates == 4 and gradients[1] is not None:
            carried += gradients[1]
        layout = (steps, batch, plan.grid(batch, plan.back)[1], U.stride(0), U.stride(1), size * U.stride(0))
        _launch(
            kernels.backward,
            plan,
            plan.shape_back(gates, batch),
            steps,
            (A, H, C, S, U, D, N, carried),
            layout,
        )
        D = D[:-1]
        of_U = D.flatten(2).flatten(0, 1).t() @ H[:-1].flatten(0, 1)
        of_first = of_b = None
        if ctx.needs_input_grad[2]:
            of_first = D[0].flatten(1) @ U
            of_first = (of_first + carried if gates == 3 else of_first).to(ctx.kind)
        if gates == 3:
            of_b = D[:, :, 2].sum((0, 1))
            D[:, :, 2] = N
        return None, D.flatten(2), of_first, carried if gates == 4 else None, of_U, of_b


def _launch(
    kernel: Any,
    plan: Plan,
    shape: dict[str, int],
    steps: int,
    tensors: tuple[Tensor, ...],
    layout: tuple[int, ...],
) -> None:
    """Runs a kernel over all steps, in as many launches as the plan says."""
    rows, columns = plan.grid(tensors[1].shape[1], shape["ROWS"])
    counts = tensors[0].new_zeros(rows * 32, dtype=torch.int32)
    each = plan.steps or steps
    for begin in range(0, steps, each):
        with torch.cuda.device_of(tensors[0]):  # type: ignore[no-untyped-call]
            kernel[rows, columns](
                *(*tensors, counts, begin, min(begin + each, steps), *layout),
                **shape,
                num_warps=warps(shape),
                num_stages=1,
                enable_fp_fusion=True,
                launch_cooperative_grid=not plan.steps,
            )


def composed(
    Z: Tensor, first: Tensor, cell: Tensor | None, U: Tensor, b: Tensor | None
) -> tuple[Tensor, ...]:
    """What ``Persistent`` gives, by its formulas a step at a time, differentiated by torch."""
    h, c, states = first, cell, []
    for z in Z:
        u = (h @ U.t()).view(len(h), -1, h.shape[1]).unbind(1)
        a = z.view(len(h), -1, h.shape[1]).unbind(1)
        if c is not None:
            i, f, g, o = (x + y for x, y in zip(a, u, strict=True))
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(c)
        elif b is not None:
            r, keep = torch.sigmoid(a[0] + u[0]), torch.sigmoid(a[1] + u[1])
            h = torch.lerp(torch.tanh(a[2] + r * (u[2] + b)), h, keep)
        else:
            h = torch.tanh(a[0] + u[0])
        states.append(h)
    return (torch.stack(states),) if c is None else (torch.stack(states), c)


def drawn(gates: int, steps: int, batch: int, size: int, device: torch.device) -> list[Tensor | None]:
    """What ``composed`` takes, at random, to try one against the other."""
    shapes = (steps, batch, gates * size), (batch, size), (batch, size), (gates * size, size), (size,)
    generator = torch.Generator().manual_seed(0)
    Z, first, cell, U, b = (torch.randn(*shape, generator=generator).to(device) for shape in shapes)
    return [Z, first, cell if gates == 4 else None, U / size**0.5, b if gates == 3 else None]


def outcome(way: Callable[..., Any], given: list[Tensor | None]) -> list[Tensor]:
    """What a recurrence gives, and the gradients of a weighted sum of that by all that it was given."""
    inputs = [None if x is None else x.detach().requires_grad_() for x in given]
    results = way(*inputs)
    weights = torch.linspace(-1, 1, results[0].shape[-1], device=results[0].device)
    total = torch.stack([(x.float() * weights).sum() for x in results]).sum()
    return [*(x.detach() for x in results), *torch.autograd.grad(total, [x for x in inputs if x is not None])]


@functools.cache
def agrees(
    plan: Plan, gates: int, device: torch.device, full: bool = False, kind: torch.dtype = torch.bfloat16
) -> bool:
    """Whether the kernels give on a device what the formulas say, states and gradients, to the rounding of ``kind``.

    Tried once in a process, on three steps; where they do not, a warning says so. full: with as many rows as programs have.
    """
    try:
        with torch.inference_mode(False), torch.enable_grad(), torch.autocast(device.type, enabled=False):
            exact = drawn(gates, 3, 2 * plan.rows if full else plan.rows + 1, plan.size, device)
            # All but an LSTM's cell.
            rounded = [x if x is None or i == 2 else x.to(kind) for i, x in enumerate(exact)]
            mine = outcome(functools.partial(Persistent.apply, plan), rounded)
            pairs = zip(mine, outcome(composed, exact), strict=True)
            off = [float((a.float() - b).abs().max() / b.abs().max()) for a, b in pairs]
    except Exception as error:  # whatever a compiler, a driver or a card of another kind raises
        reason = str(error).strip().split("\n")[0] or type(error).__name__
    else:
        # What is no number is not less either.
        if all(x < TOLERANCE for x in off):
            return True
        reason = f"results differ by {', '.join(f'{x:.2g}' for x in off)} of the largest"
    warnings.warn(f"Triton's kernels are not used on this GPU, torch's are ({reason})", stacklevel=2)
    return False
