"""Zipf fits against planted laws, the reference figures, an independent package, and slow obvious code."""

import json
import math
import os
import warnings
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from paths import ROOT
from scipy.special import zeta

from lmbench.corpora.corpus import end_to_end
from lmbench.counts import ngram_counts
from lmbench.errors import InputError
from lmbench.text.canonical import canonical_text
from lmbench.text.vocab import Vocab
from lmbench.zipf.chart import thin, zipf_chart
from lmbench.zipf.counting import falling_counts, spectrum, token_ids
from lmbench.zipf.fits import fit_zipf
from lmbench.zipf.power_law import (
    compare_tails,
    fit_power_law,
    goodness_of_fit,
    hurwitz_zeta,
    sample_power_law,
)
from lmbench.zipf.ranks import LEAST, RankCurve

DATA = Path(os.environ.get("LMBENCH_DATA", ROOT.parent / "shared" / "corpora"))


def planted_ranks(alpha, b, types, tokens, seed):
    p = (np.arange(1, types + 1) + b) ** -alpha
    counts = np.random.default_rng(seed).multinomial(tokens, p / p.sum())
    return counts[counts > 0]


# Counts --------------------------------------------------------------------------------------------


def test_line_feeds_and_empty_words_are_no_words_and_no_n_gram_spans_them_out_of_its_document():
    text = canonical_text(["one two\n\nthree  one\n", "two\n"], "none", "line")
    ids, starts = token_ids(text)
    assert [len(part) for part in np.split(ids, starts[1:])] == [2, 2, 1]
    assert ids[0] == ids[3] != ids[1] == ids[4]
    assert [c.tolist() for c in ngram_counts(ids, starts, (1, 2)).values()] == [[2, 2, 1], [1, 1]]


@pytest.mark.parametrize("unit", ["word", "char"])
@pytest.mark.parametrize("joint", ["\n", " ", "\n\n", "\n ", "e", ""])
def test_parts_of_a_text_are_counted_as_the_whole(unit, joint):
    parts = [canonical_text([raw], "none", "line") for raw in ("one two\n\nthree  on", " two\nfour", "two")]
    parts = [
        replace(part, text=part.text[:-1] + end) for part, end in zip(parts, (joint, "\n", "\n"), strict=True)
    ]
    ids, starts = token_ids(end_to_end(parts), unit)
    apart, begins = token_ids(parts, unit)
    assert begins.tolist() == starts.tolist()
    assert len(set(zip(ids.tolist(), apart.tolist(), strict=True))) == len(set(ids)) == len(set(apart))
    with pytest.raises(InputError, match="empty"):
        token_ids([], unit)


# The curve in few numbers --------------------------------------------------------------------------


@pytest.mark.parametrize(("alpha", "b"), [(0.3, -0.994), (1.0, 0.0), (1.2, 500.0), (4.0, 2.7)])
def test_sums_over_ranks_are_those_over_all_of_them(alpha, b):
    counts = falling_counts(sample_power_law(1.6, 1, 200_000, np.random.default_rng(13)))
    curve, ranks = RankCurve.of(counts), np.arange(1.0, len(counts) + 1)
    assert len(curve.ranks) < len(counts) / 10
    for f in (lambda r: (r + b) ** -alpha, lambda r: (r + b) ** -alpha * np.log(r + b) ** 2):
        assert curve.weights @ f(curve.ranks) == pytest.approx(f(ranks).sum(), rel=1e-12)
    logs = np.log(ranks + b)
    assert (curve.weights * curve.counts) @ np.log(curve.ranks + b) == pytest.approx(counts @ logs, rel=1e-12)


@pytest.mark.parametrize("counts", [[3], [2, 1], [1] * LEAST, [1] * (LEAST + 1), [0, 5, 5, 0, 0] * 40])
def test_short_runs_stand_for_themselves(counts):
    curve = RankCurve.of(np.array(counts))
    assert curve.weights.sum() == pytest.approx(len(counts))
    assert curve.weights @ curve.counts == pytest.approx(sum(counts))
    assert curve.weights @ curve.ranks == pytest.approx(len(counts) * (len(counts) + 1) / 2)


def test_zipf_is_fitted_once_and_drawn_from_that(monkeypatch):
    from lmbench.zipf import table

    calls = []
    fit = table.fit_spectrum
    monkeypatch.setattr(table, "fit_spectrum", lambda counts: calls.append(1) or fit(counts))
    text = canonical_text(["a b a c a b d\n"], "none", "line")
    rows, chart = table.zipf_rows("made", text, "word", (1, 2))
    assert len(calls) == len(rows) == 2
    assert chart.name == "zipf-made"
    assert "se" not in rows[0]["rank_mle"]


