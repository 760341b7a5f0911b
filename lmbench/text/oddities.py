"""What stands in lines of words and is easily taken for something else, with its count and an example.

Where a text is lines of words, a word is what stands between blanks: space, tab, carriage return, vertical tab, form feed and zero
byte, in runs of any length, and a line feed ends the line. KenLM's ``query`` reads it so, and so does the normaliser ``whitespace``
(which takes Unicode's other blanks for blanks too). ``sentences`` takes out marks at the ends of lines, besides. Under the
normaliser ``none`` every character is kept and paid for, and only single spaces and line feeds divide words: ``end\\r`` is then
another word than ``end``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from lmbench.errors import shown
from lmbench.text.units import narrow_points

# kind: (what it is, how it looks); the first are single spaces and line feeds under ``whitespace``
BLANKS: dict[str, tuple[str, re.Pattern[str]]] = {
    "cr": ("carriage returns", re.compile("\r")),
    "tab": ("tabs, vertical tabs or form feeds", re.compile("[\t\v\f]")),
    "run": ("runs of spaces", re.compile("  +")),
    "nul": ("zero bytes", re.compile("\0")),
    "edge": ("spaces at the ends of lines", re.compile("\n | \n")),
}
WORDS: dict[str, tuple[str, re.Pattern[str]]] = {
    "ends": (
        "sentence marks at the ends of lines",
        re.compile(r"^[^\S\n]*<s>(?!\S)|(?<!\S)</s>[^\S\n]*$", re.M),
    ),
    "mark": ("sentence marks inside lines", re.compile(r"(?<!\S)(?:(?<!^)<s>|</s>(?!$))(?!\S)", re.M)),
    "wide": (
        "blanks, line ends or byte-order marks of Unicode inside words",
        re.compile("[\x85\xa0\u1680\u2000-\u200b\u2028\u2029\u202f\u205f\u3000\ufeff]"),
    ),
}
_PIECE = 1 << 18  # characters looked through at a time
NEAR = 16  # characters of the example on each side


@dataclass(frozen=True)
class Oddity:
    """A kind of character that a text has, how often, and the first place."""

    kind: str
    what: str
    count: int
    example: str

    @property
    def is_blank(self) -> bool:
        """Whether the normaliser ``whitespace`` makes single spaces of it."""
        return self.kind in BLANKS

    @property
    def remedy(self) -> str:
        """The normaliser under which it is no word or part of one; empty where there is none."""
        return "whitespace" if self.is_blank else "sentences" if self.kind == "ends" else ""

    def __str__(self) -> str:
        return f"{self.count:,} {self.what}, such as {shown(self.example)}"


def oddities(text: str, tidied: bool = False) -> list[Oddity]:
    """What a text of lines of words has that may be meant otherwise than it is read under the normaliser ``none``.

    tidied: whether another normaliser has read it, which leaves single spaces between words.

    >>> [str(oddity) for oddity in oddities("the ferry leaves  at nine")]
    ["1 runs of spaces, such as 'the ferry leaves  at nine'"]
    """
    present = []
    blanks, marks = not tidied and _odd_blanks(text), "s>" in text
    for kind, (what, pattern) in {**BLANKS, **WORDS}.items():
        if not (blanks if kind in BLANKS else not text.isascii() if kind == "wide" else marks):
            continue
        places = [match.span() for match in pattern.finditer(text)]
        if places:
            begin, end = places[0]
            begin = max(text.rfind("\n", 0, begin) + 1, begin - NEAR)
            near = text[begin : end + NEAR]
            present.append(Oddity(kind, what, len(places), near[: 1 + near.find("\n", end - begin)] or near))
    return present


def _odd_blanks(text: str) -> bool:
    """Whether a text has other blanks than line feeds and single spaces between words."""
    for begin in range(0, len(text), _PIECE):
        points = narrow_points(text[begin : begin + _PIECE + 1])  # a pair across the edge is in this piece
        space, low = points == 32, points <= 32
        if np.count_nonzero(low) > np.count_nonzero(space) + np.count_nonzero(points == 10):
            return True
        if (space[1:] & low[:-1]).any() or (low[1:] & space[:-1]).any():
            return True
    return False


def together(odd: Sequence[Oddity]) -> list[Oddity]:
    """Of each kind one, with the first example and the number of all."""
    first: dict[str, Oddity] = {}
    for one in odd:
        before = first.get(one.kind)
        first[one.kind] = one if before is None else replace(before, count=before.count + one.count)
    return list(first.values())
