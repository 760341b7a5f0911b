"""Counting n-grams within a stated memory limit, by sorted runs on disk that are merged."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from lmbench.counts.ngrams import NgramCounts, check_size, count_ngrams, count_type, first_of_runs, sort_keys
from lmbench.counts.trie import roots, with_bos, word_type
from lmbench.errors import InputError
from lmbench.storage.workspace import Memory, columns_within
from lmbench.text.tokens import Tokens

_SHORTEST = 16  # n-grams of a run that merging reads at a time


def count_within(memory_limit: str, tokens: Tokens, order: int, vocab_size: int) -> NgramCounts:
    """``count_ngrams`` within a limit such as ``500MB``; empty: none."""
    if not memory_limit:
        return count_ngrams(tokens, order, vocab_size)
    return count_spilled(tokens, order, vocab_size, columns_within(memory_limit))


def count_spilled(tokens: Tokens, order: int, vocab_size: int, store: Memory) -> NgramCounts:
    """``count_ngrams``, number for number, with only ``store.block`` symbols or n-grams in memory at once.

    Order after order: each block of the text is sorted into a run of n-grams (the rank of the prefix is known from
    the order before), the runs are merged, and every symbol learns the rank of the n-gram that ends in it. Raises
    InputError where order < 1, the disk is full, or the limit is too low for the text.
    """
    if order < 1:
        raise InputError(f"the order of n-grams must be at least 1, not {order}")
    symbols, is_bos, unigrams = _symbols(tokens, vocab_size, store)
    words, begins = roots(vocab_size)
    kind = count_type(len(tokens))
    counts: list[np.ndarray] = [np.array([len(tokens)], dtype=kind), unigrams.astype(kind)]
    suffixes: list[np.ndarray] = [np.zeros(1, dtype=np.int32), np.zeros(vocab_size, dtype=np.int32)]
    ranks = symbols  # of the n-grams of the order before, by the symbol that they end in
    for k in range(2, order + 1):
        contexts = len(words[k - 1])
        run, place, cuts = _runs(ranks, symbols, is_bos, vocab_size, contexts * vocab_size, store, k < order)
        ranks_of_run = store.copy(run[2]) if k < order else None
        merged = [
            store.column(column_type) for column_type in (word_type(vocab_size), np.uint32, kind, np.int32)
        ]
        size = begun = 0  # n-grams so far, and contexts of which it is known where theirs begin
        for in_order, number, suffix in _merged(run, cuts, contexts * vocab_size, store, ranks_of_run):
            prefix = in_order // vocab_size
            following = int(prefix[-1]) + 1
            begin = np.searchsorted(prefix, np.arange(begun, following)) + size
            for column, piece in zip(
                merged, (in_order - prefix * vocab_size, begin, number, suffix), strict=True
            ):
                column.append(piece)
            size, begun = size + len(in_order), following
        merged[1].append(np.full(contexts + 1 - begun, size))
        check_size(k, size)
        for columns, column in zip((words, begins, counts, suffixes), merged, strict=True):
            columns.append(column.array())
        if ranks_of_run is not None:
            of_symbols = store.column(np.int32)
            for block, cut in zip(store.blocks(len(symbols)), cuts, strict=False):
                numbers = place[block].copy()
                numbered = numbers >= 0
                numbers[numbered] = ranks_of_run[cut:][numbers[numbered]]
                of_symbols.append(numbers)
            ranks = of_symbols.array()
    return NgramCounts(vocab_size, tuple(words), tuple(begins), tuple(counts), tuple(suffixes), store)


def _symbols(tokens: Tokens, vocab_size: int, store: Memory) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The columns of ``with_bos``, and how often each word occurs."""
    symbols, is_bos = store.column(np.int32), store.column(bool)
    unigrams = np.zeros(vocab_size, dtype=np.int64)
    for block in store.blocks(len(tokens)):
        first, last = np.searchsorted(tokens.starts, [block.start, block.stop])
        ids, starts = tokens.ids[block], tokens.starts[first:last] - block.start
        for column, piece in zip((symbols, is_bos), with_bos(Tokens(ids, starts, tokens.bos)), strict=True):
            column.append(piece)
        unigrams += np.bincount(ids, minlength=vocab_size)
    return symbols.array(), is_bos.array(), unigrams


