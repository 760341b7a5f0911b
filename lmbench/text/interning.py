r"""The distinct words of a text, and which of them each word is, many words at a time.

A word's bytes are taken as a number, its key: up to seven are their own, with their length; those of a longer word are mixed.
Words met before are found by their keys, longer ones compared byte for byte; the others, which soon are few, one by one. Beside
its bytes a word takes some 30 to 40 bytes here, whatever the words.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import count
from typing import NamedTuple

import numpy as np

_SPACE, _NEWLINE = 32, 10
_FIRST, _LARGEST = 1 << 14, 1 << 18  # bytes of a piece, at first and at most
_WORTH = 1 << 22  # bytes of a text of which words are cut by one thread and looked up by another
_GROWTH = 1.25  # words are indexed anew when there are so many times more of them
BEYOND = 8  # zero bytes after the words, so that eight can be read from any place
MASKS = np.array([(1 << 8 * n) - 1 for n in range(9)], dtype=np.uint64)  # the first n of eight bytes
_MULTIPLIER, _SHIFT = np.uint64(0xFF51AFD7ED558CCD), np.uint64(29)
_SHORT, _LONG = (
    7,
    np.uint64(1 << 63),
)  # bytes of a word that is its key; what the keys of longer ones have and theirs have not
_ALONE = (
    1 << 12
)  # bytes; of longer words there are few: each is taken by itself, not eight bytes of all at a time
_PLACES = 0x9E3779B97F4A7C15  # odd: keys times its powers are scattered over the tables
_ROOM, _TABLES = (
    1.5,
    6,
)  # places a word in the first table, at least; tables, each a quarter of the one before


def distinct_words(text: str) -> tuple[list[str], np.ndarray]:
    r"""The distinct tokens by first appearance, and (T,) int32: which of them each token is.

    A line's words stand between single spaces, so that two spaces enclose an empty word; then comes its ``\n``. An empty
    line has no word.

    >>> types, which = distinct_words("a rose is\na rose")
    >>> types, which.tolist()
    (['a', 'rose', 'is', '\n'], [0, 1, 2, 3, 0, 1])
    """
    words, ids = WordNumbers(), [np.zeros(0, dtype=np.int32)]
    ids += [words.number(piece) for piece in _pieces(text, _FIRST)]
    return words.words(), np.concatenate(ids)


class Words(NamedTuple):
    """Words of some bytes. data: these, and BEYOND zero bytes. begins, lengths: (T,), where they are. keys, long: see ``_keys``."""

    data: bytes
    begins: np.ndarray
    lengths: np.ndarray
    keys: np.ndarray
    long: np.ndarray

    @classmethod
    def of(cls, data: bytes, begins: np.ndarray, lengths: np.ndarray) -> Words:
        """data: without zero bytes after it."""
        padded = data + bytes(BEYOND)
        return cls(padded, begins, lengths, *_keys(padded, begins, lengths))

    def spelled(self, places: np.ndarray) -> list[bytes]:
        """Some of them."""
        begins, lengths = self.begins.take(places), self.lengths.take(places)
        spans = zip(begins.tolist(), (begins + lengths).tolist(), strict=True)
        return [self.data[a:b] for a, b in spans]


def _pieces(text: str, size: int) -> Iterator[Words]:
    """The tokens of a text, a piece at a time: the first of ``size`` bytes, each after it twice as large until they are large enough."""
    data = text.encode("utf-8", "surrogatepass")
    pieces = _cut(data, size)
    if len(data) < _WORTH:
        yield from pieces
        return
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as ahead:
        coming = ahead.submit(next, pieces, None)
        while (piece := coming.result()) is not None:
            coming = ahead.submit(next, pieces, None)
            yield piece


def _cut(data: bytes, size: int) -> Iterator[Words]:
    begin, line_begins = 0, True
    while begin < len(data):
        end = _end_of_piece(data, begin, size)
        piece = data[begin:end]
        yield Words.of(piece, *_tokens(piece, line_begins, end == len(data)))
        begin, size, line_begins = end, min(2 * size, _LARGEST), data[end - 1] == _NEWLINE


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
    if not last:  # the piece ends with a separator
        begins, lengths = begins[:-1], lengths[:-1]
    own = np.ones(len(begins), dtype=np.int64)
    if len(lengths) and not lengths.min():
        # Between two separators is a word, an empty one too, unless they enclose an empty line.
        own -= (
            (lengths == 0)
            & np.append(line_begins, newline)[: len(own)]
            & np.append(newline, True)[: len(own)]
        )
    number = own.copy()
    number[: len(newline)] += newline
    place = np.cumsum(number) - number
    token_begins = np.empty(number.sum(), dtype=np.int64)
    token_lengths = np.ones(len(token_begins), dtype=np.int64)
    words = slice(None) if own.all() else np.flatnonzero(own)
    token_begins[place[words]], token_lengths[place[words]] = begins[words], lengths[words]
    feeds = np.flatnonzero(newline)
    token_begins[place.take(feeds) + own.take(feeds)] = separators.take(feeds)
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
        self._words.number(Words.of(b"".join(spelled), np.cumsum(lengths) - lengths, lengths))
        self._words.index()

    def numbers(self, text: str) -> np.ndarray:
        """(T,) int32: the place of each token among the words, -1 of one that is none of them. Tokens are those of ``distinct_words``."""
        ids = [self._words.find(piece) for piece in _pieces(text, _LARGEST)]
        return np.concatenate([np.zeros(0, dtype=np.int32), *ids])


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
        self._crowded = 0  # how many of those apart are indexed ones that no table has a place for
        self._tables: list[np.ndarray] = []

    def __len__(self) -> int:
        return len(self._keys) + len(self._apart) - self._crowded

    def words(self) -> list[str]:
        self.index()
        ends = (self._begins + self._lengths).tolist()
        slices = map(slice, self._begins.tolist(), ends)
        return [word.decode("utf-8", "surrogatepass") for word in map(self._data.__getitem__, slices)]

    def number(self, words: Words) -> np.ndarray:
        """(T,) int32: the number of each word."""
        ids, absent = self._find(words)
        ids[absent] = [self._apart[word] for word in words.spelled(absent)]
        if len(self._apart) - self._crowded >= len(self._keys) * (_GROWTH - 1):
            self.index()
        return ids

    def find(self, words: Words) -> np.ndarray:
        """(T,) int32: the number of each word among those that are indexed, -1 of others."""
        ids, absent = self._find(words)
        ids[absent] = [self._apart.get(word, -1) for word in words.spelled(absent)] if self._crowded else -1
        return ids

    def _find(self, words: Words) -> tuple[np.ndarray, np.ndarray]:
        """(T,) int32: the number of each word; and which of these are none, ascending: of words in no table."""
        if not self._tables:
            return np.zeros(len(words.begins), dtype=np.int32), np.arange(len(words.begins))
        ids = self._tables[0].take(_homes(words.keys, 0, self._tables[0]))
        absent = np.flatnonzero(self._keys.take(ids) != words.keys)
        for i, table in enumerate(self._tables[1:], 1):
            wanted = words.keys.take(absent)
            one = table.take(_homes(wanted, i, table))
            ids[absent] = one
            absent = absent[self._keys.take(one) != wanted]
        if len(words.long):
            present = np.ones(len(ids), dtype=bool)
            present[absent] = False
            long = words.long[present.take(words.long)]
            others = self._differing(words, long, ids.take(long))
            if len(others):
                absent = np.sort(np.append(absent, long.take(others)))
        return ids, absent

    def _differing(self, words: Words, which: np.ndarray, ids: np.ndarray) -> np.ndarray:
        """Which of some words are other ones than the indexed ones of these numbers, whose keys they have."""
        windows, begins, lengths = windows_of(words.data), words.begins.take(which), words.lengths.take(which)
        indexed, at = windows_of(self._data), self._begins.take(ids)
        same = self._lengths.take(ids) == lengths
        for i in np.flatnonzero(same & (lengths > _ALONE)).tolist():
            a, b, size = int(begins[i]), int(at[i]), int(lengths[i])
            same[i] = words.data[a : a + size] == self._data[b : b + size]
        left, depth = np.flatnonzero(same & (lengths <= _ALONE)), 0
        while len(left):
            own, length = begins.take(left), lengths.take(left)
            alike = _eight(windows, own, length, depth) == _eight(indexed, at.take(left), length, depth)
            same[left[~alike]] = False
            depth += 8
            left = left[alike & (length > depth)]
        return np.flatnonzero(~same)

    def index(self) -> None:
        """Takes the words that are not indexed yet into the index, apart from those for which no table has a place."""
        words = list(self._apart)[self._crowded :]
        if not words:
            return
        lengths = np.fromiter(map(len, words), dtype=np.int32, count=len(words))
        begins = len(self._data) - BEYOND + np.cumsum(lengths, dtype=np.int64) - lengths
        self._data = b"".join([self._data[:-BEYOND], *words, bytes(BEYOND)])
        self._lengths, self._begins = np.append(self._lengths, lengths), np.append(self._begins, begins)
        self._keys = np.append(self._keys, _keys(self._data, begins, lengths)[0])
        self._place()

    def _place(self) -> None:
        """Makes the tables anew. Of the words for one place of a table the first has it, which most often is the most frequent."""
        self._tables, crowded = [], [np.zeros(0, dtype=np.int32)]
        left, bits = np.arange(len(self._keys), dtype=np.int32), int(len(self._keys) * _ROOM).bit_length()
        while len(left) and len(self._tables) < _TABLES:
            table, keys = np.zeros(1 << bits, dtype=np.int32), self._keys.take(left)
            homes = _homes(keys, len(self._tables), table)
            table[homes[::-1]] = left[::-1]  # of several for one place the last stays
            stays = table.take(homes)
            out = np.flatnonzero(stays != left)
            # A second word of one key would not be looked for in the next table.
            twin = self._keys.take(stays.take(out)) == keys.take(out)
            crowded.append(left.take(out[twin]))
            left = left.take(out[~twin])
            self._tables.append(table)
            bits = max(bits - 2, 4)
        apart = np.sort(np.concatenate([*crowded, left])).tolist()
        spans = ((self._begins[i], self._begins[i] + self._lengths[i], i) for i in apart)
        self._crowded = len(apart)
        self._apart = defaultdict(self._next.__next__, {self._data[a:b]: i for a, b, i in spans})


def _homes(keys: np.ndarray, number: int, table: np.ndarray) -> np.ndarray:
    """(Q,) int64: the place of each key in the ``number``-th table."""
    homes = keys * np.uint64(pow(_PLACES, number + 1, 1 << 64))
    homes >>= np.uint64(65 - len(table).bit_length())
    return homes.view(np.int64)


def windows_of(data: bytes) -> np.ndarray:
    """(N,) uint64: for every byte the number that it makes with the seven that follow; those of the last seven are left out."""
    return np.ndarray(len(data) - BEYOND + 1, dtype="<u8", buffer=data, strides=(1,))


def _eight(windows: np.ndarray, begins: np.ndarray, lengths: np.ndarray, depth: int) -> np.ndarray:
    """(Q,) uint64: the bytes depth .. depth + 7 of words, as a number; 0 beyond their ends."""
    eight = windows[begins + depth] if depth else windows[begins]
    eight &= MASKS.take(lengths - depth, mode="clip")
    return eight


def _keys(data: bytes, begins: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(Q,) uint64: a key for each word; and which words are so long that others may have theirs: few, unless somebody has looked for such."""
    windows = windows_of(data)
    keys = _eight(windows, begins, lengths, 0)
    # Else zero bytes at the end were none.
    keys ^= np.left_shift(lengths, 56, dtype=np.uint64, casting="unsafe")
    long = np.flatnonzero(lengths > _SHORT)
    of_long = lengths.take(long)
    mixed, deep, depth = keys.take(long), np.flatnonzero((of_long > 8) & (of_long <= _ALONE)), 8
    for i in np.flatnonzero(of_long > _ALONE).tolist():
        begin = int(begins[long[i]])
        digest = hashlib.blake2b(data[begin : begin + int(of_long[i])], digest_size=8).digest()
        mixed[i] = int.from_bytes(digest, "little")
    while len(deep):
        words = long.take(deep)
        sums = mixed.take(deep)
        sums ^= sums >> _SHIFT
        sums *= _MULTIPLIER
        sums += _eight(windows, begins.take(words), lengths.take(words), depth)
        mixed[deep] = sums
        depth += 8
        deep = deep[lengths.take(words) > depth]
    keys[long] = mixed | _LONG
    return keys, long
