"""The cache against counting by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from slow_counts import V, documents_of, symbols_before, tokens_of

from lmbench.errors import InputError
from lmbench.models import make_model
from lmbench.models.laws import check_model


def slow(documents, order, window, strength, unigrams, bos):
    """One token after another, comparing its context with that of each of the last ``window`` tokens."""
    read = []  # (all of the document before a token, the token)
    found = []
    for document in documents:
        for t, word in enumerate(document):
            past = (bos, *document[:t])
            p = unigrams[word]
            for k in range(order):
                context = past[len(past) - k :] if k <= len(past) else ("short", len(past))
                alike = [
                    w
                    for before, w in read[max(0, len(read) - window) :]
                    if (before[len(before) - k :] if k <= len(before) else ("short", len(before))) == context
                    and (k <= len(past) or before == past)
                ]
                p = (alike.count(word) + strength * p) / (len(alike) + strength)
            found.append(p)
            read.append((past, word))
    return found


@given(documents_of, documents_of, st.integers(1, 3), st.integers(0, 6), symbols_before)
def test_probabilities_follow_the_formula(train, test, order, window, bos):
    model = make_model("cache", order=order, window=window, strength=0.7).fit(
        tokens_of(train, bos), vocab_size=V
    )
    words = [w for document in train for w in document]
    unigrams = [(words.count(w) + 1) / (len(words) + V) for w in range(V)]
    expected = slow(test, order, window, 0.7, unigrams, bos)
    np.testing.assert_allclose(np.exp(model.log_probs(tokens_of(test, bos))), expected, rtol=1e-12)


@given(st.lists(st.integers(0, V - 1), max_size=20), st.integers(1, 3), st.integers(0, 6), symbols_before)
def test_the_next_distribution_is_the_scored_one(document, order, window, bos):
    model = make_model("cache", order=order, window=window).fit([0, 1], vocab_size=V)
    row = model.next_log_probs(document, bos)
    scored = [model.log_probs(tokens_of([[*document, w]], bos))[-1] for w in range(V)]
    np.testing.assert_allclose(row, scored, rtol=1e-12)


@given(documents_of, st.integers(1, 3), st.integers(0, 6), st.integers(0, V - 1))
def test_scores_are_taken_from_the_distributions_from_one_document_to_the_next(documents, order, window, bos):
    model = make_model("cache", order=order, window=window).fit([0, 1], vocab_size=V)
    tokens = tokens_of(documents, bos)
    rows = model.distributions(tokens)
    assert np.array_equal(rows[np.arange(len(tokens)), tokens.ids], model.log_probs(tokens))
    np.testing.assert_allclose(np.exp(rows).sum(axis=1), 1, rtol=1e-12)


@pytest.mark.parametrize("options", [{"strength": 1e-200}, {"order": 127, "strength": 1e-3}])
def test_what_is_less_than_a_number_can_be_is_not_nothing(options):
    tokens = tokens_of([[0] * 200 + [1, 0]])
    model = make_model("cache", **options).fit([0, 1], vocab_size=V)
    rows = model.distributions(tokens)
    for log_probs in (model.log_probs(tokens), rows, model.next_log_probs(tokens)):
        assert np.isfinite(log_probs).all()
    np.testing.assert_allclose(np.exp(rows).sum(axis=1), 1, rtol=1e-12)


@pytest.mark.parametrize("options", [{}, {"order": 1}, {"window": 0}, {"window": 10_000}])
def test_laws(options):
    assert check_model(make_model("cache", **options)) == {}


@pytest.mark.parametrize("options", [{"order": 0}, {"window": -1}, {"strength": 0}, {"strength": "inf"}])
def test_impossible_options_are_refused(options):
    with pytest.raises(InputError, match=next(iter(options))):
        make_model("cache", **options)
