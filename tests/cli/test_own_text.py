"""`run`, `init`, `suites` on a stranger's files: what is done is said, what is wrong is one line."""

import io
import json
import random
import sys

import pytest
from ferry import WORDS

from lmbench.cli import main


@pytest.fixture
def call(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    drawn = random.Random(0)
    text = "".join(" ".join(drawn.choices(WORDS, k=9)) + "\n" for _ in range(60))
    (tmp_path / "t.txt").write_text(text)
    rows = "".join(json.dumps({"text": " ".join(drawn.choices(WORDS, k=12))}) + "\n" for _ in range(120))
    (tmp_path / "rows.jsonl").write_text(rows)
    (tmp_path / "one.txt").write_text("word")
    (tmp_path / "told.toml").write_text('title = "t"\n[[files]]\nname = "t.txt"\n')

    def run(*argv):
        status = main([str(a) for a in argv])
        return status, *capsys.readouterr()

    return run


@pytest.mark.parametrize(
    ("places", "name", "said"),
    [
        (["t.txt"], "t", "cut in order"),
        (["rows.jsonl"], "rows", "documents dealt whole"),
        (["told.toml"], "told", "cut in order"),
        (["golden-mean"], "golden-mean", "cut in order"),
        (["t.txt", "rows.jsonl"], "t", "in order|dealt"),
        (["*.txt"], None, "order"),
    ],
)
def test_run_takes_what_people_have(call, tmp_path, places, name, said):
    status, out, err = call("run", *places, "--model", "unigram", "--quiet")
    assert status == 0
    assert any(word in err for word in said.split("|"))
    assert "go on: lmbench init" in err
    assert "unigram" in out
    if name:
        assert (tmp_path / "reports" / name / "report.html").is_file()
        assert call("run", f"reports/{name}/suite.toml", "--quiet")[0] == 0


def test_run_takes_standard_input_and_can_be_repeated(call, tmp_path, monkeypatch):
    data = (tmp_path / "t.txt").read_bytes()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    assert call("run", "-", "--model", "unigram", "--quiet", "--jobs", 1)[0] == 0
    assert call("run", "reports/stdin/suite.toml", "--quiet")[0] == 0
    assert (tmp_path / "reports" / "stdin" / "stdin.txt").read_bytes() == data


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["run", "one.txt"], "too short to be divided (4 characters)"),
        (["run", "nothing.txt"], "no such file: nothing.txt"),
        (["run", "nothing"], "unknown suite, corpus or file 'nothing'"),
        (["run", "wrods"], "did you mean words"),
        (["run", "t.txt", "default"], "default is a suite"),
        (["run", "t.txt", "--field", "text"], "leave it out"),
        (["run", "rows.jsonl", "--field", "body"], "its fields are text"),
        (["run", "default", "--documents", "line"], "are of texts"),
        (["run", "-", "t.txt"], "give it alone"),
        (["init", "t.txt", "--out", "told.toml"], "is there already"),
        (["init", "-"], "a suite names files"),
    ],
)
def test_what_is_wrong_is_one_line(call, tmp_path, argv, said):
    status, out, err = call(*argv)
    assert (status, out) == (2, "")
    assert said in err
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "reports").exists()


def test_init_writes_a_suite_that_runs(call):
    status, out, _ = call("init", "t.txt")
    assert status == 0
    assert "lmbench run suite.toml" in out
    assert call("run", "suite.toml", "--model", "bigram", "--quiet")[0] == 0


def test_all_that_a_run_prints_is_had_as_json(call, tmp_path):
    status, out, err = call("run", "t.txt", "--model", "bigram", "--json", "--out", "r", "--quiet")
    assert status == 0
    assert json.loads(out) == json.loads((tmp_path / "r" / "results.json").read_text())
    assert json.loads(out)["results"][0]["bits_per_char"] > 0
    assert "report: r/report.html" in err


def test_suites_are_listed(call):
    names = [row["name"] for row in json.loads(call("suites", "--json")[1])["suites"]]
    assert {"default", "book"} <= set(names)
    assert all(name in call("suites")[1] for name in names)


def test_score_divides_a_text_that_stands_alone(call):
    status, out, err = call("score", "--model", "bigram", "--train", "t.txt")
    assert status == 0
    assert "no --test given: cut in order" in err
    assert "bits per char" in out


def test_two_training_texts_are_both_learnt_from(call, tmp_path):
    (tmp_path / "test.txt").write_text("the ferry leaves\n")
    both = call(
        "score",
        "--model",
        "unigram",
        "--train",
        "t.txt",
        "--train",
        "one.txt",
        "--test",
        "test.txt",
        "--json",
    )
    one = call("score", "--model", "unigram", "--train", "t.txt", "--test", "test.txt", "--json")
    assert json.loads(both[1])["log_prob"] != json.loads(one[1])["log_prob"]
