"""How far back do gradients reach, and what do clipping and truncation do? (Dive into Deep Learning, 8.5 and 8.7)

Gradients are autograd's. ∂L/∂h_{t-k} is what it brings back to a state, and a hook there, between h_{t-1} and its use
at t, multiplies what flows on: by 0 to truncate, by a random factor to truncate without bias.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lmbench.charts.chart import Chart, Panel, Series
from lmbench.corpora.corpus import Corpus
from lmbench.models.monitor import Monitor
from lmbench.studies.study import Study, at_least, paired_interval, small_torch
from lmbench.text.batches import sequential_batches

if TYPE_CHECKING:
    import torch

RADII = (0.8, 1.0, 1.2)
BACK = 50  # steps that gradients are followed back
HIDDEN, BATCH, STEPS, CUT = 48, 16, 60, 10
SEEDS, UPDATES, LEARN_FROM, HELD_OUT = 3, 200, 40_000, 5_000
# label: (backpropagation, radius of the ball that gradients are clipped to, learning rate)
TRAININGS = {
    "full": ("full", 1.0, 1.0),
    "truncated": ("truncated", 1.0, 1.0),
    "randomised": ("randomised", 1.0, 1.0),
    "full, not clipped": ("full", math.inf, 1.0),
    "full, rate 2": ("full", 1.0, 2.0),
    "full, rate 2, not clipped": ("full", math.inf, 2.0),
}


def run(corpus: Corpus, *, seed: int = 0, full: bool = False, monitor: Monitor) -> Study:
    """Characters; full: 1000 updates and 5 seeds in place of 200 and 3.

    The table has a row for each spectral radius, activation and k (norms), and one for each training and seed.
    """
    import pandas as pd

    corpus = corpus.with_held_out()
    train, valid = corpus.encoded("char", "train"), corpus.encoded("char", "valid")
    at_least("characters of training text", len(train.tokens), (BATCH + 1) * STEPS)
    updates, seeds = (5 * UPDATES, SEEDS + 2) if full else (UPDATES, SEEDS)
    size = len(train.vocab)
    with small_torch(np.random.default_rng(seed)):
        norms = _norms(train.tokens.ids, size, seed)
        biases = _biases(train.tokens.ids, size, seed)
        runs, losses = _trainings(train.tokens.ids, valid.tokens.ids, size, seed, updates, seeds, monitor)
    table = pd.DataFrame([*norms, *runs])
    charts = [_reach_chart(norms), _training_chart(losses)]
    facts = {"bias": biases, "updates": updates, "decay": {str(r): _decay(norms, r) for r in RADII}}
    return Study.of(table, charts, _sentences(norms, runs, biases, corpus.name, updates, size), facts)


def _norms(ids: np.ndarray, size: int, seed: int) -> list[dict[str, Any]]:
    """A row of the table for each spectral radius, activation and k."""
    ids = ids[: BATCH * (BACK + 2)].reshape(BATCH, -1).T
    rows = []
    for radius in RADII:
        for activation in ("tanh", "linear"):
            network = ElmanNetwork.random(size, HIDDEN, np.random.default_rng(seed), radius, activation)
            rows += [
                {"part": "reach", "radius": radius, "activation": activation, "k": k, "norm": float(norm)}
                for k, norm in enumerate(reach(network, ids))
            ]
    return rows


def _trainings(
    train: np.ndarray, valid: np.ndarray, size: int, seed: int, updates: int, seeds: int, monitor: Monitor
) -> tuple[list[dict[str, Any]], dict[str, list[np.ndarray]]]:
    """A row of the table for each of TRAININGS and each seed; label: each seed's losses by update."""
    rows: list[dict[str, Any]] = []
    losses: dict[str, list[np.ndarray]] = {}
    for label, (kind, clip, rate) in TRAININGS.items():
        for number in range(seeds):
            monitor.progress(len(rows), seeds * len(TRAININGS), f"{label}, seed {number + 1}")
            rng = np.random.default_rng([seed, number])
            trained = fit(train[:LEARN_FROM], size, kind, clip, rate, updates, rng)
            losses.setdefault(label, []).append(trained.bits)
            rows.append(
                {
                    "part": "training",
                    "training": label,
                    "seed": number,
                    "bits_per_char": held_out_bits(trained.network, valid[:HELD_OUT]),
                    "train_bits": float(trained.bits[-20:].mean()),
                    "clipped": float((trained.norms > 1.0).mean()),  # or would have been
                    "largest_norm": float(trained.norms.max()),
                }
            )
    return rows, losses


