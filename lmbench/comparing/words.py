"""What models charge a text word by word: where models of different units can be compared at all.

Tokens differ from model to model, the places where words end do not. A model's charge is summed once over the words;
whatever is compared afterwards is as long as the words are many.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from lmbench.scoring.scores import LN2, Scores
from lmbench.text.scripts import is_unsegmented
from lmbench.text.units import unit_named

LONG_WORDS = 40  # characters a word, on average: a source that writes no spaces
BLOCK = 1 << 15  # words whose tokens are summed at a time


def word_ends(text: str) -> np.ndarray:
    """(W,) int64, strictly ascending: where words end; every character, in a text whose words are too long to be words.

    >>> word_ends("to be")
    array([2, 5])
    """
    ends = unit_named("word").ends(text)
    return np.arange(1, len(text) + 1) if without_blanks(text, ends) else ends[with_characters(ends)]


def with_characters(ends: np.ndarray) -> np.ndarray:
    """(W,) bool: the words of which some character is theirs; one before a blank at the beginning of a line has none."""
    return np.diff(ends, prepend=0) > 0


def without_blanks(text: str, ends: np.ndarray) -> bool:
    """Whether the words of a text, which end at ``ends``, are too long to be words, or it is of a script that does not divide them."""
    return len(text) > LONG_WORDS * len(ends) or is_unsegmented(text)


def first_token(scores: Scores, places: np.ndarray) -> np.ndarray:
    """(N,) int64: the first token that begins at each place (in characters) or after it; T where none does."""
    after = np.searchsorted(scores.ends, places) + 1
    return np.where(places <= 0, 0, np.minimum(after, len(scores)))


def boundaries(scores: Scores, places: np.ndarray) -> np.ndarray:
    """(N,) bool: whether a token ends at each place (in characters)."""
    ends = scores.ends
    return (
        np.asarray(ends.take(np.searchsorted(ends, places), mode="clip") == places)
        if len(ends)
        else places < 0
    )


@dataclass(frozen=True)
class Charges:
    """What one model charges the words of a text.

    cuts: (W,) bool, whether a token of the model ends where the word does. bits: (W,) float64 ≥ 0, those of the tokens
    that begin in the word; a token without characters (the first byte of a character) counts for the character that
    it begins. oov: (W,) bool, whether one of these tokens is outside the vocabulary. documents: (D,) int64, the
    characters with which documents begin.
    """

    cuts: np.ndarray
    bits: np.ndarray
    oov: np.ndarray
    documents: np.ndarray

    @classmethod
    def of(cls, ends: np.ndarray, scores: Scores) -> Charges:
        """Of the words that end at ``ends`` (W,). Raises ValueError where the model did not score a text of this length."""
        chars = int(ends[-1]) if len(ends) else 0
        if scores.chars != chars:
            raise ValueError(f"the scores are of a text of {scores.chars} characters, not {chars}")
        cuts, bits, oov = (np.zeros(len(ends), dtype=kind) for kind in (bool, float, bool))
        first = 0  # the token with which the block's first word begins
        for begin in range(0, len(ends), BLOCK):
            words = slice(begin, begin + BLOCK)
            # The token that ends there or reaches beyond; most often each word is one.
            before = np.arange(first, first + len(ends[words]))
            if not np.array_equal(scores.ends[first : before[-1] + 1], ends[words]):
                before = np.searchsorted(scores.ends, ends[words])
            cuts[words] = scores.ends[before] == ends[words]
            edges = np.append(first, before + 1)
            if begin + BLOCK >= len(ends):
                edges[-1] = len(scores)
            tokens, some = slice(first, edges[-1]), edges[1:] > edges[:-1]
            places = (edges[:-1] - first)[some]
            if len(places):
                nats = scores.log_probs[tokens] + scores.spelling[tokens]
                bits[words][some] = np.add.reduceat(-nats / LN2, places)
                oov[words][some] = np.logical_or.reduceat(scores.oov[tokens], places)
            first = int(edges[-1])
        documents = scores.ends[scores.starts[1:] - 1] if len(scores) else scores.starts[1:]
        return cls(cuts, bits, oov, np.append(0, documents))


@dataclass(frozen=True)
class Pieces:
    """The text cut where words end and both of two models have a token boundary.

    last: (P,) int64, the word with which each piece ends. ends: (P,) int64, strictly ascending characters, the last the
    text's length. a_bits, b_bits: (P,) float64 ≥ 0. oov: (P,) bool, whether a token of either is outside its vocabulary.
    """

    last: np.ndarray
    ends: np.ndarray
    a_bits: np.ndarray
    b_bits: np.ndarray
    oov: np.ndarray

    @classmethod
    def of(cls, ends: np.ndarray, a: Charges, b: Charges) -> Pieces:
        """ends: (W,), the words' ends of which the charges are."""
        last = np.flatnonzero(a.cuts & b.cuts)
        a_bits, b_bits = (reduce_to(np.add, each.bits, last) for each in (a, b))
        return cls(last, ends[last], a_bits, b_bits, reduce_to(np.logical_or, a.oov | b.oov, last))

    @cached_property
    def starts(self) -> np.ndarray:
        """(P,) int64: the characters with which pieces begin."""
        return np.append(0, self.ends)[: len(self.ends)]

    @cached_property
    def chars(self) -> np.ndarray:
        """(P,) int64: how many characters pieces have."""
        return self.ends - self.starts

    @cached_property
    def sizes(self) -> np.ndarray:
        """(P,) float64 ≥ 0: by how many bits the two models differ; 0 where both are infinite."""
        with np.errstate(invalid="ignore"):
            sizes = np.abs(self.a_bits - self.b_bits)
        return np.nan_to_num(sizes, copy=False, nan=0.0, posinf=np.inf)


def reduce_to(how: np.ufunc, values: np.ndarray, last: np.ndarray) -> np.ndarray:
    """(P,): values of words (W,) brought together, those of a piece into one. last: (P,) each piece's last word."""
    if len(last) == len(values):
        return values
    first = np.append(0, last + 1)[: len(last)]
    return np.asarray(how.reduceat(values, first)) if len(last) else values[:0]


def pieces(text: str, a: Scores, b: Scores) -> Pieces:
    """Cuts the text for two models. Raises ValueError where a model did not score a text of this length."""
    ends = word_ends(text)
    return Pieces.of(ends, Charges.of(ends, a), Charges.of(ends, b))


def nearest_cut(places: np.ndarray, models: Sequence[Scores]) -> int | None:
    """The first of some places (N,), in the order given, at which every model has a token boundary."""
    begin, size = 0, 16  # most often one of the first will do
    while begin < len(places):
        block = places[begin : begin + size]
        for scores in models:
            block = block[boundaries(scores, block)]
        if len(block):
            return int(block[0])
        begin, size = begin + size, min(8 * size, BLOCK)
    return None
