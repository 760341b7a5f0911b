r"""A set of n-grams: for every order the last words of its n-grams, side by side, a trie laid flat.

The n-grams of order k are numbered by lexicographic order of their words: their *ranks*. So the continuations of a
context stand side by side, in the order of their last words; it is enough to keep those words, and where each
context's begin. Order 0 holds the empty n-gram alone; order 1 holds all V words, seen or not, and a word's rank is its id.

A document begins as if one symbol, ``Tokens.bos``, stood before it, or with its first word where there is none. No n-gram crosses from one document into the next.

    trie.words[k], trie.begins[k], trie.prefixes(k)    # (N_k,), (N_k + 1,) k < order, (N_k,) rank of the prefix
    walk = trie.walk(tokens)
    walk.grams(k), walk.contexts(k)                    # (T,) ranks, -1 where unseen
"""

from __future__ import annotations

from abc import ABC
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from lmbench.storage.lookup import TwoPlaces
from lmbench.text.tokens import Tokens

_FEW = 2  # continuations that are looked through; those of other contexts are found by an index, where there is one
_PIECE = 1 << 15  # n-grams looked up at once: what is made of them on the way stays near the processor
WORTH = 16  # a text a sixteenth as long as the trie is worth the index


class Index(dict[int, TwoPlaces]):
    """Of orders whose n-grams are looked up often: where each may be. asked: how many tokens have been looked up."""

    asked = 0


