"""A score that cannot be faked: the text encoded by an arithmetic coder that the model drives, and decoded again.

The decoder knows the model, the number of documents and the length of each in tokens, and the coded bits; it asks
the model for each next token's distribution only after it has decoded the tokens before. If the text comes
out again and the file is as long as the score claims, then the score is honest. (Witten, Neal & Cleary 1987; the
range coder of Martin 1979, with carries.)
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lmbench.corpora.corpus import Corpus
from lmbench.models import LanguageModel
from lmbench.models.laws import broken_laws
from lmbench.scoring.range_coder import Coder, Decoder, Encoder, cumulative_frequencies
from lmbench.scoring.scorer import Scorer
from lmbench.scoring.scores import LN2
from lmbench.scoring.speller import BOUNDARY, FORBIDDEN, NEW, CharSpeller, Speller, WordSpeller, utf8_length
from lmbench.text.canonical import CanonicalText
from lmbench.text.tokens import EncodedText, Tokens, encode
from lmbench.text.units import ByteUnit, Unit, code_points

LANES = 64  # documents that are coded side by side, one token of each in turn


# The coder -----------------------------------------------------------------------------------------


# What is coded: tokens, then the spelling of the unknown ones ------------------------------------------


def code_tokens(
    coder: Coder, model: LanguageModel, lengths: Sequence[int], bos: int, ids: np.ndarray | None
) -> np.ndarray:
    """Codes documents of the given lengths in tokens and returns their ids, laid end to end.

    ids: those of an encoder; None for a decoder. Both ask the model the same questions in the same batches, so that
    rounding cannot part them.
    """
    given = ids is not None
    ids = np.array(ids, dtype=np.int32) if ids is not None else np.zeros(sum(lengths), dtype=np.int32)
    starts = np.cumsum(lengths) - lengths
    for first in range(0, len(lengths), LANES):
        lanes = range(first, min(first + LANES, len(lengths)))
        for t in range(max(lengths[lane] for lane in lanes)):
            open_lanes = [lane for lane in lanes if t < lengths[lane]]
            contexts = [ids[starts[lane] : starts[lane] + t] for lane in open_lanes]
            table = cumulative_frequencies(np.exp(model.next_log_probs(contexts, bos)))
            for lane, cumulative in zip(open_lanes, table, strict=True):
                place = starts[lane] + t
                ids[place] = coder.code(cumulative, int(ids[place]) if given else None)
    return ids


def _uniform(size: int) -> np.ndarray:
    return np.arange(size + 1, dtype=np.int64)


def _code_share(coder: Coder, share: float, yes: bool | None) -> bool:
    table = cumulative_frequencies(np.array([1 - share, share]))
    return bool(coder.code(table, None if yes is None else int(yes)))


def _code_new(coder: Coder, by_length: np.ndarray, excluded: np.ndarray, point: int | None) -> int:
    """A character never seen: its length in UTF-8, then which of those of that length that are not excluded."""
    table = cumulative_frequencies(np.exp(by_length) * _sizes(excluded))
    length = coder.code(table, None if point is None else int(utf8_length(np.array(point))))
    low, high = ((0, 0x80), (0x80, 0x800), (0x800, 0x10000), (0x10000, 0x110000))[length]
    taken = np.union1d(excluded, np.arange(0xD800, 0xE000))
    taken = taken[(taken >= low) & (taken < high)]
    free = np.setdiff1d(np.arange(low, high), taken, assume_unique=True)
    return int(
        free[coder.code(_uniform(len(free)), None if point is None else int(np.searchsorted(free, point)))]
    )


def _sizes(excluded: np.ndarray) -> np.ndarray:
    return np.array([128, 1920, 61440, 1048576]) - np.bincount(utf8_length(excluded), minlength=4)


class _Words:
    """Codes words that a vocabulary lacks, symbol by symbol, with the mass of the vocabulary's own words taken out.

    p(next | beginning) = (P(beginning + next) - W(beginning + next)) / (P(beginning) - W(beginning)), where P is the
    character model's probability of all words so begun and W that of the vocabulary's among them.
    """

    def __init__(self, speller: WordSpeller, covered: Sequence[str]) -> None:
        self._speller = speller
        self._alphabet = speller.alphabet.tolist()
        self._words = sorted(w for w in covered if w != "\n")
        masses = np.exp(speller.log_probs(self._words) - speller.rest) if self._words else np.zeros(0)
        self._sums = np.concatenate([[0.0], np.cumsum(masses)])
        self._excluded = np.union1d(speller.alphabet, FORBIDDEN)
        self._newline = float(np.exp(speller.newline))

    def code(self, coder: Coder, word: str | None) -> str:
        if self._newline and _code_share(coder, self._newline, None if word is None else word == "\n"):
            return "\n"
        begun = ""
        symbols: list[int] = []
        mass, known = 1.0, True  # P(begun); no character of it is new
        while True:
            following = self._following(symbols)
            left = mass * following
            if known:
                left = np.maximum(left - self._covered(begun), 0)
            table = cumulative_frequencies(left / left.sum())
            symbol = coder.code(table, None if word is None else self._symbol(word, len(begun)))
            if symbol == BOUNDARY:
                return begun
            if symbol == NEW:
                known = False
                given = None if word is None else ord(word[len(begun)])
                begun += chr(_code_new(coder, self._speller.new, self._excluded, given))
            else:
                begun += chr(self._alphabet[symbol - 2])
            symbols.append(symbol)
            mass *= float(following[symbol])

    def _symbol(self, word: str, place: int) -> int:
        if place == len(word):
            return BOUNDARY
        return 2 + self._alphabet.index(ord(word[place])) if ord(word[place]) in self._alphabet else NEW

    def _following(self, symbols: list[int]) -> np.ndarray:
        """(A + 2,): the next symbol's probabilities under the character model."""
        size = len(self._alphabet) + 2
        words = np.tile([*symbols, 0], (size, 1))
        words[:, -1] = np.arange(size)
        positions = np.tile(np.arange(len(symbols) + 1), size)
        return self._speller.symbol_probs(words.ravel(), positions).reshape(size, -1)[:, -1]

    def _covered(self, begun: str) -> np.ndarray:
        """(A + 2,): the vocabulary's mass among words that begin with ``begun`` and each next symbol."""
        masses = np.zeros(len(self._alphabet) + 2)
        start = bisect_left(self._words, begun)
        if start < len(self._words) and self._words[start] == begun:
            masses[BOUNDARY] = self._sums[start + 1] - self._sums[start]
        places = [bisect_left(self._words, begun + chr(c)) for c in self._alphabet]
        ends = [bisect_left(self._words, begun + chr(c + 1)) for c in self._alphabet]
        masses[2:] = self._sums[ends] - self._sums[places]
        return masses