# The network ---------------------------------------------------------------------------------------


@dataclass
class ElmanNetwork:
    """h_t = φ(W_x[x_t] + h_{t-1} W_h + b), o_t = h_t W_q + c; φ is tanh or (8.7's simplification) nothing. In float64."""

    W_x: torch.Tensor  # (V, H)
    W_h: torch.Tensor  # (H, H)
    b: torch.Tensor  # (H,)
    W_q: torch.Tensor  # (H, V)
    c: torch.Tensor  # (V,)
    activation: str = "tanh"

    @classmethod
    def random(
        cls, size: int, hidden: int, rng: np.random.Generator, radius: float, activation: str = "tanh"
    ) -> ElmanNetwork:
        """W_h has the given spectral radius: the largest absolute value of its eigenvalues."""
        import torch

        recurrent = rng.standard_normal((hidden, hidden))
        recurrent *= radius / np.abs(np.linalg.eigvals(recurrent)).max()
        x, q = 0.1 * rng.standard_normal((size, hidden)), 0.1 * rng.standard_normal((hidden, size))
        arrays = (x, recurrent, np.zeros(hidden), q, np.zeros(size))
        W_x, W_h, b, W_q, c = (torch.from_numpy(array).requires_grad_() for array in arrays)
        return cls(W_x, W_h, b, W_q, c, activation)

    @property
    def parameters(self) -> list[torch.Tensor]:
        return [self.W_x, self.W_h, self.b, self.W_q, self.c]

    def states(self, ids: np.ndarray, h: torch.Tensor, gates: np.ndarray | None = None) -> list[torch.Tensor]:
        """h_1 .. h_T, (B, H) each, of ids (T, B) from h (B, H).

        gates: (T,) factors on what flows back from step t into h_{t-1}; all 1 (or None) is the exact gradient, a 0 cuts
        there. The gradient of W_h at step t is not gated: that of h is.
        """
        import torch

        inputs = self.W_x[torch.as_tensor(ids, dtype=torch.int64)] + self.b
        states: list[torch.Tensor] = []
        for t, x in enumerate(inputs):
            if gates is not None and gates[t] != 1 and states:
                h = h.view_as(h)
                h.register_hook(functools.partial(torch.mul, float(gates[t])))  # type: ignore[no-untyped-call]
            z = torch.addmm(x, h, self.W_h)
            h = torch.tanh(z) if self.activation == "tanh" else z
            states.append(h)
        return states

    def loss(self, states: list[torch.Tensor], targets: np.ndarray) -> torch.Tensor:
        """Mean cross-entropy in nats of the states' predictions of targets (T, B)."""
        import torch

        logits = torch.stack(states) @ self.W_q + self.c
        true = torch.as_tensor(targets, dtype=torch.int64).flatten()
        return torch.nn.functional.cross_entropy(logits.flatten(0, 1), true)

    def gradients(
        self, ids: np.ndarray, h: torch.Tensor, gates: np.ndarray | None = None
    ) -> tuple[float, list[torch.Tensor], torch.Tensor]:
        """Of ids (T + 1, B): the loss in nats, its gradient in each of the parameters, and the last state, cut off."""
        import torch

        states = self.states(ids[:-1], h, gates)
        loss = self.loss(states, ids[1:])
        return loss.item(), list(torch.autograd.grad(loss, self.parameters)), states[-1].detach()


def beginning(ids: np.ndarray, network: ElmanNetwork) -> torch.Tensor:
    """(B, H) of zeros, for ids (T, B)."""
    return network.b.new_zeros((ids.shape[1], len(network.b)))


def reach(network: ElmanNetwork, ids: np.ndarray) -> np.ndarray:
    """(BACK + 1,) the mean norm of ∂L_T/∂h_{T-k} for k = 0, 1, …, where L_T is the loss of the last prediction alone.

    ids: (T + 1, B). Relative to k = 0.
    """
    import torch

    states = network.states(ids[:-1], beginning(ids, network))
    gradients = torch.autograd.grad(network.loss(states[-1:], ids[-1:]), states)
    norms = torch.stack(gradients).norm(dim=2).numpy()[::-1][: BACK + 1]
    return np.asarray((norms / norms[0]).mean(axis=1))


