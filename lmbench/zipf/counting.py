"""A text's words as ids, and tables of counts: what the laws are about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lmbench.errors import InputError
from lmbench.text.canonical import CanonicalText
from lmbench.text.searching import distinct
from lmbench.text.tokens import encode
from lmbench.text.units import unit_named
from lmbench.text.vocab import build_vocab


def token_ids(text: CanonicalText, unit: str = "word") -> tuple[np.ndarray, np.ndarray]:
    r"""(T,) int32 ids of a text's tokens, and (D,) where its documents start; line feeds and empty words are no words."""
    cut = unit_named(unit, text)
    vocab = build_vocab(text, cut)
    tokens = encode(text, cut, vocab).tokens
    blanks = [vocab.index(t) for t in ("\n", "") if t in vocab] if unit == "word" else []
    keep = ~np.isin(tokens.ids, blanks)
    before = np.append(0, np.cumsum(keep))
    starts = distinct(before[tokens.starts])[0]
    return tokens.ids[keep], starts[starts < before[-1]]


def falling_counts(counts: Mapping[Any, int] | Sequence[int] | np.ndarray) -> np.ndarray:
    """(K,) int64, falling: the rank-frequency curve. Raises InputError for no counts or ones that are not ≥ 1."""
    given = np.asarray(list(counts.values()) if isinstance(counts, Mapping) else counts)
    if given.ndim != 1 or not len(given):
        raise InputError("no counts to fit Zipf's law to; give a text with at least one token")
    whole = given.astype(np.int64)
    if (whole != given).any() or whole.min() < 1:
        bad = given[(whole != given) | (whole < 1)][0]
        raise InputError(f"a count of {bad} cannot be: counts are whole numbers from 1 up")
    return np.sort(whole)[::-1]


def spectrum(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The distinct counts m, ascending, and V_m, how many types have each; both (D,) int64.

    >>> spectrum(np.array([5, 1, 1, 2]))
    (array([1, 2, 5]), array([2, 1, 1]))
    """
    values, types = np.unique(counts, return_counts=True)
    return values.astype(np.int64), types.astype(np.int64)