class _Chars:
    """Codes characters that a vocabulary lacks."""

    def __init__(self, speller: CharSpeller, covered: Sequence[str]) -> None:
        self._speller = speller
        self._left_out = speller.left_out
        self._excluded = np.union1d(speller.left_out, code_points("".join(covered)))

    def code(self, coder: Coder, char: str | None) -> str:
        count = len(self._left_out)
        seen = None if char is None else ord(char) in self._left_out
        if count and _code_share(coder, count / (count + 1), seen):
            place = None if char is None else int(np.searchsorted(self._left_out, ord(char)))
            return chr(int(self._left_out[coder.code(_uniform(count), place)]))
        new = self._speller.new + np.log(count + 1)
        return chr(_code_new(coder, new, self._excluded, None if char is None else ord(char)))


class _Bytes:
    """Codes bytes that a vocabulary lacks."""

    def __init__(self, covered: Sequence[str]) -> None:
        self._left = sorted(set(ByteUnit.symbols) - set(covered))

    def code(self, coder: Coder, byte: str | None) -> str:
        place = None if byte is None else self._left.index(byte)
        return self._left[coder.code(_uniform(len(self._left)), place)]


def _spelling(speller: Speller, covered: Sequence[str]) -> _Words | _Chars | _Bytes:
    if isinstance(speller, WordSpeller):
        return _Words(speller, covered)
    return _Chars(speller, covered) if isinstance(speller, CharSpeller) else _Bytes(covered)


