r"""What a token outside the vocabulary costs beyond ``<unk>``: a distribution over everything a unit can hold.

A word is spelled by a character model trained on the training types; a single character, piece or byte is drawn from
those that the vocabulary lacks. Each distribution is normalised over exactly the tokens *outside* the vocabulary,
so that ``<unk>`` and spelling together make every model a distribution over all Unicode strings.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import compress

import numpy as np

from lmbench.errors import unknown
from lmbench.models.base import LanguageModel
from lmbench.models.smoothing.witten_bell import WittenBell
from lmbench.models.uniform import Uniform
from lmbench.scoring.range_coder import Coder, code_choice, code_uniform, cumulative_frequencies
from lmbench.text.tokens import Tokens
from lmbench.text.units import LEARNT, UNITS, ByteUnit, code_points
from lmbench.text.vocab import Vocab

ORDER = 6  # characters that a prediction rests on, itself included; chosen on held-out words
# Ids: a character never seen; the end of a word and what stands before it; the alphabet.
NEW, BOUNDARY, FIRST = 0, 1, 2
_TOGETHER = 1 << 16  # words spelled at a time
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
    def code(self, coder: Coder, token: str | None) -> str:
        """Codes a token outside the vocabulary and returns it, in as many bits as ``log_probs`` says.

        An encoder is given it; a decoder reads it, and is given None.
        """

    @staticmethod
    def fit(
        vocab: Vocab,
        unit_name: str,
        train_types: Iterable[str] | None = None,
        unk: str = "",
        unk_share: float = 0.5,
    ) -> Speller:
        """A speller for the tokens that ``vocab`` lacks.

        train_types: distinct tokens of the training text (default: the vocabulary). unk: a token that stands in the text for unknown
        ones, with the probability ``unk_share`` of being what an unknown token reads. Deterministic: it depends
        on the sets alone, not on their order. Raises InputError for an unknown unit.

        >>> speller = Speller.fit(Vocab(["the", "ferry"]), "word")
        >>> [round(float(nats), 1) for nats in speller.log_probs(["they", "船"])]
        [-6.9, -18.6]
        """
        covered = set(vocab.tokens[len(vocab.reserved) :])
        types = covered if train_types is None else set(train_types)
        if unk:
            others = Vocab.from_list([*vocab.tokens, unk], len(vocab.reserved))
            return UnknownWord(unk, unk_share, Speller.fit(others, unit_name, types - {unk}))
        if unit_name == "word":
            return WordSpeller.of(covered, types)
        if unit_name in ("char", LEARNT):
            return PieceSpeller.of(covered, types)
        if unit_name == "byte":
            return ByteSpeller(tuple(sorted(set(ByteUnit.symbols) - covered)))
        raise unknown("unit", unit_name, UNITS)


@dataclass(frozen=True)
class UnknownWord(Speller):
    """A token that stands for unknown ones where the text was made, or, else, one that ``others`` spell.

    unk: that token. share: its probability, 0 < share < 1.
    """

    unk: str
    share: float
    others: Speller

    def log_probs(self, strings: Sequence[str]) -> np.ndarray:
        nats = np.full(len(strings), math.log(self.share))
        others = [i for i, token in enumerate(strings) if token != self.unk]
        nats[others] = math.log1p(-self.share) + self.others.log_probs([strings[i] for i in others])
        return nats

    def code(self, coder: Coder, token: str | None) -> str:
        if code_choice(coder, self.share, None if token is None else token == self.unk):
            return self.unk
        return self.others.code(coder, token)


# Characters never seen -----------------------------------------------------------------------------

_BOUNDS = (0, 0x80, 0x800, 0x10000, 0x110000)  # the code points of one to four bytes in UTF-8
_SURROGATES = np.arange(0xD800, 0xE000, dtype=np.uint32)


def utf8_length(points: np.ndarray) -> np.ndarray:
    """How many UTF-8 bytes each code point takes, less one: 0..3."""
    return np.searchsorted(_BOUNDS[1:4], points, side="right")


@dataclass(frozen=True)
class NewCharacters:
    """A character never seen: its length in UTF-8, then one of those of that length, all alike.

    The length is drawn as the lengths of the characters seen fall (each counted once, plus one). Normalised over all
    Unicode scalar values but ``excluded``.

    excluded: sorted, distinct code points, surrogates among them. shares: (4,) float64, sums to 1: of one to four bytes, 0 for a
    length that has none left. log_probs_by_length: (4,) nats of a single character, -inf where it has none.
    """

    excluded: np.ndarray
    shares: np.ndarray
    log_probs_by_length: np.ndarray

    @classmethod
    def beside(cls, seen: np.ndarray, excluded: np.ndarray) -> NewCharacters:
        """Those that are not in ``excluded``, as long as those ``seen``."""
        excluded = np.union1d(excluded, _SURROGATES)
        left = np.diff(_BOUNDS) - np.bincount(utf8_length(excluded), minlength=4)
        weights = np.where(left > 0, np.bincount(utf8_length(seen), minlength=4) + 1.0, 0.0)
        shares = weights / weights.sum()
        with np.errstate(divide="ignore"):
            return cls(excluded, shares, np.log(shares) - np.log(np.maximum(left, 1)))

    def log_probs(self, points: np.ndarray) -> np.ndarray:
        """(N,) float64, nats, of code points; -inf of surrogates."""
        surrogate = (points >= 0xD800) & (points < 0xE000)
        return np.where(surrogate, -np.inf, self.log_probs_by_length[utf8_length(points)])

    def code(self, coder: Coder, point: int | None) -> int:
        """Codes a code point that is not excluded and returns it."""
        length = None if point is None else int(utf8_length(np.array(point)))
        length = coder.code(cumulative_frequencies(self.shares), length)
        low, high = _BOUNDS[length], _BOUNDS[length + 1]
        taken = self.excluded[slice(*np.searchsorted(self.excluded, [low, high]))].astype(np.int64)
        left_before = taken - low - np.arange(len(taken))
        rank = None if point is None else point - low - int(np.searchsorted(taken, point))
        rank = code_uniform(coder, high - low - len(taken), rank)
        return low + rank + int(np.searchsorted(left_before, rank, side="right"))


# Words ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class WordSpeller(Speller):
    r"""The Witten–Bell model of the characters of the training types, each a document and counted once.

    A character never seen is a symbol of its own, and then one of ``new``. The vocabulary's own words are taken out:
    their probability is summed exactly and the rest divided by what remains, which is never tiny since every position
    leaves something for characters never seen. ``\n``, the only token that is no word, counts as one type more
    where the vocabulary lacks it.

    alphabet: (A,) uint32, sorted. model: over ``NEW``, ``BOUNDARY`` and the alphabet. newline: nats, ln p of the token
    ``\n``; -inf where the vocabulary has it. rest: nats, -ln of what is left for words, over what is left of 1.
    covered: the vocabulary's words of these characters, sorted; masses: (their number,) nats under the model.
    """

    alphabet: np.ndarray
    model: LanguageModel
    new: NewCharacters
    newline: float
    rest: float
    covered: list[str]
    masses: np.ndarray

    @classmethod
    def of(cls, covered: set[str], types: set[str]) -> WordSpeller:
        words = sorted(types - {"\n"})
        alphabet = np.unique(code_points("".join(words)))
        size = FIRST + len(alphabet)
        model: LanguageModel = WittenBell(order=ORDER) if words else Uniform()
        model.fit(_spelled(words, alphabet)[0] if words else [BOUNDARY], vocab_size=size)
        new = NewCharacters.beside(alphabet, np.union1d(alphabet, FORBIDDEN))
        share = 0.0 if "\n" in covered else 1 / (len(words) + 2)
        inside = words if covered == types else sorted(covered - {"\n"})
        masses = _log_probs(model, new, inside, alphabet)
        rest = math.log1p(-share) - math.log1p(-math.fsum(np.exp(masses).tolist()))
        letters = frozenset(map(chr, alphabet.tolist()))
        foreseen = np.fromiter(map(letters.issuperset, inside), dtype=bool, count=len(inside))
        kept, newline = list(compress(inside, foreseen.tolist())), math.log(share) if share else -math.inf
        return cls(alphabet, model, new, newline, rest, kept, masses[foreseen])

    def log_probs(self, strings: Sequence[str]) -> np.ndarray:
        newline = np.array([s == "\n" for s in strings], dtype=bool)
        words = ["" if s == "\n" else s for s in strings]
        nats = _log_probs(self.model, self.new, words, self.alphabet)
        return np.where(newline, self.newline, nats + self.rest)

    def code(self, coder: Coder, token: str | None) -> str:
        """Symbol by symbol, with the mass of the vocabulary's own words taken out.

        p(next | beginning) = (P(beginning next) - W(beginning next)) / (P(beginning) - W(beginning)), with P the
        probability of all words so begun and W that of the vocabulary's among them, both over P(beginning), which for a
        long word is below any number.
        """
        newline = None if token is None else token == "\n"
        if self.newline > -math.inf and code_choice(coder, math.exp(self.newline), newline):
            return "\n"
        begun, mass = "", 0.0
        symbols: list[int] = []
        while True:
            following = self.model.next_log_probs(symbols[-ORDER:], BOUNDARY)
            left = np.maximum(np.exp(following) - self._covered(begun, mass), 0)
            symbol = None if token is None else self._symbol(token, len(begun))
            symbol = coder.code(cumulative_frequencies(left / left.sum()), symbol)
            if symbol == BOUNDARY:
                return begun
            if symbol == NEW:
                begun += chr(self.new.code(coder, None if token is None else ord(token[len(begun)])))
            else:
                begun += chr(self.alphabet[symbol - FIRST])
            symbols.append(symbol)
            mass += float(following[symbol])

    def _symbol(self, word: str, place: int) -> int:
        if place == len(word):
            return BOUNDARY
        return self._ids.get(word[place], NEW)

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {chr(point): FIRST + i for i, point in enumerate(self.alphabet.tolist())}

    def _covered(self, begun: str, mass: float) -> np.ndarray:
        """(A + 2,): the vocabulary's mass among words that begin with ``begun`` and each next symbol, over e^mass."""
        place = len(begun)
        first = bisect_left(self.covered, begun)
        last = bisect_right(self.covered, begun, lo=first, key=lambda word: word[:place])
        symbols = [self._symbol(word, place) for word in self.covered[first:last]]
        shares = np.exp(self.masses[first:last] - mass)
        return np.bincount(np.array(symbols, dtype=np.int64), shares, FIRST + len(self.alphabet))


