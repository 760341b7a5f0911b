"""What others take from here: tokens as Parquet, leaderboards as tables, data frames, plain terminals."""

import json
import os
import subprocess
import sys

import msgspec
import numpy as np
import pytest
from paths import GOLDEN

import lmbench as lb
from lmbench.cli import main
from lmbench.cli.finished import METRICS
from lmbench.comparing.grouping import groups
from lmbench.comparing.table import ResultTable
from lmbench.errors import InputError
from lmbench.models import make_model
from lmbench.report.grid import METRICS as SHOWN
from lmbench.scoring.run import Facts

TRAIN, TEST = str(GOLDEN / "ferry.train.txt"), str(GOLDEN / "ferry.test.txt")
SCORE = [
    "score",
    "--model",
    "bigram",
    "--unit",
    "word",
    "--train",
    TRAIN,
    "--test",
    TEST,
    "--documents",
    "line",
]


@pytest.fixture(scope="module")
def runs():
    corpus = lb.Corpus.from_files(TRAIN, None, TEST, documents="line", name="ferry")
    return [lb.evaluate(make_model(name), corpus, "word") for name in ("uniform", "bigram")]


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    (folder / "s.toml").write_text(
        f'name = "s"\ncorpora = [{{name = "ferry", train = "{TRAIN}", test = "{TEST}", documents = "line"}}]\n'
        '[[models]]\nmodel = "uniform"\nlabel = "flat_é"\n[[models]]\nmodel = "bigram"\n'
    )
    command = ["run", str(folder / "s.toml"), "--jobs", "1", "--quiet", "--out", str(folder / "out")]
    assert main([*command, "--trust-paths"]) == 0
    return folder / "out"


# Tokens ----------------------------------------------------------------------------------------------


def test_parquet_holds_what_the_table_of_text_holds(tmp_path, runs, capsys):
    parquet = pytest.importorskip("pyarrow.parquet")
    for name in ("t.tsv", "t.parquet"):
        assert main([*SCORE, "--tokens", str(tmp_path / name)]) == 0
    found = parquet.read_table(tmp_path / "t.parquet")
    types = {field.name: str(field.type) for field in found.schema}
    assert types == {
        **{"start": "int64", "end": "int64", "token": "string", "log_prob": "double", "oov": "bool"},
        "spelling": "double",
    }
    columns = found.to_pydict()
    lines = (tmp_path / "t.tsv").read_text().splitlines()
    assert lines[0] == "start\tend\ttoken\tlog_prob\toov\tspelling"
    assert len(lines) - 1 == found.num_rows == len(runs[1].scores)
    for i, line in enumerate(lines[1:]):
        start, end, token, log_prob, oov, spelling = line.split("\t")
        row = [columns[key][i] for key in ("start", "end", "log_prob", "oov", "spelling")]
        assert row == [int(start), int(end), float(log_prob), oov == "1", float(spelling)]
        assert columns["token"][i].replace("\n", "\\n") == token
    assert np.array_equal(columns["spelling"], runs[1].scores.spelling)
    assert json.loads(found.schema.metadata[b"lmbench"])["unit"] == "word"


