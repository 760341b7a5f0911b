"""What a command finds around it: variables, terminals and settings of other programs that make no sense."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from promises import assert_line

from lmbench.cli import main
from lmbench.errors import LONGEST
from lmbench.results.file import read_results

RUN = "run s.toml --quiet --jobs 1 --out r"


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.txt").write_text("the ferry waits for the tide\n" * 40)
    text = "name = 's'\ncorpora = ['t.txt']\nzipf_orders = []\n[[models]]\nmodel = 'uniform'\n[[models]]\nmodel = 'bigram'\n"
    (tmp_path / "s.toml").write_text(text)
    return tmp_path


@pytest.mark.parametrize("folder", ["t.txt", "loop", "pipe", "no/such", "x" * 5000, "\x1b[31m\u202e", "a\nb"])
@pytest.mark.parametrize("name", ["LMBENCH_DATA", "XDG_CACHE_HOME"])
def test_a_folder_of_texts_that_is_none_is_one_line(here, monkeypatch, capsys, name, folder):
    os.symlink("loop", "loop")
    os.mkfifo("pipe")
    monkeypatch.delenv("LMBENCH_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "cache")
    monkeypatch.setenv(name, folder)
    assert main(["corpora", "show", "ptb"]) == 2
    assert_line(capsys.readouterr().err.removeprefix("lmbench: ").removesuffix("\n"))


@pytest.mark.parametrize(
    "line", ["score --model " + "x" * 900, "run " + "x" * 900, "run --" + "x" * 900, "x" * 900]
)
def test_a_refusal_is_short_with_all_that_it_advises(here, capsys, line):
    assert main(line.split()) == 2
    said = capsys.readouterr().err.removeprefix("lmbench: ").removesuffix("\n")
    assert_line(said)
    assert len(said) <= LONGEST


@pytest.mark.parametrize("closed", [("stdin", "stdout", "stderr"), ("stdout",), ("stderr",)])
def test_what_is_said_to_a_closed_stream_goes_nowhere(here, monkeypatch, closed):
    assert main(RUN.split()) == 0
    for name in closed:
        monkeypatch.setattr(sys, name, None)
    for line in (
        "score --model bigram -o eps=1,1 --train t.txt --tokens s.tsv",
        "fit --model bigram -o eps=1,1 --train t.txt --save m",
        "score --load m --each line --test t.txt",
        "surprisal --load m t.txt",
        "export r",
        "export r --format pdf --out f",
    ):
        assert main(line.split()) == 0, line
    assert main(["zipf", "no.txt"]) == 2
    assert Path("s.tsv").stat().st_size > 0


@pytest.mark.parametrize("columns", ["0", "00", "-5", "x", "1000000"])
def test_a_terminal_without_columns_is_printed_on(here, monkeypatch, capsys, columns):
    monkeypatch.setenv("COLUMNS", columns)
    assert main(RUN.split()) == 0
    assert "uniform" in capsys.readouterr().out
    assert main(["watch", "r", "--once"]) == 0
    assert "uniform" in capsys.readouterr().out


def test_settings_with_which_matplotlib_does_not_start_are_one_line(here):
    done = subprocess.run(
        [sys.executable, "-m", "lmbench", *RUN.split()],
        env={
            **os.environ,
            "MPLBACKEND": "nonsense",
            "PYTHONPATH": os.pathsep.join(map(str, filter(None, sys.path))),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "correct MPLBACKEND or its matplotlibrc" in done.stderr
    assert_line(done.stderr.splitlines()[-1].removeprefix("lmbench: "))


@pytest.mark.parametrize("place", ["loop/x", "pipe", "t.txt", "/proc", "no/such", ""])
@pytest.mark.parametrize("name", ["HOME", "XDG_STATE_HOME"])
def test_an_account_without_a_folder_runs_all_the_same(here, monkeypatch, name, place):
    """What it cannot keep there is not kept: the suite of the run is then nobody's own."""
    os.symlink("loop", "loop")
    os.mkfifo("pipe")
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.setenv(name, place and os.path.abspath(place))
    assert main(["run", "s.toml", "--quiet", "--jobs", "1", "--out", "r", "--model", "uniform"]) == 0


def test_two_runs_at_once_in_one_folder_leave_what_one_does(here):
    """In two processes: each writes its files aside, and names them whole."""
    path = os.pathsep.join(map(str, filter(None, sys.path)))
    argv = [sys.executable, "-m", "lmbench", *RUN.split()]
    both = [
        subprocess.Popen(argv, env={**os.environ, "PYTHONPATH": path}, stderr=subprocess.PIPE)
        for _ in range(2)
    ]
    assert [process.communicate()[1] for process in both] == [b"report: r/report.html\n"] * 2
    assert main([*RUN.split()[:-1], "alone"]) == 0
    files = {run: sorted(path.relative_to(run) for path in Path(run).rglob("*")) for run in ("r", "alone")}
    assert files["r"] == files["alone"]
    one, other = (read_results(Path(run)) for run in files)
    assert [row.bits_per_char for row in one.results] == [row.bits_per_char for row in other.results]
