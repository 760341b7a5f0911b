"""Tables in few bytes, without loss: what a saved model is made of."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from lmbench.ngrams import NgramTrie


def pack_trie(trie: NgramTrie) -> dict[str, np.ndarray]:
    """``words.k``, ``children.k`` for each order k from 2: the last word of each n-gram, how many each context has.

    Both in the smallest unsigned integers that hold them: some three bytes an n-gram instead of a key's eight.
    """
    state = {}
    for k in range(2, trie.order + 1):
        children = np.bincount(trie.prefixes(k), minlength=len(trie.keys[k - 1]))
        state[f"words.{k}"] = trie.words(k).astype(np.min_scalar_type(trie.vocab_size - 1))
        state[f"children.{k}"] = children.astype(np.min_scalar_type(int(children.max(initial=0))))
    return state


def unpack_trie(state: Mapping[str, np.ndarray], vocab_size: int) -> tuple[np.ndarray, ...]:
    """The keys of every order."""
    keys = [np.zeros(1, dtype=np.int64), np.arange(vocab_size)]
    while f"words.{len(keys)}" in state:
        words, children = (state[f"{name}.{len(keys)}"] for name in ("words", "children"))
        contexts = np.repeat(np.arange(len(children)), children)
        keys.append(contexts * vocab_size + words)
    return tuple(keys)


def pack_column(name: str, values: np.ndarray) -> dict[str, np.ndarray]:
    """(N,) float64 under ``name``; as codes into a list of values, or in single precision, where that loses nothing."""
    distinct = np.unique(values)
    codes = np.searchsorted(distinct, values).astype(np.min_scalar_type(max(len(distinct) - 1, 0)))
    if distinct.nbytes + codes.nbytes < values.nbytes // 2:
        return {f"{name}.values": distinct, f"{name}.codes": codes}
    single = values.astype(np.float32)
    return {name: single if (single == values).all() else values}


def unpack_column(state: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    """(N,) float64: what ``pack_column`` packed."""
    if name in state:
        return state[name].astype(np.float64)
    values: np.ndarray = state[f"{name}.values"][state[f"{name}.codes"]]
    return values
