"""Corpora: descriptions, splits that do not overlap, files fetched and checked."""

import hashlib
import http.server
import io
import threading
import zipfile
from contextlib import contextmanager

import pytest

from lmbench.corpora import descriptions as registry
from lmbench.corpora.corpus import Corpus, divide, load_corpus
from lmbench.errors import InputError
from lmbench.text.canonical import canonical_text

TEXT = "\n".join(f"line number {i} of this small text" for i in range(200)) + "\n"


def test_every_description_can_be_read():
    for name in registry.registry():
        told = registry.describe(name)
        assert told.title
        assert bool(told.files) != bool(told.source)
        for file in told.files:
            assert file.sums, f"{name}: {file.name} has no checksum"


def test_the_embedded_corpus_has_no_topic_on_both_sides():
    corpus = load_corpus("python-docs")
    train = {p for d in corpus.train.documents() for p in d.split("\n\n") if len(p) > 80}
    test = [p for d in corpus.test.documents() for p in d.split("\n\n") if len(p) > 80]
    assert len(test) > 30
    assert sum(p in train for p in test) / len(test) < 0.02


@pytest.mark.parametrize("mode", ["stream", "line"])
def test_division_is_in_order_and_complete(mode):
    text = canonical_text([TEXT], "none", mode)
    train, valid, test = divide(text, (0.8, 0.1, 0.1))
    assert train.text + valid.text + test.text == text.text
    assert abs(train.chars / text.chars - 0.8) < 0.01
    if mode == "line":
        assert [len(t.starts) for t in (train, valid, test)] == [160, 20, 20]
    else:
        assert train.text[-1].isspace()  # no word is cut in two


def test_a_text_without_blanks_is_cut_all_the_same():
    parts = divide(canonical_text(["ab" * 5000], "none", "stream"), (0.8, 0.1, 0.1))
    assert [p.chars for p in parts] == [8000, 1000, 1000]


def test_the_vocabulary_sees_training_text_alone(tmp_path):
    for name, text in (("train", "a b a\n"), ("valid", "c\n"), ("test", "d a\n")):
        (tmp_path / name).write_text(text)
    corpus = Corpus.from_files(tmp_path / "train", tmp_path / "valid", tmp_path / "test")
    assert corpus.vocab("word").tokens == ["<unk>", "a", "b", "\n"]
    assert corpus.encoded("word", "test").tokens.ids.tolist() == [0, 1, 3]


def test_held_out_text_is_the_last_tenth(tmp_path):
    (tmp_path / "train").write_text(TEXT)
    corpus = Corpus.from_files(tmp_path / "train", documents="line")
    held = corpus.with_held_out()
    assert (len(held.train.starts), len(held.valid.starts)) == (180, 20)
    assert held.train.text + held.valid.text == corpus.train.text
    assert held.whole().text == corpus.train.text


def test_a_directory_and_a_pattern_are_documents(tmp_path):
    for name in "abc":
        (tmp_path / f"{name}.txt").write_text(f"text {name}")
    for path in (tmp_path, tmp_path / "*.txt"):
        assert Corpus.from_files(path).train.documents() == ["text a\n", "text b\n", "text c\n"]


def test_one_text_in_two_places_is_refused(tmp_path):
    (tmp_path / "a").write_text(TEXT)
    (tmp_path / "b").write_text(TEXT)
    with pytest.raises(InputError, match="only one of them"):
        Corpus.from_files(tmp_path / "a", test=tmp_path / "a")
    with pytest.raises(InputError, match="is the training text"):
        Corpus.from_files(tmp_path / "a", test=tmp_path / "b")


@pytest.mark.parametrize("path", ["nothing.txt", "*.nothing"])
def test_what_is_not_there_is_named(tmp_path, path):
    with pytest.raises(InputError, match="nothing"):
        Corpus.from_files(tmp_path / path)