def _log_probs(
    model: LanguageModel, new: NewCharacters, words: Sequence[str], alphabet: np.ndarray
) -> np.ndarray:
    """(N,) float64, nats: ln p of words under the character model alone."""
    parts = [np.zeros(0)]
    for begin in range(0, len(words), _TOGETHER):
        tokens, points = _spelled(words[begin : begin + _TOGETHER], alphabet)
        nats = model.log_probs(tokens)
        unseen = tokens.ids == NEW
        nats[unseen] += new.log_probs(points[unseen])
        parts.append(np.add.reduceat(nats, tokens.starts))
    return np.concatenate(parts)


def _spelled(words: Sequence[str], alphabet: np.ndarray) -> tuple[Tokens, np.ndarray]:
    """Words as documents, each closed by BOUNDARY and begun as if after it; and the code points."""
    points = code_points("\n".join(words) + "\n")
    place = np.searchsorted(alphabet, points)
    seen = np.append(alphabet, 0)[place] == points
    symbols = np.where(points == 10, BOUNDARY, np.where(seen, FIRST + place, NEW)).astype(np.int32)
    return Tokens(symbols, np.append(0, np.flatnonzero(points == 10)[:-1] + 1), BOUNDARY), points


# Single characters, pieces and bytes -----------------------------------------------------------------------


