"""Triton's kernels: by the interpreter, compiled for GPUs that need not be here, and on one where there is one."""

from __future__ import annotations

import math
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

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
    [("forward", 1, 256), ("forward", 4, 1024), ("backward", 1, 1024), ("backward", 4, 1024)],
)
def test_compiled_for_a_gpu_weights_stay_on_chip(way, gates, size, tmp_path, monkeypatch):
    """For compute capability 9.0: the memory planned for is enough, the matrix units multiply, no step reads weights."""
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    triton = pytest.importorskip("triton")
    from triton.backends.compiler import GPUTarget

    from lmbench.models.neural import kernels

    kernel, plan = getattr(kernels, way), plan_for(gates, size, 32, *HOPPER)
    shape = plan.shape(gates) if way == "forward" else plan.shape_back(gates)
    known = shape | {"along" if way == "forward" else "across": 1}
    special = {"C": "*fp32", "carried": "*fp32", "counts": "*i32"}
    kinds = {
        name: "constexpr" if name in known else special.get(name, "*bf16" if len(name) == 1 else "i32")
        for name in kernel.arg_names
    }
    even = {
        (i,): [["tt.divisibility", 16]]
        for i, (name, kind) in enumerate(kinds.items())
        if kind[0] == "*" or (name in ("size", "along", "across", "apart") and name not in known)
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
    assert max(read) == plan.rows * plan.padded
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
        for lines, ahead in ((1, 1) if gates == 1 else (4, 1)), (gates, plan.ahead):
            assert 2 * plan.padded * (lines * plan.columns + ahead * rows) <= gpu[1]
        over_rows, over_units = plan.grid(batch)
        assert over_rows * plan.rows >= batch
        assert over_units * plan.columns >= size
        assert over_rows * over_units <= gpu[0]


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
@pytest.mark.parametrize("size", [48, 256, 512, 1024])
@pytest.mark.parametrize("gates", [1, 3, 4])
def test_on_a_gpu_the_kernels_are_the_formulas(gates, size):
    device = torch.device("cuda")
    properties = torch.cuda.get_device_properties(device)
    plan = plan_for(
        gates, size, 33, properties.multi_processor_count, properties.shared_memory_per_block_optin
    ) or Plan(16)
    given = drawn(gates, 9, 33, plan.size, device)
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