def test_known_sizes_of_the_book(data_folder, monkeypatch):
    # Dive into Deep Learning 8.2: 28 distinct characters with <unk>; 3,221 lines with the empty ones, 2,848 without.
    monkeypatch.setenv("LMBENCH_DATA", str(data_folder))
    corpus = load_corpus("time-machine")
    assert corpus.whole().chars == 173_427
    assert corpus.whole().words == 32_775
    assert len(corpus.vocab("char")) == 28
    assert len(load_corpus("time-machine", documents="line").whole().starts) == 2848


# Getting files ---------------------------------------------------------------------------------------


@pytest.fixture
def described(tmp_path, monkeypatch):
    """A corpus of one zip archive and one of a plain file, with an empty cache and no folder of data."""
    (tmp_path / "registry").mkdir()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("LMBENCH_DATA", raising=False)
    data = TEXT.encode()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("folder/small.txt", data)
    digest = hashlib.sha256(data).hexdigest()

    def describe(url):
        (tmp_path / "registry" / "plain.toml").write_text(
            f'title = "t"\n[[files]]\nname = "small.txt"\nurl = "{url}/small.txt"\nsha256 = "{digest}"\n'
        )
        (tmp_path / "registry" / "packed.toml").write_text(
            f'title = "t"\n[archive]\nname = "s.zip"\nurl = "{url}/s.zip"\n'
            f'[[files]]\nname = "small/small.txt"\nsha256 = "{digest}"\n'
        )
        found = {p.stem: p for p in (tmp_path / "registry").glob("*.toml")}
        monkeypatch.setattr(registry, "registry", lambda: found)

    describe("http://127.0.0.1:9")
    return describe, {"/small.txt": data, "/s.zip": packed.getvalue()}


@contextmanager
def serving(contents, breaks_at=None):
    """A server on this machine that knows ranges; breaks_at: it closes its first answer after so many bytes."""
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body, wanted = contents[self.path], self.headers.get("Range")
            start = int(wanted[6:-1]) if wanted else 0
            asked.append(start)
            self.send_response(206 if wanted else 200)
            self.send_header("Content-Length", str(len(body) - start))
            self.end_headers()
            cut = breaks_at if breaks_at and len(asked) == 1 else None
            self.wfile.write(body[start:cut])

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("name", ["plain", "packed"])
def test_fetch_then_load(described, name):
    describe, contents = described
    with pytest.raises(InputError, match=f"lmbench corpora fetch {name}"):
        load_corpus(name)
    with serving(contents) as (url, _):
        describe(url)
        assert len(registry.fetch(name)) == 1
    assert load_corpus(name).whole().text == TEXT


def test_a_broken_download_is_gone_on_with(described):
    describe, contents = described
    with serving(contents, breaks_at=1000) as (url, asked):
        describe(url)
        with pytest.raises(InputError, match="broke off at 1,000"):
            registry.fetch("plain")
        registry.fetch("plain")
    assert asked == [0, 1000]
    assert load_corpus("plain").whole().text == TEXT


def test_a_wrong_file_is_refused_and_not_kept(described, tmp_path):
    describe, _ = described
    with serving({"/small.txt": b"something else"}) as (url, _):
        describe(url)
        with pytest.raises(InputError, match="not the file expected"):
            registry.fetch("plain")
    assert not list((tmp_path / "cache").rglob("small*"))


def test_no_network_says_how_to_go_on(described):
    with pytest.raises(InputError, match="lmbench corpora add plain FILE"):
        registry.fetch("plain")


@pytest.mark.parametrize("name", ["plain", "packed"])
def test_add_takes_a_file_or_an_archive_once_it_fits(described, tmp_path, name):
    _, contents = described
    for path, data in contents.items():
        (tmp_path / path[1:]).write_bytes(data)
    (tmp_path / "wrong.txt").write_text("wrong")
    with pytest.raises(InputError, match="no checksum fits"):
        registry.add(name, tmp_path / "wrong.txt")
    registry.add(name, tmp_path / ("small.txt" if name == "plain" else "s.zip"))
    assert load_corpus(name).whole().text == TEXT
