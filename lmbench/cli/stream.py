"""score of a long text: piece by piece, in memory that does not grow with it."""

from __future__ import annotations

import contextlib
import hashlib
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lmbench.errors import InputError

if TYPE_CHECKING:
    from lmbench.results.schema import Result
    from lmbench.scoring.scorer import Scorer

BRIEF = 4_000_000  # characters; a text that is no longer is scored whole


def is_long(scorer: Scorer, place: str) -> bool:
    """Whether a text is scored in pieces: where its model can be, and where it has so many bytes that it is worth reading it twice."""
    from lmbench.corpora.formats import files_of
    from lmbench.scoring.streaming import can_stream

    files = files_of(place)
    size = sum(file.stat().st_size for file in files if file.is_file())
    return size > BRIEF and all(file.is_file() for file in files) and can_stream(scorer)


def score_long(scorer: Scorer, place: str, field: str | None, tokens_file: str | None) -> Result:
    """The row of a text in a file; its tokens to a file too, if one is named. What it says of words goes to standard error."""
    from lmbench.comparing.cells import stream_edges
    from lmbench.comparing.dependence import SCALES
    from lmbench.comparing.totals import Totals
    from lmbench.corpora.formats import files_of
    from lmbench.corpora.shards import canonical_pieces
    from lmbench.corpora.words import remark
    from lmbench.results.build import row_of
    from lmbench.scoring.evaluation import facts_of
    from lmbench.scoring.run import Signature
    from lmbench.scoring.streaming import score_pieces
    from lmbench.scoring.token_file import TokenWriter
    from lmbench.text.oddities import oddities, together

    modes = files_of(place), scorer.normalise, scorer.documents, field
    chars, documents, digest, odd = 0, 0, hashlib.sha256(), []
    for text, begins in canonical_pieces(*modes):
        chars += text.chars
        documents += len(text.starts) - (not begins)
        digest.update(text.text.encode("utf-8", "surrogatepass"))
        if scorer.unit.name == "word":
            odd += oddities(text.text)
    if not chars:
        raise InputError(f"{place} is empty after normalising with {scorer.normalise!r}")
    for one in together(odd):
        click.echo(remark("test", one), err=True)
    stream = scorer.documents == "line" or documents == 1
    totals = Totals(len(scorer.vocab), stream_edges(chars, 2**SCALES) if stream else None)
    began = time.perf_counter()
    about = scorer.about
    signature = Signature(
        corpus=Path(place).stem,
        text=digest.hexdigest()[:16],
        normalise=scorer.normalise,
        documents=scorer.documents,
        unit=scorer.unit.spec,
        context=scorer.model.context_policy,
        train=about.get("train", ""),
        valid=about.get("valid", ""),
    )
    with contextlib.ExitStack() as stack:
        writer = None
        if tokens_file is not None:
            writer = stack.enter_context(TokenWriter(tokens_file, scorer.unit))
            writer.signature = signature
        for piece in score_pieces(scorer, canonical_pieces(*modes)):
            totals.add(piece.scores, piece.text, goes_on=not piece.begins)
            if writer is not None:
                writer.add(piece.text, piece.scores)
    facts = facts_of(scorer, time.perf_counter() - began)
    return row_of(signature.corpus, scorer.model.name, signature, facts, totals)
