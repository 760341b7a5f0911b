"""Folders in which others may write: links, pipes, other users' files, and what is exchanged between a look and a use."""

import os
import shutil
import threading

import pytest
import report_example

from lmbench import report
from lmbench.bench import suite_file
from lmbench.bench.run import run_suite
from lmbench.bench.suite import CorpusSpec, ModelSpec, Suite
from lmbench.cli import main, shards
from lmbench.errors import InputError
from lmbench.results.file import write_results
from lmbench.storage import files
from lmbench.storage.files import sweep, write_whole

TEXT = "the ferry waits for the tide and the tide for nobody\n" * 40
FIT = "fit --model kneser-ney -o order=2 --unit word --documents line --train t.txt --work w --jobs 1 --quiet --save out.arpa"


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.txt").write_text(TEXT)
    (tmp_path / "outside").mkdir()
    (tmp_path / "precious").write_text("kept")
    return tmp_path


def suite(**more):
    text, row = CorpusSpec("t", train="t.txt"), ModelSpec("uniform", "m")
    return Suite("s", [text], [row], zipf_orders=(), **more)


def of_another_user(monkeypatch):
    """From now on what this process writes is another user's than what is there."""
    real = os.fstat

    def fstat(handle):
        about = real(handle)
        return os.stat_result((*about[:4], about.st_uid + 1, *about[5:]))

    monkeypatch.setattr(os, "fstat", fstat)


def test_a_pipe_that_is_called_like_a_leftover_is_not_waited_for(here):
    os.mkfifo(here / ".results.json.abcdefgh.part")
    thread = threading.Thread(target=sweep, args=(here,), daemon=True)
    thread.start()
    thread.join(20)
    assert not thread.is_alive()


def test_rights_are_set_of_the_file_that_was_written(here, monkeypatch):
    """Not of what stands under its name by then."""
    real = files._name
    os.chmod("precious", 0o600)

    def exchanged(handle, path):
        name = real(handle, path)
        os.unlink(name)
        os.symlink(here / "precious", name)
        return name

    monkeypatch.setattr(files, "_name", exchanged)
    write_whole(here / "out", "new")
    assert os.stat("precious").st_mode & 0o777 == 0o600
    assert (here / "precious").read_text() == "kept"


# Runs ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["scores", "studies", "anything"])
@pytest.mark.parametrize("work", [None, "w"])
def test_nothing_is_written_out_of_a_run_through_a_folder_s_link(here, place, work):
    (here / "run").mkdir()
    (here / "run" / place).symlink_to(here / "outside")
    with pytest.raises(InputError, match="leads out"):
        run_suite(suite(studies=["words"]), here / "run", work=work)
    assert not list((here / "outside").iterdir())


def test_what_was_made_in_a_work_folder_is_copied_over_links_and_not_through_them(here):
    (here / "run").mkdir()
    (here / "run" / "suite.toml").symlink_to(here / "precious")
    (here / "w" / "s").mkdir(parents=True)
    (here / "w" / "s" / "secret").symlink_to(here / "precious")
    run_suite(suite(), here / "run", work="w")
    assert (here / "precious").read_text() == "kept"
    assert not (here / "run" / "secret").exists()
    assert (here / "run" / "scores" / "t" / "m.npz").read_bytes() == (
        here / "w/s/scores/t/m.npz"
    ).read_bytes()
    assert suite_file.read_suite(here / "run" / "suite.toml")[1]


def test_figures_are_not_drawn_out_of_a_run(here):
    report.write(here / "run", report_example.example())
    write_results(report_example.example(), here / "run")
    (here / "run" / "figures").rename(here / "figures")
    (here / "run" / "figures").symlink_to(here / "figures")
    drawn = sorted(os.listdir("figures"))
    assert main(["export", "run", "--format", "pdf"]) == 2
    assert sorted(os.listdir("figures")) == drawn


# Work folders ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["a link", "another user's"])
def test_a_work_folder_that_is_not_one_s_own_is_refused(here, way, monkeypatch, capsys):
    with monkeypatch.context() as patch:
        patch.setattr(shards.shutil, "rmtree", lambda *_, **__: None)
        assert main(FIT.split()) == 0
    (work,) = (here / "w").iterdir()
    if way == "a link":
        shutil.rmtree(work)
        work.symlink_to(here / "outside")
    else:
        of_another_user(monkeypatch)
    assert main(FIT.split()) == 2
    assert f"is {way}, and what is kept there cannot be relied on" in capsys.readouterr().err
    assert not list((here / "outside").iterdir())


def test_a_run_s_work_folder_is_one_s_own_too(here, monkeypatch):
    (here / "w").mkdir()
    (here / "w" / "s").symlink_to(here / "outside")
    with pytest.raises(InputError, match="is a link"):
        run_suite(suite(), here / "run", work="w")
    assert not list((here / "outside").iterdir())
    os.unlink("w/s")
    of_another_user(monkeypatch)
    with pytest.raises(InputError, match="is another user's"):
        run_suite(suite(), here / "run", work="w")


# Suites ------------------------------------------------------------------------------------------------------


def test_a_suite_that_is_exchanged_once_it_is_read_is_not_one_s_own(here, monkeypatch):
    """Read from another user's file, at whose place one's own stands when it is asked whose it is."""
    written = "name = 's'\ncorpora = ['t.txt']\n[[models]]\nmodel = 'evilmod:X'\n"
    (here / "evilmod.py").write_text("open('ran', 'w').close()\n")
    (here / "s.toml").write_text(written)
    monkeypatch.syspath_prepend(str(here))
    real = open

    def opened(path, *more, **options):
        stream = real(path, *more, **options)
        if str(path) == "s.toml":
            os.rename("s.toml", "theirs.toml")
            (here / "s.toml").write_text(written)
        return stream

    monkeypatch.setattr("lmbench.bench.strangers.open", opened, raising=False)
    assert main(["run", "s.toml", "--quiet"]) == 2
    assert not os.path.exists("ran")


@pytest.mark.parametrize(
    "line",
    [
        *("corpora show x", "run x.toml", "next --load x", "next --load x.arpa", "export x", "corpora show x.toml"),
        *("diff x x.toml", "zipf x", "runs x", "watch x --once", "history x", "score --load x --test t.txt"),
        *("fit --model uniform --train t.txt --save x/y", "run s.toml --out x --quiet", f"{FIT} --work x"),
    ],
)  # fmt: skip
def test_a_link_that_leads_back_to_itself_is_one_line(here, line, capsys):
    for name in ("x", "x.toml", "x.arpa"):
        os.symlink(name, name)
    (here / "s.toml").write_text("name = 's'\ncorpora = ['t.txt']\n[[models]]\nmodel = 'uniform'\n")
    assert main(line.split()) == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith("lmbench: ")


def test_a_folder_with_links_in_circles_is_read_once(here):
    (here / "d").mkdir()
    (here / "d" / "x.txt").write_text(TEXT)
    (here / "d" / "loop").symlink_to("..")
    (here / "d" / "self").symlink_to("self")
    assert main(["corpora", "show", "d"]) == 0
