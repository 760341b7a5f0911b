"""Tables in few bytes, without loss: what a saved model is made of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from lmbench.counts.trie import NgramTrie, roots
from lmbench.errors import InputError
from lmbench.models.saved import saved_array
from lmbench.models.smoothing.stretches import Range
from lmbench.storage.mapped import MappedArray
from lmbench.storage.pieces import PIECE, Made, pieces_of, release

_SAMPLE = 1 << 16
_GROUP = 32  # contexts whose continuations are counted from one place
_STRETCH = 1 << 19  # n-grams that are looked at together


def pack_trie(trie: NgramTrie) -> dict[str, Any]:
    """``words.k``, ``children.k``, ``begins.k`` for each order k from 2, in the smallest unsigned integers that hold them.

    The last word of each n-gram; how many each context has; and, for every 32nd context, how many all before it have,
    so that one context's are found without the others. Some three bytes an n-gram.
    """
    state: dict[str, Any] = {}
    for k in range(2, trie.order + 1):
        begins = trie.begins[k - 1]
        state[f"words.{k}"] = trie.words[k]
        state[f"children.{k}"] = _children(begins)
        state[f"begins.{k}"] = _every(begins[:-1], _GROUP)
    return state


def _every(values: np.ndarray, step: int) -> np.ndarray:
    """``values[::step]``, of which no more than a piece is in memory meanwhile."""
    begins = range(0, len(values), PIECE)
    some = [
        piece[-begin % step :: step].copy() for begin, piece in zip(begins, pieces_of(values), strict=True)
    ]
    return np.concatenate([values[:0], *some])


def _children(begins: np.ndarray) -> Made:
    """(contexts,) how many continuations each context has."""

    def make(begin: int, end: int) -> np.ndarray:
        number: np.ndarray = np.diff(begins[begin : end + 1])
        release(begins)
        return number

    every = Made(np.dtype(np.uint32), len(begins) - 1, make)
    most = max((int(piece.max()) for piece in every.pieces()), default=0)
    return Made(np.min_scalar_type(most), len(begins) - 1, make)


class PackedTrie:
    """Lookups in what ``pack_trie`` made, of which no more is read than they need."""

    def __init__(self, columns: Mapping[str, MappedArray], vocab_size: int) -> None:
        self._columns, self._vocab_size = columns, vocab_size
        self.sizes = [1, vocab_size]
        while f"words.{(k := len(self.sizes))}" in columns:
            contexts = self.sizes[-1]
            saved_array(columns, f"children.{k}", (contexts,), "u")
            saved_array(columns, f"begins.{k}", (-(-contexts // _GROUP),), "u")
            self.sizes.append(len(saved_array(columns, f"words.{k}", (None,), "u").below(vocab_size)))

    @cached_property
    def unpacked(self) -> tuple[tuple[np.ndarray, ...], tuple[np.ndarray, ...]]:
        """``words`` and ``begins`` of all of it."""
        return unpack_trie({name: column.all() for name, column in self._columns.items()}, self._vocab_size)

    def words_at(self, k: int, ranks: np.ndarray) -> np.ndarray:
        """(Q,) the last words of n-grams of order k ≥ 1."""
        return ranks if k == 1 else self._columns[f"words.{k}"][ranks]

    def children(self, k: int, contexts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(Q,), (Q,) int64: the half-open range of ranks in order k+1 that continue each context of order k."""
        contexts, which = np.unique(np.asarray(contexts, dtype=np.int64), return_inverse=True)
        if not len(contexts) or not self.sizes[k + 1]:
            return np.zeros_like(which), np.zeros_like(which)
        children, begins = self._columns[f"children.{k + 1}"], self._columns[f"begins.{k + 1}"]
        group, place = np.divmod(contexts, _GROUP)
        near = np.minimum(group[:, None] * _GROUP + np.arange(_GROUP), len(children) - 1)
        before = np.where(np.arange(_GROUP) < place[:, None], children[near], 0).sum(axis=1, dtype=np.int64)
        first = begins[group].astype(np.int64) + before
        return first[which], (first + children[contexts])[which]

    def release(self) -> None:
        """What has been read of the file need not stay in memory."""
        for column in self._columns.values():
            return release(column.stretch(0, 0))

    def ranges(self, k: int) -> Iterator[Range]:
        """All of order k ≥ 2 in turn."""
        contexts, grams = self.sizes[k - 1 : k + 1]
        begins = self._columns[f"begins.{k}"].all()
        groups = np.searchsorted(begins, np.arange(_STRETCH, grams, _STRETCH), side="right") - 1
        groups = np.unique(np.append(0, groups))
        edges = zip((groups * _GROUP).tolist(), begins[groups].tolist(), strict=True) if contexts else ()
        return (Range(*one, *other) for one, other in pairwise([*edges, (contexts, grams)]))

    def of_range(self, k: int, part: Range) -> tuple[np.ndarray, np.ndarray]:
        """How many n-grams continue each context, and the last words of these."""
        number = self._columns[f"children.{k}"].stretch(part.begin, part.beyond)
        return number, self._columns[f"words.{k}"].stretch(part.first, part.last)


