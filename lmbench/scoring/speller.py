r"""What a token outside the vocabulary costs beyond ``<unk>``: a distribution over everything a unit can hold.

A word is spelled by a character model trained on the training types, a single character or byte is drawn from
those that the vocabulary lacks. Each distribution is normalised over exactly the tokens *outside* the vocabulary,
so that ``<unk>`` and spelling together make every model a distribution over all Unicode strings.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lmbench.errors import unknown
from lmbench.text.units import UNITS, code_points
from lmbench.text.vocab import Vocab

ORDER = 6  # characters that a prediction rests on, itself included; chosen on held-out words
NEW, BOUNDARY = 0, 1  # symbols: a character never seen; the end of a word and what stands before it
FORBIDDEN = np.array([10, 32], dtype=np.uint32)  # no word holds a line feed or a space


class Speller(ABC):
    """ln p(token | it is outside the vocabulary), for the tokens of one unit."""

    @abstractmethod
    def log_probs(self, strings: Sequence[str]) -> np.ndarray:
        """(N,) float64, nats, < 0: of tokens outside the vocabulary; -inf of lone surrogates.

        Σ exp = 1 over all tokens that the unit can hold and the vocabulary lacks. Tokens of the vocabulary are not
        looked for: what is returned for them has no meaning.
        """

    @abstractmethod
    def state(self) -> dict[str, np.ndarray]:
        """Named arrays from which ``restore`` makes the same speller."""

    @staticmethod
    def fit(vocab: Vocab, unit_name: str, train_types: Iterable[str] | None = None) -> Speller:
        """A speller for the tokens that ``vocab`` lacks.

        train_types: distinct tokens of the training text (default: the vocabulary). Deterministic: it depends
        on the sets alone, not on their order. Raises InputError for an unknown unit.
        """
        covered = set(vocab.tokens[len(vocab.reserved) :])
        types = covered if train_types is None else set(train_types)
        if unit_name == "word":
            return WordSpeller.of(covered, types)
        if unit_name == "char":
            return CharSpeller.of(covered, types)
        if unit_name == "byte":
            return ByteSpeller(np.array(256 - len(covered)))
        raise unknown("unit", unit_name, UNITS)

    @staticmethod
    def restore(state: Mapping[str, np.ndarray]) -> Speller:
        """The speller that ``state`` was taken of."""
        for kind in (WordSpeller, CharSpeller, ByteSpeller):
            if state.keys() == kind.__dataclass_fields__.keys():
                return kind(**state)
        raise ValueError(f"not the state of a speller: {sorted(state)}")


# Characters never seen -----------------------------------------------------------------------------


def utf8_length(points: np.ndarray) -> np.ndarray:
    """How many UTF-8 bytes each code point takes, less one: 0..3."""
    return np.searchsorted([0x80, 0x800, 0x10000], points, side="right")


def new_character_log_probs(seen: np.ndarray, excluded: np.ndarray) -> np.ndarray:
    """(4,) float64, nats: ln p of a character never seen, by its length in UTF-8 (one to four bytes).

    The length is drawn as the lengths of ``seen`` characters fall (each counted once, plus one), then a character
    evenly among the Unicode scalar values of that length that are not in ``excluded`` (sorted, distinct).
    Normalised over all scalar values but the excluded; -inf for a length that has none left.
    """
    sizes = np.array([128, 1920, 61440, 1048576])  # scalar values: surrogates are none
    left = sizes - np.bincount(utf8_length(excluded), minlength=4)
    weights = np.where(left > 0, np.bincount(utf8_length(seen), minlength=4) + 1.0, 0.0)
    with np.errstate(divide="ignore"):
        nats: np.ndarray = np.log(weights / weights.sum()) - np.log(np.maximum(left, 1))
    return nats


def _of_new(points: np.ndarray, by_length: np.ndarray) -> np.ndarray:
    surrogate = (points >= 0xD800) & (points < 0xE000)
    return np.where(surrogate, -np.inf, by_length[utf8_length(points)])


# Words ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class WordSpeller(Speller):
    r"""Interpolated Witten–Bell over the characters of the training types, each type counted once.

    p(c|h) = (n(hc) + t(h) p(c|h')) / (n(h) + t(h)), with t(h) the number of distinct symbols after h and a uniform
    base over the alphabet, the end symbol and the escape to a character never seen (Witten & Bell 1991; Bell,
    Cleary & Witten 1990, method C). Contexts do not reach beyond the start of the word. The vocabulary's own
    words are then taken out: their probability is summed exactly and the rest divided by what remains, which
    is never tiny since every position leaves something for characters never seen. ``\n``, the only
    token that is no word, counts as one type more where the vocabulary lacks it.

    alphabet: (A,) uint32, sorted. contexts, grams: sorted keys ``(rank of the shorter context, symbol)`` of all
    orders laid end to end, ``sizes`` (2, ORDER) of each order; totals, followers: n(h) and t(h); counts: n(hc).
    """

    alphabet: np.ndarray
    sizes: np.ndarray
    contexts: np.ndarray
    totals: np.ndarray
    followers: np.ndarray
    grams: np.ndarray
    counts: np.ndarray
    new: np.ndarray  # (4,) nats
    newline: np.ndarray  # (), nats: ln p of the token "\n"; -inf where the vocabulary has it
    rest: np.ndarray  # (), nats: ln of what is left for words once "\n" and the vocabulary's are out

    @classmethod
    def of(cls, covered: set[str], types: set[str]) -> WordSpeller:
        words = sorted(types - {"\n"})
        alphabet = np.unique(code_points("".join(words)))
        symbols, positions, _ = _symbols(words, alphabet)
        base = len(alphabet) + 2
        parts: list[tuple[np.ndarray, ...]] = []
        rank = np.zeros(len(symbols), dtype=np.int64)
        valid = np.ones(len(symbols), dtype=bool)
        for order in range(ORDER):
            contexts = np.zeros(1, dtype=np.int64)
            if order:
                valid = positions >= order - 1
                keys = rank * base + _before(symbols, positions, order)
                contexts = np.unique(keys[valid])
                rank = np.searchsorted(contexts, keys)
            grams, counts = np.unique(rank[valid] * base + symbols[valid], return_counts=True)
            followers = np.bincount(grams // base, minlength=len(contexts))
            totals = np.bincount(rank[valid], minlength=len(contexts))
            parts.append((contexts, totals, followers, grams, counts))
        sizes = np.array([[len(p[0]) for p in parts], [len(p[3]) for p in parts]])
        contexts, totals, followers, grams, counts = (np.concatenate(p) for p in zip(*parts, strict=True))
        new = new_character_log_probs(alphabet, np.union1d(alphabet, FORBIDDEN))
        share = 0.0 if "\n" in covered else 1 / (len(words) + 2)
        nothing = np.array(0.0)
        whole = cls(alphabet, sizes, contexts, totals, followers, grams, counts, new, nothing, nothing)
        mass = math.fsum(np.exp(whole._words(sorted(covered - {"\n"}))).tolist())
        newline = np.array(math.log(share) if share else -math.inf)
        rest = np.array(math.log1p(-share) - math.log1p(-mass))
        return cls(alphabet, sizes, contexts, totals, followers, grams, counts, new, newline, rest)

    def log_probs(self, strings: Sequence[str]) -> np.ndarray:
        newline = np.array([s == "\n" for s in strings], dtype=bool)
        words = ["" if s == "\n" else s for s in strings]
        return np.where(newline, self.newline, self._words(words) + self.rest)

    def _words(self, words: Sequence[str]) -> np.ndarray:
        """(N,) float64, nats: ln p of words under the character model alone."""
        if not words:
            return np.zeros(0)
        symbols, positions, points = _symbols(words, self.alphabet)
        nats = np.log(self.symbol_probs(symbols, positions))
        nats += np.where(symbols == NEW, _of_new(points, self.new), 0.0)
        starts = np.flatnonzero(positions == 0)
        return np.add.reduceat(nats, starts)

    def symbol_probs(self, symbols: np.ndarray, positions: np.ndarray) -> np.ndarray:
        """(N,) float64: p(symbol | those before it in its word), over ``NEW``, ``BOUNDARY`` and the alphabet.

        symbols: words laid end to end, each closed by ``BOUNDARY``, characters as 2 + their place in the
        alphabet; positions: (N,) how many symbols of its word stand before each.
        """
        base = len(self.alphabet) + 2
        p = np.full(len(symbols), 1 / base)
        rank = np.zeros(len(symbols), dtype=np.int64)
        known = np.full(len(symbols), len(self.counts) > 0)
        ends = np.cumsum(self.sizes, axis=1)
        for order in range(ORDER):
            of_context = slice(ends[0, order] - self.sizes[0, order], ends[0, order])
            of_gram = slice(ends[1, order] - self.sizes[1, order], ends[1, order])
            if order:
                rank, found = _find(
                    self.contexts[of_context], rank * base + _before(symbols, positions, order)
                )
                known &= found & (positions >= order - 1)
            if not known.any():
                break
            place, seen = _find(self.grams[of_gram], rank * base + symbols)
            count = np.where(seen, self.counts[of_gram][place], 0)
            total, followers = self.totals[of_context][rank], self.followers[of_context][rank]
            p = np.where(known, (count + followers * p) / (total + followers), p)
        return p

    def state(self) -> dict[str, np.ndarray]:
        return dict(vars(self))


def _symbols(words: Sequence[str], alphabet: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Words laid end to end, each closed by BOUNDARY: symbols, positions within the word, code points."""
    points = code_points("\n".join(words) + "\n" if words else "")
    place, found = _find(alphabet, points)
    symbols = np.where(points == 10, BOUNDARY, np.where(found, place + 2, NEW)).astype(np.int64)
    ends = np.flatnonzero(points == 10)
    lengths = np.diff(ends, prepend=-1)
    positions = np.arange(len(points)) - np.repeat(ends + 1 - lengths, lengths)
    return symbols, positions, points


def _before(symbols: np.ndarray, positions: np.ndarray, distance: int) -> np.ndarray:
    """The symbol ``distance`` places back, BOUNDARY where the word had not begun."""
    back = np.concatenate([np.full(min(distance, len(symbols)), BOUNDARY), symbols[:-distance]])
    return np.where(positions >= distance, back, BOUNDARY)


def _find(keys: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where each wanted key stands in sorted keys (0 where it does not), and whether it does."""
    if not len(keys):
        return np.zeros(len(wanted), dtype=np.int64), np.zeros(len(wanted), dtype=bool)
    place = np.searchsorted(keys, wanted)
    place[place == len(keys)] = 0
    found = keys[place] == wanted
    return np.where(found, place, 0), found


# Single characters and bytes -----------------------------------------------------------------------


@dataclass(frozen=True)
class CharSpeller(Speller):
    """One character: evenly one of the S training characters that the vocabulary leaves out, or, with
    probability 1/(S + 1), one never seen (``new_character_log_probs``).

    left_out: (S,) uint32, sorted; new: (4,) float64, nats.
    """

    left_out: np.ndarray
    new: np.ndarray

    @classmethod
    def of(cls, covered: set[str], types: set[str]) -> CharSpeller:
        seen = np.unique(code_points("".join(types | covered)))
        left_out = np.unique(code_points("".join(types - covered)))
        return cls(left_out, new_character_log_probs(seen, seen) - math.log(len(left_out) + 1))

    def log_probs(self, strings: Sequence[str]) -> np.ndarray:
        points = code_points("".join(strings))
        _, found = _find(self.left_out, points)
        return np.where(found, -math.log(len(self.left_out) + 1), _of_new(points, self.new))

    def state(self) -> dict[str, np.ndarray]:
        return dict(vars(self))


@dataclass(frozen=True)
class ByteSpeller(Speller):
    """One of the ``left`` bytes that the vocabulary lacks, all alike. left: (), int64, 0..256."""

    left: np.ndarray

    def log_probs(self, strings: Sequence[str]) -> np.ndarray:
        return np.full(len(strings), -math.log(max(int(self.left), 1)))

    def state(self) -> dict[str, np.ndarray]:
        return dict(vars(self))
