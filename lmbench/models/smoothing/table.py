"""N-grams with a probability for each and a weight for each as a context: what count models are once they are estimated.

A count model of any smoothing ends in the same form, that of the ARPA files: the n-grams it has seen carry their
(already interpolated) probability; for a word not seen after its context h, the probability after the shorter
context h' is multiplied by the backoff weight of h:

    p(w | h) = prob[h w]                     where h w is in the trie
             = backoff[h] · p(w | h')        otherwise, backoff = 1 where h is not in the trie

Scoring and distributions are written here, once.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple, final

import numpy as np

from lmbench.counts.blocks import Columns, kept
from lmbench.counts.trie import WORTH, Index, NgramTrie, with_bos
from lmbench.models.smoothing.packing import PackedTrie, open_column, ranges_of
from lmbench.models.smoothing.stretches import Range, Stretch, score_in_order
from lmbench.storage.mapped import MappedArray
from lmbench.storage.pieces import release
from lmbench.text.tokens import Tokens

_PIECE = 1 << 17  # symbols scored at once: what is made of them on the way stays near the processor
_THREADS = 2  # numpy lets others run while it gathers
_LONG, _REST = (
    1 << 18,
    1 << 10,
)  # tokens of a text that is worth going through a file for, and of one after such
_OFTEN = 32  # or a part of its n-grams
_LARGE = 1 << 22  # n-grams of which fewer are quicker in memory, with an index


class Following(NamedTuple):
    """What goes on from an n-gram: the rank of the first, the (n,) last words, ascending, and their probabilities; the n-gram's backoff weight."""

    first: int
    words: np.ndarray
    probs: np.ndarray
    weight: float

    def rank_with(self, word: int) -> int:
        """The rank of the n-gram made longer by a word; -1: not there."""
        place = int(self.words.searchsorted(word))
        return self.first + place if place < len(self.words) and self.words[place] == word else -1


