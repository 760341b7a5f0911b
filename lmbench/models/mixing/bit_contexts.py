"""What stands before a symbol, as hashes: the last symbols, the words, the lines, what came lately in the same place."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lmbench.models.compiled import compiled
from lmbench.models.mixing.decisions import (
    CAPITAL,
    CLOSING,
    COMMA,
    DIGIT,
    KINDS,
    NEWLINE,
    OPENING,
    QUOTE,
    SMALL,
    SPACE,
)

u64 = np.uint64
ORDERS = 14  # contexts of the last k symbols
CONTEXTS = ORDERS + 40
SELECTORS = 8  # small numbers by which weights are chosen
PASTS = 1 << 16  # pairs of symbols, and words, of which the last two followers are kept
_LONGEST = 24

# Registers of hashes.
WORD, ONE, TWO, THREE, GAP, GAP_BEFORE, PHRASE, FIRST_WORD, LINE_HASH, LINE_BEFORE, MARKS, KEYWORD, GROUPS = (
    range(13)
)
_LETTERS = 13  # the last five letters and digits, from here on
HASHES = 18
# Registers of numbers.
NOW, BEGIN, LINE, ABOVE, ABOVE_END, LENGTH, OPEN, SINCE_CAPITAL, SAME_AS_ABOVE = range(9)
NUMBERS = 9


class Place(NamedTuple):
    """A place in a text, written in place.

    text: (N,) int32, what has been read, with room behind. hashes: (HASHES,) uint64. numbers: (NUMBERS,) int64, of which ``NOW``
    is how many tokens have been read. after_one: (V + 1,) int64, the last two symbols that came after each; after_two,
    after_word: (PASTS,) int64, the same after pairs and in words.
    """

    text: np.ndarray
    hashes: np.ndarray
    numbers: np.ndarray
    after_one: np.ndarray
    after_two: np.ndarray
    after_word: np.ndarray


class Alphabet(NamedTuple):
    """(V,) int64 each: the kind of each symbol, and its number without case."""

    kinds: np.ndarray
    folded: np.ndarray


def empty_place(vocab_size: int) -> Place:
    """Where nothing has been read, with no room for a text."""
    pasts = (np.zeros(size, dtype=np.int64) for size in (vocab_size + 1, PASTS, PASTS))
    numbers = np.zeros(NUMBERS, dtype=np.int64)
    return Place(np.zeros(0, dtype=np.int32), np.zeros(HASHES, dtype=np.uint64), numbers, *pasts)


@compiled(inline="always")
def hashed(a: np.uint64, b: np.uint64) -> np.uint64:
    """A hash of two."""
    x = a * u64(0x9E3779B97F4A7C15) + b + u64(1)
    x = (x ^ (x >> u64(29))) * u64(0xBF58476D1CE4E5B9)
    return x ^ (x >> u64(32))


@compiled()
def begin_document(place: Place) -> None:
    """A document begins here: nothing that stands before it is a context."""
    n = place.numbers
    now = n[NOW]
    place.hashes[:] = u64(0)
    n[BEGIN] = n[LINE] = n[ABOVE] = n[ABOVE_END] = now
    n[LENGTH] = n[OPEN] = 0
    n[SINCE_CAPITAL], n[SAME_AS_ABOVE] = 63, -1


@compiled()
def look(place: Place, alphabet: Alphabet, keys: np.ndarray, chosen: np.ndarray) -> None:
    """Writes the hashes of the contexts, (CONTEXTS,) uint64, and the numbers by which weights are chosen, (SELECTORS,) int64."""
    n, u, text, kinds, folded = place.numbers, place.hashes, place.text, alphabet.kinds, alphabet.folded
    vocab_size = len(kinds)
    nothing = vocab_size
    now, begin, line, opened = n[NOW], n[BEGIN], n[LINE], n[OPEN]
    h, i = u64(0), 0
    for order in range(_LONGEST + 1):
        if order <= 8 or order == 10 or order == 12 or order == 16 or order == 20 or order == 24:
            keys[i] = hashed(h, u64(order))
            i += 1
        symbol = text[now - 1 - order] if now - 1 - order >= begin else nothing
        h = hashed(h, u64(symbol))
    c1 = text[now - 1] if now - 1 >= begin else nothing
    c2 = text[now - 2] if now - 2 >= begin else nothing
    c3 = text[now - 3] if now - 3 >= begin else nothing
    c4 = text[now - 4] if now - 4 >= begin else nothing
    k1 = kinds[c1] if c1 < nothing else NEWLINE
    k2 = kinds[c2] if c2 < nothing else NEWLINE
    k3 = kinds[c3] if c3 < nothing else NEWLINE
    column = now - line
    there = n[ABOVE] + column
    above = text[there] if there < n[ABOVE_END] else nothing
    right = text[there + 1] if there + 1 < n[ABOVE_END] else nothing
    one, two, three, four = u64(c1), u64(c2), u64(c3), u64(c4)
    word, gap = u[WORD], u[GAP]
    length = min(n[LENGTH], 6)
    # Words, without case, and what stands between them.
    keys[i] = hashed(word, u64(folded[c1] if c1 < nothing else nothing))
    keys[i + 1] = hashed(word, gap)
    keys[i + 2] = hashed(hashed(word, u[ONE]), gap)
    keys[i + 3] = hashed(hashed(hashed(word, u[ONE]), u[TWO]), gap)
    keys[i + 4] = hashed(hashed(word, u[TWO]), one)
    keys[i + 5] = hashed(hashed(word, u[THREE]), one)
    keys[i + 6] = hashed(hashed(hashed(word, u[ONE]), u[THREE]), one)
    keys[i + 7] = hashed(hashed(gap, u[ONE]), hashed(u[GAP_BEFORE], u[TWO]))
    keys[i + 8] = hashed(hashed(word, u[GAP_BEFORE]), one)
    letters = u64(0)
    for j in range(_LETTERS, _LETTERS + 5):
        letters = hashed(letters, u[j])
    keys[i + 9] = letters
    # Some of the last symbols, and kinds in place of symbols.
    keys[i + 10] = hashed(two, three)
    keys[i + 11] = hashed(hashed(two, three), four)
    keys[i + 12] = hashed(one, three)
    keys[i + 13] = hashed(hashed(one, three), four)
    keys[i + 14] = hashed(hashed(one, two), four)
    keys[i + 15] = hashed(u[GROUPS] & u64(0xFFFFFFFF), one)
    keys[i + 16] = hashed(u[GROUPS], hashed(one, two))
    keys[i + 17] = u[GROUPS]
    # Lines.
    capped = u64(min(column, 255))
    first = u64(text[line] if column > 0 else nothing)
    keys[i + 18] = hashed(capped, u64(k1))
    keys[i + 19] = hashed(capped, one)
    keys[i + 20] = hashed(u64(above), one)
    keys[i + 21] = hashed(hashed(u64(above), one), capped)
    keys[i + 22] = hashed(hashed(u64(above), u64(right)), word)
    keys[i + 23] = hashed(u64(above), u64(min(n[SAME_AS_ABOVE], 16) + 1))
    keys[i + 24] = hashed(first, one)
    keys[i + 25] = hashed(hashed(first, word), u64(min(column, 4)))
    keys[i + 26] = hashed(u[FIRST_WORD], hashed(one, word))
    keys[i + 27] = hashed(u[MARKS], word)
    keys[i + 28] = hashed(u[LINE_HASH], u[LINE_BEFORE])
    keys[i + 29] = u[LINE_HASH]
    # Brackets and quotation marks.
    keys[i + 30] = hashed(hashed(u64(opened), word), one)
    keys[i + 31] = hashed(hashed(u64(opened), u64(length)), u64(k1))
    # What came lately in the same place.
    pair = np.int64(hashed(one, two) & u64(PASTS - 1))
    lately = place.after_word[np.int64(word & u64(PASTS - 1))] if n[LENGTH] else place.after_one[c1]
    keys[i + 32] = hashed(u64(place.after_one[c1]), one)
    keys[i + 33] = hashed(u64(place.after_two[pair]), one)
    keys[i + 34] = hashed(u64(place.after_two[pair]), hashed(one, two))
    keys[i + 35] = hashed(u64(lately), u64(length))
    # Capitals, words before a colon, the neighbourhood, words with single spaces between them.
    keys[i + 36] = hashed(hashed(word, u64(min(n[SINCE_CAPITAL], n[LENGTH] + 1))), u64(k1))
    keys[i + 37] = hashed(hashed(u[KEYWORD], word), one)
    keys[i + 38] = hashed(hashed(u64((now - begin) >> 10), hashed(word, u64(begin))), one)
    keys[i + 39] = u[PHRASE]
    for j in range(ORDERS, CONTEXTS):
        keys[j] = hashed(keys[j], u64(1000 + j))
    chosen[0], chosen[1] = c1, c2
    chosen[2] = min(n[LENGTH], 7) * KINDS + k1
    chosen[3] = min(column // 4, 24)
    chosen[4] = opened * KINDS + k1
    same = n[SAME_AS_ABOVE]
    grade = 3 if same > 8 else (2 if same > 1 else (1 if same >= 0 else 0))
    chosen[5] = (kinds[above] if above < nothing else KINDS) * 4 + grade
    chosen[6] = (k1 * KINDS + k2) * KINDS + k3
    chosen[7] = pair


@compiled()
def go_on(place: Place, alphabet: Alphabet, symbol: int, pair: int, learns: bool) -> None:
    """Reads a symbol. pair: the last of the numbers that ``look`` has chosen here."""
    n, u, text, kinds, folded = place.numbers, place.hashes, place.text, alphabet.kinds, alphabet.folded
    nothing = len(kinds)
    now, line = n[NOW], n[LINE]
    c1 = text[now - 1] if now - 1 >= n[BEGIN] else nothing
    k1 = kinds[c1] if c1 < nothing else NEWLINE
    kind = kinds[symbol]
    letter = u64(folded[symbol])
    there = n[ABOVE] + now - line
    above = text[there] if there < n[ABOVE_END] else nothing
    text[now] = symbol
    n[NOW] = now + 1
    if learns:
        last = symbol & 255
        place.after_one[c1] = ((place.after_one[c1] << 8) | last) & 0xFFFF
        place.after_two[pair] = ((place.after_two[pair] << 8) | last) & 0xFFFF
        if n[LENGTH]:
            which = np.int64(u[WORD] & u64(PASTS - 1))
            place.after_word[which] = ((place.after_word[which] << 8) | last) & 0xFFFF
    u[GROUPS] = (u[GROUPS] << u64(4)) | u64(kind)
    n[SINCE_CAPITAL] = 0 if kind == CAPITAL else min(n[SINCE_CAPITAL] + 1, 63)
    if kind in (SMALL, CAPITAL, DIGIT):
        if n[LENGTH] == 0:
            u[GAP_BEFORE], u[GAP] = u[GAP], u64(0)
        u[WORD] = hashed(u[WORD], letter)
        n[LENGTH] += 1
        for j in range(_LETTERS + 4, _LETTERS, -1):
            u[j] = u[j - 1]
        u[_LETTERS] = letter
    else:
        if n[LENGTH]:
            u[THREE], u[TWO], u[ONE] = u[TWO], u[ONE], u[WORD]
            if u[FIRST_WORD] == u64(0):
                u[FIRST_WORD] = u[WORD]
            if kind == COMMA:
                u[KEYWORD] = u[WORD]
            u[WORD], u[GAP], n[LENGTH] = u64(0), u64(0), 0
        u[GAP] = hashed(u[GAP], u64(symbol))
        if kind != SPACE:
            u[MARKS] = hashed(u[MARKS], u64(symbol))
    if kind in (SMALL, CAPITAL):
        u[PHRASE] = hashed(u[PHRASE], letter)
    elif kind != SPACE and kind != NEWLINE:
        u[PHRASE] = u64(0)
    elif k1 != SPACE and k1 != NEWLINE:
        u[PHRASE] = hashed(u[PHRASE], u64(nothing + 7))
    if kind == OPENING:
        n[OPEN] = 1 + (symbol & 7)
    elif kind == CLOSING:
        n[OPEN] = 0
    elif kind == QUOTE:
        n[OPEN] = 0 if n[OPEN] >= 9 else 9 + (symbol & 3)
    n[SAME_AS_ABOVE] = max(n[SAME_AS_ABOVE], -1) + 1 if above < nothing and above == symbol else -1
    u[LINE_HASH] = hashed(u[LINE_HASH], u64(symbol))
    if kind == NEWLINE:
        u[LINE_BEFORE] = u[LINE_HASH]
        u[LINE_HASH] = u[MARKS] = u[FIRST_WORD] = u64(0)
        n[SAME_AS_ABOVE] = 0
        if now == line:
            n[OPEN] = 0
        n[ABOVE], n[ABOVE_END], n[LINE] = line, now, now + 1
