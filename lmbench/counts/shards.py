"""Counting and estimating from files to files: the tasks, each of which reads some files of a work folder and writes one.

The text is cut into *runs*, some tokens each; the n-grams into *parts*, ranges of first words (and of first and second ones,
where a first word is frequent), so that a part is a contiguous stretch of the trie at every order from 2. Counts of order 1 are
everywhere as they are. A file names n-grams of order k by their place in its own order k; each is written once, by

    count   run.R    of a run, the n-grams that begin in it, as a trie; where in it each part begins
    merge   part.P   of a part, the n-grams of all runs; and, for each part Q, those whose suffixes (they, without their first
                     word) are in Q, as a trie of these suffixes
    link    link.Q   where in Q the suffixes are that the parts have asked for, and so how many words stand before each
    smooth  prob.K.P probabilities of order K, and then those that the next order has asked for

All sums over n-grams are made in one task, in the order of the n-grams, or are sums of integers. So the parts change no bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from lmbench.counts.blocks import Smooth, Statistic, blocks, tallied
from lmbench.counts.ngrams import first_of_runs, sort_keys
from lmbench.counts.trie import with_bos, word_type
from lmbench.errors import InputError
from lmbench.storage.columns import ColumnFile, write_columns
from lmbench.text.shards import TokenShards
from lmbench.text.tokens import Tokens


@dataclass(frozen=True)
class Plan:
    """What every task needs to know.

    folder: where the files are. run: tokens of a run. cuts: for each part the key of the bigram with which it begins, ascending, the first 0.
    """

    folder: Path
    tokens: TokenShards
    order: int
    vocab_size: int
    run: int
    cuts: tuple[int, ...]

    @property
    def runs(self) -> int:
        return -(-len(self.tokens) // self.run)

    @property
    def parts(self) -> int:
        return len(self.cuts)

    @property
    def bits(self) -> int:
        """Of a word in a key."""
        return self.vocab_size.bit_length()

    @cached_property
    def groups(self) -> list[tuple[int, ...]]:
        """The parts that share first words: contexts of order 1 are whole in them alone."""
        every: list[list[int]] = []
        for part, cut in enumerate(self.cuts):
            if cut & ((1 << self.bits) - 1) and every:
                every[-1].append(part)
            else:
                every.append([part])
        return [tuple(group) for group in every]

    def first_words(self, group: Sequence[int]) -> tuple[int, int]:
        """The half-open range of first words of a group."""
        beyond = group[-1] + 1
        last = self.cuts[beyond] >> self.bits if beyond < self.parts else self.vocab_size
        return self.cuts[group[0]] >> self.bits, last

    def file(self, name: str) -> ColumnFile:
        return ColumnFile(self.folder / name)

    def write(self, name: str, columns: dict[str, np.ndarray], facts: dict[str, Any] | None = None) -> None:
        if not self.folder.is_dir():
            import socket

            raise InputError(
                f"the work folder {self.folder} is not there on {socket.gethostname()}; name one that all workers see (--work)"
            )
        write_columns(self.folder / name, columns, facts)


# Counting ------------------------------------------------------------------------------------------


def count(plan: Plan, run: int) -> None:
    """Writes the n-grams that begin in a run."""
    begin = run * plan.run
    end = min(begin + plan.run, len(plan.tokens))
    tokens = plan.tokens.read(begin, min(end + plan.order - 1, len(plan.tokens)))
    symbols, is_bos = with_bos(tokens)
    own = end - begin + int(np.searchsorted(tokens.starts, end - begin))
    starts = np.arange(own)
    if tokens.bos < 0:
        starts = starts[symbols[:own] >= 0]
    context = symbols.take(starts)
    contexts, columns, facts = plan.vocab_size, {}, {}
    for k in range(2, plan.order + 1):
        ends = starts + (k - 1)
        inside = ends < len(symbols)
        inside &= ~is_bos.take(ends, mode="clip")
        if not inside.all():
            starts, context, ends = starts[inside], context[inside], ends[inside]
        keys = context.astype(np.int64)
        keys <<= plan.bits
        keys |= symbols.take(ends)
        keys, starts = sort_keys(keys, starts, contexts << plan.bits)
        first = first_of_runs(keys)
        number = np.diff(first, append=len(keys))
        keys = keys[first]
        above = keys >> plan.bits
        if k == 2:
            columns["firsts"] = above.astype(word_type(plan.vocab_size))
            cuts = np.searchsorted(keys, np.array(plan.cuts[1:], dtype=np.int64))
            offsets = np.concatenate([[0], cuts, [len(keys)]])
        else:
            children = np.bincount(above, minlength=contexts)
            columns[f"children.{k}"] = _narrow(children)
            offsets = np.append(0, np.cumsum(children))[offsets]
        columns[f"words.{k}"] = _words(keys, plan)
        columns[f"counts.{k}"] = _narrow(number)
        facts[f"offsets.{k}"] = offsets.tolist()
        context, contexts = np.repeat(np.arange(len(first)), number), len(first)
    plan.write(f"run.{run}", columns, facts)


def merge(plan: Plan, part: int) -> None:
    """Writes the n-grams of a part, and which suffixes of them the other parts have."""
    runs = [plan.file(f"run.{run}") for run in range(plan.runs)]
    trie: dict[str, np.ndarray] = {}

    def pieces(name: str, k: int) -> np.ndarray:
        """A column of the runs' n-grams of order k in this part, one run after the other."""
        return np.concatenate([r.read(name, *r.facts[f"offsets.{k}"][part : part + 2]) for r in runs])

    above = np.zeros(0, dtype=np.int64)
    for k in range(2, plan.order + 1):
        keys = (
            pieces("firsts", 2).astype(np.int64) if k == 2 else above.repeat(pieces(f"children.{k}", k - 1))
        )
        keys <<= plan.bits
        keys |= pieces(f"words.{k}", k)
        contexts = plan.vocab_size if k == 2 else len(trie[f"words.{k - 1}"])
        keys, where = sort_keys(keys, np.arange(len(keys)), contexts << plan.bits)
        first = first_of_runs(keys)
        number = pieces(f"counts.{k}", k).take(where)
        trie[f"counts.{k}"] = _narrow(_sums(number, first))
        number = np.diff(first, append=len(keys))
        if k < plan.order:
            above = np.empty(len(keys), dtype=np.int64)
            above[where] = np.repeat(np.arange(len(first)), number)
        keys = keys[first]
        prefixes = keys >> plan.bits
        trie[f"words.{k}"] = _words(keys, plan)
        if k == 2:
            trie["firsts"] = prefixes.astype(word_type(plan.vocab_size))
        else:
            trie[f"children.{k}"] = _narrow(np.bincount(prefixes, minlength=contexts))
    # What a word has before it, the bigrams of this part say: n of each occurrence with, 1 of each distinct neighbour.
    more = np.bincount(trie["words.2"], minlength=1) - np.bincount(
        trie["words.2"], weights=trie["counts.2"], minlength=1
    ).astype(np.int64)
    trie["left.words"] = np.flatnonzero(more)
    trie["left.more"] = more[trie["left.words"]]
    asked, offsets = _asked(plan, trie)
    sizes = {f"size.{k}": len(trie[f"words.{k}"]) for k in range(2, plan.order + 1)}
    plan.write(f"part.{part}", trie | asked, sizes | offsets)


