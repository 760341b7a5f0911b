"""How often n-grams occur, as a value.

In: ``Tokens``. Out: ``NgramCounts`` over a trie laid flat, counted in memory or on disk; counts of two texts merge
into the counts of both.
"""

from lmbench.counts.ngrams import NgramCounts, count_ngrams, merge
from lmbench.counts.spilling import count_within
from lmbench.counts.trie import NgramTrie

__all__ = ["NgramCounts", "NgramTrie", "count_ngrams", "count_within", "merge"]
