"""Shares of right items: Wilson's interval, McNemar's test, and means over groups."""

import numpy as np
import pytest
from statsmodels.stats.contingency_tables import mcnemar as table_test
from statsmodels.stats.proportion import proportion_confint

from lmbench.comparing.accuracy import judgement, mcnemar, wilson
from lmbench.errors import InputError


@pytest.mark.parametrize("n", [1, 4, 1000])
def test_an_interval_of_a_share_stays_within_0_and_1_and_holds_the_share(n):
    for k in (0, 1, n // 2, n):
        low, high = wilson(k, n)
        assert 0 <= low <= k / n <= high <= 1
        assert high - low < 1


def test_wilson_is_statsmodels_own():
    # Wilson 1927: of 1 in 3, z = 1.96: (1/3 + z²/6) / (1 + z²/3) ± ...
    assert wilson(1, 3) == pytest.approx((0.0615, 0.7923), abs=1e-4)
    for k, n in ((1, 3), (40, 67), (0, 9)):
        assert wilson(k, n) == pytest.approx(proportion_confint(k, n, method="wilson"), abs=1e-12)


@pytest.mark.parametrize(("only_a", "only_b"), [(10, 2), (3, 3), (0, 7), (0, 0), (40, 61)])
def test_mcnemar_is_statsmodels_own(only_a, only_b):
    if only_a + only_b:
        expected = table_test([[5, only_a], [only_b, 4]], exact=True).pvalue
        assert mcnemar(only_a, only_b) == pytest.approx(expected)
    assert mcnemar(only_a, only_b) == mcnemar(only_b, only_a) <= 1


def test_models_groups_and_pairs():
    rng = np.random.default_rng(0)
    groups = np.repeat([f"g{i}" for i in range(12)], 20)
    level = np.repeat(rng.uniform(0.4, 0.9, 12), 20)
    a, b = (rng.random(240) < p for p in (level, level - 0.2))
    judged = judgement({"a": a.tolist(), "b": b.tolist()}, groups.tolist())
    assert [(one.label, one.items, one.correct) for one in judged.models] == [
        ("a", 240, a.sum()),
        ("b", 240, b.sum()),
    ]
    assert len(judged.groups) == 24
    assert judged.groups[3].accuracy == a[60:80].mean()
    shares = a.reshape(12, 20).mean(axis=1)
    mean = judged.means[0]
    assert mean.accuracy == pytest.approx(shares.mean())
    # Groups differ: the interval of their mean is wider than that of as many independent items.
    low, high = judged.models[0].ci95
    assert mean.ci95[1] - mean.ci95[0] > high - low
    half = 2.2 * shares.std(ddof=1) / np.sqrt(12)  # Student's t, 11 degrees of freedom
    assert mean.ci95[1] - mean.ci95[0] == pytest.approx(2 * half, rel=0.1)
    (pair,) = judged.comparisons
    assert pair.difference == pytest.approx(a.mean() - b.mean())
    assert pair.ci95[0] < pair.difference < pair.ci95[1]
    assert (pair.only_a, pair.only_b) == ((a & ~b).sum(), (b & ~a).sum())
    assert pair.p_value == pair.p_holm == mcnemar(pair.only_a, pair.only_b)


def test_one_group_is_none_and_p_values_are_corrected():
    judged = judgement({"a": [True] * 30, "b": [False] * 10 + [True] * 20, "c": [True] * 30}, [""] * 30)
    assert (judged.groups, judged.means) == ([], [])
    p = {(one.a, one.b): (one.p_value, one.p_holm) for one in judged.comparisons}
    assert p["a", "b"] == (2**-9, 3 * 2**-9)
    assert p["a", "c"] == (1.0, 1.0)
    with pytest.raises(InputError, match="the same items"):
        judgement({"a": [True]}, [])
