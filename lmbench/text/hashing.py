"""Numbers for words, equal exactly where these are: polynomials of their characters' numbers modulo 2^64 (Karp & Rabin 1987).

Each is a difference of running sums; ``runs`` makes numbers for runs of neighbours in the same way.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import numpy as np

from lmbench.text.units import narrow_points

CHUNK = 1 << 18  # members hashed at a time
BASE = 0x9E3779B97F4A7C15  # odd, so that it has an inverse


def word_hashes(text: str, folded: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """(W,) uint64 a number for each word, the same for equal words, and (W, 2) int64 where words begin and end.

    Words are maximal runs of non-blank characters; folded: of letters and digits, small and capital letters being the same.
    """
    hashes, spans = [np.zeros(0, dtype=np.uint64)], [np.zeros((0, 2), dtype=np.int64)]
    for of_piece, in_piece in hashes_of_words(text, folded):
        hashes.append(of_piece)
        spans.append(in_piece)
    return np.concatenate(hashes), np.concatenate(spans)


def hashes_of_words(text: str, folded: bool = False) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The same, some ``CHUNK`` characters at a time."""
    for begin, end in _pieces(text):
        points = narrow_points(text[begin:end])
        inside, points = _folded(points) if folded else (~is_blank(points), points)
        edges = np.flatnonzero(np.diff(inside, prepend=False, append=False)).reshape(-1, 2)
        powers, inverse = powers_and_inverse(len(points))
        sums = running_sums(_scattered(points), powers)
        yield (sums[edges[:, 1]] - sums[edges[:, 0]]) * inverse[edges[:, 0]], edges + begin


def _pieces(text: str) -> Iterator[tuple[int, int]]:
    """Where pieces of about ``CHUNK`` characters begin and end: after a blank, if one comes within sixteen times as many."""
    begin = 0
    while begin < len(text):
        end, limit = begin + CHUNK, begin + 2 * CHUNK
        while end < len(text):
            near = [place for blank in " \n" if (place := text.find(blank, end, limit)) >= 0]
            if near or limit - begin > 16 * CHUNK:
                end = min(near, default=limit - 1) + 1
                break
            end, limit = min(limit, len(text)), limit + CHUNK
        yield begin, min(end, len(text))
        begin = end


def running_sums(scattered: np.ndarray, powers: np.ndarray) -> np.ndarray:
    """(N + 1,) uint64: Σ_{j<i} scattered[j] BASE^j. The number of the run i..j-1 is (sums[j] - sums[i]) BASE^-i."""
    sums = np.zeros(len(scattered) + 1, dtype=np.uint64)
    np.cumsum(scattered * powers[: len(scattered)], out=sums[1:])
    return sums


def powers_of_base(size: int) -> tuple[np.ndarray, np.ndarray]:
    """(size,), (size,) uint64: the powers of BASE, and of its inverse, modulo 2^64, from the 0th on."""
    both = []
    for base in (BASE, pow(BASE, -1, 1 << 64)):
        powers = np.full(size, base, dtype=np.uint64)
        powers[:1] = 1
        both.append(np.cumprod(powers, out=powers))
    return both[0], both[1]


def powers_and_inverse(size: int) -> tuple[np.ndarray, np.ndarray]:
    """At least ``size`` of them, kept for the next call."""
    return _of_two_sizes((size - 1).bit_length() if size > 1 else 0)


@cache
def _of_two_sizes(bits: int) -> tuple[np.ndarray, np.ndarray]:
    return powers_of_base(1 << bits)


def _scattered(values: np.ndarray) -> np.ndarray:
    """(N,) uint64: each value ≥ 0 as a number that shows nothing of it."""
    return OF_BYTE[values] if values.dtype == np.uint8 else scramble(values)


def scramble(values: np.ndarray) -> np.ndarray:
    """uint64: a permutation of the 64-bit numbers that scatters neighbours (Steele et al. 2014, SplitMix)."""
    mixed: np.ndarray = (values.astype(np.uint64) + np.uint64(1)) * np.uint64(BASE)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


OF_BYTE = scramble(np.arange(256))
_BLANKS = np.array([chr(point).isspace() for point in range(0x3002)])  # the last blank of Unicode is U+3000


def is_blank(points: np.ndarray) -> np.ndarray:
    """(N,) bool: what ``str.split`` cuts at."""
    return _BLANKS.take(points, mode="clip")


def _folded(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(N,) bool letters and digits, and (N,) the code points with capitals made small."""
    if points.dtype == np.uint8:  # ASCII
        letters, table = _ASCII_FOLDED
    else:
        letters, table = _folding(np.flatnonzero(np.bincount(points)))
    return letters[points], table[points]


def _folding(present: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """By code point, of those that are present (ascending): whether it is a letter or digit, and its small form."""
    table = np.arange(present.max(initial=0) + 1, dtype=np.uint32)
    letters = np.zeros(len(table), dtype=bool)
    for point in present.tolist():
        small = chr(point).lower()
        table[point] = ord(small) if len(small) == 1 else point
        letters[point] = chr(point).isalnum()
    if table.max(initial=0) < 256:
        table = table.astype(np.uint8)  # which is scattered by a table
    return letters, table


_ASCII_FOLDED = _folding(np.arange(128))
