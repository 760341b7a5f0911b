"""What a run of a suite leaves: finished runs, failures, the facts of texts; and what the report makes of them."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lmbench.bench.cells import Cell, cells_of
from lmbench.bench.suite import CorpusSpec, Stamps, Suite
from lmbench.bench.texts import TextTask
from lmbench.charts.chart import Chart
from lmbench.comparing.splits import Splits, over_splits
from lmbench.corpora.corpus import Corpus
from lmbench.models import Monitor
from lmbench.results.build import results_of
from lmbench.results.schema import Result, Results
from lmbench.results.texts import TextFacts
from lmbench.results.views import TOKENS, Views, views_of
from lmbench.scoring.run import Run
from lmbench.scoring.scorer import Scorer
from lmbench.scoring.stored_run import load_run, mapped
from lmbench.storage.tasks import Run as Tasks

Answer = Run | TextFacts | str  # of a cell, of a text, or why there is none


def load(spec: CorpusSpec) -> Corpus:
    """The text of a corpus; the last one is kept, as long as its files are those that were read."""
    return _load(spec, spec.stamps())


@functools.lru_cache(maxsize=1)
def _load(spec: CorpusSpec, stamps: Stamps) -> Corpus:
    return spec.load()


@functools.lru_cache(maxsize=1)
def _load_split(spec: CorpusSpec, stamps: Stamps, number: int, of: int) -> Corpus:
    return _load(spec, stamps).divided_anew(number, of)


def scorer_of(run: Run, suite: Suite, folder: Path) -> Scorer:
    """A run's fitted model, read from disk."""
    for spec in suite.corpus_specs():
        for cell in cells_of(suite, spec) if spec.name == run.corpus else ():
            if (cell.label, cell.seed) == (run.label, run.seed):
                return cell.scorer(folder)
    raise KeyError(run.label)


def corpus_of(cell: Cell, suite: Suite) -> Corpus:
    """The text of a cell, divided as it asks for."""
    spec = cell.corpus
    return load(spec) if cell.split is None else _load_split(spec, spec.stamps(), cell.split, suite.splits)


@dataclass
class Outcome:
    """What a run left: the finished runs by corpus, and the cells that failed with their reasons."""

    suite: Suite
    folder: Path
    corpora: dict[str, Corpus] = field(default_factory=dict)
    runs: list[Run] = field(default_factory=list)
    failures: list[tuple[Cell, str]] = field(default_factory=list)
    # Of further divisions, by their number: the runs, and how each was made.
    splits: dict[tuple[str, int], list[Run]] = field(default_factory=dict)
    divisions: dict[tuple[str, int], str] = field(default_factory=dict)
    interrupted: bool = False
    # By corpus, what is said of its text.
    texts: dict[str, TextFacts] = field(default_factory=dict)

    def take(self, cell: Cell | TextTask, result: Answer) -> None:
        """Files a cell's run, or why it failed; the facts of a text."""
        if isinstance(cell, TextTask):
            if isinstance(result, TextFacts):
                self.texts[cell.corpus.name] = result
            return
        assert not isinstance(result, TextFacts)
        if isinstance(result, str):
            self.failures.append((cell, result))
        elif cell.split is None:
            self.runs.append(mapped(result))
        else:
            self.splits.setdefault((cell.corpus.name, cell.split), []).append(mapped(result))

    def complete_texts(self) -> None:
        """Makes the facts of texts that are not there: of a run that was interrupted, or where a task failed."""
        for name, corpus in self.corpora.items():
            if name not in self.texts:
                self.texts[name] = TextFacts.of(name, corpus, self.suite.zipf_orders)

    def over_splits(self) -> list[Splits]:
        """What further divisions of the texts say."""
        every = []
        for name in self.corpora:
            numbers = sorted(number for corpus, number in self.splits if corpus == name)
            divisions = [self.divisions[name, number] for number in numbers]
            runs = [self.splits[name, number] for number in numbers]
            if (splits := over_splits(name, divisions, runs)) is not None:
                every.append(splits)
        return every

    def failed_rows(self) -> list[Result]:
        """The rows of results.json for the cells that have no scores."""
        return [
            Result(
                corpus=cell.corpus.name,
                label=cell.label,
                model=cell.spec.model,
                unit=cell.spec.unit,
                options=cell.spec.options,
                seed=cell.seed,
                status=f"failed: {why}",
            )
            for cell, why in self.failures
            if cell.split is None
        ]

    def results(self, monitor: Monitor | None = None) -> tuple[Results, list[Chart]]:
        """What results.json holds, and the figures that only the texts can give."""
        suite = self.suite
        return results_of(
            self.corpora,
            self.runs,
            self.failed_rows(),
            suite.name,
            suite.title,
            suite.zipf_orders,
            self.texts,
            (monitor or Monitor()).progress,
            suite.worthwhile,
        )

    def scorer_of(self, run: Run) -> Scorer:
        """A ranked run's fitted model, read from disk."""
        return scorer_of(run, self.suite, self.folder)

    def views(self, tasks: Tasks, monitor: Monitor) -> Views:
        """What the report shows of the texts themselves; tasks: of several, a text each."""
        if tasks.jobs == 1 or len(self.corpora) == 1:
            return views_of(self.corpora, self.runs, self.scorer_of, progress=monitor.progress)
        ranked: dict[str, list[Path]] = {name: [] for name in self.corpora}
        folder = self.folder.resolve()
        files = {
            (cell.corpus.name, cell.label, cell.seed): cell.scores_file(folder)
            for spec in self.suite.corpus_specs()
            for cell in cells_of(self.suite, spec)
        }
        for run in self.runs:
            if run.ranked:
                file = files.get((run.corpus, run.label, run.seed), external_file(folder, run))
                ranked[run.corpus].append(file)
        specs = [spec.at_home() for spec in self.suite.corpus_specs()]
        share = TOKENS // len(specs)
        arguments = [(spec, self.suite, folder, ranked[spec.name], share) for spec in specs]
        made: dict[int, Views] = {}
        for number, view in tasks(_views_of_one, arguments):
            made[number] = view
            monitor.progress(len(made), len(specs), "texts")
        every = [made[number] for number in sorted(made)]
        return Views(
            [e for view in every for e in view.extracts], [d for view in every for d in view.differences]
        )


def _views_of_one(spec: CorpusSpec, suite: Suite, folder: Path, files: Sequence[Path], most: int) -> Views:
    runs = [run for file in files if (run := load_run(file)) is not None]
    return views_of({spec.name: load(spec)}, runs, lambda run: scorer_of(run, suite, folder), most)


def external_file(folder: Path, run: Run) -> Path:
    """Where the scores lie that another program has made."""
    return folder / "scores" / run.corpus / f"{run.label}.npz"