@dataclass(frozen=True)
class PieceSpeller(Speller):
    """One character, or one of the pieces that a vocabulary was too small for: evenly one of the S training types that it leaves
    out, or, with probability 1/(S + 1), a character never seen.

    left_out: (S,) ascending.
    """

    left_out: tuple[str, ...]
    new: NewCharacters

    @classmethod
    def of(cls, covered: set[str], types: set[str]) -> PieceSpeller:
        single = "".join(token for token in types | covered if len(token) == 1)
        seen = np.unique(code_points("".join(types | covered)))
        return cls(tuple(sorted(types - covered)), NewCharacters.beside(seen, np.unique(code_points(single))))

    def log_probs(self, strings: Sequence[str]) -> np.ndarray:
        if not strings:
            return np.zeros(0)
        left_out = np.array([token in self._places for token in strings], dtype=bool)
        first = code_points("".join(token[:1] for token in strings))
        return np.where(left_out, 0.0, self.new.log_probs(first)) - math.log(len(self.left_out) + 1)

    def code(self, coder: Coder, token: str | None) -> str:
        count = len(self.left_out)
        if count and code_choice(
            coder, count / (count + 1), None if token is None else token in self._places
        ):
            return self.left_out[code_uniform(coder, count, None if token is None else self._places[token])]
        return chr(self.new.code(coder, None if token is None else ord(token)))

    @cached_property
    def _places(self) -> dict[str, int]:
        return {token: place for place, token in enumerate(self.left_out)}


@dataclass(frozen=True)
class ByteSpeller(Speller):
    """One of the bytes that the vocabulary lacks, all alike."""

    left_out: tuple[str, ...]

    def log_probs(self, strings: Sequence[str]) -> np.ndarray:
        return np.full(len(strings), -math.log(max(len(self.left_out), 1)))

    def code(self, coder: Coder, token: str | None) -> str:
        place = None if token is None else self.left_out.index(token)
        return self.left_out[code_uniform(coder, len(self.left_out), place)]
