"""Corrected p-values: against brute force, against Holm's, and the error rate of the family."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests

from lmbench.comparing.family import holm, step_down


def family(models, cells=64, seed=0, common=0.0):
    rng = np.random.default_rng(seed)
    losses = rng.normal(size=(cells, models)) + common * rng.normal(size=(cells, 1))
    residuals = losses - losses.mean(axis=0)
    pairs = np.array(list(itertools.combinations(range(models), 2)))
    differences = losses[:, pairs[:, 0]] - losses[:, pairs[:, 1]]
    t = differences.mean(axis=0) / (differences.std(axis=0, ddof=1) / np.sqrt(cells))
    return 2 * stats.t.sf(np.abs(t), cells - 1), residuals, pairs


def test_adjusted_p_against_the_obvious_loop():
    p, residuals, pairs = family(5)
    adjusted, _ = step_down(p, residuals, pairs, np.random.default_rng(7))
    sums = np.random.default_rng(7).standard_normal((64, 4999)).T @ residuals
    order, running = np.argsort(p), np.zeros(len(p))
    z = stats.norm.isf(p / 2)
    for i, pair in enumerate(order):
        largest = np.zeros(len(sums))
        for a, b in pairs[order[i:]]:
            spread = np.linalg.norm(residuals[:, a] - residuals[:, b])
            largest = np.maximum(largest, np.abs(sums[:, a] - sums[:, b]) / spread)
        running[i] = max((1 + (largest >= z[pair]).sum()) / 5000, running[i - 1] if i else 0, p[pair])
    np.testing.assert_allclose(adjusted[order], running)


def test_it_is_never_above_holms_by_much_and_never_below_p():
    p, residuals, pairs = family(8, common=3.0)
    p[:3] = 1e-12
    adjusted, level = step_down(p, residuals, pairs, np.random.default_rng(0))
    assert (adjusted >= p).all()
    assert (adjusted <= holm(p) + 0.03).all()
    assert (adjusted[:3] <= 28e-12).all()  # where no draw reaches, Bonferroni's bound: no least p-value
    assert 0.05 / 28 < level < 0.05


def test_one_pair_needs_no_correction():
    p, residuals, pairs = family(2)
    adjusted, level = step_down(p, residuals, pairs, np.random.default_rng(0))
    assert adjusted[0] == pytest.approx(p[0], abs=0.02)
    assert level == 0.05


@pytest.mark.parametrize(("models", "trials"), [(2, 200), (15, 200), (33, 100), (100, 40)])
def test_family_wise_error_rate(models, trials):
    wrong = 0
    for seed in range(trials):
        p, residuals, pairs = family(models, seed=seed, common=1.0)
        adjusted, _ = step_down(p, residuals, pairs, np.random.default_rng(seed))
        wrong += adjusted.min() <= 0.05
    # 5% and three standard errors more.
    assert wrong / trials <= 0.05 + 3 * (0.05 * 0.95 / trials) ** 0.5
    assert wrong >= 1


# statsmodels takes 50 ms each.
@settings(max_examples=20)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_against_statsmodels(p):
    np.testing.assert_allclose(holm(np.array(p)), multipletests(p, method="holm")[1], atol=1e-12)
