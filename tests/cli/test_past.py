"""runs, open, watch, history, and what the shell is told: names, neighbours, what a suite costs."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from paths import GOLDEN, ROOT

from lmbench.bench.cells import cells_of
from lmbench.bench.progress import Standing
from lmbench.bench.suite_file import load_suite
from lmbench.cli import main
from lmbench.cli.past import spark

TRAIN, TEST = str(GOLDEN / "ferry.train.txt"), str(GOLDEN / "ferry.test.txt")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two runs of a suite, of which the second has made one row worse and changed nothing else."""
    top = tmp_path_factory.mktemp("past")
    for name, order in (("one", 3), ("two", 1)):
        (top / f"{name}.toml").write_text(
            f'name = "s"\ncorpora = [{{name = "ferry", train = "{TRAIN}", test = "{TEST}", documents = "line"}}]\n'
            f'zipf_orders = []\n[[models]]\nmodel = "uniform"\n[[models]]\nmodel = "witten-bell"\nlabel = "ours"\n'
            f"options = {{ order = {order} }}\n"
        )
        out = str(top / "runs" / name)
        assert (
            main(["run", str(top / f"{name}.toml"), "--trust-paths", "--jobs", "1", "--quiet", "--out", out])
            == 0
        )
    return top / "runs"


def test_runs_are_listed_the_oldest_first(folder, capsys):
    assert main(["runs", str(folder), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["runs"]
    assert [Path(row["folder"]).name for row in rows] == ["one", "two"]
    assert all(row["seconds"] > 0 and row["finished"].endswith("Z") and row["host"] for row in rows)
    assert "ours" in rows[0]["headline"]
    assert main(["runs", str(folder)]) == 0
    assert capsys.readouterr().out.splitlines()[0].split()[:2] == ["finished,", "UTC"]
    assert main(["runs", str(folder / "none")]) == 2
    assert "is not there; `lmbench run` makes" in capsys.readouterr().err


def test_history_says_which_run_moved_what(folder, tmp_path, capsys):
    figure = tmp_path / "history.svg"
    assert main(["history", str(folder), "--out", str(figure), "--json"]) == 0
    step = json.loads(capsys.readouterr().out)["steps"][0]
    assert [(row["corpus"], row["label"]) for row in step["moved"]] == [("ferry", "ours")]
    assert step["moved"][0]["difference_bits_per_char"] > 0.1
    assert "ferry: worse once beyond noise" in figure.read_text()
    assert main(["history", str(folder), "--out", str(tmp_path / "h.pdf"), "--tolerance", "9"]) == 0
    assert "nothing moved beyond noise (2 compared)" in capsys.readouterr().out
    assert (tmp_path / "h.pdf").read_bytes().startswith(b"%PDF")
    assert main(["history", str(folder / "one")]) == 2
    assert "has 1 finished runs; a history is of two and more" in capsys.readouterr().err
    assert main(["history", str(folder), "--out", "h.docx"]) == 2


def test_open_says_where_the_report_is(folder, capsys, monkeypatch):
    opened = []
    monkeypatch.setattr("webbrowser.open", lambda address: opened.append(address) or True)
    assert main(["open", str(folder / "one")]) == 0
    assert opened == [(folder / "one" / "report.html").resolve().as_uri()]
    assert opened[0] in capsys.readouterr().out
    assert main(["open", str(folder)]) == 2
    assert "has no report.html" in capsys.readouterr().err


def test_watch_reads_what_lies_in_the_folder(folder, tmp_path, capsys, monkeypatch):
    assert main(["watch", str(folder / "one"), "--once"]) == 0
    assert "s: 2 of 2 models are done (done)" in capsys.readouterr().out
    copy = tmp_path / "going"
    (copy / "scores/ferry").mkdir(parents=True)
    suite = (folder.parent / "one.toml").read_text() + '[[models]]\nmodel = "rnn"\nlabel = "net"\n'
    (copy / "suite.toml").write_text(suite)
    monkeypatch.chdir(copy)
    name = "scores/ferry/ours.npz"
    (copy / name).write_bytes((folder / "one" / name).read_bytes())
    loaded = load_suite(str(copy / "suite.toml"), trust_paths=True)
    cell = next(c for c in cells_of(loaded, loaded.corpus_specs()[0]) if c.label == "net")
    path = cell.checkpoint_file(copy)
    path.parent.mkdir(parents=True)
    facts = {"history": [{"epoch": 1, "valid_bits": 3.0}, {"epoch": 2, "valid_bits": 2.5}]}
    with path.open("wb") as stream:
        np.savez(stream, facts=np.array(json.dumps(facts)))
    standing = Standing.of(copy)
    assert standing.sentence == "s: 1 of 3 models are done (running, or interrupted)"
    assert standing.curves == {"ferry net": [3.0, 2.5]}
    path.write_bytes(b"half")
    assert Standing.of(copy).curves == {}
    assert main(["watch", str(tmp_path)]) == 2
    assert spark([1.0, 1.0]) == "▁▁"


@pytest.mark.parametrize(
    ("words", "begun", "expected"),
    [
        ("lmbench score --model", "kne", ["kneser-ney"]),
        ("lmbench score --model kneser-ney -o", "disc", ["discounts="]),
        ("lmbench run", "wor", ["words"]),
        ("lmbench run words --model", "katz", ["katz-word"]),
        ("lmbench run --corpus", "time", ["time-machine"]),
        ("lmbench study", "tai", ["tails"]),
        ("lmbench models", "gr", ["gru"]),
    ],
)
def test_the_shell_completes_names(words, begun, expected):
    from click.shell_completion import BashComplete

    from lmbench.cli import lmbench

    complete = BashComplete(lmbench, {}, "lmbench", "_LMBENCH_COMPLETE")
    assert [item.value for item in complete.get_completions(words.split()[1:], begun)] == expected


def test_completion_reads_no_heavy_library():
    env = {
        **os.environ,
        "COMP_WORDS": "lmbench score --model kne",
        "COMP_CWORD": "3",
        "PYTHONPATH": str(ROOT),
    }
    env["_LMBENCH_COMPLETE"] = "bash_complete"
    code = "import sys; from lmbench.cli import lmbench\ntry: lmbench(prog_name='lmbench')\nfinally: print(sorted({'torch', 'scipy', 'pandas'} & set(sys.modules)))"
    told = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True).stdout
    assert "kneser-ney" in told
    assert told.splitlines()[-1] == "[]"


def test_help_names_the_suites_and_neighbours_are_told(capsys):
    assert main(["run", "--help"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "default Count models and neural models, by word and by character: 2 minutes of 2 cores" in text
    assert main(["modles"]) == 2
    assert "unknown command 'modles'; did you mean models" in capsys.readouterr().err
    assert main(["study", "sequence", "--corpus", "grammar"]) == 2
    assert "the study sequence reads no corpus; leave --corpus out" in capsys.readouterr().err


def test_every_model_stands_in_one_group():
    from lmbench.models import MODELS, grouped_models

    groups = grouped_models()
    assert sorted(name for names in groups.values() for name in names) == sorted(MODELS)
    assert {"lstm", "transformer"} <= set(groups["networks"])
    assert "arpa" in groups["made elsewhere"]


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["export", "x", "--format", "latx"], "Did you mean 'latex'?"),
        (["score", "--normalise", "leters"], "Did you mean 'letters'?"),
        (["export", "x", "--metric", "zzz"], "'zzz' is not one of"),
        (["run", "defaultt.toml"], "did you mean default?"),
        (["run", TRAIN, "--corpus", "grammar"], "give grammar beside"),
    ],
)
def test_a_choice_that_is_none_is_told_its_neighbour(words, meant, capsys):
    assert main(words) == 2
    told = capsys.readouterr().err
    assert meant in told
    assert ("ou mean" in told) == ("ou mean" in meant)


def test_every_suite_that_comes_along_says_what_it_costs(capsys):
    assert main(["suites", "--json"]) == 0
    assert [row["name"] for row in json.loads(capsys.readouterr().out)["suites"] if not row["cost"]] == []
