"""Triton's kernels: by the interpreter, compiled for GPUs that need not be here, and on one where there is one."""

from __future__ import annotations

import math
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from lmbench import InputError
from lmbench.models import make_model
from lmbench.models.neural import persistent
from lmbench.models.neural.gru_cell import GruCell
from lmbench.models.neural.lstm_cell import LstmCell
from lmbench.models.neural.persistent import (
    Persistent,
    Plan,
    chosen,
    composed,
    drawn,
    outcome,
    plan_for,
    warps,
)
from lmbench.models.neural.products import from_input
from lmbench.text.tokens import Tokens

HOPPER, AMPERE = (132, 232_448), (108, 166_912)  # multiprocessors, bytes of memory that a block may have


def run_apart(*command: str, **variables: str) -> str:
    """What a process of its own prints: whether to interpret is asked once, when triton is imported."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("TRITON_", "PYTEST_"))}
    ended = subprocess.run(
        [sys.executable, *command], env=clean | variables, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


@pytest.mark.timeout(600)
def test_by_the_interpreter():
    pytest.importorskip("triton")
    tests = Path(__file__).with_name("interpreted.py")
    assert " passed" in run_apart(
        "-m", "pytest", str(tests), "-x", "-p", "no:cacheprovider", TRITON_INTERPRET="1"
    )


@pytest.mark.parametrize(
    ("way", "gates", "size"),
    [("forward", 1, 256), ("forward", 4, 1024), ("backward", 1, 1024), ("backward", 4, 512)],
)
def test_compiled_for_a_gpu_weights_stay_on_chip(way, gates, size, tmp_path, monkeypatch):
    """For compute capability 9.0: the memory planned for is enough, the matrix units multiply, no step reads weights."""
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    triton = pytest.importorskip("triton")
    from triton.backends.compiler import GPUTarget

    from lmbench.models.neural import kernels

    kernel, plan = getattr(kernels, way), plan_for(gates, size, 32, *HOPPER)
    shape = plan.shape(gates, 32) if way == "forward" else plan.shape_back(gates, 32)
    known = shape | {"along" if way == "forward" else "across": 1}
    special = {"C": "*fp32", "carried": "*fp32", "counts": "*i32"}
    kinds = {
        name: "constexpr" if name in known else special.get(name, "*bf16" if len(name) == 1 else "i32")
        for name in kernel.arg_names
    }
    even = {
        (i,): [["tt.divisibility", 16]]
        for i, (name, kind) in enumerate(kinds.items())
        if kind[0] == "*" or (name in ("along", "across", "apart") and name not in known)
    }
    source = triton.compiler.ASTSource(kernel, kinds, known, even)
    options = {"num_warps": warps(shape), "num_stages": 1, "enable_fp_fusion": True}
    made = triton.compile(source, GPUTarget("cuda", 90, 32), options)
    _, _, within = made.asm["ttgir"].partition("scf.for")
    assert 2 * 64 * plan.padded <= made.metadata.shared <= HOPPER[1]
    assert re.search("ttng.warp_group_dot|tt.dot", within)
    # A state is read in a step, of as many numbers as a program has rows of; weights are not.
    read = [
        math.prod(map(int, found.split("x"))) for found in re.findall(r"tt.load .*tensor<([\dx]+)x!", within)
    ]
    assert max(read) == shape["ROWS"] * plan.padded
    assert "async_copy" not in within  # what others write is not fetched before they have arrived
    assert all(word in made.asm["ptx"] for word in ("ld.acquire.gpu", ".release"))
    (tmp_path / "code").write_bytes(made.asm["cubin"])
    tool = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump"
    usage = subprocess.run(
        [tool, "-res-usage", tmp_path / "code"], capture_output=True, text=True, check=True
    )
    assert max(map(int, re.findall(r"STACK:(\d+)", usage.stdout))) <= 128  # bytes: next to nothing is spilled


@pytest.mark.parametrize(
    ("gates", "size", "batch", "gpu", "rows"),
    [
        (1, 16, 1, HOPPER, 16),
        (4, 16, 1, HOPPER, None),
        (4, 17, 1, HOPPER, 16),
        (1, 256, 32, HOPPER, 16),
        (4, 1024, 32, HOPPER, 16),
        (4, 1000, 33, HOPPER, 32),  # three times 63 programs would be too many
        (4, 1025, 32, HOPPER, None),
        (1, 512, 256, HOPPER, 16),
        (1, 512, 512, HOPPER, 32),
        (1, 512, 513, HOPPER, None),
        (3, 1024, 32, AMPERE, None),  # three of four lines of a matrix are used, the fourth is held too
        (3, 512, 64, AMPERE, 32),
        (4, 1024, 32, AMPERE, None),
        (4, 512, 32, AMPERE, 16),
        (4, 512, 32, (60, 101_376), 32),
    ],
)
def test_plans_fit_what_a_gpu_has(gates, size, batch, gpu, rows):
    plan = plan_for(gates, size, batch, *gpu)
    assert (plan and plan.rows) == rows
    if plan is not None:
        # Forwards with the state, and back with that of as many gates as it says.
        ways = (rows, 64 // plan.columns, 1), (plan.back, gates, plan.ahead)
        for each, lines, ahead in ways:
            over_rows, over_units = plan.grid(batch, each)
            assert over_rows * each >= batch
            assert over_units * plan.columns >= size
            assert over_rows * over_units <= gpu[0]
            assert 2 * plan.padded * (lines * plan.columns + ahead * each) <= gpu[1]


@pytest.mark.parametrize(("size", "padded"), [(1, 16), (16, 16), (17, 32), (384, 512), (1024, 1024)])
def test_sums_run_over_a_power_of_two(size, padded):
    assert Plan(size).padded == padded


def test_on_a_processor_no_kernel_is_chosen():
    weights = torch.zeros(3 * 16, 16)
    assert chosen("auto", weights, 5, 2) is None
    with torch.autocast("cpu", torch.bfloat16):
        assert chosen("auto", weights, 5, 2) is None


def test_a_kernel_that_cannot_be_had_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match=r"^kernel=triton needs a GPU; use kernel=auto$"):
        make_model("lstm", kernel="triton")
    monkeypatch.setattr(persistent, "has_triton", lambda: False)
    with pytest.raises(InputError, match=r"needs the package triton \(pip install triton\)"):
        make_model("rnn", kernel="triton")
    with pytest.raises(InputError, match="kernel=cudnn"):
        make_model("gru", kernel="cudnn")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize(("size", "batch"), [(48, 33), (256, 32), (512, 33), (1024, 32)])
@pytest.mark.parametrize("gates", [1, 3, 4])
def test_on_a_gpu_the_kernels_are_the_formulas(gates, size, batch):
    device = torch.device("cuda")
    properties = torch.cuda.get_device_properties(device)
    plan = plan_for(
        gates, size, batch, properties.multi_processor_count, properties.shared_memory_per_block_optin
    ) or Plan(16)
    given = drawn(gates, 9, batch, plan.size, device)
    rounded = [x if x is None or i == 2 else x.bfloat16() for i, x in enumerate(given)]
    exact = outcome(composed, given)
    for steps in (0, 1):
        way = replace(plan, steps=steps)
        mine = outcome(lambda *inputs, way=way: Persistent.apply(way, *inputs), rounded)
        for a, b in zip(mine, exact, strict=True):
            assert float((a.float() - b).abs().max() / b.abs().max()) < 0.1


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("cell", [GruCell, LstmCell])
def test_on_a_gpu_layers_are_cudnns(cell):
    torch.manual_seed(0)
    layer, x = cell(28, 256).cuda(), torch.randn(35, 32, 28, device="cuda")
    state = torch.randn(1, 32, 256, device="cuda")
    found = {}
    for kernel, arithmetic in (
        ("torch", torch.float32),
        ("torch", torch.bfloat16),
        ("triton", torch.bfloat16),
    ):
        layer.kernel = kernel
        layer.zero_grad()
        with torch.autocast("cuda", arithmetic, enabled=arithmetic == torch.bfloat16):
            H, _ = layer(x, (state, state) if cell is LstmCell else state)
        H.float().square().sum().backward()
        found[kernel, arithmetic] = [H.detach().float(), *(p.grad for p in layer.parameters())]
    exact, theirs, mine = found.values()
    for truth, a, b in zip(exact, theirs, mine, strict=True):
        off = float((a - truth).abs().max()), float((b - truth).abs().max())
        assert off[1] < 3 * off[0] + 0.01 * float(truth.abs().max())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_on_a_gpu_what_ids_look_up_is_learnt_as_on_a_processor():
    generator = torch.Generator().manual_seed(0)
    W, b = torch.randn(28, 64, generator=generator), torch.randn(64, generator=generator)
    ids = torch.randint(-1, 28, (35, 32), generator=generator)
    weight = torch.randn(35, 32, 64, generator=generator).bfloat16().float()
    found = {}
    for device in ("cpu", "cuda"):
        given = [x.to(device).requires_grad_() for x in (W, b)]
        with torch.autocast(device, torch.bfloat16, enabled=device == "cuda"):
            rows = from_input(ids.to(device), *given)
        gradients = torch.autograd.grad((rows.float() * weight.to(device)).sum(), given)
        found[device] = [x.cpu().float() for x in (rows.detach(), *gradients)]
    torch.testing.assert_close(found["cuda"][0], found["cpu"][0], rtol=0.01, atol=0.01)
    for mine, truth in zip(found["cuda"][1:], found["cpu"][1:], strict=True):
        torch.testing.assert_close(mine, truth, rtol=1e-4, atol=1e-4)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("name", ["rnn", "gru", "lstm", "mingru", "transformer", "mlp"])
def test_on_a_gpu_networks_learn_as_on_a_processor(name):
    """Without dropout in single precision alike; with it, and in bfloat16, by masks of the device's own, about as much."""
    ids = np.random.default_rng(0).integers(1, 9, 60).repeat(20)
    exact = {"hidden": 32, "batch": 4, "epochs": 2, "dropout": 0.0, "average": 0.0}
    exact |= {"arithmetic": "float32"} | ({"weight_drop": 0.0} if name in ("rnn", "gru", "lstm") else {})
    bits = {}
    for way, options in (
        ("cpu", exact | {"device": "cpu"}),
        ("cuda", exact | {"device": "cuda"}),
        ("rounded", exact | {"device": "cuda", "dropout": 0.1, "arithmetic": "bfloat16"}),
    ):
        model = make_model(name, **options)
        model.fit(Tokens.of(ids[:1000]), Tokens.of(ids[1000:]), vocab_size=10, rng=np.random.default_rng(0))
        bits[way] = model.history[-1]["valid_bits"]
    assert bits["cuda"] == pytest.approx(bits["cpu"], abs=0.02)
    assert bits["rounded"] == pytest.approx(bits["cpu"], abs=0.3)
