"""Zipf fits against planted laws, the reference figures, an independent package, and slow obvious code."""

import json
import math
import os
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from paths import ROOT
from scipy.special import zeta

from lmbench.errors import InputError
from lmbench.text.canonical import canonical_text
from lmbench.text.vocab import Vocab
from lmbench.zipf.chart import thin, zipf_chart
from lmbench.zipf.fits import falling_counts, fit_split_half, fit_zipf, ngram_counts, split_half
from lmbench.zipf.growth import vocabulary_growth
from lmbench.zipf.power_law import (
    compare_tails,
    fit_power_law,
    goodness_of_fit,
    hurwitz_zeta,
    sample_power_law,
    spectrum,
)

DATA = Path(os.environ.get("LMBENCH_DATA", ROOT.parent / "shared" / "corpora"))


def planted_ranks(alpha, b, types, tokens, seed):
    p = (np.arange(1, types + 1) + b) ** -alpha
    counts = np.random.default_rng(seed).multinomial(tokens, p / p.sum())
    return counts[counts > 0]


# Counts --------------------------------------------------------------------------------------------


def test_ngram_counts_agree_with_counters_and_do_not_cross_documents():
    rng = np.random.default_rng(1)
    ids = rng.integers(0, 7, 500)
    starts = np.array([0, 1, 3, 100, 101, 499])
    skip = (2, 5)
    documents = [[i for i in part.tolist() if i not in skip] for part in np.split(ids, starts[1:])]
    found = ngram_counts(ids, starts, (1, 2, 3, 4), skip)
    for order in (1, 2, 3, 4):
        grams = Counter(tuple(d[i : i + order]) for d in documents for i in range(len(d) - order + 1))
        assert found[order].tolist() == sorted(grams.values(), reverse=True)


def test_ngram_counts_of_texts_shorter_than_the_order():
    assert [len(c) for c in ngram_counts(np.array([3]), None, (1, 2, 3)).values()] == [1, 0, 0]
    assert [len(c) for c in ngram_counts(np.zeros(0, int), None, (1, 2)).values()] == [0, 0]
    assert {k: c.tolist() for k, c in ngram_counts(np.array([1, 1, 1]), None, (3, 1)).items()} == {
        1: [3],
        3: [1],
    }


# Fits of planted laws ------------------------------------------------------------------------------


@pytest.mark.parametrize("alpha", [0.6, 1.0, 1.4])
def test_rank_likelihood_finds_a_planted_exponent(alpha):
    # So few types and so many tokens that ranks by count are the true ranks, as the fit supposes.
    fit = fit_zipf(planted_ranks(alpha, 0, 40, 400_000, seed=2)).rank_mle
    assert abs(fit.alpha - alpha) < 4 * fit.se
    assert fit.se < 0.005


def test_the_standard_error_is_the_spread_over_samples():
    fits = [fit_zipf(planted_ranks(1.0, 0, 20, 50_000, seed)).rank_mle for seed in range(200)]
    spread = np.std([f.alpha for f in fits])
    assert 0.85 < fits[0].se / spread < 1.18  # ± 3 standard errors of a deviation over 200: 3 / √400 = 0.15


@pytest.mark.parametrize(("alpha", "b"), [(1.1, 2.7), (1.5, 10.0), (0.9, -0.5)])
def test_zipf_mandelbrot_finds_a_planted_law(alpha, b):
    fit = fit_zipf(planted_ranks(alpha, b, 60, 1_000_000, seed=3)).zipf_mandelbrot
    assert abs(fit.alpha - alpha) < 4 * fit.se
    assert abs(fit.b - b) < 4 * fit.b_se


def test_likelihoods_are_those_of_the_written_out_formula():
    counts = np.array([50, 20, 12, 7, 5, 3, 2, 1, 1, 1])
    ranks = np.arange(1, 11)
    fit = fit_zipf(counts)
    zipf, mandelbrot = fit.rank_mle, fit.zipf_mandelbrot
    # ℓ(a) = −a Σ n_r ln r − N ln H(V, a)
    by_hand = -zipf.alpha * counts @ np.log(ranks) - 102 * np.log((ranks**-zipf.alpha).sum())
    assert zipf.log_likelihood == pytest.approx(by_hand, rel=1e-12)
    assert mandelbrot.log_likelihood >= zipf.log_likelihood
    assert np.exp(zipf.c) * (ranks**-zipf.alpha).sum() == pytest.approx(102)
    grid = np.linspace(zipf.alpha - 0.1, zipf.alpha + 0.1, 2001)
    values = [-a * counts @ np.log(ranks) - 102 * np.log((ranks**-a).sum()) for a in grid]
    assert grid[int(np.argmax(values))] == pytest.approx(zipf.alpha, abs=1e-4)


