"""A text's words as ids, and tables of counts: what the laws are about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from lmbench.corpora.corpus import end_to_end
from lmbench.counts.unpadded import without
from lmbench.errors import InputError
from lmbench.text.canonical import CanonicalText
from lmbench.text.tokens import starts_of_tokens
from lmbench.text.units import UNITS, unit_named

BLANKS = ("\n", "")  # tokens of a text by word that are no words


def token_ids(
    text: CanonicalText | Sequence[CanonicalText], unit: str = "word"
) -> tuple[np.ndarray, np.ndarray]:
    r"""(T,) int32 ids of a text's tokens, and (D,) where its documents start; line feeds and empty words are no words.

    text: or its parts (``Corpus.parts``), which are then not put together, and are not cut anew where they have been cut.

    >>> ids, starts = token_ids([CanonicalText.of(["one two\n"]), CanonicalText.of(["two three"])])
    >>> ids.tolist(), starts.tolist()
    ([0, 1, 1, 3], [0, 2])
    """
    parts = [part for part in ([text] if isinstance(text, CanonicalText) else text) if part.text]
    if not parts:
        raise InputError("the text is empty; there is nothing to count")
    # What is learnt is learnt of all of a text; a word may go on in the next part.
    if unit not in UNITS or (unit == "word" and any(part.text[-1] not in "\n " for part in parts[:-1])):
        parts = [end_to_end(parts)]
    cut = unit_named(unit, parts[0])
    numbers: dict[str, int] = {}
    every, begins, offset, joined = [], [], 0, False
    for part in parts:
        encoded = part.cut(cut)
        types, which = part.types(cut)
        starts = starts_of_tokens(part, types, which) if encoded is None else encoded.starts
        begins.append(starts[int(joined) :] + offset)
        own = np.array([numbers.setdefault(token, len(numbers)) for token in types], dtype=np.int32)
        every.append(own.take(which))
        offset, joined = offset + len(which), not part.text.endswith("\n")
    ids, starts = np.concatenate(every), np.concatenate(begins)
    blanks = [numbers[token] for token in BLANKS if token in numbers] if unit == "word" else []
    return without(ids, starts, blanks)


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
