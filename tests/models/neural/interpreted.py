"""Triton's kernels on a processor, by its interpreter; test_kernels.py runs these tests where that is switched on."""

from __future__ import annotations

import multiprocessing
import time

import numpy as np
import pytest
import torch
from paths import ROOT
from triton.runtime import interpreter

from lmbench.models import make_model
from lmbench.models.neural.gru_cell import GruCell
from lmbench.models.neural.lstm_cell import LstmCell
from lmbench.models.neural.persistent import (
    Persistent,
    Plan,
    agrees,
    composed,
    drawn,
    interpreted,
    outcome,
)
from lmbench.models.neural.plain_cell import PlainCell
from lmbench.text.tokens import Tokens

FORK = multiprocessing.get_context("fork")
CELLS = {1: PlainCell, 3: GruCell, 4: LstmCell}
LIBRARY = {1: torch.nn.RNN, 3: torch.nn.GRU, 4: torch.nn.LSTM}
CPU = torch.device("cpu")
assert interpreted()


def by_kernels(plan: Plan, given):
    return outcome(lambda *inputs: Persistent.apply(plan, *inputs), given)


def assert_equal(mine, truth):
    for a, b in zip(mine, truth, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize(("steps", "batch", "size"), [(7, 5, 48), (7, 5, 16), (1, 1, 16)])
@pytest.mark.parametrize("gates", CELLS)
def test_a_layer_is_the_librarys(gates, steps, batch, size):
    """From random states: what it gives, the state after, and the gradients by input, states and weights."""
    torch.manual_seed(gates)
    mine, theirs = CELLS[gates](7, size), LIBRARY[gates](7, size)
    if gates == 1:
        with torch.no_grad():
            mine.weight_ih_l0.copy_(theirs.weight_ih_l0.t())
            mine.weight_hh_l0.copy_(theirs.weight_hh_l0.t())
            mine.bias_ih_l0.copy_(theirs.bias_ih_l0 + theirs.bias_hh_l0)
    else:
        mine.load_state_dict(theirs.state_dict())
    mine.kernel = "triton"
    rows, weight = torch.randn(steps, batch, 7), torch.randn(steps, batch, size)
    states = [torch.randn(1, batch, size) for _ in range(1 + (gates == 4))]

    def run(layer):
        inputs = [x.clone().requires_grad_() for x in (rows, *states)]
        H, after = layer(inputs[0], tuple(inputs[1:]) if gates == 4 else inputs[1])
        after = after if gates == 4 else (after,)
        ((H * weight).sum() + sum(x.square().sum() for x in after)).backward()
        of_weights = {name: p.grad for name, p in layer.named_parameters()}
        if gates == 1 and layer is theirs:
            of_weights = {k: g.t() if g.dim() == 2 else g for k, g in of_weights.items() if k != "bias_hh_l0"}
        return [H, *after, *(x.grad for x in inputs), *(of_weights[k] for k in sorted(of_weights))]

    assert_equal(run(mine), run(theirs))
    ids = torch.randint(-1, 7, (steps, batch))
    state = tuple(states) if gates == 4 else states[0]
    one_hot = torch.nn.functional.one_hot(ids + 1, 8)[..., 1:].float()
    torch.testing.assert_close(mine(ids, state)[0], theirs(one_hot, state)[0])


@pytest.mark.parametrize("gates", CELLS)
def test_several_programs_a_row_and_rows_of_several_programs(gates):
    given = drawn(gates, 2, 18, 20, CPU)
    assert_equal(by_kernels(Plan(20, back=8, steps=1, ahead=gates), given), outcome(composed, given))


@pytest.mark.parametrize("gates", CELLS)
def test_programs_that_run_at_once_wait_for_each_other(gates, monkeypatch):
    """Two programs of a row, each in a process of its own with shared memory, the first of which begins late."""
    launches = []

    def at_once(kernel, plan, shape, steps, tensors, layout):
        shared = {x.data_ptr(): x.clone().share_memory_() for x in tensors}
        counts = torch.zeros(32, dtype=torch.int32).share_memory_()

        def program(place):
            builder, executor = interpreter.interpreter_builder, interpreter.GridExecutor
            builder.set_grid_idx = lambda x, y, z: setattr(builder, "grid_idx", (x, place, z))
            executor._restore_args_dev = lambda *arguments: None  # they are shared, not copied
            time.sleep(0.3 * (place == 0))
            kernel[1, 1](*(shared[x.data_ptr()] for x in tensors), counts, 0, steps, *layout, **shape)

        processes = [FORK.Process(target=program, args=(place,), daemon=True) for place in range(2)]
        for process in processes:
            process.start()
        for process in processes:
            process.join(60)
        launches.append([process.exitcode for process in processes])
        for x in tensors:
            x.copy_(shared[x.data_ptr()])

    monkeypatch.setattr("lmbench.models.neural.persistent._launch", at_once)
    given = drawn(gates, 3, 5, 20, CPU)
    mine = by_kernels(Plan(20), given)
    assert launches == [[0, 0], [0, 0]]
    assert_equal(mine, outcome(composed, given))


@pytest.mark.parametrize("gates", CELLS)
def test_in_half_precision_little_is_lost(gates):
    """float16: of bfloat16 the interpreter multiplies the bits."""
    assert agrees(Plan(24, columns=32), gates, CPU, kind=torch.float16)


def test_kernels_that_are_wrong_are_not_used(monkeypatch):
    with pytest.warns(UserWarning, match="not used on this GPU, torch's are .*range must be a power of 2"):
        assert not agrees(Plan(17, columns=24), 1, CPU, kind=torch.float16)
    for factor in (1.5, float("nan")):
        agrees.cache_clear()
        monkeypatch.setattr(
            "lmbench.models.neural.persistent.composed",
            lambda *arguments, factor=factor: tuple(x * factor for x in composed(*arguments)),
        )
        with pytest.warns(UserWarning, match="not used on this GPU, torch's are .results differ by"):
            assert not agrees(Plan(16), 1, CPU, kind=torch.float16)


def test_a_model_learns_the_same():
    def bits(kernel):
        options = {"hidden": 20, "batch": 4, "steps": 6, "epochs": 1, "device": "cpu", "dropout": 0.1}
        options |= {"arithmetic": "float32", "bptt": "truncated", "average": 0.0}
        model = make_model("lstm", **options, kernel=kernel)
        ids = np.random.default_rng(0).integers(1, 6, 70)
        model.fit(Tokens.of(ids[:50]), Tokens.of(ids[50:]), vocab_size=6)
        return model.history[-1]["valid_bits"]

    assert bits("triton") == pytest.approx(bits("torch"), abs=1e-4)


def test_the_benchmark_for_gpus_runs(monkeypatch, capsys):
    monkeypatch.syspath_prepend(ROOT / "tests" / "benchmarks")
    import bench_gpu

    size = ["--hidden", "16", "--batch", "2", "--steps", "2", "--rounds", "1"]
    bench_gpu.main(["--cells", "gru", "--device", "cpu", *size])
    told = capsys.readouterr().out
    assert "gru 16, step, torch.nn: " in told
    assert "gru 16, layer, triton, a launch a step: " in told
