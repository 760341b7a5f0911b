"""What count models share: they count, estimate a table of n-grams (see ``table``), and score and are saved as such.

A smoothing is what a subclass of ``CountModel`` writes: ``_estimate``, most often two lines that say what an n-gram
keeps of its context's probability and what the context gives away to the shorter one.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from lmbench.counts.blocks import Block, Counts, Smooth, Statistic
from lmbench.counts.ngrams import LONGEST, NgramCounts, count_ngrams
from lmbench.counts.sharded import count_shards, temporary_shards
from lmbench.errors import InputError
from lmbench.models.base import LanguageModel, Stepper, learned
from lmbench.models.monitor import Monitor
from lmbench.models.options import option
from lmbench.models.smoothing.packing import pack_column, pack_trie, unpack_column, unpack_trie
from lmbench.models.smoothing.pruning import normalised
from lmbench.models.smoothing.table import Backoff, Following, MappedBackoff, Table
from lmbench.storage.mapped import MappedArray
from lmbench.storage.memory import MEMORY_LIMIT, left_of, limit_of
from lmbench.storage.tasks import Here, Run
from lmbench.text.shards import TokenShards
from lmbench.text.tokens import Tokens

LONG = 1 << 23  # tokens of a text that is counted in files
ROOM = 2  # times what the files take, which other programs may need as well
_ORDER = re.compile("[0-9]{1,6}")  # in the names of arrays
_BYTES_IN_FILES = 45  # a token, for each order from 2 on


def build(counts: Counts, smooth: Smooth, kind: type = np.float64, least: Sequence[int] = ()) -> Backoff:
    """The table that ``smooth`` makes of counts; ``Counts.estimate`` says what it is given and gives."""
    return Backoff(counts.vocab_size, *counts.estimate(smooth, kind, least))


def interpolate(
    counts: Counts, parts: Statistic, kind: type = np.float64, least: Sequence[int] = ()
) -> Backoff:
    """The table of p(w | h) = own(h w) + share(h) p(w | h'), down to the uniform distribution.

    parts: says, of a block, the (n,) own and the (size,) share. kind, least: see ``Counts.estimate``.
    """
    return build(counts, Interpolated(parts), kind, least)


@dataclass(frozen=True)
class Interpolated:
    """own(h w) + share(h) p(w | h') of a block, and share(h)."""

    parts: Statistic

    def __call__(self, block: Block, lower: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        own, share = self.parts(block)
        lower *= share.take(block.prefixes)
        lower += own
        return lower, share


@dataclass(kw_only=True, eq=False)
class BackoffModel(LanguageModel):
    """A model that is a table of n-grams. A subclass writes ``_fit``."""

    table: Table = learned()

    @property
    def _weights_follow(self) -> bool:
        """Whether the backoff weights follow from the probabilities, so that no file need hold them."""
        return False

    def _log_probs(self, tokens: Tokens) -> np.ndarray:
        with np.errstate(all="ignore"):  # wrong numbers are found where they come out
            return np.log(self.table.score(tokens))

    def _next_log_probs(self, contexts: Sequence[np.ndarray], bos: int) -> np.ndarray:
        with np.errstate(all="ignore"):  # wrong numbers are found where they come out
            return np.log(self.table.distributions(contexts, bos))

    def _stepper(self, bos: int) -> Stepper:
        return BackoffStepper(self, bos)

    @property
    def reach(self) -> int:
        return self.table.order - 1

    def seen(self, tokens: Tokens) -> tuple[np.ndarray, np.ndarray]:
        orders, kinds = np.zeros(len(tokens), dtype=np.int64), np.zeros(len(tokens), dtype=np.int64)
        walk = self.table.walk(tokens)
        for k in range(1, self.table.order):
            contexts = walk.contexts(k)
            known = np.flatnonzero(contexts >= 0)
            first, beyond = self.table.children(k, contexts[known])
            known = known[beyond > first]
            orders[known], kinds[known] = k, (beyond - first)[beyond > first]
        return orders, kinds

    def ngrams(self) -> list[np.ndarray]:
        return [self.table.ngrams(k) for k in range(1, self.table.order + 1)]

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
        for k in range(1, 1 if self._weights_follow else self.table.order):
            state |= pack_column(f"backoffs.{k}", np.asarray(self.table.backoffs[k]))
        return state

    def _restore(self, state: Mapping[str, np.ndarray]) -> None:
        order = 1 + sum(name.startswith("words.") for name in state)
        probs = [np.ones(1), *(unpack_column(state, f"probs.{k}") for k in range(1, order + 1))]
        words, begins = unpack_trie(state, len(probs[1]))
        if self._weights_follow:
            backoffs = [np.ones(len(column)) for column in words[:order]]
        else:
            backoffs = [np.ones(1), *(unpack_column(state, f"backoffs.{k}") for k in range(1, order))]
        table = Backoff(len(probs[1]), words, begins, tuple(probs), tuple(backoffs))
        self._check_table(table, state)
        self.table = normalised(table) if self._weights_follow else table

    def _open(self, columns: Mapping[str, MappedArray]) -> None:
        if self._weights_follow:  # from the whole table
            self._restore({name: column.all() for name, column in columns.items()})
        else:
            table = MappedBackoff(columns)
            self._check_table(table, columns)
            self.table = table

    def _check_table(self, table: Table, names: Iterable[str]) -> None:
        """Raises InputError unless a table is all that was read from arrays of these names, its columns of one length."""
        parts = [part for name in names for part in name.split(".") if _ORDER.fullmatch(part)]
        if max(map(int, parts), default=0) != table.order:
            raise InputError("some of its n-grams are missing; fit it anew")
        lengths = [len(column) for column in (*table.probs[1:], *table.backoffs[1:])]
        if self.vocab_size not in (0, table.vocab_size) or lengths != [*table.sizes[1:], *table.sizes[1:-1]]:
            raise InputError("its n-grams, probabilities and weights are not equally many; fit it anew")


class BackoffStepper(Stepper):
    """Which n-grams of the table the text ends in, and what goes on from them."""

    model: BackoffModel

    def begin(self) -> None:
        self.table = self.model.table.asked(0)
        # Of each of the last tokens, from the latest to so many of them: what goes on from the n-gram; None of one that is not in the table.
        self.contexts: list[Following | None] = []
        if self.bos >= 0:
            self._push(self.bos)

    def read(self, ids: np.ndarray) -> None:
        self.table = self.model.table.asked(len(ids))
        most = self.table.order - 1
        if len(ids) >= most:
            self.contexts = []
        for token in ids[max(0, len(ids) - most) :].tolist():
            self._push(token)

    def _push(self, token: int) -> None:
        table = self.table
        longer = [token]
        for context in self.contexts[: table.order - 2]:
            longer.append(-1 if context is None else context.rank_with(token))
        self.contexts = [
            None if rank < 0 else table.following(k, rank)
            for k, rank in enumerate(longer[: table.order - 1], 1)
        ]

    def _distribution(self) -> np.ndarray:
        p = np.array(self.table.probs[1], dtype=np.float64)
        with np.errstate(all="ignore"):  # wrong numbers are found where they come out
            for context in self.contexts:
                if context is not None:
                    p *= context.weight
                    p[context.words] = context.probs
            return np.log(p)


@dataclass(kw_only=True, eq=False)
class CountModel(BackoffModel):
    """A table estimated from counts. A subclass writes ``_estimate``; what options it has besides are checked first."""

    order: int = option(5, "the longest n-grams")
    memory_limit: str = option("", MEMORY_LIMIT)

    def __post_init__(self) -> None:
        check_order(self.order)
        limit_of(self.memory_limit)

    @abstractmethod
    def _estimate(self, counts: Counts, train: Tokens, valid: Tokens | None) -> Backoff:
        """The n-grams with probabilities and backoff weights; counts: those of the training text, which is empty where counts were given.

        What it hands on to ``counts`` is called in other processes too: give methods, not functions made on the spot.
        """

    def _fit(self, train: Tokens, valid: Tokens | None, rng: np.random.Generator, monitor: Monitor) -> None:
        if limit_of(self.memory_limit) is None and not _is_long(train, self.order):
            return self._learn(count_ngrams(train, self.order, self.vocab_size), train, valid)
        with temporary_shards(train) as shards:
            counts = self._counts(shards, np.bincount(train.ids, minlength=self.vocab_size), None)
            self._learn(counts, train, valid)

    def fit_counts(
        self,
        counts: Callable[[int], NgramCounts],
        valid: Tokens | Sequence[int] | np.ndarray | None = None,
    ) -> Self:
        ngrams = counts(self.order)
        self.vocab_size = ngrams.vocab_size
        held_out = self._held_out(valid)
        self._forget()
        self._learn(ngrams, Tokens.of(()), held_out)
        return self

    def _fit_shards(
        self, train: TokenShards, unigrams: np.ndarray, valid: Tokens | None, run: Run | None
    ) -> None:
        self._learn(self._counts(train, unigrams, run), Tokens.of(()), valid)

    def _counts(self, train: TokenShards, unigrams: np.ndarray, run: Run | None) -> Counts:
        run, limit = run or Here(), limit_of(self.memory_limit)
        return count_shards(
            train, self.order, unigrams, None if limit is None else left_of(limit) // run.jobs, run
        )

    def _learn(self, counts: Counts, train: Tokens, valid: Tokens | None) -> None:
        self.table = self._estimate(counts, train, valid)
        longest = max(k for k, size in enumerate(self.table.sizes) if size)
        if longest < self.table.order:
            self.notes.append(
                f"there are n-grams of order {longest} at most, though order={self.table.order} was asked for"
            )


def _is_long(train: Tokens, order: int) -> bool:
    """Whether a text's n-grams are counted in files though no limit is given: where it takes less time, and there is room for them."""
    if len(train) < LONG:
        return False
    try:
        room = shutil.disk_usage(tempfile.gettempdir()).free
    except OSError:
        return False
    return room > ROOM * _BYTES_IN_FILES * (order - 1) * len(train)


def check_order(order: int) -> None:
    """Raises InputError where no n-gram is so short, or none is of use that is so long."""
    if order < 1:
        raise InputError(f"option order={order}: an n-gram has at least 1 token")
    if order > LONGEST:
        raise InputError(f"option order={order}: give {LONGEST} at most")
