"""What other evaluators leave behind: a figure a document of lm-evaluation-harness, and what llama.cpp's tool does not say."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lmbench.errors import InputError, shown
from lmbench.scoring.scores import Scores
from lmbench.storage.files import read_text
from lmbench.text.canonical import CanonicalText

# A line feed that a document's text did not have when it was scored: 8 bits for the byte and 8 for their number, as
# of any token of which nothing is known.
LINE_FEED = -16 * float(np.log(2.0))


def is_samples(path: Path) -> bool:
    """Whether a file holds a JSON object a line, as ``lm_eval --log_samples`` writes them."""
    return path.suffix in (".jsonl", ".json")


def samples_scores(path: Path, text: CanonicalText) -> tuple[Scores, list[str]]:
    """The scores of a text by the rows that ``lm_eval --log_samples`` wrote of a task ``loglikelihood_rolling``, and remarks.

    A row holds a document's whole text and ln p of it, and becomes one token. Rows are found by their text, in any order; a line feed
    at a document's end that the row's text has not becomes a token of 16 bits. Raises InputError where a document has no row or a row no
    document, or where the file is none of such rows.
    """
    rows: dict[str, float] = {}
    numbers: dict[str, int] = {}
    for number, line in enumerate(read_text(path).split("\n"), 1):
        if line.strip():
            document, nats = _row(line, f"{path} line {number}")
            if rows.setdefault(document, nats) != nats:
                raise InputError(
                    f"{path} line {number}: the text of line {numbers[document]}, with another figure"
                )
            numbers.setdefault(document, number)
    log_probs: list[float] = []
    ends: list[int] = []
    starts: list[int] = []
    at = bare = 0
    unread = dict(numbers)
    for document in text.documents():
        own = document if document in rows else document.removesuffix("\n")
        if own not in rows:
            raise InputError(
                f"{path} has no figure for the document that begins at character {at + 1}, {shown(document)}; the "
                "text is to hold the documents that were scored, as they were given (--normalise none)"
            )
        unread.pop(own, None)
        starts.append(len(ends))
        log_probs.append(rows[own])
        ends.append(at + len(own))
        if own != document:
            log_probs.append(LINE_FEED)
            ends.append(at + len(document))
            bare += 1
        at += len(document)
    if unread:
        raise InputError(f"{path} line {min(unread.values())} is of a document that the text has not")
    notes = ["read from lm-evaluation-harness: a figure a document, so that perplexity a token is not known"]
    if bare:
        notes.append(
            f"{bare:,} line feeds between documents were not scored; each is charged 16 bits, 8 for its byte and 8 for their number"
        )
    counts = (text.chars, text.bytes, text.words, 0)
    places = np.array(ends, dtype=np.int64), np.zeros(len(ends), dtype=bool), np.zeros(len(ends))
    return Scores(
        np.array(log_probs, dtype=np.float64), *places, np.array(starts, dtype=np.int64), *counts
    ), notes


def _row(line: str, where: str) -> tuple[str, float]:
    """A document's text and ln p of it."""
    try:
        row = json.loads(line)
        arguments = _leaves(row["arguments"])
        answers = _leaves(row["resps"])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise InputError(
            f"{where} is no row of lm-evaluation-harness's --log_samples (arguments and resps); name such a file, or a "
            "table of tokens with tabs"
        ) from None
    if len(arguments) != 1 or len(answers) != 1:
        raise InputError(
            f"{where} is of {len(arguments)} strings and {len(answers)} answers, not of one whole text; only tasks of type "
            "loglikelihood_rolling charge for all of a text"
        )
    try:
        nats = float(answers[0])
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"{where}: {shown(str(answers[0]))} is no logarithm of a probability") from None
    if not (np.isfinite(nats) and nats <= 0):
        raise InputError(f"{where}: {nats} is no logarithm of a probability: finite, at most 0")
    return str(arguments[0]), nats


def _leaves(value: Any) -> list[Any]:
    """What stands in lists and objects within each other, in order."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [leaf for part in value for leaf in _leaves(part)]
    return [value]


# llama.cpp's perplexity tool -----------------------------------------------------------------------

_CHUNKS = re.compile(rb"calculating perplexity over (\d{1,18}) chunks, n_ctx=(\d{1,18})")


def refuse_perplexity(path: Path) -> None:
    """Raises InputError for what llama.cpp's ``llama-perplexity`` printed or saved, with what of the text it does not charge."""
    try:
        if not path.is_file():  # what a pipe gives once it gives no more
            return
        with open(path, "rb") as file:
            head = file.read(1 << 20)
    except OSError:
        return  # said where it is read
    if not (head.startswith(b"_logits_") or b"Final estimate: PPL" in head or _CHUNKS.search(head)):
        return
    found = _CHUNKS.search(head)
    size = int(found[2]) if found else int.from_bytes(head[8:12], "little") if head[:8] == b"_logits_" else 0
    length = f"{size} tokens" if size else "n_ctx tokens"
    raise InputError(
        f"{path} is of llama.cpp's perplexity tool, which charges for the second half of each chunk of {length} alone, nothing for "
        "the first half nor for what follows the last whole chunk, and does not say which characters those are; score the "
        "model itself: --model gguf -o path=FILE.gguf"
    )
