"""Where two models differ on one text: bits won and lost by kind of word, and passage by passage.

Models of different units are compared over *pieces*: the text cut where the words end and both models have a token
boundary. Nothing is lost: the pieces' bits sum to each model's total, so every table sums to the whole difference.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lmbench.comparing.extracts import _word_ends
from lmbench.scoring.scores import Scores
from lmbench.text.tokens import Tokens
from lmbench.text.units import unit_named

BANDS = ((0, "never in training"), (1, "once"), (2, "2–9 times"), (10, "10–99 times"), (100, "100–999 times"))
PLACES = ((0, "1st word"), (1, "2nd"), (2, "3rd–5th"), (5, "6th–10th"), (10, "11th–20th"), (20, "21st–100th"))
LINE_END = "line ends"
FEW_DOCUMENTS = 10  # fewer have too few beginnings to say anything of


@dataclass(frozen=True)
class Category:
    """Bits that two models spent on the characters of one kind."""

    name: str
    chars: int
    a_bits: float
    b_bits: float


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


@dataclass(frozen=True)
class Pieces:
    """The text cut where words end and both models have a boundary.

    ends: (P,) strictly ascending, the last the text's length. a_bits, b_bits: (P,) ≥ 0.
    """

    ends: np.ndarray
    a_bits: np.ndarray
    b_bits: np.ndarray

    @property
    def starts(self) -> np.ndarray:
        return np.append(0, self.ends)[: len(self.ends)]


def pieces(text: str, a: Scores, b: Scores) -> Pieces:
    """Cuts the text for two models. Raises ValueError where a model did not score this very text."""
    for scores in (a, b):
        if scores.chars != len(text):
            raise ValueError(f"the scores are of a text of {scores.chars} characters, not {len(text)}")
    ends = np.intersect1d(np.intersect1d(_word_ends(text), a.ends), b.ends)
    ends = ends[ends > 0]
    return Pieces(ends, _bits_until(a, ends), _bits_until(b, ends))


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
    """Every table of where two models differ on a text.

    train_counts: of words in training text, for frequency bands. orders: (W,) for each word of the text (as the
    ``word`` unit cuts it) the longest n-gram ending there that training text holds, see ``matched_orders``.
    """
    cut = pieces(text, a, b)
    tables = []
    if train_counts is not None:
        tables.append(_by_frequency(text, cut, train_counts))
    if orders is not None:
        tables.append(_by_order(text, cut, orders))
    tables.append(_by_oov(cut, a, b))
    if len(a.starts) >= FEW_DOCUMENTS:
        tables.append(_by_position(cut, a))
    tables = [table for table in tables if len(table.rows) > 1]
    better = _passages(text, cut, passages)
    worse = _passages(text, Pieces(cut.ends, cut.b_bits, cut.a_bits), passages)
    worse = [Passage(p.start, p.end, p.text, p.b_bits, p.a_bits) for p in worse]
    return Difference(corpus, labels[0], labels[1], len(text), tables, better, worse)


def matched_orders(train: Tokens, test: Tokens, vocab_size: int, highest: int = 5) -> np.ndarray:
    """(T,) int64: the length of the longest n-gram (n ≤ highest) that ends at each test token and occurs in training.

    0 for tokens outside the vocabulary; n-grams do not cross documents.
    """
    ids = np.concatenate([train.ids, test.ids]).astype(np.int64)
    position = np.concatenate([train.positions(), test.positions()])
    known = ids != 0
    matched = np.zeros(len(test), dtype=np.int64)
    rank = np.zeros(len(ids), dtype=np.int64)
    for order in range(1, highest + 1):
        previous = np.append(0, rank[:-1])
        distinct, rank = np.unique(previous * vocab_size + ids, return_inverse=True)
        whole = known & (position >= order - 1)
        seen = np.zeros(len(distinct), dtype=bool)
        seen[rank[: len(train)][whole[: len(train)]]] = True
        here = seen[rank[len(train) :]] & whole[len(train) :]
        matched[here & (matched == order - 1)] = order
    return matched


def _bits_until(scores: Scores, ends: np.ndarray) -> np.ndarray:
    """(P,) bits of the tokens between one cut and the next. A byte without a span counts for the character it begins."""
    return _reduce(np.add, scores.bits, scores, ends)


def _reduce(how: np.ufunc, values: np.ndarray, scores: Scores, ends: np.ndarray) -> np.ndarray:
    if not len(ends):
        return np.zeros(0)
    after = np.searchsorted(scores.starts_of_tokens, ends)
    return np.asarray(how.reduceat(values, np.append(0, after[:-1])))


def _table(title: str, cut: Pieces, kind: np.ndarray, names: Sequence[str]) -> CategoryTable:
    """kind: (P,) index into names. Kinds without characters are left out."""
    lengths = cut.ends - cut.starts
    rows = []
    for index, name in enumerate(names):
        mine = kind == index
        if mine.any():
            a, b = float(cut.a_bits[mine].sum()), float(cut.b_bits[mine].sum())
            rows.append(Category(name, int(lengths[mine].sum()), a, b))
    return CategoryTable(title, rows)


def _by_frequency(text: str, cut: Pieces, train_counts: Mapping[str, int]) -> CategoryTable:
    bounds = np.array([low for low, _ in BANDS] + [1000])
    names = [*(name for _, name in BANDS), "1,000 times or more", LINE_END]
    kind = np.empty(len(cut.ends), dtype=np.int64)
    for i, (start, end) in enumerate(zip(cut.starts.tolist(), cut.ends.tolist(), strict=True)):
        surface = text[start:end]
        if surface == "\n":
            kind[i] = len(names) - 1
        else:
            count = train_counts.get(surface.strip(" \n"), 0)
            kind[i] = int(np.searchsorted(bounds, count, side="right")) - 1
    return _table("By how often the word occurs in training", cut, kind, names)


def _by_order(text: str, cut: Pieces, orders: np.ndarray) -> CategoryTable:
    words = unit_named("word").ends(text)
    if len(orders) != len(words):
        raise ValueError(f"orders are of {len(orders)} words, the text has {len(words)}")
    # A piece of several words takes the order of its last.
    kind = orders[np.searchsorted(words, cut.ends)]
    names = [
        "none: a new word",
        *(f"{n} word{'s' * (n > 1)}" for n in range(1, int(orders.max(initial=0)) + 1)),
    ]
    return _table("By the longest run of words, ending here, that training text holds", cut, kind, names)


def _by_oov(cut: Pieces, a: Scores, b: Scores) -> CategoryTable:
    outside = np.zeros(len(cut.ends), dtype=bool)
    for scores in (a, b):
        if len(cut.ends):
            outside |= _reduce(np.logical_or, scores.oov, scores, cut.ends)
    names = ["in both vocabularies", "outside a vocabulary"]
    return _table("By vocabulary", cut, outside.astype(np.int64), names)


def _by_position(cut: Pieces, a: Scores) -> CategoryTable:
    begins = a.starts_of_tokens[a.starts] if len(a) else np.zeros(1, dtype=np.int64)
    document = np.searchsorted(begins, cut.starts, side="right") - 1
    first = np.searchsorted(document, np.arange(len(begins)))
    position = np.arange(len(cut.ends)) - first[document]
    bounds = np.array([low for low, _ in PLACES] + [100])
    names = [*(name for _, name in PLACES), "beyond the 100th"]
    return _table("By place in the document", cut, np.searchsorted(bounds, position, side="right") - 1, names)


def _passages(text: str, cut: Pieces, count: int, width: int = 90) -> list[Passage]:
    """The passages of about ``width`` characters where a wins most, most first, no two overlapping."""
    with np.errstate(invalid="ignore"):
        won = np.nan_to_num(cut.b_bits - cut.a_bits, nan=0.0, posinf=1e9, neginf=-1e9)
    total = np.append(0.0, np.cumsum(won))
    starts = cut.starts
    last = np.minimum(np.searchsorted(cut.ends, starts + width), len(cut.ends) - 1)
    gain = total[last + 1] - total[:-1]
    taken = np.zeros(len(starts), dtype=bool)
    found: list[Passage] = []
    for i in np.argsort(-gain, kind="stable").tolist():
        j = int(last[i])
        if len(found) == count or gain[i] <= 0:
            break
        if taken[i : j + 1].any():
            continue
        taken[i : j + 1] = True
        begin, end = int(starts[i]), int(cut.ends[j])
        a, b = float(cut.a_bits[i : j + 1].sum()), float(cut.b_bits[i : j + 1].sum())
        found.append(Passage(begin, end, text[begin:end], a, b))
    return found
