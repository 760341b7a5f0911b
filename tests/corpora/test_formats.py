"""Files that people have: packed, in rows, several at once; each wrong one named with what to do."""

import bz2
import csv
import gzip
import io
import json
import lzma
import os
import sys
import threading

import pytest

from lmbench.corpora.corpus import Corpus
from lmbench.corpora.formats import files_of, raw_documents, stem_of
from lmbench.corpora.inputs import Documents
from lmbench.errors import InputError
from lmbench.storage.files import read_text

TEXT = "Der Fluß steigt, die Fähre wartet.\n" * 30


def packed(kind, data):
    return {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}[kind](data)


@pytest.mark.parametrize("kind", ["gz", "bz2", "xz"])
@pytest.mark.parametrize("name", ["t.txt.{}", "no-ending"])
def test_a_packed_file_is_read_as_if_it_were_not(tmp_path, kind, name):
    path = tmp_path / name.format(kind)
    path.write_bytes(packed(kind, TEXT.encode()))
    assert read_text(path) == TEXT
    path.write_bytes(packed(kind, TEXT.encode())[:-12])
    with pytest.raises(InputError, match="damaged"):
        read_text(path)


def test_zstd_is_read_where_pyarrow_is_there(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    with pyarrow.CompressedOutputStream(str(tmp_path / "t.zst"), "zstd") as stream:
        stream.write(TEXT.encode())
    assert read_text(tmp_path / "t.zst") == TEXT


def test_rows_are_documents(tmp_path):
    rows = [{"id": i, "text": f"row {i}\n", "body": "b"} for i in range(5)]
    lines = "\n".join(map(json.dumps, rows)) + "\n\n"
    (tmp_path / "a.jsonl").write_text(lines)
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    (tmp_path / "c.txt").write_text("plain")
    files = [tmp_path / name for name in ("a.jsonl", "c.txt", "b.jsonl.gz")]
    expected = [row["text"] for row in rows]
    assert list(raw_documents(files)) == [*expected, "plain", *expected]
    assert list(raw_documents(files[:1], "body")) == ["b"] * 5


def test_the_rows_of_parquet_are_documents(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    parquet.write_table(pyarrow.table({"text": ["a"] * 70_000 + [None]}), tmp_path / "null.parquet")
    with pytest.raises(InputError, match="row 70001: column text is null"):
        list(raw_documents([tmp_path / "null.parquet"]))
    parquet.write_table(pyarrow.table({"text": ["one", "two"], "n": [1, 2]}), tmp_path / "t.parquet")
    assert list(raw_documents([tmp_path / "t.parquet"])) == ["one", "two"]
    with pytest.raises(InputError, match="its columns are text, n"):
        list(raw_documents([tmp_path / "t.parquet"], "body"))
    with pytest.raises(InputError, match="no text"):
        list(raw_documents([tmp_path / "t.parquet"], "n"))
    (tmp_path / "bad.parquet").write_text("not that")
    with pytest.raises(InputError, match="cannot be read as Parquet"):
        list(raw_documents([tmp_path / "bad.parquet"]))


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ('{"text": "a"}\n{"text": ', "line 2 is not JSON"),
        ('{"body": "a"}', "has no field text; its fields are body"),
        ('{"text": 3}', "field text is not text but 3"),
        ("[1, 2]", "is not an object"),
        ("\n", "has no rows"),
    ],
)
def test_a_wrong_row_is_named(tmp_path, lines, said):
    (tmp_path / "a.jsonl").write_text(lines)
    with pytest.raises(InputError, match=said):
        list(raw_documents([tmp_path / "a.jsonl"]))


def test_a_field_of_plain_text_is_refused(tmp_path):
    (tmp_path / "a.txt").write_text("a")
    with pytest.raises(InputError, match="leave it out"):
        list(raw_documents([tmp_path / "a.txt"], "text"))


def test_tables_of_other_kinds_are_rows_where_a_field_is_named(tmp_path):
    texts = ["one, two", 'said "so"', "über\nzwei Zeilen"]
    rows = [{"id": i, "body": text} for i, text in enumerate(texts)]
    for name, dialect in (("t.csv", "excel"), ("t.tsv", "excel-tab"), ("t.csv.gz", "excel")):
        lines = io.StringIO(newline="")
        writer = csv.DictWriter(lines, ["id", "body"], dialect=dialect)
        writer.writeheader()
        writer.writerows(rows)
        data = lines.getvalue().encode()
        (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith("gz") else data)
        assert list(raw_documents([tmp_path / name], "body")) == texts
        assert list(raw_documents([tmp_path / name])) == [data.decode()]
        with pytest.raises(InputError, match="no column text; its columns are id, body"):
            list(raw_documents([tmp_path / name], "text"))
    (tmp_path / "t.json").write_text(json.dumps(rows))
    assert list(raw_documents([tmp_path / "t.json"], "body")) == texts
    (tmp_path / "inner.jsonl").write_text("".join(json.dumps({"doc": row}) + "\r\n" for row in rows))
    assert list(raw_documents([tmp_path / "inner.jsonl"], "doc.body")) == texts


