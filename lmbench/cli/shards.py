"""A fit from files to files: side by side in processes or on a cluster, within a memory limit, going on where it was stopped."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lmbench.cli.options import echo_notes, key_values
from lmbench.errors import InputError
from lmbench.text.units import UNITS
from lmbench.text.vocab import Lexicon

if TYPE_CHECKING:
    from lmbench.models import LanguageModel, Monitor
    from lmbench.scoring.scorer import Scorer
    from lmbench.storage.tasks import Run

place_options = (
    click.option("--jobs", type=click.IntRange(min=1), metavar="N", help="Tasks side by side, in processes."),
    click.option(
        "--cluster",
        metavar="ADDRESS",
        help="The Dask scheduler whose workers do them; default $LMBENCH_CLUSTER.",
    ),
    click.option(
        "--work",
        metavar="FOLDER",
        help="Where tasks leave their files, seen by all workers; the same command goes on there after a stop.",
    ),
)


def suits(model: LanguageModel, train: Sequence[str], valid: str | None, unit: str, asked: bool) -> bool:
    """Whether a fit goes from files to files: it is asked for, or memory is limited. Raises InputError where it cannot though asked for."""
    from lmbench.corpora.inputs import is_described

    limited = bool(model.options().get("memory_limit"))
    if not asked and not limited:
        return False
    why = ""
    if not model.learns_from_counts:
        why = f"{model.name} learns from the text itself, not from counts of it"
    elif not train or any(is_described(place) for place in train):
        why = "a corpus that has a name or a description is divided in memory; give files"
    elif unit not in UNITS:
        why = f"pieces of words are learnt from the whole text; give --unit {', '.join(UNITS)}"
    elif model.traits.held_out != "no" and valid is None:
        why = f"{model.name} chooses its settings on held-out text; give --valid FILE"
    if why and asked:
        raise InputError(f"--jobs, --cluster and --work: {why}")
    return not why


def fit_files(
    name: str,
    options: Sequence[str],
    train: Sequence[str],
    valid: str | None,
    unit: str,
    normalise: str | None,
    documents: str | None,
    field: str | None,
    seed: int,
    lexicon: Lexicon,
    jobs: int,
    cluster: str | None,
    work: str | None,
    quiet: bool,
    save: Callable[[Scorer], None],
) -> tuple[Scorer, float]:
    """Fits a model of counts on files and hands it to ``save`` before its own files go; the seconds that the fit took."""
    from lmbench.cli.progress import fit_monitor
    from lmbench.corpora.formats import stem_of
    from lmbench.corpora.inputs import canonical, check_different
    from lmbench.corpora.shards import Reading, read_shards
    from lmbench.models import make_model
    from lmbench.scoring.scorer import Scorer

    model = make_model(name, **key_values(options))
    places = [Path(place) for place in train]
    check_different(places, valid, None)
    reading = Reading(unit, normalise or "none", documents or "stream", field, unit == "word")
    files = whole_paths(places)
    with (
        work_place(files, repr(reading), jobs, cluster, work) as (folder, run),
        fit_monitor(name, quiet) as monitor,
    ):
        began = time.perf_counter()
        watched = Watched(run, monitor)
        text = read_shards(files, reading, folder, watched, tidied=normalise is None)
        echo_notes(text.notes)
        read = text.reading
        held_out = None if valid is None else canonical(valid, read.normalise, read.documents, field)
        scorer = Scorer.fit_shards(model, text, stem_of(places), held_out, seed, watched, lexicon)
        seconds = time.perf_counter() - began
        save(scorer)
    echo_notes(model.notes, name)
    return scorer, seconds


def whole_paths(places: Sequence[str] | Sequence[Path]) -> list[Path]:
    """The files that are named, so that any worker finds them."""
    from lmbench.corpora.formats import files_of

    return [file if str(file) == "-" else file.resolve() for file in files_of(places)]


@contextlib.contextmanager
def work_place(
    files: Sequence[Path], about: str, jobs: int | None, cluster: str | None, work: str | None
) -> Iterator[tuple[Path, Run]]:
    """A folder for what is made of some files, and where its tasks are done. about: what else decides what is made."""
    from lmbench.bench.places import Calls, place_of
    from lmbench.storage.tasks import Here

    facts = [(str(f), *(f.stat()[6:9:2] if str(f) != "-" else ())) for f in files]
    place = place_of(jobs or 1, cluster)
    with _folder(work, [facts, about]) as folder:
        if place.jobs == 1 and not cluster:
            yield folder, Here()
            return
        with place:
            yield folder, Calls(place, folder)


@contextlib.contextmanager
def _folder(work: str | None, facts: Any) -> Iterator[Path]:
    """A folder for the files of one text: of ``work``, where it stays until all is done, or one that is gone in any case."""
    import msgspec

    from lmbench.storage.names import check_own

    if work is None:
        with tempfile.TemporaryDirectory(prefix="lmbench-", ignore_cleanup_errors=True) as name:
            yield Path(name)
        return
    key = hashlib.sha256(msgspec.json.encode(facts)).hexdigest()[:16]
    folder = Path(work).resolve() / key
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"--work {work}: cannot make {folder} ({error.strerror})") from None
    check_own(folder)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


class Watched:
    """A ``Run`` that says how far it is."""

    def __init__(self, run: Run, monitor: Monitor) -> None:
        self._run, self._monitor = run, monitor
        self.jobs = run.jobs

    def __call__(
        self, function: Callable[..., Any], arguments: Sequence[tuple[Any, ...]]
    ) -> Iterator[tuple[int, Any]]:
        for done, answer in enumerate(self._run(function, arguments), 1):
            yield answer
            self._monitor.progress(done, len(arguments), function.__name__)