def ranges_of(begins: np.ndarray) -> Iterator[Range]:
    """Of a trie in memory. begins: (contexts + 1,), where the n-grams that continue each context begin."""
    cuts = np.searchsorted(begins, np.arange(_STRETCH, int(begins[-1]), _STRETCH), side="right") - 1
    cuts = np.unique(np.concatenate([[0], cuts, [len(begins) - 1]]))
    edges = zip(cuts.tolist(), begins[cuts].tolist(), strict=True)
    return (Range(*one, *other) for one, other in pairwise(edges))


def unpack_trie(
    state: Mapping[str, np.ndarray], vocab_size: int
) -> tuple[tuple[np.ndarray, ...], tuple[np.ndarray, ...]]:
    """``words`` and ``begins`` of every order. Raises InputError where they do not fit each other."""
    words, begins = roots(vocab_size)
    while f"words.{len(words)}" in state:
        k = len(words)
        children = saved_array(state, f"children.{k}", (None,), "u")
        begin = np.append(0, np.cumsum(children, dtype=np.int64))
        words.append(saved_array(state, f"words.{k}", (None,), "u"))
        if words[-1].max(initial=0) >= vocab_size:
            raise InputError(
                f"the n-grams of order {k} hold words that are not in the vocabulary; fit the model anew"
            )
        if begin[-1] != len(words[-1]):
            raise InputError(f"the n-grams of order {k} do not fit their contexts; fit the model anew")
        rises = words[-1][1:] > words[-1][:-1]
        # From one context to the next they may fall.
        rises[begin[(begin > 0) & (begin < len(words[-1]))] - 1] = True
        if not rises.all():
            raise InputError(f"the n-grams of order {k} are out of order; fit the model anew")
        begins.append(begin.astype(np.uint32))
    return tuple(words), tuple(begins)


def pack_column(name: str, values: np.ndarray) -> dict[str, Any]:
    """(N,) floats under ``name``; as codes into a list of values, or in single precision, where that loses nothing."""
    distinct = _distinct(values)
    if distinct is not None:
        code = np.min_scalar_type(max(len(distinct) - 1, 0))
        if distinct.nbytes + code.itemsize * len(values) < values.nbytes // 2:

            def codes(begin: int, end: int) -> np.ndarray:
                number: np.ndarray = np.searchsorted(distinct, values[begin:end])
                release(values)
                return number

            return {f"{name}.values": distinct, f"{name}.codes": Made(code, len(values), codes)}
    if values.dtype == np.float32:
        return {name: values}
    # What single precision cannot hold becomes infinite, and so is not what it was.
    with np.errstate(over="ignore"):
        lossless = all((piece.astype(np.float32) == piece).all() for piece in pieces_of(values))
    return {name: values.astype(np.float32) if lossless else values}


def _distinct(values: np.ndarray) -> np.ndarray | None:
    """The distinct values, ascending, where 2^16, all that codes of two bytes can tell apart, may be all there are."""
    sample = _every(values, -(-len(values) // _SAMPLE) or 1)
    if len(sample) < len(values) and len(np.unique(sample)) >= 0.8 * len(sample):
        return None
    distinct = values[:0]
    for piece in pieces_of(values):
        distinct = np.union1d(distinct, piece)
        if len(distinct) > _SAMPLE:
            return None
    return distinct


class Coded:
    """A column of codes into a list of values, decoded where it is read."""

    def __init__(self, values: np.ndarray, codes: MappedArray | np.ndarray) -> None:
        self._values, self._codes = values, codes
        self.nbytes = values.nbytes + codes.nbytes

    def __len__(self) -> int:
        return len(self._codes)

    def __getitem__(self, ranks: np.ndarray) -> np.ndarray:
        values: np.ndarray = self._values[self._codes[ranks]]
        return values

    def stretch(self, begin: int, end: int) -> Coded:
        """Some of it, in its place in the file, as ``MappedArray.stretch`` has it."""
        codes = (
            self._codes.stretch(begin, end)
            if isinstance(self._codes, MappedArray)
            else self._codes[begin:end]
        )
        return Coded(self._values, codes)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self._values[np.asarray(self._codes)], dtype=dtype)


def open_column(columns: Mapping[str, MappedArray], name: str) -> Any:
    """What ``pack_column`` packed, left in its file: an array to all who index it by ranks.

    Raises InputError where it is missing or not a column.
    """
    if name in columns:
        return saved_array(columns, name, (None,))
    values = saved_array(columns, f"{name}.values", (None,)).all()
    return Coded(values, saved_array(columns, f"{name}.codes", (None,), "u").below(len(values)))


def unpack_column(state: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    """(N,) float32 or float64: what ``pack_column`` packed. Raises InputError where a number in it is none, or infinite."""
    if name in state:
        column = np.array(saved_array(state, name, (None,)))
    else:
        codes = saved_array(state, f"{name}.codes", (None,), "u")
        column = saved_array(state, f"{name}.values", (None,))[codes]
    if not np.isfinite(column).all():
        raise InputError(f"the array {name} holds what is no finite number; fit the model anew")
    return column if column.dtype == np.float32 else column.astype(np.float64)
