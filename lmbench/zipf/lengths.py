"""How a rank exponent moves with the length of a text, and how it varies from one stretch to another."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lmbench.counts import ngram_counts
from lmbench.zipf.fits import fit_ranks
from lmbench.zipf.ranks import RankCurve

PARTS = (1, 4, 8, 16, 32)
LEAST = 200  # tokens of a stretch


@dataclass(frozen=True)
class LengthFit:
    """α by rank likelihood of the 1-grams in stretches of one length.

    length: tokens of a stretch. parts: how many of them stand side by side in the text. alpha: their mean; low, high:
    its 95% interval by Student's t over the stretches (nan for one). It is an interval for texts of this length from
    where the text came from, as far as stretches are independent of one another: longer ones are more so.
    deviation: over the stretches; shuffled_alpha, shuffled_deviation: the same with the text's tokens in random order.
    Where deviation is the larger, words come in bursts, and error bars that take tokens for independent are too narrow
    (Gerlach & Altmann, "Testing statistical laws in complex systems", Physical Review Letters 122, 2019).
    """

    length: int
    parts: int
    alpha: float
    low: float
    high: float
    deviation: float
    shuffled_alpha: float
    shuffled_deviation: float


def fit_by_length(ids: np.ndarray, rng: np.random.Generator, parts: Sequence[int] = PARTS) -> list[LengthFit]:
    """The text cut into so many stretches of equal length, longest first; ids: (T,). Stretches under LEAST are left out."""
    shuffled = rng.permutation(ids)
    fits = []
    for number in parts:
        length = len(ids) // number
        if length < LEAST and number > 1:
            break
        own, random = (
            _exponents(order[: length * number].reshape(number, length)) for order in (ids, shuffled)
        )
        alpha, low, high = _interval(own)
        spreads = [float(a.std(ddof=1)) if number > 1 else math.nan for a in (own, random)]
        fits.append(LengthFit(length, number, alpha, low, high, spreads[0], float(random.mean()), spreads[1]))
    return fits


def _exponents(stretches: np.ndarray) -> np.ndarray:
    """(parts,) α of each row of (parts, length) ids."""
    counts = [ngram_counts(stretch, orders=(1,))[1] for stretch in stretches]
    return np.array([fit_ranks(RankCurve.of(c), shifted=False).alpha for c in counts])


def _interval(values: np.ndarray) -> tuple[float, float, float]:
    """Mean and 95% interval (Student's t)."""
    from scipy.stats import t

    mean = float(values.mean())
    if len(values) < 2:
        return mean, math.nan, math.nan
    half = float(t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / math.sqrt(len(values)))
    return mean, mean - half, mean + half
