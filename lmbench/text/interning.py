r"""The distinct words of a text, and which of them each word is, many words at a time.

A word's bytes are taken as numbers: the first eight are its key, into which those that follow in a longer word are mixed.
Words met before are found by their keys and compared byte for byte; the others, which soon are few, one by one. Beside its bytes
a word takes some 30 bytes here, whatever the words.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import count

import numpy as np

from lmbench.storage.lookup import TwoPlaces

_SPACE, _NEWLINE = 32, 10
_FIRST, _LARGEST = 1 << 12, 1 << 17  # bytes of a piece, at first and at most
_GROWTH = 1.25  # words are indexed anew when there are so many times more of them
BEYOND = 8  # zero bytes after the words, so that eight can be read from any place
MASKS = np.array([(1 << 8 * n) - 1 for n in range(9)], dtype=np.uint64)  # the first n of eight bytes
_MULTIPLIER, _SHIFT = np.uint64(0xFF51AFD7ED558CCD), np.uint64(29)


def distinct_words(text: str) -> tuple[list[str], np.ndarray]:
    r"""The distinct tokens by first appearance, and (T,) int32: which of them each token is.

    A line's words stand between single spaces, so that two spaces enclose an empty word; then comes its ``\n``. An empty
    line has no word.

    >>> types, which = distinct_words("a rose is\na rose")
    >>> types, which.tolist()
    (['a', 'rose', 'is', '\n'], [0, 1, 2, 3, 0, 1])
    """
    data = text.encode("utf-8", "surrogatepass")
    words, ids = WordNumbers(), [np.zeros(0, dtype=np.int32)]
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
    after = [place for place in (data.find(b" ", limit), data.find(b"\n", limit)) if place >= 0]
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


class WordFinder:
    """Which of some words each word of a text is, for many texts: whatever they hold, it takes no more memory.

    >>> WordFinder(["the", "\\n", "ferry"]).numbers("the old ferry\\n").tolist()
    [0, -1, 2, 1]
    """

    def __init__(self, words: Sequence[str]) -> None:
        spelled = [word.encode("utf-8", "surrogatepass") for word in words]
        lengths = np.fromiter(map(len, spelled), dtype=np.int64, count=len(spelled))
        self._words = WordNumbers()
        self._words.number(b"".join(spelled), np.cumsum(lengths) - lengths, lengths)
        self._words.index()

    def numbers(self, text: str) -> np.ndarray:
        """(T,) int32: the place of each token among the words, -1 of one that is none of them. Tokens are those of ``distinct_words``."""
        data = text.encode("utf-8", "surrogatepass")
        ids = [np.zeros(0, dtype=np.int32)]
        begin, line_begins = 0, True
        while begin < len(data):
            end = _end_of_piece(data, begin, _LARGEST)
            piece = data[begin:end]
            ids.append(self._words.find(piece, *_tokens(piece, line_begins, end == len(data))))
            begin, line_begins = end, data[end - 1] == _NEWLINE
        return np.concatenate(ids)


class WordNumbers:
    """Words numbered in the order in which they come: those that are indexed, and those not yet, one by one."""

    def __init__(self) -> None:
        self._next = count()
        # A new word takes the next number.
        self._apart: defaultdict[bytes, int] = defaultdict(self._next.__next__)
        self._data = bytes(BEYOND)  # the indexed words
        self._lengths = np.zeros(0, dtype=np.int32)
        self._begins = np.zeros(0, dtype=np.int64)
        self._keys = np.zeros(0, dtype=np.uint64)
        self._alike = np.zeros(0, dtype=np.int64)  # whose key another has: their numbers, sorted
        self._places = TwoPlaces(self._keys, self._begins)

    def __len__(self) -> int:
        return len(self._keys) + len(self._apart) - len(self._alike)

    def words(self) -> list[str]:
        self.index()
        ends = (self._begins + self._lengths).tolist()
        slices = map(slice, self._begins.tolist(), ends)
        return [word.decode("utf-8", "surrogatepass") for word in map(self._data.__getitem__, slices)]

    def number(self, data: bytes, begins: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """(T,) int32: the number of each word of some bytes."""
        windows = windows_of(data + bytes(BEYOND))
        ids, present = self._find(windows, begins, lengths)
        absent = np.flatnonzero(~present)
        ends = begins + lengths
        words = [data[a:b] for a, b in zip(begins[absent].tolist(), ends[absent].tolist(), strict=True)]
        ids[absent] = np.fromiter(map(self._apart.__getitem__, words), dtype=np.int32, count=len(words))
        if len(self._apart) - len(self._alike) >= len(self._keys) * (_GROWTH - 1):
            self.index()
        return ids

    def find(self, data: bytes, begins: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """(T,) int32: the number of each word of some bytes among those that are indexed, -1 of others."""
        ids, present = self._find(windows_of(data + bytes(BEYOND)), begins, lengths)
        ids[~present] = -1
        for i in np.flatnonzero(~present).tolist() if len(self._alike) else ():
            ids[i] = self._apart.get(data[begins[i] : begins[i] + lengths[i]], -1)
        return ids

    def _find(
        self, windows: np.ndarray, begins: np.ndarray, lengths: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """(T,) int32 numbers of words and (T,) bool: whether the word is an indexed one."""
        if not len(self._keys):
            return np.zeros(len(begins), dtype=np.int32), np.zeros(len(begins), dtype=bool)
        keys = _keys(windows, begins, lengths)
        one, two = self._places.candidates(keys)
        ids = np.where(self._keys.take(one) == keys, one, two).astype(np.int32)
        present = self._keys.take(ids) == keys
        present &= self._lengths.take(ids) == lengths
        deep, depth = np.flatnonzero(present & (lengths > 8)), 0
        indexed = windows_of(self._data)
        while len(deep):
            same = _eight(windows, begins[deep], lengths[deep], depth) == _eight(
                indexed, self._begins[ids[deep]], lengths[deep], depth
            )
            present[deep[~same]] = False
            depth += 8
            deep = deep[same & (lengths[deep] > depth)]
        return ids, present

    def index(self) -> None:
        """Takes the words that are not indexed yet into the index, apart from those whose key another word has."""
        old = len(self._keys)
        words = list(self._apart)[len(self._alike) :]
        lengths = np.fromiter(map(len, words), dtype=np.int32, count=len(words))
        ends = len(self._data) - BEYOND + np.cumsum(lengths, dtype=np.int64)
        self._data = b"".join([self._data[:-BEYOND], *words, bytes(BEYOND)])
        self._lengths = np.append(self._lengths, lengths)
        self._begins = np.append(self._begins, ends - lengths)
        keys = _keys(windows_of(self._data), self._begins[old:], lengths)
        alike = np.ones(len(keys), dtype=bool)
        alike[np.unique(keys, return_index=True)[1]] = False
        if old:
            alike |= (self._keys.take(np.stack(self._places.candidates(keys))) == keys).any(axis=0)
        self._keys = np.append(self._keys, keys)
        apart = [(words[i], old + i) for i in np.flatnonzero(alike).tolist()]
        kept = list(zip(self._apart, self._alike.tolist(), strict=False))
        self._apart = defaultdict(self._next.__next__, [*kept, *apart])
        self._alike = np.append(self._alike, old + np.flatnonzero(alike))
        numbers = np.arange(len(self._keys), dtype=np.uint32)
        if len(self._alike):
            numbers = np.delete(numbers, self._alike)
        self._places = TwoPlaces(self._keys.take(numbers), numbers)


def windows_of(data: bytes) -> np.ndarray:
    """(N,) uint64: for every byte the number that it makes with the seven that follow; those of the last seven are left out."""
    return np.ndarray(len(data) - BEYOND + 1, dtype="<u8", buffer=data, strides=(1,))


def _eight(windows: np.ndarray, begins: np.ndarray, lengths: np.ndarray, depth: int) -> np.ndarray:
    """(Q,) uint64: the bytes depth .. depth + 7 of words, as a number; 0 beyond their ends."""
    eight = windows[begins + depth] if depth else windows[begins]
    eight &= MASKS.take(lengths - depth, mode="clip")
    return eight


def _keys(windows: np.ndarray, begins: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """(Q,) uint64: a key for each word; words that share one are few, unless somebody has looked for such."""
    keys = _eight(windows, begins, lengths, 0)
    # Else zero bytes at the end were none.
    keys ^= np.left_shift(lengths, 56, dtype=np.uint64, casting="unsafe")
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
