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


def newton(
    features: np.ndarray, ids: np.ndarray, prior: np.ndarray, strength: float, looks: np.ndarray | None = None
) -> np.ndarray:
    """(K,) the w that minimises Σ_t -ln softmax(w · f_t)[x_t] + strength/2 |w - prior|², which is convex.

    features: (T, K, V). looks: (T, J), what is known at each token: then the weights there are W · look, and prior and what is returned
    are (K, J).
    """
    looks = np.ones((len(ids), 1)) if looks is None else looks
    shape, contexts, width = prior.shape, features.shape[1], looks.shape[1]
    number = max(1, features.size // (1 << 22))
    blocks = list(zip(*(np.array_split(a, number) for a in (features, ids, looks)), strict=True))

    def measure(w: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        """Value, gradient and curvature at w, (K J,)."""
        value, gradient = strength / 2 * float(((w - prior.ravel()) ** 2).sum()), np.zeros((contexts, width))
        curvature = np.zeros((contexts**2, width**2))
        for f, symbols, look in blocks:
            places = np.arange(len(f))
            scores = np.einsum("tk,tkv->tv", (look @ w.reshape(contexts, width).T).astype(f.dtype), f)
            top = scores.max(axis=1)
            p = np.exp(scores - top[:, None])
            total = p.sum(axis=1)
            p /= total[:, None]
            value += float((np.log(total) + top - scores[places, symbols]).sum())
            mean = np.einsum("tkv,tv->tk", f, p)
            gradient += (mean - f[places, :, symbols]).T @ look
            spread = (f - mean[:, :, None]) * np.sqrt(p)[:, None, :]
            squares = (spread @ spread.transpose(0, 2, 1)).reshape(len(f), -1)
            curvature += squares.T @ (look[:, :, None] * look[:, None, :]).reshape(len(f), -1)
        curvature = curvature.reshape(contexts, contexts, width, width).transpose(0, 2, 1, 3)
        flat = curvature.reshape(contexts * width, -1) + strength * np.eye(contexts * width)
        return value, gradient.ravel() + strength * (w - prior.ravel()), flat

    w = prior.ravel().astype(np.float64)
    value, gradient, curvature = measure(w)
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
    return w.reshape(shape)
