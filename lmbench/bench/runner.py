"""The runner: a double loop over corpora and models, each cell on disk as soon as it is done."""

from __future__ import annotations

import functools
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from lmbench.bench.cells import Cell, cells_of
from lmbench.bench.places import check_seen
from lmbench.bench.strangers import write_suite
from lmbench.bench.suite import CorpusSpec, Suite
from lmbench.bench.suite_file import check_names, to_toml
from lmbench.bench.watch import SendingMonitor, Watch
from lmbench.bench.workers import Place, Processes, Work
from lmbench.charts.chart import Chart
from lmbench.comparing.seen import Seen
from lmbench.comparing.splits import Splits, over_splits
from lmbench.corpora.corpus import Corpus
from lmbench.corpora.words import remarks
from lmbench.errors import InputError
from lmbench.models import Monitor, make_model
from lmbench.results.build import results_of
from lmbench.results.schema import Result, Results
from lmbench.scoring.evaluation import fit_run, training_facts, verified
from lmbench.scoring.run import Run, Sample, load_run, save_run
from lmbench.scoring.scorer import Scorer
from lmbench.scoring.token_file import external_run
from lmbench.scoring.verification import certify
from lmbench.storage.files import sweep, write_whole
from lmbench.storage.names import check_within

# One model on one corpus ---------------------------------------------------------------------------


@functools.lru_cache(maxsize=1)
def _load(spec: CorpusSpec) -> Corpus:
    return spec.load()


@functools.lru_cache(maxsize=1)
def _load_split(spec: CorpusSpec, number: int, of: int) -> Corpus:
    return _load(spec).divided_anew(number, of)


def corpus_of(cell: Cell, suite: Suite) -> Corpus:
    """The text of a cell, divided as it asks for."""
    return _load(cell.corpus) if cell.split is None else _load_split(cell.corpus, cell.split, suite.splits)


def measure(cell: Cell, suite: Suite, folder: Path, monitor: Monitor | None = None) -> Run:
    """Fits and scores one cell and puts its model and scores on disk, each whole or not at all."""
    corpus = corpus_of(cell, suite)
    model = make_model(cell.spec.model, **cell.spec.options)
    components = [c.scorer(folder) for c in cell.components]
    monitor = monitor or Monitor()
    monitor.checkpoint = cell.checkpoint_file(folder)  # a long fit that is killed goes on from here
    scorer, run = fit_run(
        model, corpus, cell.spec.unit, cell.label, cell.seed, monitor, components, cell.spec.lexicon
    )
    reason, claim = certify(scorer, corpus, run.scores), None
    if suite.verify and reason is None:
        claim = verified(scorer, corpus.text("test"), suite.verify)
        if not claim.holds:
            reason = f"{claim.claimed_bits:.0f} bits claimed, the file of {claim.file_bits} {claim.verdict}"
    run = run.with_facts(
        **training_facts(scorer, corpus),
        parts=parts_of(cell, folder),
        unranked_reason=reason,
        verified=claim,
        samples=list(_samples(scorer, suite, cell.seed)) if model.traits.distributions else [],
    )
    scorer.save(cell.model_file(folder))
    save_run(run, cell.scores_file(folder), cell.key(corpus, suite))
    monitor.checkpoint.unlink(missing_ok=True)
    return run


def parts_of(cell: Cell, folder: Path) -> dict[str, float]:
    """Seconds that each model which the cell combines, at whatever depth, took to fit, by its label."""
    seconds: dict[str, float] = {}
    for component in cell.components:
        run = _stored(component.scores_file(folder), None, Watch())
        if run is not None:
            seconds |= {**run.facts.parts, component.label: run.facts.fit_seconds or 0.0}
    return seconds