@pytest.mark.parametrize(
    ("name", "text", "field", "said"),
    [
        ("a.json", '{"text": "a"}', "text", "not a list of objects"),
        ("a.json", "[1", "text", "is not JSON"),
        ("a.json", '[{"text": "a"}, {"txt": "a"}]', "text", "row 2 has no field text; its fields are txt"),
        ("a.csv", 'id,text\n1,"a\n', "text", "line 2 cannot be read|mend its quotes"),
        ("a.csv", "id,text\n1\n", "text", "line 2 is cut short"),
        ("a.jsonl", '{"text": null}', None, "line 1: field text is null; leave such rows out"),
        ("a.jsonl", '{"text": {"de": "a", "en": "b"}}', None, "name one of its fields: text.de, text.en"),
        (
            "a.jsonl",
            '{"doc": {"x": "a"}}',
            "doc.text",
            "line 1, field doc has no field text; its fields are x",
        ),
    ],
)
def test_a_wrong_table_is_told_with_its_row(tmp_path, name, text, field, said):
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=said):
        list(raw_documents([tmp_path / name], field))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf_16_is_read_by_its_mark(tmp_path, encoding):
    data = ("" if encoding == "utf-16" else "\ufeff").encode(encoding) + TEXT.encode(encoding)
    (tmp_path / "t.txt").write_bytes(data)
    (tmp_path / "t.gz").write_bytes(gzip.compress(data))
    assert read_text(tmp_path / "t.txt") == read_text(tmp_path / "t.gz") == TEXT
    (tmp_path / "t.txt").write_bytes(data[:-1])
    with pytest.raises(InputError, match="begins as UTF-16 does, but is none"):
        read_text(tmp_path / "t.txt")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"PK\x03\x04\x14\0\x08", "a zip archive, as .docx"),
        (b"%PDF-1.4\n%\xe2\xe3", "a PDF; take the text out"),
        (b"\x89PNG\r\n\x1a\n", "an image"),
        (b"{\\rtf1 a text}", "RTF"),
        (b"PAR1\x15", "the ending .parquet"),
    ],
)
def test_what_is_no_text_is_called_what_it_is(tmp_path, data, said):
    (tmp_path / "letter").write_bytes(data)
    with pytest.raises(InputError, match=said):
        read_text(tmp_path / "letter")


def test_names_with_blanks_and_pipes_are_read(tmp_path):
    name = tmp_path / "with space & é 🦊.txt"
    name.write_text(TEXT)
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=(tmp_path / "pipe").write_text, args=(TEXT,))
    writer.start()
    corpora = [Corpus.of(str(place), 0.1, 0.1) for place in (name, tmp_path / "pipe")]
    writer.join()
    assert corpora[0].train.text == corpora[1].train.text


@pytest.mark.parametrize("field", [None, "text"])
def test_standard_input_is_a_text_or_rows(monkeypatch, field):
    data = b'{"text": "a b"}\n' if field else b"a b"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    assert list(raw_documents(files_of("-"), field)) == ["a b"]


def test_several_places_are_read_once_each(tmp_path):
    for name in "ab":
        (tmp_path / f"{name}.txt").write_text(name)
    assert [f.name for f in files_of([tmp_path / "b.txt", tmp_path])] == ["b.txt", "a.txt"]
    assert stem_of([tmp_path / "b.txt", tmp_path]) == "b"
    assert stem_of(tmp_path / "*.txt") == tmp_path.name


# One door ------------------------------------------------------------------------------------------------


def test_of_takes_every_kind_of_text(tmp_path):
    from lmbench.corpora.sources import make_source

    (tmp_path / "t.txt").write_text(TEXT)
    (tmp_path / "d.toml").write_text('title = "t"\ntest = 0.2\n[[files]]\nname = "t.txt"\n')
    for text in (tmp_path / "t.txt", str(tmp_path / "t.txt"), [tmp_path / "t.txt"], Documents([TEXT])):
        corpus = Corpus.of(text)
        assert corpus.whole().text == TEXT
        assert abs(corpus.test.chars / len(TEXT) - 0.1) < 0.02
        assert corpus.info["division"] == "cut in order: 80% learnt, then 10% held out, then 10% tested"
    described = Corpus.of(str(tmp_path / "d.toml"))
    assert (described.name, described.test.chars) == ("d", len(TEXT) // 5)
    assert Corpus.of(str(tmp_path / "d.toml"), test=0.5).test.chars == len(TEXT) // 2
    source = make_source("golden-mean")
    assert Corpus.of(source, length=1000).whole().chars == 1000
    assert Corpus.of(source).entropy_rate == source.entropy_rate
    assert Corpus.of("golden-mean").name == "golden-mean"


def test_where_the_test_text_is_given_the_rest_is_learnt_from(tmp_path):
    (tmp_path / "t.txt").write_text(TEXT)
    corpus = Corpus.of(tmp_path / "t.txt", test=Documents(["another text altogether"]))
    assert corpus.train.text + corpus.valid.text == TEXT
    assert corpus.test.text == "another text altogether"
    with pytest.raises(InputError, match="only one of them"):
        Corpus.of(tmp_path / "t.txt", test=tmp_path / "t.txt")


@pytest.mark.parametrize(
    ("text", "options", "said"),
    [
        (Documents(["word"]), {}, "too short to be divided"),
        (Documents([""]), {}, "empty"),
        (Documents([TEXT]), {"test": 1.5}, "share of the text"),
        (Documents([TEXT]), {"test": 0.6, "valid": 0.5}, "nothing to learn from"),
        (Documents([TEXT]), {"normalise": "lettres"}, "letters"),
        (Documents(TEXT), {}, "list of texts"),
        ("ptb", {"test": 0.2}, "not here|split of its own"),
        ("nothing.toml", {}, "cannot read nothing.toml"),
    ],
)
def test_what_cannot_be_a_corpus_is_told_in_a_line(monkeypatch, text, options, said):
    monkeypatch.delenv("LMBENCH_DATA", raising=False)
    with pytest.raises(InputError, match=said):
        Corpus.of(text, **options)
