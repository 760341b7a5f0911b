"""zipf of a long text: counted from files to files, side by side in processes or on a cluster."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmbench.cli.options import echo_notes
from lmbench.cli.shards import whole_paths, work_place
from lmbench.errors import InputError
from lmbench.text.units import UNITS

if TYPE_CHECKING:
    from lmbench.charts.chart import Chart

BRIEF = 4_000_000  # bytes; a text that is no longer is counted in memory


def is_counted_in_files(places: Sequence[str], unit: str, asked: bool) -> bool:
    """Whether a text is long, or it is asked for. Raises InputError where it cannot be though asked for."""
    from lmbench.corpora.formats import files_of
    from lmbench.corpora.inputs import is_described

    why = ""
    if any(is_described(place) for place in places):
        why = "a corpus that has a name or a description is read in memory; give files"
    elif unit not in UNITS:
        why = f"pieces of words are learnt from the whole text; give --unit {', '.join(UNITS)}"
    if asked or why:
        if why and asked:
            raise InputError(f"--jobs, --cluster and --work: {why}")
        return not why
    files = files_of(places)
    return all(file.is_file() for file in files) and sum(file.stat().st_size for file in files) > BRIEF


def zipf_of_files(
    places: Sequence[str],
    orders: Sequence[int],
    unit: str,
    normalise: str | None,
    documents: str | None,
    field: str | None,
    jobs: int | None,
    cluster: str | None,
    work: str | None,
) -> tuple[list[dict[str, Any]], Chart]:
    """``zipf_rows`` of files; what is odd in them goes to standard error."""
    from lmbench.corpora.formats import stem_of
    from lmbench.corpora.shards import Reading, read_shards
    from lmbench.zipf.streaming import sharded_spectra
    from lmbench.zipf.table import fitted_rows

    reading = Reading(unit, normalise or "none", documents or "stream", field, unit == "word")
    files = whole_paths(places)
    with work_place(files, repr(reading), jobs, cluster, work) as (folder, run):
        text = read_shards(files, reading, folder, run)
        echo_notes(note.removeprefix("train ") for note in text.notes)
        spectra = sharded_spectra(text, orders, run)
    return fitted_rows(stem_of([Path(place) for place in places]), unit, spectra)
