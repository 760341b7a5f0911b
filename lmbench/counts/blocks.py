"""What an estimate asks of counts, wherever they are kept: sums over n-grams, and a table made block by block."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from lmbench.text.tokens import Tokens

if TYPE_CHECKING:
    from lmbench.counts.ngrams import NgramCounts

BLOCK = 1 << 20  # n-grams that are worked on at a time: what is made of them on the way stays small


@dataclass(frozen=True)
class Block:
    """Contexts of order k-1 that follow on each other, with all n-grams that continue them.

    size: how many contexts. prefixes: (n,) int64, the number of each n-gram's context among these. n: (n,) how often
    each n-gram occurs.
    """

    k: int
    size: int
    prefixes: np.ndarray
    n: np.ndarray
    left_types: Callable[[], np.ndarray]

    @cached_property
    def left(self) -> np.ndarray:
        """(n,) integers: how many distinct words stand before each n-gram (no word, once each time); at the highest order n."""
        return self.left_types()

    @cached_property
    def total(self) -> np.ndarray:
        """(size,) integers: how often each context is followed by a word."""
        return sum_by(self.prefixes, self.size, self.n)

    @cached_property
    def types(self) -> np.ndarray:
        """(size,) int64: how many distinct words have been seen after each context."""
        return np.bincount(self.prefixes[self.n > 0], minlength=self.size)


Smooth = Callable[[Block, np.ndarray], tuple[np.ndarray, np.ndarray]]
Statistic = Callable[[Block], tuple[np.ndarray, np.ndarray]]


class Columns(NamedTuple):
    """A trie of n-grams (see ``NgramTrie``) with a probability each, and a weight for each context."""

    words: tuple[np.ndarray, ...]
    begins: tuple[np.ndarray, ...]
    probs: tuple[np.ndarray, ...]
    backoffs: tuple[np.ndarray, ...]


class Counts(ABC):
    """How often n-grams occur, in memory or in files. What is passed to other processes must be a function of a module or a method."""

    vocab_size: int

    @property
    @abstractmethod
    def order(self) -> int: ...

    @property
    @abstractmethod
    def sizes(self) -> list[int]:
        """[N_0, .., N_order]: how many n-grams each order has."""

    @abstractmethod
    def tally(self, k: int, highest: int, left: bool = False) -> np.ndarray:
        """(highest + 1,) int64: how many n-grams of order k have count 0, 1, .. highest; left: have ``Block.left`` so many."""

    @abstractmethod
    def observed(self, tokens: Tokens, statistic: Statistic) -> list[tuple[np.ndarray, np.ndarray]]:
        """For each order from 1, what there is of the n-grams of a text: (m, T) and (m', T), 0 where it is not there.

        statistic: given a block, says (m, n) numbers of its n-grams and (m', size) of its contexts; the text's n-grams are
        those that end in each of its tokens, the contexts those that end before it.
        """

    @abstractmethod
    def estimate(self, smooth: Smooth, kind: type, least: Sequence[int] = ()) -> Columns:
        """A table, order by order from the lowest: n-grams, probabilities, weights.

        smooth: given a block and (n,) float64, the probability of each n-gram's last word after its context without the
        first word (at the bottom 1 / V), says the (n,) probabilities and the (size,) backoff weights. kind: of floats that
        the table is made of; the recursion is in double precision, from what the order below rounds to. least: of each order
        from 1, the count from which n-grams are kept in the table (it does not fall from order to order, and is 0 or 1 for
        the first).
        """

    @abstractmethod
    def whole(self) -> NgramCounts:
        """All of them in memory."""


def context_blocks(begins: np.ndarray, block: int = BLOCK) -> Iterator[tuple[slice, slice]]:
    """N-grams and, with each stretch of them, the contexts that they, and none before, continue; some ``block`` at a time.

    begins: (contexts + 1,) integers, where each context's continuations begin.
    """
    contexts, grams = len(begins) - 1, int(begins[-1])
    begin = first = 0
    if not contexts:
        yield slice(0, 0), slice(0, 0)
    while first < contexts:
        cut, last = grams, contexts
        if begin + block < grams:
            last = int(np.searchsorted(begins, begin + block, side="right")) - 1
            last += last == first  # the continuations of one context stay together, however many
            cut = int(begins[last])
        yield slice(begin, cut), slice(first, last)
        begin, first = cut, last


def blocks(
    k: int, begins: np.ndarray, n: np.ndarray, left_types: Callable[[], np.ndarray]
) -> Iterator[tuple[Block, slice]]:
    """All n-grams of an order in blocks, and where in the order each block lies. left_types: of all; asked when needed."""
    for grams, contexts in context_blocks(begins):
        number = np.diff(begins[contexts.start : contexts.stop + 1])
        prefixes = np.repeat(np.arange(len(number)), number)
        yield Block(k, len(number), prefixes, n[grams], lambda grams=grams: left_types()[grams]), grams  # type: ignore[misc]


def sum_by(group: np.ndarray, groups: int, values: np.ndarray) -> np.ndarray:
    """(groups,): the sum of the values of each group; of integers in their own type, exact below 2**53, of floats in float64."""
    sums: np.ndarray = np.bincount(group, weights=values, minlength=groups)
    return sums if values.dtype.kind == "f" else sums.astype(values.dtype)


def tallied(values: np.ndarray, highest: int) -> np.ndarray:
    """(highest + 1,) int64: how many of (N,) counts are 0, 1, .. highest."""
    number = np.zeros(highest + 2, dtype=np.int64)
    for begin in range(0, len(values), BLOCK):
        number += np.bincount(np.minimum(values[begin : begin + BLOCK], highest + 1), minlength=highest + 2)
    return number[:-1]


def kept(columns: Columns, keep: Sequence[np.ndarray]) -> Columns:
    """The columns with only some n-grams of the highest orders.

    keep: a (N_k,) bool mask for each of the last len(keep) orders; an n-gram needs its prefix to be kept.
    """
    words, begins, probs, backoffs = map(list, columns)
    order = len(words) - 1
    lowest = order + 1 - len(keep)
    contexts = np.ones(len(words[lowest - 1]), dtype=bool)
    for k, mask in enumerate(keep, lowest):
        before = np.zeros(len(mask) + 1, dtype=np.uint32)  # how many of the n-grams before are kept
        np.cumsum(mask, out=before[1:])
        begins[k - 1] = np.append(before[columns.begins[k - 1][:-1][contexts]], before[-1:])
        words[k], probs[k] = columns.words[k][mask], columns.probs[k][mask]
        if k < order:
            backoffs[k] = columns.backoffs[k][mask]
        contexts = mask
    return Columns(tuple(words), tuple(begins), tuple(probs), tuple(backoffs))