def _runs(
    ranks: np.ndarray,
    symbols: np.ndarray,
    is_bos: np.ndarray,
    vocab_size: int,
    bound: int,
    store: Memory,
    placed: bool,
) -> tuple[tuple[np.ndarray, ...], np.ndarray, list[int]]:
    """The n-grams of each block of the text, sorted: keys, counts and suffixes; runs laid end to end.

    Also, where ``placed``, (S,) int32 the number of each symbol's n-gram in its run, -1: none; and where runs begin.
    """
    columns = store.column(np.int64), store.column(np.int32), store.column(np.int32)
    place, cuts = store.column(np.int32), [0]
    for block in store.blocks(len(symbols)):
        before = np.full(block.stop - block.start, -1, dtype=np.int32)
        before[block.start == 0 :] = ranks[max(block.start - 1, 0) : block.stop - 1]
        ends = np.flatnonzero((before >= 0) & ~is_bos[block])
        in_order = before[ends].astype(np.int64)
        in_order *= vocab_size
        in_order += symbols[block][ends]
        in_order, ends = sort_keys(in_order, ends, bound)
        first = first_of_runs(in_order)
        number = np.diff(first, append=len(in_order))
        for column, piece in zip(columns, (in_order[first], number, ranks[block][ends[first]]), strict=True):
            column.append(piece)
        if placed:
            numbers = np.full(len(before), -1, dtype=np.int32)
            numbers[ends] = np.repeat(np.arange(len(first), dtype=np.int32), number)
            place.append(numbers)
        cuts.append(cuts[-1] + len(first))
    return tuple(column.array() for column in columns), place.array(), cuts


def _merged(
    runs: tuple[np.ndarray, ...], cuts: list[int], bound: int, store: Memory, ranks: np.ndarray | None
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """One run of all, piece by piece: keys, counts and suffixes.

    ranks: where it is given, (N,) int32, the rank of each n-gram of the runs is put there.
    """
    keys, counts, suffixes = runs
    width = store.block // (len(cuts) - 1)
    if width < _SHORTEST:
        raise InputError(f"the text needs {len(cuts) - 1} sorted runs, too many to merge; raise memory_limit")
    total, begins, ends = 0, cuts[:-1], cuts[1:]
    while any(begin < end for begin, end in zip(begins, ends, strict=True)):
        # All n-grams up to the key at which the first of the pieces read now ends can be merged.
        pieces = [keys[begin : min(begin + width, end)] for begin, end in zip(begins, ends, strict=True)]
        going_on = [
            piece[-1] for piece, begin, end in zip(pieces, begins, ends, strict=True) if begin + width < end
        ]
        if going_on:
            reach = min(going_on)
            pieces = [piece[: np.searchsorted(piece, reach, side="right")] for piece in pieces]
        taken = [slice(begin, begin + len(piece)) for begin, piece in zip(begins, pieces, strict=True)]
        in_order = np.concatenate(pieces)
        in_order, where = sort_keys(in_order, np.arange(len(in_order)), bound, runs=True)
        first = first_of_runs(in_order)
        number = np.concatenate([counts[s] for s in taken])[where]
        suffix = np.concatenate([suffixes[s] for s in taken])[where[first]]
        yield in_order[first], np.add.reduceat(number, first, dtype=np.int64), suffix
        if ranks is not None:
            rank = np.empty(len(in_order), dtype=np.int32)
            rank[where] = np.repeat(
                np.arange(total, total + len(first)), np.diff(first, append=len(in_order))
            )
            for s, of_run in zip(
                taken, np.split(rank, np.cumsum([len(p) for p in pieces])[:-1]), strict=True
            ):
                ranks[s] = of_run
        total += len(first)
        begins = [s.stop for s in taken]
        store.release()