def test_parquet_without_pyarrow_says_what_to_install(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert main([*SCORE, "--tokens", str(tmp_path / "t.parquet")]) == 2
    assert "lmbench[parquet]" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


# Leaderboards ----------------------------------------------------------------------------------------


def test_export_writes_each_format(run_dir, tmp_path, capsys):
    assert main(["export", str(run_dir)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "### ferry"
    assert [line.split("|")[2].strip() for line in lines[4:]] == ["bigram", "flat\\_é"]
    assert main(["export", str(run_dir), "--format", "latex", "--corpus", "ferry"]) == 0
    table = capsys.readouterr().out
    assert table.startswith("% ferry\n\\begin{tabular}")
    assert "flat\\_é" in table
    assert main(["export", str(run_dir), "--format", "csv", "--out", str(tmp_path / "x.csv")]) == 0
    assert capsys.readouterr().out == ""
    assert (tmp_path / "x.csv").read_text() == (run_dir / "results.csv").read_text()
    assert (
        (tmp_path / "x.csv").read_text().splitlines()[1].startswith("ferry,bigram,bigram,char,0,ok,static,1,")
    )


def test_export_writes_the_columns_asked_for(run_dir, capsys):
    assert main(["export", str(run_dir), "--columns", "label, bits,score"]) == 0
    head = capsys.readouterr().out.splitlines()[2]
    assert [cell.strip() for cell in head.strip("|").split("|")] == ["model", "bits/char", "to score"]
    assert main(["export", str(run_dir), "--columns", "cost", "--format", "latex"]) == 0
    assert "FLOPs a token" in capsys.readouterr().out
    assert main(["export", str(run_dir), "--columns", "bit"]) == 2
    assert "did you mean bits or" in capsys.readouterr().err
    assert main(["export", str(run_dir), "--columns", "cost", "--format", "csv"]) == 2
    assert "every column" in capsys.readouterr().err


def test_export_names_what_is_wrong(run_dir, tmp_path, capsys):
    assert main(["export", str(run_dir), "--corpus", "fery"]) == 2
    assert "did you mean ferry" in capsys.readouterr().err
    assert main(["export", str(tmp_path)]) == 2
    assert "results.json is not there" in capsys.readouterr().err


# Data frames -----------------------------------------------------------------------------------------


def test_the_leaderboard_is_a_data_frame_best_first(runs):
    table = lb.leaderboard(runs)
    assert table["label"].tolist() == ["bigram", "uniform"]
    assert table["rank"].tolist() == [1, 2]
    assert table["bits_per_char"].tolist() == [run.scores.bits_per_char for run in reversed(runs)]
    letters = groups(runs)
    assert table["groups"].tolist() == [letters["bigram"], letters["uniform"]]
    assert letters["bigram"] == "a"


def test_runs_without_a_rank_come_last(runs):
    best = lb.Run("ferry", "cheat", runs[1].scores, runs[1].signature, Facts(unranked_reason="it peeks"))
    table = lb.leaderboard([best, *runs])
    assert table["label"].tolist() == ["bigram", "uniform", "cheat"]
    assert table["rank"].isna().tolist() == [False, False, True]
    other = lb.Run("ferry", "x", runs[0].scores, msgspec.structs.replace(runs[0].signature, text="other"))
    with pytest.raises(InputError, match="not one ranking"):
        lb.leaderboard([*runs, other])


def test_tables_show_themselves_in_a_notebook(runs):
    table = lb.leaderboard(runs)
    page = table._repr_html_()
    assert f"{runs[1].scores.bits_per_char:.3f}</td>" in page
    assert "font-weight: bold" in page
    assert "nan" not in page.lower().replace("finance", "")
    pairs = lb.compare(runs)
    low, high = pairs["ci95"][0]
    assert f"{low:.3f} to {high:.3f}" in pairs._repr_html_()
    assert "<b>" not in ResultTable({"label": ["<b>"]})._repr_html_()
    assert isinstance(table[table["rank"] == 1], ResultTable)
    assert "bigram" in table[["label"]]._repr_html_()
    assert "inf" in ResultTable({"perplexity": [float("inf")], "bits_per_char": [float("inf")]})._repr_html_()


# Terminals -------------------------------------------------------------------------------------------


def call(*argv, **environment):
    kept = {**os.environ, **environment}
    command = [sys.executable, "-m", "lmbench", *map(str, argv)]
    return subprocess.run(command, capture_output=True, env=kept, check=False)


def test_a_terminal_of_ascii_gets_ascii(run_dir):
    suite = str(run_dir / "suite.toml")
    found = call("run", suite, "--out", run_dir, "--jobs", 1, PYTHONIOENCODING="ascii", LC_ALL="C")
    assert found.returncode == 0, found.stderr
    assert b"flat_\\u00e9" in found.stdout
    assert found.stdout.isascii()


def test_json_stays_json_on_a_narrow_stream(run_dir):
    found = call("diff", run_dir, run_dir.parent / "out/.", "--json", PYTHONIOENCODING="latin-1")
    assert found.returncode == 2  # the same folder twice
    (run_dir.parent / "s2.toml").write_text(
        (run_dir / "suite.toml").read_text().replace("flat_é", "flat_—😀")
    )
    argv = ["run", run_dir.parent / "s2.toml", "--out", run_dir.parent / "out2", "--model", "flat_—😀"]
    argv += ["--trust-paths"]
    assert call(*argv, "--jobs", 1).returncode == 0
    found = call("diff", run_dir, run_dir.parent / "out2", "--json", PYTHONIOENCODING="latin-1")
    assert found.returncode == 0, found.stderr
    assert {row["label"] for row in json.loads(found.stdout.decode("latin-1"))["models"]} == {
        "bigram",
        "flat_é",
        "flat_—😀",
    }


def test_the_shell_can_complete():
    script = call(_LMBENCH_COMPLETE="bash_source")
    assert b"_LMBENCH_COMPLETE=bash_complete" in script.stdout
    told = call(_LMBENCH_COMPLETE="bash_complete", COMP_WORDS="lmbench ex", COMP_CWORD="1")
    assert b"plain,export" in told.stdout


def test_a_wide_table_and_figures_as_pdf(run_dir, tmp_path, capsys):
    assert main(["export", str(run_dir), "--wide", "--format", "latex", "--caption", "Bits of $p$"]) == 0
    text = capsys.readouterr().out
    assert r"flat\_é" in text
    assert r"\caption{Bits of $p$}" in text
    assert text.count(r"\textbf") == 1
    assert main(["export", str(run_dir), "--wide", "--metric", "perplexity", "--errors", "interval"]) == 0
    assert " to " in capsys.readouterr().out
    assert main(["export", str(run_dir), "--format", "pdf", "--out", str(tmp_path / "pdf")]) == 0
    files = capsys.readouterr().out.split()
    assert {"bits-ferry.pdf", "zipf-ferry.pdf"} <= {p.name for p in (tmp_path / "pdf").iterdir()}
    assert len(files) == len(list((tmp_path / "pdf").iterdir()))


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--metric", "byte"], "are of --wide; give it, too"),
        (["--wide", "--caption", "x"], "--caption and --label are of latex and typst; markdown has neither"),
        (["--wide", "--columns", "bits"], "--columns is of a table a corpus"),
        (["--format", "csv", "--columns", "bits"], "--columns is of a table a corpus"),
    ],
)
def test_what_does_not_go_together_is_said(run_dir, more, said, capsys):
    assert main(["export", str(run_dir), *more]) == 2
    assert said in capsys.readouterr().err


def test_what_the_wide_table_shows_is_what_the_option_offers():
    assert tuple(SHOWN) == METRICS
