r"""Units: ways to cut any string into tokens and back, without loss.

``unit.join(unit.split(text)) == text`` for every string, and the spans of the tokens partition it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from lmbench.errors import InputError, shown, unknown
from lmbench.text.interning import distinct_words

if TYPE_CHECKING:
    from lmbench.text.canonical import CanonicalText
    from lmbench.text.cut import Cut


class Unit(Protocol):
    """A way to cut any string into tokens without loss."""

    name: str
    spec: str  # what a user writes for it

    def split(self, text: str) -> list[str]:
        """The tokens; ``join`` undoes it exactly."""
        ...

    def join(self, tokens: Iterable[str]) -> str: ...

    def types(self, text: str) -> tuple[list[str], np.ndarray]:
        """The distinct tokens by first appearance, and (T,) int32: which of them each token is."""
        ...

    def ends(self, text: str) -> np.ndarray:
        """(T,) int64: where each token's span ends; spans partition the text and start where the last ended."""
        ...

    def cut(self, text: CanonicalText) -> Cut | None:
        """A text's tokens, its documents cut apart; None of a unit that cuts any piece of a text as it cuts the whole."""
        return None

    @property
    def tokens(self) -> Sequence[str]:
        """Tokens that a text may be cut into though the training text has none of them."""
        return ()

    def has(self, token: str) -> bool:
        """Whether a vocabulary may have such a token: one that it lacks in all texts does no harm, one that ``join`` cannot read does."""
        return True

    def state(self) -> dict[str, np.ndarray]:
        """What the unit has learnt, as named arrays, of which ``unit_restored`` makes it again."""
        return {}

    def brings(self, token: str) -> bytes:
        """The text that a token brings, in UTF-8, where others stand before it; nothing of one that stands for no text."""
        return token.encode("utf-8", "surrogatepass")


class CharUnit(Unit):
    """One token a character."""

    name = spec = "char"

    def split(self, text: str) -> list[str]:
        return list(text)

    def join(self, tokens: Iterable[str]) -> str:
        return "".join(tokens)

    def types(self, text: str) -> tuple[list[str], np.ndarray]:
        types = list(dict.fromkeys(text))
        points = [ord(c) for c in types]
        table = np.zeros(max(points, default=0) + 1, dtype=np.int32)
        table[points] = np.arange(len(points))
        return types, table[narrow_points(text)]

    def ends(self, text: str) -> np.ndarray:
        return np.arange(1, len(text) + 1, dtype=np.int64)


class WordUnit(Unit):
    r"""Tokens between single spaces; ``\n`` is a token. A word's span includes the space before it.

    Two spaces in a row enclose an empty word, so that nothing is lost; an empty line holds no word.
    """

    name = spec = "word"

    def split(self, text: str) -> list[str]:
        return [*self._words(text)]

    def _words(self, text: str) -> Iterator[str]:
        """The tokens, a line's at a time, so that not all of them need memory at once."""
        *lines, last = text.split("\n")
        ended = ([*line.split(" "), "\n"] if line else ["\n"] for line in lines)
        return chain(chain.from_iterable(ended), last.split(" ") if last else ())

    def join(self, tokens: Iterable[str]) -> str:
        lines: list[list[str]] = [[]]
        for token in tokens:
            if token == "\n":
                lines.append([])
            else:
                lines[-1].append(token)
        return "\n".join(" ".join(line) for line in lines)

    def has(self, token: str) -> bool:
        return token == "\n" or "\n" not in token

    def types(self, text: str) -> tuple[list[str], np.ndarray]:
        return distinct_words(text)

    def ends(self, text: str) -> np.ndarray:
        points = narrow_points(text)
        newline = points == 10
        line_start = np.ones(len(points) + 1, dtype=bool)
        line_start[1:] = newline
        word_ends = np.flatnonzero((points == 32) | (newline & ~line_start[:-1]))
        last = [len(points)] if len(points) and not newline[-1] else []
        ends = np.concatenate([word_ends, np.flatnonzero(newline) + 1, last]).astype(np.int64)
        ends.sort()
        return ends


