"""Split halves of a text, how its vocabulary grows, and what its stretches say of an exponent."""

import math
from collections import Counter

import numpy as np
import pytest

from lmbench.zipf.counting import falling_counts
from lmbench.zipf.fits import fit_split_half, fit_zipf, split_half
from lmbench.zipf.growth import vocabulary_growth
from lmbench.zipf.lengths import fit_by_length


def test_split_half_keeps_the_tokens_and_removes_the_bias_of_ranks():
    counts = falling_counts(np.full(400, 5))  # all types equally likely: the true α is 0
    half = split_half(counts, np.random.default_rng(9))
    assert 370 < len(half) <= 400  # all but 400 · 2^-5 = 12.5 of the types fall into the ranking half too
    assert 800 < half.sum() < 1200
    rng = np.random.default_rng(10)
    sample = rng.multinomial(2000, np.full(400, 1 / 400))
    assert fit_zipf(sample[sample > 0]).rank_mle.alpha > 0.2  # a slope out of nothing
    alpha, spread = fit_split_half(falling_counts(sample[sample > 0]), rng)
    assert abs(alpha) < 0.05 + 4 * spread / math.sqrt(20)


def test_expected_growth_is_the_mean_over_shuffles():
    rng = np.random.default_rng(11)
    ids = rng.zipf(1.8, 2000) % 500
    growth = vocabulary_growth(ids, 12)
    shuffles = np.stack([vocabulary_growth(rng.permutation(ids), 12).observed for _ in range(300)])
    error = shuffles.std(axis=0) / math.sqrt(300)
    assert np.all(np.abs(shuffles.mean(axis=0) - growth.expected) < 4.5 * error + 1e-9)
    # A deviation over 300 orders is known to 4%: 4 of that, and what is left out where few tokens are taken.
    inside = (growth.n > 20) & (growth.n < 2000)
    assert growth.deviation[inside] == pytest.approx(shuffles.std(axis=0, ddof=1)[inside], rel=0.2)
    assert growth.deviation[0] == growth.deviation[-1] == 0
    assert growth.observed[-1] == growth.expected[-1] == len(set(ids.tolist()))
    assert growth.missing_mass == sum(c == 1 for c in Counter(ids.tolist()).values()) / 2000


def test_the_band_of_growth_holds_the_curve_of_shuffled_words():
    """And not that of a text whose words come in bursts."""
    rng = np.random.default_rng(15)
    words = rng.zipf(1.6, 600) % 2000
    inside = []
    for ids in (rng.permutation(np.repeat(words, 5)), np.repeat(words, 5)):
        growth = vocabulary_growth(ids)
        held = np.abs(growth.observed - growth.expected) <= 2 * growth.deviation + 1e-9
        inside.append(held[growth.n > 20].mean())
    assert inside[0] > 0.8 > 0.2 > inside[1]


# Stretches -----------------------------------------------------------------------------------------


def test_exponents_of_stretches_by_hand():
    ids = np.random.default_rng(16).zipf(1.5, 4000) % 300
    whole, quarters = fit_by_length(ids, np.random.default_rng(0), (1, 4, 100))  # 40 tokens are too few
    assert (whole.length, whole.parts, quarters.length, quarters.parts) == (4000, 1, 1000, 4)
    own = [fit_zipf(Counter(ids[i : i + 1000].tolist())).rank_mle.alpha for i in (0, 1000, 2000, 3000)]
    assert whole.alpha == whole.shuffled_alpha == fit_zipf(Counter(ids.tolist())).rank_mle.alpha
    assert math.isnan(whole.low)
    assert quarters.alpha == pytest.approx(np.mean(own))
    assert quarters.deviation == pytest.approx(np.std(own, ddof=1))
    assert quarters.high - quarters.alpha == pytest.approx(3.1824 * np.std(own, ddof=1) / 2, rel=1e-4)


def test_intervals_of_stretches_cover_where_words_come_in_bursts_and_the_fishers_does_not():
    """Passages of 100 words, each with a twentieth of the vocabulary as its topic; truth is the mean over many texts."""

    def text(rng):
        p = np.arange(1, 401.0) ** -1.0
        passages = []
        for _ in range(64):
            topic = p * np.where(rng.random(400) < 0.05, 20, 1)
            passages.append(rng.choice(400, 100, p=topic / topic.sum()))
        return np.concatenate(passages)

    rng = np.random.default_rng(17)
    fits = [fit_by_length(text(rng), rng, (1, 16)) for _ in range(60)]
    truth = np.mean([sixteenth.alpha for _, sixteenth in fits])
    covered = np.mean([sixteenth.low <= truth <= sixteenth.high for _, sixteenth in fits])
    assert covered > 0.86  # 0.95 less three deviations of a share of 60
    assert np.median([s.deviation / s.shuffled_deviation for _, s in fits]) > 1.5
    spread = np.std([whole.alpha for whole, _ in fits])
    fisher = np.mean([fit_zipf(Counter(text(rng).tolist())).rank_mle.se_given_ranks for _ in range(5)])
    assert spread > 1.5 * fisher
