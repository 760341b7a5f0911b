"""Entropy pruning against the divergence worked out distribution by distribution."""

import numpy as np
import pytest
from ferry import ferry
from slow_counts import V, tokens_of

from lmbench.counts.ngrams import count_ngrams
from lmbench.models import make_model
from lmbench.models.smoothing.pruning import losses, prune_by_entropy

RNG = np.random.default_rng(5)
TRAIN = [RNG.zipf(1.5, 30) % V for _ in range(6)]


def fitted(order=3):
    return (
        make_model("kneser-ney", order=order, discounts="0.5,1,1.5", bits=64)
        .fit(tokens_of(TRAIN), vocab_size=V)
        .table
    )


@pytest.mark.parametrize("k", [2, 3])
def test_losses_are_the_divergences_of_dropping_one(k):
    table = fitted()
    histories = RNG.random(table.sizes[k - 1])
    found = losses(table, k, histories)
    for rank, ngram in enumerate(table.ngrams(k).tolist()):
        *context, word = ngram
        # Only the n-grams of order k decide after a context of k-1 words; they are the highest order here.
        p = fitted_order(k, context)
        lower = fitted_order(k - 1, context[1:])
        seen = table.ngrams(k)[table.prefixes(k) == table.prefixes(k)[rank]][:, -1]
        stays = [w for w in seen if w != word]
        q = lower * (1 - p[stays].sum()) / (1 - lower[stays].sum())
        q[stays] = p[stays]
        assert q.sum() == pytest.approx(1, abs=1e-12)
        divergence = (p * np.log(p / q)).sum()
        assert found[rank] == pytest.approx(histories[table.prefixes(k)[rank]] * divergence, abs=1e-12)


def fitted_order(k, context):
    """(V,) the distribution after k-1 words by the n-grams of orders 1..k of the model."""
    table = fitted()
    if k == 1:
        return table.probs[1]
    lower = fitted_order(k - 1, context[1:])
    ngrams = table.ngrams(k)
    inside = (ngrams[:, :-1] == context).all(axis=1)
    context_rank = np.flatnonzero((table.ngrams(k - 1) == context).all(axis=1))[0]
    p = lower * table.backoffs[k - 1][context_rank]
    p[ngrams[inside, -1]] = table.probs[k][inside]
    return p


@pytest.mark.parametrize("threshold", [1e-5, 1e-3, 0.1, 100.0])
def test_what_is_left_is_a_distribution_and_a_trie(threshold):
    counts = count_ngrams(tokens_of(TRAIN), 3, V)
    histories = [counts.context_counts(k) / counts.counts[0] for k in range(3)]
    table = prune_by_entropy(fitted(), threshold, histories)
    contexts = [np.array(c, dtype=int) for c in ([], [1], [1, 2], [4, 1], [3, 3], [2, 1, 1])]
    np.testing.assert_allclose(table.distributions(contexts, 0).sum(axis=1), 1, rtol=1e-12)
    kept = [{tuple(g) for g in table.ngrams(k).tolist()} for k in range(4)]
    assert all(g[:-1] in kept[k - 1] for k in (2, 3) for g in kept[k])
    if threshold == 100:
        assert table.sizes == [1, V, 0, 0]


def test_the_model_gets_smaller_and_little_worse():
    train, _ = ferry()
    size = len(train.vocab)
    models = [
        make_model("kneser-ney", order=3, prune_entropy=t).fit(train.tokens, vocab_size=size)
        for t in (0, 1e-4, 3e-4, 1e-3)
    ]
    sizes = [sum(m.table.sizes) for m in models]
    assert sizes == sorted(sizes, reverse=True)
    assert len(set(sizes)) == 4
    bits = [-m.log_probs(train.tokens).mean() / np.log(2) for m in models]
    assert bits == sorted(bits)
    assert models[1].notes[-1] == f"kept {sizes[1]:,} of {sizes[0]:,} n-grams"


def test_after_pruning_by_count_too():
    train, test = ferry()
    model = make_model("kneser-ney", order=4, prune="0,0,1", prune_entropy=1e-5, bits=64).fit(
        train.tokens, vocab_size=len(train.vocab)
    )
    rows = np.exp(model.next_log_probs([test.tokens.ids[:n] for n in range(40)], train.tokens.bos))
    np.testing.assert_allclose(rows.sum(axis=1), 1, rtol=1e-12)
