"""Tokens a second of training recurrent layers on a GPU, by Triton's kernels and by cuDNN, launched one by one and as CUDA graphs.

python tests/benchmarks/bench_gpu.py [--cells rnn,gru,lstm] [--hidden 256,512,1024] [--batch 32] [--steps 35] [--flashrnn]

A step is forward, loss, backward and the update, on characters, in bfloat16 with weights in float32; a layer, forward and backward of
the recurrent layer alone. torch.nn is cuDNN, to which torch gives float16 where bfloat16 is asked for, so that it is tried with weights in
bfloat16, too; of some layers cuDNN has another kernel where inputs are a multiple of 128 wide, so that it is tried with zeros beside the
characters. The loops of Dive into Deep Learning are as printed there, in single precision. --flashrnn: the layer by the package
flashrnn too, which compiles for a minute, and has no part of what the input adds. Ways take turns; the median counts. On a processor
(--device cpu), with TRITON_INTERPRET=1, it says nothing of speed and shows that it runs.
"""

from __future__ import annotations

import argparse
import copy
import math
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from unittest import mock

import torch
from bench_neural import LibraryNetwork, V, book, recurrent

from lmbench.models.neural import persistent
from lmbench.models.neural.recurrent import RecurrentNetwork

Step = Callable[[], object]
Conditions = Callable[[], AbstractContextManager[None]]


def rounded(network: torch.nn.Module, ids: torch.Tensor) -> AbstractContextManager[object]:
    """Products in bfloat16, but of networks that are to stay as they are."""
    enabled = ids.is_cuda and not getattr(network, "as_it_is", False)
    return torch.autocast(ids.device.type, torch.bfloat16, enabled=enabled)


def as_it_is(network: torch.nn.Module) -> torch.nn.Module:
    network.as_it_is = True
    return network


def training_step(network: torch.nn.Module, ids: torch.Tensor) -> Step:
    """One update by plain gradient descent, without a word from the GPU to the processor, so that it can become a graph."""
    parameters = list(network.parameters())

    def step() -> None:
        with rounded(network, ids):
            logits, _ = network(ids[:-1], network.start(ids.shape[1]))
        loss = torch.nn.functional.cross_entropy(logits.float().flatten(0, 1), ids[1:].flatten())
        gradients = torch.autograd.grad(loss, parameters)
        with torch.no_grad():
            torch._foreach_add_(parameters, gradients, alpha=-0.1)

    return step


def layer_pass(network: torch.nn.Module, ids: torch.Tensor) -> Step:
    """The recurrent layer alone: what it gives, and the gradients of its weights."""
    ours = isinstance(network, RecurrentNetwork)
    layer = network.cells[0] if ours else network.rnn
    x = ids[:-1] if ours else network.rows(ids[:-1])
    state = tuple(s[None] for s in network.start(ids.shape[1]))
    parameters = list(layer.parameters())
    weight = torch.randn(*x.shape[:2], network.hidden, device=ids.device)

    def step() -> None:
        with rounded(network, ids):
            H, _ = layer(x, state if len(state) > 1 else state[0])
        torch.autograd.grad(H, parameters, weight.to(H.dtype))

    return step


def flash_pass(cell: str, ids: torch.Tensor, hidden: int) -> Step:
    """The layer by FlashRNN, from what the input adds on."""
    from flashrnn import flashrnn

    gates, added = {"rnn": (1, 1), "lstm": (4, 4), "gru": (3, 4)}[cell]
    steps, batch = ids[1:].shape
    shapes = (batch, steps, gates, 1, hidden), (gates, 1, hidden, hidden), (added, 1, hidden)
    given = [
        (torch.randn(*shape, device=ids.device) / hidden**0.5).bfloat16().requires_grad_() for shape in shapes
    ]
    weight = torch.randn(batch, steps, 1, hidden, device=ids.device).bfloat16()

    def step() -> None:
        states, _ = flashrnn(*given, function="elman" if cell == "rnn" else cell, backend="cuda_fused")
        torch.autograd.grad(states[0], given, weight)

    return step


