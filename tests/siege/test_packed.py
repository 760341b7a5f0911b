"""Packed files, what is inside of them, and downloads: what docs/how-to/safety.md says of them."""

import bz2
import gzip
import http.server
import io
import itertools
import lzma
import random
import socketserver
import struct
import tarfile
import threading
import zipfile

import pyarrow
import pyarrow.parquet
import pytest

from lmbench.cli import main
from lmbench.corpora.corpus import Corpus
from lmbench.corpora.descriptions import _unpack, describe, fetch
from lmbench.corpora.download import download
from lmbench.corpora.rows import texts_of_rows
from lmbench.errors import InputError
from lmbench.scoring.stored_run import load_run
from lmbench.storage import unpacking
from lmbench.storage.files import read_text


def zstd(data):
    return pyarrow.compress(data, "zstd", asbytes=True)


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, zstd])
def test_what_unpacks_out_of_proportion_is_refused(tmp_path, monkeypatch, pack):
    monkeypatch.setattr(unpacking, "FREE_BYTES", 1 << 20)
    (tmp_path / "bomb").write_bytes(pack(b"a" * (8 << 20)))
    with pytest.raises(InputError, match="times its size"):
        read_text(tmp_path / "bomb")
    with unpacking.unpacked(tmp_path / "bomb") as stream, pytest.raises(InputError, match="times its size"):
        list(iter(lambda: stream.read(1 << 16), b""))
    monkeypatch.setattr(unpacking, "FREE_BYTES", 8 << 20)
    assert len(read_text(tmp_path / "bomb")) == 8 << 20


