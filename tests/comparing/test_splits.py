"""Models over several divisions of a text: means, spread, and whether the ranking stays."""

import itertools

import numpy as np
import pytest

from lmbench.comparing.splits import concordance, over_splits
from lmbench.scoring.run import Facts, Run, Signature
from lmbench.scoring.scores import Scores


def by_pairs(ranks):
    """W from the mean Spearman correlation r of all pairs of rankings: W = (r (S - 1) + 1) / S (Kendall & Smith 1939)."""
    pairs = [np.corrcoef(a, b)[0, 1] for a, b in itertools.combinations(ranks, 2)]
    return (np.mean(pairs) * (len(ranks) - 1) + 1) / len(ranks)


@pytest.mark.parametrize("seed", range(5))
def test_concordance_is_that_of_the_pairs(seed):
    rng = np.random.default_rng(seed)
    ranks = np.array([rng.permutation(6) + 1.0 for _ in range(4)])
    assert concordance(ranks) == pytest.approx(by_pairs(ranks))


def test_those_that_learn_from_the_test_text_are_ranked_apart():
    """Two divisions: kn 2 and 2 bits, lstm 1.5 and 3; the cache, which learns, is first of its own ranking in both."""
    bits = {"kn": (2.0, 2.0), "lstm": (1.5, 3.0), "cache": (1.0, 1.9)}

    def run(label, bits):
        ends = np.arange(1, 11)
        scores = Scores(
            -bits * np.log(2) * np.ones(10), ends, ends < 0, np.zeros(10), np.zeros(1, int), 10, 10, 1, 9
        )
        return Run("c", label, scores, Signature(corpus="c"), Facts(adaptive=label == "cache"))

    runs = [[run(name, of[i]) for name, of in bits.items()] for i in range(2)]
    found = over_splits("c", ["one", "two"], runs)
    assert found is not None
    assert [(row.label, row.ranks, row.first, row.adaptive) for row in found.rows] == [
        ("kn", [2, 1], 0.5, False),
        ("lstm", [1, 2], 0.5, False),
        ("cache", [1, 1], 1, True),
    ]
    assert found.concordance == 0  # the two that stand still change places


def test_one_model_has_no_ranking():
    assert concordance(np.ones((3, 1))) is None
