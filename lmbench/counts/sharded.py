"""Counts of a text in files: see ``shards`` for the tasks; here is who deals them out, and what is made of their files."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from lmbench.counts import shards
from lmbench.counts.blocks import Block, Columns, Counts, Smooth, Statistic, tallied
from lmbench.counts.ngrams import NgramCounts, check_size, count_type
from lmbench.counts.shards import Plan, Stretch
from lmbench.counts.trie import roots, word_type
from lmbench.errors import InputError
from lmbench.storage.columns import ColumnFile, GrowingColumn, write_columns
from lmbench.storage.tasks import Here, Run
from lmbench.text.shards import TokenShards
from lmbench.text.tokens import Tokens

RUN, PART = 1 << 20, 1 << 20  # tokens of a run and of a part, at most: they stay near the processor
_BYTES_A_TOKEN = 120  # of a task's memory, for each token of its run or part
_LEAST = 1 << 12
_MOST = 1 << 12  # parts: each asks each of the others
_SAMPLE = 1 << 20  # tokens of which the parts are cut


class ShardedCounts(Counts):
    """How often the n-grams of a text occur, in files; see ``count_shards``."""

    def __init__(self, plan: Plan, unigrams: np.ndarray, run: Run) -> None:
        self.plan, self.unigrams, self._run = plan, unigrams, run
        self.vocab_size = plan.vocab_size
        if plan.order > 1:
            self._stage(shards.count, "run.{}", [(run,) for run in range(plan.runs)])
            self._stage(shards.merge, "part.{}", [(part,) for part in range(plan.parts)])
        for k, size in enumerate(self.sizes):
            check_size(k, size)

    def _stage(
        self, function: Callable[..., None], name: str, tasks: Sequence[tuple[Any, ...]], *more: Any
    ) -> None:
        """Does the tasks that have not left their file."""
        plan = self.plan
        waiting = [task for task in tasks if not plan.file(name.format(*_last(task))).sound]
        for _ in self._run(function, [(plan, *task, *more) for task in waiting]):
            pass
        for task in waiting:
            if not (file := plan.file(name.format(*_last(task)))).whole:
                raise InputError(
                    f"{file.path} is not there though a worker has written it; name a work folder that all see (--work)"
                )

    def _link(self) -> None:
        """What all that goes from order to order needs."""
        if self.order > 1:
            self._stage(shards.link, "link.{}", [(part,) for part in range(self.plan.parts)])

    @property
    def order(self) -> int:
        return self.plan.order

    @cached_property
    def sizes(self) -> list[int]:
        parts = [self.plan.file(f"part.{part}").facts for part in range(self.plan.parts) if self.order > 1]
        return [1, self.vocab_size, *(sum(p[f"size.{k}"] for p in parts) for k in range(2, self.order + 1))]

    @cached_property
    def _unigrams_left(self) -> np.ndarray:
        if self.order == 1:
            return self.unigrams
        left = self.unigrams.copy()
        for part in range(self.plan.parts):
            file = self.plan.file(f"part.{part}")
            left[file.read("left.words")] += file.read("left.more")
        return left

    def _unigram_block(self) -> Block:
        """All words: the continuations of the empty n-gram."""
        prefixes = np.zeros(self.vocab_size, dtype=np.int64)
        return Block(1, 1, prefixes, self.unigrams, lambda: self._unigrams_left)

    def _stretches(self, k: int) -> list[tuple[int, ...]]:
        return self.plan.groups if k == 2 else [(part,) for part in range(self.plan.parts)]

    def tally(self, k: int, highest: int, left: bool = False) -> np.ndarray:
        if k == 1:
            return tallied(self._unigrams_left if left else self.unigrams, highest)
        self._link()
        number = np.zeros(highest + 1, dtype=np.int64)
        tasks = [(self.plan, k, part, highest, left) for part in range(self.plan.parts)]
        for _, of_part in self._run(shards.tally, tasks):
            number += of_part
        return number

    def spectrum(self, k: int) -> tuple[np.ndarray, np.ndarray]:
        """(D,), (D,) int64: the distinct counts of the n-grams that occur, ascending, and how many n-grams have each."""
        if k == 1:
            return np.unique(self.unigrams[self.unigrams > 0], return_counts=True)
        tasks = [(self.plan, k, part) for part in range(self.plan.parts)]
        values, types = zip(*(answer for _, answer in self._run(shards.spectrum, tasks)), strict=True)
        distinct, which = np.unique(np.concatenate(values), return_inverse=True)
        number = np.zeros(len(distinct), dtype=np.int64)
        np.add.at(number, which, np.concatenate(types))
        return distinct, number

    def observed(self, tokens: Tokens, statistic: Statistic) -> list[tuple[np.ndarray, np.ndarray]]:
        self._link()
        own, share = statistic(self._unigram_block())
        every = [(own[:, tokens.ids], share.repeat(len(tokens), axis=1))]
        for k in range(2, self.order + 1):
            of_grams, of_contexts = (
                np.zeros((len(column), len(tokens)), column.dtype) for column in (own, share)
            )
            tasks = [(self.plan, k, group, tokens, statistic) for group in self._stretches(k)]
            for _, (here, grams, there, contexts) in self._run(shards.observe, tasks):
                of_grams[:, here], of_contexts[:, there] = grams, contexts
            every.append((of_grams, of_contexts))
        return every

    def estimate(self, smooth: Smooth, kind: type, least: Sequence[int] = ()) -> Columns:
        self._link()
        lower = np.full(self.vocab_size, 1 / self.vocab_size)
        prob: np.ndarray = smooth(self._unigram_block(), lower)[0].astype(kind, copy=False)
        if not self.plan.file("prob.1").sound:
            self.plan.write("prob.1", {"prob": prob})
        for k in range(2, self.order + 1):
            tasks = [(k, group) for group in self._stretches(k)]
            self._stage(shards.smooth, f"prob.{k}.{{}}", tasks, smooth, np.dtype(kind).str)
        return _table(self.plan, [*least, *[0] * (self.order - len(least))], prob)

    def whole(self) -> NgramCounts:
        words, begins = roots(self.vocab_size)
        kind = count_type(len(self.plan.tokens))
        counts: list[np.ndarray] = [np.array([len(self.plan.tokens)], dtype=kind), self.unigrams.astype(kind)]
        for k in range(2, self.order + 1):
            stretch = Stretch(self.plan, k, range(self.plan.parts))
            words.append(stretch.column(f"words.{k}"))
            begins.append(stretch.begins.astype(np.uint32))
            counts.append(stretch.n.astype(kind))
        trie = NgramCounts(self.vocab_size, tuple(words), tuple(begins), tuple(counts), ())
        suffixes = [np.zeros(1, dtype=np.int32), *(trie.find_suffixes(k) for k in range(1, self.order + 1))]
        return NgramCounts(self.vocab_size, trie.words, trie.begins, trie.counts, tuple(suffixes))


def _last(task: tuple[Any, ...]) -> tuple[Any, ...]:
    """What a task's file is called by: of a group of parts the last, whose file is written last."""
    *_, one = task
    return (one[-1],) if isinstance(one, tuple) else (one,)