class ByteUnit(Unit):
    """One token a UTF-8 byte: ASCII by its character, others as ``<0xE2>``. A character ends at its last byte."""

    name = spec = "byte"
    symbols = tuple(chr(b) if b < 128 else f"<0x{b:02X}>" for b in range(256))

    def split(self, text: str) -> list[str]:
        return [self.symbols[b] for b in _utf8(text)]

    def join(self, tokens: Iterable[str]) -> str:
        """Bytes that are not UTF-8 (a model may generate them) become U+FFFD."""
        data = bytes(
            ord(t) if len(t) == 1 else int(t[3:5], 16) if t.startswith("<0x") else 63 for t in tokens
        )
        return data.decode("utf-8", errors="replace")

    def has(self, token: str) -> bool:
        return token in self.symbols

    def brings(self, token: str) -> bytes:
        return token.encode() if len(token) == 1 else bytes([int(token[3:5], 16)])

    def types(self, text: str) -> tuple[list[str], np.ndarray]:
        data = _utf8(text)
        types = list(dict.fromkeys(data))
        table = np.zeros(256, dtype=np.int32)
        table[types] = np.arange(len(types))
        return [self.symbols[b] for b in types], table[np.frombuffer(data, dtype=np.uint8)]

    def ends(self, text: str) -> np.ndarray:
        data = np.frombuffer(_utf8(text), dtype=np.uint8)
        following = np.append(data[1:], 0)[: len(data)]
        return np.cumsum((following & 0xC0) != 0x80, dtype=np.int64)


def check_whole(text: str, where: str, why: str) -> None:
    """Raises InputError where a text holds half of a pair of code units, which has no place in UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InputError(
            f"character {error.start + 1} of {where}, U+{ord(text[error.start]):04X}, is half of a pair (a "
            f"surrogate), which {why}; replace it"
        ) from None


def _utf8(text: str) -> bytes:
    """The bytes of a text. Raises InputError where it has none."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        check_whole(text, "the text", "no byte stands for")
        raise


def check_tokens(unit: Unit, tokens: Iterable[str]) -> None:
    """Raises InputError where one of a vocabulary's tokens is none of a unit's.

    >>> check_tokens(UNITS["byte"], ["a", "<0xE2>", "the"])
    Traceback (most recent call last):
    lmbench.errors.InputError: 'the' in the vocabulary is no token of unit byte; give one of its tokens, or another unit
    """
    for token in tokens:
        if not unit.has(token):
            raise InputError(
                f"{shown(token)} in the vocabulary is no token of unit {unit.spec}; give one of its tokens, or another unit"
            )


UNITS: dict[str, Unit] = {"char": CharUnit(), "word": WordUnit(), "byte": ByteUnit()}
LEARNT = "subword"  # the unit whose tokens are learnt; it has options (see ``pieces``)


def check_unit(spec: str) -> str:
    """The name of the unit that a user's ``spec`` asks for, its options checked. Raises InputError for wrong ones."""
    name, colon, _ = spec.partition(":")
    if name == LEARNT:
        from lmbench.text.pieces import pieces_of

        pieces_of(spec)
    elif name not in UNITS or colon:
        raise unknown("unit", spec, [*UNITS, LEARNT])
    return name


def unit_sources(spec: str) -> tuple[Path, ...]:
    """The files on whose contents a unit depends."""
    if check_unit(spec) != LEARNT:
        return ()
    from lmbench.text.pieces import sources

    return sources(spec)


def unit_restored(spec: str, state: Mapping[str, np.ndarray]) -> Unit:
    """The unit that was saved. state: what ``Unit.state`` gave. Raises InputError where it is damaged."""
    if check_unit(spec) != LEARNT:
        return UNITS[spec]
    from lmbench.text.pieces import restored

    return restored(spec, state)


def unit_named(spec: str, train: CanonicalText | None = None) -> Unit:
    r"""The unit that a user's ``spec`` asks for: a name in UNITS, or ``subword`` with options (see ``pieces``).

    train: the text from which a unit learns its tokens, where it does. Raises InputError for an unknown unit or option.

    >>> text = "a café\n"
    >>> unit_named("word").split(text), unit_named("word").ends(text).tolist()
    (['a', 'café', '\n'], [1, 6, 7])
    >>> unit_named("byte").split("é"), unit_named("byte").ends("é").tolist()
    (['<0xC3>', '<0xA9>'], [0, 1])
    """
    if check_unit(spec) != LEARNT:
        return UNITS[spec]
    from lmbench.text.pieces import piece_unit

    return piece_unit(spec, train)


def code_points(text: str) -> np.ndarray:
    """(N,) uint32: the text's Unicode code points."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)


def narrow_points(text: str) -> np.ndarray:
    """(N,) the code points in as few bytes as the text allows; a quarter of the memory where it is ASCII."""
    return np.frombuffer(text.encode("ascii"), dtype=np.uint8) if text.isascii() else code_points(text)
