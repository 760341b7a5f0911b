"""Files piece by piece: the same text as at once, in memory that does not grow, and as soon as it is there."""

import bz2
import gzip
import io
import json
import os
import sys
import tracemalloc
from pathlib import Path

import pytest

from lmbench.corpora.formats import raw_documents
from lmbench.corpora.streaming import LINES, batches_of_documents, batches_of_lines
from lmbench.errors import InputError

TEXT = "\ufeffone\r\n\ntwo — drei\nvier\ufeff\n" + "x" * 50 + "\nlast"


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 1 << 20])
@pytest.mark.parametrize("packing", ["", ".gz", ".bz2"])
def test_pieces_are_whole_lines_and_add_up_to_the_file(tmp_path, size, packing):
    file = tmp_path / f"x.txt{packing}"
    pack = {"": bytes, ".gz": gzip.compress, ".bz2": bz2.compress}[packing]
    file.write_bytes(pack(TEXT.encode()))
    batches = list(batches_of_lines([file, file], size=size))
    pieces = [piece for batch in batches for piece in batch]
    assert "".join(pieces) == "".join(raw_documents([file, file]))
    assert all(piece.endswith(("\n", "last")) for piece in pieces)


def test_rows_of_json_are_texts(tmp_path):
    file = tmp_path / "x.jsonl"
    file.write_text("".join(json.dumps({"body": text}) + "\n" for text in ("a\nb", "c", "d" * 9)))
    assert list(batches_of_lines([file], "body", size=5)) == [["a\nb", "c", "d" * 9]]
    assert list(batches_of_documents([file], "body", size=3)) == [["a\nb"], ["c", "d" * 9]]
    with pytest.raises(InputError, match="of JSON lines"):
        list(batches_of_lines([Path(__file__)], "body"))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is empty"),
        (b"fine\n" * 9 + b"a" + b"\0b" * 9 + b"\n", "zero byte at offset 46"),
        (b"fine\n" * 9 + b"\xe9t\xe9\n", "byte 0xe9 at offset 45"),
        (b"\xef\xbb\xbffine\n\xe9\n", "byte 0xe9 at offset 8"),
        (b"\xff\xfea\0\n", "UTF-16"),
    ],
)
def test_what_is_no_text_is_told_with_its_place_in_the_file(tmp_path, data, said):
    file = tmp_path / "x.txt"
    file.write_bytes(data)
    with pytest.raises(InputError, match=said):
        list(batches_of_lines([file], size=10))


def test_a_line_that_is_written_is_had_before_the_next_one(monkeypatch):
    reads, writes = os.pipe()
    with os.fdopen(reads, "rb") as stream, os.fdopen(writes, "wb", buffering=0) as writer:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(stream))
        lines = batches_of_lines([Path("-")])
        for line in ("first\n", "second\n"):
            writer.write(line.encode())
            assert next(lines) == [line]
        writer.write(b"no line feed")
        writer.close()
        assert list(lines) == [["no line feed"]]


def test_memory_does_not_grow_with_the_file(tmp_path):
    file = tmp_path / "x.txt"
    peaks = []
    for copies in (2_000, 40_000):
        file.write_text("a line of some words to be read\n" * copies)
        tracemalloc.start()
        for _ in batches_of_lines([file], size=1 << 13):
            pass
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 2 * peaks[0]


def test_lines_of_nothing_are_handed_on_a_few_at_a_time(tmp_path):
    text = "\n" * 200_000 + "ab\n" * 70_000 + "end"
    (tmp_path / "t").write_text(text)
    pieces = [piece for batch in batches_of_lines([tmp_path / "t"]) for piece in batch]
    assert "".join(pieces) == text
    assert max(piece.count("\n") for piece in pieces) == LINES
    assert len(pieces) == 7
