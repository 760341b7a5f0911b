"""Hashes of a token's contexts: its last symbols, all or some of them or their classes, its last words, and the lines about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lmbench.models.mixing.lines import structure
from lmbench.text.hashing import powers_of_base, running_sums, scramble
from lmbench.text.tokens import Tokens
from lmbench.text.vocab import NOTHING

FAR = 7  # positions in a word are told apart up to here
_WORD_BASE = 2  # the order that a context which begins with a word falls back to
_REACH = 8  # no context with gaps or classes looks further back
_GAPS = ((2, 3, 4), (1, 3, 4), (1, 3, 4, 5), (1, 2, 4, 5))  # how far back their symbols stand
_CLASSED = ((1, 2), (2, 1))  # bits of a class, and how many symbols before the classes stand for themselves
_WIDE = 120  # columns are told apart up to here
_CLASSIFIED = 512  # symbols that have classes: the commonest


@dataclass(frozen=True)
class Alphabet:
    """What is known of V symbols.

    separator: the commonest, which in most texts is the space; newline: the one that ends lines, ``NOTHING`` where a text has none.
    classes: (V,) int64, of 2 bits; the first bit alone is a class too. folded: (V,) int64, each symbol's number without case;
    letters: (V,) bool, of which words are made.
    """

    separator: int
    newline: int
    classes: np.ndarray
    folded: np.ndarray
    letters: np.ndarray

    @classmethod
    def of(cls, train: Tokens, vocab_size: int, spellings: Sequence[str]) -> Alphabet:
        """As the training text tells it; spellings: (V,) how the symbols are written, or none where that is unknown."""
        separator = int(np.bincount(train.ids).argmax())
        folded = np.arange(vocab_size)
        letters = (folded != separator) & (folded != train.bos)
        if len(spellings) == vocab_size:
            number = {spelling: i for i, spelling in reversed(list(enumerate(spellings)))}
            folded = np.array([number.get(s.lower(), i) for i, s in enumerate(spellings)])
            letters = np.array([s[:1].isalnum() or s in ("_", "'") for s in spellings]) & letters
        return cls(separator, train.bos, symbol_classes(train.ids, vocab_size), folded, letters)


@dataclass(frozen=True)
class Contexts:
    """Which contexts there are; a word is a stretch between two separators, the document's beginning being one.

    In order: the last k symbols for k in ``orders``; with ``words``: the word so far, alone, after the word before,
    after the one before that (skipping one), after both; after the last three symbols of the word before;
    after the third word before (skipping two); and the word before with the position in the word. With ``gaps``:
    some of the last 5 symbols, and the last 8 of which the further ones stand for their classes. With ``lines``, where a
    text has any: words made of letters, without case, after one and two words, and with the last symbol; what stands above with the column
    and the last symbol, with the last two, and with what is right of it and the word; the marks since the line began, with the word;
    the line's first symbol with the word; and two words with the last symbol.
    """

    orders: tuple[int, ...]
    words: bool
    gaps: bool
    lines: bool
    alphabet: Alphabet

    @property
    def bases(self) -> np.ndarray:
        """(K,) int64: for each context the one that it falls back to, which comes before it; -1 for none."""
        of_lines = self.lines and self.alphabet.newline != NOTHING
        return np.array(bases_of(self.orders, self.words, self.gaps, of_lines), dtype=np.int64)

    def keys(self, tokens: Tokens) -> tuple[list[np.ndarray], np.ndarray]:
        """K times (T,) uint64 hashes of each token's contexts, and (T,) int64 its position in the word, up to FAR."""
        size = len(tokens) + len(tokens.starts)
        begin = tokens.starts + np.arange(len(tokens.starts))  # where each document's bos stands
        symbols = np.full(size, tokens.bos, dtype=np.int64)
        is_bos = np.zeros(size, dtype=bool)
        is_bos[begin] = True
        symbols[~is_bos] = tokens.ids
        ends_here = np.flatnonzero(~is_bos)
        document = np.repeat(begin, np.diff(np.append(begin, size)))
        # The last word boundary before each symbol.
        boundary = np.where(is_bos | (symbols == self.alphabet.separator), np.arange(size), 0)
        boundary = np.append(0, np.maximum.accumulate(boundary)[:-1])

        powers, inverses = powers_of_base(size + 1)
        sums = running_sums(scramble(symbols), powers)

        def stretch(first: np.ndarray, end: np.ndarray) -> np.ndarray:
            """A hash of the symbols first..end-1: polynomial, modulo 2^64."""
            hashes: np.ndarray = (sums[end] - sums[first]) * inverses[first]
            return hashes

        keys = [stretch(np.maximum(ends_here - k, document[ends_here]), ends_here) for k in self.orders]
        ends = [boundary[ends_here]]  # where the last words ended, the latest first
        for _ in range(3):
            ends.append(np.where(is_bos[ends[-1]], ends[-1], boundary[ends[-1]]))
        now, one, two, three = (end + 1 for end in ends)
        place = np.minimum(ends_here - now, FAR)
        if self.words:
            word = stretch(now, ends_here)
            keys += [
                word,
                stretch(one, ends_here),
                word + scramble(stretch(two, one)),
                stretch(two, ends_here),
            ]
            keys += [stretch(np.maximum(now - 4, one), ends_here), word + scramble(stretch(three, two))]
            keys += [scramble(stretch(one, now)) + place.astype(np.uint64)]
        if self.gaps:
            before = [symbols[np.maximum(ends_here - k, document[ends_here])] for k in range(1, _REACH + 1)]
            keys += [sum_of({k: before[k - 1] for k in gap}) for gap in _GAPS]
            for bits, whole in _CLASSED:
                classes = np.append(
                    self.alphabet.classes & ((1 << bits) - 1), 1 << bits
                )  # the last, NOTHING's
                keys += [sum_of({k: b if k <= whole else classes[b] for k, b in enumerate(before, 1)})]
        if self.lines and self.alphabet.newline != NOTHING:
            two_back = symbols[np.maximum(ends_here - 2, document[ends_here])]
            keys += self._of_lines(tokens, symbols[ends_here - 1], two_back)
        return keys, place

    def _of_lines(self, tokens: Tokens, latest: np.ndarray, two_back: np.ndarray) -> list[np.ndarray]:
        """The contexts of words without case and of lines; latest, two_back: (T,) the last two symbols."""
        alphabet = self.alphabet
        words, lines = structure(
            tokens.ids, tokens.starts, alphabet.folded, alphabet.letters, alphabet.separator, alphabet.newline
        )
        word, one, two, marks = words
        column, above, right, first = lines
        return [
            joined(sort, *parts)
            for sort, parts in enumerate(
                [
                    (word, one),
                    (word, latest),
                    (word, one, two),
                    (above, np.minimum(column, _WIDE), latest),
                    (above, latest, two_back),
                    (above, right, word),
                    (marks, word),
                    (first, word, np.minimum(column, 3)),
                    (one, two, latest),
                ]
            )
        ]