def test_an_archive_out_of_proportion_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(unpacking, "FREE_BYTES", 1 << 20)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with zipfile.ZipFile(tmp_path / "z.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("t.txt", b"a" * (8 << 20))
    (tmp_path / "d.toml").write_text("title = 't'\n[[files]]\nname = 't.txt'\n")
    with pytest.raises(InputError, match="times its size"):
        _unpack((tmp_path / "z.zip").read_bytes(), "z.zip", describe(str(tmp_path / "d.toml")).files)
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize(
    "way",
    [
        *("too short", "bzip2", "lzma", "encrypted", "unknown", "damaged", "no archive", "cut"),
        *("begins before itself", "no UTF-8"),
    ],
)
def test_an_archive_that_lies_or_is_odd_is_one_line(tmp_path, monkeypatch, way, capsys):
    """What its index says too little of would be unpacked whole, were it packed by bzip2 or LZMA."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    methods = {"bzip2": zipfile.ZIP_BZIP2, "lzma": zipfile.ZIP_LZMA}
    text = b"the tide waits\n" * 400 if way != "damaged" else random.Random(1).randbytes(500)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", methods.get(way, zipfile.ZIP_DEFLATED)) as archive:
        archive.writestr("t.txt", text)
    data = bytearray(stream.getvalue())
    index = data.rfind(b"PK\x01\x02")
    if way == "too short":
        data = bytearray(bytes(data).replace(struct.pack("<L", len(text)), struct.pack("<L", 9)))
    elif way == "encrypted":
        data[6] |= 1
        data[index + 8] |= 1
    elif way == "unknown":
        data[8] = data[index + 10] = 77
    elif way == "damaged":
        data[60:90] = b"\xff" * 30
    elif way == "no archive":
        data = bytearray(b"PK\x03\x04" + b"x" * 90)
    elif way == "cut":
        data = data[:-30]
    elif way == "begins before itself":
        end = data.rfind(b"PK\x05\x06")
        data[end + 16 : end + 20] = b"\0\0\0\xf0"
    elif way == "no UTF-8":
        data[index + 9] |= 8
        data[index + 46] = 0xFF
    (tmp_path / "z.zip").write_bytes(data)
    (tmp_path / "d.toml").write_text(f"title = 't'\n[[files]]\nname = 't.txt'\nsha256 = '{'0' * 64}'\n")
    assert main(["corpora", "add", "d.toml", "z.zip"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert ("unpack it first" in said) == (way in ("bzip2", "lzma", "encrypted", "unknown"))
    assert not (tmp_path / "cache").exists()


def test_a_stored_run_that_is_packed_otherwise_is_refused(tmp_path):
    """Of LZMA as of bzip2, what the index does not tell would be unpacked."""
    with zipfile.ZipFile(tmp_path / "r.npz", "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("about.npy", b"x")
    with pytest.raises(InputError, match="not packed by deflate"):
        load_run(tmp_path / "r.npz")


def test_parquet_whose_index_says_too_little_is_refused_when_it_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(unpacking, "FREE_BYTES", 1 << 20)
    file = tmp_path / "t.parquet"
    pyarrow.parquet.write_table(
        pyarrow.table({"text": ["a" * (8 << 20)]}), file, compression="zstd", use_dictionary=False
    )
    about = pyarrow.parquet.ParquetFile(file).metadata.row_group(0).column(0)
    data, number, size = file.read_bytes(), bytearray(), about.total_uncompressed_size << 1
    while size:  # as the index has it: seven bits a byte
        number.append(size & 127 | 128 * (size > 127))
        size >>= 7
    assert bytes(number) in data
    file.write_bytes(data.replace(bytes(number), b"\x80" * (len(number) - 1) + b"\0"))
    assert pyarrow.parquet.ParquetFile(file).metadata.row_group(0).column(0).total_uncompressed_size == 0
    with pytest.raises(InputError, match=r"t\.parquet unpacks to more than 300 times its size"):
        list(texts_of_rows(file, "text"))


@pytest.mark.parametrize("way", ["the metadata says so", "one value in many rows"])
def test_parquet_out_of_proportion_is_refused(tmp_path, monkeypatch, way):
    monkeypatch.setattr(unpacking, "FREE_BYTES", 1 << 20)
    many = way.startswith("one")
    texts = ["a" * (1 << 16)] * 128 if many else ["a" * (8 << 20)]
    pyarrow.parquet.write_table(
        pyarrow.table({"text": texts, "n": range(len(texts))}),
        tmp_path / "t.parquet",
        compression="zstd",
        use_dictionary=many,
    )
    read = texts_of_rows(tmp_path / "t.parquet", "text")
    if many:  # what was in proportion has come
        assert next(read) == texts[0]
    with pytest.raises(InputError, match=r"t\.parquet unpacks to more than 300 times its size"):
        list(read)
    monkeypatch.setattr(unpacking, "FREE_BYTES", 9 << 20)
    assert list(texts_of_rows(tmp_path / "t.parquet", "text")) == texts


def test_parquet_of_a_row_again_and_again_is_refused(tmp_path, monkeypatch):
    """Rows cost time and memory also where they hold nothing."""
    monkeypatch.setattr(unpacking, "FREE_BYTES", 1 << 20)
    many = pyarrow.DictionaryArray.from_arrays(pyarrow.array([0] * 200_000, pyarrow.int32()), [""])
    pyarrow.parquet.write_table(pyarrow.table({"text": many}), tmp_path / "t.parquet", compression="zstd")
    assert (tmp_path / "t.parquet").stat().st_size < 8000
    read = texts_of_rows(tmp_path / "t.parquet", "text")
    assert len(list(itertools.islice(read, 80_000))) == 80_000  # twelve bytes a row
    with pytest.raises(InputError, match=r"t\.parquet unpacks to more than 300 times its size"):
        list(read)


@pytest.mark.parametrize(
    ("column", "said"),
    [
        ([["a"]], "column text holds list<.*>, which is no text"),
        ([{"x": "a"}], "column text holds struct<x: string>, which is no text"),
        ([b"\xff"], "column text holds binary, which is no text"),
        ([1.5], "column text holds double, which is no text"),
        (["aa", "ab"], r"cannot be read as Parquet \(Not yet implemented.*\); write it as by default"),
    ],
)
def test_parquet_without_a_text_that_can_be_bounded_is_refused(tmp_path, column, said):
    """Of which a few bytes may stand for millions of lists, or for values that begin alike."""
    encoding = {"column_encoding": {"text": "DELTA_BYTE_ARRAY"}} if len(column) == 2 else {}
    pyarrow.parquet.write_table(
        pyarrow.table({"text": column}), tmp_path / "t.parquet", use_dictionary=False, **encoding
    )
    with pytest.raises(InputError, match=said):
        list(texts_of_rows(tmp_path / "t.parquet", "text"))


@pytest.mark.parametrize("pack", [bytes, gzip.compress, lzma.compress])
def test_a_tar_archive_is_no_text(tmp_path, pack):
    """Nor is it unpacked: what it holds (links, devices, names that lead elsewhere) is nobody's concern here."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        about = tarfile.TarInfo("../../t.txt")
        about.size = 1 << 20
        archive.addfile(about, io.BytesIO(b"the tide waits\n" * 70_000))
    (tmp_path / "t.txt").write_bytes(pack(stream.getvalue()))
    with pytest.raises(InputError, match="is a tar archive; unpack it first"):
        read_text(tmp_path / "t.txt")
    with pytest.raises(InputError, match="is a tar archive; unpack it first"):
        Corpus.of(str(tmp_path / "t.txt"))


def test_a_damaged_parquet_file_is_one_line(tmp_path):
    """Whatever its library or Python says of it: the name of a column may be no text."""
    stream = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table({"text": ["a", "b"]}), stream)
    data = stream.getvalue()
    said = set()
    for at in range(4, len(data)):
        (tmp_path / "t.parquet").write_bytes(data[:at] + bytes([data[at] ^ 0xFD]) + data[at + 1 :])
        try:
            list(texts_of_rows(tmp_path / "t.parquet", "text"))
        except InputError as error:
            said.add(str(error))
    assert any("utf-8" in one for one in said)
    assert len(said) > 5


