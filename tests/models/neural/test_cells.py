"""The recurrences whose backward passes are written out, beside the same composed of torch's operations."""

from __future__ import annotations

import pytest
import torch

from lmbench.models.neural.gru_cell import GruCell, GruRecurrence
from lmbench.models.neural.products import Linear, affine, product, product_with


def drawn(*shape: int, seed: int = 0, kind: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn(*shape, dtype=kind, generator=torch.Generator().manual_seed(seed))


def gru_composed(Z, h, U, b):
    """The formulas a step at a time, differentiated by torch."""
    rows, size = [], h.shape[1]
    for z_r, z_z, z_n in zip(*Z.split(size, dim=-1), strict=True):
        u_r, u_z, u_n = (h @ U.t()).split(size, dim=-1)
        r, z = torch.sigmoid(z_r + u_r), torch.sigmoid(z_z + u_z)
        h = (1 - z) * torch.tanh(z_n + r * (u_n + b)) + z * h
        rows.append(h)
    return torch.stack(rows)


def outcome(recurrence, given, weight):
    """States, and the gradients of their weighted sum by all that is given."""
    inputs = [x.clone().requires_grad_() for x in given]
    H = recurrence(*inputs)
    return [H.detach(), *torch.autograd.grad((H * weight).sum(), inputs)]


def gru_inputs(steps: int, batch: int, size: int) -> list[torch.Tensor]:
    shapes = ((steps, batch, 3 * size), (batch, size), (3 * size, size), (size,))
    Z, first, U, b = (drawn(*shape, seed=i) for i, shape in enumerate(shapes))
    return [Z, first, U / size**0.5, b]


@pytest.mark.parametrize(("steps", "batch", "size"), [(1, 1, 1), (1, 3, 5), (9, 1, 4), (12, 4, 7)])
def test_gated_units_and_their_gradients_are_those_of_the_formulas(steps, batch, size):
    given, weight = gru_inputs(steps, batch, size), drawn(steps, batch, size, seed=9)
    mine, composed = (outcome(way, given, weight) for way in (GruRecurrence.apply, gru_composed))
    for a, b in zip(mine, composed, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("kind", "tolerance"), [(torch.float32, 2e-5), (torch.bfloat16, 0.12)])
def test_gated_units_lose_no_more_than_the_rounding_of_their_numbers(kind, tolerance):
    given, weight = gru_inputs(9, 4, 24), drawn(9, 4, 24, seed=9)
    exact = outcome(gru_composed, given, weight)
    rounded = outcome(GruRecurrence.apply, [x.to(kind) for x in given], weight.to(kind))
    for a, b in zip(rounded, exact, strict=True):
        assert a.dtype == kind
        assert float((a.double() - b).abs().max() / b.abs().max()) < tolerance


@pytest.mark.parametrize("kind", [torch.float64, torch.float32])
def test_a_layer_of_gated_units_is_the_librarys(kind):
    mine, theirs = GruCell(7, 5, dtype=kind), torch.nn.GRU(7, 5, dtype=kind)
    theirs.load_state_dict(mine.state_dict())
    ids = torch.randint(7, (11, 3), generator=torch.Generator().manual_seed(0))
    ids[4, 1] = -1
    rows = torch.nn.functional.one_hot(ids + 1, 8)[..., 1:].to(kind)
    first = drawn(1, 3, 5, kind=kind)
    expected, last = theirs(rows, first)
    expected.square().sum().backward()
    for x in (ids, rows):
        mine.zero_grad()
        H, final = mine(x, first)
        torch.testing.assert_close(H, expected)
        torch.testing.assert_close(final, last)
        H.square().sum().backward()
        for p, q in zip(mine.parameters(), theirs.parameters(), strict=True):
            torch.testing.assert_close(p.grad, q.grad)


@pytest.mark.parametrize("kind", [torch.float64, torch.float32])
@pytest.mark.parametrize("rows", [1, 2, 33])
def test_products_are_those_of_the_matrices_in_any_order_in_memory(kind, rows):
    a, b, c = drawn(rows, 20, kind=kind), drawn(20, 9, seed=1, kind=kind), drawn(rows, 9, seed=2, kind=kind)
    exact = a.double() @ b.double()
    for x, y in ((a, b), (a.t().contiguous().t(), b), (a, b.t().contiguous().t())):
        torch.testing.assert_close(product(x, y).double(), exact, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(product_with(y, rows)(x, c).double(), exact + c, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("by_columns", [False, True])
def test_an_affine_map_and_its_gradients_are_torchs(by_columns):
    x, W, b = drawn(6, 4), drawn(4, 5, seed=1), drawn(5, seed=2)
    W = W.t().contiguous().t() if by_columns else W
    weight = drawn(6, 5, seed=3)
    exact = outcome(lambda x, W, b: x @ W + b, (x, W, b), weight)
    given = [t.float() for t in (x, W, b)]
    for mine, truth in zip(outcome(affine, given, weight.float()), exact, strict=True):
        torch.testing.assert_close(mine.double(), truth, rtol=1e-5, atol=1e-5)
    without = Linear(4, 5, bias=False)
    torch.testing.assert_close(without(given[0][None]), torch.nn.Linear.forward(without, given[0][None]))


def test_in_inference_no_gates_are_kept():
    given = gru_inputs(4, 2, 3)
    with torch.inference_mode():
        torch.testing.assert_close(GruRecurrence.apply(*given), gru_composed(*given))
