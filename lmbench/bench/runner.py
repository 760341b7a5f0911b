"""The runner: a double loop over corpora and models, each cell on disk as soon as it is done."""

from __future__ import annotations

import contextlib
import traceback
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from lmbench.bench.cells import Cell, cells_of
from lmbench.bench.outcome import Answer, Outcome, corpus_of, external_file, load
from lmbench.bench.places import check_seen
from lmbench.bench.strangers import write_suite
from lmbench.bench.suite import Suite
from lmbench.bench.suite_file import check_names, to_toml
from lmbench.bench.texts import TextTask
from lmbench.bench.watch import SendingMonitor, Watch
from lmbench.bench.workers import Place, Processes, Work
from lmbench.comparing.seen import Seen
from lmbench.corpora.corpus import Corpus
from lmbench.corpora.words import remarks
from lmbench.errors import NO_MEMORY, InputError, lacks_memory
from lmbench.models import Monitor, make_model
from lmbench.results.texts import TextFacts
from lmbench.scoring.evaluation import fit_run, training_facts, verified
from lmbench.scoring.run import Run, Sample
from lmbench.scoring.scorer import Scorer
from lmbench.scoring.stored_run import load_run, save_run
from lmbench.scoring.token_file import external_run
from lmbench.scoring.verification import certify
from lmbench.storage.files import sweep, write_whole
from lmbench.storage.names import folders_within

# One model on one corpus ---------------------------------------------------------------------------


