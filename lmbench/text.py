"""Text to integers and back: normalisers, canonical text, vocabularies, token sequences.

    raw documents --canonical_text--> CanonicalText --encode(unit, vocab)--> EncodedText (holds Tokens)

The canonical text is what every model is charged for.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, repeat

import numpy as np

from lmbench.files import InputError, unknown
from lmbench.units import Unit, narrow_points

UNK = "<unk>"
DOCUMENTS = ("stream", "line")


# Normalisers ---------------------------------------------------------------------------------------


def _none(text: str) -> str:
    return text


def _whitespace(text: str) -> str:
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if not text.isascii() or any(blank in text for blank in "\t\v\f\x1c\x1d\x1e\x1f"):
        return "\n".join([" ".join(line.split()) for line in text.split("\n")])
    return "".join([_tidied(piece) for piece in _pieces(text)])


def _tidied(text: str) -> str:
    """Lines whose only blanks are spaces: each goes that stands before a blank or at the beginning of a line."""
    data = narrow_points(text)
    space, newline = data == 32, data == 10
    stays = ~space
    stays[:-1] |= ~(space | newline)[1:]
    if not stays.all():
        data = data[stays]
        space, newline = data == 32, data == 10
    space[1:] &= newline[:-1]
    if space.any():
        data = data[~space]
    return text if len(data) == len(text) else data.tobytes().decode("ascii")


def _pieces(text: str, size: int = 1 << 16) -> Iterator[str]:
    """Whole lines, some ``size`` characters at a time: what is made of them on the way stays in the cache."""
    begin = 0
    while begin < len(text):
        end = text.find("\n", begin + size) + 1 or len(text)
        yield text[begin:end]
        begin = end


def _letters(text: str) -> str:
    lines = (re.sub("[^A-Za-z]+", " ", line).strip().lower() for line in text.splitlines())
    return "\n".join(line for line in lines if line)


NORMALISERS: dict[str, Callable[[str], str]] = {
    "none": _none,  # the text as it stands
    "whitespace": _whitespace,  # runs of blanks are one space, none at the ends of lines, lines end in \n
    "letters": _letters,  # per line: all but A-Z a-z becomes one space; lower case; no empty lines (D2L 8.2)
}


# Canonical text ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class CanonicalText:
    """A normalised text and where its documents begin: what every model is charged for.

    text: the whole string; starts: (D,) int64, ascending character offsets of documents, the first 0.
    Every document but the last ends in a line feed, so that no token straddles two documents.
    """

    text: str
    starts: np.ndarray

    @cached_property
    def chars(self) -> int:
        return len(self.text)

    @cached_property
    def bytes(self) -> int:
        """Length in UTF-8 bytes."""
        return len(self.text.encode("utf-8"))

    @cached_property
    def words(self) -> int:
        """Number of maximal runs of non-blank characters."""
        return len(self.text.split())

    def types(self, unit: Unit) -> tuple[list[str], np.ndarray]:
        """The distinct tokens by first appearance, and (T,) int32: which of them each token is.

        Kept, because the vocabulary and the ids are both made of it.
        """
        if unit not in self._types:
            self._types[unit] = unit.types(self.text)
        return self._types[unit]

    @cached_property
    def _types(self) -> dict[Unit, tuple[list[str], np.ndarray]]:
        return {}

    def documents(self) -> list[str]:
        ends = [*self.starts[1:].tolist(), self.chars]
        return [self.text[a:b] for a, b in zip(self.starts.tolist(), ends, strict=False)]

    @classmethod
    def of(cls, documents: Sequence[str]) -> CanonicalText:
        """Documents laid end to end; empty ones vanish."""
        documents = [d for d in documents if d]
        if any(not d.endswith("\n") for d in documents[:-1]):
            raise ValueError("every document but the last must end in a line feed")
        lengths = np.array([len(d) for d in documents], dtype=np.int64)
        return cls("".join(documents), np.cumsum(lengths) - lengths)


def canonical_text(raw: Sequence[str], normalise: str, documents: str) -> CanonicalText:
    """Normalises raw documents (files, topics) and divides them.

    normalise: a name in NORMALISERS. documents: ``stream`` keeps each raw document whole (its lines joined
    by one space under ``letters``); where there are several, each ends in a line feed. ``line`` makes
    each line with its line feed a document of its own. Raises InputError for unknown names.
    """
    if normalise not in NORMALISERS:
        raise unknown("normaliser", normalise, NORMALISERS)
    if documents not in DOCUMENTS:
        raise unknown("documents mode", documents, DOCUMENTS)
    texts = [t for t in (NORMALISERS[normalise](r) for r in raw) if t]
    if documents == "line":
        text = "".join([t if t.endswith("\n") else t + "\n" for t in texts])
        starts = np.append(0, np.flatnonzero(narrow_points(text) == 10) + 1)
        return CanonicalText(text, starts[:-1] if text else np.zeros(0, dtype=np.int64))
    if normalise == "letters":
        texts = [t.replace("\n", " ") for t in texts]
    if len(texts) > 1:
        texts = [t if t.endswith("\n") else t + "\n" for t in texts]
    return CanonicalText.of(texts)


# Vocabulary ----------------------------------------------------------------------------------------


class Vocab:
    """Tokens and their indices: 0 is ``<unk>``, then reserved tokens, then by falling frequency.

    tokens: a list of tokens, a list of lists, or a Counter. min_count: rarer tokens are left out; max_size: at
    most so many entries in all. Ties are ordered by first appearance. Raises ValueError on duplicates
    among the reserved tokens.

    A token of the *text* that happens to read ``<unk>`` (Penn Treebank has them) or like a reserved
    token is an ordinary word with an index of its own; ``vocab['<unk>']`` is always 0.
    """

    def __init__(
        self,
        tokens: Iterable[str] | Iterable[list[str]] | Counter[str] = (),
        min_count: int = 0,
        reserved: Sequence[str] = (),
        max_size: int | None = None,
    ) -> None:
        counts = tokens if isinstance(tokens, Counter) else Counter(_flat(tokens))
        self.reserved = (UNK, *reserved)
        if len(set(self.reserved)) != len(self.reserved):
            raise ValueError(f"reserved tokens repeat: {', '.join(self.reserved)}")
        ranked = sorted(counts.items(), key=lambda item: -item[1])
        kept = [(token, n) for token, n in ranked if n >= min_count]
        if max_size is not None:
            kept = kept[: max(0, max_size - len(self.reserved))]
        self.token_freqs: list[tuple[str, int]] = kept
        self._tokens = [*self.reserved, *(token for token, _ in kept)]
        self._of_text = {
            token: i for i, token in enumerate(self._tokens[len(self.reserved) :], len(self.reserved))
        }

    @classmethod
    def from_list(cls, tokens: Sequence[str], reserved: int = 1) -> Vocab:
        """A vocabulary read back: the first ``reserved`` entries are ``<unk>`` and the reserved tokens."""
        vocab = cls(reserved=tokens[1:reserved])
        vocab._tokens = list(tokens)
        vocab._of_text = {token: i for i, token in enumerate(tokens) if i >= reserved}
        return vocab

    def __len__(self) -> int:
        return len(self._tokens)

    def __contains__(self, token: object) -> bool:
        return token in self._of_text or token in self.reserved

    def __getitem__(self, token: str | Sequence[str]) -> int | list[int]:
        """The index of a token, or the indices of a list of tokens (nested lists too)."""
        if isinstance(token, str):
            return self.index(token)
        return [self[t] for t in token]  # type: ignore[misc]

    def index(self, token: str) -> int:
        if token in self.reserved:
            return self.reserved.index(token)
        return self._of_text.get(token, 0)

    def to_tokens(self, indices: int | Sequence[int] | np.ndarray) -> str | list[str]:
        """The token of an index, or the tokens of a list of indices."""
        if isinstance(indices, (int, np.integer)):
            return self._tokens[indices]
        return [self._tokens[int(i)] for i in indices]

    @property
    def tokens(self) -> list[str]:
        """All entries, by index."""
        return list(self._tokens)

    @property
    def newline(self) -> int:
        r"""The index of ``\n``, as if which every document begins; 0 where the text has none."""
        return self._of_text.get("\n", 0)

    def encode(self, tokens: Sequence[str]) -> np.ndarray:
        """(T,) int32 indices of tokens of a text; unknown ones are 0."""
        return np.fromiter(map(self._of_text.get, tokens, repeat(0)), dtype=np.int32, count=len(tokens))


def _flat(tokens: Iterable[str] | Iterable[list[str]]) -> Iterable[str]:
    return chain.from_iterable([t] if isinstance(t, str) else t for t in tokens)


# Tokens --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Tokens:
    r"""What a model sees of a text.

    ids: (T,) int32, 0 ≤ id < V. starts: (D,) int64, ascending token offsets of documents, the first 0; context
    does not cross them. bos: the id as if which every document begins (that of ``\n``; 0 where the
    vocabulary has none).
    """

    ids: np.ndarray
    starts: np.ndarray
    bos: int = 0

    def __len__(self) -> int:
        return len(self.ids)

    @classmethod
    def of(cls, ids: Tokens | Sequence[int] | np.ndarray, bos: int = 0) -> Tokens:
        """One document of the given ids; Tokens pass through."""
        if isinstance(ids, Tokens):
            return ids
        return cls(np.asarray(ids, dtype=np.int32), np.zeros(1, dtype=np.int64), bos)

    def documents(self) -> list[np.ndarray]:
        """The ids of each document, as views."""
        return np.split(self.ids, self.starts[1:])

    def positions(self) -> np.ndarray:
        """(T,) int64: how many tokens of its document stand before each token."""
        lengths = np.diff(np.append(self.starts, len(self.ids)))
        return np.arange(len(self.ids), dtype=np.int64) - np.repeat(self.starts, lengths)


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
        return self.unit.ends(self.canonical.text)

    @cached_property
    def oov(self) -> np.ndarray:
        """(T,) bool: tokens outside the vocabulary."""
        return self.tokens.ids == 0

    def surface(self) -> list[str]:
        """(T,) the tokens as they stand in the text."""
        return self.unit.split(self.canonical.text)


def encode(canonical: CanonicalText, unit: Unit, vocab: Vocab) -> EncodedText:
    """Looks a text's tokens up."""
    types, which = canonical.types(unit)
    ids = vocab.encode(types)[which]
    starts = canonical.starts
    if len(starts) > 1:
        # Every document but the first follows a line feed, which is a token in every unit.
        line_feeds = np.flatnonzero(which == types.index("\n"))
        before = np.searchsorted(np.flatnonzero(narrow_points(canonical.text) == 10), starts[1:] - 1)
        starts = np.append(0, line_feeds[before] + 1)
    return EncodedText(canonical, unit, vocab, Tokens(ids, np.asarray(starts, dtype=np.int64), vocab.newline))


def build_vocab(
    canonical: CanonicalText, unit: Unit, min_count: int = 0, reserved: Sequence[str] = ()
) -> Vocab:
    """The vocabulary of a text: its tokens by falling frequency. Raises InputError where the text is empty."""
    if not canonical.text:
        raise InputError(
            "the training text is empty after normalising; give more text or another --normalise"
        )
    types, which = canonical.types(unit)
    return Vocab(Counter(dict(zip(types, np.bincount(which).tolist(), strict=True))), min_count, reserved)
