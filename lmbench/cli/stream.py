"""score of a long text: piece by piece, in memory that does not grow with it, side by side in processes or on a cluster."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import TYPE_CHECKING

from lmbench.cli.options import echo_remark
from lmbench.cli.shards import whole_paths, work_place
from lmbench.errors import InputError

if TYPE_CHECKING:
    from lmbench.results.schema import Result
    from lmbench.scoring.scorer import Scorer

BRIEF = 4_000_000  # characters; a text that is no longer is scored whole
STRETCH = 1 << 24  # bytes of a task


def is_long(scorer: Scorer, place: str, asked: bool = False) -> bool:
    """Whether a text is scored in pieces: where its model can be, and where it has so many bytes that it is worth reading it twice.

    asked: or where it is asked for. Raises InputError where it cannot be though asked for.
    """
    from lmbench.corpora.formats import files_of
    from lmbench.scoring.streaming import can_stream

    files = files_of(place)
    why = (
        "" if all(file.is_file() for file in files) else "standard input is read by one process; give a file"
    )
    if not can_stream(scorer):
        why = f"what {scorer.model.name} says of a text rests on all that stood before, and is not divided"
    if asked or why:
        if asked and why:
            raise InputError(f"--jobs, --cluster and --work: {why}")
        return not why
    return sum(file.stat().st_size for file in files) > BRIEF


def score_long(
    scorer: Scorer,
    place: str,
    field: str | None,
    tokens_file: str | None,
    saved: str = "",
    unk: str = "",
    jobs: int | None = None,
    cluster: str | None = None,
    work: str | None = None,
) -> Result:
    """The row of a text in a file; its tokens to a file too, if one is named. What it says of words goes to standard error.

    saved, unk: whence the scorer came, for others to open it, too. jobs, cluster, work: where its stretches are scored.
    """
    from lmbench.comparing.stretches import score_stretches
    from lmbench.corpora.shards import Reading, surveyed
    from lmbench.corpora.words import remark
    from lmbench.results.build import row_of
    from lmbench.scoring.evaluation import facts_of
    from lmbench.scoring.run import Signature
    from lmbench.scoring.token_file import TokenWriter

    reading = Reading("char", scorer.normalise, scorer.documents, field, scorer.unit.name == "word")
    files = whole_paths([place])
    survey = surveyed(files, reading, STRETCH)
    if not survey.chars:
        raise InputError(f"{place} is empty after normalising with {scorer.normalise!r}")
    for one in survey.oddities:
        echo_remark(remark("test", one))
    began = time.perf_counter()
    about = scorer.about
    signature = Signature(
        corpus=Path(place).stem,
        text=survey.fingerprint,
        normalise=scorer.normalise,
        documents=scorer.documents,
        unit=scorer.unit.spec,
        context=scorer.model.context_policy,
        train=about.get("train", ""),
        valid=about.get("valid", ""),
    )
    with contextlib.ExitStack() as stack:
        writer = apart = None
        if tokens_file is not None:
            writer = stack.enter_context(TokenWriter(tokens_file, scorer.unit))
            writer.signature = signature
        if (jobs or 1) > 1 or cluster or work:
            model = Path(saved).resolve()
            folder, run = stack.enter_context(
                work_place([*files, model], f"{reading} {unk}", jobs, cluster, work)
            )
            apart = run, folder, model, unk
        totals = score_stretches(scorer, survey, reading, writer, apart)
    facts = facts_of(scorer, time.perf_counter() - began)
    return row_of(signature.corpus, scorer.model.name, signature, facts, totals)
