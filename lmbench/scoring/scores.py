"""Model x canonical text -> Scores: per-token facts first, every number later."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from lmbench.charts.card import Card

LN2 = math.log(2.0)
PIECE = 1 << 20  # tokens of a long text that are looked at together


@dataclass(frozen=True, repr=False)
class Scores(Card):
    """What a model said of every token of a canonical text, and the text's denominators.

    log_probs: (T,) float64, nats, ≤ 0, ``<unk>`` charged as ``<unk>``. ends: (T,) int64, where each token's span
    of characters ends; spans partition the text. oov: (T,) bool, outside the vocabulary. spelling: (T,)
    float64, nats, ≤ 0, the cost of spelling an out-of-vocabulary token, 0 elsewhere. starts: (D,) int64, token
    offsets of documents. chars, bytes, words: of the canonical text. vocab_size: V.
    """

    log_probs: np.ndarray
    ends: np.ndarray
    oov: np.ndarray
    spelling: np.ndarray
    starts: np.ndarray
    chars: int
    bytes: int
    words: int
    vocab_size: int

    def _card(self) -> tuple[str, list[tuple[str, str]]]:
        return "Scores", [
            ("bits per character", f"{self.bits_per_char:.4f}"),
            ("perplexity", f"{self.perplexity:.4g} a token"),
            ("tokens", f"{len(self):,}"),
            ("outside the vocabulary", f"{int(self.oov.sum()):,}"),
            ("characters", f"{self.chars:,}"),
        ]

    def __len__(self) -> int:
        return len(self.log_probs)

    @property
    def nats(self) -> np.ndarray:
        """(T,) float64 ≤ 0: the whole charge of each token, spelling included."""
        return self.log_probs + self.spelling

    @property
    def bits(self) -> np.ndarray:
        """(T,) float64 ≥ 0: the same charge in bits."""
        return -self.nats / LN2

    @property
    def starts_of_tokens(self) -> np.ndarray:
        """(T,) int64: where each token's span of characters begins."""
        return np.append(0, self.ends)[: len(self.ends)]

    @property
    def log_prob(self) -> float:
        """Total nats of the token sequence, ``<unk>`` charged as ``<unk>``."""
        return float(self.log_probs.sum())

    @property
    def spelling_log_prob(self) -> float:
        """Total nats spent on spelling out-of-vocabulary tokens."""
        return float(self.spelling.sum())

    @property
    def perplexity(self) -> float:
        """exp(-log_prob / T): comparable only within one vocabulary. inf where some p = 0."""
        return exp_mean(self.log_probs)

    @property
    def perplexity_excluding_oov(self) -> float:
        """The same over the tokens in the vocabulary; nan where there are none."""
        return exp_mean(self.log_probs[~self.oov])

    @property
    def bits_per_char(self) -> float:
        """Bits for all of the text, spelling included, over its characters."""
        return self._bits(self.chars)

    @property
    def bits_per_byte(self) -> float:
        return self._bits(self.bytes)

    @property
    def bits_per_word(self) -> float:
        return self._bits(self.words)

    def pieces(self, size: int = PIECE) -> Iterator[tuple[Scores, bool]]:
        """The scores some tokens at a time, and whether a piece's first document has begun before it.

        All of the text's bytes and words are counted to the first piece.
        """
        for begin in range(0, len(self), size):
            yield self.piece(begin, min(begin + size, len(self)))

    def piece(self, begin: int, end: int) -> tuple[Scores, bool]:
        """Tokens begin .. end - 1, as ``pieces`` has them."""
        some, offset = slice(begin, end), int(self.ends[begin - 1]) if begin else 0
        first, beyond = np.searchsorted(self.starts, [begin, end])
        starts = self.starts[first:beyond] - begin
        goes_on = not len(starts) or bool(starts[0] > 0)
        return (
            Scores(
                self.log_probs[some],
                self.ends[some] - offset,
                self.oov[some],
                self.spelling[some],
                np.append(0, starts) if goes_on else starts,
                (self.chars if end == len(self) else int(self.ends[end - 1])) - offset,
                0 if begin else self.bytes,
                0 if begin else self.words,
                self.vocab_size,
            ),
            goes_on,
        )

    def _bits(self, denominator: int) -> float:
        total = self.log_prob + self.spelling_log_prob
        return -total / LN2 / denominator if denominator else math.nan


def first_after(ends: np.ndarray, cuts: np.ndarray) -> np.ndarray:
    """(N,) int64: the first token that brings anything of what stands behind each of some cuts (N,) of the text, in characters.

    ends: (T,) where tokens' spans of characters end. The token that completes the character before a cut brings nothing of what
    follows; those after it do, even the first bytes of a character, which end where it begins.

    >>> first_after(np.array([3, 3, 4, 4, 5]), np.array([0, 2, 3, 4, 5])).tolist()
    [0, 0, 1, 3, 5]
    """
    token = np.searchsorted(ends, cuts)
    ended = np.append(ends, -1)[token] == cuts
    return np.asarray(np.where(cuts == 0, 0, token + ended))


def exp_mean(log_probs: np.ndarray) -> float:
    """exp of the mean negative log-probability: inf where some p = 0 or where it overflows, nan of none."""
    return perplexity_of(float(log_probs.sum()), len(log_probs))


def perplexity_of(log_prob: float, tokens: int) -> float:
    """exp(-log_prob / tokens), log_prob in nats: inf where some p = 0 or where it overflows, nan of no tokens.

    >>> round(perplexity_of(-3 * math.log(7), 3), 9), perplexity_of(-math.inf, 3)
    (7.0, inf)
    """
    if not tokens:
        return math.nan
    mean = -log_prob / tokens
    return math.exp(mean) if mean < 700 else math.inf
