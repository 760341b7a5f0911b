"""Every door one check: whatever is wrong with a file or a command line is one printable line with place and remedy."""

import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from paths import GOLDEN, ROOT
from small_suites import suite_of

from lmbench.bench.runner import measure_suite
from lmbench.bench.suite_file import load_suite
from lmbench.bench.watch import Watch
from lmbench.cli import main
from lmbench.corpora.corpus import Corpus
from lmbench.errors import InputError, cut
from lmbench.results.diff import diff_runs
from lmbench.scoring.run import load_run, save_run
from lmbench.storage.files import sweep, whole_file, write_whole

TEXT = str(GOLDEN / "ferry.train.txt")


def test_a_message_is_one_line_that_no_terminal_obeys():
    said = str(InputError("a\x1b[31m\u202eb\ud800\u200f\n" + "c" * 500 + "; do this"))
    assert said.isprintable()
    assert said.startswith("a\\x1b[31m\\u202eb\\ud800\\u200f\\nccc")
    assert said.endswith("; do this")
    assert len(said) == 299
    assert [len(cut("x" * n, 20)) for n in (19, 20, 21, 90)] == [19, 20, 20, 20]


@pytest.mark.parametrize(
    "argv",
    [
        ["run", "\x1b[31mno.toml"],
        ["score", "--model", "\u202euniform", "--train", TEXT],
        ["\x1b]0;title\x07"],
        ["score", "--unit", "\x1b[2J"],
        ["zipf", "a" * 5000],
        ["corpora", "show", "b/" * 3000],
        ["score", "--model", "laplace", "-o", f"order={10**30}", "--train", TEXT],
        ["next", "--load", "x" * 300],
        ["export", "y" * 300],
        ["score", "--model", ":X", "--train", TEXT],
        ["score", "--model", ".:X", "--train", TEXT],
    ],
)
def test_a_wrong_command_line_is_one_line(argv, capsys):
    assert main([*argv, "--test", str(GOLDEN / "ferry.test.txt")] if TEXT in argv else argv) == 2
    said = capsys.readouterr().err
    assert said.startswith("lmbench: ")
    assert said.count("\n") == 1
    assert said[:-1].isprintable()
    assert len(said) < 400


def test_half_characters_are_read_and_printed_as_escapes(tmp_path):
    scored = ["score", "--model", "unigram", "--train", TEXT, "--given", "\udcff", "--test", TEXT, "--json"]
    command = [sys.executable, "-m", "lmbench.cli", *scored]
    done = subprocess.run(command, capture_output=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    assert b'"given": "\\udcff"' in done.stdout


# Stored runs ---------------------------------------------------------------------------------------------


class Remarks(Watch):
    def __init__(self):
        self.remarks, self.fresh = [], []

    def remark(self, sentence):
        self.remarks.append(sentence)

    def done(self, cell, outcome, fresh):
        if fresh:
            self.fresh.append(cell.label)


@pytest.fixture
def measured(tmp_path):
    suite = suite_of(("uniform",), ("bigram", "b", "char", {"eps": (1, 1)}), zipf_orders=())
    measure_suite(suite, tmp_path / "run")
    return suite, tmp_path / "run"


def rewritten(path, **changed):
    """A stored run with other arrays in it."""
    with np.load(path) as stored:
        arrays = dict(stored) | changed
    np.savez_compressed(path, **{name: a for name, a in arrays.items() if a is not None})


@pytest.mark.parametrize(
    "changed",
    [
        {"log_probs": np.array([1.0])},
        {"log_probs": np.array([np.nan, -1.0])},
        {"log_probs": np.array([-1 + 2j])},
        {"log_probs": np.array(["a"])},
        {"ends": None},
        {"ends": np.array([[1]])},
        {"about": np.array([1, 2], dtype=np.uint8)},
        {"starts": np.array([7, 3])},
        {"oov": np.zeros(3, dtype=np.int8)},
    ],
)
def test_a_stored_run_that_does_not_read_is_measured_anew(measured, changed):
    suite, folder = measured
    path = folder / "scores/ferry/b.npz"
    before = path.read_bytes()
    rewritten(path, **changed)
    with pytest.raises(InputError, match="no stored run, or is damaged"):
        load_run(path)
    watch = Remarks()
    measure_suite(suite, folder, watch=watch)
    assert watch.fresh == ["b"]
    assert len([said for said in watch.remarks if "it is measured anew" in said]) == 1
    again, other = load_run(path), folder / "other.npz"
    other.write_bytes(before)
    assert np.array_equal(again.scores.log_probs, load_run(other).scores.log_probs)


def test_a_cut_run_is_named_by_diff(measured, tmp_path):
    suite, folder = measured
    measure_suite(suite, tmp_path / "other")
    path = folder / "scores/ferry/b.npz"
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(InputError, match=r"b\.npz is no stored run"):
        diff_runs(tmp_path / "other", folder)


def test_what_is_stored_is_read_as_it_was(measured):
    _, folder = measured
    run = load_run(folder / "scores/ferry/b.npz")
    save_run(run, folder / "again.npz", "k")
    assert load_run(folder / "again.npz", "k").facts == run.facts
    assert load_run(folder / "again.npz", "other") is None
    assert load_run(folder / "nothing.npz") is None


# Suites and descriptions -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("seeds = 9223372036854775807", "how many, 1 to 1000"),
        ("seeds = [-1]", "seeds"),
        ("seeds = [9223372036854775808]", "seeds"),
        ("seeds = inf", "seeds"),
        ("splits = inf", "splits"),
        ("verify = nan", "verify"),
        (f"corpora = [{{name = 't', train = '{'a' * 600}'}}]", "too long"),
        ('corpora = [{name = "t", train = "a\\u0000.b"}]', "no such file"),
    ],
)
def test_a_suite_of_absurd_numbers_is_refused_at_once(tmp_path, line, said):
    corpora = "" if line.startswith("corpora") else f"corpora = ['{TEXT}']\n"
    (tmp_path / "s.toml").write_text(f"name = 's'\n{corpora}{line}\n[[models]]\nmodel = 'uniform'\n")
    with pytest.raises(InputError, match=said):
        load_suite(str(tmp_path / "s.toml"), trust_paths=True).corpus_specs()[0].load()


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("", "either"),
        ("[[files]]\nname = 't'\nrole = 'train'", "roles"),
        ("[[files]]\nname = 't'\n[[files]]\nname = 'u'", "roles"),
        ("[source]\nkind = 3", "kind"),
        ("[source]\nlength = 10", "kind"),
        ("[source]\nkind = 'markov'\nlength = 9223372036854775807", "length"),
        ("[source]\nkind = 'markov'\nlength = -1", "length"),
        ("[source]\nkind = 'markov'\nseed = -1", "seed"),
        ("[source]\nkind = 'markov'\ntable = -1", "table"),
        ("[source]\nkind = 'markov'\norder = 'a'", "order"),
        ("[source]\nkind = 'golden-mean'\np = nan", "p="),
    ],
)
def test_a_wrong_description_is_one_line(tmp_path, lines, said):
    (tmp_path / "d.toml").write_text(f"title = 't'\n{lines}\n")
    with pytest.raises(InputError, match=said):
        Corpus.of(str(tmp_path / "d.toml"))