def _asked(plan: Plan, trie: dict[str, np.ndarray]) -> tuple[dict[str, np.ndarray], dict[str, list[int]]]:
    """The suffixes of n-grams from order 3, by the part that has them, as a trie for each; and where each part's begin."""
    asked: dict[str, np.ndarray] = {}
    offsets: dict[str, list[int]] = {}
    order = of_part = np.zeros(0, dtype=np.int32)
    for k in range(3, plan.order + 1):
        children = trie[f"children.{k}"]
        if k == 3:
            seconds = trie["words.2"].repeat(children)
            keys = seconds.astype(np.int64)
            keys <<= plan.bits
            keys |= trie["words.3"]
            cuts = np.array(plan.cuts[1:], dtype=np.int64)
            of_part = np.searchsorted(cuts, keys, side="right").astype(np.uint16)
        else:
            asked[f"asked.children.{k}"] = children.take(order)
            of_part = of_part.repeat(children)
        order = np.argsort(of_part, kind="stable").astype(np.int32)
        if k == 3:
            asked["asked.seconds"] = seconds.take(order)
        asked[f"asked.words.{k}"] = trie[f"words.{k}"].take(order)
        asked[f"asked.counts.{k}"] = trie[f"counts.{k}"].take(order)
        asked[f"order.{k}"] = order
        number = np.bincount(of_part, minlength=plan.parts)
        offsets[f"asked.{k}"] = [0, *np.cumsum(number).tolist()]
    return asked, offsets