def _table(plan: Plan, least: Sequence[int], unigrams: np.ndarray) -> Columns:
    """The table of all parts, without n-grams seen fewer than ``least`` times, in files that are mapped."""
    words, begins = roots(plan.vocab_size)
    probs, backoffs = [np.full(1, 1 / plan.vocab_size), unigrams], [np.ones(1)]
    for k in range(2, plan.order + 1):
        columns = [
            GrowingColumn(plan.folder / f"table.{name}.{k}", kind)
            for name, kind in (
                ("words", word_type(plan.vocab_size)),
                ("begins", np.uint32),
                ("probs", unigrams.dtype),
                ("backoffs", unigrams.dtype),
            )
        ]
        size = 0
        for group in plan.groups if k == 2 else [(part,) for part in range(plan.parts)]:
            stretch = Stretch(plan, k, group)
            files = [plan.file(f"prob.{k}.{part}") for part in group]
            weight, prob = (
                np.concatenate([file.read(name) for file in files]) for name in ("weight", "prob")
            )
            word, begin = stretch.column(f"words.{k}"), stretch.begins
            if least[k - 1] > 1:
                keep = stretch.n >= least[k - 1]
                begin = np.append(0, np.cumsum(keep))[begin]
                word, prob = word[keep], prob[keep]
            if k > 2 and least[k - 2] > 1:
                contexts = np.flatnonzero(Stretch(plan, k - 1, group).n >= least[k - 2])
                weight, begin = weight[contexts], np.append(begin[contexts], begin[-1:])
            for column, values in zip(columns, (word, begin[:-1] + size, prob, weight), strict=True):
                column.append(values)
            size += len(word)
        columns[1].append(np.array([size]))
        for every, column in zip((words, begins, probs, backoffs), columns, strict=True):
            every.append(column.array())
    return Columns(tuple(words), tuple(begins), tuple(probs), tuple(backoffs))