def test_whole_numbers_may_stand_for_shares(tmp_path):
    (tmp_path / "d.toml").write_text("title = 't'\n[source]\nkind = 'even-process'\np = 1\nlength = 100\n")
    assert set(Corpus.of(str(tmp_path / "d.toml")).whole().text) == {"b"}


# Leftovers, and being asked to end ------------------------------------------------------------------------------


def test_what_a_killed_process_has_left_is_swept(tmp_path):
    (tmp_path / ".file.abcd1234.part").write_text("half")
    (tmp_path / ".other.abcd1234.part").write_text("half")
    (tmp_path / ".file.part").write_text("another program's")
    write_whole(tmp_path / "file", "whole")
    assert sorted(os.listdir(tmp_path)) == [".file.part", ".other.abcd1234.part", "file"]
    sweep(tmp_path)
    assert sorted(os.listdir(tmp_path)) == [".file.part", "file"]


def test_what_is_still_written_is_not_swept(tmp_path):
    held = (
        "import sys, lmbench.storage.files as f\ndel f.os.O_TMPFILE\n"
        f"with f.whole_file({str(tmp_path / 'file')!r}) as stream:\n"
        "    print('writing', flush=True); sys.stdin.read(); stream.write(b'theirs')"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", held], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT
    )
    assert process.stdout.readline() == b"writing\n"
    with whole_file(tmp_path / "file") as stream:
        stream.write(b"ours")
    sweep(tmp_path)
    process.communicate(timeout=30)
    assert process.returncode == 0
    assert (tmp_path / "file").read_bytes() == b"theirs"
    assert os.listdir(tmp_path) == ["file"]


def test_a_request_to_end_is_ctrl_c(monkeypatch, capsys):
    """And what is asked of a command that nobody may end, as under nohup, stays ignored."""

    def waits(*_, **__):
        os.kill(os.getpid(), signal.SIGTERM)
        raise AssertionError("it went on")

    monkeypatch.setattr("lmbench.cli.lmbench.main", waits)
    assert main([]) == 130
    assert "interrupted" in capsys.readouterr().err
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        monkeypatch.setattr("lmbench.cli.lmbench.main", lambda *_, **__: os.kill(os.getpid(), signal.SIGHUP))
        assert main([]) == 0
    finally:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
