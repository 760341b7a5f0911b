"""Where two models differ on one text: bits won and lost by kind of word, and passage by passage.

Models of different units are compared over *pieces*: the text cut where the words end and both models have a token
boundary. Nothing is lost: the pieces' bits sum to each model's total, so every table sums to the whole difference.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from lmbench.comparing.words import Charges, Pieces, reduce_to, with_characters, without_blanks, word_ends
from lmbench.scoring.scores import Scores
from lmbench.text.units import unit_named

# From which count in training on, and from which place in the document on, a word is of which kind.
BANDS = {
    0: "never in training",
    1: "once",
    2: "2–9 times",
    10: "10–99 times",
    100: "100–999 times",
    1000: "1,000 times or more",
}
PLACES = {
    0: "1st word",
    1: "2nd",
    2: "3rd–5th",
    5: "6th–10th",
    10: "11th–20th",
    20: "21st–100th",
    100: "beyond the 100th",
}
LINE_END = "line ends"
EXAMPLES = 5  # places that a kind of text is shown at
_BLOCK = 1024  # values of which the largest is looked at first
FEW_DOCUMENTS = 10  # fewer have too few beginnings to say anything of


def largest(values: np.ndarray, count: int) -> np.ndarray:
    """(K,) int64: the places of the largest of some values (N,), largest first, of equal ones the first; K = min(count, N).

    >>> largest(np.array([3.0, 9.0, 3.0, 1.0]), 2)
    array([1, 0])
    """
    blocks = values[: len(values) // _BLOCK * _BLOCK].reshape(-1, _BLOCK)
    if count < len(blocks):  # as many values as are wanted are as large as the largest of so many blocks
        places = np.flatnonzero(values >= np.partition(blocks.max(axis=1), -count)[-count])
    else:
        places = np.arange(len(values))
    if count < len(places):
        places = places[values[places] >= np.partition(values[places], -count)[-count]]
    return np.asarray(places[np.argsort(-values[places], kind="stable")[:count]])


@dataclass(frozen=True)
class Category:
    """Bits that two models spent on the characters of one kind. places: where pieces of it begin that they differ most on, most first."""

    name: str
    chars: int
    a_bits: float
    b_bits: float
    places: Sequence[int] = ()


@dataclass(frozen=True)
class CategoryTable:
    """A division of the whole text into kinds."""

    title: str
    rows: Sequence[Category]


@dataclass(frozen=True)
class Passage:
    """text[start:end] and what it cost two models, in bits."""

    start: int
    end: int
    text: str
    a_bits: float
    b_bits: float


@dataclass(frozen=True)
class Difference:
    """Where model a beats model b, and where it loses. chars: of the whole text."""

    corpus: str
    a: str
    b: str
    chars: int
    tables: Sequence[CategoryTable]
    a_better: Sequence[Passage]
    b_better: Sequence[Passage]


def difference(
    corpus: str,
    labels: tuple[str, str],
    text: str,
    a: Scores,
    b: Scores,
    train_counts: Mapping[str, int] | None = None,
    orders: np.ndarray | None = None,
    passages: int = 20,
) -> Difference:
    """Every table of where two models differ on a text; see ``differences``."""
    words = _Words.of(text, train_counts, orders)
    a_charges, b_charges = (Charges.of(words.ends, scores) for scores in (a, b))
    return words.difference(corpus, labels, a_charges, b_charges, passages)


def differences(
    corpus: str,
    text: str,
    models: Mapping[str, Scores],
    train_counts: Mapping[str, int] | None = None,
    orders: np.ndarray | None = None,
    passages: int = 20,
) -> list[Difference]:
    """Where each two of some models (by label) differ on a text.

    train_counts: of words in training text, for frequency bands. orders: (W,) for each word of the text (as the
    ``word`` unit cuts it) the longest n-gram ending there that training text holds, see ``counts.matched_orders``.
    Raises ValueError where scores or orders are of another text.
    """
    words = _Words.of(text, train_counts, orders)
    charges = {label: Charges.of(words.ends, scores) for label, scores in models.items()}
    return [
        words.difference(corpus, (a, b), charges[a], charges[b], passages)
        for a, b in combinations(charges, 2)
    ]


@dataclass(frozen=True)
class _Words:
    """The words of a text with what tables divide them by; without blanks, its characters.

    ends: (W,). bands: (W,) int8, which of ``BANDS`` the word is in, a number more for a line feed. orders: (W,) int8.
    """

    text: str
    ends: np.ndarray
    bands: np.ndarray | None
    orders: np.ndarray | None

    @classmethod
    def of(cls, text: str, train_counts: Mapping[str, int] | None, orders: np.ndarray | None) -> _Words:
        ends = unit_named("word").ends(text)
        if orders is not None and len(orders) != len(ends):
            raise ValueError(f"orders are of {len(orders)} words, the text has {len(ends)}")
        if without_blanks(text, ends):
            # What training text holds of such words says nothing.
            return cls(text, word_ends(text), None, None)
        some, bands = with_characters(ends), None
        if train_counts is not None:
            types, which = unit_named("word").types(text)
            counts = np.array([train_counts.get(word, 0) for word in types], dtype=np.int64)
            of_type = np.searchsorted(list(BANDS), counts, side="right") - 1
            # More than any word's, so that a piece of a word and line feeds is as rare as the word.
            of_type[[word == "\n" for word in types]] = len(BANDS)
            bands = of_type.astype(np.int8)[which[some]]
        return cls(text, ends[some], bands, None if orders is None else orders.astype(np.int8)[some])

    def difference(
        self, corpus: str, labels: tuple[str, str], a: Charges, b: Charges, passages: int
    ) -> Difference:
        cut = Pieces.of(self.ends, a, b)
        tables = []
        if self.bands is not None:
            tables.append(_by_frequency(cut, reduce_to(np.minimum, self.bands, cut.last)))
        if self.orders is not None:
            tables.append(_by_order(cut, self.orders[cut.last]))
        tables.append(_by_oov(cut))
        if len(a.documents) >= FEW_DOCUMENTS:
            tables.append(_by_position(cut, a.documents))
        tables = [table for table in tables if len(table.rows) > 1]
        better, worse = _passages(self.text, cut, passages)
        return Difference(corpus, *labels, len(self.text), tables, better, worse)


def _table(title: str, cut: Pieces, kind: np.ndarray, names: Sequence[str]) -> CategoryTable:
    """kind: (P,) small integers, index into names. Kinds without characters are left out."""
    numbers = kind.astype(np.intp)
    chars, a_bits, b_bits = (
        np.bincount(numbers, column, len(names)) for column in (cut.chars, cut.a_bits, cut.b_bits)
    )
    rows = [
        Category(
            name,
            int(chars[i]),
            float(a_bits[i]),
            float(b_bits[i]),
            cut.starts[places[largest(cut.sizes[places], EXAMPLES)]].tolist(),
        )
        for i, name in enumerate(names)
        if chars[i] and len(places := np.flatnonzero(kind == i))
    ]
    return CategoryTable(title, rows)


def _by_frequency(cut: Pieces, bands: np.ndarray) -> CategoryTable:
    """bands: (P,), of the rarest word of a piece."""
    return _table("By how often the word occurs in training", cut, bands, [*BANDS.values(), LINE_END])


def _by_order(cut: Pieces, orders: np.ndarray) -> CategoryTable:
    """orders: (P,), of the last word of a piece."""
    names = [
        "none: a new word",
        *(f"{n} word{'s' * (n > 1)}" for n in range(1, int(orders.max(initial=0)) + 1)),
    ]
    return _table("By the longest run of words, ending here, that training text holds", cut, orders, names)


def _by_oov(cut: Pieces) -> CategoryTable:
    names = ["in both vocabularies", "outside a vocabulary"]
    return _table("By vocabulary", cut, cut.oov.view(np.int8), names)


def _by_position(cut: Pieces, documents: np.ndarray) -> CategoryTable:
    """documents: (D,), the characters with which they begin."""
    first = np.searchsorted(cut.starts, documents)
    place = np.arange(len(cut.ends)) - np.repeat(first, np.diff(first, append=len(cut.ends)))
    most = max(PLACES)
    bands = np.searchsorted(list(PLACES), np.arange(most + 1), side="right").astype(np.int8) - np.int8(1)
    kind = bands.take(place, mode="clip")
    return _table("By place in the document", cut, kind, list(PLACES.values()))


def _passages(text: str, cut: Pieces, count: int, width: int = 90) -> tuple[list[Passage], list[Passage]]:
    """The passages of about ``width`` characters where a wins most, and where b does, most first, no two overlapping."""
    with np.errstate(invalid="ignore"):
        won = np.nan_to_num(cut.b_bits - cut.a_bits, nan=0.0, posinf=1e9, neginf=-1e9)
    total = np.append(0.0, np.cumsum(won))
    last = np.minimum(np.searchsorted(cut.ends, cut.starts + width), len(cut.ends) - 1)
    gain = total[last + 1] - total[:-1]
    both = (_largest(of_one, last, count) for of_one in (gain, -gain))
    better, worse = ([_passage(text, cut, i, int(last[i])) for i in firsts] for firsts in both)
    return better, worse


def _largest(gain: np.ndarray, last: np.ndarray, count: int) -> list[int]:
    """The largest of some gains > 0, most first, no two overlapping; gain i is of the pieces i .. last[i]. Spoils ``gain``."""
    firsts: list[int] = []
    while len(firsts) < count and len(gain) and gain[i := int(np.argmax(gain))] > 0:
        gain[int(np.searchsorted(last, i)) : last[i] + 1] = -np.inf  # all that overlap
        firsts.append(i)
    return firsts


def _passage(text: str, cut: Pieces, i: int, j: int) -> Passage:
    begin, end = int(cut.ends[i - 1]) if i else 0, int(cut.ends[j])
    a, b = float(cut.a_bits[i : j + 1].sum()), float(cut.b_bits[i : j + 1].sum())
    return Passage(begin, end, text[begin:end], a, b)
