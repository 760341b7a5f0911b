"""Models over several divisions of a text: means, spread, and whether the ranking stays."""

import itertools

import numpy as np
import pytest

from lmbench.comparing.splits import concordance


def by_pairs(ranks):
    """W from the mean Spearman correlation r of all pairs of rankings: W = (r (S - 1) + 1) / S (Kendall & Smith 1939)."""
    pairs = [np.corrcoef(a, b)[0, 1] for a, b in itertools.combinations(ranks, 2)]
    return (np.mean(pairs) * (len(ranks) - 1) + 1) / len(ranks)


@pytest.mark.parametrize("seed", range(5))
def test_concordance_is_that_of_the_pairs(seed):
    rng = np.random.default_rng(seed)
    ranks = np.array([rng.permutation(6) + 1.0 for _ in range(4)])
    assert concordance(ranks) == pytest.approx(by_pairs(ranks))


def test_one_model_has_no_ranking():
    assert concordance(np.ones((3, 1))) is None
