"""What a hostile reviewer has tried beyond what the sentences of the security page say: runs, results, names and paths made to hurt."""

import contextlib
import io
import json
import os
import pickle
import subprocess
import sys
import zipfile

import msgspec
import numpy as np
import pytest
import report_example
from paths import GOLDEN
from small_suites import suite_of

import lmbench as lb
from lmbench.bench.runner import measure_suite
from lmbench.bench.suite import CorpusSpec, ModelSpec, Suite
from lmbench.bench.suite_file import check, load_suite
from lmbench.bench.watch import Watch
from lmbench.charts.chart import Chart, Panel, Series
from lmbench.cli import main
from lmbench.corpora.descriptions import _unpack, describe
from lmbench.errors import InputError
from lmbench.results.file import read_results, write_results
from lmbench.scoring.scorer import Scorer, load_model
from lmbench.scoring.stored_run import load_run
from lmbench.storage.mapped import open_arrays, write_arrays

TEXT = str(GOLDEN / "ferry.train.txt")


class Pickled:
    """What writes a file where it is unpickled."""

    def __reduce__(self):
        return os.system, ("touch pwned",)


@pytest.fixture
def measured(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    suite = suite_of(("uniform",), ("bigram", "b", "char", {"eps": (1, 1)}), zipf_orders=())
    measure_suite(suite, tmp_path / "run")
    return suite, tmp_path / "run"


# Models ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        *("subprocess:Popen", "os:system", "builtins:eval", "builtins:exec", "sys:exit", "pickle:loads", "shutil:rmtree"),
        *("lmbench.cli:main", "lmbench.models.base:LanguageModel", "lmbench.models.uniform:Uniform.fit", "pathlib:Path"),
        *(":X", "a:b:c", "os.path:join", "..:X", "os:", "os:__import__", "importlib:import_module", "\u202eos:system"),
    ],
)  # fmt: skip
def test_a_saved_model_names_no_class_but_a_models(tmp_path, monkeypatch, name):
    """Also one of a module that is imported already, whose names need no trust: what is no model is not called."""
    monkeypatch.chdir(tmp_path)
    Scorer.fit(lb.make_model("uniform"), lb.Corpus.of(TEXT)).save("m")
    facts, arrays = open_arrays("m")
    options = {"args": "touch pwned", "shell": True}
    write_arrays("m", {k: v.all() for k, v in arrays.items()}, {**facts, "model": name, "options": options})
    with pytest.raises(InputError):
        load_model("m")
    assert os.listdir() == ["m"]


# Runs ------------------------------------------------------------------------------------------------------


def test_a_stored_run_unpickles_nothing(measured):
    _, folder = measured
    path = folder / "scores/ferry/b.npz"
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    array = np.empty(1, dtype=object)
    array[0] = Pickled()
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=True)
    for data in (stream.getvalue(), pickle.dumps(Pickled())):
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in {**members, "log_probs.npy": data}.items():
                archive.writestr(name, content)
        with pytest.raises(InputError, match="no stored run, or is damaged"):
            load_run(path)
    assert not os.path.exists("pwned")


def test_names_in_a_stored_run_lead_nowhere(measured):
    _, folder = measured
    path = folder / "scores/ferry/b.npz"
    with zipfile.ZipFile(path, "a") as archive:
        for name in ("../../../out.npy", "/tmp/lmbench-out.npy", "..\\out.npy", "a/../../out.npy"):
            archive.writestr(name, b"x")
    load_run(path)
    assert not list(folder.parent.rglob("out.npy"))
    assert not os.path.exists("/tmp/lmbench-out.npy")


class Remarks(Watch):
    def __init__(self):
        self.said = []

    def remark(self, sentence):
        self.said.append(sentence)


