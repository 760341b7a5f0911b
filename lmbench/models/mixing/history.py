"""What stands before the next token of a text, as the hashes of its contexts; it goes on with every token read."""

from __future__ import annotations

from typing import NamedTuple, Self

import numpy as np

from lmbench.models.compiled import compiled
from lmbench.text.hashing import BASE, powers_of_base

FAR = 7  # positions in a word are told apart up to here
REACH = 8  # no context with gaps or classes looks further back
WIDE = 120  # columns are told apart up to here
GAPS = np.array([[2, 3, 4, 0], [1, 3, 4, 0], [1, 3, 4, 5], [1, 2, 4, 5]])  # how far back their symbols stand
CLASSED = np.array(
    [[1, 2], [2, 1]]
)  # bits of a class, and how many symbols before the classes stand for themselves
OF_WORDS, OF_LINES = 7, 9  # contexts


class Kinds(NamedTuple):
    """Which contexts there are, and what is known of V symbols (``contexts.Contexts`` and ``Alphabet``).

    orders: (k,) int64. gaps, classed: the tables above. separator, newline: symbols. classes, folded: (V,) int64. letters: (V,) bool.
    """

    orders: np.ndarray
    words: bool
    gaps: np.ndarray
    classed: np.ndarray
    lines: bool
    separator: int
    newline: int
    classes: np.ndarray
    folded: np.ndarray
    letters: np.ndarray


class History(NamedTuple):
    """Symbols read, with room for more, a document's ``bos`` before its first; arrays are written in place.

    symbols: (S,) int64. sums: (S + 1,) uint64, running sums of which stretches are hashed, with the powers (S + 1,) of the hash's base
    and their inverses. boundary: (S + 1,) int64, the last separator or document's beginning before each. words: (4,) uint64 hashes: the word so
    far, the two before it, and the marks between words since the line or document began. marks: (5,) int64, how many symbols there are,
    where the document's bos stands, where the line began, and where the one above did and ended.
    """

    symbols: np.ndarray
    sums: np.ndarray
    powers: np.ndarray
    inverses: np.ndarray
    boundary: np.ndarray
    words: np.ndarray
    marks: np.ndarray

    @classmethod
    def empty(cls, size: int) -> Self:
        """With room for so many symbols, a document's beginning counted as one."""
        return cls(
            np.zeros(size, dtype=np.int64),
            np.zeros(size + 1, dtype=np.uint64),
            *powers_of_base(size + 1),
            np.zeros(size + 1, dtype=np.int64),
            np.zeros(4, dtype=np.uint64),
            np.zeros(5, dtype=np.int64),
        )

    def grown(self, size: int) -> Self:
        """A copy with room for so many."""
        made, done = self.empty(size), int(self.marks[0])
        made.symbols[:done] = self.symbols[:done]
        made.sums[: done + 1], made.boundary[: done + 1] = self.sums[: done + 1], self.boundary[: done + 1]
        made.words[:], made.marks[:] = self.words, self.marks
        return made


@compiled()
def _mixed(a: np.uint64, b: np.uint64) -> np.uint64:
    """A hash of two."""
    x = a * np.uint64(BASE) + b + np.uint64(1)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


@compiled()
def _scrambled(value: np.uint64) -> np.uint64:
    """``scramble`` of one number."""
    x = (value + np.uint64(1)) * np.uint64(BASE)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


@compiled()
def absorb(kinds: Kinds, history: History, symbol: int, begins: bool) -> None:
    """Reads a symbol: the next one of the document, or the ``bos`` of one that begins."""
    words, marks = history.words, history.marks
    place, nothing = marks[0], np.uint64(0)
    history.symbols[place] = symbol
    history.sums[place + 1] = history.sums[place] + _scrambled(np.uint64(symbol)) * history.powers[place]
    ends = begins or symbol == kinds.separator
    history.boundary[place + 1] = place if ends else history.boundary[place]
    marks[0] = place + 1
    if begins:
        words[:] = nothing
        marks[1] = place
        marks[2:] = place + 1
        return
    if kinds.letters[symbol]:
        words[0] = _mixed(words[0], np.uint64(kinds.folded[symbol]))
    else:
        if words[0] != nothing:
            words[2], words[1], words[0] = words[1], words[0], nothing
        if symbol != kinds.separator:
            words[3] = _mixed(words[3], np.uint64(symbol))
    if symbol == kinds.newline:
        words[3] = nothing
        marks[3], marks[4], marks[2] = marks[2], place, place + 1


