"""The default models on a text of one's own: those that suit its size and its script, and what is said of the others."""

import random

from ferry import WORDS

import lmbench as lb
from lmbench.bench.own_text import commented, spec_of, suitable, suite_for
from lmbench.bench.suite_file import load_suite
from lmbench.corpora.corpus import Corpus
from lmbench.corpora.inputs import Documents


def english(chars, seed=0):
    drawn = random.Random(seed)
    return " ".join(drawn.choice(WORDS) + drawn.choice("abcd") for _ in range(chars // 5))


def test_what_does_not_suit_is_left_out_with_its_reason():
    default = load_suite("default").models
    short = suitable(default, Corpus.of(Documents([english(5000)])))
    long = suitable(default, Corpus.of(Documents([english(900_000)])))
    chinese = suitable(default, Corpus.of(Documents(["渡船九点开无论下雨与否。" * 400])))
    assert {row.label for row in default} - {row.label for row in short[0]} == {
        "lstm",
        "rnn-scratch",
        "kneser-ney-word-3k",
    }
    assert next(r for r in short[0] if r.label == "mixture").options["of"] == ["kneser-ney", "context-mixing"]
    assert any("too few to train a network" in sentence for sentence in short[1])
    assert {row.label: row.options["epochs"] for row in long[0] if "epochs" in row.options} == {
        "lstm": 3,
        "rnn-scratch": 2,
    }
    assert not any(row.unit == "word" for row in chinese[0])
    corpus = Corpus.of(Documents(["渡船九点开无论下雨与否。\n" * 400]))
    suite, said = suite_for(spec_of(["渡船.txt"]), corpus)
    assert suite.studies == []  # its question is asked of words
    assert "left out the question tails: it is asked of words" in said
    assert any("does not divide words by blanks" in sentence for sentence in chinese[1])


def test_the_commented_suite_is_the_suite(tmp_path):
    (tmp_path / "t.txt").write_text(english(3000))
    spec = spec_of([str(tmp_path / "t.txt")])
    suite, said = suite_for(spec, spec.load())
    (tmp_path / "s.toml").write_text(commented(suite, said))
    assert load_suite(str(tmp_path / "s.toml")) == suite
    assert all(sentence in (tmp_path / "s.toml").read_text() for sentence in said)


def test_one_call_from_python_runs_a_suite_and_writes_its_report(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.txt").write_text(english(3000))
    (tmp_path / "s.toml").write_text("name='s'\ncorpora=['t.txt']\nstudies=[]\n[[models]]\nmodel='unigram'\n")
    lb.run_suite("s.toml")
    for name in ("report.html", "report.md", "results.json", "results.csv", "suite.toml"):
        assert (tmp_path / "reports" / "s" / name).is_file()
