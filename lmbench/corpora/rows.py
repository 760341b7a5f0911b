"""Tables with a text a row: JSON lines, Parquet, and, where a field is named, CSV, TSV and a list in JSON."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lmbench.errors import InputError
from lmbench.storage.files import read_text
from lmbench.storage.plain import json_of
from lmbench.storage.unpacking import check_ratio, unpacked

PACKED = (".gz", ".bz2", ".xz", ".zst", ".zstd")
ROWS = (".jsonl", ".ndjson", ".parquet")
BATCH = 4096  # rows of Parquet that are unpacked at a time
ROW = 12  # bytes that a row takes beside its text: as a line of JSON
TABLES = (".csv", ".tsv", ".json")  # plain text where no field is named


def texts_of_rows(file: Path, field: str) -> Iterator[str]:
    """The texts of a table, in order; of a file whose name says nothing, as of JSON lines. Raises InputError that names the row."""
    readers = {
        ".parquet": _parquet_rows,
        ".csv": _separated_rows,
        ".tsv": _separated_rows,
        ".json": _list_rows,
    }
    return readers.get(kind_of(file), _json_rows)(file, field)


def kind_of(file: Path) -> str:
    """The ending of a file's name, that of its packing left out."""
    return (file.with_suffix("") if file.suffix in PACKED else file).suffix.lower()


def _json_rows(file: Path, field: str) -> Iterator[str]:
    has_rows = False
    with unpacked(file) as stream:
        for number, line in enumerate(stream, 1):
            if not line.strip():
                continue
            where = f"{file} line {number}"
            try:
                row = json_of(line)
            except ValueError as error:
                raise InputError(f"{where} is not JSON ({error}); one object a line is expected") from None
            has_rows = True
            yield _text_of(row, field, where)
    if not has_rows:
        raise InputError(f"{file} has no rows; give JSON lines with a field {field}")


def _list_rows(file: Path, field: str) -> Iterator[str]:
    try:
        rows = json_of(read_text(file))
    except ValueError as error:
        raise InputError(f"{file} is not JSON ({error}); a list of objects is expected") from None
    if not isinstance(rows, list) or not rows:
        raise InputError(f"{file} is not a list of objects with a field {field}; give one, or JSON lines")
    for number, row in enumerate(rows, 1):
        yield _text_of(row, field, f"{file} row {number}")


def _separated_rows(file: Path, field: str) -> Iterator[str]:
    import csv

    csv.field_size_limit(1 << 30)
    lines = io.StringIO(read_text(file), newline="")
    rows = csv.DictReader(lines, dialect="excel-tab" if kind_of(file) == ".tsv" else "excel", strict=True)
    try:
        if field not in (names := rows.fieldnames or ()):
            raise InputError(f"{file} has no column {field}; its columns are {', '.join(names)} (--field)")
        for row in rows:
            if row[field] is None:
                raise InputError(f"{file} line {rows.line_num} is cut short: it has no column {field}")
            yield row[field]
    except csv.Error as error:
        raise InputError(f"{file} line {rows.line_num} cannot be read ({error}); mend its quotes") from None


def _text_of(row: Any, field: str, where: str) -> str:
    outer, dot, inner = field.partition(".")
    if dot and isinstance(row, dict) and field not in row and isinstance(row.get(outer), dict):
        return _text_of(row[outer], inner, f"{where}, field {outer}")
    if not isinstance(row, dict):
        raise InputError(f"{where} is not an object with a field {field} but {json.dumps(row)[:40]}")
    if field not in row:
        raise InputError(f"{where} has no field {field}; its fields are {', '.join(row) or 'none'} (--field)")
    if row[field] is None:
        raise InputError(f"{where}: field {field} is null; leave such rows out of the file")
    if isinstance(row[field], dict):
        inside = ", ".join(f"{field}.{name}" for name in row[field])
        raise InputError(
            f"{where}: field {field} is not text but an object; name one of its fields: {inside}"
        )
    if not isinstance(row[field], str):
        raise InputError(
            f"{where}: field {field} is not text but {json.dumps(row[field])[:40]}; name another"
        )
    return str(row[field])


def _parquet_rows(file: Path, field: str) -> Iterator[str]:
    """Of a value that stands in many rows, the file and memory hold one: what comes out is bounded as that of other packed files."""
    try:
        from pyarrow import parquet, types
    except ImportError:
        raise InputError(f"{file} is Parquet, which needs pyarrow: pip install 'lmbench[parquet]'") from None
    try:
        size = file.stat().st_size
        schema = parquet.read_schema(file)
        if field not in (names := schema.names):
            raise InputError(f"{file} has no column {field}; its columns are {', '.join(names)} (--field)")
        kind = schema.types[names.index(field)]
        kind = kind.value_type if types.is_dictionary(kind) else kind
        if not (types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)):
            raise InputError(f"{file}: column {field} holds {kind}, which is no text; name another (--field)")
        table = parquet.ParquetFile(file, read_dictionary=[field])
        check_ratio(_unpacked_size(table.metadata, field), size, str(file))
        number, had = 0, 0
        for batch in table.iter_batches(BATCH, columns=[field]):
            for cell in batch.column(0):
                number, value = number + 1, cell.as_py()
                if value is None:
                    raise InputError(f"{file} row {number}: column {field} is null; leave such rows out")
                check_ratio(had := had + ROW + len(value), size, str(file))
                yield value
    except InputError:
        raise
    except Exception as error:  # of the library's, or of Python's for names that are no text
        said = (str(error) or type(error).__name__).splitlines()[0]
        remedy = "write it as by default" if said.startswith("Not yet implemented") else "get it anew"
        raise InputError(f"{file} cannot be read as Parquet ({said}); {remedy}") from None


def _unpacked_size(about: Any, field: str) -> int:
    """What the file says of the bytes that a column's pages unpack to."""
    groups = map(about.row_group, range(about.num_row_groups))
    columns = (group.column(i) for group in groups for i in range(group.num_columns))
    return sum(
        one.total_uncompressed_size for one in columns if f"{one.path_in_schema}.".startswith(f"{field}.")
    )
