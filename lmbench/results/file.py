"""results.json on disk: written whole, read with one line of complaint."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec

from lmbench.errors import InputError
from lmbench.results.schema import SCHEMA_VERSION, Result, Results
from lmbench.storage.files import read_bytes, write_whole
from lmbench.storage.plain import json_of

NAMES = ("corpus", "label", "seed", "status")  # of a row, written first


def write_results(results: Results, folder: Path) -> None:
    """results.json, whole or not at all; infinity and nan are null.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_results(Results(suite="mine"), Path(folder))
    ...     read_results(Path(folder)).suite
    'mine'
    """
    document = msgspec.to_builtins(results)
    for rows in (document["results"], document["over_seeds"]):
        rows[:] = [_names_first(row) for row in rows]
    text = msgspec.json.format(msgspec.json.encode(document), indent=1).decode()
    write_whole(folder / "results.json", text + "\n")


def row_json(result: Result) -> str:
    """One row of results.json on a line of its own: what ``score --json`` prints."""
    document = _names_first(msgspec.to_builtins(result))
    return msgspec.json.format(msgspec.json.encode(document), indent=0).decode()


def _names_first(row: dict[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in NAMES} | row


def read_results(folder: Path) -> Results:
    """A run directory's results.json, or that file itself; also one of an earlier version.

    Raises InputError where it is missing, is no results.json, or something in it is not what the schema says.
    """
    path = folder / "results.json" if folder.is_dir() else folder
    if not path.exists():
        raise InputError(f"{path} is not there; `lmbench run` makes a run directory with one")
    try:
        document = json_of(read_bytes(path))
        version = document["schema_version"]
    except (ValueError, KeyError, TypeError):
        raise InputError(f"{path} is not a results.json of lmbench; name a run directory") from None
    if version not in range(1, SCHEMA_VERSION + 1):
        raise InputError(
            f"{path} has schema {str(version)[:20]}, this lmbench reads 1 to {SCHEMA_VERSION}; run the suite again"
        )
    try:
        return msgspec.convert(_upgraded(document, version), Results)
    except msgspec.ValidationError as error:
        what, _, place = str(error).partition(" - at `")
        place = place.rstrip("`").removeprefix("$.") or "the document"
        raise InputError(f"{path}: {place}: {what}; run the suite again, its scores are kept") from None


def _upgraded(document: dict[str, Any], version: int) -> dict[str, Any]:
    """A document of an earlier version as one of today; what in it is no document is left to the schema to refuse."""
    for keys, before, change in (
        (["corpora"], 2, _with_overlaps),
        (["results", "over_seeds"], 3, _with_method),
    ):
        for key in keys if version < before else []:
            if isinstance(rows := document.get(key), list):
                document[key] = [change(row) if isinstance(row, dict) else row for row in rows]
    return document | {"schema_version": SCHEMA_VERSION}


def _with_method(row: dict[str, Any]) -> dict[str, Any]:
    """Before version 3, what an error bar rests on was called ``resampled``."""
    return row | {"ci95_method": row.pop("resampled", None)}


def _with_overlaps(corpus: dict[str, Any]) -> dict[str, Any]:
    """Before version 2, contamination stood in the names of its keys."""
    shares = corpus.get("contamination")
    if not isinstance(shares, dict):
        return corpus
    pattern = re.compile(r"share_of_test_(\d{1,9})_grams_of_(\w+)s_seen_in_train")
    keys = [(match, share) for key, share in shares.items() if (match := pattern.fullmatch(key))]
    overlaps = [{"unit": match[2], "length": int(match[1]), "share": share} for match, share in keys]
    return corpus | {"contamination": overlaps}