def link(plan: Plan, part: int) -> None:
    """Writes where the suffixes that all parts ask for are in this one, and how many words stand before each n-gram."""
    trie = plan.file(f"part.{part}")
    others = [plan.file(f"part.{other}") for other in range(plan.parts)]
    columns, facts = {}, {}

    def pieces(name: str, k: int) -> np.ndarray:
        return np.concatenate([o.read(name, *o.facts[f"asked.{k}"][part : part + 2]) for o in others])

    ranks = np.zeros(0, dtype=np.int64)
    for k in range(3, plan.order + 1):
        keys = _keys(plan, trie, k - 1)
        wanted = (
            pieces("asked.seconds", 3).astype(np.int64)
            if k == 3
            else ranks.repeat(pieces(f"asked.children.{k}", k - 1))
        )
        wanted <<= plan.bits
        wanted |= pieces(f"asked.words.{k}", k)
        ranks = _places(keys, wanted)
        columns[f"ranks.{k}"] = ranks.astype(np.int32)
        number = np.bincount(ranks, minlength=len(keys))
        with_left = np.bincount(ranks, weights=pieces(f"asked.counts.{k}", k), minlength=len(keys))
        left = trie.read(f"counts.{k - 1}") + number - with_left.astype(np.int64)
        columns[f"left.{k - 1}"] = _narrow(left)
        lengths = np.array([np.diff(o.facts[f"asked.{k}"][part : part + 2])[0] for o in others])
        facts[f"ranks.{k}"] = [0, *np.cumsum(lengths).tolist()]
    plan.write(f"link.{part}", columns, facts)


def _keys(plan: Plan, trie: ColumnFile, k: int) -> np.ndarray:
    """(N,) int64: the keys of a part's n-grams of order k, ascending: the place of the prefix (of order 2: the first word) and the last word."""
    if k == 2:
        keys = trie.read("firsts").astype(np.int64)
    else:
        children = trie.read(f"children.{k}")
        keys = np.repeat(np.arange(len(children)), children)
    keys <<= plan.bits
    keys |= trie.read(f"words.{k}")
    return keys


