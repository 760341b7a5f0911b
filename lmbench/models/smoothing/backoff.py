"""What count models share once they are estimated: a trie of n-grams, a probability for each, a weight for each context.

A count model of any smoothing ends in the same form, that of the ARPA files: the n-grams it has seen carry their
(already interpolated) probability; for a word not seen after its context h, the probability after the shorter
context h' is multiplied by the backoff weight of h:

    p(w | h) = prob[h w]                     where h w is in the trie
             = backoff[h] · p(w | h')        otherwise, backoff = 1 where h is not in the trie

Scoring, distributions and saving are written here, once; a smoothing only has to ``_estimate``.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np

from lmbench.counts.ngrams import NgramCounts
from lmbench.counts.trie import WORTH, NgramTrie, with_bos
from lmbench.errors import InputError
from lmbench.models.base import LanguageModel, learned
from lmbench.models.monitor import Monitor
from lmbench.models.smoothing.packing import (
    PackedTrie,
    open_column,
    pack_column,
    pack_trie,
    unpack_column,
    unpack_trie,
)
from lmbench.storage.mapped import MappedArray
from lmbench.text.tokens import Tokens

_PIECE = 1 << 17  # symbols scored at once: what is made of them on the way stays near the processor
_LONGEST = 999  # of n-grams, as the ARPA format writes them
_THREADS = 2  # numpy lets others run while it gathers


@dataclass(frozen=True)
class Backoff(NgramTrie):
    """N-grams with their probabilities and backoff weights.

    probs: for each order k from 0, (N_k,) floats, in [0, 1]; probs[0] is not used. backoffs: for each order k from 0
    below the highest, (N_k,) floats, ≥ 0: the weight of each n-gram as a context; backoffs[0] is [1].
    """

    probs: tuple[np.ndarray, ...]
    backoffs: tuple[np.ndarray, ...]

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
        history = np.full(
            (len(contexts), width), -1, dtype=np.int32
        )  # the last symbols, ``bos`` before the first
        for row, context in zip(history, contexts, strict=True):
            if len(context) < width:
                row[width - len(context) - 1 :] = [bos, *context]
            elif width:
                row[:] = context[-width:]
        p = np.repeat(np.asarray(self.probs[1], dtype=np.float64)[None], len(contexts), axis=0)
        for k in range(2, self.order + 1):
            rows = np.flatnonzero(history[:, width - k + 1] >= 0)
            ranks = np.zeros(len(rows), dtype=np.int32)
            for j in range(1, k):
                ranks = self.find(j, ranks, history[rows, width - k + j])
                rows, ranks = rows[ranks >= 0], ranks[ranks >= 0]
            weights = np.ones(len(contexts))
            weights[rows] = self.backoffs[k - 1][ranks]
            p *= weights[:, None]
            begin, end = self.children(k - 1, ranks)
            number = end - begin
            grams = np.arange(number.sum()) + np.repeat(begin - np.cumsum(number) + number, number)
            p[np.repeat(rows, number), self.words_at(k, grams)] = self.probs[k][grams]
        return p

    @property
    def nbytes(self) -> int:
        """How many bytes n-grams, their index if there is one, probabilities and weights take."""
        columns = (*self.words[2:], *self.begins[1:], *self.probs[1:], *self.backoffs[1:])
        return sum(column.nbytes for column in columns) + sum(found.nbytes for found in self.index.values())

    def select(self, keep: Sequence[np.ndarray]) -> Backoff:
        """The table with only some n-grams of its highest orders.

        keep: a (N_k,) bool mask for each of the last len(keep) orders; an n-gram needs its prefix to be kept.
        """
        lowest = self.order + 1 - len(keep)
        words, begins = list(self.words), list(self.begins)
        probs, backoffs = list(self.probs), list(self.backoffs)
        contexts = np.ones(self.sizes[lowest - 1], dtype=bool)
        for k, mask in enumerate(keep, lowest):
            before = np.zeros(len(mask) + 1, dtype=np.uint32)  # how many of the n-grams before are kept
            np.cumsum(mask, out=before[1:])
            begins[k - 1] = np.append(before[self.begins[k - 1][:-1][contexts]], before[-1:])
            words[k], probs[k] = self.words[k][mask], self.probs[k][mask]
            if k < self.order:
                backoffs[k] = self.backoffs[k][mask]
            contexts = mask
        return Backoff(self.vocab_size, tuple(words), tuple(begins), tuple(probs), tuple(backoffs))

    def single(self) -> Backoff:
        """The table in single precision."""
        probs, backoffs = (
            tuple(np.asarray(column, dtype=np.float32) for column in columns)
            for columns in (self.probs, self.backoffs)
        )
        return replace(self, probs=probs, backoffs=backoffs)


class MappedBackoff(Backoff):
    """A table that stays in its file: what scoring needs is read from there, and only other uses unpack it.

    probs and backoffs are columns that, indexed by ranks, give arrays.
    """

    def __init__(self, columns: Mapping[str, MappedArray]) -> None:
        unigrams = np.asarray(open_column(columns, "probs.1"))
        packed = PackedTrie(columns, len(unigrams))
        order = len(packed.sizes) - 1
        probs = [np.ones(1), unigrams, *(open_column(columns, f"probs.{k}") for k in range(2, order + 1))]
        backoffs = [np.ones(1), *(open_column(columns, f"backoffs.{k}") for k in range(1, order))]
        fields = {"vocab_size": len(unigrams), "probs": tuple(probs), "backoffs": tuple(backoffs)}
        self.__dict__.update(fields, index={}, _packed=packed, _columns=columns)

    _packed: PackedTrie
    _columns: Mapping[str, MappedArray]

    def score(self, tokens: Tokens) -> np.ndarray:
        """As any table does it; for a text a sixteenth as long as the table, all of it is unpacked and kept."""
        if len(tokens) * WORTH < sum(self.sizes):
            return super().score(tokens)
        return self._unpacked.score(tokens)

    @cached_property
    def _unpacked(self) -> Backoff:
        probs, backoffs = (tuple(map(np.asarray, columns)) for columns in (self.probs, self.backoffs))
        return Backoff(self.vocab_size, self.words, self.begins, probs, backoffs)

    @property
    def words(self) -> tuple[np.ndarray, ...]:
        return self._packed.unpacked[0]

    @property
    def begins(self) -> tuple[np.ndarray, ...]:
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


def interpolate(counts: NgramCounts, own: Sequence[np.ndarray], share: Sequence[np.ndarray]) -> Backoff:
    """The table of p(w | h) = own(h w) + share(h) p(w | h'), down to the uniform distribution.

    own: for each order k from 1, (N_k,) what its n-grams keep; share: (N_{k-1},) what its contexts give away.
    """
    return interpolate_by(
        counts, lambda block: (own[block.k - 1][block.grams], share[block.k - 1][block.contexts])
    )


class Block(NamedTuple):
    """Contexts of order k-1 that follow on each other, with all n-grams that continue them."""

    k: int
    grams: slice
    contexts: slice
    prefixes: np.ndarray  # (n-grams,) int64: the number of each one's context among these

    @property
    def size(self) -> int:
        """How many contexts."""
        return int(self.contexts.stop - self.contexts.start)


def interpolate_by(
    counts: NgramCounts, parts: Callable[[Block], tuple[np.ndarray, np.ndarray]], kind: type = np.float64
) -> Backoff:
    """``interpolate`` of what ``parts`` says of one block after the other, so that only a block need be in memory.

    kind: of floats that the table is made of; the recursion is in double precision, from what the order below rounds to.
    """
    uniform = np.full(1, 1 / counts.vocab_size)
    probs, backoffs = [uniform], [np.ones(1)]
    for k in range(1, counts.order + 1):
        prob, backoff = counts.store.column(kind), counts.store.column(kind)
        for grams, contexts in counts.by_context(k):
            number = np.diff(counts.begins[k - 1][contexts.start : contexts.stop + 1])
            prefixes = np.repeat(np.arange(len(number)), number)
            own, share = parts(Block(k, grams, contexts, prefixes))
            p = probs[k - 1].take(counts.suffixes[k][grams]).astype(np.float64, copy=False)
            p *= share.take(prefixes)
            p += own
            prob.append(p)
            backoff.append(share)
        probs.append(prob.array())
        if k > 1:
            backoffs.append(backoff.array())
    return Backoff(counts.vocab_size, counts.words, counts.begins, tuple(probs), tuple(backoffs))


def check_order(order: int) -> None:
    """Raises InputError where no n-gram is so short, or none is of use that is so long."""
    if order < 1:
        raise InputError(f"option order={order}: an n-gram has at least 1 token")
    if order > _LONGEST:
        raise InputError(f"option order={order}: give {_LONGEST} at most")


@dataclass(kw_only=True, eq=False)
class BackoffModel(LanguageModel):
    """A count model in backoff form. A subclass writes ``_estimate``."""

    table: Backoff = learned()

    @abstractmethod
    def _estimate(self, train: Tokens, valid: Tokens | None) -> Backoff:
        """The n-grams of the training text with probabilities and backoff weights."""

    def _fit(self, train: Tokens, valid: Tokens | None, rng: np.random.Generator, monitor: Monitor) -> None:
        self.table = self._estimate(train, valid)
        longest = self.table.order
        while longest > 1 and not self.table.sizes[longest]:
            longest -= 1
        if longest < self.table.order:
            self.notes.append(
                f"there are n-grams of order {longest} at most, though order={self.table.order} was asked for"
            )

    def _log_probs(self, tokens: Tokens) -> np.ndarray:
        with np.errstate(
            divide="ignore", over="ignore", invalid="ignore"
        ):  # wrong numbers are found where they come out
            return np.log(self.table.score(tokens))

    def _next_log_probs(self, contexts: Sequence[np.ndarray], bos: int) -> np.ndarray:
        with np.errstate(
            divide="ignore", over="ignore", invalid="ignore"
        ):  # wrong numbers are found where they come out
            return np.log(self.table.distributions(contexts, bos))

    @property
    def parameters(self) -> int:
        """How many probabilities and backoff weights the model keeps."""
        return sum(len(column) for column in (*self.table.probs[1:], *self.table.backoffs[1:]))

    @property
    def model_bytes(self) -> int:
        """How many bytes they and their n-grams take in memory; a saved model takes fewer."""
        return self.table.nbytes

    def _state(self) -> dict[str, np.ndarray]:
        """The trie and, packed, ``probs.k`` for each order k and ``backoffs.k`` for each below the highest."""
        state = pack_trie(self.table)
        for k in range(1, self.table.order + 1):
            state |= pack_column(f"probs.{k}", np.asarray(self.table.probs[k]))
        for k in range(1, self.table.order):
            state |= pack_column(f"backoffs.{k}", np.asarray(self.table.backoffs[k]))
        return state

    def _restore(self, state: Mapping[str, np.ndarray]) -> None:
        order = 1 + sum(name.startswith("words.") for name in state)
        probs = [np.ones(1), *(unpack_column(state, f"probs.{k}") for k in range(1, order + 1))]
        trie = unpack_trie(state, len(probs[1]))
        backoffs = [np.ones(1), *(unpack_column(state, f"backoffs.{k}") for k in range(1, order))]
        self.table = self._fitting(Backoff(len(probs[1]), *trie, tuple(probs), tuple(backoffs)), state)

    def _open(self, columns: Mapping[str, MappedArray]) -> None:
        self.table = self._fitting(MappedBackoff(columns), columns)

    def _fitting(self, table: Backoff, names: Iterable[str]) -> Backoff:
        """A table read from arrays of these names, if it is all of them and its columns are of one length.

        Raises InputError where it is not.
        """
        if max(int(part) for name in names for part in name.split(".") if part.isdigit()) != table.order:
            raise InputError("some of its n-grams are missing; fit it anew")
        lengths = [len(column) for column in (*table.probs[1:], *table.backoffs[1:])]
        if self.vocab_size not in (0, table.vocab_size) or lengths != [*table.sizes[1:], *table.sizes[1:-1]]:
            raise InputError("its n-grams, probabilities and weights are not equally many; fit it anew")
        return table
