"""A long text looked up in a large table in the order in which the table's n-grams lie: each stretch of them is read once, and no index is made."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from lmbench.counts.ngrams import first_of_runs, sort_keys
from lmbench.counts.trie import with_bos
from lmbench.errors import InputError
from lmbench.text.tokens import Tokens


class Range(NamedTuple):
    """Contexts of order k-1, from ``begin`` to before ``beyond``, and the n-grams of order k that continue them, ``first`` to before ``last``."""

    begin: int
    first: int
    beyond: int
    last: int


@dataclass(frozen=True, eq=False)
class Stretch:
    """What a table holds of a range. number: how many n-grams continue each context; backoffs: its weight. words, probs: of each n-gram."""

    number: np.ndarray
    backoffs: np.ndarray
    words: np.ndarray
    probs: np.ndarray

    def search(self, contexts: np.ndarray, words: np.ndarray, bits: int) -> tuple[np.ndarray, np.ndarray]:
        """(Q,) int64 n-grams of the stretch, and (Q,) bool whether they are there, of contexts continued by words, which have so many bits; both ascend together."""
        begins = np.append(0, np.cumsum(self.number, dtype=np.int64))
        if begins[-1] != len(self.words):
            raise InputError("the n-grams do not fit their contexts; fit the model anew")
        starts = first_of_runs(contexts)
        asked = contexts[starts]
        # The keys of all n-grams that continue one of the contexts: which of these, and the word.
        number = self.number[asked].astype(np.int64)
        offsets = np.cumsum(number) - number
        keys = np.repeat(np.arange(len(asked)) << bits, number)
        grams = np.arange(len(keys))
        grams += np.repeat(begins[asked] - offsets, number)
        keys |= self.words[grams]
        wanted = np.repeat(np.arange(len(asked)) << bits, np.diff(starts, append=len(contexts)))
        wanted |= words
        places = np.searchsorted(keys, wanted)
        present = np.append(keys, -1)[places] == wanted
        return np.append(grams, 0)[places], present


class Stretched(Protocol):
    """A table of n-grams that can be read stretch by stretch."""

    @property
    def vocab_size(self) -> int: ...

    @property
    def sizes(self) -> list[int]: ...

    def unigrams(self) -> np.ndarray:
        """(V,) the probability of each word."""
        ...

    def ranges(self, k: int) -> Iterator[Range]:
        """All of order k ≥ 2 in turn."""
        ...

    def stretch(self, k: int, part: Range) -> Stretch: ...

    def release(self) -> None:
        """What has been read need not stay in memory."""
        ...


def score_in_order(table: Stretched, tokens: Tokens) -> np.ndarray:
    """(T,) float64: the probability of each token after those before it in its document."""
    symbols, is_bos = with_bos(tokens)
    words = np.where(is_bos, table.vocab_size, symbols)  # bos as a word is none: no n-gram ends in it
    bits = table.vocab_size.bit_length()
    p = table.unigrams()[symbols].astype(np.float64)
    ends, contexts = np.arange(1, len(symbols)), symbols[:-1]
    if contexts.min(initial=0) < 0:
        ends, contexts = ends[contexts >= 0], contexts[contexts >= 0]
    for k in range(2, len(table.sizes)):
        keys = contexts.astype(np.int64)
        keys <<= bits
        keys |= words.take(ends)
        keys, ends = sort_keys(keys, ends, table.sizes[k - 1] << bits)
        contexts = keys >> bits
        keys &= (1 << bits) - 1
        further = []
        for part in table.ranges(k):
            here = slice(*np.searchsorted(contexts, [part.begin, part.beyond]).tolist())
            if here.start == here.stop:
                continue
            read, own = table.stretch(k, part), contexts[here] - part.begin
            grams, present = read.search(own, keys[here], bits)
            p[ends[here][~present]] *= read.backoffs[own[~present]]
            grams, hits = grams[present], ends[here][present]
            p[hits] = read.probs[grams]
            further.append((hits + 1, grams + part.first))
            table.release()
        if not further:
            break
        ends, contexts = (np.concatenate(column) for column in zip(*further, strict=True))
        inside = ends < len(symbols)
        ends, contexts = ends[inside], contexts[inside]
    return p[~is_bos]
