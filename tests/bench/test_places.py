"""Fits and runs in processes and on a Dask cluster of two: the bytes of one process, whatever dies on the way."""

import os
import signal
from pathlib import Path

import numpy as np
import pytest
from fatal import Fatal
from msgspec.structs import replace
from small_suites import FERRY, suite_of

from lmbench import report
from lmbench.bench import cluster as clusters
from lmbench.bench.places import Calls, calls_of, place_of
from lmbench.bench.runner import measure_suite
from lmbench.bench.workers import Processes, Work
from lmbench.cli import main
from lmbench.corpora.shards import Reading, read_shards
from lmbench.errors import InputError
from lmbench.models import Monitor, make_model
from lmbench.scoring.scorer import Scorer
from lmbench.storage.tasks import Here


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    """Two files of lines."""
    folder = tmp_path_factory.mktemp("text")
    rng = np.random.default_rng(1)
    words = np.array(["the", "of", *(f"w{i}" for i in range(300))])
    p = 1 / (np.arange(len(words)) + 2.7)
    for name in ("a.txt", "b.txt"):
        lines = [" ".join(rng.choice(words, size=12, p=p / p.sum())) for _ in range(400)]
        (folder / name).write_text("\n".join(lines) + "\n")
    return [folder / "a.txt", folder / "b.txt"]


@pytest.fixture(scope="module")
def cluster():
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs=50
    ) as here:
        yield here.scheduler_address


def fitted(files, folder, run, place):
    """The bytes of a model that was fitted by a run."""
    folder.mkdir()
    read = read_shards(files, Reading("word", "none", "line"), folder, run, size=1 << 12)
    model = make_model("kneser-ney", order=3)
    Scorer.fit_shards(model, read, "text", run=run).save(place)
    return place.read_bytes()


def test_a_killed_process_costs_its_task_alone_in_every_stage(text, tmp_path):
    plain = fitted(text, tmp_path / "one", Here(), tmp_path / "one.model")
    with Processes(2) as place:
        run = Fatal(Calls(place, tmp_path), tmp_path)
        assert fitted(text, tmp_path / "two", run, tmp_path / "two.model") == plain
    killed = {path.name for path in tmp_path.iterdir() if path.is_file()} - {"one.model", "two.model"}
    assert killed == {"tokenise", "count", "merge", "link", "tally", "smooth"}


def test_a_cluster_gives_the_same_bytes_and_loses_a_worker(text, tmp_path, cluster):
    plain = fitted(text, tmp_path / "one", Here(), tmp_path / "one.model")
    with place_of(1, cluster) as place:
        assert place.jobs == 2
        run = Fatal(Calls(place, tmp_path), tmp_path, only=["merge"])
        assert fitted(text, tmp_path / "two", run, tmp_path / "two.model") == plain
    assert (tmp_path / "merge").exists()


def test_a_suite_is_measured_and_reported_on_a_cluster(tmp_path, cluster, monkeypatch):
    monkeypatch.setattr(report, "FEW_FIGURES", 0)
    monkeypatch.chdir(tmp_path)
    suite = suite_of(("uniform",), ("bigram",))
    suite.corpora = [FERRY, replace(FERRY, name="again")]
    here = measure_suite(suite, Path("here"))
    results, charts = here.results()
    plain = here.views(Here(), Monitor())
    report.write("here", results, charts, plain)
    with place_of(1, cluster) as place:
        there = measure_suite(suite, Path("there"), place=place)
        run = Counting(calls_of(place, Path("there")))
        views = there.views(run, Monitor())
        report.write("there", results, charts, views, run)
    assert run.functions == ["_views_of_one"] * 2 + ["draw_all"] * len(
        list(Path("here/figures").glob("*.png"))
    )
    assert [run.label for run in there.runs] == [run.label for run in here.runs]
    for one, other in zip(here.runs, there.runs, strict=True):
        assert np.array_equal(one.scores.log_probs, other.scores.log_probs)
    assert there.texts.keys() == {"ferry", "again"}
    assert [d.tables for d in views.differences] == [d.tables for d in plain.differences]
    for name in ("report.html", "figures/charts.json", "figures/bits-again.svg"):
        assert (Path("here") / name).read_bytes() == (Path("there") / name).read_bytes()


