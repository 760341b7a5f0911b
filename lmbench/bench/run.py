"""A suite from its file to its report, in one call."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import msgspec

from lmbench import report
from lmbench.bench.outcome import Outcome
from lmbench.bench.places import calls_of, place_of
from lmbench.bench.runner import measure_suite
from lmbench.bench.strangers import write_suite
from lmbench.bench.suite import Suite
from lmbench.bench.suite_file import load_suite, to_toml
from lmbench.bench.watch import Watch
from lmbench.results.file import write_results
from lmbench.results.made import made_now
from lmbench.results.schema import Results, StudyResult
from lmbench.storage.files import sweep, whole_file
from lmbench.storage.names import check_own, folders_within
from lmbench.storage.tasks import Run as Tasks
from lmbench.studies.answers import answer_all, reported


class Interrupted(KeyboardInterrupt):
    """A run that was stopped: what was done is on disk, and ``results`` holds it (None where nothing was done)."""

    def __init__(self, results: Results | None) -> None:
        super().__init__("interrupted")
        self.results = results


def run_suite(
    suite: Suite | str,
    out: str | Path | None = None,
    *,
    fresh: bool = False,
    jobs: int = 1,
    watch: Watch | None = None,
    trust_code: bool = False,
    trust_paths: bool = False,
    cluster: str | None = None,
    work: str | Path | None = None,
) -> Results:
    """Runs a suite and writes its report: what ``lmbench run`` does. Returns what results.json holds.

    suite: a ``Suite``, the name of one that comes along, or the path of a TOML file. out: the run's folder, default
    ``reports/NAME``. What is there and unchanged is kept; fresh: measure all anew. jobs: models side by side, each with
    its share of the processor (workers import the caller's main module: keep the call under ``if __name__ == "__main__"``).
    trust_code, trust_paths: of a file that was not written here, as ``load_suite``'s.
    cluster: the address of a Dask scheduler whose workers measure the models, all of which see the texts and the run's folder or, where
    it is given, ``work``: models and scores are then made there, and copied.
    A model that fails is a row with its reason. Raises InputError where the suite or a text is wrong, and Interrupted
    (a KeyboardInterrupt) after the report of what was done where the user stops it.
    """
    began = time.monotonic()
    suite = load_suite(suite, trust_code, trust_paths) if isinstance(suite, str) else suite
    folder, watch = Path(out or Path("reports") / suite.name), watch or Watch()
    shared = folder if work is None else Path(work) / suite.name
    with place_of(jobs, cluster) as place:
        if work is not None:
            shared.mkdir(parents=True, exist_ok=True)
            check_own(shared)
        outcome = measure_suite(suite, shared, fresh, jobs, watch, place)
        if work is not None:
            _copy(shared, folder)
            write_suite(folder / "suite.toml", to_toml(suite))
        if outcome.interrupted and not outcome.runs:
            raise Interrupted(None)
        results = _report(outcome, folder, fresh, watch, began, calls_of(place, shared))
    if outcome.interrupted:
        raise Interrupted(results)
    return results


def _copy(shared: Path, folder: Path) -> None:
    """The files of one folder into another, each whole or not at all; links are neither followed nor copied."""
    for within in list(folders_within(folder)):
        sweep(within)
    for path in shared.rglob("*"):
        if path.is_file() and not path.is_symlink():
            with path.open("rb") as stream, whole_file(folder / path.relative_to(shared)) as copy:
                shutil.copyfileobj(stream, copy)


def _report(outcome: Outcome, folder: Path, fresh: bool, watch: Watch, began: float, tasks: Tasks) -> Results:
    suite = outcome.suite
    with watch.stage("comparing") as monitor:
        results, charts = outcome.results(monitor)
        results.splits.extend(outcome.over_splits())
    if suite.studies and not outcome.interrupted:
        with watch.stage("studies") as monitor:
            for answer in answer_all(suite.studies, outcome.corpora, folder, suite.seeds[0], fresh, monitor):
                row, figures = reported(answer)
                results.studies.append(msgspec.convert(row, StudyResult))
                charts += figures
    results = msgspec.structs.replace(results, made=made_now(time.monotonic() - began))
    write_results(results, folder)
    with watch.stage("what models say of the text") as monitor:
        views = outcome.views(tasks, monitor)
    with watch.stage("writing the report") as monitor:
        report.write(folder, results, charts, views, tasks, monitor.progress)
    return results