# Fits of planted laws ------------------------------------------------------------------------------


@pytest.mark.parametrize("alpha", [0.6, 1.0, 1.4])
def test_rank_likelihood_finds_a_planted_exponent(alpha):
    # So few types and so many tokens that ranks by count are the true ranks, as the fit supposes.
    fit = fit_zipf(planted_ranks(alpha, 0, 40, 400_000, seed=2)).rank_mle
    assert abs(fit.alpha - alpha) < 4 * fit.se_given_ranks
    assert fit.se_given_ranks < 0.005


def test_where_ranks_are_known_and_tokens_independent_the_standard_error_is_the_spread_over_samples():
    fits = [fit_zipf(planted_ranks(1.0, 0, 20, 50_000, seed)).rank_mle for seed in range(200)]
    spread = np.std([f.alpha for f in fits])
    # ± 3 standard errors of a deviation over 200: 3 / √400 = 0.15.
    assert 0.85 < fits[0].se_given_ranks / spread < 1.18


@pytest.mark.parametrize(("alpha", "b"), [(1.1, 2.7), (1.5, 10.0), (0.9, -0.5)])
def test_zipf_mandelbrot_finds_a_planted_law(alpha, b):
    fit = fit_zipf(planted_ranks(alpha, b, 60, 1_000_000, seed=3)).zipf_mandelbrot
    assert abs(fit.alpha - alpha) < 4 * fit.se_given_ranks
    assert abs(fit.b - b) < 4 * fit.b_se_given_ranks


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
    s, q = np.meshgrid([1.001, 1.01, 1.5, 2, 4.3, 10], [1, 2, 19.5, 20, 20.5, 33, 1e4, 1e9])
    assert hurwitz_zeta(s, q) == pytest.approx(zeta(s, q), rel=1e-9, abs=0)
    assert float(hurwitz_zeta(2.0, 1.0)) == pytest.approx(math.pi**2 / 6, rel=1e-12)


def test_hurwitz_zeta_is_mpmaths():
    mpmath = pytest.importorskip("mpmath")
    for exponent in (1.01, 2.5, 9.9, 30, 120):
        for start in (1, 2.5, 20, 150, 1000):
            with mpmath.workdps(60):  # its digits are of 1, not of the value
                exact = float(mpmath.zeta(exponent, start))
            assert float(hurwitz_zeta(exponent, start)) == pytest.approx(exact, rel=1e-9, abs=0)


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


def test_rivals_that_contain_the_power_law_are_tested_on_the_boundary():
    # Self & Liang (1987): twice the log ratio is 0 half of the time, else χ²(1), so p = ½ P(χ²(1) > t), and 1 at t = 0.
    rng = np.random.default_rng(14)
    found = [c for _ in range(12) for c in compare_tails(sample_power_law(2.2, 1, 400, rng), xmin=1)]
    nested = [c for c in found if c.other != "exponential"]
    at_boundary = [c for c in nested if c.p == 1]
    assert all(-2 * c.log_ratio < 1e-6 for c in at_boundary)
    assert 0 < len(at_boundary) < len(nested)
    for c in nested:
        if c.p < 1:
            assert c.p == pytest.approx(math.erfc(math.sqrt(-c.log_ratio)) / 2, rel=1e-6)


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
    chart = zipf_chart("zipf", "counts", {"1-grams": (spectrum(counts), fit_zipf(counts))})
    left, right = chart.panels
    assert [s.kind for s in left.series] == ["points", "dashed", "line"]
    assert len(left.series[0].x) <= 300
    assert left.series[0].x[-1] == len(counts)
    assert right.series[0].y[0] == 1
    assert {s.key for s in left.series[1:]} == {"1-grams"}
    assert "Mandelbrot" in left.series[2].label
    assert "factor" not in chart.caption
    cut = falling_counts(np.minimum(sample_power_law(1.7, 1, 3000, np.random.default_rng(1)), 60) + 0)
    cut = cut[cut < 55]  # a law of counts that ends too early
    assert (
        "factor of 2 or more apart for it beyond"
        in zipf_chart("zipf", "it", {"it": (spectrum(cut), fit_zipf(cut))}).caption
    )
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