def _samples(scorer: Scorer, suite: Suite, seed: int) -> Iterator[Sample]:
    asked = suite.samples
    tokens = asked.chars if scorer.unit.name != "word" else asked.chars // 5
    prompt = asked.prompt if scorer.unit.name != "word" else asked.prompt.rstrip(" ")
    for temperature in asked.temperatures:
        text = scorer.generate(np.random.default_rng(seed), tokens, prompt, temperature)
        # A word has no length of its own: in a text without blanks it is as long as the text.
        yield Sample(prompt=prompt, temperature=temperature, text=text[: len(prompt) + asked.chars])


# The suite -----------------------------------------------------------------------------------------


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

    @functools.cached_property
    def seen(self) -> dict[str, Seen]:
        """By corpus, what of its test text the models have seen."""
        return {name: Seen.of(corpus) for name, corpus in self.corpora.items()}

    def take(self, cell: Cell, result: Run | str) -> None:
        """Files a cell's run, or why it failed."""
        if isinstance(result, str):
            self.failures.append((cell, result))
        elif cell.split is None:
            self.runs.append(result)
        else:
            self.splits.setdefault((cell.corpus.name, cell.split), []).append(result)

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

    def results(self) -> tuple[Results, list[Chart]]:
        """What results.json holds, and the figures that only the texts can give."""
        suite = self.suite
        return results_of(
            self.corpora,
            self.runs,
            self.failed_rows(),
            suite.name,
            suite.title,
            suite.zipf_orders,
            self.seen,
        )

    def scorer_of(self, run: Run) -> Scorer:
        """A ranked run's fitted model, read from disk."""
        for spec in self.suite.corpus_specs():
            for cell in cells_of(self.suite, spec):
                if (cell.corpus.name, cell.label, cell.seed) == (run.corpus, run.label, run.seed):
                    return cell.scorer(self.folder)
        raise KeyError(run.label)


def measure_suite(
    suite: Suite,
    folder: Path,
    fresh: bool = False,
    jobs: int = 1,
    watch: Watch | None = None,
    place: Place | None = None,
) -> Outcome:
    """Measures every cell that is missing or changed, reads the others back.

    A cell that fails leaves its reason and the rest goes on; an interrupt keeps what is done. fresh: measure
    all anew. jobs: cells side by side, the processor's threads divided among them. place: where they are measured, in place of
    processes of this machine; it must see the folder and the texts. Raises InputError where a
    corpus cannot be had or the folder cannot be written.
    """
    watch = watch or Watch()
    check_names(suite)
    outcome = Outcome(suite, folder)
    specs = suite.corpus_specs()
    outcome.corpora = {spec.name: _load(spec) for spec in specs}
    external = external_runs(suite, outcome.corpora)
    todo = [
        cell
        for split in (None, *range(suite.splits))
        for spec in specs
        for cell in cells_of(suite, spec, split)
    ]
    for path in (path for cell in todo for path in cell.files(folder)):
        check_within(folder, path)
    for name in ("figures", "errors"):
        check_within(folder, folder / name / name)
    for within in [folder, *(path for path in folder.rglob("*") if path.is_dir())]:
        sweep(within)
    write_suite(folder / "suite.toml", to_toml(suite))
    if any(spec.unit == "word" for spec in suite.models):
        for name, corpus in outcome.corpora.items():
            for sentence in remarks(corpus):
                watch.remark(
                    f"{name}, {sentence.replace('--normalise whitespace', 'normalise = whitespace')}"
                )
    watch.begin(len(todo))
    waiting: list[Cell] = []
    for cell in todo:
        corpus = outcome.corpora[cell.corpus.name] if cell.split is None else corpus_of(cell, suite)
        if cell.split is not None:
            outcome.divisions[corpus.name, cell.split] = corpus.info["division"]
        key = cell.key(corpus, suite)
        stored = None if fresh else _stored(cell.scores_file(folder), key, watch)
        if stored is not None and cell.model_file(folder).is_file():
            outcome.take(cell, stored)
            watch.done(cell, stored, False)
        else:
            waiting.append(cell)
    try:
        for cell, result in _measure_all(waiting, suite, folder, place or Processes(jobs), watch):
            outcome.take(cell, result)
            watch.done(cell, result, True)
    except KeyboardInterrupt:
        outcome.interrupted = True
    order = {
        (cell.corpus.name, cell.label, cell.seed): number
        for number, cell in enumerate(todo)
        if cell.split is None
    }
    outcome.runs.sort(key=lambda run: order[run.corpus, run.label, run.seed])
    for run in external:
        save_run(run, folder / "scores" / run.corpus / f"{run.label}.npz", "external")
    outcome.runs = without_copied_texts(outcome.runs + external, outcome.seen)
    return outcome


