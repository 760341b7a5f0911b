"""Context mixing in bits read back from a file, with every index looked at, since compiled code does not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from lmbench.errors import InputError
from lmbench.models.mixing.bit_contexts import (
    LENGTH,
    NOW,
    OPEN,
    SAME_AS_ABOVE,
    SINCE_CAPITAL,
    Alphabet,
    Place,
    empty_place,
)
from lmbench.models.mixing.bit_memory import Memory, empty_memory
from lmbench.models.mixing.decisions import KINDS, Decisions
from lmbench.models.saved import saved_array

TABLES = ("roots", "nodes")  # of which most is empty


def saved_alphabet(state: Mapping[str, np.ndarray], size: int) -> Alphabet:
    """That of V = ``size`` symbols. Raises InputError where it is none."""
    alphabet = Alphabet(*(_saved(state, f"alphabet.{name}", (size,)) for name in Alphabet._fields))
    if not (_within(alphabet.kinds, 0, KINDS) and _within(alphabet.folded, 0, size)):
        raise InputError("the kinds of symbols in it are none; fit the model anew")
    return alphabet


def _saved(state: Mapping[str, np.ndarray], name: str, shape: Sequence[int | None]) -> np.ndarray:
    """(…) int64."""
    return np.ascontiguousarray(saved_array(state, name, shape, "i"), dtype=np.int64)


def _within(array: np.ndarray, low: int, end: int) -> bool:
    return bool(((array >= low) & (array < end)).all())


def saved_tree(state: Mapping[str, np.ndarray], size: int) -> Decisions:
    """That of V = ``size`` symbols. Raises InputError where it is none."""
    path = _saved(state, "tree.path", (size, None))
    shapes = [(size, path.shape[1]), (size,), *[(size - 1,)] * 3]
    rest = (
        _saved(state, f"tree.{name}", shape)
        for name, shape in zip(Decisions._fields[1:], shapes, strict=True)
    )
    tree = Decisions(path, *rest)
    sound = (
        _within(path, -1, size - 1)
        and _within(tree.bit, 0, 2)
        and _within(tree.length, 0, max(path.shape[1], 1))
        and bool((tree.above < np.arange(size - 1)).all() and _within(tree.above, -1, size))
        and _within(tree.turn, 0, 2)
        and _within(tree.depth, 0, max(path.shape[1], 1))
        and bool(((path >= 0) == (np.arange(path.shape[1]) < tree.length[:, None])).all())
    )
    if not sound:
        raise InputError("the tree of decisions in it is none; fit the model anew")
    return tree


def saved_place(state: Mapping[str, np.ndarray], size: int) -> Place:
    """At the end of the text that was read, of V = ``size`` symbols. Raises InputError where it is none."""
    text = np.ascontiguousarray(saved_array(state, "place.text", (None,), "i"), dtype=np.int32)
    empty = empty_place(size)
    hashes = saved_array(state, "place.hashes", empty.hashes.shape, "u").astype(np.uint64)
    rest = [_saved(state, f"place.{name}", getattr(empty, name).shape) for name in Place._fields[2:]]
    place = Place(text, hashes, *rest)
    numbers = place.numbers
    sound = _within(text, 0, size) and numbers[NOW] == len(text) and _within(numbers[:5], 0, len(text) + 1)
    sound = sound and numbers[LENGTH] >= 0 and 0 <= numbers[OPEN] < 16
    sound = sound and 0 <= numbers[SINCE_CAPITAL] < 64 and numbers[SAME_AS_ABOVE] >= -1
    if not (sound and all(_within(past, 0, 1 << 16) for past in place[3:])):
        raise InputError("the text in it is none of this vocabulary; fit the model anew")
    return place


def saved_memory(state: Mapping[str, np.ndarray], size: int, tokens: int, others: int) -> Memory:
    """What was learnt from so many tokens of V = ``size`` symbols, beside so many others. Raises InputError where it is none."""
    tables = [_saved_table(state, name, tokens) for name in TABLES]
    if len(tables[0]) and int((tables[0] & np.uint64(0xFFFF)).max()) >= size:
        raise InputError("the symbols in it are none of this vocabulary; fit the model anew")
    heads = np.ascontiguousarray(saved_array(state, "memory.heads", (3, None), "i"), dtype=np.int32)
    matches = _saved(state, "memory.matches", (3, 3))
    like = empty_memory(size, 1, others)
    learnt = []
    for name in Memory._fields[4:-1]:
        array = saved_array(state, f"memory.{name}", getattr(like, name).shape)
        learnt.append(np.ascontiguousarray(array, dtype=np.float32))
    seen = _saved(state, "memory.seen", (1,))
    pairs = learnt[:4]
    sound = all((np.abs(array) < 1e9).all() for array in learnt) and all(
        ((array[..., 0] >= 0) & (array[..., 0] <= 1) & (array[..., 1] >= 0)).all() for array in pairs
    )
    width = heads.shape[1]
    sound = sound and width > 0 and width & (width - 1) == 0 and _within(heads, 0, tokens + 1)
    sound = sound and _within(matches, 0, tokens + 1) and seen[0] >= 0
    if not sound:
        raise InputError("the weights in it are no sound numbers; fit the model anew")
    return Memory._make([*tables, heads, matches, *learnt, seen])


def _saved_table(state: Mapping[str, np.ndarray], name: str, tokens: int) -> np.ndarray:
    """(2^m,) uint64, no larger than a text of so many tokens asks for."""
    size = int(saved_array(state, f"{name}.size", (1,), "i")[0])
    places = saved_array(state, f"{name}.places", (None,), "i")
    entries = saved_array(state, f"{name}.entries", (len(places),), "u")
    if not (8 <= size <= 64 * (tokens + 16) and size & (size - 1) == 0 and _within(places, 0, size)):
        raise InputError(f"the table {name} in it is none; fit the model anew")
    table = np.zeros(size, dtype=np.uint64)
    table[places] = entries
    return table
