"""Log-linear mixtures of distributions: p ∝ ∏_i p_i^w_i, with the same weights at all tokens."""

from __future__ import annotations

import numpy as np

from lmbench.errors import InputError
from lmbench.text.vocab import Vocab

LARGEST_VOCAB = 4096


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
