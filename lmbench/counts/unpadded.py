"""N-grams of a text alone, documents beginning after nothing: how frequent they are, and which another has."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lmbench.counts.ngrams import count_ngrams
from lmbench.errors import InputError
from lmbench.text.runs import Numbered, window_hashes
from lmbench.text.searching import Members, distinct, occurring
from lmbench.text.tokens import Tokens

_BLOCK = 1 << 22  # ids that are made numbers of 64 bits of at a time


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
    highest, vocab_size = max(orders, default=1), int(ids.max(initial=0)) + 1
    ids, begins = without(ids, np.append(0, [] if starts is None else starts).astype(np.int64), skip)
    if highest == 1:
        unigrams = np.zeros(vocab_size, dtype=np.int64)
        for begin in range(0, len(ids), _BLOCK):
            unigrams += np.bincount(ids[begin : begin + _BLOCK], minlength=vocab_size)
        counts: Sequence[np.ndarray] = [ids[:0], unigrams]
    else:
        counts = count_ngrams(Tokens(ids, begins), highest, vocab_size).counts
    return {k: np.sort(counts[k][counts[k] > 0])[::-1].astype(np.int64) for k in sorted(orders)}


def without(ids: np.ndarray, starts: np.ndarray, skip: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Ids (T,) but for some, and (D,) where documents start in them, each once; one that has no others is none.

    >>> [column.tolist() for column in without(np.array([3, 1, 3, 2, 3]), np.array([0, 1, 2, 4]), [3])]
    [[1, 2], [0, 1]]
    """
    keep = np.ones(len(ids), dtype=bool)
    for one in skip:
        keep &= ids != one
    left_out = np.flatnonzero(~keep)
    starts = distinct(starts - np.searchsorted(left_out, starts))[0]
    ids = ids[keep] if len(left_out) else ids
    return ids, starts[starts < len(ids)]


def matched_orders(train: Tokens, test: Tokens, vocab_size: int, highest: int = 5) -> np.ndarray:
    """(T,) int64: the length of the longest n-gram (n ≤ highest) that ends at each test token and occurs in training.

    0 for tokens outside the vocabulary; n-grams do not cross documents.

    >>> matched_orders(Tokens.of([1, 2, 3]), Tokens.of([2, 3, 1, 0]), vocab_size=4)
    array([1, 2, 1, 0])
    """
    ids = train.ids
    if train.bos != test.bos or not (_documents_are_lines(train) and _documents_are_lines(test)):
        # A mark before each document of the training text, so that no run of the test text goes from one into the next.
        ids = np.insert(ids, train.starts, vocab_size)
    learnt = Numbered.tokens(ids, vocab_size + 1)
    asked = Numbered(test.ids, learnt.numbers)
    matched = np.zeros(len(test), dtype=np.int64)
    known = np.zeros(vocab_size + 1, dtype=bool)
    known[ids] = True
    matched[known[test.ids] & (test.ids != 0)] = 1
    position = test.positions()
    for k in range(2, highest + 1):
        ends = np.flatnonzero((matched == k - 1) & (position >= k - 1))
        hashes = window_hashes(asked, k)[ends - (k - 1)]
        runs = distinct(np.sort(hashes))[0]
        if not len(runs):
            break
        both = Members(runs[occurring(runs, learnt.runs(k))])
        matched[ends[both.places(hashes) >= 0]] = k
    return matched


def _documents_are_lines(tokens: Tokens) -> bool:
    """Whether line feeds stand at the ends of documents alone, and each document but the last has one."""
    feeds, ends = np.flatnonzero(tokens.ids == tokens.bos), np.append(tokens.starts[1:], len(tokens)) - 1
    return len(ends) - 1 <= len(feeds) <= len(ends) and bool((feeds == ends[: len(feeds)]).all())
