"""Smaller models of anything in backoff form: n-grams dropped that are hardly missed, probabilities rounded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from lmbench.counts.blocks import sum_by
from lmbench.models.smoothing.table import Backoff


def prune_by_entropy(table: Backoff, threshold: float, histories: Sequence[np.ndarray]) -> Backoff:
    """Drops each n-gram without which the perplexity would rise by less than ``threshold`` (1e-8: 0.000001%).

    Stolcke 1998, Entropy-based pruning of backoff language models: every n-gram is judged as if it alone were
    dropped, from the highest order down, and stays where a longer one that is kept begins with it. histories: for
    each order k from 0 below the highest, (N_k,) the probability of meeting each n-gram as a context: under
    Kneser-Ney its relative frequency, since the lower orders are no marginals (Chelba et al. 2010).
    """
    keep: list[np.ndarray] = []
    for k in range(table.order, 1, -1):
        kept = np.expm1(losses(table, k, histories[k - 1])) >= threshold
        if keep:
            kept[table.prefixes(k + 1)[keep[0]]] = True
        keep.insert(0, kept)
    return normalised(table.select(keep)) if keep else table


def model_histories(table: Backoff) -> list[np.ndarray]:
    """For each order k from 0 below the highest, (N_k,) how probable each n-gram is by the model itself.

    What there is where nobody has the counts: the product of the probabilities of its words, as Stolcke 1998 takes it. Under
    Kneser-Ney it is off, since the lower orders are no marginals (Chelba et al. 2010). A sentence begins as often as one ends.
    """
    histories = [np.ones(1)]
    for k in range(1, table.order):
        histories.append(histories[k - 1][table.prefixes(k)] * table.probs[k])
    return histories


def losses(table: Backoff, k: int, histories: np.ndarray) -> np.ndarray:
    """(N_k,) nats a token: how much the entropy rises when one n-gram of order k is dropped (Stolcke 1998, eq. 4).

    histories: (N_{k-1},) the probability of each context.
    """
    prefixes, p, lower = table.prefixes(k), table.probs[k], _lower(table, k)
    unseen, unseen_lower = _unseen(table, k, lower)
    before = table.backoffs[k - 1][prefixes]
    with np.errstate(divide="ignore", invalid="ignore"):
        after = np.log((unseen[prefixes] + p) / (unseen_lower[prefixes] + lower))
        rise = p * (np.log(p) - np.log(lower) - after)
        rest = np.where(unseen[prefixes] > 0, unseen[prefixes] * (np.log(before) - after), 0)
    loss: np.ndarray = histories[prefixes] * (rise + rest)
    return loss


def rounded(table: Backoff, bits: int) -> Backoff:
    """The table with probabilities of words rounded, from order 2 on, and backoff weights that follow from them.

    bits: 2 to 16, of codes for values of which each stands for as many n-grams of its order
    (Federico & Bertoldi 2006, How many bits are needed to store probabilities for phrase-based translation?). Weights are
    not rounded but worked out, so that every distribution still sums to one, and they need not be stored.
    """
    for k in range(2, table.order + 1):
        probs = (*table.probs[:k], _rounded(table, k, bits), *table.probs[k + 1 :])
        table = replace(table, probs=probs)
    return normalised(table)


def _rounded(table: Backoff, k: int, bits: int) -> np.ndarray:
    """(N_k,) the probabilities of order k rounded; down, where their context would have next to nothing left."""
    p = table.probs[k]
    if not len(p):
        return p
    ascending = np.sort(p)
    groups = np.array_split(ascending, min(2**bits - 1, len(p)))
    lowest = np.unique([group[0] for group in groups])
    codes = np.searchsorted(lowest, p, side="right")
    means = np.bincount(codes, weights=p)[1:] / np.bincount(codes)[1:]
    values = np.append(lowest[0], means)  # the least value of all is only for rounding down
    nearest, below = values[codes], values[codes - 1]
    prefixes, size = table.prefixes(k), table.sizes[k - 1]
    left, of_nearest = (1 - sum_by(prefixes, size, x) for x in (p, nearest))
    return np.where((of_nearest < left / 2)[prefixes], below, nearest)


def normalised(table: Backoff) -> Backoff:
    """The table with backoff weights that make every distribution sum to one."""
    for k in range(2, table.order + 1):
        unseen, unseen_lower = _unseen(table, k, _lower(table, k))
        weights = np.divide(unseen, unseen_lower, out=np.zeros(len(unseen)), where=unseen_lower > 0)
        table = replace(table, backoffs=(*table.backoffs[: k - 1], weights, *table.backoffs[k:]))
    return table


def sums(table: Backoff, k: int) -> np.ndarray:
    """(N_{k-1},): what the probabilities after each context of order k-1 sum to, where those after shorter ones sum to one.

    k from 1: order 0 is the empty context.
    """
    own = sum_by(table.prefixes(k), table.sizes[k - 1], table.probs[k])
    if k == 1:
        return own
    lower = sum_by(table.prefixes(k), len(own), _lower(table, k))
    total: np.ndarray = own + table.backoffs[k - 1] * (1 - lower)
    return total


def _unseen(table: Backoff, k: int, lower: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(N_{k-1},) twice: what the n-grams of order k leave of each context's probability, and of its shorter one's."""
    prefixes, size = table.prefixes(k), table.sizes[k - 1]
    left, left_lower = (1 - sum_by(prefixes, size, x) for x in (table.probs[k], lower))
    # Where every word was seen, nothing is left but the rounding of the sums.
    return np.where(left > 1e-13, left, 0), np.where(left_lower > 1e-13, left_lower, 0)


def _lower(table: Backoff, k: int) -> np.ndarray:
    """(N_k,) the probability of each n-gram's last word after its context without the first word."""
    suffixes = table.find_suffixes(k)
    lower: np.ndarray = table.probs[k - 1][suffixes]
    missing = np.flatnonzero(suffixes < 0)
    if len(missing):
        ngrams = table.ngrams(k)[missing, 1:]
        first = np.zeros(ngrams.shape, dtype=bool)
        first[:, 0] = True  # each is a text of its own
        lower[missing] = table.score_symbols(ngrams.ravel(), first.ravel()).reshape(ngrams.shape)[:, -1]
    return lower
