"""Normalisers, and the canonical text that they make: what every model is scored on, in documents.

    raw documents --canonical_text--> CanonicalText --encode(unit, vocab)--> EncodedText (holds Tokens)

The canonical text is what every model is charged for.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from lmbench.charts.card import Card
from lmbench.errors import unknown
from lmbench.text.cut import Cut
from lmbench.text.hashing import is_blank
from lmbench.text.units import Unit, narrow_points

DOCUMENTS = ("stream", "line")
PIECE = 1 << 16  # characters of which words are counted at a time
BLANKS = [point for point in range(0x3001) if chr(point).isspace()]  # the highest is the ideographic space


# Normalisers ---------------------------------------------------------------------------------------


def _none(text: str) -> str:
    return text


def _whitespace(text: str) -> str:
    text = text.replace("\0", " ")
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


def _sentences(text: str) -> str:
    text = _whitespace(text)
    if "<s>" in text or "</s>" in text:
        text = re.sub(r"^<s>(?: |$)", "", re.sub(r"(?:^| )</s>$", "", text, flags=re.M), flags=re.M)
    return text


def _letters(text: str) -> str:
    lines = (re.sub("[^A-Za-z]+", " ", line).strip().lower() for line in text.splitlines())
    return "\n".join(line for line in lines if line)


NORMALISERS: dict[str, Callable[[str], str]] = {
    "none": _none,  # the text as it stands
    "whitespace": _whitespace,  # runs of blanks are one space, none at the ends of lines, lines end in \n
    "sentences": _sentences,  # whitespace, and no <s> at the beginnings of lines, no </s> at their ends
    "letters": _letters,  # per line: all but A-Z a-z becomes one space; lower case; no empty lines (D2L 8.2)
}


# Canonical text ------------------------------------------------------------------------------------


@dataclass(frozen=True, repr=False)
class CanonicalText(Card):
    """A normalised text and where its documents begin: what every model is charged for.

    text: the whole string; starts: (D,) int64, ascending character offsets of documents, the first 0.
    Every document but the last ends in a line feed, so that no token straddles two documents.
    """

    text: str
    starts: np.ndarray

    def _card(self) -> tuple[str, list[tuple[str, str]]]:
        sizes = [("characters", self.chars), ("words", self.words), ("documents", len(self.starts))]
        return "CanonicalText", [*((name, f"{n:,}") for name, n in sizes), ("begins", repr(self.text[:40]))]

    @cached_property
    def fingerprint(self) -> str:
        """16 hexadecimal digits that name the text: the first of SHA-256 over its UTF-8 bytes."""
        return hashlib.sha256(self.text.encode("utf-8", "surrogatepass")).hexdigest()[:16]

    @cached_property
    def chars(self) -> int:
        return len(self.text)

    @cached_property
    def bytes(self) -> int:
        """Length in UTF-8 bytes."""
        return self.chars if self.text.isascii() else len(self.text.encode("utf-8", "surrogatepass"))

    @cached_property
    def words(self) -> int:
        """Number of maximal runs of non-blank characters."""
        count, ended = 0, True
        for begin in range(0, self.chars, PIECE):
            inside = ~is_blank(narrow_points(self.text[begin : begin + PIECE]))
            count += int(ended and inside[0]) + int(np.count_nonzero(inside[1:] > inside[:-1]))
            ended = not inside[-1]
        return count

    @cached_property
    def word_starts(self) -> np.ndarray:
        """(W,) int64: the characters at which these words begin, W = ``words``."""
        starts, ended = [np.zeros(0, dtype=np.int64)], True
        for begin in range(0, self.chars, PIECE):
            blank = is_blank(narrow_points(self.text[begin : begin + PIECE]))
            starts.append(np.flatnonzero(~blank & np.append(ended, blank[:-1])) + begin)
            ended = blank[-1]
        return np.concatenate(starts)

    def types(self, unit: Unit) -> tuple[list[str], np.ndarray]:
        """The distinct tokens by first appearance, and (T,) int32: which of them each token is.

        Kept, because the vocabulary and the ids are both made of it.
        """
        if unit not in self._types:
            cut = self.cut(unit)
            self._types[unit] = unit.types(self.text) if cut is None else (cut.types, cut.which)
        return self._types[unit]

    def has_types(self, unit: Unit) -> bool:
        """Whether ``types`` is known already."""
        return unit in self._types

    def cut(self, unit: Unit) -> Cut | None:
        """What ``unit.cut`` says of this text; kept, because ids, spans and names are all taken from it."""
        if unit not in self._cuts:
            self._cuts[unit] = unit.cut(self)
        return self._cuts[unit]

    @cached_property
    def _cuts(self) -> dict[Unit, Cut | None]:
        return {}

    @cached_property
    def _types(self) -> dict[Unit, tuple[list[str], np.ndarray]]:
        return {}

    def head(self, chars: int) -> CanonicalText:
        """The first ``chars`` characters, with the documents that begin in them; all of a text that has no more."""
        if chars >= self.chars:
            return self
        return CanonicalText(self.text[:chars], self.starts[self.starts < max(chars, 1)])

    def ended(self) -> CanonicalText:
        """The text, its last line ended."""
        return self if self.text.endswith("\n") else CanonicalText(self.text + "\n", self.starts)

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


def check_reading(normalise: str, documents: str) -> None:
    """Raises InputError where there is no such normaliser, or no such way to divide a text into documents."""
    if normalise not in NORMALISERS:
        raise unknown("normaliser", normalise, NORMALISERS)
    if documents not in DOCUMENTS:
        raise unknown("documents mode", documents, DOCUMENTS)


def canonical_text(raw: Sequence[str], normalise: str, documents: str) -> CanonicalText:
    """Normalises raw documents (files, topics) and divides them.

    normalise: a name in NORMALISERS. documents: ``stream`` keeps each raw document whole (its lines joined
    by one space under ``letters``); where there are several, each ends in a line feed. ``line`` makes
    each line with its line feed a document of its own. Raises InputError for unknown names.

    >>> canonical_text(["The Time\\nMachine, 1895"], "letters", "stream").text
    'the time machine'
    >>> lines = canonical_text(["one\\ntwo"], "none", "line")
    >>> lines.documents(), lines.starts.tolist()
    (['one\\n', 'two\\n'], [0, 4])
    """
    check_reading(normalise, documents)
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
