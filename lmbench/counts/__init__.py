"""How often n-grams occur, as a value.

In: ``Tokens``. Out: ``NgramCounts`` over a trie laid flat, counted in memory or on disk; counts of two texts merge
into the counts of both. ``unpadded`` answers what is asked of a text's n-grams beside models.
"""

from lmbench.counts.ngrams import NgramCounts, count_ngrams, merge
from lmbench.counts.spilling import count_within
from lmbench.counts.trie import NgramTrie
from lmbench.counts.unpadded import matched_orders, ngram_counts

__all__ = [
    "NgramCounts",
    "NgramTrie",
    "count_ngrams",
    "count_within",
    "matched_orders",
    "merge",
    "ngram_counts",
]