def _places(keys: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """(Q,) int64: where keys that are there stand among ascending ones; those wanted are put in order first, which makes it quick."""
    in_order, labels = sort_keys(wanted, np.arange(len(wanted)), int(keys[-1]) + 1 if len(keys) else 1)
    places = np.empty(len(wanted), dtype=np.int64)
    places[labels] = np.searchsorted(keys, in_order)
    return places


def _sums(number: np.ndarray, first: np.ndarray) -> np.ndarray:
    return np.add.reduceat(number, first, dtype=np.int64) if len(first) else np.zeros(0, dtype=np.int64)


def _narrow(values: np.ndarray) -> np.ndarray:
    return values.astype(np.min_scalar_type(int(values.max(initial=0))))


def _words(keys: np.ndarray, plan: Plan) -> np.ndarray:
    return (keys & ((1 << plan.bits) - 1)).astype(word_type(plan.vocab_size))


# Estimating ----------------------------------------------------------------------------------------


class Stretch:
    """The n-grams of an order k ≥ 2 in some parts that follow on each other, with the contexts that are whole in them."""

    def __init__(self, plan: Plan, k: int, group: Sequence[int]) -> None:
        self.plan, self.k, self.group = plan, k, group
        self.tries = [plan.file(f"part.{part}") for part in group]

    def column(self, name: str) -> np.ndarray:
        return np.concatenate([trie.read(name) for trie in self.tries])

    @cached_property
    def begins(self) -> np.ndarray:
        """(contexts + 1,) int64."""
        if self.k > 2:
            number = self.column(f"children.{self.k}")
        else:
            first, beyond = self.plan.first_words(self.group)
            number = np.bincount(self.column("firsts").astype(np.int64) - first, minlength=beyond - first)
        return np.append(0, np.cumsum(number, dtype=np.int64))

    @cached_property
    def n(self) -> np.ndarray:
        return self.column(f"counts.{self.k}").astype(np.int64)

    def left(self) -> np.ndarray:
        """``Block.left`` of all."""
        if self.k == self.plan.order:
            return self.n
        links = [self.plan.file(f"link.{part}") for part in self.group]
        return np.concatenate([file.read(f"left.{self.k}") for file in links]).astype(np.int64)

    def blocks(self) -> Any:
        kept: list[np.ndarray] = []

        def left() -> np.ndarray:
            if not kept:
                kept.append(self.left())
            return kept[0]

        return blocks(self.k, self.begins, self.n, left)


def smooth(plan: Plan, k: int, group: Sequence[int], function: Smooth, kind: str) -> None:
    """Writes the probabilities of order k ≥ 2, and what the order above asks for of them."""
    stretch = Stretch(plan, k, group)
    lower = _lower(plan, k, stretch)
    prob, weight = np.empty(len(lower), dtype=kind), np.empty(len(stretch.begins) - 1, dtype=kind)
    contexts = 0
    for block, grams in stretch.blocks():
        of_block = slice(contexts, contexts + block.size)
        prob[grams], weight[of_block] = function(block, lower[grams].astype(np.float64))
        contexts = of_block.stop
    begin = 0
    for part, trie in zip(group, stretch.tries, strict=True):
        own = prob[begin : begin + trie.facts[f"size.{k}"]]
        begin += len(own)
        columns = {"prob": own, "weight": weight}
        if k < plan.order:
            columns["answers"] = own.take(plan.file(f"link.{part}").read(f"ranks.{k + 1}"))
        plan.write(f"prob.{k}.{part}", columns)
        weight = weight[:0]  # those of a group are in its first part's file


def _lower(plan: Plan, k: int, stretch: Stretch) -> np.ndarray:
    """(N,) floats: the probability of each n-gram's last word after its context without the first word."""
    if k == 2:
        return plan.file("prob.1").read("prob").take(stretch.column("words.2"))
    (part,) = stretch.group
    answers = []
    for other in range(plan.parts):
        of_part = plan.file(f"link.{other}").facts[f"ranks.{k}"]
        answers.append(plan.file(f"prob.{k - 1}.{other}").read("answers", *of_part[part : part + 2]))
    joined = np.concatenate(answers)
    lower = np.empty(len(joined), dtype=joined.dtype)
    lower[stretch.tries[0].read(f"order.{k}")] = joined
    return lower


def tally(plan: Plan, k: int, part: int, highest: int, left: bool) -> np.ndarray:
    """(highest + 1,) int64: see ``Counts.tally``."""
    stretch = Stretch(plan, k, [part])
    return tallied(stretch.left() if left else stretch.n, highest)


def spectrum(plan: Plan, k: int, part: int) -> tuple[np.ndarray, np.ndarray]:
    """(D,), (D,) int64: the distinct counts of a part's n-grams of order k ≥ 2, ascending, and how many have each."""
    values, types = np.unique(plan.file(f"part.{part}").read(f"counts.{k}"), return_counts=True)
    return values.astype(np.int64), types


def observe(
    plan: Plan, k: int, group: Sequence[int], tokens: Tokens, statistic: Statistic
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Of a text's n-grams of order k ≥ 2 that begin in some parts: the tokens that they end in and (m, Q) numbers of each.

    And the same of their contexts.
    """
    stretch = Stretch(plan, k, group)
    made = [statistic(block) for block, _ in stretch.blocks()]
    own, share = (np.concatenate(column, axis=1) for column in zip(*made, strict=True))
    symbols, is_bos = with_bos(tokens)
    ends = np.flatnonzero(~is_bos[1:]) + 1
    contexts = symbols[ends - 1].astype(np.int64)
    first, beyond = plan.first_words(group) if k == 2 else (0, plan.vocab_size)
    inside = (contexts >= first) & (contexts < beyond)
    for j in range(2, k + 1):
        ends, contexts = ends[inside], contexts[inside]
        keys = np.concatenate([_keys(plan, trie, j) for trie in stretch.tries])
        wanted = (contexts << plan.bits) | symbols[ends]
        places = np.searchsorted(keys, wanted)
        there = np.append(keys, -1).take(places) == wanted
        token = np.cumsum(~is_bos)[ends] - 1
        if j < k:  # the n-gram is the context of one that ends a symbol later
            ends, contexts = ends[there] + 1, places[there]
            inside = ends < len(symbols)
            inside &= ~is_bos.take(ends, mode="clip")
    return token[there], own[:, places[there]], token, share[:, contexts - first]
