"""A long text scored in stretches, each by itself and anywhere, and what all of them come to."""

from __future__ import annotations

import contextlib
from functools import lru_cache
from pathlib import Path

import numpy as np

from lmbench.comparing.cells import stream_edges
from lmbench.comparing.dependence import SCALES
from lmbench.comparing.totals import Totals
from lmbench.corpora.shards import Reading, Stretch, Survey
from lmbench.errors import InputError
from lmbench.scoring.scorer import Scorer, load_model
from lmbench.scoring.streaming import score_pieces
from lmbench.scoring.token_file import TokenWriter
from lmbench.storage.columns import ColumnFile, write_columns
from lmbench.storage.tasks import Run

_LEAD = 1 << 12  # characters before a stretch that are read at first


def score_stretches(
    scorer: Scorer,
    survey: Survey,
    reading: Reading,
    writer: TokenWriter | None = None,
    apart: tuple[Run, Path, Path, str] | None = None,
) -> Totals:
    """What a text costs, stretch by stretch; the same bits wherever the work is done.

    survey: of the text, read as ``reading`` says. writer: of its tokens. apart: where the work is done, if not here; a folder that is seen
    there; the model's file; and the token of the text that is the unknown one.
    """
    stream = scorer.documents == "line" or survey.documents == 1
    edges = stream_edges(survey.chars, 2**SCALES) if stream else None
    totals = Totals(len(scorer.vocab), edges)
    if apart is None:
        for stretch in survey.stretches:
            totals.join(totals_of(scorer, stretch, reading, edges, writer), goes_on=not stretch.begins)
        return totals
    run, folder, model, unk = apart
    ending = "" if writer is None else writer.ending
    files = [ColumnFile(folder / f"totals.{number}{ending}") for number in range(len(survey.stretches))]
    tasks = [
        (str(model), unk, stretch, reading, edges, file.path, ending)
        for stretch, file in zip(survey.stretches, files, strict=True)
        if not file.sound
    ]
    for _ in run(score_stretch, tasks):
        pass
    for stretch, file in zip(survey.stretches, files, strict=True):
        own = Totals.restored(len(scorer.vocab), edges, file.read)
        totals.join(own, goes_on=not stretch.begins)
        if writer is not None:
            writer.join(_tokens_of(file.path))
    return totals


def totals_of(
    scorer: Scorer, stretch: Stretch, reading: Reading, edges: np.ndarray | None, writer: TokenWriter | None
) -> Totals:
    """The sums of a stretch. edges: of the cells of the whole text."""
    totals = Totals(len(scorer.vocab), None if edges is None else edges - stretch.offset)
    for piece in score_pieces(scorer, stretch.batches(reading), _before(scorer, stretch, reading)):
        totals.add(piece.scores, piece.text, goes_on=not piece.begins)
        if writer is not None:
            writer.add(piece.text, piece.scores)
        del piece  # else it would stay until the next one has been made
    return totals


def score_stretch(
    model: str,
    unk: str,
    stretch: Stretch,
    reading: Reading,
    edges: np.ndarray | None,
    place: Path,
    ending: str = "",
) -> None:
    """Writes what ``totals_of`` says by a model in a file, which the caller has opened and trusts.

    ending: of a file of tokens that is written beside it; '' for none.
    """
    try:
        changed = Path(model).stat().st_mtime_ns
    except OSError as error:
        raise InputError(f"cannot read {model}: {error.strerror}; put it where all workers see it") from None
    scorer = _opened(model, unk, changed)
    with contextlib.ExitStack() as stack:
        writer = None
        if ending:
            writer = stack.enter_context(TokenWriter(_tokens_of(place), scorer.unit, stretch.offset))
        totals = totals_of(scorer, stretch, reading, edges, writer)
    write_columns(place, totals.columns())


def _tokens_of(place: Path) -> Path:
    return place.with_name("tokens." + place.name)


@lru_cache(maxsize=1)
def _opened(path: str, unk: str, changed: int) -> Scorer:
    """A model's file, opened once for all tasks."""
    return load_model(path, unk=unk, trust_code=True)


def _before(scorer: Scorer, stretch: Stretch, reading: Reading) -> np.ndarray:
    """The last tokens before a stretch on which its predictions rest."""
    reach, chars = scorer.model.reach or 0, _LEAD
    while True:
        text = stretch.before(reading, chars)
        ids = scorer.encode(text).tokens.ids if text.text and reach else np.zeros(0, dtype=np.int32)
        if len(ids) >= reach or stretch.begins or chars >= stretch.piece.begin:
            return ids[max(0, len(ids) - reach) :]
        chars *= 4