def test_least_squares_is_exact_on_a_line_and_agrees_with_polyfit():
    fit = fit_zipf([64, 32, 16])  # ln n = ln 64 − ln 2 · (0, 1, 2): not a line in ln r; polyfit is the oracle
    slope, intercept = np.polyfit(np.log([1, 2, 3]), np.log([64, 32, 16]), 1)
    assert (fit.ols.alpha, fit.ols.c) == pytest.approx((-slope, intercept))
    line = fit_zipf([36, 18, 12, 9])  # 36 / r exactly
    assert (line.ols.alpha, line.ols.c, line.ols.r2) == pytest.approx((1, math.log(36), 1))


@pytest.mark.parametrize(("gamma", "xmin"), [(1.8, 1), (2.5, 4), (3.5, 1)])
def test_power_law_finds_a_planted_exponent_and_xmin(gamma, xmin):
    rng = np.random.default_rng(4)
    tail = sample_power_law(gamma, xmin, 20_000, rng)
    body = rng.integers(1, xmin, 20_000) if xmin > 1 else np.zeros(0, dtype=np.int64)
    fit = fit_power_law(*spectrum(np.concatenate([tail, body])))
    assert abs(fit.gamma - gamma) < 4 * fit.se
    assert xmin <= fit.xmin <= 2 * xmin + 2
    known = fit_power_law(*spectrum(tail), xmin=xmin)
    assert abs(known.gamma - gamma) < 4 * known.se
    assert known.n_tail == 20_000


def test_samples_of_a_power_law_have_its_distribution():
    draws = sample_power_law(1.5, 2, 200_000, np.random.default_rng(5))
    for m in (2, 3, 10, 1000, 50_000):  # the last stands beyond the table
        p = float(zeta(1.5, m) / zeta(1.5, 2))
        assert abs((draws >= m).mean() - p) < 4 * math.sqrt(p * (1 - p) / 200_000) + 1e-12


def test_hurwitz_zeta_is_scipys():
    s, q = np.meshgrid([1.01, 1.5, 2, 4.3, 10], [1, 2, 19.5, 20, 33, 1e4, 1e9])
    assert hurwitz_zeta(s, q) == pytest.approx(zeta(s, q), rel=1e-9)
    assert float(hurwitz_zeta(2.0, 1.0)) == pytest.approx(math.pi**2 / 6)


def test_frequency_fit_agrees_with_the_powerlaw_package():
    powerlaw = pytest.importorskip("powerlaw")
    counts = np.concatenate(
        [sample_power_law(2.1, 3, 1500, np.random.default_rng(6)), np.repeat([1, 2], [1200, 600])]
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = powerlaw.Fit(counts, discrete=True, xmin=3, estimate_discrete=False, verbose=False)
        ratio, p = theirs.distribution_compare("power_law", "exponential", normalized_ratio=False)
    ours = fit_power_law(*spectrum(counts), xmin=3)
    assert ours.gamma == pytest.approx(theirs.power_law.alpha, abs=2e-3)
    assert ours.n_tail == 1500
    assert fit_power_law(*spectrum(counts)).xmin == 3
    exponential = compare_tails(counts)[0]
    assert exponential.log_ratio == pytest.approx(ratio, rel=0.02)
    assert exponential.p < 1e-4
    assert p < 1e-4


# Goodness of fit and rivals ------------------------------------------------------------------------


def test_goodness_of_fit_accepts_a_power_law_and_rejects_equal_shares():
    rng = np.random.default_rng(7)
    assert goodness_of_fit(sample_power_law(2.2, 1, 1500, rng), 40, rng) > 0.1
    assert goodness_of_fit(rng.integers(1, 21, 3000), 40, rng) < 0.1


def test_tail_comparisons_tell_the_planted_law():
    rng = np.random.default_rng(8)
    by_name = {c.other: c for c in compare_tails(sample_power_law(2.2, 1, 4000, rng))}
    assert by_name["exponential"].log_ratio > 0
    assert all(c.p > 0.01 for name, c in by_name.items() if name != "exponential")
    # m^-1.5 e^{-0.02 m}, drawn by keeping draws of the power law with probability e^{-0.02 m}
    draws = sample_power_law(1.5, 1, 60_000, rng)
    kept = draws[rng.random(len(draws)) < np.exp(-0.02 * draws)]
    cut = {c.other: c for c in compare_tails(kept, xmin=1)}
    found = cut["truncated power law"]
    assert found.p < 1e-3
    assert found.parameters["gamma"] == pytest.approx(1.5, abs=0.05)
    assert found.parameters["rate"] == pytest.approx(0.02, rel=0.15)
    assert found.log_ratio < cut["lognormal"].log_ratio <= 0


# Split halves and growth ---------------------------------------------------------------------------


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
    assert growth.observed[-1] == growth.expected[-1] == len(set(ids.tolist()))
    assert growth.missing_mass == sum(c == 1 for c in Counter(ids.tolist()).values()) / 2000


# Edges ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "counts", [[5], [1] * 50, [3, 3], [7, 2], [2, 1, 1], [1000, 1, 1], list(range(1, 9))]
)
def test_small_tables_give_numbers_or_none_never_a_crash(counts):
    fit = fit_zipf(counts)
    text = json.dumps(fit.to_dict(), allow_nan=False)
    assert json.loads(text)["tokens"] == sum(counts)
    if len(set(counts)) == 1:
        assert fit.notes
        assert fit.to_dict()["frequency_mle"]["gamma"] is None


