"""Counting against the obvious dictionary of tuples, merging, lookup, document boundaries."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from slow_counts import V, begun, documents_of, slow_counts, symbols_before, tokens_of

from lmbench.counts.ngrams import NgramCounts, count_ngrams, merge, sort_keys
from lmbench.errors import InputError


def as_dict(counts: NgramCounts, k):
    return {tuple(g): n for g, n in zip(counts.ngrams(k).tolist(), counts.counts[k].tolist(), strict=True)}


@given(documents_of, st.integers(1, 5), symbols_before)
def test_counts_equal_a_dictionary_of_tuples(documents, order, bos):
    counts = count_ngrams(tokens_of(documents, bos), order, V)
    slow = slow_counts(documents, order, bos)
    assert as_dict(counts, 1) == {(w,): slow[(w,)] for w in range(V)}
    for k in range(2, order + 1):
        assert as_dict(counts, k) == {g: n for g, n in slow.items() if len(g) == k}
        grams = [tuple(g) for g in counts.ngrams(k).tolist()]
        assert grams == sorted(grams)
        lower = [tuple(g) for g in counts.ngrams(k - 1).tolist()]
        assert [lower[i] for i in counts.suffixes[k]] == [g[1:] for g in grams]
        assert counts.find_suffixes(k).tolist() == counts.suffixes[k].tolist()
        assert [lower[i] for i in counts.prefixes(k)] == [g[:-1] for g in grams]


@given(documents_of, st.integers(2, 4), symbols_before)
def test_left_types_and_context_counts(documents, order, bos):
    counts = count_ngrams(tokens_of(documents, bos), order, V)
    slow = slow_counts(documents, order, bos)
    for k in range(1, order):
        for gram, left, context in zip(
            counts.ngrams(k).tolist(), counts.left_types(k), counts.context_counts(k), strict=True
        ):
            gram = tuple(gram)
            types = sum(len(g) == k + 1 and g[1:] == gram for g in slow)
            starting = k > 1 or bos < 0
            begins = sum(begun(bos, d)[0][:k] == gram for d in documents) if starting else 0
            assert left == types + begins
            assert context == sum(n for g, n in slow.items() if len(g) == k + 1 and g[:-1] == gram)


@given(documents_of, documents_of, st.integers(1, 4), symbols_before)
def test_merged_counts_are_the_counts_of_both(a, b, order, bos):
    merged = merge(count_ngrams(tokens_of(a, bos), order, V), count_ngrams(tokens_of(b, bos), order, V))
    both = count_ngrams(tokens_of([*a, *b], bos), order, V)
    for one, other in (
        (merged.words, both.words),
        (merged.begins, both.begins),
        (merged.counts, both.counts),
        (merged.suffixes, both.suffixes),
    ):
        for x, y in zip(one, other, strict=True):
            assert x.tolist() == y.tolist()
            assert x.dtype == y.dtype


def test_counts_of_different_orders_do_not_merge():
    tokens = tokens_of([[1, 2]])
    with pytest.raises(ValueError, match="same order"):
        merge(count_ngrams(tokens, 2, V), count_ngrams(tokens, 3, V))


@given(documents_of, documents_of, st.integers(1, 4), symbols_before)
def test_walk_finds_every_ngram_and_stays_in_the_document(train, test, order, bos):
    counts = count_ngrams(tokens_of(train, bos), order, V)
    walk = counts.walk(tokens_of(test, bos))
    rank_of = [{tuple(g): i for i, g in enumerate(counts.ngrams(k).tolist())} for k in range(order + 1)]
    t = 0
    for document in test:
        symbols, first = begun(bos, document)
        for end in range(first + 1, len(symbols) + 1):
            for k in range(1, order + 1):
                gram = symbols[end - k : end] if k <= end else None
                assert walk.grams(k)[t] == rank_of[k].get(gram, -1)
                context = symbols[end - k : end - 1] if k <= end else None
                assert walk.contexts(k - 1)[t] == rank_of[k - 1].get(context, -1)
            t += 1
    assert t == len(walk.places)


@given(documents_of, st.integers(2, 4), symbols_before)
def test_an_index_finds_what_bisection_finds(train, order, bos):
    plain, indexed = (count_ngrams(tokens_of(train, bos), order, V) for _ in range(2))
    indexed.prepare(10**9)
    assert set(indexed.index) == {k for k in range(2, order + 1) if indexed.sizes[k]}
    for k in range(2, order + 1):
        every = np.divmod(np.arange(plain.sizes[k - 1] * V), V)
        assert plain.find(k, *every).tolist() == indexed.find(k, *every).tolist()
    assert not plain.index


def test_children_are_the_words_that_follow():
    # 1 2 | 1 3 | 1 2 after the virtual 0: bigrams 0 1, 1 2, 1 3; the children of 1 are 1 2 and 1 3.
    counts = count_ngrams(tokens_of([[1, 2], [1, 3], [1, 2]]), 2, V)
    first, last = counts.children(1, np.array([1, 4]))
    assert counts.words[2][first[0] : last[0]].tolist() == [2, 3]
    assert first[1] == last[1]


def test_long_keys_that_do_not_pack_with_their_position():
    # 31-bit ids: rank · V + word needs 62 bits, so that key and position need two integers.
    big = 2**31 - 1
    keys = np.array([5 * big + 7, 3, 5 * big + 7, 4 * big], dtype=np.int64)
    ordered, where = sort_keys(keys, np.arange(4), 2**62)
    assert ordered.tolist() == [3, 4 * big, 5 * big + 7, 5 * big + 7]
    assert where[:2].tolist() == [1, 3]
    assert sorted(where[2:].tolist()) == [0, 2]


def test_orders_beyond_the_data_are_empty():
    counts = count_ngrams(tokens_of([[1, 2]]), 6, V)
    assert counts.sizes == [1, V, 2, 1, 0, 0, 0]  # 0 1, 1 2; 0 1 2
    assert counts.walk(tokens_of([[1, 2, 3]])).grams(6).tolist() == [-1, -1, -1]


def test_an_order_below_one_is_refused():
    with pytest.raises(InputError, match="must be 1 to 999, not 0"):
        count_ngrams(tokens_of([[1]]), 0, V)
