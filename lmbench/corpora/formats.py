"""A user's files as raw documents: plain or packed, one document a file, or one a row of JSON lines and of Parquet."""

from __future__ import annotations

import glob
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from lmbench.corpora.descriptions import registry
from lmbench.errors import InputError, unknown
from lmbench.storage.files import read_text
from lmbench.storage.unpacking import unpacked

FIELD = "text"
PACKED = (".gz", ".bz2", ".xz", ".zst", ".zstd")
ROWS = (".jsonl", ".ndjson")

Place = str | os.PathLike[str]


def files_of(path: Place | Sequence[Place]) -> list[Path]:
    """A file, every file of a directory, those that a glob pattern matches (sorted), ``-``, or several of these.

    A file that is named twice is read once. Raises InputError where nothing is there.
    """
    if not isinstance(path, (str, os.PathLike)):
        return list(dict.fromkeys(file for part in path for file in files_of(part)))
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

    field: the column of such rows that holds the text (default ``text``); with it, standard input is read as JSON
    lines. Raises InputError that names file and line.
    """
    rows = False
    for file in files:
        if not is_rows(file, field):
            yield read_text(file)
            continue
        rows = True
        yield from (_parquet_rows if _kind(file) == ".parquet" else _json_rows)(file, field or FIELD)
    if field is not None and not rows:
        raise of_rows_alone(field)


def of_rows_alone(field: str) -> InputError:
    """The error of a field that is named where no file has fields."""
    return InputError(f"field {field} is of JSON lines and Parquet; the files are plain text, leave it out")


def is_rows(file: Path, field: str | None = None) -> bool:
    """Whether a file is a table with a text a row (JSON lines, Parquet), and not one plain text.

    >>> is_rows(Path("posts.jsonl.gz")), is_rows(Path("-")), is_rows(Path("-"), field="body")
    (True, False, True)
    """
    return _kind(file) in (*ROWS, ".parquet") or (field is not None and str(file) == "-")


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
    name = place.name if place.is_dir() else place.stem
    return name or place.resolve().name or "text"


def _kind(file: Path) -> str:
    """The ending of a file's name, that of its packing left out."""
    return (file.with_suffix("") if file.suffix in PACKED else file).suffix.lower()


def _json_rows(file: Path, field: str) -> Iterator[str]:
    import msgspec

    has_rows = False
    with unpacked(file) as stream:
        for number, line in enumerate(stream, 1):
            if not line.strip():
                continue
            where = f"{file} line {number}"
            try:
                row = msgspec.json.decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise InputError(f"{where} is not JSON ({error}); one object a line is expected") from None
            has_rows = True
            yield _text_of(row, field, where)
    if not has_rows:
        raise InputError(f"{file} has no rows; give JSON lines with a field {field}")


def _text_of(row: Any, field: str, where: str) -> str:
    if not isinstance(row, dict):
        raise InputError(f"{where} is not an object with a field {field} but {json.dumps(row)[:40]}")
    if field not in row:
        raise InputError(f"{where} has no field {field}; its fields are {', '.join(row) or 'none'} (--field)")
    if not isinstance(row[field], str):
        raise InputError(
            f"{where}: field {field} is not text but {json.dumps(row[field])[:40]}; name another"
        )
    return str(row[field])


def _parquet_rows(file: Path, field: str) -> Iterator[str]:
    try:
        from pyarrow import ArrowInvalid, parquet
    except ImportError:
        raise InputError(f"{file} is Parquet, which needs pyarrow: pip install 'lmbench[parquet]'") from None
    try:
        table = parquet.ParquetFile(file)
        names = table.schema_arrow.names
        if field not in names:
            raise InputError(f"{file} has no column {field}; its columns are {', '.join(names)} (--field)")
        for batch in table.iter_batches(columns=[field]):
            for number, value in enumerate(batch.column(0).to_pylist()):
                if not isinstance(value, str):
                    raise InputError(
                        f"{file}: column {field} holds {value!r} in row {number}, which is no text"
                    )
                yield value
    except (ArrowInvalid, OSError) as error:
        raise InputError(f"{file} cannot be read as Parquet ({str(error).splitlines()[0]})") from None
