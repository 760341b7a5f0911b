"""Numbers of one run: the arithmetic, the interval, what JSON can hold."""

import json
import math

import numpy as np
import pytest

from lmbench.comparing.metrics import summary
from lmbench.scoring.scores import Scores


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
    # Standard error 2/√4000 = 0.0316 bits; half width 1.96 of them.
    assert s["standard_error"] == pytest.approx(0.0316, rel=0.08)
    low, high = s["ci95"]
    assert high - low == pytest.approx(2 * 1.96 * s["standard_error"], rel=0.06)
    assert (low + high) / 2 == pytest.approx(s["bits_per_char"])
    assert s["n_eff"] == pytest.approx(4000, rel=0.2)
    assert s["resolvable_difference"] == pytest.approx(2.8 * s["standard_error"])
    assert s["resampled"] == "tokens"
    # Perplexity: the ends are exponentials of the ends of the mean loss, here bits_per_char · ln 2.
    np.testing.assert_allclose(np.log(s["ci95_perplexity"]), np.array(s["ci95"]) * math.log(2), rtol=1e-12)


def test_repeated_losses_count_once():
    losses = np.repeat(np.random.default_rng(4).exponential(1, 1000), 10)  # ten tokens say what one would
    s = summary(scores_of(-losses))
    assert s["n_eff"] == pytest.approx(1000, rel=0.25)


def test_interval_of_a_ratio():
    # Every token costs 3 bits a character: no error at all, however wide the tokens.
    widths = np.random.default_rng(5).integers(1, 9, 500)
    s = summary(scores_of(-3 * math.log(2) * widths, widths))
    np.testing.assert_allclose(s["ci95"], 3)
    assert s["bits_per_char"] == pytest.approx(3)
    assert s["n_eff"] is None


def test_other_denominators_scale():
    s = summary(scores_of(-np.random.default_rng(6).exponential(1, 300), bytes_=600, words=100))
    np.testing.assert_allclose(s["ci95_bits_per_byte"], np.array(s["ci95"]) / 2)
    np.testing.assert_allclose(s["ci95_bits_per_word"], np.array(s["ci95"]) * 3)


def test_documents_are_resampled_whole():
    rng = np.random.default_rng(7)
    losses = np.repeat(rng.exponential(1, 200), 20)  # a document's twenty tokens cost the same
    s = summary(scores_of(-losses, starts=np.arange(0, 4000, 20)))
    assert s["resampled"] == "documents"
    sd = losses.std() / math.log(2)
    assert s["standard_error"] == pytest.approx(sd / math.sqrt(200), rel=0.1)
    assert summary(scores_of(-losses, starts=np.arange(0, 4000, 100)))["resampled"] == "tokens"  # only 40


def test_infinite_loss():
    losses = np.random.default_rng(8).exponential(1, 1000)
    losses[500] = np.inf
    s = summary(scores_of(-losses))
    assert s["infinite_tokens"] == 1
    assert s["bits_per_char"] is None
    assert s["perplexity"] is None
    low, high = s["ci95"]
    assert high is None
    assert 1.2 < low < 1 / math.log(2)  # a resample may miss the token (1 in e) and is then near 1 nat
    losses[:] = np.inf
    assert summary(scores_of(-losses))["ci95"] == [None, None]
    json.dumps(s, allow_nan=False)


@pytest.mark.parametrize("n", [0, 1, 2, 3, 9])
def test_short_texts_are_json(n):
    scores = scores_of(-np.arange(1.0, n + 1), starts=[0] if n else [])
    s = json.loads(json.dumps(summary(scores), allow_nan=False))
    assert s["tokens"] == n
    assert (s["ci95"][0] is None) == (n < 2)


def test_hopeless_model_overflows_quietly():
    s = summary(scores_of([-800.0] * 10))
    assert s["perplexity"] is None
    assert s["ci95_perplexity"] == [None, None]
    assert s["bits_per_char"] == pytest.approx(800 / math.log(2))


def test_deterministic():
    scores = scores_of(-np.random.default_rng(9).exponential(1, 300))
    assert summary(scores) == summary(scores)
