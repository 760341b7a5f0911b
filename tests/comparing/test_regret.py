"""What models spend above the source: against probabilities multiplied out, and on texts where the rate misleads."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from lmbench.comparing.regret import regret, source_run
from lmbench.corpora.corpus import Corpus
from lmbench.corpora.sources import even_process, golden_mean, grammar, hidden_markov, make_source, markov
from lmbench.models import make_model
from lmbench.scoring.run import Run, Signature
from lmbench.scoring.scorer import Scorer


@pytest.mark.parametrize(
    "source", [golden_mean(0.3), even_process(0.4), hidden_markov(), markov(order=2, symbols=3)]
)
def test_a_source_scores_text_as_the_sum_over_all_paths_of_states(source):
    rng = np.random.default_rng(1)
    states = range(len(source.stationary))
    for _ in range(5):
        text = source.generate(4, rng)
        total = 0.0
        for path in itertools.product(states, repeat=5):
            p = source.stationary[path[0]]
            for s, t, symbol in zip(path, path[1:], text, strict=False):
                p *= source.moves[source.alphabet.index(symbol), s, t]
            total += p
        assert source.log_probs(text).sum() == pytest.approx(np.log(total))


def test_next_characters_probabilities_sum_to_one_and_impossible_texts_have_none():
    source = even_process()
    before = "abba"
    p = [np.exp(source.log_probs(before + symbol)[-1]) for symbol in "ab"]
    assert sum(p) == pytest.approx(1)
    assert np.isneginf(golden_mean().log_probs("abba")[2:]).all()
    assert np.isneginf(golden_mean().log_probs("axa")[1:]).all()
    assert golden_mean().log_probs("").shape == (0,)


def test_a_source_spends_its_rate_in_the_long_run():
    source = make_source("markov", order=3, symbols=5)
    bits = -source.log_probs(source.generate(60_000, np.random.default_rng(2))) / np.log(2)
    assert bits.mean() == pytest.approx(source.entropy_rate[0], abs=4 * bits.std() / 60_000**0.5)


def run_of(corpus, model, **options):
    scorer = Scorer.fit(make_model(model, **options), corpus, "char", 0)
    return Run(
        corpus.name, model, scorer.score(corpus.text("test")), Signature.of(corpus, "char", "document", 0)
    )


def test_regret_is_what_a_model_spends_above_the_source_even_where_it_spends_less_than_the_rate():
    source = golden_mean(0.5)
    for seed in range(40):  # a short test text which is easier than most
        corpus = Corpus.of(source, length=4000, seed=seed)
        run = run_of(corpus, "laplace", order=2)
        if run.scores.bits_per_char < source.entropy_rate[0] - 0.005:
            break
    known = source_run(corpus)
    found = regret(run, known)
    assert run.scores.bits_per_char < 2 / 3
    assert known.scores.bits_per_char < 2 / 3
    assert found.source_bits_per_char == pytest.approx(known.scores.bits_per_char)
    assert found.regret_bits_per_char == pytest.approx(run.scores.bits_per_char - known.scores.bits_per_char)
    # Two parameters learnt from 2,800 characters: some 2 · log2(e) / 2 / 2800 = 0.0005 bits.
    assert -0.003 < found.regret_bits_per_char < 0.01
    worse = regret(run_of(corpus, "unigram"), known)
    assert worse.ci95[0] > 0.1
    assert regret(replace(known, label="again"), known).regret_bits_per_char == 0


def test_texts_that_no_source_scores_have_no_regret():
    assert source_run(Corpus.of(grammar(), length=3000)) is None
    assert source_run(Corpus.of(markov(), length=3000, normalise="none")) is not None
    assert source_run(replace(Corpus.of(golden_mean(), length=3000), source=None)) is None
    assert source_run(replace(Corpus.of(golden_mean(), length=3000), source=markov(symbols=2))) is None
