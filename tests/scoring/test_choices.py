"""Questions with several answers: scores beside continuations, and what a file may hold."""

import json

import pytest

from lmbench.corpora.corpus import Corpus, Documents
from lmbench.errors import InputError
from lmbench.models import make_model
from lmbench.scoring.choices import WAYS, Pair, Question, answers, read_pairs, read_questions
from lmbench.scoring.continuation import continuation
from lmbench.scoring.scorer import Scorer

TEXT = "the cat sat on the mat. the dog sat on the log. the cat is long. " * 20


@pytest.fixture(scope="module")
def scorer():
    corpus = Corpus.of(Documents([TEXT]), test=0.0, valid=0.0)
    return Scorer.fit(make_model("kneser-ney", order=6), corpus)


def test_choices_are_compared_in_every_way(scorer):
    questions = [Question("the cat sat on the", ["mat", "log.", "é"], 0), Question("", ["the", "dog"], 1)]
    found = answers(scorer, questions, premise="is")
    nats = [
        continuation(scorer, "the cat sat on the", f" {choice}").log_prob for choice in questions[0].choices
    ]
    assert found.log_probs[0] == nats
    assert found.scores["raw"][0] == nats
    assert found.scores["char"][0] == [nats[0] / 3, nats[1] / 4, nats[2]]
    assert found.scores["byte"][0] == [nats[0] / 3, nats[1] / 4, nats[2] / 2]
    assert found.scores["token"][0] == [nats[0] / 4, nats[1] / 5, nats[2] / 2]  # the space is a token, too
    alone = [continuation(scorer, "is", f" {choice}").log_prob for choice in questions[0].choices]
    assert found.scores["pmi"][0] == pytest.approx([a - b for a, b in zip(nats, alone, strict=True)])
    assert found.log_probs[1][0] == continuation(scorer, "", "the").log_prob
    for way in WAYS:
        rows = found.scores[way]
        assert found.correct[way] == [rows[0][0] > max(rows[0][1:]), rows[1][1] > rows[1][0]]


def test_what_stands_between_is_one_space_where_nothing_does(scorer):
    def nats(context, choice, between=None):
        return answers(scorer, [Question(context, [choice, "x"], 0)], between).log_probs[0][0]

    spaced = nats("the cat", "sat")
    assert spaced == nats("the cat", " sat") == pytest.approx(nats("the cat", "sat", " "))
    assert spaced != nats("the cat", "sat", "")
    assert nats("the cat ", "sat") == continuation(scorer, "the cat ", "sat").log_prob


def test_a_tie_is_not_right(scorer):
    found = answers(scorer, [Question("the", ["cat", "cat"], 0)])
    assert found.correct == {way: [False] for way in WAYS}


def test_files_say_what_is_wrong_with_them(tmp_path):
    file = tmp_path / "x.jsonl"

    def write(*rows):
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return file

    question = {"context": "a", "choices": ["b", "c"], "gold": 1, "kind": "k"}
    assert read_questions(write(question, {**question, "group": "g"})) == [
        Question("a", ["b", "c"], 1),
        Question("a", ["b", "c"], 1, "g"),
    ]
    assert read_questions(write(question), "kind")[0].group == "k"
    pair = {"sentence_good": "a", "sentence_bad": "b", "UID": "u", "field": "syntax"}
    assert read_pairs(write(pair)) == [Pair("a", "b", "u")]
    assert read_pairs(write(pair), "field") == [Pair("a", "b", "syntax")]
    for row, said in (
        ({**question, "gold": 2}, "line 1: gold is to be the place of the right choice, 0 to 1"),
        ({**question, "gold": True}, "gold is to be"),
        ({**question, "choices": ["b"]}, "choices two texts or more"),
        ({"context": "a"}, "has no field choices; its fields are context"),
    ):
        with pytest.raises(InputError, match=said):
            read_questions(write(row))
    with pytest.raises(InputError, match="has no field sentence_bad"):
        read_pairs(write({"sentence_good": "a"}))
    file.write_text("nonsense\n")
    with pytest.raises(InputError, match="line 1 is not JSON"):
        read_pairs(file)
    with pytest.raises(InputError, match="no questions"):
        answers(None, [])
