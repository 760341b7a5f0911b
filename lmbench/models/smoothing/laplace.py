"""Recursive Laplace smoothing, order by order: each order is smoothed towards the one below."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np

from lmbench.counts.blocks import Block, Counts
from lmbench.errors import InputError
from lmbench.models.base import Traits
from lmbench.models.options import option
from lmbench.models.smoothing.backoff import CountModel, interpolate
from lmbench.models.smoothing.table import Backoff
from lmbench.text.tokens import Tokens

_GRID = [float(x) for x in np.log(10.0) * np.arange(-3, 7)]  # ln ε tried first; the best is then refined


@dataclass(kw_only=True, eq=False)
class Laplace(CountModel):
    """p(x) = (n(x) + ε₁/V) / (n + ε₁);  p(w | h) = (n(h w) + ε_k p(w | h')) / (n(h) + ε_k).

    h' is h without its first word, n(h) how often h occurs as a context, ε_k the constant of order k. It is the
    smoothing of Dive into Deep Learning 8.2 and 8.3, and the predictive distribution of a hierarchical Dirichlet
    prior (MacKay & Peto 1995), whose ε they too choose by likelihood. ε_k = 0 leaves relative frequencies.
    """

    order: int = option(3, "the longest n-grams; 1: words alone")
    eps: tuple[float, ...] | Literal["tune"] = option(
        "tune", "smoothing constants, one an order (or one for all); tune: chosen on held-out text"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.eps == "tune":
            return
        if len(self.eps) not in (1, self.order):
            raise InputError(
                f"option eps has {len(self.eps)} numbers for order {self.order}; give {self.order}, or one for all"
            )
        if not all(0 <= e < np.inf for e in self.eps):
            raise InputError(
                f"option eps={','.join(map(str, self.eps))}: numbers must be 0 or more, and finite"
            )

    @property
    def traits(self) -> Traits:
        return Traits(held_out="needed" if self.eps == "tune" else "no")

    def _estimate(self, counts: Counts, train: Tokens, valid: Tokens | None) -> Backoff:
        if self.eps != "tune":
            eps = self.eps * self.order if len(self.eps) == 1 else self.eps
        else:
            assert valid is not None  # fit has seen to it
            eps = tune(counts, valid)
            self.notes.append(f"eps={','.join(f'{e:.4g}' for e in eps)} chosen on held-out text")
        return interpolate(counts, partial(_parts, eps))


def _parts(eps: tuple[float, ...], block: Block) -> tuple[np.ndarray, np.ndarray]:
    e = eps[block.k - 1]
    # n(h) + ε is 0 where ε is and h ends a document: then the shorter context decides, as when ε → 0.
    total = block.total + e
    share = np.divide(e, total, out=np.ones(len(total)), where=total > 0)
    return block.n / total[block.prefixes], share


def frequencies(block: Block) -> tuple[np.ndarray, np.ndarray]:
    """(1, n) how often each n-gram occurs, (1, size) how often each context does."""
    return block.n[None], block.total[None]


def tune(counts: Counts, valid: Tokens) -> tuple[float, ...]:
    """(order,) the ε that make the held-out text likeliest, each in turn until the gain is negligible."""
    observed = counts.observed(valid, frequencies)
    grams, totals = ([column[0] for column in columns] for columns in zip(*observed, strict=True))
    log_eps: list[float] = []

    def likelihood(k: int, value: float) -> float:
        """Of the held-out text, with ln ε_{k+1} = value and the others as they are."""
        p: np.ndarray | float = 1 / counts.vocab_size
        for e, gram, total in zip(
            np.exp([*log_eps[:k], value, *log_eps[k + 1 :]]), grams, totals, strict=False
        ):
            p = (gram + e * p) / (total + e)
        return float(np.log(p).sum())

    for k in range(counts.order):
        log_eps.append(max(_GRID, key=partial(likelihood, k)))
    best, gain = likelihood(0, log_eps[0]), np.inf
    while gain > 1e-7 * abs(best):
        for k in range(counts.order):
            log_eps[k] = _golden_section(partial(likelihood, k), log_eps[k] - 2, log_eps[k] + 2)
        before, best = best, likelihood(0, log_eps[0])
        gain = best - before
    return tuple(float(e) for e in np.exp(log_eps))


def _golden_section(f: Callable[[float], float], low: float, high: float) -> float:
    """Where f is highest in [low, high], if it rises and then falls, to a thousandth of the interval."""
    step = (5**0.5 - 1) / 2
    a, b = high - step * (high - low), low + step * (high - low)
    f_a, f_b = f(a), f(b)
    for _ in range(14):
        if f_a > f_b:
            high, b, f_b = b, a, f_a
            a = high - step * (high - low)
            f_a = f(a)
        else:
            low, a, f_a = a, b, f_b
            b = low + step * (high - low)
            f_b = f(b)
    return (low + high) / 2
