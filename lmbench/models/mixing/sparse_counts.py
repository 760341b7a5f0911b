"""How often each symbol followed each context, kept sparsely; and as a sequence goes on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from lmbench.errors import InputError
from lmbench.models.saved import saved_array


@dataclass(frozen=True)
class SparseCounts:
    """How often each symbol followed each context.

    keys: (C,) uint64, ascending: the contexts. first: (C+1,) int64: where each one's entries begin. symbols,
    counts: (N,) int32.
    """

    vocab_size: int
    keys: np.ndarray
    first: np.ndarray
    symbols: np.ndarray
    counts: np.ndarray

    array_names = ("keys", "first", "symbols", "counts")

    def arrays(self) -> dict[str, np.ndarray]:
        return {name: getattr(self, name) for name in self.array_names}

    @classmethod
    def saved(cls, vocab_size: int, state: Mapping[str, np.ndarray], end: str) -> SparseCounts:
        """What ``arrays`` gave, under names with ``end`` at their end; raises InputError where it does not fit together."""
        keys = saved_array(state, f"keys{end}", (None,), "u")
        first = saved_array(state, f"first{end}", (len(keys) + 1,), "i")
        symbols, counts = (
            saved_array(state, f"{name}{end}", (int(first[-1]),), "i") for name in ("symbols", "counts")
        )
        if not (
            (keys[1:] > keys[:-1]).all()
            and first[0] == 0
            and (first[1:] >= first[:-1]).all()
            and ((symbols >= 0) & (symbols < vocab_size)).all()
            and (counts > 0).all()
        ):
            raise InputError(f"the counts{end} do not fit together")
        return cls(vocab_size, keys, first, symbols, counts)

    @classmethod
    def of(cls, keys: np.ndarray, symbols: np.ndarray, vocab_size: int) -> SparseCounts:
        none = np.zeros(0, dtype=np.int32)
        empty = cls(vocab_size, np.zeros(0, dtype=np.uint64), np.zeros(1, dtype=np.int64), none, none)
        return empty.add(keys, symbols)

    def add(self, keys: np.ndarray, symbols: np.ndarray) -> SparseCounts:
        """These counts and those of (T,) contexts and the symbols that followed."""
        all_keys = np.concatenate([np.repeat(self.keys, np.diff(self.first)), keys])
        contexts, rank = np.unique(all_keys, return_inverse=True)
        pairs = rank * self.vocab_size + np.concatenate([self.symbols, symbols])
        pairs, entry = np.unique(pairs, return_inverse=True)
        number = np.concatenate([self.counts, np.ones(len(symbols))])
        return SparseCounts(
            self.vocab_size,
            contexts,
            np.searchsorted(pairs, np.arange(len(contexts) + 1) * self.vocab_size),
            (pairs % self.vocab_size).astype(np.int32),
            np.bincount(entry, weights=number, minlength=len(pairs)).astype(np.int32),
        )

    def rows(self, keys: np.ndarray) -> np.ndarray:
        """(T, V) int32: the counts after each of (T,) contexts; zeros for one not seen."""
        dense = np.zeros((len(keys), self.vocab_size), dtype=np.int32)
        if len(self.keys):
            place = np.searchsorted(self.keys, keys).clip(max=len(self.keys) - 1)
            row = np.flatnonzero(self.keys[place] == keys)
            begin = self.first[place[row]]
            number = self.first[place[row] + 1] - begin
            entry = np.arange(number.sum()) + np.repeat(begin - np.cumsum(number) + number, number)
            dense[np.repeat(row, number), self.symbols[entry]] = self.counts[entry]
        return dense


def counts_before(keys: np.ndarray, symbols: np.ndarray, chosen: np.ndarray, vocab_size: int) -> np.ndarray:
    """(T, V) int32: how often each symbol followed each token's context earlier in the sequence, where (T,) chosen."""
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    counts = np.zeros((len(keys), vocab_size), dtype=np.int32)
    counts[np.arange(1, len(keys)), symbols[order][:-1]] = chosen[order][:-1]
    np.cumsum(counts, axis=0, out=counts)
    begins = np.flatnonzero(np.append(True, keys[1:] != keys[:-1]))
    counts -= np.repeat(counts[begins], np.diff(begins, append=len(keys)), axis=0)
    in_text_order = np.empty_like(counts)
    in_text_order[order] = counts
    return in_text_order


def first_pairs(keys: np.ndarray, symbols: np.ndarray) -> np.ndarray:
    """(T,) bool: where a symbol follows a context for the first time."""
    order = np.lexsort((symbols, keys))  # stable: equal pairs stay in their order
    keys, symbols = keys[order], symbols[order]
    first = np.ones(len(keys), dtype=bool)
    first[order[1:]] = (keys[1:] != keys[:-1]) | (symbols[1:] != symbols[:-1])
    return first
