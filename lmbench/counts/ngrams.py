r"""N-grams as a value: how often each occurs, and counts of two texts merged into those of both.

They are a trie (see there). While n-grams are sorted and merged, one of order k is spelt as its key,
``rank_of_prefix * V + last_word``, the prefix being all but the last word. The symbol as if which documents begin can
begin an n-gram of order 2 or more, and is not counted as a word.

    counts = count_ngrams(tokens, order=3, vocab_size=V)
    counts.words[k], counts.counts[k], counts.suffixes[k]     # (N_k,) each, k = 0..order
    merge(count_ngrams(a, ...), count_ngrams(b, ...))         # == count_ngrams(a and b, ...)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import final

import numpy as np

from lmbench.counts.blocks import (
    BLOCK,
    Columns,
    Counts,
    Smooth,
    Statistic,
    blocks,
    kept,
    sum_by,
    tallied,
)
from lmbench.counts.trie import Index, NgramTrie, roots, with_bos, word_type
from lmbench.errors import InputError
from lmbench.text.tokens import Tokens

LONGEST = 999  # of n-grams, as the ARPA format writes them

_MAX_RANK = 2**31 - 1


@final
@dataclass(frozen=True)
class NgramCounts(NgramTrie, Counts):
    """How often each n-gram occurs.

    counts: for each order, (N_k,) int32 (int64 for texts of more than 2^31 tokens); counts[0] is the number of tokens;
    words that never occur have count 0.
    suffixes: for each order k, (N_k,) int32: the rank, in order k-1, of each n-gram without its first word (order 0: 0).
    left: for each order below the highest what ``left_types`` says, where the counts do not tell: rare n-grams were left out.
    """

    vocab_size: int
    words: tuple[np.ndarray, ...]
    begins: tuple[np.ndarray, ...]
    counts: tuple[np.ndarray, ...]
    suffixes: tuple[np.ndarray, ...]
    left: tuple[np.ndarray, ...] = ()
    index: Index = field(default_factory=Index, init=False, repr=False, compare=False)

    def context_counts(self, k: int) -> np.ndarray:
        """(N_k,) integers: how often each n-gram of order k < order occurs as a context, that is, is followed by a word.

        Less than its count where the n-gram ends a document; more for the word that documents begin after.
        """
        return sum_by(self.prefixes(k + 1), self.sizes[k], self.counts[k + 1])

    def left_types(self, k: int) -> np.ndarray:
        """(N_k,) integers, k < order: the number of distinct left neighbours of each n-gram.

        Each occurrence without a left neighbour, at the virtual beginning of a document, counts as one more.
        """
        if self.left:
            return self.left[k]
        types = self.counts[k].copy()
        counts, suffixes = self.counts[k + 1], self.suffixes[k + 1]
        for begin in range(0, len(counts), BLOCK):
            block = slice(begin, begin + BLOCK)
            np.add.at(types, suffixes[block].astype(np.intp), 1 - counts[block])
        return types

    # What an estimate asks --------------------------------------------------------------------------

    def tally(self, k: int, highest: int, left: bool = False) -> np.ndarray:
        return tallied(self._left(k) if left else self.counts[k], highest)

    def observed(self, tokens: Tokens, statistic: Statistic) -> list[tuple[np.ndarray, np.ndarray]]:
        walk = self.walk(tokens)
        every = []
        for k in range(1, self.order + 1):
            made = [statistic(block) for block, _ in blocks(*self._of_order(k))]
            own, share = (np.concatenate(column, axis=1) for column in zip(*made, strict=True))
            every.append((_at(own, walk.grams(k)), _at(share, walk.contexts(k - 1))))
        return every

    def estimate(self, smooth: Smooth, kind: type, least: Sequence[int] = ()) -> Columns:
        probs, backoffs = [np.full(1, 1 / self.vocab_size)], [np.ones(1)]
        for k in range(1, self.order + 1):
            made: list[tuple[np.ndarray, ...]] = []
            for block, grams in blocks(*self._of_order(k)):
                lower = probs[k - 1].take(self.suffixes[k][grams]).astype(np.float64, copy=False)
                made.append(tuple(column.astype(kind, copy=False) for column in smooth(block, lower)))
            prob, weight = (_joined(column) for column in zip(*made, strict=True))
            probs.append(prob)
            if k > 1:
                backoffs.append(weight)
        columns = Columns(self.words, self.begins, tuple(probs), tuple(backoffs))
        keep = [self.counts[k] >= n for k, n in enumerate(least, 1) if k > 1 and n > 1]
        return kept(columns, keep) if keep else columns

    def whole(self) -> NgramCounts:
        return self

    def _of_order(self, k: int) -> tuple[int, np.ndarray, np.ndarray, Callable[[], np.ndarray]]:
        return k, self.begins[k - 1], self.counts[k], lambda: self._left(k)

    def _left(self, k: int) -> np.ndarray:
        """(N_k,): ``Block.left`` of an order; kept."""
        if k == self.order:
            return self.counts[k]
        if k not in self._lefts:
            self._lefts[k] = self.left_types(k)
        return self._lefts[k]

    @cached_property
    def _lefts(self) -> dict[int, np.ndarray]:
        return {}


def _joined(pieces: Sequence[np.ndarray]) -> np.ndarray:
    return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)


def _at(values: np.ndarray, ranks: np.ndarray) -> np.ndarray:
    """(m, T): the values (m, N) of each rank, 0 where the rank is -1."""
    chosen = np.zeros((len(values), len(ranks)), dtype=values.dtype)
    present = np.flatnonzero(ranks >= 0)
    chosen[:, present] = values[:, ranks[present]]
    return chosen


def count_ngrams(tokens: Tokens, order: int, vocab_size: int) -> NgramCounts:
    """Counts the n-grams of orders 1..order inside each document. Raises InputError where order is not 1 to ``LONGEST``, or they are too many.

    >>> counts = count_ngrams(Tokens.of([1, 2, 1, 2], bos=0), order=2, vocab_size=3)
    >>> counts.counts[1]
    array([0, 2, 2], dtype=int32)
    >>> list(zip(counts.ngrams(2).tolist(), counts.counts[2].tolist(), strict=True))  # 0 stands before the document
    [([0, 1], 1), ([1, 2], 2), ([2, 1], 1)]
    """
    if not 1 <= order <= LONGEST:
        raise InputError(f"the order of n-grams must be 1 to {LONGEST}, not {order}")
    symbols, is_bos = with_bos(tokens)
    words, begins = roots(vocab_size)
    kind = count_type(len(tokens))
    counts: list[np.ndarray] = [
        np.array([len(tokens)], dtype=kind),
        np.bincount(tokens.ids, minlength=vocab_size).astype(kind),
    ]
    suffixes = [np.zeros(1, dtype=np.int32), np.zeros(vocab_size, dtype=np.int32)]
    ranks = symbols  # of the n-grams of the order before, by the symbol that they end in
    ends = np.flatnonzero(~is_bos)
    for k in range(2, order + 1):
        within = k - 2 if tokens.bos >= 0 else k - 1  # so far back no document may begin
        if within:
            ends = ends[~is_bos[ends - within]]
        keys = ranks[ends - 1].astype(np.int64)
        keys *= vocab_size
        keys += symbols[ends]
        contexts = len(words[k - 1])
        keys, sorted_ends = sort_keys(keys, ends, contexts * vocab_size)
        first = first_of_runs(keys)
        number = np.diff(first, append=len(keys))
        for columns, column in zip(
            (words, begins), split_keys(keys[first], contexts, vocab_size), strict=True
        ):
            columns.append(column)
        counts.append(number.astype(kind))
        suffixes.append(ranks[sorted_ends[first]])
        check_size(k, len(first))
        if k < order:
            ranks = np.full(len(symbols), -1, dtype=np.int32)
            ranks[sorted_ends] = np.repeat(np.arange(len(first), dtype=np.int32), number)
    return NgramCounts(vocab_size, tuple(words), tuple(begins), tuple(counts), tuple(suffixes))


def count_type(tokens: int) -> type:
    """The integers that hold counts in a text of so many tokens."""
    return np.int32 if tokens < 2**31 else np.int64


def split_keys(keys: np.ndarray, contexts: int, vocab_size: int) -> tuple[np.ndarray, np.ndarray]:
    """``words`` and, for the order before with its (contexts) n-grams, ``begins`` of ascending keys."""
    prefixes = keys // vocab_size
    begins = np.zeros(contexts + 1, dtype=np.uint32)
    np.cumsum(np.bincount(prefixes, minlength=contexts), out=begins[1:])
    prefixes *= -vocab_size
    prefixes += keys
    return prefixes.astype(word_type(vocab_size)), begins


def merge(a: NgramCounts, b: NgramCounts) -> NgramCounts:
    """The counts of two texts together. Raises ValueError where orders or vocabulary sizes differ.

    >>> one, other = (count_ngrams(Tokens.of(ids), order=1, vocab_size=3) for ids in ([1, 2], [2, 2]))
    >>> merge(one, other).counts[1]
    array([0, 1, 3], dtype=int32)
    """
    if (a.order, a.vocab_size) != (b.order, b.vocab_size):
        raise ValueError("counts to merge must have the same order and vocabulary size")
    vocab_size = a.vocab_size
    words, begins = roots(vocab_size)
    kind = count_type(int(a.counts[0][0]) + int(b.counts[0][0]))
    counts = [np.add(x, y, dtype=kind) for x, y in zip(a.counts[:2], b.counts[:2], strict=True)]
    suffixes = [a.suffixes[0], a.suffixes[1]]
    new_a = new_b = np.arange(vocab_size)  # the merged rank of each n-gram of the order before
    for k in range(2, a.order + 1):
        keys_a = new_a[a.prefixes(k)] * vocab_size + a.words[k]
        keys_b = new_b[b.prefixes(k)] * vocab_size + b.words[k]
        keys = np.concatenate([keys_a, keys_b])
        contexts = len(words[k - 1])
        keys, where = sort_keys(keys, np.arange(len(keys)), contexts * vocab_size)
        first = first_of_runs(keys)
        check_size(k, len(first))
        for columns, column in zip(
            (words, begins), split_keys(keys[first], contexts, vocab_size), strict=True
        ):
            columns.append(column)
        number = np.concatenate([a.counts[k], b.counts[k]])[where]
        counts.append(np.add.reduceat(number, first, dtype=kind) if len(first) else number.astype(kind))
        suffix = np.concatenate([new_a[a.suffixes[k]], new_b[b.suffixes[k]]])
        suffixes.append(suffix[where[first]].astype(np.int32))
        new = np.empty(len(keys), dtype=np.int64)
        new[where] = np.repeat(np.arange(len(first)), np.diff(first, append=len(keys)))
        new_a, new_b = np.split(new, [len(keys_a)])
    return NgramCounts(vocab_size, tuple(words), tuple(begins), tuple(counts), tuple(suffixes))


def sort_keys(keys: np.ndarray, labels: np.ndarray, bound: int) -> tuple[np.ndarray, np.ndarray]:
    """(N,) keys (0 ≤ key < bound) in ascending order and their labels (≥ 0) with them; overwrites ``keys``.

    Where both fit in one integer, key and label are sorted as one, in place, and equal keys are in the order of their
    labels: three times as fast as argsort.
    """
    bits = int(labels.max(initial=0)).bit_length()
    if bound.bit_length() + bits < 64:
        keys <<= bits
        keys |= labels
        keys.sort()
        labels = keys & ((1 << bits) - 1)
        keys >>= bits
        return keys, labels
    order = np.argsort(keys)
    return keys[order], labels[order]


def first_of_runs(keys: np.ndarray) -> np.ndarray:
    """Where each run of equal keys begins."""
    begins = np.empty(len(keys), dtype=bool)
    begins[:1] = True
    np.not_equal(keys[1:], keys[:-1], out=begins[1:])
    return np.flatnonzero(begins)


def check_size(k: int, size: int) -> None:
    if size > _MAX_RANK:
        raise InputError(f"the text has more than 2^31 n-grams of order {k}; choose a lower order")
