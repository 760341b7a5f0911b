r"""The distinct words of a text, and which of them each word is, many words at a time.

A word's bytes are taken as numbers: the first eight are its key, into which those that follow in a longer word are mixed.
Words met before are found by their keys and compared byte for byte; the others, which soon are few, one by one.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import count

import numpy as np

from lmbench.storage.lookup import TwoPlaces

_SPACE, _NEWLINE = 32, 10
_FIRST, _LARGEST = 1 << 12, 1 << 17  # bytes of a piece, at first and at most
_GROWTH = 2  # words are indexed anew when there are so many times more of them
_MASKS = np.array([(1 << 8 * n) - 1 for n in range(9)], dtype=np.uint64)  # the first n of eight bytes
_MULTIPLIER, _SHIFT = np.uint64(0xFF51AFD7ED558CCD), np.uint64(29)


def distinct_words(text: str) -> tuple[list[str], np.ndarray]:
    r"""The distinct tokens by first appearance, and (T,) int32: which of them each token is.

    A line's words stand between single spaces, so that two spaces enclose an empty word; then comes its ``\n``. An empty
    line has no word.
    """
    data = text.encode("utf-8", "surrogatepass")
    words, ids = _Words(), [np.zeros(0, dtype=np.int32)]
    begin, size, line_begins = 0, _FIRST, True
    while begin < len(data):
        end = _end_of_piece(data, begin, size)
        piece = data[begin:end]
        ids.append(words.number(piece, *_tokens(piece, line_begins, end == len(data))))
        begin, size, line_begins = end, min(2 * size, _LARGEST), data[end - 1] == _NEWLINE
    return words.words(), np.concatenate(ids)


def _end_of_piece(data: bytes, begin: int, size: int) -> int:
    """Where a piece of about ``size`` bytes ends: after a separator, or with the text."""
    limit = begin + size
    if limit >= len(data):
        return len(data)
    before = max(data.rfind(b" ", begin, limit), data.rfind(b"\n", begin, limit))
    if before >= 0:
        return before + 1
    after = [at for at in (data.find(b" ", limit), data.find(b"\n", limit)) if at >= 0]
    return min(after, default=len(data) - 1) + 1


def _tokens(piece: bytes, line_begins: bool, last: bool) -> tuple[np.ndarray, np.ndarray]:
    """(T,), (T,) int64: where the tokens of a piece begin, and how many bytes each has.

    line_begins: a line begins with the piece; last: the text ends with it.
    """
    text = np.frombuffer(piece, dtype=np.uint8)
    newline = text == _NEWLINE
    separators = np.flatnonzero((text == _SPACE) | newline)
    newline = newline[separators]
    begins = np.append(0, separators + 1)
    lengths = np.append(separators, len(text)) - begins
    # Between two separators is a word, an empty one too, unless they enclose an empty line.
    is_word = lengths > 0
    is_word |= ~(np.append(line_begins, newline) & np.append(newline, True))
    if not last:
        is_word[-1] = False
    number = is_word.astype(np.int64)
    number[:-1] += newline
    place = np.cumsum(number) - number
    of_word, of_newline = place[is_word], place[:-1][newline] + is_word[:-1][newline]
    token_begins = np.empty(number.sum(), dtype=np.int64)
    token_lengths = np.ones(len(token_begins), dtype=np.int64)
    token_begins[of_word], token_begins[of_newline] = begins[is_word], separators[newline]
    token_lengths[of_word] = lengths[is_word]
    return token_begins, token_lengths


class _Words:
    """Words numbered in the order in which they come."""

    def __init__(self) -> None:
        self._numbers: defaultdict[bytes, int] = defaultdict(
            count().__next__
        )  # a new word takes the next number
        self._indexed = 0

    def words(self) -> list[str]:
        return [word.decode("utf-8", "surrogatepass") for word in self._numbers]

    def number(self, data: bytes, begins: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """(T,) int32: the number of each word of some bytes."""
        windows = np.ascontiguousarray(_windows(data))
        ids, found = self._find(windows, begins, lengths)
        new = np.flatnonzero(~found)
        spelt = [
            data[a:b] for a, b in zip(begins[new].tolist(), (begins + lengths)[new].tolist(), strict=True)
        ]
        ids[new] = np.fromiter(map(self._numbers.__getitem__, spelt), dtype=np.int32, count=len(spelt))
        if len(self._numbers) >= self._indexed * _GROWTH:
            self._index()
        return ids

    def _find(
        self, windows: np.ndarray, begins: np.ndarray, lengths: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """(T,) int32 numbers of words and (T,) bool: whether the word is an indexed one."""
        if not self._indexed:
            return np.zeros(len(begins), dtype=np.int32), np.zeros(len(begins), dtype=bool)
        keys = _keys(windows, begins, lengths)
        one, two = self._places.candidates(keys)
        ids = np.where(self._keys.take(one, mode="clip") == keys, one, two).astype(np.int32)
        found = self._keys.take(ids, mode="clip") == keys
        found &= self._lengths.take(ids, mode="clip") == lengths
        deep, depth = np.flatnonzero(found & (lengths > 8)), 0
        while len(deep):
            same = _eight(windows, begins[deep], lengths[deep], depth) == _eight(
                self._windows, self._begins[ids[deep]], lengths[deep], depth
            )
            found[deep[~same]] = False
            depth += 8
            deep = deep[same & (lengths[deep] > depth)]
        return ids, found

    def _index(self) -> None:
        spelt = list(self._numbers)
        self._lengths = np.array([len(word) for word in spelt], dtype=np.int64)
        self._begins = np.cumsum(self._lengths) - self._lengths
        self._windows = _windows(b"".join(spelt))
        self._keys = _keys(self._windows, self._begins, self._lengths)
        distinct, first, times = np.unique(self._keys, return_index=True, return_counts=True)
        once = times == 1  # words that share a key are looked up one by one
        self._places = TwoPlaces(distinct[once], first[once], room=4)
        self._indexed = len(spelt)


def _windows(data: bytes) -> np.ndarray:
    """(N,) uint64: for every byte the number that it makes with the seven that follow."""
    return np.ndarray(len(data) + 1, dtype="<u8", buffer=data + bytes(8), strides=(1,))


def _eight(windows: np.ndarray, begins: np.ndarray, lengths: np.ndarray, depth: int) -> np.ndarray:
    """(Q,) uint64: the bytes depth .. depth + 7 of words, as a number; 0 beyond their ends."""
    found = windows[begins + depth] if depth else windows[begins]
    found &= _MASKS.take(lengths - depth, mode="clip")
    return found


def _keys(windows: np.ndarray, begins: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """(Q,) uint64: a key for each word; words of up to eight bytes that share one differ in zero bytes alone."""
    keys = _eight(windows, begins, lengths, 0)
    deep, depth = np.flatnonzero(lengths > 8), 8
    while len(deep):
        mixed = keys[deep]
        mixed ^= mixed >> _SHIFT
        mixed *= _MULTIPLIER
        mixed += _eight(windows, begins[deep], lengths[deep], depth)
        keys[deep] = mixed
        depth += 8
        deep = deep[lengths[deep] > depth]
    return keys
