"""A text as a model sees it: ids, documents, and how they lie in the characters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from lmbench.errors import InputError
from lmbench.text.canonical import CanonicalText
from lmbench.text.interning import WordFinder
from lmbench.text.units import Unit, narrow_points
from lmbench.text.vocab import NOTHING, Vocab


@dataclass(frozen=True)
class Tokens:
    r"""What a model sees of a text.

    ids: (T,) int32, 0 ≤ id < V. starts: (D,) int64, ascending token offsets of documents, the first 0; context
    does not cross them. bos: the id as if which every document begins, that of ``\n``; ``NOTHING`` (-1) where the
    vocabulary has none, so that a document's first token has no context, and no token is read as a beginning.
    """

    ids: np.ndarray
    starts: np.ndarray
    bos: int = NOTHING

    def __len__(self) -> int:
        return len(self.ids)

    @classmethod
    def of(cls, ids: Tokens | Sequence[int] | np.ndarray, bos: int = NOTHING) -> Tokens:
        """One document of the given ids; Tokens pass through. Raises InputError of what is no list of 32-bit integers.

        >>> Tokens.of([5, 6]).ids.dtype, len(Tokens.of(()))
        (dtype('int32'), 0)
        """
        if isinstance(ids, Tokens):
            return ids
        return cls(_ids(ids), np.zeros(1, dtype=np.int64), bos)

    def head(self, length: int) -> Tokens:
        """The first ``length`` tokens, with the documents that begin in them; all of a text that has no more."""
        if length >= len(self):
            return self
        return Tokens(self.ids[:length], self.starts[self.starts < max(length, 1)], self.bos)

    def before(self, t: int) -> Tokens:
        """What stands before token t: the first t tokens, and its document begun, though it may have none of them."""
        return Tokens(self.ids[:t], self.starts[: np.searchsorted(self.starts, t, side="right")], self.bos)

    def pieces(self, size: int) -> Iterator[Tokens]:
        """The text in pieces of ``size`` tokens; where none begins, a piece goes on with the document before it.

        >>> text = Tokens(np.array([5, 6, 7]), np.array([0, 1]))
        >>> [(piece.ids.tolist(), piece.starts.tolist()) for piece in text.pieces(2)]
        [([5, 6], [0, 1]), ([7], [])]
        """
        for begin in range(0, len(self), size):
            first, last = np.searchsorted(self.starts, [begin, begin + size])
            yield Tokens(self.ids[begin : begin + size], self.starts[first:last] - begin, self.bos)

    def documents(self) -> list[np.ndarray]:
        """The ids of each document, as views."""
        return np.split(self.ids, self.starts[1:])

    def positions(self) -> np.ndarray:
        """(T,) int64: how many tokens of its document stand before each token."""
        lengths = np.diff(np.append(self.starts, len(self.ids)))
        return np.arange(len(self.ids), dtype=np.int64) - np.repeat(self.starts, lengths)


def _ids(ids: Sequence[int] | np.ndarray) -> np.ndarray:
    """(T,) int32, the same numbers. Raises InputError where there are none such."""
    try:
        array = np.asarray(ids)
    except ValueError:  # rows of different lengths
        array = np.zeros((0, 0))
    if array.ndim != 1 or (len(array) and array.dtype.kind not in "iu"):
        raise InputError("token ids are whole numbers in one row; give a list of integers")
    narrow = array.astype(np.int32, copy=False)
    if len(array) and array.dtype.itemsize >= 4 and (narrow != array).any():
        raise InputError(f"token id {array[narrow != array][0]} is beyond 32 bits; ids are from 0 to V - 1")
    return narrow


@dataclass(frozen=True)
class EncodedText:
    """A canonical text cut into units and looked up in a vocabulary."""

    canonical: CanonicalText
    unit: Unit
    vocab: Vocab
    tokens: Tokens

    @cached_property
    def ends(self) -> np.ndarray:
        """(T,) int64: where each token's span of characters ends; the spans partition the text."""
        return ends(self.canonical, self.unit)

    @cached_property
    def oov(self) -> np.ndarray:
        """(T,) bool: tokens outside the vocabulary."""
        return self.tokens.ids == 0

    def surface(self) -> list[str]:
        """(T,) the tokens as they stand in the text."""
        return surface(self.canonical, self.unit)

    def surface_at(self, places: np.ndarray) -> list[str]:
        """(P,) some of them."""
        cut = self.canonical.cut(self.unit)
        if cut is not None:
            whole = cut.surface()
            return [whole[i] for i in places.tolist()]
        if self.unit.name == "word" and not self.canonical.has_types(self.unit):
            ends, text = self.ends, self.canonical.text
            spans = zip(np.append(0, ends)[places].tolist(), ends[places].tolist(), strict=True)
            return [text[begin:end].removeprefix(" ") for begin, end in spans]
        types, which = self.canonical.types(self.unit)
        return [types[i] for i in which[places].tolist()]


