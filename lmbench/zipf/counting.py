"""A text's words as ids, and tables of counts: what the laws are about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from lmbench.errors import InputError
from lmbench.text.canonical import CanonicalText
from lmbench.text.searching import distinct
from lmbench.text.tokens import encode
from lmbench.text.units import unit_named
from lmbench.text.vocab import build_vocab

BLANKS = ("\n", "")  # tokens of a text by word that are no words


def token_ids(text: CanonicalText, unit: str = "word") -> tuple[np.ndarray, np.ndarray]:
    r"""(T,) int32 ids of a text's tokens, and (D,) where its documents start; line feeds and empty words are no words."""
    cut = unit_named(unit, text)
    vocab = build_vocab(text, cut)
    tokens = encode(text, cut, vocab).tokens
    blanks = [vocab.index(t) for t in BLANKS if t in vocab] if unit == "word" else []
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


class Spectrum(NamedTuple):
    """All that a fit asks of counts, however many types there are.

    values: (D,) int64, the distinct counts m, ascending. types: (D,) int64, V_m, how many types have each.
    """

    values: np.ndarray
    types: np.ndarray

    @property
    def kinds(self) -> int:
        return int(self.types.sum())

    @property
    def tokens(self) -> int:
        return int(self.values @ self.types)

    def at_ranks(self, ranks: np.ndarray) -> np.ndarray:
        """(Q,) int64: the counts at some ranks, 1 that of the commonest type.

        >>> spectrum(np.array([5, 1, 1, 2])).at_ranks(np.array([1, 2, 3, 4])).tolist()
        [5, 2, 1, 1]
        """
        place = np.searchsorted(np.cumsum(self.types[::-1]), ranks)
        return np.asarray(self.values[::-1][place])


def spectrum(counts: np.ndarray) -> Spectrum:
    """The distinct counts of types, and how many have each.

    >>> spectrum(np.array([5, 1, 1, 2]))
    Spectrum(values=array([1, 2, 5]), types=array([2, 1, 1]))
    """
    values, types = np.unique(counts, return_counts=True)
    return Spectrum(values.astype(np.int64), types.astype(np.int64))
