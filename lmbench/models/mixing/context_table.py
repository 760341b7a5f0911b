"""Contexts numbered by their hashes, and a table of what followed each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lmbench.errors import InputError
from lmbench.models.mixing.counting import Counted, Text
from lmbench.models.saved import saved_array

_KINDS = ("i8", "i8", "i4", "i4", "i8", "i4", "i4", "i8")  # of the arrays of ``Counted``


@dataclass(frozen=True)
class ContextTable:
    """What followed each of C contexts of K sorts.

    keys: (C,) uint64, the contexts' hashes, those of one sort together and ascending. bounds: (K+1,) int64: where each sort's
    begin. counted: what followed (``Counted``).
    """

    keys: np.ndarray
    bounds: np.ndarray
    counted: Counted

    @classmethod
    def empty(cls, sorts: int) -> ContextTable:
        """One of K = ``sorts`` without contexts."""
        return _laid_out([np.zeros(0, dtype=np.uint64)] * sorts, np.zeros(0, dtype=np.int32), 1)[0]

    def clear(self) -> None:
        """Forgets all counts; the contexts keep their numbers."""
        for name, value in (("numbers", 0), ("total", 0), ("last", -1), ("run", 0), ("when", 0)):
            getattr(self.counted, name).fill(value)

    def numbers_of(self, sort: int, keys: np.ndarray) -> np.ndarray:
        """(N,) int32: the numbers of (N,) contexts of one sort; -1 for those that are not in the table."""
        begin, end = self.bounds[sort : sort + 2]
        own = self.keys[begin:end]
        if not len(own):
            return np.full(len(keys), -1, dtype=np.int32)
        place = np.searchsorted(own, keys).clip(max=len(own) - 1)
        return np.where(own[place] == keys, begin + place, -1).astype(np.int32)

    def arrays(self) -> dict[str, np.ndarray]:
        """The entries lie side by side, so that it is enough where those of each context begin, and the last ones end."""
        counted = self.counted._asdict()
        first = np.append(counted.pop("first"), len(self.counted.symbols))
        counted.pop("beyond")
        return {"keys": self.keys, "bounds": self.bounds, "first": first, **counted}

    @classmethod
    def saved(cls, state: Mapping[str, np.ndarray], sorts: int, vocab_size: int) -> ContextTable:
        """What ``arrays`` gave; raises InputError where it does not fit together."""
        bounds = saved_array(state, "bounds", (sorts + 1,), "i")
        keys = saved_array(state, "keys", (int(bounds[-1]),), "u")
        first = saved_array(state, "first", (len(keys) + 1,), "i")
        symbols, numbers = (saved_array(state, n, (int(first[-1]),), "i") for n in ("symbols", "numbers"))
        total, last, run, when = (
            saved_array(state, n, (len(keys),), "i") for n in ("total", "last", "run", "when")
        )
        ascending = keys[1:] > keys[:-1]
        ascending[bounds[1:-1][(bounds[1:-1] > 0) & (bounds[1:-1] < len(keys))] - 1] = True
        ends = np.append(0, np.cumsum(numbers, dtype=np.int64))[first] if (first >= 0).all() else first
        if not (
            bounds[0] == 0
            and (np.diff(bounds) >= 0).all()
            and ascending.all()
            and first[0] == 0
            and (np.diff(first) > 0).all()
            and ((symbols >= 0) & (symbols < vocab_size)).all()
            and (np.diff(symbols)[np.isin(np.arange(1, len(symbols)), first, invert=True)] > 0).all()
            and (numbers > 0).all()
            and (np.diff(ends) == total).all()
            and ((last >= 0) & (last < vocab_size)).all()
            and (run > 0).all()
            and (when >= 0).all()
        ):
            raise InputError("the counts do not fit together")
        arrays = [first[:-1], first[1:], symbols, numbers, total, last, run, when]
        counted = Counted(*[np.ascontiguousarray(a, dtype=k) for a, k in zip(arrays, _KINDS, strict=True)])
        return cls(keys, bounds, counted)


def numbered(
    keys: np.ndarray | Sequence[np.ndarray],
    places: np.ndarray,
    ids: np.ndarray,
    vocab_size: int,
    past: ContextTable,
) -> tuple[Text, ContextTable]:
    """A text of which context each token has, by (K, T) hashes; and a table for what follows there, still empty.

    places: (T,) int64, positions in words. past: what was learnt before, whose contexts are known again.
    """
    table, contexts, slots = _laid_out(keys, ids, vocab_size)
    own = [table.keys[a:b] for a, b in zip(table.bounds[:-1], table.bounds[1:], strict=True)]
    links = np.concatenate([past.numbers_of(k, sort) for k, sort in enumerate(own)])
    return Text(ids, contexts, slots, places, links), table


def _laid_out(
    keys: np.ndarray | Sequence[np.ndarray], ids: np.ndarray, vocab_size: int
) -> tuple[ContextTable, np.ndarray, np.ndarray]:
    """A table with an entry for every pair of context and symbol, none counted; (K, T) contexts and (K, T) entries."""
    contexts, slots = (np.empty((len(keys), len(ids)), dtype=np.int32) for _ in range(2))
    bounds, entries = [0], 0
    sorts: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    for k, hashes in enumerate(keys):
        unique, rank = np.unique(hashes, return_inverse=True)
        pairs, entry = np.unique(rank * vocab_size + ids, return_inverse=True)
        contexts[k], slots[k] = rank + bounds[-1], entry + entries
        first = np.searchsorted(pairs, np.arange(len(unique)) * vocab_size) + entries
        sorts.append((unique, first, (pairs % vocab_size).astype(np.int32)))
        bounds.append(bounds[-1] + len(unique))
        entries += len(pairs)
    unique, first, symbols = (np.concatenate(parts) for parts in zip(*sorts, strict=True))
    size = len(unique)
    first = np.append(first, entries).astype(np.int64)
    counted = Counted(
        first[:-1],
        first[1:],
        symbols,
        np.zeros(entries, dtype=np.int32),
        np.zeros(size, dtype=np.int64),
        np.full(size, -1, dtype=np.int32),
        np.zeros(size, dtype=np.int32),
        np.zeros(size, dtype=np.int64),
    )
    return ContextTable(unique, np.array(bounds, dtype=np.int64), counted), contexts, slots


def merged(past: ContextTable, here: ContextTable, vocab_size: int) -> ContextTable:
    """What followed contexts in two texts read one after the other, ``here`` having been counted after ``past``."""
    sorts: list[tuple[np.ndarray, ...]] = []
    for k in range(len(past.bounds) - 1):
        both = [(table.counted, *table.bounds[k : k + 2].tolist()) for table in (past, here)]
        own = np.concatenate([past.keys[both[0][1] : both[0][2]], here.keys[both[1][1] : both[1][2]]])
        unique, rank = np.unique(own, return_inverse=True)
        ranks = np.split(rank, [both[0][2] - both[0][1]])
        pairs, numbers = [], []
        total, last, run, when = (np.zeros(len(unique), dtype=np.int64) for _ in range(4))
        for (counted, begin, end), of in zip(both, ranks, strict=True):
            first, beyond = counted.first[begin:end], counted.beyond[begin:end]
            entries = slice(int(first[0]), int(beyond[-1])) if end > begin else slice(0)
            pairs.append(np.repeat(of, beyond - first) * vocab_size + counted.symbols[entries])
            numbers.append(counted.numbers[entries])
            total[of] += counted.total[begin:end]
            # What was read later overwrites.
            last[of], run[of], when[of] = (c[begin:end] for c in (counted.last, counted.run, counted.when))
        pair, which = np.unique(np.concatenate(pairs), return_inverse=True)
        number = np.bincount(which, np.concatenate(numbers), len(pair)).astype(np.int32)
        size = np.bincount(pair // vocab_size, minlength=len(unique))
        sorts.append((unique, size, pair % vocab_size, number, total, last, run, when))
    keys, sizes, symbols, numbers_of_all, *others = (
        np.concatenate(parts) for parts in zip(*sorts, strict=True)
    )
    bounds = np.append(0, np.cumsum([len(parts[0]) for parts in sorts]))
    first = np.append(0, np.cumsum(sizes))
    columns = [first[:-1], first[1:], symbols, numbers_of_all, *others]
    return ContextTable(keys, bounds, Counted(*[c.astype(k) for c, k in zip(columns, _KINDS, strict=True)]))