class Table(NgramTrie):
    """N-grams with their probabilities and backoff weights, wherever they are kept.

    probs: for each order k from 0, (N_k,) floats, in [0, 1]; probs[0] is not used. backoffs: for each order k from 0
    below the highest, (N_k,) floats, ≥ 0: the weight of each n-gram as a context; backoffs[0] is [1]. Indexed by ranks
    they give arrays.
    """

    probs: tuple[Any, ...]
    backoffs: tuple[Any, ...]

    def score(self, tokens: Tokens) -> np.ndarray:
        """(T,) float64: the probability of each token after those before it in its document."""
        self.prepare(len(tokens))
        symbols, is_bos = with_bos(tokens)
        overlap = self.order - 1
        cuts = range(0, len(symbols), _PIECE)
        pieces = [slice(max(0, cut - overlap), cut + _PIECE) for cut in cuts]

        def score(piece: slice) -> np.ndarray:
            return self.score_symbols(symbols[piece], is_bos[piece])

        if len(pieces) == 1:
            scored = [score(pieces[0])]
        else:
            from concurrent.futures import ThreadPoolExecutor

            with ThreadPoolExecutor(min(_THREADS, len(pieces))) as pool:
                scored = list(pool.map(score, pieces))
        scored = [p[cut - piece.start :] for p, cut, piece in zip(scored, cuts, pieces, strict=True)]
        p: np.ndarray = np.concatenate(scored)[~is_bos]
        return p

    def score_symbols(self, symbols: np.ndarray, is_bos: np.ndarray) -> np.ndarray:
        """(S,) float64: the probability of each symbol; those without their whole context come out wrong."""
        p = self.probs[1][symbols].astype(np.float64)
        for k, ends, grams, missed, contexts in self.descend(symbols, is_bos):
            p[missed] *= self.backoffs[k - 1][contexts]
            p[ends] = self.probs[k][grams]
        return p

    def distributions(self, contexts: Sequence[np.ndarray], bos: int) -> np.ndarray:
        """(B, V) float64: p of every word after each context, the document so far."""
        width = self.order - 1
        # The last symbols, ``bos`` before the first.
        history = np.full((len(contexts), width), -1, dtype=np.int32)
        for row, context in zip(history, contexts, strict=True):
            if len(context) < width:
                row[width - len(context) - 1 :] = [bos, *context]
            elif width:
                row[:] = context[-width:]
        p = np.repeat(np.asarray(self.probs[1], dtype=np.float64)[None], len(contexts), axis=0)
        for k, (rows, ranks) in enumerate(self._ends_of(history), start=2):
            if not len(rows):
                continue
            weights = np.ones(len(contexts))
            weights[rows] = self.backoffs[k - 1][ranks]
            p *= weights[:, None]
            begin, end = self.children(k - 1, ranks)
            number = end - begin
            grams = np.arange(number.sum()) + np.repeat(begin - np.cumsum(number) + number, number)
            p[np.repeat(rows, number), self.words_at(k, grams)] = self.probs[k][grams]
        return p

    def _ends_of(self, history: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
        """For each length from 1, (N,) which rows of some histories (B, width) end in an n-gram so long, and (N,) its rank.

        history: -1 where nothing stands. Those that begin anywhere are followed together, a symbol at a time.
        """
        rows, starts = np.nonzero(history >= 0)
        ranks = np.zeros(len(rows), dtype=np.int32)
        ends = []
        for k in range(1, history.shape[1] + 1):
            ranks = self.find(k, ranks, history[rows, starts + k - 1])
            known, over = ranks >= 0, starts + k == history.shape[1]
            ends.append((rows[known & over], ranks[known & over]))
            rows, starts, ranks = (column[known & ~over] for column in (rows, starts, ranks))
        return ends

    def asked(self, tokens: int) -> Table:
        """The table to ask of a text token by token, so many more of them: this one, or one that is quicker by now."""
        return self

    def following(self, k: int, rank: int) -> Following:
        """What goes on from an n-gram of order k, which is below the highest."""
        begin, end = self.children(k, np.array([rank]))
        grams = np.arange(int(begin[0]), int(end[0]))
        weight = float(self.backoffs[k][np.array([rank])][0])
        return Following(int(begin[0]), self.words_at(k + 1, grams), self.probs[k + 1][grams], weight)

    @property
    @abstractmethod
    def nbytes(self) -> int:
        """How many bytes n-grams, their index if there is one, probabilities and weights take."""


@final
@dataclass(frozen=True)
class Backoff(Table):
    """A table in memory."""

    vocab_size: int
    words: tuple[np.ndarray, ...]
    begins: tuple[np.ndarray, ...]
    probs: tuple[np.ndarray, ...]
    backoffs: tuple[np.ndarray, ...]
    index: Index = field(default_factory=Index, init=False, repr=False, compare=False)

    @property
    def nbytes(self) -> int:
        columns = (*self.words[2:], *self.begins[1:], *self.probs[1:], *self.backoffs[1:])
        return sum(column.nbytes for column in columns) + sum(lookup.nbytes for lookup in self.index.values())

    def following(self, k: int, rank: int) -> Following:
        first, beyond = int(self.begins[k][rank]), int(self.begins[k][rank + 1])
        words, probs = self.words[k + 1][first:beyond], self.probs[k + 1][first:beyond]
        return Following(first, words, probs, float(self.backoffs[k][rank]))

    def score(self, tokens: Tokens) -> np.ndarray:
        """As any table does it; by a large one a long text in the order of the n-grams, unless there is an index already."""
        size = sum(self.sizes)
        if not self.index and size >= _LARGE and len(tokens) >= min(_LONG, size // _OFTEN):
            return score_in_order(self, tokens)
        return super().score(tokens)

    def unigrams(self) -> np.ndarray:
        return self.probs[1]

    def ranges(self, k: int) -> Iterator[Range]:
        return ranges_of(self.begins[k - 1])

    def stretch(self, k: int, part: Range) -> Stretch:
        contexts, grams = slice(part.begin, part.beyond), slice(part.first, part.last)
        number = np.diff(self.begins[k - 1][part.begin : part.beyond + 1])
        return Stretch(number, self.backoffs[k - 1][contexts], self.words[k][grams], self.probs[k][grams])

    def release(self) -> None:
        for column in (*self.words, *self.begins, *self.probs, *self.backoffs):
            release(column)

    def select(self, keep: Sequence[np.ndarray]) -> Backoff:
        """The table with only some n-grams of its highest orders.

        keep: a (N_k,) bool mask for each of the last len(keep) orders; an n-gram needs its prefix to be kept.
        """
        columns = Columns(self.words, self.begins, self.probs, self.backoffs)
        return Backoff(self.vocab_size, *kept(columns, keep))

    def single(self) -> Backoff:
        """The table in single precision."""
        probs, backoffs = (
            tuple(np.asarray(column, dtype=np.float32) for column in columns)
            for columns in (self.probs, self.backoffs)
        )
        return replace(self, probs=probs, backoffs=backoffs)


@final
class MappedBackoff(Table):
    """A table that stays in its file: what scoring needs is read from there, and only other uses unpack it."""

    def __init__(self, columns: Mapping[str, MappedArray]) -> None:
        unigrams = np.asarray(open_column(columns, "probs.1"))
        packed = PackedTrie(columns, len(unigrams))
        order = len(packed.sizes) - 1
        probs = [np.ones(1), unigrams, *(open_column(columns, f"probs.{k}") for k in range(2, order + 1))]
        backoffs = [np.ones(1), *(open_column(columns, f"backoffs.{k}") for k in range(1, order))]
        self.vocab_size, self.probs, self.backoffs = len(unigrams), tuple(probs), tuple(backoffs)
        self.index = Index()
        self._packed, self._columns = packed, columns
        self._long = _LONG
        self._size = sum(self.sizes)

    def score(self, tokens: Tokens) -> np.ndarray:
        """As any table does it; by a large one a long text while the file is gone through from end to end, none of which stays in memory.

        Once other texts have been a sixteenth as long as the table together, all of it is unpacked and kept.
        """
        size = self._size
        if size >= _LARGE and len(tokens) >= min(self._long, size // _OFTEN):
            self._long = _REST  # the end of a text that comes in pieces is short
            return score_in_order(self, tokens)
        self.index.asked += len(tokens)
        if self.index.asked * WORTH < size:
            return super().score(tokens)
        return self._unpacked.score(tokens)

    def unigrams(self) -> np.ndarray:
        return np.asarray(self.probs[1])

    def ranges(self, k: int) -> Iterator[Range]:
        return self._packed.ranges(k)

    def stretch(self, k: int, part: Range) -> Stretch:
        number, words = self._packed.of_range(k, part)
        backoffs = self.backoffs[k - 1].stretch(part.begin, part.beyond)
        return Stretch(number, backoffs, words, self.probs[k].stretch(part.first, part.last))

    def release(self) -> None:
        self._packed.release()

    def asked(self, tokens: int) -> Table:
        self.index.asked += tokens
        return self if self.index.asked * WORTH < self._size else self._unpacked

    def prepare(self, tokens: int) -> None:
        """Packed n-grams have no index; see ``score``."""

    @cached_property
    def _unpacked(self) -> Backoff:
        probs, backoffs = (tuple(map(np.asarray, columns)) for columns in (self.probs, self.backoffs))
        return Backoff(self.vocab_size, self.words, self.begins, probs, backoffs)

    @cached_property
    def words(self) -> tuple[np.ndarray, ...]:  # type: ignore[override]  # unpacked when asked for
        return self._packed.unpacked[0]

    @cached_property
    def begins(self) -> tuple[np.ndarray, ...]:  # type: ignore[override]  # unpacked when asked for
        return self._packed.unpacked[1]

    @property
    def order(self) -> int:
        return len(self._packed.sizes) - 1

    @property
    def sizes(self) -> list[int]:
        return self._packed.sizes

    @property
    def nbytes(self) -> int:
        return sum(column.nbytes for column in self._columns.values())

    def words_at(self, k: int, ranks: np.ndarray) -> np.ndarray:
        return self._packed.words_at(k, ranks)

    def children(self, k: int, contexts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return self._packed.children(k, contexts)