class NgramTrie(ABC):
    """A set of n-grams of orders 0..order in which the prefix of every member is a member; what belongs to them is a subclass's.

    words: for each order k from 0, (N_k,) unsigned, the last word of each n-gram; words[1] is 0..V-1. begins: for each
    order k below the highest, (N_k + 1,) uint32: n-gram i of order k is continued by the n-grams begins[k][i] to
    begins[k][i + 1] - 1 of order k + 1. Ranks are below 2^31.
    """

    vocab_size: int
    words: tuple[np.ndarray, ...]
    begins: tuple[np.ndarray, ...]
    index: Index  # see ``prepare``

    @property
    def order(self) -> int:
        return len(self.words) - 1

    @property
    def sizes(self) -> list[int]:
        """[N_0, .., N_order]: how many n-grams each order has."""
        return [len(words) for words in self.words]

    def prefixes(self, k: int) -> np.ndarray:
        """(N_k,) int32: the rank, in order k-1, of each n-gram without its last word."""
        return np.repeat(np.arange(self.sizes[k - 1], dtype=np.int32), np.diff(self.begins[k - 1]))

    def words_at(self, k: int, ranks: np.ndarray) -> np.ndarray:
        """(Q,) the last words of some n-grams of order k."""
        return self.words[k].take(ranks)

    def ngrams(self, k: int) -> np.ndarray:
        """(N_k, k) int32: the words of every n-gram of order k, in the order of their ranks."""
        ids = np.zeros((self.sizes[k], k), dtype=np.int32)
        ranks = np.arange(self.sizes[k])
        for j in range(k, 0, -1):
            ids[:, j - 1] = self.words[j][ranks]
            ranks = self.prefixes(j)[ranks]
        return ids

    def children(self, k: int, contexts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(Q,), (Q,) int64: the half-open range of ranks in order k+1 that continue each context of order k."""
        first, beyond = self.begins[k].take(contexts), self.begins[k][1:].take(contexts)
        return first.astype(np.int64), beyond.astype(np.int64)

    # Looking up -------------------------------------------------------------------------------------

    def find(self, k: int, prefixes: np.ndarray, words: np.ndarray) -> np.ndarray:
        """(Q,) int32: ranks of the n-grams made of a prefix (its rank in order k-1, ≥ 0) and a word; -1: not there."""
        if k == 1:
            return words.astype(np.int32)
        ranks, present = self.search(k, prefixes, words)
        return np.where(present, ranks, -1).astype(np.int32)

    def find_suffixes(self, k: int) -> np.ndarray:
        """(N_k,) int32, k ≥ 1: the rank in order k-1 of each n-gram without its first word; -1: not in the trie."""
        if k == 1:
            return np.zeros(self.sizes[1], dtype=np.int32)
        shorter = self.find_suffixes(k - 1)[self.prefixes(k)]
        suffixes = np.full(len(shorter), -1, dtype=np.int32)
        if k > 2:
            self.prepare_order(k - 1, len(shorter))
        for begin in range(0, len(shorter), _PIECE):
            present = begin + np.flatnonzero(shorter[begin : begin + _PIECE] >= 0)
            suffixes[present] = self.find(k - 1, shorter[present], self.words[k][present])
        return suffixes

    def search(self, k: int, contexts: np.ndarray, words: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(Q,) ranks in order k ≥ 2 of a context of order k-1 continued by a word; (Q,) bool: whether it is there at all."""
        if k in self.index:
            return self._look_up(k, contexts, words)
        first, beyond = self.children(k - 1, contexts)
        ranks = first.copy()
        places = np.flatnonzero(first < beyond)
        low, high, wanted = first[places], beyond[places], words[places]
        while len(places):  # bisection of all ranges at once; the short ones are soon done
            middle = (low + high) >> 1
            below = self.words_at(k, middle) < wanted
            low, high = np.where(below, middle + 1, low), np.where(below, high, middle)
            ranks[places] = low
            open_ = low < high
            places, low, high, wanted = places[open_], low[open_], high[open_], wanted[open_]
        present = ranks < beyond
        inside = np.flatnonzero(present)
        present[inside] = self.words_at(k, ranks[inside]) == words[inside]
        return ranks, present

    def _look_up(self, k: int, contexts: np.ndarray, words: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """``search`` by the index: two n-grams may be the one, both are looked at."""
        begins, last = self.begins[k - 1], self.words[k]
        first = begins.take(contexts, mode="clip")
        number = begins[1:].take(contexts, mode="clip")
        number -= first
        one, two = self.index[k].candidates(_keys(contexts, words, self.vocab_size))
        few = number <= _FEW
        one, two = np.where(few, first, one), np.where(few, first + np.uint32(1), two)
        is_one = one - first < number  # unsigned: also false where one < first
        is_one &= last.take(one, mode="clip") == words
        present = two - first < number
        present &= last.take(two, mode="clip") == words
        present |= is_one
        return np.where(is_one, one, two), present

    def prepare(self, tokens: int) -> None:
        """Indexes the n-grams, once, where so many tokens have been and are to be looked up that it is worth it."""
        self.index.asked += tokens
        if self.index.asked * WORTH >= sum(self.sizes):
            for k in range(2, self.order + 1):
                self.prepare_order(k, self.sizes[k])

    def prepare_order(self, k: int, tokens: int) -> None:
        """Indexes the n-grams of an order, once, where so many are to be looked up that it is worth it."""
        if k in self.index or not self.sizes[k] or tokens * WORTH < self.sizes[k]:
            return
        number = np.diff(self.begins[k - 1])
        many = number > _FEW
        contexts = np.repeat(np.flatnonzero(many), number[many])
        ranks = np.flatnonzero(np.repeat(many, number))
        self.index[k] = TwoPlaces(_keys(contexts, self.words[k][ranks], self.vocab_size), ranks)

    def walk(self, tokens: Tokens) -> Walk:
        """Looks up every n-gram of a text that ends in each of its tokens."""
        self.prepare(len(tokens))
        symbols, is_bos = with_bos(tokens)
        ranks = np.full((self.order + 1, len(symbols)), -1, dtype=np.int32)
        ranks[0] = 0
        ranks[1:2] = symbols
        for step in self.descend(symbols, is_bos):
            ranks[step.k, step.ends] = step.grams
        return Walk(ranks, np.flatnonzero(~is_bos))

    def descend(self, symbols: np.ndarray, is_bos: np.ndarray) -> Iterator[Step]:
        """Looks up the n-grams of a text from order 2 upwards, all of an order at once.

        symbols: (S,) ids with ``bos`` before each document (no context where it is ``NOTHING``), is_bos: (S,) bool. A text cut out of a longer one may
        begin without: its first symbol is then context alone.
        """
        words = np.where(is_bos, self.vocab_size, symbols)  # bos as a word is none: no n-gram ends in it
        ends, contexts = np.arange(1, len(symbols)), symbols[:-1]
        if contexts.min(initial=0) < 0:
            ends, contexts = ends[contexts >= 0], contexts[contexts >= 0]
        for k in range(2, self.order + 1):
            ranks, present = self.search(k, contexts, words.take(ends, mode="clip"))
            # Places of what is found, then take: four times as fast as a mask that no processor can foresee.
            here, missing = np.flatnonzero(present), np.flatnonzero(~present)
            step = Step(k, ends.take(here), ranks.take(here), ends.take(missing), contexts.take(missing))
            yield step
            ends, contexts = step.ends + 1, step.grams
            if len(ends) and ends[-1] == len(symbols):
                ends, contexts = ends[:-1], contexts[:-1]


class Step(NamedTuple):
    """One order of ``NgramTrie.descend``, in the order of the text."""

    k: int
    ends: np.ndarray  # (Q,) int64: the symbols that end an n-gram of order k of the trie
    grams: np.ndarray  # (Q,) integers: the ranks of these n-grams
    missed: np.ndarray  # (R,) int64: the symbols after a context of the trie that they do not continue
    contexts: np.ndarray  # (R,) integers: the ranks, in order k-1, of these contexts


@dataclass(frozen=True)
class Walk:
    """Where the n-grams of a text are in a trie.

    ranks: (order+1, S) int32: entry k, s is the rank of the n-gram of order k that ends in symbol s, -1 where it is
    not in the trie or would begin before its document. The symbols are the T tokens and a ``bos`` before each
    document. places: (T,) int64, the symbols that are tokens.
    """

    ranks: np.ndarray
    places: np.ndarray

    def grams(self, k: int) -> np.ndarray:
        """(T,) int32: the n-gram of order k that ends in each token."""
        ranks: np.ndarray = self.ranks[k][self.places]
        return ranks

    def contexts(self, k: int) -> np.ndarray:
        """(T,) int32: the n-gram of order k that ends just before each token."""
        ranks: np.ndarray = self.ranks[k][self.places - 1]
        return ranks


def roots(vocab_size: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """``words`` of orders 0 and 1, ``begins`` of order 0: where every trie begins."""
    words = np.arange(vocab_size, dtype=word_type(vocab_size))
    return [np.zeros(1, dtype=words.dtype), words], [np.array([0, vocab_size], dtype=np.uint32)]


def word_type(vocab_size: int) -> np.dtype:
    """The narrowest unsigned integers that hold the ids of V words."""
    return np.min_scalar_type(max(0, vocab_size - 1))


def with_bos(tokens: Tokens) -> tuple[np.ndarray, np.ndarray]:
    """(S,) int32 ids with ``bos`` put before each document, (S,) bool: which of them are these."""
    is_bos = np.zeros(len(tokens) + len(tokens.starts), dtype=bool)
    is_bos[tokens.starts + np.arange(len(tokens.starts))] = True
    symbols = np.full(len(is_bos), tokens.bos, dtype=np.int32)
    symbols[~is_bos] = tokens.ids
    return symbols, is_bos


def _keys(contexts: np.ndarray, words: np.ndarray, vocab_size: int) -> np.ndarray:
    """(Q,) uint64: keys of contexts (ranks ≥ 0) continued by words."""
    keys = np.multiply(contexts, np.uint64(vocab_size), dtype=np.uint64, casting="unsafe")
    np.add(keys, words, out=keys, casting="unsafe")
    return keys
