"""surprisal from the command line."""

import csv
import io
import json
import math

import pandas as pd
import pytest
from paths import GOLDEN

from lmbench.cli import main
from lmbench.scoring.surprisal import Word

TRAIN = str(GOLDEN / "ferry.train.txt")
TEXT = "the ferry leaves\nthe zebra\\ is\there\n"


@pytest.fixture
def call(capsys, monkeypatch, tmp_path):
    """Runs a command in a folder with two models and a text; returns status, stdout and stderr."""
    monkeypatch.chdir(tmp_path)

    def run(*argv):
        status = main([str(a) for a in argv])
        return status, *capsys.readouterr()

    for unit in ("char", "byte"):
        argv = [
            "--model",
            "kneser-ney",
            "--train",
            TRAIN,
            "--unit",
            unit,
            "--save",
            f"by-{unit}.lm",
            "--quiet",
        ]
        assert run("fit", *argv)[0] == 0
    (tmp_path / "t.txt").write_text(TEXT)
    return run


def rows_of(out):
    return list(csv.DictReader(io.StringIO(out), delimiter="\t", quoting=csv.QUOTE_NONE))


def test_rows_in_every_format_add_up_to_the_text(call, tmp_path):
    whole = json.loads(call("score", "--load", "by-char.lm", "--test", "t.txt", "--json")[1])
    total = -(whole["log_prob"] + whole["spelling_log_prob"]) / math.log(2)
    status, out, _ = call("surprisal", "--load", "by-char.lm", "t.txt")
    rows = rows_of(out)
    assert (status, list(rows[0])) == (0, list(Word.__struct_fields__))
    assert [row["text"] for row in rows] == [
        "the",
        "ferry",
        "leaves",
        "the",
        "zebra\\\\",
        "is",
        "here",
        "\\n",
    ]
    assert sum(float(row["bits"]) for row in rows) == pytest.approx(total)
    assert [row["sentence"] for row in rows] == ["0"] * 3 + ["1"] * 5
    assert (rows[4]["oov"], rows[-1]["token_entropy"]) == ("1", "")
    lines = [
        json.loads(line)
        for line in call("surprisal", "--load", "by-char.lm", "t.txt", "--format", "jsonl")[1].splitlines()
    ]
    assert [row["bits"] for row in lines] == [float(row["bits"]) for row in rows]
    assert lines[-1]["token_entropy"] is None
    assert call("surprisal", "--load", "by-char.lm", "t.txt", "--out", "w.parquet") == (0, "", "")
    frame = pd.read_parquet(tmp_path / "w.parquet")
    assert frame.bits.tolist() == [row["bits"] for row in lines]
    assert {str(frame[name].dtype) for name in ("bits", "token_entropy")} == {"float64"}
    assert call("surprisal", "--load", "by-char.lm", "t.txt", "--out", "w.tsv")[0] == 0
    assert (tmp_path / "w.tsv").read_text() == out


def test_models_stand_side_by_side_by_their_labels(call):
    out = call("surprisal", "--load", "by-char.lm", "--load", "b=by-byte.lm", "t.txt", "--documents", "line")[
        1
    ]
    rows = rows_of(out)
    assert [row["text"] for row in rows].count("\\n") == 2
    assert {"bits.by-char", "bits.b", "tokens.b"} <= set(rows[0])
    trained = ["--model", "bigram", "-o", "eps=1,1", "--train", TRAIN, "--quiet"]
    rows = rows_of(call("surprisal", *trained, "--load", "by-char.lm", "--punctuation", "apart", "t.txt")[1])
    assert "bits.bigram" in rows[0]
    assert [row["text"] for row in rows][4:6] == ["zebra", "\\\\"]


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        ([], "which model"),
        (["--load", "by-char.lm", "--load", "by-char.lm"], "two are called by-char"),
        (["--load", "by-char.lm", "--out", "x.csv"], "ends in none of .tsv, .jsonl, .parquet"),
        (["--load", "by-char.lm", "--out", "x.tsv", "--format", "jsonl"], "two formats"),
        (["--load", "by-char.lm", "--end", "space", "--punctuation", "apart"], "leave one of the two out"),
    ],
)
def test_what_cannot_be_answered_is_told(call, argv, said):
    status, out, error = call("surprisal", *argv, "t.txt")
    assert (status, out) == (2, "")
    assert said in error
