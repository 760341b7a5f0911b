"""Lists and minimal pairs: the order of the scores, and an interval of the share that is right."""

import pytest

from lmbench.errors import InputError
from lmbench.models import make_model
from lmbench.scoring.ranking import minimal_pairs, ranked, wilson
from lmbench.scoring.scorer import Scorer


@pytest.fixture(scope="module")
def scorer(ferry):
    return Scorer.fit(make_model("kneser-ney", order=3), ferry, "word")


def test_the_likeliest_stands_first_and_equals_stay(scorer):
    lists = [["nine at ferry the", "the ferry", "the ferry", "zyx zyx zyx"], ["only one"]]
    found = ranked(scorer, lists)
    nats = [scorer.score(text).nats.sum() for text in lists[0]]
    assert [one.place for one in found[0]] == sorted(range(4), key=lambda i: -nats[i])
    assert [one.log_prob for one in found[0]] == pytest.approx(sorted(nats, reverse=True))
    assert [one.place for one in found[0] if one.text == "the ferry"] == [1, 2]
    assert [one.text for one in found[1]] == ["only one"]
    assert ranked(scorer, []) == []


def test_a_tie_is_not_right(scorer):
    pairs = [("the ferry", "ferry ferry ferry"), ("nine at ferry the", "the ferry"), ("a", "a")]
    found = minimal_pairs(scorer, pairs)
    assert (found.correct, found.ties, found.accuracy) == (1, 1, 1 / 3)
    assert found.differences[0] > 0 > found.differences[1]
    # Wilson 1927: of 1 in 3, z = 1.96: (1/3 + z²/6) / (1 + z²/3) ± ...
    assert (found.low, found.high) == pytest.approx((0.0615, 0.7923), abs=1e-4)


def test_an_impossible_pair_is_a_tie():
    from lmbench.scoring.ranking import _difference

    assert _difference(float("-inf"), float("-inf")) == 0
    assert _difference(-1.0, float("-inf")) > 0


@pytest.mark.parametrize("n", [1, 4, 1000])
def test_an_interval_of_a_share_stays_within_0_and_1_and_holds_the_share(n):
    for k in (0, 1, n // 2, n):
        low, high = wilson(k, n)
        assert 0 <= low <= k / n <= high <= 1
        assert high - low < 1


def test_what_cannot_be_ranked_is_told(scorer):
    with pytest.raises(InputError, match="empty once normalised"):
        ranked(scorer, [["a", ""]])
    with pytest.raises(InputError, match="more than one line"):
        ranked(scorer, [["a\nb"]])
    with pytest.raises(InputError, match="no pairs"):
        minimal_pairs(scorer, [])
