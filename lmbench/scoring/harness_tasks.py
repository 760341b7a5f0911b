"""Texts, minimal pairs and questions of a user's own as tasks of lm-evaluation-harness, and its samples read back.

In: a file. Out: a folder that ``lm_eval --include_path`` takes, which needs no network: a task as YAML and its data as JSON lines. What the harness logs of it
(``--log_samples``) becomes figures with error bars: of texts by ``score --scores``, of pairs and questions by ``rank --samples``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from lmbench.corpora.formats import files_of, raw_documents
from lmbench.errors import InputError
from lmbench.scoring.choices import read_pairs, read_questions
from lmbench.storage.files import read_text, write_whole
from lmbench.text.canonical import canonical_text

NAME = re.compile(r"[A-Za-z0-9_-]+")


class Judged(msgspec.Struct, frozen=True):
    """What the harness says of a task's items: of each its question, whether it was answered right, and its group."""

    questions: list[str]
    correct: list[bool]
    groups: list[str]


def write_task(
    place: str,
    folder: str | Path,
    name: str,
    *,
    field: str | None = None,
    documents: str = "stream",
    group: str | None = None,
) -> Path:
    """Writes a task of a file's own texts, pairs (``sentence_good``, ``sentence_bad``) or questions (``context``, ``choices``, ``gold``).

    Returns the YAML file. field, group: as in ``score`` and ``rank``. documents: ``stream``: each file or row is a document; ``line``: each line. Texts end as ``score``
    ends them. Raises InputError for a name that the harness cannot take, and what the file's readers raise.
    """
    if not NAME.fullmatch(name):
        raise InputError(f"the task's name {name!r} is to be of letters, digits, - and _ alone")
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    kind, rows = _rows(place, field, documents, group)
    data = (target / f"{name}.jsonl").resolve()
    write_whole(data, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    task = {
        "task": name,
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(data)}},
        "test_split": "test",
        "num_fewshot": 0,
        **(_TEXT if kind == "text" else _CHOICE | {"target_delimiter": "" if kind == "pairs" else " "}),
        "metadata": {"version": 1.0},
    }
    # JSON is YAML.
    file = target / f"{name}.yaml"
    write_whole(file, json.dumps(task, ensure_ascii=False, indent=2) + "\n")
    return file


_TEXT: dict[str, Any] = {
    "output_type": "loglikelihood_rolling",
    "doc_to_text": "",
    "doc_to_target": "text",
    "metric_list": [
        {"metric": "bits_per_byte"},
        {"metric": "byte_perplexity"},
        {"metric": "word_perplexity"},
    ],
}
_CHOICE: dict[str, Any] = {
    "output_type": "multiple_choice",
    "doc_to_text": "context",
    "doc_to_choice": "choices",
    "doc_to_target": "gold",
    "metric_list": [{"metric": "acc"}, {"metric": "acc_norm"}],
}


def _rows(
    place: str, field: str | None, documents: str, group: str | None
) -> tuple[str, list[dict[str, Any]]]:
    first = _first_row(place)
    if "sentence_good" in first:
        pairs = read_pairs(place, group)
        return "pairs", [
            {"context": "", "choices": [p.good, p.bad], "gold": 0, "group": p.group} for p in pairs
        ]
    if "choices" in first:
        return "questions", [msgspec.to_builtins(question) for question in read_questions(place, group)]
    text = canonical_text(list(raw_documents(files_of(place), field)), "none", documents)
    return "text", [{"text": document} for document in text.documents()]


def _first_row(place: str) -> dict[str, Any]:
    if not place.endswith((".jsonl", ".ndjson", ".jsonl.gz")):
        return {}
    line = next((line for line in read_text(place).split("\n") if line.strip()), "{}")
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return row if isinstance(row, dict) else {}


def read_judged(path: str | Path) -> Judged:
    """The rows that ``lm_eval --log_samples`` wrote of a task with ``acc``, in the order of their documents.

    The group is the document's field ``group``, where it has one. Raises InputError where a row is none of such a task.
    """
    rows: list[tuple[int, str, bool, str]] = []
    for number, line in enumerate(read_text(path).split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            document = row["doc"]
            rows.append(
                (
                    int(row["doc_id"]),
                    json.dumps(document, sort_keys=True),
                    row["acc"] == 1,
                    str(document.get("group", "")),
                )
            )
        except (ValueError, OverflowError, KeyError, TypeError, AttributeError, RecursionError):
            raise InputError(
                f"{path} line {number} is no row of lm-evaluation-harness's --log_samples with acc; name the samples of a task "
                "of choices"
            ) from None
    if not rows:
        raise InputError(f"{path} has no rows")
    rows.sort(key=lambda row: row[0])
    return Judged([row[1] for row in rows], [row[2] for row in rows], [row[3] for row in rows])


def same_items(judged: Sequence[Judged]) -> list[str]:
    """The groups of items that several samples are of. Raises InputError where they are of different ones."""
    if any(one.questions != judged[0].questions for one in judged):
        raise InputError("these samples are of different items; log them of one task, all of it")
    return judged[0].groups
