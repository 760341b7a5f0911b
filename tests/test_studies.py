"""Studies on texts whose answers are known beforehand."""

import json
import math

import numpy as np
import pytest

from lmbench.corpus import Corpus, divide
from lmbench.files import InputError
from lmbench.models import make_model
from lmbench.ngrams import count_ngrams
from lmbench.sources import make_source
from lmbench.studies import STUDIES, run_study, study_function
from lmbench.studies.markov import fitted_entropy
from lmbench.text import CanonicalText, Tokens


def corpus_of(source, length, seed=1):
    """A corpus that a source of known entropy rate wrote."""
    text = CanonicalText.of([source.generate(length, np.random.default_rng(seed))])
    train, valid, test = divide(text, (0.8, 0.1, 0.1))
    return Corpus("made", train, valid, test, entropy_rate=source.entropy_rate)


def plain(study):
    """What must be the same for the same seed."""
    return study.table.to_csv(), list(study.sentences), json.dumps(study.facts, allow_nan=False)


def test_every_study_can_be_loaded_and_says_what_it_asks():
    for name, (_, question) in STUDIES.items():
        assert callable(study_function(name))
        assert question.endswith("?")


def test_unknown_studies_and_options_are_refused():
    corpus = corpus_of(make_source("golden-mean"), 2000)
    with pytest.raises(InputError, match="markov"):
        run_study("markoff", corpus)
    with pytest.raises(InputError, match="unit"):
        run_study("markov", corpus, units="char")


@pytest.mark.parametrize("name", ["zipf", "markov", "tails"])
def test_texts_that_are_too_short_are_refused(name):
    text = CanonicalText.of(["too short a text\n"])
    with pytest.raises(InputError, match="at least"):
        run_study(name, Corpus("short", text, text, text))


# zipf ----------------------------------------------------------------------------------------------


def test_zipf_finds_a_planted_exponent_in_the_text_and_in_what_the_unigram_model_writes(monkeypatch):
    from lmbench.studies import zipf

    monkeypatch.setattr(zipf, "WRITERS", {"word 1-gram": ("unigram", "word", {})})
    monkeypatch.setattr(zipf, "goodness_of_fit", lambda *_: 0.5)  # has its own tests, and takes its time
    source = make_source("zipf-mandelbrot", types=300, alpha=1.2, b=0.0)
    corpus = corpus_of(source, 60_000)
    study = run_study("zipf", corpus)
    real, same_length, written = (study.table.iloc[i] for i in (0, 3, 4))
    # Split halves have no bias of ranks; its spread over splits is below 0.01 here.
    assert real["split_half"] == pytest.approx(1.2, abs=0.03)
    assert real["rank_low"] < real["rank_likelihood"] < real["rank_high"]
    # The words are independent, so the unigram model is the truth but for smoothing.
    assert written["rank_likelihood"] == pytest.approx(same_length["rank_likelihood"], abs=0.06)
    assert plain(study) == plain(run_study("zipf", corpus))


# markov --------------------------------------------------------------------------------------------


def test_markov_finds_the_order_and_the_rate_of_a_planted_chain():
    source = make_source("markov", order=2, symbols=3, table=6)
    study = run_study("markov", corpus_of(source, 40_000))
    known = source.conditional_entropies(4)
    bits = study.table["Laplace_bits"]
    for order in (
        0,
        1,
        2,
        3,
    ):  # 4,000 test characters, deviation of −log2 p below 1.5: 3 · 1.5 / √4000 = 0.07
        assert bits[order] == pytest.approx(known[order], abs=0.07)
        assert study.table["fitted_entropy"][order] == pytest.approx(known[order], abs=0.03)
    assert bits[2] < bits[1] < bits[0]
    assert bits[8] < bits[2] + 0.03
    assert study.facts["simulation"] < 0.02