def _stored(path: Path, key: str | None, watch: Watch) -> Run | None:
    """A run that is there already; one that does not read is measured anew, and a remark says so."""
    try:
        return load_run(path, key)
    except InputError as error:
        watch.remark(f"{str(error).partition(';')[0]}; it is measured anew")
        return None


def without_copied_texts(runs: Sequence[Run], seen: Mapping[str, Seen]) -> list[Run]:
    """The runs, of which none has a rank on a test text that is a copy of what the models have seen."""
    reasons = {name: of_corpus.copies.unranked_reason for name, of_corpus in seen.items()}
    return [
        run.with_facts(unranked_reason=reasons[run.corpus]) if run.ranked and reasons[run.corpus] else run
        for run in runs
    ]


def external_runs(suite: Suite, corpora: Mapping[str, Corpus]) -> list[Run]:
    """The suite's rows that other programs have scored. Raises InputError where a file does not suit its text."""
    return [
        external_run(
            spec.file,
            corpora[spec.corpus or next(iter(corpora))],
            spec.label,
            spec.unit,
            spec.vocab_size,
            suite.seeds[0],
        )
        for spec in suite.external
    ]


def _measure_all(
    cells: list[Cell], suite: Suite, folder: Path, place: Place, watch: Watch
) -> Iterator[tuple[Cell, Run | str]]:
    """Each cell with its run, or why it failed, as they finish."""
    if isinstance(place, Processes) and (place.jobs <= 1 or len(cells) <= 1):
        for cell in cells:
            yield cell, _try(cell, suite, folder, watch.start(cell))
        return
    with place:
        yield from place.each(cells, _Cells(suite, folder.resolve(), watch))


@dataclass(frozen=True)
class _Cells(Work[Cell, "Run | str"]):
    """Cells measured in workers; one that combines others waits for them."""

    suite: Suite
    folder: Path
    watch: Watch

    def order(self, cell: Cell) -> tuple[Callable[..., Run | str], tuple[Any, ...]]:
        return _measure_apart, (cell.at_home(), self.suite, self.folder)

    def ready(self, cell: Cell, unfinished: Sequence[Cell]) -> bool:
        return not any(other in cell.components for other in unfinished)

    def progress(self, cell: Cell, sent: tuple[float, float, str]) -> None:
        self.watch.start(cell).progress(*sent)

    def died(self, status: int) -> str:
        return f"its process ended with status {status} (killed, or out of memory)"


def _measure_apart(send: Callable[[Any], None], cell: Cell, suite: Suite, folder: Path) -> Run | str:
    try:
        check_seen(folder)
    except InputError as error:
        return str(error)
    return _try(cell, suite, folder, SendingMonitor(send))


def _try(cell: Cell, suite: Suite, folder: Path, monitor: Monitor | None = None) -> Run | str:
    try:
        return measure(cell, suite, folder, monitor)
    except InputError as error:
        return str(error)
    except MemoryError:
        return "not enough memory; a smaller order, hidden size or batch needs less"
    except Exception as error:  # a model's own bug must not take the other rows with it
        write_whole(folder / "errors" / f"{cell.corpus.name}-{cell.stem}.txt", traceback.format_exc())
        return f"{type(error).__name__}: {error} (the traceback is in errors/)"
