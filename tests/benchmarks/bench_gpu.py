"""Tokens a second of training recurrent layers on a GPU, by Triton's kernels and by cuDNN, launched one by one and as CUDA graphs.

python tests/benchmarks/bench_gpu.py [--cells rnn,gru,lstm] [--hidden 256,512,1024] [--batch 32] [--steps 35]

A step is forward, loss, backward and the update, on characters, in bfloat16 with weights in float32; a layer, forward and backward of
the recurrent layer alone. torch.nn is cuDNN, to which torch gives float16 where bfloat16 is asked for; of some layers cuDNN has another kernel
where inputs are a multiple of 128, so that it is tried with zeros beside the characters, too. Ways take turns; the median counts. On a
processor (--device cpu), with TRITON_INTERPRET=1, it says nothing of speed and shows that it runs.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from unittest import mock

import torch
from bench_neural import LibraryNetwork, V, recurrent

from lmbench.models.neural import persistent
from lmbench.models.neural.recurrent import RecurrentNetwork

Step = Callable[[], object]
Conditions = Callable[[], AbstractContextManager[None]]


def training_step(network: torch.nn.Module, ids: torch.Tensor) -> Step:
    """One update by plain gradient descent, without a word from the GPU to the processor, so that it can become a graph."""
    parameters = list(network.parameters())

    def step() -> None:
        with torch.autocast(ids.device.type, torch.bfloat16, enabled=ids.is_cuda):
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
        with torch.autocast(ids.device.type, torch.bfloat16, enabled=ids.is_cuda):
            H, _ = layer(x, state if len(state) > 1 else state[0])
        torch.autograd.grad(H, parameters, weight.to(H.dtype))

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
                compare(f"{cell} {hidden}, {part}", cell, hidden, of, ids, given.rounds)


def compare(
    title: str, cell: str, hidden: int, of: Callable[..., Step], ids: torch.Tensor, rounds: int
) -> None:
    """Prints what each way takes, launched one by one and as a graph."""
    ours = recurrent(cell, hidden, kernel="triton").to(ids.device)
    ways: dict[str, tuple[torch.nn.Module, Conditions]] = {
        "torch.nn": (LibraryNetwork(cell, hidden).to(ids.device), nullcontext),
        "torch.nn, 128 inputs": (LibraryNetwork(cell, hidden, 128).to(ids.device), nullcontext),
        "triton": (ours, nullcontext),
        "triton, a launch a step": (ours, a_launch_a_step),
    }
    steps: dict[str, tuple[Step, Conditions]] = {}
    for name, (network, conditions) in ways.items():
        step = of(network, ids)
        try:
            with conditions():
                step()
                steps[name] = (step, conditions)
                if ids.is_cuda:
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
