"""A user's files as they come, some lines or documents at a time, so that none need be whole in memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from lmbench.corpora.formats import is_rows, of_rows_alone, raw_documents
from lmbench.storage.files import decode_utf8
from lmbench.storage.unpacking import unpacked

BATCH = 1 << 20  # bytes of lines, or characters of documents, that are handed on together
LINES = (
    1 << 16
)  # that are handed on together at most: a row of what is said of each takes more than a short line does


def batches_of_lines(
    files: Iterable[Path], field: str | None = None, size: int = BATCH
) -> Iterator[list[str]]:
    """Texts of whole lines, in order, about ``size`` bytes at a time, and of a pipe as soon as they are there.

    A file's last line may lack its line feed. field: of tables, whose rows are texts. Raises InputError as
    ``raw_documents`` does, when the place is reached.
    """
    files = list(files)
    if field is not None and not any(is_rows(file, field) for file in files):
        raise of_rows_alone(field)
    for file in files:
        if is_rows(file, field):
            yield from batches_of_documents([file], field, size)
        else:
            yield from ([piece] for piece in _whole_lines(file, size))


def batches_of_documents(
    files: Iterable[Path], field: str | None = None, size: int = BATCH
) -> Iterator[list[str]]:
    """Raw documents, in order, about ``size`` characters at a time."""
    batch: list[str] = []
    chars = 0
    for document in raw_documents(files, field):
        batch.append(document)
        chars += len(document)
        if chars >= size:
            yield batch
            batch, chars = [], 0
    if batch:
        yield batch


def _whole_lines(file: Path, size: int) -> Iterator[str]:
    offset, begun = 0, [b""]  # bytes before, and what there is of a line that has not ended
    with unpacked(file) as stream:
        while data := stream.read1(size):  # type: ignore[attr-defined]
            whole, feed, rest = data.rpartition(b"\n")
            if not feed:
                begun.append(rest)
                continue
            for piece in _of_few_lines(b"".join([*begun, whole, feed])):
                yield decode_utf8(piece, str(file), offset)
                offset += len(piece)
            begun = [rest]
    last = b"".join(begun)
    if last or not offset:
        yield decode_utf8(last, str(file), offset)


def _of_few_lines(lines: bytes) -> Iterator[bytes]:
    """Whole lines, divided into pieces of at most ``LINES``."""
    while lines.count(b"\n") > LINES:
        *first, lines = lines.split(b"\n", LINES)
        yield b"\n".join([*first, b""])
    yield lines
