"""Logarithms of the probabilities of models that call nothing impossible."""

from __future__ import annotations

import numpy as np

LEAST = float(np.finfo(np.float64).tiny)  # what a probability is taken for that is less than a number can be


def logs_of(p: np.ndarray) -> np.ndarray:
    """Nats, of probabilities ≥ 0, which are written over.

    >>> logs_of(np.array([1.0, 0.5, 0.0])).round(3).tolist()
    [0.0, -0.693, -708.396]
    """
    return np.log(np.maximum(p, LEAST, out=p), out=p)
