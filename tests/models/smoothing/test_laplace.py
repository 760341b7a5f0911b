"""Recursive Laplace smoothing against the formula written out, and its constants tuned on held-out text."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from slow_counts import V, begun, documents_of, symbols_before, tokens_of

from lmbench.errors import InputError
from lmbench.models import make_model
from lmbench.text.tokens import Tokens


class SlowLaplace:
    """The formula, by recursion over tuples."""

    def __init__(self, documents, eps, vocab_size, bos):
        self.eps, self.vocab_size = eps, vocab_size
        self.grams, self.contexts = Counter(), Counter()
        for document in documents:
            symbols, first = begun(bos, document)
            for t in range(first, len(symbols)):
                for k in range(min(len(eps), t + 1)):
                    self.grams[symbols[t - k : t + 1]] += 1
                    self.contexts[symbols[t - k : t]] += 1

    def p(self, word, context):
        e = self.eps[len(context)]
        lower = self.p(word, context[1:]) if context else 1 / self.vocab_size
        if self.contexts[context] + e == 0:
            return lower
        return (self.grams[(*context, word)] + e * lower) / (self.contexts[context] + e)


@given(
    documents_of,
    documents_of,
    st.lists(st.sampled_from([0.0, 0.1, 1.0, 30.0]), min_size=1, max_size=4),
    symbols_before,
)
def test_probabilities_follow_the_formula(train, test, eps, bos):
    order = len(eps)
    model = make_model("laplace", order=order, eps=eps).fit(tokens_of(train, bos), vocab_size=V)
    slow = SlowLaplace(train, eps, V, bos)
    expected, contexts = [], []
    for document in test:
        symbols, first = begun(bos, document)
        for t in range(first, len(symbols)):
            context = symbols[max(0, t - order + 1) : t]
            expected.append(slow.p(symbols[t], context))
            contexts.append(document[: t - first])
    found = np.exp(model.log_probs(tokens_of(test, bos)))
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    rows = np.exp(model.next_log_probs([np.array(c, dtype=int) for c in contexts], bos))
    np.testing.assert_allclose(rows.sum(axis=1), 1, rtol=1e-12)
    np.testing.assert_allclose(rows[np.arange(len(rows)), [w for d in test for w in d]], expected, rtol=1e-12)


def test_a_bigram_by_hand():
    # Train 1 2 1 2 after the virtual 0, V = 3, ε = 1, 1.  p(1) = (2 + 1/3)/5, p(2) the same, p(0) = (1/3)/5.
    # 1 is a context twice, followed by 2 twice: p(2|1) = (2 + p(2))/3; 2 is a context once: p(1|2) = (1 + p(1))/2.
    model = make_model("bigram", eps="1,1").fit(Tokens.of([1, 2, 1, 2], 0), vocab_size=3)
    p1 = (2 + 1 / 3) / 5
    np.testing.assert_allclose(
        np.exp(model.log_probs(Tokens.of([1, 2, 1], 0))),
        [(1 + p1) / 2, (2 + p1) / 3, (1 + p1) / 2],
        rtol=1e-14,
    )
    assert np.exp(model.next_log_probs([1])[0]) == pytest.approx((1 / 3 / 5) / 3)


def test_relative_frequencies_give_impossible_tokens_minus_infinity():
    model = make_model("unigram", eps=0).fit([1, 1, 2], vocab_size=4)
    assert model.log_probs([1, 3]).tolist() == [np.log(2 / 3), -np.inf]


def test_tuned_constants_are_at_the_top_of_the_held_out_likelihood():
    rng = np.random.default_rng(3)
    words = rng.zipf(1.5, 6000) % 40
    text = np.repeat(words, rng.integers(1, 4, 6000))  # words repeat, so that the context matters
    train, valid = text[:9000], text[9000:]
    tuned = make_model("trigram").fit(train, valid, vocab_size=40)
    eps = [float(e) for e in tuned.notes[0].removeprefix("eps=").split(" ")[0].split(",")]
    best = tuned.log_probs(valid).sum()
    for k in range(3):
        for factor in (0.8, 1.25):
            near = [e * factor if j == k else e for j, e in enumerate(eps)]
            assert make_model("trigram", eps=near).fit(train, vocab_size=40).log_probs(valid).sum() < best


def test_held_out_text_is_asked_for_only_when_tuning():
    with pytest.raises(InputError, match="held-out"):
        make_model("trigram").fit([1, 2])
    make_model("trigram", eps=1).fit([1, 2])


def test_an_order_beyond_the_text_is_tuned_all_the_same():
    model = make_model("laplace", order=4).fit([0], [0], vocab_size=2)
    assert np.exp(model.next_log_probs([0, 0, 0])).sum() == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("eps", ["1,2", "-1,1,1", "inf,1,1", "tuna"])
def test_impossible_constants_are_refused(eps):
    with pytest.raises(InputError, match="eps"):
        make_model("trigram", eps=eps)


def test_saved_and_restored_bit_for_bit():
    text = np.random.default_rng(0).integers(0, 9, 500)
    model = make_model("trigram", eps="1,2,3").fit(text, vocab_size=9)
    other = make_model("trigram", eps="1,2,3")
    other.restore(model.state(), 9)
    other.vocab_size = 9
    assert other.log_probs(text[::-1]).tolist() == model.log_probs(text[::-1]).tolist()