def gates(kind: str, steps: int, rng: np.random.Generator) -> np.ndarray:
    """(steps,) what multiplies the gradient on its way back across each step.

    full: 1. truncated: 0 at every CUT-th step. randomised: ξ_t of Tallec & Ollivier (2017), 0 with probability 1/CUT,
    else 1 / (1 - 1/CUT), so that E ξ_t = 1 and the gradient has no bias.
    """
    if kind == "full":
        return np.ones(steps)
    if kind == "truncated":
        return (np.arange(steps) % CUT != 0).astype(float)
    return (rng.random(steps) >= 1 / CUT) / (1 - 1 / CUT)


# Training ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Training:
    """bits: (U,) loss of each minibatch, bits a character; norms: (U,) of the gradients before they were clipped."""

    network: ElmanNetwork
    bits: np.ndarray
    norms: np.ndarray


def fit(
    ids: np.ndarray, size: int, kind: str, clip: float, rate: float, updates: int, rng: np.random.Generator
) -> Training:
    """Plain gradient descent on minibatches in sequence, the state carried on, gradients clipped to ``clip``.

    A training whose loss is no longer finite stops there.
    """
    import torch

    network = ElmanNetwork.random(size, HIDDEN, rng, 0.5)
    bits: list[float] = []
    norms: list[float] = []
    while len(bits) < updates:
        h = network.b.new_zeros((BATCH, HIDDEN))
        for x, y in sequential_batches(ids, BATCH, STEPS, rng):
            block = np.concatenate([x, y[:, -1:]], axis=1).T
            loss, gradients, h = network.gradients(block, h, gates(kind, STEPS, rng))
            norm = math.sqrt(sum(float((g**2).sum()) for g in gradients))
            bits.append(loss / math.log(2))
            norms.append(norm)
            if not math.isfinite(loss) or not math.isfinite(norm) or len(bits) >= updates:
                return Training(network, np.array(bits), np.array(norms))
            with torch.no_grad():
                for p, g in zip(network.parameters, gradients, strict=True):
                    p -= rate * min(1.0, clip / norm) * g
    return Training(network, np.array(bits), np.array(norms))


def held_out_bits(network: ElmanNetwork, ids: np.ndarray) -> float:
    """Bits a character of a text (T,) read in one go; inf where the network has come to nothing."""
    import torch

    column = ids[:, None]
    with torch.no_grad():
        states = network.states(column[:-1], beginning(column, network))
        bits = network.loss(states, column[1:]).item() / math.log(2)
    return bits if math.isfinite(bits) else math.inf


def _biases(ids: np.ndarray, size: int, seed: int) -> dict[str, dict[str, float]]:
    """At first weights of spectral radius 1: how far each kind of gradient for W_h stands from the full one, relatively.

    bias: of the mean over draws of the gates; spread: of single draws around that mean.
    """
    rng = np.random.default_rng([seed, 99])
    network = ElmanNetwork.random(size, HIDDEN, rng, 1.0)
    x = ids[: BATCH * (STEPS + 1)].reshape(BATCH, -1).T

    def gradient(kind: str) -> np.ndarray:
        _, gradients, _ = network.gradients(x, beginning(x, network), gates(kind, STEPS, rng))
        return np.asarray(gradients[1].numpy())

    exact = gradient("full")
    size_of = float(np.linalg.norm(exact))
    biases = {}
    for kind, draws in (("truncated", 1), ("randomised", 200)):
        drawn = np.stack([gradient(kind) for _ in range(draws)])
        mean = drawn.mean(axis=0)
        spread = float(np.sqrt(((drawn - mean) ** 2).sum(axis=(1, 2)).mean()))
        biases[kind] = {"bias": float(np.linalg.norm(mean - exact)) / size_of, "spread": spread / size_of}
    return biases


# What is shown -------------------------------------------------------------------------------------


def _decay(norms: list[dict[str, Any]], radius: float) -> dict[str, float]:
    """The factor a step by which gradients shrink or grow from k = 10 to BACK, for both activations."""
    factors = {}
    for activation in ("tanh", "linear"):
        norm_at = {
            n["k"]: n["norm"] for n in norms if n["radius"] == radius and n["activation"] == activation
        }
        factors[activation] = float((norm_at[BACK] / norm_at[10]) ** (1 / (BACK - 10)))
    return factors