def test_all_hapaxes_have_slope_zero():
    fit = fit_zipf([1] * 50)
    assert fit.hapaxes == fit.types == 50
    assert fit.rank_mle.alpha == pytest.approx(0, abs=1e-6)
    assert fit.ols.alpha == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("counts", [[], Counter(), [1, 0], [2.5], [-1, 3], [[1, 2]]])
def test_impossible_counts_are_refused(counts):
    with pytest.raises(InputError):
        fit_zipf(counts)


def test_a_counter_and_any_order_are_taken():
    assert fit_zipf(Counter("abracadabra")) == fit_zipf([1, 5, 2, 1, 2])


def test_the_chart_holds_a_few_hundred_points_and_both_panels():
    counts = falling_counts(planted_ranks(1.0, 0, 5000, 50_000, seed=12))
    chart = zipf_chart("zipf", "Counts.", {"1-grams": counts})
    left, right = chart.panels
    assert [s.kind for s in left.series] == ["points", "dashed", "line"]
    assert len(left.series[0].x) <= 300
    assert left.series[0].x[-1] == len(counts)
    assert right.series[0].y[0] == 1
    assert {s.key for s in left.series[1:]} == {"1-grams"}
    json.dumps([list(s.x) for s in left.series], allow_nan=False)


@pytest.mark.parametrize("length", [1, 2, 299, 10_000])
def test_thinning_keeps_both_ends(length):
    kept = thin(length)
    assert kept[0] == 0
    assert kept[-1] == length - 1
    assert len(kept) <= 300


# Reference figures ---------------------------------------------------------------------------------


def test_the_time_machine():
    path = DATA / "timemachine.txt"
    if not path.exists():
        pytest.skip("the Time Machine is not on this machine")
    words = canonical_text([path.read_text()], "letters", "stream").text.split(" ")
    tables = ngram_counts(Vocab(words).encode(words))
    fits = {k: fit_zipf(c) for k, c in tables.items()}
    assert (fits[1].tokens, fits[1].types, fits[1].hapaxes) == (32_775, 4_579, 2_397)
    assert (fits[2].types, fits[3].types) == (20_234, 29_882)
    figures = {  # order: OLS α, rank α, γ, xmin
        1: (1.035, 0.974, 1.949, 3),
        2: (0.464, 0.605, 2.43, 3),
        3: (0.164, 0.259, 4.30, 1),
    }
    for order, (ols, rank, gamma, xmin) in figures.items():
        fit = fits[order]
        assert fit.ols.alpha == pytest.approx(ols, rel=0.01)
        assert fit.rank_mle.alpha == pytest.approx(rank, rel=0.01)
        assert fit.frequency_mle.gamma == pytest.approx(gamma, rel=0.01)
        assert fit.frequency_mle.xmin == xmin