def read_by(text: CanonicalText, unit: Unit) -> CanonicalText:
    """The text that a unit reads: the same, unless its tokenizer normalises and may."""
    cut = text.cut(unit)
    return text if cut is None else cut.text


def ends(text: CanonicalText, unit: Unit) -> np.ndarray:
    """(T,) int64: where the span of characters of each token of a text ends."""
    cut = text.cut(unit)
    return unit.ends(text.text) if cut is None else cut.ends


def surface(text: CanonicalText, unit: Unit) -> list[str]:
    """(T,) the tokens of a text as they stand in it."""
    cut = text.cut(unit)
    return unit.split(text.text) if cut is None else cut.surface()


def occurrences(text: CanonicalText, unit: Unit, token: str) -> int:
    """How often a token stands in a text."""
    cut = text.cut(unit)
    types, which = text.types(unit) if cut is None else (cut.types, cut.which)
    return int(np.count_nonzero(which == types.index(token))) if token in types else 0


def encode_lines(canonical: CanonicalText, unit: Unit, vocab: Vocab, words: WordFinder) -> EncodedText:
    """A text of lines looked up word by word, as ``encode`` does it where many texts are looked up in one vocabulary.

    words: the vocabulary's entries from index 1 on.
    """
    ids = words.numbers(canonical.text) + np.int32(1)
    newlines = np.flatnonzero(ids == vocab.newline)
    starts = np.append(0, newlines + 1)[: len(canonical.starts)]
    return EncodedText(canonical, unit, vocab, Tokens(ids, starts, vocab.newline))


def encode(canonical: CanonicalText, unit: Unit, vocab: Vocab) -> EncodedText:
    """Looks a text's tokens up. The canonical text of what is returned is what the unit reads: nearly always the same.

    >>> from lmbench.text.canonical import canonical_text
    >>> from lmbench.text.units import unit_named
    >>> encoded = encode(canonical_text(["a b\\nc a"], "none", "line"), unit_named("word"), Vocab(["a", "a", "b", "\\n"]))
    >>> encoded.tokens.ids.tolist(), encoded.tokens.starts.tolist(), encoded.ends.tolist(), int(encoded.oov.sum())
    ([1, 2, 3, 0, 1, 3], [0, 3], [1, 3, 4, 5, 7, 8], 1)
    """
    cut = canonical.cut(unit)
    if cut is not None:
        ids = vocab.encode(cut.types)[cut.which]
        return EncodedText(cut.text, unit, vocab, Tokens(ids, cut.starts, vocab.newline))
    types, which = canonical.types(unit)
    ids = vocab.encode(types).take(which)
    starts = starts_of_tokens(canonical, types, which)
    return EncodedText(canonical, unit, vocab, Tokens(ids, starts, vocab.newline))


def starts_of_tokens(canonical: CanonicalText, types: Sequence[str], which: np.ndarray) -> np.ndarray:
    """(D,) int64: the token with which each document of a text begins; types, which: as ``Unit.types`` gives them."""
    starts = canonical.starts
    if len(starts) > 1:
        # Every document but the first follows a line feed, which is a token in every unit.
        line_feeds = np.flatnonzero(which == types.index("\n"))
        if len(starts) == len(line_feeds) + (canonical.text[-1] != "\n"):  # every line is a document
            return np.append(0, line_feeds + 1)[: len(starts)]
        before = np.searchsorted(np.flatnonzero(narrow_points(canonical.text) == 10), starts[1:] - 1)
        starts = np.append(0, line_feeds[before] + 1)
    return np.asarray(starts, dtype=np.int64)
