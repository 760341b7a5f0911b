"""Lists and minimal pairs: the order of the scores, and an interval of the share that is right."""

import pytest

from lmbench.corpora.corpus import Corpus
from lmbench.errors import InputError
from lmbench.models import make_model
from lmbench.scoring.ranking import minimal_pairs, ranked
from lmbench.scoring.scorer import Scorer
from lmbench.text.canonical import canonical_text


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


def test_pairs_differ_by_what_their_texts_cost(scorer):
    pairs = [("the ferry", "ferry ferry ferry"), ("nine at ferry the", "the ferry"), ("a", "a")]
    differences = minimal_pairs(scorer, pairs)
    assert [(d > 0) - (d < 0) for d in differences] == [1, -1, 0]
    good, bad = (scorer.score(text).nats.sum() for text in pairs[0])
    assert differences[0] == pytest.approx(good - bad)


def test_a_model_of_whole_texts_knows_no_end_of_a_line(ferry):
    lines = [text + "\n" for text in ("the ferry", "nine at ferry the", "zyx the")]
    text = canonical_text(["".join(lines) * 9], "none", "stream")
    stream = Scorer.fit(
        make_model("kneser-ney", order=3), Corpus("s", text, None, None, "none", "stream"), "word"
    )
    texts = ["the ferry", "ferry the", "unheard of"]
    by_text = {one.text: one for one in ranked(stream, [texts])[0]}
    for each in texts:
        alone = stream.score(stream.read(each, ended=False))
        assert by_text[each].log_prob == pytest.approx(alone.nats.sum())
        assert (by_text[each].row.tokens, by_text[each].row.oov) == (len(alone), alone.oov.sum())


def test_an_impossible_pair_is_a_tie():
    from lmbench.scoring.ranking import _difference

    assert _difference(float("-inf"), float("-inf")) == 0
    assert _difference(-1.0, float("-inf")) > 0


def test_what_cannot_be_ranked_is_told(scorer):
    with pytest.raises(InputError, match="empty once normalised"):
        ranked(scorer, [["a", ""]])
    with pytest.raises(InputError, match="more than one line"):
        ranked(scorer, [["a\nb"]])
    with pytest.raises(InputError, match="no pairs"):
        minimal_pairs(scorer, [])