def measure(cell: Cell, suite: Suite, folder: Path, monitor: Monitor | None = None) -> Run:
    """Fits and scores one cell and puts its model and scores on disk, each whole or not at all."""
    corpus = corpus_of(cell, suite)
    model = make_model(cell.spec.model, **cell.spec.options)
    components = [c.scorer(folder) for c in cell.components]
    monitor = monitor or Monitor()
    monitor.checkpoint = cell.checkpoint_file(folder)  # a long fit that is killed goes on from here
    monitor.shared = cell.shared_fit(folder, corpus)
    scorer, run = fit_run(
        model, corpus, cell.spec.unit, cell.label, cell.seed, monitor, components, cell.spec.lexicon
    )
    reason, claim = certify(scorer, corpus, run.scores), None
    if suite.verify and reason is None:
        tokens = None if suite.verify == "all" else suite.verify
        claim = verified(scorer, corpus.text("test"), tokens, run.scores)
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
    processes of this machine; it must see the folder and the texts, and is the caller's to end. Raises InputError where a
    corpus cannot be had or the folder cannot be written.
    """
    watch = watch or Watch()
    check_names(suite)
    outcome = Outcome(suite, folder)
    specs = suite.corpus_specs()
    outcome.corpora = {spec.name: load(spec) for spec in specs}
    external = external_runs(suite, outcome.corpora)
    todo = [
        cell
        for split in (None, *range(suite.splits))
        for spec in specs
        for cell in cells_of(suite, spec, split)
    ]
    texts = [TextTask(spec, tuple(suite.zipf_orders)) for spec in specs]
    for within in list(folders_within(folder)):
        sweep(within)
    for cell in todo:
        if fresh and cell.alike:
            cell.fit_file(folder).unlink(missing_ok=True)
    write_suite(folder / "suite.toml", to_toml(suite))
    if any(spec.unit == "word" for spec in suite.models):
        for name, corpus in outcome.corpora.items():
            for sentence in remarks(corpus):
                watch.remark(
                    f"{name}, {sentence.replace('--normalise whitespace', 'normalise = whitespace')}"
                )
    watch.begin(len(todo))
    waiting: list[Cell | TextTask] = []
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
    waiting = _sharing(todo, waiting, folder)
    for text in texts:
        facts = None if fresh else text.stored(outcome.corpora[text.corpus.name], folder)
        if facts is not None:
            outcome.texts[text.corpus.name] = facts
        else:
            # After the cells of the same text, which a process then reads once.
            last = max((i for i, cell in enumerate(waiting, 1) if cell.corpus == text.corpus), default=0)
            waiting.insert(last or len(waiting), text)
    try:
        with contextlib.ExitStack() as stack:
            place = place or stack.enter_context(Processes(jobs))
            results = stack.enter_context(
                contextlib.closing(_measure_all(waiting, suite, folder, place, watch))
            )
            left = list(waiting)
            for task, result in results:
                outcome.take(task, result)
                watch.close(task)
                left.remove(task)
                if (
                    isinstance(task, Cell)
                    and task.alike
                    and not any(task.shares_fit(o, folder) for o in left)
                ):
                    task.fit_file(folder).unlink(missing_ok=True)
                if isinstance(task, Cell) and not isinstance(result, TextFacts):
                    watch.done(task, result, True)
    except KeyboardInterrupt:
        outcome.interrupted = True
    order = {
        (cell.corpus.name, cell.label, cell.seed): number
        for number, cell in enumerate(todo)
        if cell.split is None
    }
    outcome.runs.sort(key=lambda run: order[run.corpus, run.label, run.seed])
    for run in external:
        save_run(run, external_file(folder, run), "external")
    outcome.runs += external
    if outcome.runs or not outcome.interrupted:
        outcome.complete_texts()
    outcome.runs = without_copied_texts(
        outcome.runs, {name: facts.seen for name, facts in outcome.texts.items()}
    )
    return outcome


def _sharing(todo: Sequence[Cell], waiting: Sequence[Cell | TextTask], folder: Path) -> list[Cell | TextTask]:
    """What waits, without those shared fits of which no other that waits has any use; files that nobody waits for are removed."""
    number = Counter(task.fit_file(folder) for task in waiting if isinstance(task, Cell) and task.alike)
    for cell in todo:
        if cell.alike and not number[cell.fit_file(folder)]:
            cell.fit_file(folder).unlink(missing_ok=True)
    return [
        replace(task, alike="")
        if isinstance(task, Cell)
        and number[task.fit_file(folder)] == 1
        and not task.fit_file(folder).exists()
        else task
        for task in waiting
    ]


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
    tasks: list[Cell | TextTask], suite: Suite, folder: Path, place: Place, watch: Watch
) -> Generator[tuple[Cell | TextTask, Answer]]:
    """Each cell with its run, each text with its facts, or why they failed, as they finish."""
    if isinstance(place, Processes) and (place.jobs <= 1 or len(tasks) <= 1):
        for task in tasks:
            yield task, _try(task, suite, folder, watch.start(task))
        return
    yield from place.each(tasks, _Cells(tasks, suite, folder.resolve(), watch))


@dataclass(frozen=True)
class _Cells(Work["Cell | TextTask", "Answer"]):
    """Cells measured in workers; one that combines others, or takes up the fit of another, waits for them."""

    tasks: Sequence[Cell | TextTask]
    suite: Suite
    folder: Path
    watch: Watch

    def order(self, task: Cell | TextTask) -> tuple[Callable[..., Answer], tuple[Any, ...]]:
        return _measure_apart, (task.at_home(), self.suite, self.folder)

    def ready(self, task: Cell | TextTask, unfinished: Sequence[Cell | TextTask]) -> bool:
        """What it combines is done, and of cells that share a fit one works at a time."""
        return isinstance(task, TextTask) or not any(
            other in task.components
            or (task.shares_fit(other, self.folder) and self.tasks.index(other) < self.tasks.index(task))
            for other in unfinished
        )

    def progress(self, task: Cell | TextTask, sent: tuple[float, float, str]) -> None:
        self.watch.start(task).progress(*sent)

    def died(self, status: int) -> str:
        return f"its process ended with status {status} (killed, or out of memory)"


def _measure_apart(send: Callable[[Any], None], task: Cell | TextTask, suite: Suite, folder: Path) -> Answer:
    try:
        check_seen(folder)
    except InputError as error:
        return str(error)
    return _try(task, suite, folder, SendingMonitor(send))


def _try(task: Cell | TextTask, suite: Suite, folder: Path, monitor: Monitor) -> Answer:
    try:
        if isinstance(task, TextTask):
            return task.measure(load(task.corpus), folder, monitor)
        return measure(task, suite, folder, monitor)
    except InputError as error:
        return str(error)
    except Exception as error:  # a model's own bug must not take the other rows with it
        if lacks_memory(error):
            return NO_MEMORY
        write_whole(folder / "errors" / f"{task.corpus.name}-{task.stem}.txt", traceback.format_exc())
        return f"{type(error).__name__}: {error} (the traceback is in errors/)"
