"""The block bootstrap against arch, and its error bars against arithmetic."""

import math

import numpy as np
import pytest
from arch.bootstrap import CircularBlockBootstrap, StationaryBootstrap
from arch.bootstrap import optimal_block_length as arch_block_length
from scipy import stats

from lmbench.comparing.bootstrap import (
    MAX_ATOMS,
    Resampling,
    autocovariances,
    half_width,
    merge_atoms,
    optimal_block_length,
    p_value,
    standard_error,
    student_quantile,
)


def autoregression(n, rho, seed):
    noise = np.random.default_rng(seed).normal(size=n)
    series = noise.copy()
    for t in range(1, n):
        series[t] = rho * series[t - 1] + noise[t]
    return series


def test_autocovariances_against_the_sum():
    x = np.random.default_rng(0).exponential(size=50)
    d = x - x.mean()
    expected = [sum(d[t] * d[t + k] for t in range(50 - k)) / 50 for k in range(11)]
    np.testing.assert_allclose(autocovariances(x, 10), expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("rho", [0, 0.5, 0.9, -0.5])
@pytest.mark.parametrize("n", [20, 100, 1000, 5000])
def test_block_length_against_arch(n, rho):
    x = autoregression(n, rho, seed=n)
    expected = float(arch_block_length(x)["circular"].iloc[0])
    assert optimal_block_length(x) == pytest.approx(max(1, expected), rel=1e-9)


def test_block_length_of_nothing_to_measure():
    assert optimal_block_length(np.ones(1000)) == 1
    assert optimal_block_length(np.array([1.0, 2.0])) == 1


def test_standard_error_against_arch():
    x = autoregression(3000, 0.9, seed=1)
    length = math.ceil(2 * optimal_block_length(x))
    resampling = Resampling.of(x, 4000)
    assert resampling.length == length > 3000 / 50
    assert resampling.blocks == round(3000 / length)
    deviations = resampling.sums(x[:, None], np.random.default_rng(0))[:, 0]
    deviations = deviations / (resampling.blocks * length) - x.mean()
    ours = standard_error(deviations)
    ours *= math.sqrt(resampling.blocks * length / 3000)  # arch trims the last block to 3000 exactly
    for kind, tolerance in ((CircularBlockBootstrap, 0.04), (StationaryBootstrap, 0.08)):
        theirs = kind(length, x, seed=5).apply(np.mean, 4000)[:, 0].std()
        assert ours == pytest.approx(theirs, rel=tolerance)
    # Truth: sd of the mean of an AR(1) = 1/(1 - 0.9)/√3000 = 0.183.
    assert ours == pytest.approx(0.183, rel=0.2)


def test_at_most_fifty_blocks():
    x = np.random.default_rng(0).normal(size=5000)
    assert Resampling.of(x, 99).length == 100
    assert Resampling.of(x[:3], 99).length == 1


def test_sums_are_of_whole_circular_blocks():
    values = np.stack([10.0 ** np.arange(6), np.ones(6)], axis=1)
    resampling = Resampling(atoms=6, length=3, replicates=200)
    drawn = resampling.sums(values, np.random.default_rng(0))
    blocks = [111, 1110, 11100, 111000, 110001, 100011]  # the last two wrap around
    possible = {a + b for a in blocks for b in blocks}
    assert set(drawn[:, 0].round()) == possible
    np.testing.assert_array_equal(drawn[:, 1], 6)


def test_factor_by_hand():
    # 10 blocks of 10 cover 100: √(10/9) for the divisor, t(9) = 2.2622 for 1.9600.
    assert Resampling(100, 10, 99).factor == pytest.approx(math.sqrt(10 / 9) * 2.2622 / 1.9600, abs=1e-4)
    assert Resampling(10**6, 1000, 99).factor == pytest.approx(1, abs=2e-3)


@pytest.mark.parametrize("freedom", [1, 2, 3, 5, 12, 999])
def test_student_quantile(freedom):
    assert student_quantile(0.975, freedom) == pytest.approx(stats.t.ppf(0.975, freedom), rel=0.002)


def test_interval_and_p_value_agree():
    deviations = np.random.default_rng(0).normal(size=1999)
    half = half_width(deviations)
    assert p_value(half * 1.0001, deviations) <= 0.05 < p_value(half * 0.99, deviations)
    # 99 deviations 1..99: 3 of them are at least 97, p = (3 + 1)/(99 + 1).
    assert p_value(-97, np.arange(1.0, 100)) == 0.04


def test_merging_keeps_sums():
    values = np.ones((2 * MAX_ATOMS + 1, 2))
    merged = merge_atoms(values)
    assert len(merged) <= MAX_ATOMS
    np.testing.assert_array_equal(merged.sum(axis=0), values.sum(axis=0))
    assert merge_atoms(values[:5]) is not None
    assert len(merge_atoms(values[:5])) == 5
