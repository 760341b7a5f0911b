"""A user's files as raw documents: plain or packed, one document a file, or one a row of JSON lines and of Parquet."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from lmbench.corpora.descriptions import registry
from lmbench.corpora.rows import PACKED, ROWS, TABLES, kind_of, texts_of_rows
from lmbench.errors import InputError, unknown
from lmbench.storage.files import read_text
from lmbench.storage.unpacking import named

FIELD = "text"

Place = str | os.PathLike[str]


def files_of(path: Place | Sequence[Place]) -> list[Path]:
    """A file, every file of a directory, those that a glob pattern matches (sorted), ``-``, or several of these.

    A file that is named twice is read once. Raises InputError where nothing is there.
    """
    if not isinstance(path, (str, os.PathLike)):
        return list(dict.fromkeys(file for part in path for file in files_of(part)))
    try:
        with named(path):
            return _files_of(path)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from None


def _files_of(path: Place) -> list[Path]:
    place = Path(path)
    if str(path) == "-":
        return [place]
    if place.is_dir():
        files = sorted(p for p in place.rglob("*") if p.is_file() and not p.name.startswith("."))
        if not files:
            raise InputError(f"{path} is a directory without files; put texts in it or name another")
        return files
    if not place.exists() and any(c in str(path) for c in "*?["):
        files = sorted(p for p in map(Path, glob.glob(str(path), recursive=True)) if p.is_file())
        if not files:
            raise InputError(f"no file matches {path}; check the pattern")
        return files
    if not place.exists():
        if place.name == str(path) and not place.suffix:
            raise unknown("corpus or file", str(path), registry())
        raise InputError(f"no such file: {path}; `lmbench corpora list` tells the corpora that have a name")
    return [place]


def raw_documents(files: Iterable[Path], field: str | None = None) -> Iterator[str]:
    """The documents of files, in order: a plain file is one, a row of JSON lines or of Parquet is one.

    field: the column of such rows that holds the text (default ``text``), ``a.b`` for the field b of an object a; with it, CSV, TSV
    and a list in JSON are rows too, and standard input is read as JSON lines. Raises InputError that names file and line.
    """
    rows = False
    for file in files:
        if not is_rows(file, field):
            yield read_text(file)
            continue
        rows = True
        yield from texts_of_rows(file, field or FIELD)
    if field is not None and not rows:
        raise of_rows_alone(field)


def of_rows_alone(field: str) -> InputError:
    """The error of a field that is named where no file has fields."""
    return InputError(
        f"field {field} is of JSON lines, Parquet, CSV and TSV; the files are plain text, leave it out"
    )


def is_rows(file: Path, field: str | None = None) -> bool:
    """Whether a file has a text a row, and is not one plain text: JSON lines and Parquet; where a field is named CSV, TSV and a list in
    JSON, too.

    >>> is_rows(Path("posts.jsonl.gz")), is_rows(Path("-")), is_rows(Path("-"), "body"), is_rows(Path("a.csv"), "body")
    (True, False, True, True)
    """
    named = kind_of(file) in TABLES or str(file) == "-"
    return kind_of(file) in ROWS or (field is not None and named)


def stem_of(path: Place | Sequence[Place]) -> str:
    """What a text is called where nobody gave it a name: the first file's name without its endings.

    >>> stem_of("texts/letters.jsonl.gz"), stem_of("texts/*.txt"), stem_of("-")
    ('letters', 'texts', 'stdin')
    """
    first = path if isinstance(path, (str, os.PathLike)) else next(iter(path))
    if str(first) == "-":
        return "stdin"
    place = Path(first)
    while place.name and any(c in place.name for c in "*?["):
        place = place.parent
    if place.suffix in PACKED:
        place = place.with_suffix("")
    name = place.name if os.path.isdir(place) else place.stem
    return name or place.resolve().name or "text"
