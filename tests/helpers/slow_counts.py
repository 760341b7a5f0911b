"""Counting the obvious way, and small texts to count."""

from collections import Counter

import numpy as np
from hypothesis import strategies as st

from lmbench.text.tokens import Tokens

V = 5
documents_of = st.lists(st.lists(st.integers(0, V - 1), min_size=1, max_size=12), min_size=1, max_size=6)


def tokens_of(documents, bos=0):
    documents = [d for d in documents if len(d)]
    lengths = [len(d) for d in documents] or [0]
    starts = np.cumsum([0, *lengths[:-1]]).astype(np.int64)
    return Tokens(np.array([x for d in documents for x in d], dtype=np.int32), starts, bos)


def slow_counts(documents, order, bos):
    """{n-gram: count}: every window of (bos, x_1, .., x_n), but for the virtual bos alone."""
    counts = Counter()
    for document in documents:
        symbols = [bos, *document]
        for k in range(1, order + 1):
            for i in range(len(symbols) - k + 1):
                counts[tuple(symbols[i : i + k])] += 1
        counts[(bos,)] -= 1
    return counts