def test_a_stored_run_out_of_proportion_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(unpacking, "FREE_BYTES", 1 << 20)
    with zipfile.ZipFile(tmp_path / "r.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("about.npy", bytes(8 << 20))
    with pytest.raises(InputError, match="times its size"):
        load_run(tmp_path / "r.npz")


@pytest.mark.parametrize("name", ["../x.txt", "/etc/x", "a/../../x", "a//b", ".hidden", "a/."])
def test_a_description_names_files_of_its_folders_alone(tmp_path, name):
    (tmp_path / "d.toml").write_text(f"title = 't'\n[[files]]\nname = '{name}'\n")
    with pytest.raises(InputError, match="no file's name"):
        describe(str(tmp_path / "d.toml"))


@pytest.mark.parametrize(
    ("url", "sums", "said"),
    [
        ("http://example.org/x", {"sha256": "0"}, "no https address"),
        ("file:///etc/passwd", {"sha256": "0"}, "no https address"),
        ("ftp://example.org/x", {"sha256": "0"}, "no https address"),
        ("", {"sha256": "0"}, "no https address"),
        ("https://[::1", {"sha256": "0"}, "no https address"),
    ],
)
def test_only_https_is_fetched(tmp_path, url, sums, said):
    with pytest.raises(InputError, match=said):
        download(url, tmp_path / "x", sums)
    assert not list(tmp_path.iterdir())


def test_only_what_can_be_checked_is_fetched(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    lines = "title = 't'\n[[files]]\nname = 't.txt'\nurl = 'https://example.org/t.txt'\n"
    (tmp_path / "d.toml").write_text(lines)
    with pytest.raises(InputError, match="no checksum"):
        fetch(str(tmp_path / "d.toml"))


def test_a_redirection_leads_to_https_alone(tmp_path):
    class Elsewhere(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(302)
            self.send_header("Location", "http://example.org/x")
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Elsewhere)
    threading.Thread(target=server.handle_request, daemon=True).start()
    with pytest.raises(InputError, match=r"'http://example\.org/x' is no https address"):
        download(f"http://127.0.0.1:{server.server_port}/x", tmp_path / "x", {"sha256": "0"})
    server.server_close()


def test_a_download_is_not_written_through_a_link(tmp_path):
    (tmp_path / "precious").write_text("kept")
    (tmp_path / "x.part").symlink_to(tmp_path / "precious")
    with socketserver.TCPServer(("127.0.0.1", 0), _answer) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        with pytest.raises(InputError):
            download(f"http://127.0.0.1:{server.server_address[1]}/x", tmp_path / "x", {"sha256": "0"})
    assert (tmp_path / "precious").read_text() == "kept"


class _answer(socketserver.BaseRequestHandler):
    def handle(self):
        self.request.recv(4096)
        self.request.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: 4\r\n\r\nevil")