def bases_of(orders: tuple[int, ...], words: bool, gaps: bool, lines: bool) -> list[int]:
    """For each context the one that it falls back to (see ``Contexts``)."""

    def longest(limit: int) -> int:
        return max((i for i, k in enumerate(orders) if k <= limit), default=-1)

    n = len(orders)
    bases = [*range(-1, n - 1)]
    if words:
        bases += [longest(_WORD_BASE), n, n, n + 1, n, n, longest(0)]
    if gaps:
        bases += [longest(0), longest(1), longest(1), longest(2)]
        bases += [longest(whole) for _, whole in _CLASSED]
    if lines:
        word = n if words else longest(_WORD_BASE)
        bases += [word, longest(1), len(bases), longest(1), longest(2), longest(1), word, word, longest(1)]
    return bases


def joined(sort: int, *parts: np.ndarray) -> np.ndarray:
    """(T,) uint64: a hash of the parts and of which sort they are."""
    total = np.full(len(parts[0]), sort + 1, dtype=np.uint64)
    for part in parts:
        total = scramble(total ^ scramble(part))
    return total


def sum_of(symbols: dict[int, np.ndarray]) -> np.ndarray:
    """(T,) uint64: a hash of the symbols that stand so far back."""
    total = np.zeros(len(next(iter(symbols.values()))), dtype=np.uint64)
    for back, which in symbols.items():
        total += scramble(which * (_REACH + 1) + back)
    return total


def symbol_classes(ids: np.ndarray, vocab_size: int) -> np.ndarray:
    """(V,) int64 classes of 2 bits, such as vowels and consonants, told by which symbols they follow.

    The signs of the second and third right singular vectors of the table of pairs, scaled by the roots of the
    symbols' frequencies (Moler & Morrison 1983, "Singular value analysis of cryptograms").
    """
    common = np.sort(np.argsort(-np.bincount(ids, minlength=vocab_size), kind="stable")[:_CLASSIFIED])
    number = np.full(vocab_size, -1)
    number[common] = np.arange(len(common))
    pairs = number[np.stack([ids[:-1], ids[1:]])]
    pairs = pairs[:, (pairs >= 0).all(axis=0)]
    table = np.zeros((len(common), len(common)))
    np.add.at(table, (pairs[0], pairs[1]), 1.0)
    before, after = (np.sqrt(np.maximum(table.sum(axis=axis), 1)) for axis in (1, 0))
    vectors = np.linalg.svd(table / before[:, None] / after)[2]
    classes = np.zeros(vocab_size, dtype=np.int64)
    for bit, vector in enumerate(vectors[1:3]):
        classes[common] |= (vector > 0).astype(np.int64) << bit
    return classes
