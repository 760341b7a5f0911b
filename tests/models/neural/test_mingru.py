"""Minimal gated recurrences: the scan in parallel, a step at a time, and as the paper's formulas say it."""

from __future__ import annotations

import math

import pytest
import torch
from cycle import V, small, text
from streamed import check_state

from lmbench.errors import InputError
from lmbench.models import make_model
from lmbench.models.laws import check_model
from lmbench.models.neural.mingru import MinGruNetwork, SequentialScan, scan, scan_in_logarithms


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def slowly(gate, candidate, h):
    """h_t = (1 - z) h_{t-1} + z g(c), a step and a formula at a time."""
    rows = []
    for k, c in zip(gate, candidate, strict=True):
        z = 1 / (1 + torch.exp(-k))
        h = (1 - z) * h + z * torch.where(c > 0, c + 0.5, 1 / (1 + torch.exp(-c)))
        rows.append(h)
    return torch.stack(rows)


def in_logarithms(gate, candidate, first):
    z, value = gate.sigmoid(), torch.where(candidate > 0, candidate + 0.5, candidate.sigmoid())
    return scan_in_logarithms((1 - z).log(), (z * value).log(), first)


@pytest.mark.parametrize("way", [scan, in_logarithms])
@pytest.mark.parametrize("first", [torch.zeros(3, 4, dtype=torch.float64), drawn(3, 4, seed=2).abs()])
def test_in_parallel_and_step_by_step_states_and_gradients_are_those_of_the_formulas(way, first):
    outcomes = []
    for of in (way, slowly):
        inputs = [x.clone().requires_grad_() for x in (3 * drawn(50, 3, 4), drawn(50, 3, 4, seed=1), first)]
        h = of(*inputs)
        weight = drawn(50, 3, 4, seed=3)
        outcomes.append([h, *torch.autograd.grad((h * weight).sum(), inputs)])
    for mine, exact in zip(*outcomes, strict=True):
        torch.testing.assert_close(mine, exact, rtol=0, atol=1e-11)


def test_the_gradient_of_the_scan_agrees_with_numerical_differences():
    given = [drawn(5, 2, seed=i).requires_grad_() for i in range(2)] + [drawn(2, seed=3).requires_grad_()]
    assert torch.autograd.gradcheck(SequentialScan.apply, given)


def network(**options) -> MinGruNetwork:
    model = make_model("mingru", **({"hidden": 8, "widening": 2.0, "dropout": 0.0, "direct": 0} | options))
    model.vocab_size = V
    net = model._network(torch.Generator().manual_seed(0)).double()
    for block in net.blocks:
        torch.nn.init.normal_(block.taps, generator=torch.Generator().manual_seed(1))
    return net


@pytest.mark.parametrize("options", [{}, {"convolution": 1}, {"widening": 0.0, "layers": 1}, {"direct": 3}])
def test_the_state_carries_everything(options):
    check_state(network(**options), V)


def test_a_convolution_reads_the_last_tokens_alone():
    net = network(layers=1, convolution=3)
    block = net.blocks[0]
    x = drawn(9, 1, 8)
    changed = x.clone()
    changed[2] += 1
    before, h = drawn(2, 1, 8, seed=4), torch.zeros(1, block.inner, dtype=torch.float64)
    with torch.no_grad():
        block.read.bias[: block.inner] = 50.0  # z = 1: of the state nothing is kept
        differs = (block(x, before, h)[0] != block(changed, before, h)[0]).any(-1)[:, 0]
    assert torch.nonzero(differs)[:, 0].tolist() == [2, 3, 4]


def test_cost_of_learning_from_a_token():
    # Two layers: 8 -> 3 * 12 in, 12 -> 8 out, 8 -> 16 -> 8; then 8 -> V.
    assert network().training_flops == 6 * (2 * (8 * 36 + 12 * 8 + 2 * 8 * 16) + 8 * V)


def test_keeps_the_laws_and_learns_the_cycle():
    # 90% "plus one", 10% "the same": 0.469 bits a token; the untrained network spends log2 7 = 2.8.
    model = small("mingru", epochs=10, batch=8, lr=0.02, layers=1, widening=2.0)
    model.fit(text(1600), text(500, seed=1), vocab_size=V)
    assert -model.log_probs(text(500, seed=2)).mean() / math.log(2) < 0.75
    assert check_model(model, length=80) == {}


@pytest.mark.parametrize(
    ("key", "value"),
    [("layers", 0), ("convolution", 0), ("expansion", 0), ("widening", -1), ("layers", 10**6)],
)
def test_impossible_options_are_named(key, value):
    with pytest.raises(InputError, match=f"{key}={value} must"):
        make_model("mingru", **{key: value})
