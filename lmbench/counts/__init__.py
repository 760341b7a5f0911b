"""How often n-grams occur, as a value and as files.

In: ``Tokens``. Out: ``Counts``: those in memory are a trie laid flat, and two texts' merge into the counts of both; those in files
are made by tasks, here, in processes or on a cluster, and are estimated in the same way. ``unpadded`` answers what is asked of a text's n-grams beside models.
"""

from lmbench.counts.ngrams import NgramCounts, count_ngrams, merge
from lmbench.counts.sharded import ShardedCounts, count_shards
from lmbench.counts.trie import NgramTrie
from lmbench.counts.unpadded import matched_orders, ngram_counts

__all__ = [
    "NgramCounts",
    "NgramTrie",
    "ShardedCounts",
    "count_ngrams",
    "count_shards",
    "matched_orders",
    "merge",
    "ngram_counts",
]
