"""The trie of n-grams whose counts stand in lists, as files have them: apart from how such files are read and written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from lmbench.counts.blocks import sum_by
from lmbench.counts.ngrams import NgramCounts, check_size, count_type, split_keys
from lmbench.counts.trie import roots


def assembled(rows: Sequence[np.ndarray], counts: Sequence[np.ndarray], vocab_size: int) -> NgramCounts:
    """N-grams with their counts, each of those that stand in several rows once; prefixes and suffixes of all are there, with count 0."""
    size = vocab_size
    rows = list(rows)
    while True:
        words, begins = roots(size)
        kind = count_type(int(counts[0].sum()))
        number: list[np.ndarray] = [np.array([counts[0].sum()], dtype=kind)]
        number.append(np.bincount(rows[0][:, 0], weights=counts[0], minlength=size).astype(kind))
        suffixes = [np.zeros(1, dtype=np.int32), np.zeros(size, dtype=np.int32)]
        ranks = [row[:, 0].astype(np.int64) for row in rows[1:]]  # of the words before the k-th
        for k in range(2, len(rows) + 1):
            keys = [rank * size + row[:, k - 1] for rank, row in zip(ranks, rows[k - 1 :], strict=True)]
            needed = np.unique(np.concatenate(keys))
            check_size(k, len(needed))
            ranks = [np.searchsorted(needed, some) for some in keys]
            number.append(np.bincount(ranks[0], weights=counts[k - 1], minlength=len(needed)).astype(kind))
            for columns, column in zip(
                (words, begins), split_keys(needed, len(words[k - 1]), size), strict=True
            ):
                columns.append(column)
            ranks = ranks[1:]
            suffixes.append(np.zeros(0, dtype=np.int32))
        trie = NgramCounts(size, tuple(words), tuple(begins), tuple(number), tuple(suffixes))
        suffixes[2:] = [trie.find_suffixes(k) for k in range(2, trie.order + 1)]
        lacking = [np.flatnonzero(column < 0) for column in suffixes]
        if not any(map(len, lacking)):
            return replace(trie, suffixes=tuple(suffixes))
        counts = list(counts)
        for k in range(3, trie.order + 1):
            more = trie.ngrams(k)[lacking[k], 1:]
            rows[k - 2] = np.concatenate([rows[k - 2], more])
            counts[k - 2] = np.append(counts[k - 2], np.zeros(len(more), dtype=np.int64))


def consistent(trie: NgramCounts, newline: int, notes: list[str]) -> NgramCounts:
    """Counts in which no n-gram is rarer than those that go on from it, or come to it; notes what had to be done."""
    counts, few, fewer = list(trie.counts), 0, ""
    left: list[np.ndarray] = []
    for k in range(trie.order - 1, 0, -1):
        above = replace(trie, counts=tuple(counts))
        onward = above.context_counts(k)
        inward = sum_by(trie.suffixes[k + 1], trie.sizes[k], counts[k + 1])
        begins = trie.ngrams(k)[:, 0] == newline  # a sentence, unless it is the end of one
        if k == 1:
            onward[begins] = 0
        least = np.maximum(onward, inward)
        low = counts[k] < least
        if low.any():
            few += int(low.sum())
            named = trie.ngrams(k)[np.argmax(low)].tolist()
            fewer = fewer or f"the {k}-gram of ids {named}"
            counts[k] = np.where(low, least, counts[k]).astype(counts[k].dtype)
        free = begins & (k > 1)  # nothing stands before a sentence
        neighbours = np.bincount(trie.suffixes[k + 1], minlength=trie.sizes[k])
        left.insert(
            0,
            np.where(free, counts[k], np.minimum(np.maximum(neighbours, 1), counts[k])).astype(
                counts[k].dtype
            ),
        )
        if (~free & (inward < counts[k])).any():
            lost = int((counts[k] - inward)[~free].sum())
            notes.append(
                f"{lost:,} occurrences of {k}-grams are in no {k + 1}-gram: rare ones were left out, and estimates that rest on how "
                "many n-grams are rare (discounts) are off"
            )
    if few:
        notes.append(
            f"{few:,} n-grams have counts below those of longer ones that contain them: adjusted (as Kneser-Ney's are), or of "
            "different texts; they are taken to be as frequent as the longer ones"
        )
    changed = any(a is not b for a, b in zip(counts, trie.counts, strict=True))
    if not changed and not any("rare ones" in note for note in notes):
        return trie
    counts[0] = np.array([counts[1].sum()], dtype=counts[0].dtype)
    return replace(trie, counts=tuple(counts), left=(np.ones(1, dtype=np.int64), *left))
