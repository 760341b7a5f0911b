"""Numbers of one run: the arithmetic, the interval, what JSON can hold."""

import json
import math

import numpy as np
import pytest

from lmbench.comparing.metrics import summary
from lmbench.scoring.scores import Scores
from lmbench.text.canonical import CanonicalText


def scores_of(log_probs, widths=None, starts=(0,), spelling=None, oov=None, bytes_=None, words=None):
    log_probs = np.asarray(log_probs, dtype=float)
    n = len(log_probs)
    ends = np.cumsum(np.ones(n, dtype=np.int64) if widths is None else np.asarray(widths, dtype=np.int64))
    chars = int(ends[-1]) if n else 0
    return Scores(
        log_probs=log_probs,
        ends=ends,
        oov=np.zeros(n, dtype=bool) if oov is None else np.asarray(oov),
        spelling=np.zeros(n) if spelling is None else np.asarray(spelling, dtype=float),
        starts=np.asarray(starts, dtype=np.int64),
        chars=chars,
        bytes=chars if bytes_ is None else bytes_,
        words=n if words is None else words,
        vocab_size=7,
    )


def test_totals_by_hand():
    half = math.log(0.5)
    scores = scores_of([half, 2 * half, half], [2, 3, 1], spelling=[0, 4 * half, 0], oov=[False, True, False])
    s = summary(scores)
    assert s["log_prob"] == pytest.approx(4 * half)
    assert s["spelling_log_prob"] == pytest.approx(4 * half)
    assert s["perplexity"] == pytest.approx(2 ** (4 / 3))  # 4 bits over 3 tokens
    assert s["perplexity_excluding_oov"] == pytest.approx(2)
    assert s["bits_per_char"] == pytest.approx(8 / 6)  # 4 + 4 bits, 6 characters
    assert (s["tokens"], s["oov"], s["chars"], s["vocab_size"]) == (3, 1, 6, 7)


def test_interval_of_independent_tokens():
    rng = np.random.default_rng(3)
    losses = rng.exponential(2 * math.log(2), 4000)  # 2 bits each, sd 2 bits
    s = summary(scores_of(-losses))
    # Standard error 2/√4000 = 0.0316 bits, and more for what is not known of the text's memory.
    assert 0.03 < s["standard_error"] < 0.07
    low, high = s["ci95"]
    assert high - low == pytest.approx(2 * 1.96 * s["standard_error"], rel=0.01)
    assert low * high == pytest.approx(s["bits_per_char"] ** 2)  # symmetric in the logarithm
    assert 800 < s["n_eff"] < 4800
    assert s["resolvable_difference"] > 2.3 * s["standard_error"]
    assert s["ci95_method"] == "stream"
    # Perplexity: the ends are exponentials of the ends of the mean loss, here bits_per_char · ln 2.
    np.testing.assert_allclose(np.log(s["ci95_perplexity"]), np.array(s["ci95"]) * math.log(2), rtol=1e-9)
    wider = s["prediction95"]
    assert wider[0] < low < high < wider[1]


def test_repeated_losses_count_once():
    losses = np.repeat(np.random.default_rng(4).exponential(1, 1000), 10)  # ten tokens say what one would
    s = summary(scores_of(-losses))
    assert s["n_eff"] < 1300


def test_interval_of_a_ratio():
    # Every token costs 3 bits a character: no error at all, however wide the tokens.
    widths = np.random.default_rng(5).integers(1, 9, 500)
    s = summary(scores_of(-3 * math.log(2) * widths, widths))
    np.testing.assert_allclose(s["ci95"], 3, rtol=1e-6)
    assert s["bits_per_char"] == pytest.approx(3)
    assert s["n_eff"] is None


def test_other_denominators_scale():
    s = summary(scores_of(-np.random.default_rng(6).exponential(1, 300), bytes_=600, words=100))
    np.testing.assert_allclose(s["ci95_bits_per_byte"], np.array(s["ci95"]) / 2)
    np.testing.assert_allclose(s["ci95_bits_per_word"], np.array(s["ci95"]) * 3)


def test_documents_are_the_units():
    rng = np.random.default_rng(7)
    losses = np.repeat(rng.exponential(1, 40), 100)  # a document's hundred tokens cost the same
    s = summary(scores_of(-losses, starts=np.arange(0, 4000, 100)))
    assert s["ci95_method"] == "documents"
    assert s["effective_documents"] == pytest.approx(40)
    sd = losses[::100].std(ddof=1) / math.log(2)
    assert s["standard_error"] == pytest.approx(sd / math.sqrt(40) * 2.0227 / 1.96, rel=1e-3)
    lines = summary(scores_of(-losses, starts=np.arange(0, 4000, 100)), lines=True)
    assert lines["ci95_method"] == "stream"
    alone = summary(scores_of(-losses, starts=[0, 3900]))
    assert alone["ci95"] == [None, None]
    assert "2 documents, the longest 98% of the text" in alone["ci95_note"]


def test_infinite_loss():
    losses = np.random.default_rng(8).exponential(1, 1000)
    losses[500] = np.inf
    s = summary(scores_of(-losses))
    assert s["infinite_tokens"] == 1
    assert s["bits_per_char"] is None
    assert s["perplexity"] is None
    low, high = s["ci95"]
    assert high is None
    assert 1.1 < low < 1 / math.log(2)  # what the other tokens cost is a lower bound
    assert s["ci95_perplexity"][1] is None
    losses[:] = np.inf
    assert summary(scores_of(-losses))["ci95"] == [0, None]
    json.dumps(s, allow_nan=False)


def test_no_interval_goes_below_zero():
    losses = np.zeros(64)
    losses[5] = 3.0  # one token costs all
    low, _ = summary(scores_of(-losses))["ci95"]
    assert low > 0
    assert summary(scores_of(-losses))["ci95_perplexity"][0] > 1


@pytest.mark.parametrize("n", [0, 1, 2, 3, 9])
def test_short_texts_are_json(n):
    scores = scores_of(-np.arange(1.0, n + 1), starts=[0] if n else [])
    s = json.loads(json.dumps(summary(scores), allow_nan=False))
    assert s["tokens"] == n
    assert s["ci95"] == [None, None]
    assert s["ci95_note"]


def test_hopeless_model_overflows_quietly():
    s = summary(scores_of([-800.0] * 10))
    assert s["perplexity"] is None
    assert s["ci95_perplexity"] == [None, None]
    assert s["bits_per_char"] == pytest.approx(800 / math.log(2))


def test_deterministic():
    scores = scores_of(-np.random.default_rng(9).exponential(1, 300))
    assert summary(scores) == summary(scores)


def test_intervals_a_word_are_of_words_as_they_lie_in_the_text():
    # Every word costs four bits, however long: no error at all a word, but one a character.
    rng = np.random.default_rng(1)
    words = ["x" * n for n in rng.integers(1, 12, 400)]
    text = CanonicalText.of([" ".join(words)])
    widths = [len(w) + (i > 0) for i, w in enumerate(words)]
    scores = scores_of(-4 * math.log(2) * np.ones(400), widths, words=400)
    s = summary(scores, text=text)
    np.testing.assert_allclose(s["ci95_bits_per_word"], 4, rtol=1e-6)
    low, high = s["ci95"]
    assert high - low > 0.02
    np.testing.assert_allclose(s["ci95_bits_per_byte"], s["ci95"])
    assert summary(scores)["ci95_bits_per_word"][0] < 3.99
