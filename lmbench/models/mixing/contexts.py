"""Hashes of a token's contexts: its last symbols, all or some of them or their classes, its last words, and the lines about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from lmbench.models.mixing.history import CLASSED, GAPS, History, Kinds, look_all
from lmbench.text.tokens import Tokens
from lmbench.text.vocab import NOTHING

_WORD_BASE = 2  # the order that a context which begins with a word falls back to
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
    def _of_lines(self) -> bool:
        return self.lines and self.alphabet.newline != NOTHING

    @cached_property
    def bases(self) -> np.ndarray:
        """(K,) int64: for each context the one that it falls back to, which comes before it; -1 for none."""
        return np.array(bases_of(self.orders, self.words, self.gaps, self._of_lines), dtype=np.int64)

    @property
    def kinds(self) -> Kinds:
        """The same as compiled functions take it."""
        alphabet, no_gaps = self.alphabet, 0 if self.gaps else len(GAPS)
        return Kinds(
            np.array(self.orders, dtype=np.int64),
            self.words,
            GAPS[no_gaps:],
            CLASSED[no_gaps:],
            self._of_lines,
            alphabet.separator,
            alphabet.newline,
            alphabet.classes.astype(np.int64),
            alphabet.folded.astype(np.int64),
            alphabet.letters.astype(np.bool_),
        )

    def keys(self, tokens: Tokens) -> tuple[np.ndarray, np.ndarray]:
        """(K, T) uint64 hashes of each token's contexts, and (T,) int64 its position in the word, up to FAR."""
        keys = np.empty((len(self.bases), len(tokens)), dtype=np.uint64)
        places = np.empty(len(tokens), dtype=np.int64)
        history = History.empty(len(tokens) + len(tokens.starts))
        look_all(self.kinds, history, tokens.ids, tokens.starts, tokens.bos, keys, places)
        return keys, places


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
        bases += [longest(whole) for _, whole in CLASSED]
    if lines:
        word = n if words else longest(_WORD_BASE)
        bases += [word, longest(1), len(bases), longest(1), longest(2), longest(1), word, word, longest(1)]
    return bases


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
