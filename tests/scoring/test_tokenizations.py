"""The sum over all tokenizations of a text: against those of tiny strings, enumerated."""

import functools
import math

import numpy as np
import pytest

from lmbench.corpora.corpus import Corpus, Documents
from lmbench.errors import InputError
from lmbench.models import make_model
from lmbench.scoring.scorer import Scorer
from lmbench.scoring.tokenizations import exact_log_prob, lattice, sampled_log_prob
from lmbench.text.canonical import CanonicalText
from lmbench.text.tokens import Tokens

TRAIN = "banana bandana ban ana\nnab band and an\n" * 12
STRINGS = ["banana", "an and", "bandx", "ana\nban", "é", "\n", " b"]


@functools.cache
def scorer_of(spec="subword:size=14", model="witten-bell", **options):
    corpus = Corpus.of(Documents([TRAIN]), 0.0, 0.0)
    return Scorer.fit(make_model(model, **options), corpus, spec)


def tokenizations(scorer, data):
    """Every sequence of pieces that joins to some bytes, with the nats of its spelling."""
    if not data:
        yield (), 0.0
    tokens = scorer.vocab.tokens
    for i in range(1, len(tokens)):
        piece = scorer.unit.data(tokens[i])
        if data.startswith(piece):
            for rest, nats in tokenizations(scorer, data[len(piece) :]):
                yield (i, *rest), nats
    first = data.decode(errors="ignore")[:1]
    if (
        first
        and data.startswith(first.encode())
        and not any(scorer.unit.data(t) == first.encode() for t in tokens[1:])
    ):
        for rest, nats in tokenizations(scorer, data[len(first.encode()) :]):
            yield (0, *rest), nats + scorer.speller.log_probs([first])[0]


def slow_log_prob(scorer, text):
    total = 0.0
    for ids, spelling in tokenizations(scorer, text.encode()):
        total += math.exp(scorer.model.log_probs(Tokens.of(ids, scorer.vocab.newline)).sum() + spelling)
    return math.log(total)


@pytest.mark.parametrize(
    "spec", ["subword:size=14", "subword:size=16,kind=unigram", "subword:size=262,level=byte"]
)
@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("text", STRINGS)
def test_the_exact_sum_is_that_of_all_tokenizations(spec, order, text):
    scorer = scorer_of(spec, order=order)
    assert exact_log_prob(scorer, text) == pytest.approx(slow_log_prob(scorer, text), rel=1e-12)
    assert lattice(scorer, text).count() == sum(1 for _ in tokenizations(scorer, text.encode()))
    customary = scorer.score(CanonicalText(text, np.zeros(1, dtype=np.int64))).nats.sum()
    assert exact_log_prob(scorer, text) >= customary - 1e-12


@pytest.mark.parametrize("custom", [0.0, 3.0])
@pytest.mark.parametrize("text", ["banana bandx", "an and"])
def test_the_estimate_comes_to_the_sum_and_lies_below_it_on_average(text, custom):
    scorer = scorer_of(order=3)
    exact = exact_log_prob(scorer, text)
    many = sampled_log_prob(scorer, text, 20_000, np.random.default_rng(0), custom)
    assert many.log_prob == pytest.approx(exact, abs=0.05)
    assert 1 <= many.effective <= 20_000
    few = [
        sampled_log_prob(scorer, text, 4, np.random.default_rng(seed), custom).log_prob for seed in range(400)
    ]
    assert np.mean(few) < exact
    assert np.log(np.mean(np.exp(np.array(few) - exact))) == pytest.approx(
        0, abs=0.1
    )  # of p itself it is unbiased


def test_any_model_of_pieces_is_sampled_and_others_are_refused():
    scorer = scorer_of(model="kneser-ney", order=5)
    with pytest.raises(InputError, match=r"rest on 4 tokens; the exact sum is for 2 at most \(-o order=3\)"):
        exact_log_prob(scorer, "banana")
    sampled = sampled_log_prob(scorer, "banana", 3000, np.random.default_rng(0))
    assert sampled.log_prob == pytest.approx(slow_log_prob(scorer, "banana"), abs=0.05)
    with pytest.raises(InputError, match="one tokenization by char"):
        lattice(scorer_of("char"), "banana")
    again = sampled_log_prob(scorer, "banana", 3000, np.random.default_rng(0))
    assert again == sampled
