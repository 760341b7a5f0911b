"""score --each, rank and next from the command line."""

import csv
import io
import json
import subprocess
import sys

import pytest
from paths import GOLDEN, ROOT

from lmbench.cli import main

TRAIN, TEST = str(GOLDEN / "ferry.train.txt"), str(GOLDEN / "ferry.test.txt")
KEYS = [
    *("index", "start", "end", "tokens", "oov"),
    *("log_prob", "spelling_log_prob", "chars", "bits_per_char", "perplexity"),
]
LINES = ["--unit", "word", "--documents", "line"]


@pytest.fixture
def call(capsys, monkeypatch, tmp_path):
    """Runs a command in an empty folder; returns status, stdout and stderr."""
    monkeypatch.chdir(tmp_path)

    def run(*argv):
        status = main([str(a) for a in argv])
        return status, *capsys.readouterr()

    return run


@pytest.fixture
def model(call, tmp_path):
    assert call("fit", "--model", "kneser-ney", "--train", TRAIN, *LINES, "--save", "m.lm", "--quiet")[0] == 0
    return tmp_path / "m.lm"


def table(out):
    rows = list(csv.reader(io.StringIO(out), delimiter="\t"))
    assert rows[0] == KEYS
    return [dict(zip(KEYS, map(float, row), strict=True)) for row in rows[1:]]


def test_rows_add_up_to_the_file_in_both_formats(call, model):
    whole = json.loads(call("score", "--load", model, "--test", TEST, "--json")[1])
    _, out, _ = call("score", "--load", model, "--test", TEST, "--each", "line")
    rows = table(out)
    text = (GOLDEN / "ferry.test.txt").read_text()
    assert [text[int(row["start"]) : int(row["end"])] for row in rows] == text.splitlines(keepends=True)
    for key in ("log_prob", "spelling_log_prob", "tokens", "oov", "chars"):
        assert sum(row[key] for row in rows) == pytest.approx(whole[key], rel=1e-12)
    assert sum(row["oov"] for row in rows) == 5
    _, out, _ = call("score", "--load", model, "--test", TEST, "--each", "line", "--format", "jsonl")
    assert [json.loads(line) for line in out.splitlines()] == rows


def test_a_model_is_trained_on_the_spot_on_lines(call, model):
    _, fitted, _ = call("score", "--load", model, "--test", TEST, "--each", "line")
    argv = ["score", "--model", "kneser-ney", "--train", TRAIN, "--unit", "word", "--each", "line"]
    assert call(*argv, "--test", TEST)[1] == fitted
    # Without a text to score, it is the part of the training text that is tested.
    _, out, error = call(*argv)
    assert "no --test given" in error
    assert sum(row["chars"] for row in table(out)) < len((GOLDEN / "ferry.train.txt").read_text()) / 5


def test_a_document_is_a_file_or_a_row_of_json(call, model, tmp_path):
    (tmp_path / "x.jsonl").write_text('{"text": "the ferry\\nat nine"}\n{"text": "the island"}\n')
    rows = table(call("score", "--load", model, "--test", "x.jsonl", "--each", "document")[1])
    assert [(row["start"], row["end"], row["tokens"]) for row in rows] == [(0, 18, 6), (18, 29, 3)]


def test_an_arpa_file_needs_no_training_text_and_blanks_are_told(call, model, tmp_path):
    argv = ["fit", "--model", "kneser-ney", "--train", TRAIN, *LINES, "--save", "m.arpa", "--quiet"]
    assert call(*argv)[0] == 0
    (tmp_path / "crlf.txt").write_bytes(b"the ferry\r\nthe  ferry\r\n" * 3)
    _, out, error = call(
        "score",
        "--model",
        "arpa",
        "-o",
        "file=m.arpa",
        "--unit",
        "word",
        "--each",
        "line",
        "--test",
        "crlf.txt",
    )
    assert "6 carriage returns" in error
    assert "3 runs of spaces" in error
    assert "as in KenLM's query" in error
    loaded = call("score", "--load", "m.arpa", "--each", "line", "--test", "crlf.txt")[1]
    assert loaded == out
    assert [(row["tokens"], row["oov"]) for row in table(out)] == [(3, 0), (3, 0)] * 3


def test_standard_input_is_answered_line_by_line(model, tmp_path):
    argv = [
        sys.executable,
        "-m",
        "lmbench",
        "score",
        "--load",
        str(model),
        "--each",
        "line",
        "--test",
        "-",
    ]
    with subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT, bufsize=1
    ) as running:
        assert running.stdout.readline().split() == KEYS
        for index, line in enumerate(("the ferry\n", "at nine\n")):
            running.stdin.write(line)
            running.stdin.flush()
            assert running.stdout.readline().startswith(f"{index}\t")  # before the next line is written
        running.stdin.close()
        assert running.wait() == 0


@pytest.mark.parametrize("option", [["--json"], ["--tokens", "x.tsv"], ["--verify"], ["--given", "a"]])
def test_options_that_do_not_go_with_rows_are_refused(call, option):
    status, out, error = call("score", "--load", "m.lm", "--test", TEST, "--each", "line", *option)
    assert (status, out) == (2, "")
    assert "--each prints rows and nothing else" in error


def test_what_was_fitted_can_be_had_as_json(call):
    argv = ["fit", "--model", "kneser-ney", "--train", TRAIN, *LINES, "--save", "m.lm", "--json"]
    status, out, _ = call(*argv)
    fitted = json.loads(out)
    assert (status, fitted["file"], fitted["unit"]) == (0, "m.lm", "word")
    scored = json.loads(call("score", "--load", "m.lm", "--test", TEST, "--json")[1])
    for key in ("model", "options", "vocab_size"):
        assert fitted[key] == scored[key]
    assert min(fitted["parameters"], fitted["model_bytes"], fitted["fit_seconds"]) > 0