@compiled()
def _stretch(history: History, first: int, end: int) -> np.uint64:
    """A hash of the symbols first..end-1: polynomial, modulo 2^64."""
    return (history.sums[end] - history.sums[first]) * history.inverses[first]


@compiled()
def _joined(sort: int, a: np.uint64, b: np.uint64, c: np.uint64, three: bool) -> np.uint64:
    """A hash of two parts, or of three, and of which sort they are."""
    total = np.uint64(sort + 1)
    total = _scrambled(total ^ _scrambled(a))
    total = _scrambled(total ^ _scrambled(b))
    return _scrambled(total ^ _scrambled(c)) if three else total


@compiled()
def look(kinds: Kinds, history: History, keys: np.ndarray) -> int:
    """Writes the hashes (K,) uint64 of the contexts of the next token; returns its position in the word, up to FAR."""
    symbols, last = history.symbols, history.boundary
    end, document = history.marks[0], history.marks[1]
    k = 0
    for order in kinds.orders:
        keys[k] = _stretch(history, max(end - order, document), end)
        k += 1
    # Where the last words began, the latest first.
    stop = last[end]
    now = stop + 1
    stop = stop if stop == document else last[stop]
    one = stop + 1
    stop = stop if stop == document else last[stop]
    two = stop + 1
    stop = stop if stop == document else last[stop]
    three = stop + 1
    place = min(end - now, FAR)
    if kinds.words:
        word = _stretch(history, now, end)
        keys[k] = word
        keys[k + 1] = _stretch(history, one, end)
        keys[k + 2] = word + _scrambled(_stretch(history, two, one))
        keys[k + 3] = _stretch(history, two, end)
        keys[k + 4] = _stretch(history, max(now - 4, one), end)
        keys[k + 5] = word + _scrambled(_stretch(history, three, two))
        keys[k + 6] = _scrambled(_stretch(history, one, now)) + np.uint64(place)
        k += OF_WORDS
    for gap in kinds.gaps:
        total = np.uint64(0)
        for back in gap:
            if back:
                symbol = symbols[max(end - back, document)]
                total += _scrambled(np.uint64(symbol * (REACH + 1) + back))
        keys[k] = total
        k += 1
    for c in range(len(kinds.classed)):
        bits, whole = kinds.classed[c, 0], kinds.classed[c, 1]
        total = np.uint64(0)
        for back in range(1, REACH + 1):
            symbol = symbols[max(end - back, document)]
            if back > whole:  # what begins a document after nothing is a class of its own
                symbol = kinds.classes[symbol] & ((1 << bits) - 1) if symbol >= 0 else 1 << bits
            total += _scrambled(np.uint64(symbol * (REACH + 1) + back))
        keys[k] = total
        k += 1
    if kinds.lines:
        word, before, further, between = (
            history.words[0],
            history.words[1],
            history.words[2],
            history.words[3],
        )
        line, above, beyond = history.marks[2], history.marks[3], history.marks[4]
        latest, two_back = symbols[end - 1], symbols[max(end - 2, document)]
        column = end - line
        over = symbols[above + column] if above + column < beyond else -1
        right = symbols[above + column + 1] if above + column + 1 < beyond else -1
        first = symbols[line] if column else -1
        u64 = np.uint64
        none = u64(0)
        keys[k] = _joined(0, word, before, none, False)
        keys[k + 1] = _joined(1, word, u64(latest), none, False)
        keys[k + 2] = _joined(2, word, before, further, True)
        keys[k + 3] = _joined(3, u64(over), u64(min(column, WIDE)), u64(latest), True)
        keys[k + 4] = _joined(4, u64(over), u64(latest), u64(two_back), True)
        keys[k + 5] = _joined(5, u64(over), u64(right), word, True)
        keys[k + 6] = _joined(6, between, word, none, False)
        keys[k + 7] = _joined(7, u64(first), word, u64(min(column, 3)), True)
        keys[k + 8] = _joined(8, before, further, u64(latest), True)
    return place


@compiled()
def look_all(
    kinds: Kinds,
    history: History,
    ids: np.ndarray,
    starts: np.ndarray,
    bos: int,
    keys: np.ndarray,
    places: np.ndarray,
) -> None:
    """Of a whole text: keys (K, T), places (T,)."""
    here = np.empty(len(keys), dtype=np.uint64)
    document = 0
    for t in range(len(ids)):
        if document < len(starts) and starts[document] == t:
            document += 1
            absorb(kinds, history, bos, True)
        places[t] = look(kinds, history, here)
        keys[:, t] = here
        absorb(kinds, history, ids[t], False)