def as_graph(step: Step) -> Step:
    """The same as one launch of all that it launches."""
    beside = torch.cuda.Stream()
    beside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(beside):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(beside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    return graph.replay


@contextmanager
def a_launch_a_step() -> Iterator[None]:
    """Plans by which programs need not wait for each other."""
    planned = persistent.plan_for

    def one_by_one(*arguments: int) -> persistent.Plan | None:
        plan = planned(*arguments)
        return plan and replace(plan, steps=1)

    with mock.patch.object(persistent, "plan_for", one_by_one):
        yield


def seconds(steps: dict[str, tuple[Step, Conditions]], rounds: int, device: torch.device) -> dict[str, float]:
    """Medians of rounds in which all ways take turns."""
    times: dict[str, list[float]] = {name: [] for name in steps}
    for number in range(rounds + 2):
        for name, (step, conditions) in steps.items():
            with conditions():
                begin = time.perf_counter()
                step()
                if device.type == "cuda":
                    torch.cuda.synchronize()
            if number >= 2:
                times[name].append(time.perf_counter() - begin)
    return {name: statistics.median(values) for name, values in times.items()}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--cells", default="rnn,gru,lstm")
    parser.add_argument("--hidden", default="256,512,1024")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--steps", type=int, default=35)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--flashrnn", action="store_true")
    given = parser.parse_args(arguments)
    device = torch.device(given.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        parser.error("torch finds no GPU here")
    if device.type == "cuda":
        import triton

        print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, triton {triton.__version__}")
    print(
        f"microseconds (times as fast as torch.nn; tokens a second), batch {given.batch}, {given.steps} steps"
    )
    ids = torch.randint(V, (given.steps + 1, given.batch), generator=torch.Generator().manual_seed(0)).to(
        device
    )
    for cell in given.cells.split(","):
        for hidden in map(int, given.hidden.split(",")):
            for part, of in (("step", training_step), ("layer", layer_pass)):
                flash = given.flashrnn and part == "layer"
                compare(f"{cell} {hidden}, {part}", cell, hidden, of, ids, given.rounds, flash)


def compare(
    title: str, cell: str, hidden: int, of: Callable[..., Step], ids: torch.Tensor, rounds: int, flash: bool
) -> None:
    """Prints what each way takes, launched one by one and as a graph."""
    ours = recurrent(cell, hidden, kernel="triton").to(ids.device)
    library = LibraryNetwork(cell, hidden).to(ids.device)
    made: dict[str, tuple[Callable[[], Step], Conditions]] = {
        "torch.nn": (lambda: of(library, ids), nullcontext),
        "torch.nn, bfloat16": (lambda: of(as_it_is(copy.deepcopy(library).bfloat16()), ids), nullcontext),
        "torch.nn, 128 inputs": (
            lambda: of(LibraryNetwork(cell, hidden, 128).to(ids.device), ids),
            nullcontext,
        ),
        "triton": (lambda: of(ours, ids), nullcontext),
        "triton, a launch a step": (lambda: of(ours, ids), a_launch_a_step),
    }
    if of is training_step:
        made["book's loop"] = lambda: of(as_it_is(book(cell, hidden).to(ids.device)), ids), nullcontext
    if flash:
        made["FlashRNN"] = lambda: flash_pass(cell, ids, hidden), nullcontext
    steps: dict[str, tuple[Step, Conditions]] = {}
    for name, (make, conditions) in made.items():
        try:
            with conditions():
                step = make()
                step()
                steps[name] = (step, conditions)
                if ids.is_cuda and name != "FlashRNN":  # of its launches no graph can be taken
                    steps[f"{name}, as a graph"] = (as_graph(step), nullcontext)
        except Exception as error:  # what a driver or a compiler says; other ways and sizes may do
            print(f"{title}, {name}: {str(error).strip().splitlines()[0]}", flush=True)
    medians = seconds(steps, rounds, ids.device)
    for name, median in medians.items():
        theirs = medians.get("torch.nn, as a graph" if "graph" in name else "torch.nn", math.nan)
        rate = ids[1:].numel() / median
        print(f"{title}, {name}: {median * 1e6:,.0f} ({theirs / median:.2f}; {rate:,.0f})", flush=True)


if __name__ == "__main__":
    main()