def test_lists_are_ranked(call, model, tmp_path):
    (tmp_path / "x.txt").write_text("nine at ferry the\nthe ferry\n\nthe island\r\n")
    out = call("rank", "--load", model, "x.txt")[1]
    rows = [line.split("\t") for line in out.splitlines()]
    assert [row[:3] + row[7:] for row in rows[1:]] == [
        ["1", "1", "1", "the ferry"],
        ["1", "2", "0", "nine at ferry the"],
        ["2", "1", "0", "the island"],
    ]
    (tmp_path / "moses.txt").write_text("7 ||| nine at ferry the ||| f= 1\n7 ||| the ferry ||| f= 2\n")
    found = json.loads(call("rank", "--load", model, "moses.txt", "--json")[1])
    assert [(row["list"], row["text"]) for row in found["alternatives"]] == [
        ("7", "the ferry"),
        ("7", "nine at ferry the"),
    ]


def test_pairs_have_an_accuracy_with_its_interval(call, model, tmp_path):
    (tmp_path / "x.tsv").write_text("the ferry\tnine at ferry the\nnine at ferry the\tthe ferry\n")
    found = json.loads(call("rank", "--load", model, "--pairs", "x.tsv", "--json")[1])
    assert (found["accuracy"], found["pairs"], found["correct"], found["ties"]) == (0.5, 2, 1, 0)
    assert 0 < found["ci95"][0] < 0.5 < found["ci95"][1] < 1
    assert found["each"][0]["difference"] == -found["each"][1]["difference"] > 0
    assert "accuracy   0.5000" in call("rank", "--load", model, "--pairs", "x.tsv")[1]


def test_models_are_compared_on_pairs_by_paradigm(call, model, tmp_path):
    rows = [
        ("the ferry", "nine at ferry the", "order"),
        ("the ferry", "ferry the", "order"),
        ("at nine", "nine at", "hour"),
    ]
    lines = [json.dumps({"sentence_good": a, "sentence_bad": b, "UID": group}) for a, b, group in rows]
    (tmp_path / "x.jsonl").write_text("\n".join(lines))
    both = ["--load", model, "--load", f"again={model}"]
    document = json.loads(call("rank", *both, "--pairs", "x.jsonl", "--json")[1])
    one, other = document["models"]
    assert (one["model"], other["model"], one["pairs"]) == ("m", "again", 3)
    assert [(part["group"], part["items"]) for part in one["groups"]] == [("order", 2), ("hour", 1)]
    assert one["mean_of_groups"]["groups"] == 2
    assert document["comparisons"][0]["p_value"] == 1.0
    assert one["each"][2]["group"] == "hour"
    out = call("rank", *both, "--pairs", "x.jsonl")[1]
    assert "mean of groups" in out
    assert "m - again" in out
    status, _, error = call("rank", *both, "x.jsonl")
    assert (status, "ranked by one model" in error) == (2, True)


def test_choices_have_an_accuracy_in_every_way(call, model, tmp_path):
    rows = [{"context": "the ferry", "choices": ["leaves at", "zzz"], "gold": 0}] * 3
    (tmp_path / "x.jsonl").write_text("\n".join(map(json.dumps, rows)))
    document = json.loads(call("rank", "--load", model, "--choices", "x.jsonl", "--json")[1])
    assert (document["model"], document["questions"]) == ("m", 3)
    assert document["ways"]["raw"]["accuracy"] == 1.0
    assert set(document["ways"]) == {"raw", "char", "byte", "token", "pmi"}
    assert document["each"][0]["correct"]["raw"] is True
    out = call("rank", "--load", model, "--choices", "x.jsonl")[1]
    assert "pmi: by how much likelier the context makes the choice" in out
    assert out.count("1.0000") >= 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--pairs", "--choices"], "give one"),
        (["--between", "x"], "are of --choices"),
        (["--group", "x"], "have no --group"),
    ],
)
def test_options_of_rank_that_do_not_go_together(call, model, tmp_path, options, said):
    (tmp_path / "x.txt").write_text("a\n")
    status, _, error = call("rank", "--load", model, *options, "x.txt")
    assert (status, said in error) == (2, True)


@pytest.mark.parametrize(
    ("text", "options", "said"),
    [
        ("a\tb\n", [], "line 1 has a tab"),
        ("a\tb\nc\n", ["--pairs"], "line 2 is not good<TAB>bad but has 0 tabs"),
        ("1 ||| a\nb\n", [], "line 2 is not ID ||| TEXT"),
        ("\n\n", [], "no alternatives"),
    ],
)
def test_what_is_no_list_is_told(call, model, tmp_path, text, options, said):
    (tmp_path / "x.txt").write_text(text)
    status, _, error = call("rank", "--load", model, *options, "x.txt")
    assert status == 2
    assert said in error


def test_the_next_tokens(call, model):
    found = json.loads(call("next", "--load", model, "--prompt", "the ", "--top", "3", "--json")[1])
    chances = [token["probability"] for token in found["tokens"]]
    assert chances == sorted(chances, reverse=True)
    assert len(chances) == 3
    out = call("next", "--load", model, "--prompt", "the", "--top", "3")[1]
    assert [line.split("\t")[2] for line in out.splitlines()[1:]] == [t["token"] for t in found["tokens"]]
