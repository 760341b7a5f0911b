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
from lmbench.models.neural.optimizers import clip_gradients
from lmbench.models.neural.recurrent import RecurrentNetwork
from lmbench.models.neural.scratch import ScratchNetwork, one_hot
from lmbench.text.tokens import Tokens

V = 28
# Of one thread the processor's seconds, which other programs do not lengthen (for the others: --benchmark-timer=time.process_time).
clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def recurrent(cell: str, hidden: int, kernel: str = "auto") -> RecurrentNetwork:
    options = {"dropout": 0.0, "weight_drop": 0.0, "direct": 0, "input_scale": 0.5, "tied": False}
    model = make_model(cell, hidden=hidden, embedding=0, kernel=kernel, **options)
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


def draw(*shape: int) -> torch.nn.Parameter:
    return torch.nn.Parameter(torch.randn(*shape, generator=generator()) * 0.01)


class BookGated(torch.nn.Module):
    """The loops of Dive into Deep Learning 9.1 and 9.2: matrices of their own for each gate, one-hot input."""

    def __init__(self, cell: str, hidden: int) -> None:
        super().__init__()
        self.cell, self.hidden, gates = cell, hidden, {"gru": 3, "lstm": 4}[cell]
        self.W_x = torch.nn.ParameterList(draw(V, hidden) for _ in range(gates))
        self.W_h = torch.nn.ParameterList(draw(hidden, hidden) for _ in range(gates))
        self.b = torch.nn.ParameterList(draw(hidden) for _ in range(gates))
        self.W_hq, self.b_q = draw(hidden, V), draw(V)

    def start(self, batch: int):
        return tuple(self.b_q.new_zeros(batch, self.hidden) for _ in range(1 + (self.cell == "lstm")))

    def gate(self, i: int, X: torch.Tensor, H: torch.Tensor) -> torch.Tensor:
        return torch.mm(X, self.W_x[i]) + torch.mm(H, self.W_h[i]) + self.b[i]

    def forward(self, ids, state):
        outputs = []
        for X in one_hot(ids, V):
            if self.cell == "gru":
                (H,) = state
                Z, R = torch.sigmoid(self.gate(0, X, H)), torch.sigmoid(self.gate(1, X, H))
                state = (Z * H + (1 - Z) * torch.tanh(self.gate(2, X, R * H)),)
            else:
                H, C = state
                inp, forget, out = (torch.sigmoid(self.gate(i, X, H)) for i in range(3))
                C = forget * C + inp * torch.tanh(self.gate(3, X, H))
                state = (out * torch.tanh(C), C)
            outputs.append(torch.mm(state[0], self.W_hq) + self.b_q)
        return torch.cat(outputs).view(len(ids), -1, V), state


class LibraryNetwork(torch.nn.Module):
    """A cell of torch.nn on one-hot input and a linear output: 8.6. inputs: of the cell, zeros those after the tokens'."""

    def __init__(self, cell: str, hidden: int, inputs: int = V) -> None:
        super().__init__()
        self.hidden, self.lstm, self.inputs = hidden, cell == "lstm", inputs
        kind = {"rnn": torch.nn.RNN, "gru": torch.nn.GRU, "lstm": torch.nn.LSTM}[cell]
        self.rnn, self.linear = kind(inputs, hidden), torch.nn.Linear(hidden, V)

    def start(self, batch: int):
        return tuple(self.linear.weight.new_zeros(batch, self.hidden) for _ in range(1 + self.lstm))

    def rows(self, ids):
        return one_hot(ids, self.inputs, self.linear.weight.dtype)

    def forward(self, ids, state):
        before = tuple(s[None] for s in state)
        Y, after = self.rnn(self.rows(ids), before if self.lstm else before[0])
        return self.linear(Y), tuple(s[0] for s in (after if self.lstm else (after,)))


def book(cell: str, hidden: int) -> torch.nn.Module:
    return BookNetwork(V, hidden, 0.01, 0.01, generator()) if cell == "rnn" else BookGated(cell, hidden)


NETWORKS = {
    "book's loop": lambda hidden: book("rnn", hidden),
    "scratch": lambda hidden: ScratchNetwork(V, hidden, 0.01, 0.01, generator()),
    "hand-written backward": lambda hidden: recurrent("rnn", hidden),
    "torch.nn.RNN": lambda hidden: LibraryNetwork("rnn", hidden),
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
@pytest.mark.parametrize(("cell", "hidden"), [("rnn", 512), ("gru", 512), ("lstm", 512), ("lstm", 320)])
def test_share_of_peak(benchmark, cell, hidden, arithmetic, batch):
    """Fastest step and fastest large product of rounds in turn; operations are those of products that a token needs.

    6 (g H² + H V), g = 1, 3 or 4: what a token reads is a row to look up, and is not counted where a product does it.
    """
    benchmark.group = f"share of peak, {cell}, hidden {hidden}, steps 35"
    network, steps = recurrent(cell, hidden), 35
    ids = torch.randint(V, (steps + 1, batch), generator=generator())
    peaks: list[float] = []

    def setup() -> None:
        peaks.append(matmul_peak(seconds=0.06, clock=clock))

    def step() -> None:
        training_step(network, ids, arithmetic)

    benchmark.pedantic(step, setup=setup, rounds=6, warmup_rounds=1)
    flops = 6 * ({"rnn": 1, "gru": 3, "lstm": 4}[cell] * hidden**2 + hidden * V)
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


@pytest.mark.parametrize("arithmetic", ["float32", "bfloat16"])
@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_ratios_side_by_side(benchmark, cell, arithmetic):
    """Medians of interleaved rounds, so that a busy machine slows all ways alike; of one thread, the processor's seconds."""
    networks = {
        "ours": recurrent(cell, 512),
        "torch.nn": LibraryNetwork(cell, 512),
        "book's loop": book(cell, 512),
    }
    ids = torch.randint(V, (36, 32), generator=generator())
    times: dict[str, list[float]] = {name: [] for name in networks}

    def once() -> None:
        for name, network in networks.items():
            begin = clock()
            training_step(network, ids, arithmetic)
            times[name].append(clock() - begin)

    benchmark.pedantic(once, rounds=15, warmup_rounds=2)
    medians = {name: float(np.median(seconds[2:])) for name, seconds in times.items()}
    for name, median in medians.items():
        ratio = benchmark.extra_info[name] = round(median / medians["ours"], 2)
        print(
            f"\n{cell}, {arithmetic}, {name}: {35 * 32 / median:,.0f} tokens/s; ours is {ratio:.2f} times as fast"
        )