def test_whoever_reaches_a_scheduler_runs_code_at_its_workers(cluster):
    """What the security page says of clusters, and why they are for one's own machines alone."""
    from distributed import Client

    with Client(cluster, set_as_default=False) as stranger:
        workers = set(stranger.run(os.getpid).values())
    assert len(workers) == 2
    assert os.getpid() not in workers


class Counting:
    """Calls that are written down."""

    def __init__(self, calls):
        self.calls, self.jobs, self.functions = calls, calls.jobs, []

    def __call__(self, function, arguments):
        self.functions += [function.__name__] * len(arguments)
        return self.calls(function, arguments)


class Doubling(Work):
    """Twice each number; some end their worker."""

    def order(self, task):
        return double, (task,)

    def progress(self, task, sent):
        self.sent = [*getattr(self, "sent", []), (task, sent)]

    def died(self, status):
        return f"died {status}"


def double(send, number):
    send("half")
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return 2 * number


def test_what_a_worker_sends_arrives_and_a_death_is_an_answer():
    work = Doubling()
    with Processes(2) as place:
        assert dict(place.each([1, 2, 3], work)) == {1: 2, 2: 4, 3: "died -9"}
        assert dict(place.each([5], work)) == {5: 10}
    assert {(1, "half"), (2, "half"), (5, "half")} <= set(work.sent)


def test_a_task_that_dies_again_and_again_is_told(tmp_path):
    with (
        Processes(1) as place,
        pytest.raises(InputError, match=r"1 of 1 tasks \(kill_self\) ended their workers 3 times"),
    ):
        list(Calls(place, tmp_path)(kill_self, [()]))


def kill_self():
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_folder_that_a_worker_does_not_see_is_one_line(tmp_path):
    with (
        Processes(1) as place,
        pytest.raises(InputError, match=r"the folder .*gone is not there on .*\(--work\)"),
    ):
        list(Calls(place, tmp_path / "gone")(print, [()]))


def test_a_scheduler_that_does_not_answer_is_one_line(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(clusters, "_PATIENCE", 0.5)
    (tmp_path / "a.txt").write_text("a b c\n" * 50)
    monkeypatch.chdir(tmp_path)
    command = "fit --model kneser-ney --train a.txt --save m --cluster tcp://127.0.0.1:9"
    assert main(command.split()) == 2
    assert "no Dask scheduler answers at tcp://127.0.0.1:9" in capsys.readouterr().err


def test_a_cluster_whose_workers_are_all_lost_is_one_line(monkeypatch, tmp_path):
    from distributed import LocalCluster

    monkeypatch.setattr(clusters, "_ALONE", 0.5)
    with (
        LocalCluster(n_workers=1, protocol="tcp", processes=False, dashboard_address=":0") as here,
        clusters.Cluster(here.scheduler_address) as place,
    ):
        here.scale(0)
        with pytest.raises(InputError, match=r"all workers at \S+ were lost.*give the command again"):
            list(Calls(place, tmp_path)(len, [("a",)]))


def test_the_command_line_fits_in_shards_and_cleans_up(text, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    command = [
        "fit",
        "--model",
        "kneser-ney",
        "-o",
        "order=3",
        "--unit",
        "word",
        "--documents",
        "line",
        "--quiet",
    ]
    command += [word for file in text for word in ("--train", str(file))]
    assert main([*command, "--save", "plain"]) == 0
    assert main([*command, "--save", "one", "--work", "shared"]) == 0
    assert not list((tmp_path / "shared").iterdir())
    assert main([*command, "--save", "two", "--jobs", "2"]) == 0
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    plain, one = (Scorer.load(tmp_path / name).model for name in ("plain", "one"))
    for name, column in plain.state().items():
        assert np.array_equal(column, one.state()[name])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "mlp"], "mlp learns from the text itself"),
        (["--model", "laplace"], "laplace chooses its settings on held-out text; give --valid FILE"),
    ],
)
def test_what_cannot_be_divided_is_told(text, tmp_path, capsys, arguments, message):
    command = [
        "fit",
        *arguments,
        "--train",
        str(text[0]),
        "--save",
        str(tmp_path / "m"),
        "--work",
        str(tmp_path),
    ]
    assert main(command) == 2
    assert message in capsys.readouterr().err
