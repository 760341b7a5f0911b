"""The lines of a section of an ARPA file, read many at a time: numbers parsed and words looked up by columns, not by lines."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lmbench.text.interning import BEYOND, MASKS, WordNumbers, Words, windows_of

_TAB, _NEWLINE, _SPACE = 9, 10, 32
_DIVIDES = np.isin(np.arange(_SPACE + 1), (_TAB, _NEWLINE, _SPACE))
_ZEROS = np.uint64(0x3030303030303030)
_TOO_HIGH = np.uint64(0x7676767676767676)  # added to a byte above 9, it sets the highest bit
_HIGH_BITS = np.uint64(0x8080808080808080)
_POWERS = 10.0 ** np.arange(23)  # exact, as is a quotient of two integers below 2**53


@dataclass(frozen=True)
class Lines:
    """Entries of order k: where their parts are in the bytes.

    data: the bytes. begins, lengths: (N, k) int64, of the words. probs, backoffs: (N, 2) int64, where the numbers begin and end;
    an entry without a backoff has an empty one.
    """

    data: bytes
    begins: np.ndarray
    lengths: np.ndarray
    probs: np.ndarray
    backoffs: np.ndarray

    def words(self, numbers: WordNumbers) -> np.ndarray:
        """(N, k) int32: the numbers of the words; a word that the line before has in its place is looked up but once."""
        windows = windows_of(self.data + bytes(BEYOND))
        eight = windows[self.begins]
        anew = np.ones(self.begins.shape, dtype=bool)
        short = self.lengths <= 8
        mask = MASKS.take(self.lengths, mode="clip")
        np.bitwise_and(eight, mask, out=eight)
        anew[1:] = (eight[1:] != eight[:-1]) | (self.lengths[1:] != self.lengths[:-1]) | ~short[1:]
        ids = np.empty(self.begins.shape, dtype=np.int32)
        for j in range(self.begins.shape[1]):
            places = np.flatnonzero(anew[:, j])
            found = numbers.number(Words.of(self.data, self.begins[places, j], self.lengths[places, j]))
            ids[:, j] = np.repeat(found, np.diff(places, append=len(ids)))
        return ids


def regular_lines(data: bytes, k: int) -> Lines | None:
    r"""Whole lines, each a number, a tab, k words with a space between them, and, or not, a tab and a number; None where one is not so.

    >>> lines = regular_lines(b"-0.5\ta b\t-1\n-2\tb c\n", 2)
    >>> lines.begins.tolist(), lines.lengths.tolist(), lines.backoffs.tolist()
    ([[5, 7], [15, 17]], [[1, 1], [1, 1]], [[9, 11], [18, 18]])
    """
    text = np.frombuffer(data, dtype=np.uint8)
    marks = np.flatnonzero(text <= _SPACE)
    kinds = text[marks]
    # Other control characters are parts of words.
    if not (dividing := _DIVIDES.take(kinds)).all():
        marks, kinds = marks[dividing], kinds[dividing]
    ends = np.flatnonzero(kinds == _NEWLINE)
    number = np.diff(ends, prepend=-1)  # of marks in each line
    lengths = np.diff(marks, prepend=-1) - 1
    weighted = number == k + 2
    if not (weighted | (number == k + 1)).all() or not lengths.all():
        return None
    first = ends - number + 1  # the mark after the first number
    places = first[:, None] + np.arange(1, k + 1)
    if not (
        (kinds[first] == _TAB).all()
        and (kinds[places[:, :-1]] == _SPACE).all()
        and (kinds[places[:, -1][weighted]] == _TAB).all()
    ):
        return None
    word_ends = marks[places]
    word_lengths = lengths[places]
    probs = np.stack([marks[first] - lengths[first], marks[first]], axis=1)
    backoffs = np.stack([np.where(weighted, word_ends[:, -1] + 1, marks[ends]), marks[ends]], axis=1)
    return Lines(data, word_ends - word_lengths, word_lengths, probs, backoffs)


def parsed(data: bytes, spans: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(N,) float64: the numbers in spans of bytes, 0 in an empty one; and which of them are not read, being written otherwise.

    What is read is what Python's ``float`` makes of it, to the last bit: a sign or none, one or two digits, a point, and one to fourteen
    digits. spans: (N, 2), where they begin and end.

    >>> values, left = parsed(b"-0.25 1e5 12.5", np.array([[0, 5], [6, 9], [10, 14], [3, 3]]))
    >>> values.tolist(), left.tolist()
    ([-0.25, 0.0, 12.5, 0.0], [1])
    """
    padded = data + bytes(BEYOND + 1)
    windows, text = windows_of(padded), np.frombuffer(padded, dtype=np.uint8)
    begins, ends = spans[:, 0], spans[:, 1]
    negative = text[begins] == ord("-")
    start = begins + negative
    zero = (ends - begins == 1) & (text[begins] == ord("0")) | (ends == begins)
    wide = text[start + 1] != ord(".")  # two digits before the point
    point = start + 1 + wide
    digits = ends - point - 1
    good = (
        (text[np.minimum(point, len(data))] == ord("."))
        & (digits >= 1)
        & (digits <= 14 - wide)
        & (ends > point)
    )
    high, low = text[start].astype(np.int64) - 48, text[point - 1].astype(np.int64) - 48
    good &= (high >= 0) & (high <= 9) & (low >= 0) & (low <= 9)
    whole = np.where(wide, 10 * high + low, low)
    after = np.where(good, point + 1, 0)
    digits = np.where(good, digits, 1)
    fraction, fine = _digits(windows, after, np.minimum(digits, 8))
    more = np.flatnonzero(digits > 8)
    if len(more):
        rest, also = _digits(windows, after[more] + 8, digits[more] - 8)
        fraction[more] = fraction[more] * 10 ** (digits[more] - 8) + rest
        fine[more] &= also
    good &= fine
    values = (whole * 10**digits + fraction) / _POWERS[digits]
    np.negative(values, out=values, where=negative)
    values[~good] = 0.0
    return values, np.flatnonzero(~good & ~zero)


def _digits(windows: np.ndarray, begins: np.ndarray, number: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(N,) int64: what one to eight digits say; (N,) bool: whether they are digits."""
    shift = ((8 - number) * 8).astype(np.uint64)
    eight = windows[begins] << shift  # leading zeros, which are bytes of 0
    eight -= _ZEROS << shift
    fine = ((eight | (eight + _TOO_HIGH)) & _HIGH_BITS) == 0
    # Pairs of digits, then fours, then all eight, each in one product.
    eight = eight * np.uint64(10) + (eight >> np.uint64(8))
    mask = np.uint64(0x000000FF000000FF)
    low = (eight & mask) * np.uint64(0x000F424000000064)
    high = ((eight >> np.uint64(16)) & mask) * np.uint64(0x0000271000000001)
    return ((low + high) >> np.uint64(32)).astype(np.int64), fine
