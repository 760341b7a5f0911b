r"""How far a mean over a text may be from the mean over all such text: the error of a mean of dependent losses.

Losses of neighbouring tokens depend on each other, and in real text the dependence has no end: words, speakers, topics
and chapters each make a stretch easier or harder, so that the spread of means over stretches of n characters falls
like n^-0.2 (plays) to n^-0.35 (news), not like n^-0.5. An error bar that assumes independence beyond some block, however
that is chosen, holds the truth less and less often as a text grows. Two ways out, by what the text is made of:

- **documents** (``of_documents``): whole documents are the units. The delete-one-document jackknife of the ratio with
  Student's t and the degrees of freedom of Satterthwaite (Bell & McCaffrey 2002; MacKinnon, Nielsen & Webb 2022),
  under the assumption that documents differ in level, so that a long one says no more of the level than a short one.
- **one stream** (``of_stream``): the text is cut into 2^J cells, and Haar's wavelet, differences of neighbouring halves, gives
  the variance D(m) at every scale m = 2^-J … 1/2 of the text; details of different scales are nearly independent even under
  long memory (Abry & Veitch 1998). If D(m) is known as a function, the variance of the text's own mean is the sum of
  what is coarser than the text: V = D(1) + D(2) + D(4) + …. Models of D: white, σ²/m; and white plus a long memory that
  takes over beyond a crossover m*, σ² ((m/m*)^-1 + (m/m*)^-2β), β = 0.10. The text itself weighs them, by their likelihood, from
  equal odds of white and long; the error's distribution is the mixture.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from lmbench.comparing.student import density, tail

SCALES = 8  # octaves of a stream at most: 2^8 cells
DETAILS = 32  # of one octave that count: finer ones say much of the fine scales and little of the text's own
TOKENS_A_CELL = 8  # at least
FEWEST_CELLS = 8  # fewer say nothing of a stream
DECAY = 0.10  # β: the spread of means over n characters falls like n^-β where memory is long
WHITE = 0.5  # prior odds that nothing is longer than the finest scale
WHITE_DOCUMENTS = 0.85  # the same for documents, which are meant to be independent
FEWEST_DOCUMENTS = 3.0  # effective documents below which no interval is given
NORMAL = 1.959963984540054  # the 97.5% quantile of the normal distribution
MANY_DOCUMENTS = 64  # from here on it can be seen whether neighbouring documents depend on each other


@dataclass(frozen=True)
class Errors:
    """The distribution of the errors of P means: mixtures of C scaled Student t, symmetric around 0.

    weights, scales, freedom: (P, C) float64; weights sum to 1 over C; scales in the unit of the means.
    """

    weights: np.ndarray
    scales: np.ndarray
    freedom: np.ndarray

    def p_value(self, estimate: np.ndarray) -> np.ndarray:
        """(P,): the probability of an error as large as ``estimate`` (P,) in either direction; 1 where both are 0."""
        ratio = np.divide(
            np.abs(estimate)[:, None], self.scales, out=np.zeros_like(self.scales), where=self.scales > 0
        )
        tails = tail(self.freedom, ratio)
        tails = np.where((self.scales == 0) & (np.abs(estimate)[:, None] > 0), 0.0, tails)
        return np.minimum((self.weights * tails).sum(axis=1), 1.0)

    def half_width(self, level: float | np.ndarray = 0.95) -> np.ndarray:
        """(P,): of the symmetric interval that holds an error with probability ``level`` (scalar or (P,))."""
        alpha = np.broadcast_to(1 - np.asarray(level, dtype=np.float64), len(self.weights))
        half = 2 * (self.weights * self.scales).sum(axis=1)
        some = half > 0
        low, high = half * 1e-30, half * 1e30
        # Newton's method on the logarithms of the tail and of the half width, in which tails are nearly straight lines.
        for tried in range(100):
            probability = np.maximum(self.p_value(half), 1e-300)
            excess = np.where(some, np.log(probability / alpha), 0.0)
            if (np.abs(excess) < 1e-12).all():
                break
            low, high = np.where(excess > 0, half, low), np.where(excess > 0, high, half)
            slope = np.where(some, self._density(half) * half / probability, 1.0)
            step = half * np.exp(np.clip(excess / np.maximum(slope, 1e-300), -60, 60))
            # Where components of very different scales take turns, halving the interval is what gets on.
            newton = (step > low) & (step < high) & (tried < 20 or tried % 2 > 0)
            half = np.where(newton, step, np.sqrt(low * high))
        return np.where(some, half, 0.0)

    def _density(self, x: np.ndarray) -> np.ndarray:
        """(P,): twice the density at x > 0 (P,)."""
        safe = np.where(self.scales > 0, self.scales, 1.0)
        each = np.where(self.scales > 0, density(self.freedom, x[:, None] / safe) / safe, 0.0)
        return (self.weights * each).sum(axis=1)

    def standard_error(self) -> np.ndarray:
        """(P,): half of the 95% interval over 1.96, finite whatever the degrees of freedom."""
        return self.half_width() / NORMAL

    def beside(self, error: float | np.ndarray, freedom: float | np.ndarray) -> Errors:
        """With an independent error more, of so many degrees of freedom (Welch 1947); none where it is 0."""
        more = np.broadcast_to(np.asarray(error, dtype=np.float64), len(self.weights))[:, None] ** 2
        own = self.scales**2
        total = own + more
        parts = own**2 / self.freedom + more**2 / np.reshape(freedom, (-1, 1))
        both = np.divide(total**2, parts, out=np.full_like(total, 1e6), where=parts > 0)
        return Errors(self.weights, np.sqrt(total), both)

    def times(self, factor: float) -> Errors:
        return Errors(self.weights, self.scales * factor, self.freedom)

    def where(self, choose: np.ndarray, other: Errors) -> Errors:
        """Of ``choose`` (P,) bool these errors, else the other's."""
        size = max(self.weights.shape[1], other.weights.shape[1])
        mine, theirs = self._padded(size), other._padded(size)
        pick = choose[:, None]
        return Errors(
            np.where(pick, mine.weights, theirs.weights),
            np.where(pick, mine.scales, theirs.scales),
            np.where(pick, mine.freedom, theirs.freedom),
        )

    def _padded(self, size: int) -> Errors:
        pad = ((0, 0), (0, size - self.weights.shape[1]))
        return Errors(
            np.pad(self.weights, pad), np.pad(self.scales, pad), np.pad(self.freedom, pad, constant_values=1)
        )