def _reach_chart(norms: list[dict[str, Any]]) -> Chart:
    panels = []
    for activation, title in (("linear", "Without activation"), ("tanh", "With tanh")):
        series = []
        for radius in RADII:
            rows = [n for n in norms if n["radius"] == radius and n["activation"] == activation]
            k = [n["k"] for n in rows]
            name = f"radius {radius:g}"
            series.append(Series(name, k, [n["norm"] for n in rows], "line"))
            if activation == "linear":
                series.append(Series("", k, [radius**i for i in k], "dashed", key=name))
        factors = ", ".join(f"{_decay(norms, radius)[activation]:.2f}" for radius in RADII)
        panels.append(
            Panel(
                f"{title}: times {factors} a step",
                "steps back k",
                "‖∂L/∂h₍ₜ₋ₖ₎‖ relative to k = 0",
                series,
                yscale="log",
            )
        )
    caption = (
        "How much of the last loss's gradient is left k steps back, for recurrent matrices of three spectral radii at "
        "their first weights; dashed: radius^k, the matrix-power argument."
    )
    return Chart("gradients", caption, panels)


def _training_chart(losses: dict[str, list[np.ndarray]]) -> Chart:
    series = []
    for label, of_seeds in losses.items():
        length = min(map(len, of_seeds))
        mean = np.stack([f[:length] for f in of_seeds]).mean(axis=0)
        window = max(1, min(10, length))
        smooth = np.convolve(mean, np.ones(window) / window, "valid")
        kept = np.isfinite(smooth)
        x = np.arange(window, length + 1)[kept]
        series.append(Series(label, x.tolist(), smooth[kept].tolist(), "line"))
    caption = "Training with full, truncated and randomised truncated backpropagation, and without clipping (means of seeds)."
    label = "training loss, bits per character"
    slow, fast = ([s for s in series if ("rate" in s.label) == fast] for fast in (False, True))
    panels = [
        Panel(f"Learning rate {rate}: {_least(shown)} ends lowest", "updates", label, shown)
        for rate, shown in ((1, slow), (2, fast))
    ]
    return Chart("gradients-training", caption, panels)


def _least(series: list[Series]) -> str:
    """The label of the training whose loss, as smoothed, is least in the end; of those that got to the end."""
    last = max(s.x[-1] for s in series if len(s.x))
    return min((s for s in series if len(s.x) and s.x[-1] == last), key=lambda s: s.y[-1] or 0.0).label


def _sentences(
    norms: list[dict[str, Any]],
    runs: list[dict[str, Any]],
    biases: dict[str, dict[str, float]],
    name: str,
    updates: int,
    size: int,
) -> list[str]:
    decay = {r: _decay(norms, r) for r in RADII}
    of: dict[str, np.ndarray] = {
        label: np.array([r["bits_per_char"] for r in runs if r["training"] == label]) for label in TRAININGS
    }
    factors = ", ".join(f"{decay[r]['linear']:.3f} a step at radius {r:g}" for r in RADII)
    sentences = [
        f"Without activation gradients change by {factors}, as the powers of the matrix do; tanh makes that "
        + ", ".join(f"{decay[r]['tanh']:.3f}" for r in RADII)
        + ".",
    ]
    clippings = []
    for rate, label in ((1, "full"), (2, "full, rate 2")):
        clipped = np.mean([r["clipped"] for r in runs if r["training"] == label])
        free = of[f"{label}, not clipped"]
        lost = ~(free < math.log2(size))
        if lost.any():
            cost = f"without it {int(lost.sum())} of {len(free)} trainings end worse than guessing"
        else:
            mean, low, high = paired_interval(free - of[label])
            cost = f"without it held-out text costs {mean:+.3f} ({low:+.3f} to {high:+.3f})"
        clippings.append(
            f"at rate {rate} clipping to norm 1 acts on {clipped:.0%} of the gradients (held out: {of[label].mean():.3f} bits a "
            f"character), and {cost}"
        )
    sentences.append(f"In {updates} updates on {name}, {'; '.join(clippings)}.")
    parts = []
    for label in ("truncated", "randomised"):
        mean, low, high = paired_interval(of[label] - of["full"])
        parts.append(f"{label} {mean:+.3f} bits ({low:+.3f} to {high:+.3f})")
    sentences.append(
        f"Cut every {CUT} steps the gradient of W_h is off by {biases['truncated']['bias']:.0%} at the first weights; "
        f"randomised truncation is off by {biases['randomised']['bias']:.0%} on average of 200 draws but scatters by "
        f"{biases['randomised']['spread']:.0%}. Against full backpropagation, held out: {' and '.join(parts)}."
    )
    return sentences
