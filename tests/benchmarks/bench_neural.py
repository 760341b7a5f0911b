"""Tokens a second of neural training and scoring: ``pytest tests/benchmarks/bench_neural.py --benchmark-only``.

Within a group the table shows each way's time as a multiple of the fastest; ``tokens_per_second`` and
``share_of_peak`` (of the machine's own float32 matrix product, measured between the rounds) are in the saved data
and printed (``-s``).
"""

from __future__ import annotations

import time

import numpy as np
import pytest
import torch

from lmbench.models import make_model
from lmbench.models.neural.network import matmul_peak, score
from lmbench.models.neural.recurrent import RecurrentNetwork
from lmbench.models.neural.scratch import ScratchNetwork, one_hot
from lmbench.models.neural.training import clip_gradients
from lmbench.text.tokens import Tokens

V = 28


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def recurrent(cell: str, hidden: int) -> RecurrentNetwork:
    options = {"dropout": 0.0, "weight_drop": 0.0, "direct": 0, "input_scale": 0.5, "tied": False}
    model = make_model(cell, hidden=hidden, embedding=0, **options)
    model.vocab_size = V
    return model._network(generator())


class BookNetwork(ScratchNetwork):
    """The loop as Dive into Deep Learning 8.5 writes it: one-hot products a step at a time, joined at the end."""

    def forward(self, ids, state):
        (H,) = state
        outputs = []
        for X in one_hot(ids, self.vocab_size):
            H = torch.tanh(torch.mm(X, self.W_xh) + torch.mm(H, self.W_hh) + self.b_h)
            outputs.append(torch.mm(H, self.W_hq) + self.b_q)
        return torch.cat(outputs).view(len(ids), -1, self.vocab_size), (H,)


class LibraryNetwork(torch.nn.Module):
    """torch.nn.RNN on one-hot input and a linear output: 8.6."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.hidden = hidden
        self.rnn, self.linear = torch.nn.RNN(V, hidden), torch.nn.Linear(hidden, V)

    def start(self, batch: int):
        return (torch.zeros(batch, self.hidden),)

    def forward(self, ids, state):
        Y, H = self.rnn(one_hot(ids, V), state[0][None])
        return self.linear(Y), (H[0],)


NETWORKS = {
    "book's loop": lambda hidden: BookNetwork(V, hidden, 0.01, 0.01, generator()),
    "scratch": lambda hidden: ScratchNetwork(V, hidden, 0.01, 0.01, generator()),
    "hand-written backward": lambda hidden: recurrent("rnn", hidden),
    "torch.nn.RNN": LibraryNetwork,
}


def training_step(network, ids: torch.Tensor, arithmetic: str = "float32") -> None:
    with torch.autocast("cpu", torch.bfloat16, enabled=arithmetic == "bfloat16"):
        logits, _ = network(ids[:-1], network.start(ids.shape[1]))
    loss = torch.nn.functional.cross_entropy(logits.float().flatten(0, 1), ids[1:].flatten())
    for p in network.parameters():
        p.grad = None
    loss.backward()
    clip_gradients(network.parameters(), 1.0)
    with torch.no_grad():
        for p in network.parameters():
            p -= 0.1 * p.grad


def told(benchmark, tokens: int) -> None:
    rate = tokens / benchmark.stats["median"]
    benchmark.extra_info["tokens_per_second"] = round(rate)
    print(f"\n{benchmark.name}: {rate:,.0f} tokens/s")


@pytest.mark.parametrize(("hidden", "batch", "steps"), [(512, 32, 35), (512, 256, 35)])
@pytest.mark.parametrize("name", NETWORKS)
def test_train(benchmark, name, hidden, batch, steps):
    benchmark.group = f"train a plain cell, hidden {hidden}, batch {batch}, steps {steps}"
    network = NETWORKS[name](hidden)
    ids = torch.randint(V, (steps + 1, batch), generator=generator())
    benchmark.pedantic(training_step, (network, ids), rounds=12, warmup_rounds=2)
    told(benchmark, steps * batch)


@pytest.mark.parametrize("arithmetic", ["float32", "bfloat16"])
@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_train_cells(benchmark, cell, arithmetic):
    benchmark.group = "train, hidden 384, batch 32, steps 40"
    network = recurrent(cell, 384)
    ids = torch.randint(V, (41, 32), generator=generator())
    benchmark.pedantic(training_step, (network, ids, arithmetic), rounds=8, warmup_rounds=2)
    told(benchmark, 40 * 32)


@pytest.mark.parametrize("batch", [32, 64, 128, 256])
@pytest.mark.parametrize("arithmetic", ["float32", "bfloat16"])
@pytest.mark.parametrize(("cell", "hidden"), [("rnn", 512), ("rnn", 384), ("lstm", 512), ("lstm", 320)])
def test_share_of_peak(benchmark, cell, hidden, arithmetic, batch):
    """Fastest step and fastest large product of rounds in turn; operations are those of products that a token needs.

    6 (g H² + H V), g = 1 or 4: what a token reads is a row to look up, and is not counted where a product does it.
    """
    benchmark.group = f"share of peak, {cell}, hidden {hidden}, steps 35"
    network, steps = recurrent(cell, hidden), 35
    ids = torch.randint(V, (steps + 1, batch), generator=generator())
    peaks: list[float] = []

    def setup() -> None:
        peaks.append(matmul_peak(seconds=0.1))

    def step() -> None:
        training_step(network, ids, arithmetic)

    benchmark.pedantic(step, setup=setup, rounds=10, warmup_rounds=1)
    flops = 6 * ({"rnn": 1, "lstm": 4}[cell] * hidden**2 + hidden * V)
    rate = steps * batch / benchmark.stats["min"]
    share = rate * flops / max(peaks)
    benchmark.extra_info |= {"tokens_per_second": round(rate), "share_of_peak": round(share, 3)}
    print(
        f"\n{cell} {hidden}, {arithmetic}, batch {batch}: {rate:,.0f} tokens/s, {share:.0%} of {max(peaks) / 1e9:.0f} GFLOP/s"
    )


@pytest.mark.parametrize("name", ["rnn", "lstm"])
def test_score_one_text(benchmark, name):
    benchmark.group = "score 17,000 characters, one document, hidden 384"
    network = recurrent(name, 384)
    tokens = Tokens.of(np.random.default_rng(0).integers(1, V, 17_000))
    benchmark.pedantic(score, (network, tokens), rounds=3, warmup_rounds=1)
    told(benchmark, 17_000)


def test_ratios_side_by_side(benchmark):
    """Medians of interleaved rounds, so that a busy machine slows all ways alike."""
    networks = {name: (make(512), "float32") for name, make in NETWORKS.items()}
    networks["hand-written backward, bfloat16"] = (recurrent("rnn", 512), "bfloat16")
    ids = torch.randint(V, (36, 32), generator=generator())
    times: dict[str, list[float]] = {name: [] for name in networks}

    def once() -> None:
        for name, (network, arithmetic) in networks.items():
            begin = time.perf_counter()
            training_step(network, ids, arithmetic)
            times[name].append(time.perf_counter() - begin)

    benchmark.pedantic(once, rounds=15, warmup_rounds=2)
    medians = {name: float(np.median(found[2:])) for name, found in times.items()}
    ours = medians["hand-written backward"]
    for name, median in medians.items():
        benchmark.extra_info[name] = round(median / ours, 2)
        print(f"\n{name}: {35 * 32 / median:,.0f} tokens/s; ours is {median / ours:.2f} times as fast")