def test_markov_of_a_first_order_chain_knows_its_eigenvalue():
    # Golden Mean: P = [[1/2, 1/2], [1, 0]] has eigenvalues 1 and -1/2; rate 2/3 bit.
    study = run_study("markov", corpus_of(make_source("golden-mean"), 30_000))
    assert study.facts["lambda2"] == pytest.approx(0.5, abs=0.02)
    assert study.facts["entropy_rate"] == pytest.approx(2 / 3, abs=0.01)
    assert study.facts["mixing_steps"] in (
        6,
        7,
    )  # worst start is 2/3 · 2^-k away: below 0.01 from k = 7 on (6: 0.0104)


def test_fitted_entropy_by_hand():
    # a→b, b→a, a→b, b→b, b→a with the start's a: contexts a: b b; b: a b a; and the first token after bos.
    ids = np.array([1, 2, 1, 2, 2, 1], dtype=np.int32)
    counts = count_ngrams(Tokens(ids, np.zeros(1, dtype=np.int64), 0), 2, 3)
    one_third = 1 / 3 * math.log2(3) + 2 / 3 * math.log2(3 / 2)
    assert fitted_entropy(counts, 1) == pytest.approx(3 * one_third / 6)
    assert fitted_entropy(counts, 0) == pytest.approx(1.0)


# tails ---------------------------------------------------------------------------------------------


def test_where_all_words_are_alike_a_training_count_tells_nothing():
    # 2,000 words, all equally likely: whatever its count r in training, a word comes N / 2000 times in as much
    # held-out text, and Good–Turing knows it: for Poisson counts (r + 1) N_{r+1} / N_r is the mean.
    corpus = corpus_of(make_source("zipf-mandelbrot", types=2000, alpha=0.0, b=0.0, line=1000), 60_000)
    study = run_study("tails", corpus)
    words = len(corpus.encoded("word", "train").tokens)
    one = study.table[(study.table["order"] == 1) & study.table["r"].between(2, 7)]
    turing = one[one["smoothing"] == "Good–Turing"]
    raw = one[one["smoothing"] == "Laplace, ε = 1"]
    assert len(turing) == 6
    for row in turing.itertuples():
        assert abs(row.held_out - words / 2000) < 4 * row.held_out_relative_error * row.held_out
    assert turing["expected"].mean() == pytest.approx(words / 2000, rel=0.1)
    # n / (n + 1) of the count is left: 2..7 are expected as often as they were seen, right or wrong.
    assert raw["expected"].to_numpy() == pytest.approx(np.arange(2, 8), rel=0.05)
    assert plain(study) == plain(run_study("tails", corpus))


def test_expected_and_observed_counts_agree_with_counting_word_by_word():
    from lmbench.studies.tails import Places

    rng = np.random.default_rng(2)
    train = Tokens(rng.integers(1, 6, 300).astype(np.int32), np.array([0, 100, 101]), 1)
    text = CanonicalText.of(["".join(rng.choice(list("abcdef\n"), 80)) + "\n" for _ in range(3)])
    made = Corpus("made", CanonicalText.of(["abcde\nf"]), text, text)
    held_out = made.encoded("char", "test")
    size = len(held_out.vocab)
    for order in (1, 2, 3):
        counts = count_ngrams(train, order, size)
        model = make_model("laplace", order=order, eps=(2.0,)).fit(train, None, size)
        places = Places.of(counts, held_out)
        of_gram = {
            tuple(g): n for g, n in zip(counts.ngrams(order).tolist(), counts.counts[order], strict=True)
        }
        observed, expected = np.zeros(10), np.zeros(10)
        for document in held_out.tokens.documents():
            symbols = [held_out.tokens.bos, *document.tolist()]
            for t in range(max(1, order - 1), len(symbols)):
                context = tuple(symbols[t - order + 1 : t])
                p = np.exp(model.next_log_probs(np.array(symbols[1:t], dtype=np.int32), held_out.tokens.bos))
                for word in range(size):
                    r = of_gram.get((*context, word), 0)
                    if r < 10:
                        expected[r] += p[word]
                        observed[r] += word == symbols[t]
        assert places.observed.sum(axis=0) == pytest.approx(observed)
        assert places.expected(counts, model) == pytest.approx(expected)
