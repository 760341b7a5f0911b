"""How far back do gradients reach, and what do clipping and truncation do? (Dive into Deep Learning, 8.5 and 8.7)

The recurrent network is written out in numpy, backward pass included, so that every quantity of 8.7 can be looked at:
∂L/∂h_{t-k} is what the backward loop carries, and a gate on that loop truncates it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from lmbench.charts.chart import Chart, Panel, Series
from lmbench.corpora.corpus import Corpus
from lmbench.models.monitor import Monitor
from lmbench.studies.study import Study, at_least, paired_interval
from lmbench.text.batches import sequential_batches

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
    steps = seeds * len(TRAININGS) + 1

    norms = []
    ids = train.tokens.ids[: BATCH * (BACK + 2)].reshape(BATCH, -1).T
    for radius in RADII:
        for activation in ("tanh", "linear"):
            network = Network.random(size, HIDDEN, np.random.default_rng(seed), radius, activation)
            carried = reach(network, ids)
            norms += [
                {"part": "reach", "radius": radius, "activation": activation, "k": k, "norm": float(n)}
                for k, n in enumerate(carried)
            ]
    biases = _biases(train.tokens.ids, size, seed)

    runs: list[dict[str, Any]] = []
    losses: dict[str, list[np.ndarray]] = {}
    for label, (kind, clip, rate) in TRAININGS.items():
        for number in range(seeds):
            monitor.progress(len(runs), steps, f"{label}, seed {number + 1}")
            rng = np.random.default_rng([seed, number])
            trained = fit(train.tokens.ids[:LEARN_FROM], size, kind, clip, rate, updates, rng)
            bits = held_out_bits(trained.network, valid.tokens.ids[:HELD_OUT])
            losses.setdefault(label, []).append(trained.bits)
            runs.append(
                {
                    "part": "training",
                    "training": label,
                    "seed": number,
                    "bits_per_char": bits,
                    "train_bits": float(trained.bits[-20:].mean()),
                    "clipped": float((trained.norms > 1.0).mean()),  # or would have been
                    "largest_norm": float(trained.norms.max()),
                }
            )
    table = pd.DataFrame([*norms, *runs])
    charts = [_reach_chart(norms), _training_chart(losses)]
    facts = {"bias": biases, "updates": updates, "decay": {str(r): _decay(norms, r) for r in RADII}}
    return Study.of(
        table,
        charts,
        _sentences(norms, runs, biases, corpus.name, updates, size),
        facts,
    )


# The network ---------------------------------------------------------------------------------------


@dataclass
class Network:
    """h_t = φ(W_x[x_t] + h_{t-1} W_h + b), o_t = h_t W_q + c; φ is tanh or (8.7's simplification) nothing."""

    W_x: np.ndarray  # (V, H)
    W_h: np.ndarray  # (H, H)
    b: np.ndarray  # (H,)
    W_q: np.ndarray  # (H, V)
    c: np.ndarray  # (V,)
    activation: str = "tanh"

    @classmethod
    def random(
        cls, size: int, hidden: int, rng: np.random.Generator, radius: float, activation: str = "tanh"
    ) -> Network:
        """W_h has the given spectral radius: the largest absolute value of its eigenvalues."""
        W_h = rng.standard_normal((hidden, hidden))
        W_h *= radius / np.abs(np.linalg.eigvals(W_h)).max()
        W_x, W_q = 0.1 * rng.standard_normal((size, hidden)), 0.1 * rng.standard_normal((hidden, size))
        return cls(W_x, W_h, np.zeros(hidden), W_q, np.zeros(size), activation)

    @property
    def parameters(self) -> list[np.ndarray]:
        return [self.W_x, self.W_h, self.b, self.W_q, self.c]

    def forward(self, ids: np.ndarray, h: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """ids (T, B), h (B, H) -> states (T + 1, B, H), the first of them h, and logits (T, B, V)."""
        states = np.empty((len(ids) + 1, *h.shape))
        states[0] = h
        inputs = self.W_x[ids] + self.b
        for t in range(len(ids)):
            z = inputs[t] + states[t] @ self.W_h
            states[t + 1] = np.tanh(z) if self.activation == "tanh" else z
        return states, states[1:] @ self.W_q + self.c

    def backward(
        self, ids: np.ndarray, states: np.ndarray, d_logits: np.ndarray, gates: np.ndarray
    ) -> tuple[list[np.ndarray], np.ndarray]:
        """Gradients of the parameters, and (T, B, H) those of the states h_1..h_T.

        d_logits: (T, B, V), ∂L/∂o_t. gates: (T,) factors on what flows from h_t back into h_{t-1}; all 1 is the exact
        gradient, a 0 cuts there.
        """
        d_states = d_logits @ self.W_q.T
        d_inner = np.empty_like(d_states)
        for t in range(len(ids) - 1, -1, -1):
            d_inner[t] = d_states[t] * (1 - states[t + 1] ** 2) if self.activation == "tanh" else d_states[t]
            if t:
                d_states[t - 1] += gates[t] * (d_inner[t] @ self.W_h.T)
        flat = d_inner.reshape(-1, d_inner.shape[2])
        # The gate stands between h_{t-1} and its use at t, so W_h's share at t is not gated.
        d_W_h = states[:-1].reshape(-1, flat.shape[1]).T @ flat
        d_W_x = np.zeros_like(self.W_x)
        np.add.at(d_W_x, ids.ravel(), flat)
        d_W_q = states[1:].reshape(-1, flat.shape[1]).T @ d_logits.reshape(-1, d_logits.shape[2])
        return [d_W_x, d_W_h, flat.sum(axis=0), d_W_q, d_logits.sum(axis=(0, 1))], d_states


def cross_entropy(logits: np.ndarray, targets: np.ndarray) -> tuple[float, np.ndarray]:
    """Mean loss in nats, and its gradient in the logits (T, B, V)."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    t, b = np.indices(targets.shape)
    gradient = np.exp(log_p)
    gradient[t, b, targets] -= 1
    return float(-log_p[t, b, targets].mean()), gradient / targets.size


def reach(network: Network, ids: np.ndarray) -> np.ndarray:
    """(BACK + 1,) the mean norm of ∂L_T/∂h_{T-k} for k = 0, 1, …, where L_T is the loss of the last prediction alone.

    ids: (T + 1, B). Relative to k = 0.
    """
    states, logits = network.forward(ids[:-1], np.zeros((ids.shape[1], len(network.b))))
    _, gradient = cross_entropy(logits[-1:], ids[-1:])
    only_last = np.zeros_like(logits)
    only_last[-1] = gradient[0]
    _, d_states = network.backward(ids[:-1], states, only_last, np.ones(len(ids) - 1))
    norms = np.linalg.norm(d_states, axis=2)[::-1][: BACK + 1]
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

    network: Network
    bits: np.ndarray
    norms: np.ndarray


def fit(
    ids: np.ndarray, size: int, kind: str, clip: float, rate: float, updates: int, rng: np.random.Generator
) -> Training:
    """Plain gradient descent on minibatches in sequence, the state carried on, gradients clipped to ``clip``.

    A training whose loss is no longer finite stops there.
    """
    network = Network.random(size, HIDDEN, rng, 0.5)
    bits: list[float] = []
    norms: list[float] = []
    with np.errstate(over="ignore", invalid="ignore"):
        while len(bits) < updates:
            h = np.zeros((BATCH, HIDDEN))
            for x, y in sequential_batches(ids, BATCH, STEPS, rng):
                states, logits = network.forward(x.T, h)
                loss, d_logits = cross_entropy(logits, y.T)
                found, _ = network.backward(x.T, states, d_logits, gates(kind, STEPS, rng))
                norm = math.sqrt(sum(float((g**2).sum()) for g in found))
                bits.append(loss / math.log(2))
                norms.append(norm)
                if not math.isfinite(loss) or not math.isfinite(norm) or len(bits) >= updates:
                    return Training(network, np.array(bits), np.array(norms))
                for p, g in zip(network.parameters, found, strict=True):
                    p -= rate * min(1.0, clip / norm) * g
                h = states[-1]
    return Training(network, np.array(bits), np.array(norms))


def held_out_bits(network: Network, ids: np.ndarray) -> float:
    """Bits a character of a text read in one go; inf where the network has come to nothing."""
    with np.errstate(over="ignore", invalid="ignore"):
        _, logits = network.forward(ids[:-1, None], np.zeros((1, len(network.b))))
        bits = cross_entropy(logits, ids[1:, None])[0] / math.log(2)
    return bits if math.isfinite(bits) else math.inf


def _biases(ids: np.ndarray, size: int, seed: int) -> dict[str, dict[str, float]]:
    """At first weights of spectral radius 1: how far each kind of gradient for W_h stands from the full one, relatively.

    bias: of the mean over draws of the gates; spread: of single draws around that mean.
    """
    rng = np.random.default_rng([seed, 99])
    network = Network.random(size, HIDDEN, rng, 1.0)
    x = ids[: BATCH * (STEPS + 1)].reshape(BATCH, -1).T
    states, logits = network.forward(x[:-1], np.zeros((BATCH, HIDDEN)))
    _, d_logits = cross_entropy(logits, x[1:])

    def gradient(kind: str) -> np.ndarray:
        return network.backward(x[:-1], states, d_logits, gates(kind, STEPS, rng))[0][1]

    exact = gradient("full")
    size_of = float(np.linalg.norm(exact))
    found = {}
    for kind, draws in (("truncated", 1), ("randomised", 200)):
        drawn = np.stack([gradient(kind) for _ in range(draws)])
        mean = drawn.mean(axis=0)
        spread = float(np.sqrt(((drawn - mean) ** 2).sum(axis=(1, 2)).mean()))
        found[kind] = {"bias": float(np.linalg.norm(mean - exact)) / size_of, "spread": spread / size_of}
    return found


# What is shown -------------------------------------------------------------------------------------


def _decay(norms: list[dict[str, Any]], radius: float) -> dict[str, float]:
    """The factor a step by which gradients shrink or grow from k = 10 to BACK, for both activations."""
    found = {}
    for activation in ("tanh", "linear"):
        at = {n["k"]: n["norm"] for n in norms if n["radius"] == radius and n["activation"] == activation}
        found[activation] = float((at[BACK] / at[10]) ** (1 / (BACK - 10)))
    return found


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
        panels.append(Panel(title, "steps back k", "‖∂L/∂h₍ₜ₋ₖ₎‖ relative to k = 0", series, yscale="log"))
    caption = (
        "How much of the last loss's gradient is left k steps back, for recurrent matrices of three spectral radii at "
        "their first weights; dashed: radius^k, the matrix-power argument."
    )
    return Chart("gradients", caption, panels)


def _training_chart(losses: dict[str, list[np.ndarray]]) -> Chart:
    series = []
    for label, found in losses.items():
        length = min(map(len, found))
        mean = np.stack([f[:length] for f in found]).mean(axis=0)
        window = max(1, min(10, length))
        smooth = np.convolve(mean, np.ones(window) / window, "valid")
        kept = np.isfinite(smooth)
        x = np.arange(window, length + 1)[kept]
        series.append(Series(label, x.tolist(), smooth[kept].tolist(), "line"))
    caption = "Training with full, truncated and randomised truncated backpropagation, and without clipping (means of seeds)."
    label = "training loss, bits per character"
    slow, fast = ([s for s in series if ("rate" in s.label) == fast] for fast in (False, True))
    panels = [
        Panel("Learning rate 1", "updates", label, slow),
        Panel("Learning rate 2", "updates", label, fast),
    ]
    return Chart("gradients-training", caption, panels)


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
    found = [
        f"Without activation gradients change by {factors}, as the powers of the matrix do; tanh makes that "
        + ", ".join(f"{decay[r]['tanh']:.3f}" for r in RADII)
        + ".",
    ]
    told = []
    for rate, label in ((1, "full"), (2, "full, rate 2")):
        clipped = np.mean([r["clipped"] for r in runs if r["training"] == label])
        free = of[f"{label}, not clipped"]
        lost = ~(free < math.log2(size))
        if lost.any():
            cost = f"without it {int(lost.sum())} of {len(free)} trainings end worse than guessing"
        else:
            mean, low, high = paired_interval(free - of[label])
            cost = f"without it held-out text costs {mean:+.3f} ({low:+.3f} to {high:+.3f})"
        told.append(
            f"at rate {rate} clipping to norm 1 acts on {clipped:.0%} of the gradients (held out: {of[label].mean():.3f} bits a "
            f"character), and {cost}"
        )
    found.append(f"In {updates} updates on {name}, {'; '.join(told)}.")
    parts = []
    for label in ("truncated", "randomised"):
        mean, low, high = paired_interval(of[label] - of["full"])
        parts.append(f"{label} {mean:+.3f} bits ({low:+.3f} to {high:+.3f})")
    found.append(
        f"Cut every {CUT} steps the gradient of W_h is off by {biases['truncated']['bias']:.0%} at the first weights; "
        f"randomised truncation is off by {biases['randomised']['bias']:.0%} on average of 200 draws but scatters by "
        f"{biases['randomised']['spread']:.0%}. Against full backpropagation, held out: {' and '.join(parts)}."
    )
    return found
