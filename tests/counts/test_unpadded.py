"""Counts without padding, against windows cut by hand."""

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from slow_counts import V, documents_of, tokens_of

from lmbench.counts import matched_orders, ngram_counts


@given(documents_of, st.integers(1, 5), st.sets(st.integers(0, V - 1), max_size=2))
def test_counts_are_those_of_windows_inside_documents(documents, order, skip):
    tokens = tokens_of(documents)
    found = ngram_counts(tokens.ids, tokens.starts, (order, 1), sorted(skip))
    kept = [[w for w in d if w not in skip] for d in documents]
    for k in (1, order):
        grams = Counter(tuple(d[i : i + k]) for d in kept for i in range(len(d) - k + 1))
        assert found[k].tolist() == sorted(grams.values(), reverse=True)


def test_texts_shorter_than_the_order_have_none():
    assert [len(c) for c in ngram_counts(np.array([3]), None, (1, 2, 3)).values()] == [1, 0, 0]
    assert [len(c) for c in ngram_counts(np.zeros(0, int), None, (1, 2)).values()] == [0, 0]
    assert ngram_counts(np.array([1, 1, 1]), None, ()) == {}


@given(documents_of, documents_of, st.integers(1, 4), st.sampled_from(["none", "lines", "open", "inside"]))
def test_matched_orders_agree_with_sets_of_windows(train, test, highest, feeds):
    """feeds: where V - 1 stands: nowhere as a line feed; at the end of each line, of each but the last; inside lines too."""
    bos = -1 if feeds == "none" else V - 1
    if feeds in ("lines", "open"):
        train, test = (
            [[w for w in d if w != V - 1] + [V - 1] for d in documents] for documents in (train, test)
        )
    if feeds == "open" and train and test:
        train[-1], test[-1] = train[-1][:-1] or [1], test[-1][:-1] or [1]
    seen = {tuple(d[i : i + n]) for d in train for n in range(1, highest + 1) for i in range(len(d) - n + 1)}
    expected = [
        max((n for n in range(1, min(highest, t + 1) + 1) if tuple(d[t - n + 1 : t + 1]) in seen), default=0)
        * (d[t] != 0)  # 0 is <unk>
        for d in test
        for t in range(len(d))
    ]
    assert matched_orders(tokens_of(train, bos), tokens_of(test, bos), V, highest).tolist() == expected