# From tokens ---------------------------------------------------------------------------------------


def count_shards(
    tokens: TokenShards,
    order: int,
    unigrams: np.ndarray,
    memory: int | None = None,
    run: Run | None = None,
    parts: int = 0,
) -> ShardedCounts:
    """``count_ngrams``, number for number, of tokens in files; its files, which are not made anew where they are whole, lie beside them.

    unigrams: (V,) int64, how often each word occurs. memory: bytes that a task may take. run: where tasks are done (here).
    parts: how many (as many as memory and ``run`` ask for). Raises InputError where order < 1 or the disk is full.
    """
    if order < 1:
        raise InputError(f"the order of n-grams must be at least 1, not {order}")
    run = run or Here()
    most = max(_LEAST, (memory or 1 << 62) // _BYTES_A_TOKEN)
    size = min(RUN, most)
    parts = parts or max(-(-len(tokens) // min(PART, most)), 2 * run.jobs if run.jobs > 1 else 1)
    cuts = (0,) if order == 1 else _cuts(tokens, len(unigrams), min(parts, _MOST))
    folder = tokens.numbers or tokens.folder
    begun = ColumnFile(folder / "plan")
    if begun.sound:  # how the work was divided when it began is how it goes on
        size, cuts = begun.facts["run"], tuple(begun.facts["cuts"])
    else:
        write_columns(begun.path, {}, {"run": size, "cuts": cuts})
    return ShardedCounts(Plan(folder, tokens, order, len(unigrams), size, cuts), unigrams, run)


def _cuts(tokens: TokenShards, vocab_size: int, parts: int) -> tuple[int, ...]:
    """Where parts of about as many tokens begin: between first words, and between bigrams of words that fill more than one part."""
    bits = vocab_size.bit_length()
    sample = [(piece.ids[:-1].astype(np.int64) << bits) | piece.ids[1:] for piece in tokens.sample(_SAMPLE)]
    keys = np.sort(np.concatenate(sample))
    if not len(keys):
        return (0,)
    chosen = np.unique(keys[np.arange(1, parts) * len(keys) // parts])
    words, number = np.unique(chosen >> bits, return_counts=True)
    heavy = chosen[np.isin(chosen >> bits, words[number > 1])]
    return tuple(np.unique(np.concatenate([[0], words << bits, heavy])).tolist())


@contextlib.contextmanager
def temporary_shards(tokens: Tokens) -> Iterator[TokenShards]:
    """Tokens in memory, in a folder that is gone afterwards; what has been mapped stays. Raises InputError where it cannot be."""
    try:
        folder = tempfile.mkdtemp(prefix="lmbench-")
    except OSError as error:
        raise InputError(
            f"cannot keep n-grams in {tempfile.gettempdir()}: {error.strerror}; set TMPDIR to a folder with room"
        ) from None
    try:
        yield TokenShards.of(tokens, Path(folder))
    finally:
        import shutil

        shutil.rmtree(folder, ignore_errors=True)
