"""N-grams of a text alone, documents beginning after nothing: how frequent they are, and which another has."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lmbench.counts.ngrams import count_ngrams
from lmbench.errors import InputError
from lmbench.text.tokens import Tokens


def ngram_counts(
    ids: np.ndarray,
    starts: np.ndarray | None = None,
    orders: Sequence[int] = (1, 2, 3),
    skip: Sequence[int] = (),
) -> dict[int, np.ndarray]:
    """For each order, the counts of the n-grams that occur: (K,) int64, falling.

    ids: (T,) int ≥ 0. starts: (D,) ascending offsets of documents, which n-grams do not cross (default: one document).
    skip: ids left out before n-grams are formed (line feeds, say, in a count of words). Raises InputError for orders that are none.

    >>> ngram_counts(np.array([1, 2, 1, 2, 3]), orders=(1, 2))
    {1: array([2, 2, 1]), 2: array([2, 1, 1])}
    """
    ids = np.asarray(ids)
    if min(orders, default=1) < 1:
        raise InputError(f"orders of n-grams are 1 and more, not {min(orders)}")
    kept = ~np.isin(ids, skip)
    before = np.append(0, np.cumsum(kept))  # how many ids are kept before each
    begins = np.unique(before[np.append(0, [] if starts is None else starts).astype(np.int64)])
    counts = count_ngrams(
        Tokens(ids[kept], begins), max(orders, default=1), int(ids.max(initial=0)) + 1
    ).counts
    return {k: np.sort(counts[k][counts[k] > 0])[::-1].astype(np.int64) for k in sorted(orders)}


def matched_orders(train: Tokens, test: Tokens, vocab_size: int, highest: int = 5) -> np.ndarray:
    """(T,) int64: the length of the longest n-gram (n ≤ highest) that ends at each test token and occurs in training.

    0 for tokens outside the vocabulary; n-grams do not cross documents.

    >>> matched_orders(Tokens.of([1, 2, 3]), Tokens.of([2, 3, 1, 0]), vocab_size=4)
    array([1, 2, 1, 0])
    """
    counts = count_ngrams(Tokens(train.ids, train.starts), highest, vocab_size)
    walk = counts.walk(Tokens(test.ids, test.starts))
    matched = np.zeros(len(test), dtype=np.int64)
    for k in range(1, highest + 1):
        seen = walk.grams(k) >= 0 if k > 1 else counts.counts[1][test.ids] > 0
        matched[seen & (test.ids != 0)] = k
    return matched