def test_a_link_in_place_of_a_score_shows_and_changes_nothing(measured, tmp_path):
    suite, folder = measured
    secret = tmp_path / "secret"
    secret.write_text("password: swordfish\n")
    path = folder / "scores/ferry/b.npz"
    path.unlink()
    path.symlink_to(secret)
    watch = Remarks()
    measure_suite(suite, folder, watch=watch)
    assert secret.read_text() == "password: swordfish\n"
    assert "swordfish" not in "".join(watch.said)
    assert not path.is_symlink()


def test_a_file_that_has_a_second_name_is_replaced_and_not_written_into(tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (tmp_path / "run").mkdir()
    os.link(victim, tmp_path / "run" / "results.json")
    write_results(report_example.example(), tmp_path / "run")
    assert victim.read_text() == "mine"
    assert read_results(tmp_path / "run").suite


@pytest.mark.parametrize(
    "number", ["NaN", "Infinity", "-Infinity", "1e999", "1" + "0" * 400, "0x10", "1_0", "-"]
)
def test_results_of_numbers_that_json_has_not_are_refused(tmp_path, number, capsys):
    write_results(report_example.example(), tmp_path)
    text = (tmp_path / "results.json").read_text()
    bits = json.loads(text)["results"][0]["bits_per_char"]
    assert f'"bits_per_char": {bits}' in text
    (tmp_path / "results.json").write_text(
        text.replace(f'"bits_per_char": {bits}', f'"bits_per_char": {number}', 1)
    )
    assert main(["export", str(tmp_path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_keys_twice_and_keys_that_javascript_knows_are_no_numbers(tmp_path):
    write_results(report_example.example(), tmp_path)
    text = (tmp_path / "results.json").read_text()
    (tmp_path / "results.json").write_text(
        text[:-2].rstrip() + ',"__proto__": {"suite": "evil"}, "constructor": 1}'
    )
    read = read_results(tmp_path)
    assert read.suite == report_example.example().suite
    assert b"evil" not in msgspec.json.encode(read)


# Names and paths ---------------------------------------------------------------------------------------------


def two_rows(one, other):
    return Suite("s", [CorpusSpec("t", train=TEXT)], [ModelSpec("uniform", one), ModelSpec("uniform", other)])


@pytest.mark.parametrize(
    ("one", "other"), [("é", "e\u0301"), ("ﬁ", "FI"), ("ß", "SS"), ("K", "\u212a"), ("ſ", "s")]
)
def test_names_that_fold_into_one_are_refused(one, other):
    """Of accents written in two ways, ligatures, the sign of Kelvin, the long s."""
    with pytest.raises(InputError):
        check(two_rows(one, other))


def test_letters_that_look_alike_are_two_files(tmp_path):
    suite = two_rows("a", "\u0430")  # the second is Cyrillic
    check(suite)
    outcome = measure_suite(suite, tmp_path)
    assert sorted(run.label for run in outcome.runs) == ["a", "\u0430"]
    assert len(list((tmp_path / "scores" / "t").iterdir())) == 2


@pytest.mark.parametrize(
    "place", ["$HOME/x.txt", "${PATH}", "~/x.txt", "~root/x", "%USERPROFILE%/x", "`id`", "$(id)", "|id"]
)
def test_paths_are_taken_as_they_stand(tmp_path, monkeypatch, place):
    """No shell, no variable, no home."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "x.txt").write_text("secret")
    suite = f"name = 's'\ncorpora = [{{name = 't', train = '{place}'}}]\n[[models]]\nmodel = 'uniform'\n"
    (tmp_path / "s.toml").write_text(suite)
    with pytest.raises(InputError, match=r"no such file|is not there|unknown corpus or file"):
        load_suite("s.toml").corpus_specs()[0].load()


def test_an_archive_gives_the_files_of_the_description_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name in ("../evil.txt", "/tmp/lmbench-evil.txt", "a/../../evil.txt", "t.txt"):
            archive.writestr(name, "a text\n" * 9)
    (tmp_path / "d.toml").write_text("title = 't'\n[[files]]\nname = 't.txt'\n")
    _unpack(stream.getvalue(), "z.zip", describe("d.toml").files)
    assert not list(tmp_path.parent.rglob("evil.txt"))
    assert not os.path.exists("/tmp/lmbench-evil.txt")


@pytest.mark.parametrize("line", ["--version", "models", "counts t.txt --help", "corpora list --json"])
def test_a_pipe_that_nobody_reads_ends_a_command_as_done(line):
    """What click prints, what rich prints in colours, and what is printed as it stands."""
    reader, writer = os.pipe()
    os.close(reader)
    argv = [sys.executable, "-m", "lmbench", *line.split()]
    done = subprocess.run(argv, stdout=writer, stderr=subprocess.PIPE, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("place", ["results.json", "scores/ferry/b.npz", "texts/ferry.json", "suite.toml"])
def test_a_pipe_in_a_runs_folder_is_not_waited_for(measured, place):
    """Nor is a device read, which may have no end."""
    suite, folder = measured
    write_results(report_example.example(), folder)
    (folder / place).unlink()
    os.mkfifo(folder / place)
    for line in (
        f"export {folder}",
        f"runs {folder.parent}",
        f"watch {folder} --once",
        f"diff {folder} {folder.parent}",
    ):
        assert main(line.split()) in (0, 2)
    if place == "scores/ferry/b.npz":
        with pytest.raises(InputError, match="no ordinary file but a pipe or device"):
            load_run(folder / place)
    with contextlib.suppress(InputError):  # what cannot be replaced is told
        measure_suite(suite, folder)


def charts_with(change):
    chart = Chart(
        "c",
        "caption",
        [Panel("title", "x", "y", [Series("s", [1.0, 2.0], [3.0, 4.0], "interval", [2.0, 3.0], [4.0, 5.0])])],
    )
    tree = msgspec.to_builtins(chart)
    change(tree, tree["panels"][0], tree["panels"][0]["series"][0])
    return [tree]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda chart, panel, series: None, ""),
        (lambda chart, panel, series: series.update(y=[1.0]), "sequences of 1 and 2 numbers"),
        (lambda chart, panel, series: series.update(high=[1.0, 2.0, 3.0]), "sequences of 2 and 3 numbers"),
        (lambda chart, panel, series: series.update(x=[1.0, 1e300]), "beyond 1e"),
        (lambda chart, panel, series: panel.update(horizontal=[[-1e200, "line"]]), "beyond 1e"),
        (lambda chart, panel, series: series.update(label="x" * 100_000), "longer than 2000 characters"),
        (lambda chart, panel, series: series.update(x=["x" * 3000, "b"]), "longer than 2000 characters"),
        (lambda chart, panel, series: panel.update(title="$x$" * 1000), "longer than 2000 characters"),
        (lambda chart, panel, series: chart.update(caption="x" * 3000), "longer than 2000 characters"),
    ],
)
def test_figures_that_cannot_be_drawn_are_one_line(measured, change, said, capsys):
    _, folder = measured
    write_results(report_example.example(), folder)
    (folder / "figures").mkdir(exist_ok=True)
    (folder / "figures" / "charts.json").write_text(json.dumps(charts_with(change)))
    assert main(["export", str(folder), "--format", "pdf", "--out", "pdf"]) == (2 if said else 0)
    assert said in capsys.readouterr().err
    assert os.path.exists("pdf/c.pdf") == (not said)


def test_a_source_writes_no_more_than_it_may(tmp_path):
    """A hundred bytes of a description would ask for any number of them."""
    for length, well in ((10**8, True), (10**8 + 1, False), (10**30, False)):
        (tmp_path / "d.toml").write_text(f"title = 't'\n[source]\nkind = 'golden-mean'\nlength = {length}\n")
        if well:
            assert describe(str(tmp_path / "d.toml")).written().length == length
        else:
            with pytest.raises(InputError):
                describe(str(tmp_path / "d.toml"))