def code_text(
    coder: Coder, scorer: Scorer, lengths: Sequence[int], given: EncodedText | None
) -> tuple[np.ndarray, list[str]]:
    """Codes a text's tokens, then the spelling of those outside the vocabulary: ids and tokens as they stand."""
    ids = code_tokens(
        coder, scorer.model, lengths, scorer.vocab.newline, None if given is None else given.tokens.ids
    )
    entries = scorer.vocab.tokens
    surface = [entries[i] for i in ids.tolist()]
    unknown = np.flatnonzero(ids == 0).tolist()
    if unknown:
        spelling = _spelling(scorer.speller, entries[len(scorer.vocab.reserved) :])
        told = None if given is None else given.surface()
        for place in unknown:
            surface[place] = spelling.code(coder, None if told is None else told[place])
    return ids, surface


# The check -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Verification:
    """What the file says: identical — the decoded text is the text; claimed_bits — what the scores say.

    The file is longer than an honest claim by at most a few bytes and some 1e-5 bits a token (rounding to integer
    frequencies; a token that was claimed impossible is coded all the same, at 30 bits).
    """

    tokens: int
    file_bits: int
    claimed_bits: float
    identical: bool

    @property
    def holds(self) -> bool:
        """Decoded, and not longer than claimed by more than 64 bits and one part in a thousand."""
        return self.identical and self.file_bits <= self.claimed_bits * 1.001 + 64


def verify(scorer: Scorer, text: CanonicalText, limit: int | None = None) -> Verification:
    """Encodes and decodes the first ``limit`` tokens of a text (default: all), and sets the file beside the claim."""
    encoded = encode(extract(text, scorer.unit, limit), scorer.unit, scorer.vocab)
    scores = scorer.score(encoded)
    lengths = np.diff(np.append(encoded.tokens.starts, len(encoded.tokens))).tolist()
    encoder = Encoder()
    code_text(encoder, scorer, lengths, encoded)
    data = encoder.finish()
    _, surface = code_text(Decoder(data), scorer, lengths, None)
    identical = scorer.unit.join(surface) == encoded.canonical.text
    return Verification(len(scores), 8 * len(data), -float(scores.nats.sum()) / LN2, identical)


def extract(text: CanonicalText, unit: Unit, limit: int | None) -> CanonicalText:
    """The first ``limit`` tokens of a text, all of it where it has no more."""
    ends = unit.ends(text.text)
    if limit is None or len(ends) <= limit:
        return text
    return text.head(int(ends[limit - 1]))


CERTIFIED = 256  # tokens of the test text on which the laws are checked before a model is ranked


def certify(scorer: Scorer, corpus: Corpus, verified: int = 0) -> str | None:
    """Why a model may not be ranked (Σ p ≠ 1, it looks ahead …), or None; checked on the test text's beginning.

    verified: so many tokens are also coded into a file and decoded from it; the file must be as short as claimed.
    """
    test = scorer.encode(corpus.text("test")).tokens
    first = test.documents()[0][:CERTIFIED]
    broken = broken_laws(scorer.model, Tokens(first, np.zeros(1, dtype=np.int64), test.bos))
    if verified and not broken:
        found = verify(scorer, corpus.text("test"), verified)
        if not found.holds:
            broken["verified"] = (
                f"{found.claimed_bits:.0f} bits claimed, the decodable file has {found.file_bits}"
            )
    return "; ".join(broken.values()) or None
