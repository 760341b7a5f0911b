"""Log-linear mixtures of distributions: p ∝ ∏_i p_i^w_i, with weights for all tokens or weights that look at each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np

from lmbench.errors import InputError
from lmbench.models.saved import saved_array
from lmbench.text.vocab import Vocab

LARGEST_VOCAB = 4096
HIDDEN = 64
_EPOCHS = 8
_BATCH = 256
_RATE = 3e-3
_DROPOUT = 0.2
_DECAY = (0.9, 0.999)  # of Adam's running means


def small_enough(vocab: Vocab, what: str, instead: str) -> Vocab:
    """The vocabulary, for a model that works with whole distributions; raises InputError where it is too large for that."""
    if len(vocab) > LARGEST_VOCAB:
        raise InputError(
            f"{what} is for characters or bytes; {len(vocab)} tokens are more than {LARGEST_VOCAB}; use {instead}"
        )
    return vocab


def log_softmax(scores: np.ndarray) -> np.ndarray:
    """Scores less the logarithm of their sum of exponentials, along the last axis."""
    scores = scores - scores.max(axis=-1, keepdims=True)
    return scores - np.log(np.exp(scores).sum(axis=-1, keepdims=True))


def newton(features: np.ndarray, ids: np.ndarray, prior: np.ndarray, strength: float) -> np.ndarray:
    """(K,) the w that minimises Σ_t -ln softmax(w · f_t)[x_t] + strength/2 |w - prior|², which is convex."""
    observed = np.take_along_axis(features, ids[:, None, None], axis=2)[:, :, 0].sum(axis=0, dtype=np.float64)
    blocks = np.array_split(features, max(1, features.size // (1 << 22)))

    def measure(w: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        """Value, gradient and curvature at w."""
        value, gradient, curvature = 0.0, -observed, np.zeros((len(w), len(w)))
        for f in blocks:
            scores = np.einsum("k,tkv->tv", w.astype(f.dtype), f)
            top = scores.max(axis=1, keepdims=True)
            p = np.exp(scores - top)
            total = p.sum(axis=1, keepdims=True)
            p /= total
            value += float(np.log(total).sum() + top.sum())
            mean = np.einsum("tkv,tv->tk", f, p)
            spread = (f - mean[:, :, None]) * np.sqrt(p)[:, None, :]
            gradient = gradient + mean.sum(axis=0)
            spread = spread.transpose(1, 0, 2).reshape(len(w), -1)
            curvature += spread @ spread.T
        value -= float(w @ observed)
        value += strength / 2 * float(((w - prior) ** 2).sum())
        return (
            value,
            gradient + strength * (w - prior),
            curvature + strength * np.eye(len(w)),
        )

    w, (value, gradient, curvature) = prior, measure(prior)
    for _ in range(20):
        step = np.linalg.solve(curvature, gradient)
        if gradient @ step < 1e-4:
            break
        size = 1.0
        while size > 1e-3:
            trial = measure(w - size * step)
            if trial[0] < value:
                w, (value, gradient, curvature) = w - size * step, trial
                break
            size /= 2
        else:
            break
    return w


# Weights that look at each token -------------------------------------------------------------------


@dataclass(frozen=True)
class Gate:
    """w(e) = tanh(((e - mean) / spread) A + a) B + b: the weights of K distributions, given E numbers about a token.

    mean, spread: (E,); A: (E, HIDDEN); a: (HIDDEN,); B: (HIDDEN, K); b: (K,).
    """

    mean: np.ndarray
    spread: np.ndarray
    A: np.ndarray
    a: np.ndarray
    B: np.ndarray
    b: np.ndarray

    def weights(self, evidence: np.ndarray) -> np.ndarray:
        """(T, K) float64, of any sign, given (T, E)."""
        raw: np.ndarray = np.tanh((evidence - self.mean) / self.spread @ self.A + self.a) @ self.B + self.b
        return raw

    def arrays(self) -> dict[str, np.ndarray]:
        return {f.name: getattr(self, f.name) for f in fields(self)}

    @classmethod
    def saved(cls, state: Mapping[str, np.ndarray], begin: str, width: int, size: int) -> Gate:
        """What ``arrays`` gave, of E = width and K = size, under names that begin so; raises InputError where it is not that."""
        shapes = {
            "mean": (width,),
            "spread": (width,),
            "A": (width, HIDDEN),
            "a": (HIDDEN,),
            "B": (HIDDEN, size),
            "b": (size,),
        }
        gate = cls(**{name: saved_array(state, begin + name, shape) for name, shape in shapes.items()})
        if not (
            all(np.isfinite(array).all() for array in gate.arrays().values()) and (gate.spread > 0).all()
        ):
            raise InputError("the weights of the contexts are not finite numbers")
        return gate


def learn_gate(features: np.ndarray, evidence: np.ndarray, ids: np.ndarray, rng: np.random.Generator) -> Gate:
    """A gate that makes tokens likely, by Adam (Kingma & Ba 2015) with dropout, from the best common weights on.

    features: (T, K, V) float32 log-probabilities. evidence: (T, E). ids: (T,) what came.
    """
    size = features.shape[1]
    common = newton(features, ids, np.full(size, 1 / size), 1.0)
    mean, spread = evidence.mean(axis=0, dtype=np.float64), evidence.std(axis=0, dtype=np.float64) + 0.01
    z = ((evidence - mean) / spread).astype(np.float32)
    width = z.shape[1]
    weights = [
        rng.normal(0.0, width**-0.5, (width, HIDDEN)).astype(np.float32),
        np.zeros(HIDDEN, dtype=np.float32),
        np.zeros((HIDDEN, size), dtype=np.float32),
        common.astype(np.float32),
    ]
    moments = [(np.zeros_like(p), np.zeros_like(p)) for p in weights]
    starts = range(0, len(ids), _BATCH)
    for step in range(1, _EPOCHS * len(starts) + 1):
        if (step - 1) % len(starts) == 0:
            order = rng.permutation(len(ids))
        begin = starts[(step - 1) % len(starts)]
        rows = order[begin : begin + _BATCH]
        mask = (rng.random((len(rows), HIDDEN)) >= _DROPOUT).astype(np.float32) / np.float32(1 - _DROPOUT)
        rate = _RATE * (1 - (step - 1) / (_EPOCHS * len(starts)))
        _, gradients = gate_loss(weights, features[rows], z[rows], ids[rows], mask)
        for p, g, (first, second) in zip(weights, gradients, moments, strict=True):
            first += (1 - _DECAY[0]) * (g - first)
            second += (1 - _DECAY[1]) * (g * g - second)
            large = np.sqrt(second / (1 - _DECAY[1] ** step)) + 1e-8
            p -= rate / (1 - _DECAY[0] ** step) * first / large
    A, a, B, b = (p.astype(np.float64) for p in weights)
    return Gate(mean, spread, A, a, B, b)


def gate_loss(
    weights: list[np.ndarray], features: np.ndarray, z: np.ndarray, ids: np.ndarray, mask: np.ndarray
) -> tuple[float, list[np.ndarray]]:
    """The mean of -ln p(ids) in nats, and its gradients by A, a, B and b (``weights``).

    features: (T, K, V), z: (T, E) scaled evidence, ids: (T,), mask: (T, HIDDEN), which hidden units count.
    """
    A, a, B, b = weights
    hidden = np.tanh(z @ A + a)
    kept = hidden * mask
    w = kept @ B + b
    p = log_softmax(np.matmul(w[:, None], features)[:, 0])
    t = np.arange(len(ids))
    loss = -float(p[t, ids].mean())
    np.exp(p, out=p)
    p[t, ids] -= 1
    p /= len(ids)
    by_w = np.matmul(features, p[:, :, None])[:, :, 0]
    by_hidden = (by_w @ B.T) * mask * (1 - hidden * hidden)
    return loss, [z.T @ by_hidden, by_hidden.sum(axis=0), kept.T @ by_w, by_w.sum(axis=0)]
