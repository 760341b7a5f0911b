"""Counting the obvious way, and small texts to count."""

from collections import Counter

import numpy as np
from hypothesis import strategies as st

from lmbench.text.tokens import Tokens

V = 5
symbols_before = st.integers(-1, V - 1)  # a document; -1: nothing
documents_of = st.lists(st.lists(st.integers(0, V - 1), min_size=1, max_size=12), min_size=1, max_size=6)


def tokens_of(documents, bos=0):
    documents = [d for d in documents if len(d)]
    lengths = [len(d) for d in documents] or [0]
    starts = np.cumsum([0, *lengths[:-1]]).astype(np.int64)
    return Tokens(np.array([x for d in documents for x in d], dtype=np.int32), starts, bos)


def begun(bos, document):
    """A document with the symbol that stands before it, and how many there are of these: 1, or of nothing 0."""
    return (tuple(document), 0) if bos < 0 else ((bos, *document), 1)


def slow_counts(documents, order, bos):
    """{n-gram: count}: every window of (bos, x_1, .., x_n), but for the virtual bos alone."""
    counts = Counter()
    for document in documents:
        symbols, _ = begun(bos, document)
        for k in range(1, order + 1):
            for i in range(len(symbols) - k + 1):
                counts[tuple(symbols[i : i + k])] += 1
        if bos >= 0:
            counts[(bos,)] -= 1
    return counts