def of_stream(residuals: np.ndarray, total: float, white: float = WHITE) -> Errors:
    """Of the ratio Σ loss / Σ length over one stream, from its residuals in 2^J cells of about one length.

    residuals: (K, P) float64, K = 2^J ≥ 2, of each cell Σ loss - ratio · Σ length, for P losses at once. total: Σ length.
    white: the prior probability that there is no long memory, 0 < white < 1.
    """
    scales, variances, counts = details(residuals / total)
    weights = np.minimum(counts, DETAILS).astype(np.float64)
    shapes, coarser, prior = _models(scales, white)
    freedom = weights.sum()
    # (P, C): the variance of the text's scale under each model, by likelihood, the level integrated out (Jeffreys).
    level = np.einsum("j,jp,cj->pc", weights, variances, 1 / shapes) / freedom
    nothing = level[:, :1] <= 0
    logs = np.log(prior) - 0.5 * (np.log(shapes) @ weights)
    logs = logs - freedom / 2 * np.log(np.where(level > 0, level, 1.0))
    logs = np.exp(logs - logs.max(axis=1, keepdims=True))
    odds = np.where(nothing, prior, logs / logs.sum(axis=1, keepdims=True))
    return Errors(odds, np.sqrt(level * coarser), np.full_like(odds, freedom))


def details(cells: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Haar's details of (2^J, P) cells whose sum is a mean: scales (J,) in texts, mean squares (J, P), counts (J,).

    A detail of scale m is half the difference of the means of two neighbouring stretches of length m.
    """
    scales, variances, counts = [], [], []
    scale = 1 / len(cells)
    while len(cells) > 1:
        a, b = cells[0::2], cells[1::2]
        scales.append(scale)
        variances.append((((a - b) / (2 * scale)) ** 2).mean(axis=0))
        counts.append(len(a))
        cells, scale = a + b, 2 * scale
    return np.array(scales), np.array(variances), np.array(counts)


def _models(scales: np.ndarray, white: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Shapes (C, J) of D at the scales, Σ over the scales from the text's own on (C,), prior probabilities (C,)."""
    cross = 2.0 ** np.arange(math.log2(scales[0]) - 3, 1)[:, None]
    shapes = (scales / cross) ** -1 + (scales / cross) ** (-2 * DECAY)
    coarser = cross / (1 - 0.5) + cross ** (2 * DECAY) / (1 - 2 ** (-2 * DECAY))
    shapes = np.concatenate([1 / scales[None, :], shapes])
    coarser = np.append(1 / (1 - 0.5), coarser[:, 0])
    return shapes, coarser, np.append(white, np.full(len(cross), (1 - white) / len(cross)))


def of_documents(residuals: np.ndarray, lengths: np.ndarray) -> Errors:
    """Of the ratio Σ loss / Σ length over documents: delete-one jackknife, Satterthwaite's degrees of freedom.

    residuals: (D, P), D ≥ 2, of each document Σ loss - ratio · Σ length; lengths: (D,). The degrees of freedom are those of the
    jackknife's variance where documents differ in level: variances of their residuals as the squares of their lengths.
    """
    n, total = lengths.astype(np.float64), float(lengths.sum())
    count = len(n)
    weights = (count - 1) / count / (total - n) ** 2
    variance = weights @ residuals**2
    # E and Var of uᵀ A u, u independent with variances n²; A = Mᵀ W M, M = I - n 1ᵀ / Σn; in O(D).
    s = n**2
    a = weights * n / total
    c = float((weights * n**2).sum()) / total**2
    mean = float(((weights - 2 * a + c) * s).sum())
    s0, sa, saa = float(s.sum()), float((a * s).sum()), float((a**2 * s).sum())
    cross = 2 * s0 * saa + c**2 * s0**2 + 2 * sa**2 - 4 * c * sa * s0
    square = float((weights**2 * s**2).sum()) + 2 * float((weights * s**2 * (c - 2 * a)).sum()) + cross
    freedom = mean**2 / square if square > 0 else 1.0
    shape = (residuals.shape[1], 1)
    return Errors(np.ones(shape), np.sqrt(variance)[:, None], np.full(shape, freedom))


def effective_documents(lengths: np.ndarray) -> float:
    """(Σ n)² / Σ n²: how many documents of one length would say as much (Kish 1965; Carter et al. 2017 where ρ = 1)."""
    n = lengths.astype(np.float64)
    return float(n.sum() ** 2 / (n**2).sum()) if n.any() else 0.0
