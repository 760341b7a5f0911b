"""Bad servers: whatever they send, one line says so, and the file is whole, what it was before, or not there."""

import hashlib
import io
import itertools
import socket
import threading
import types

import pytest
from raw_server import answer, lengthy, serving

from lmbench.corpora import download as module
from lmbench.corpora.download import download
from lmbench.errors import InputError
from lmbench.storage import connections
from lmbench.storage.connections import Bounds, Watched

BODY = b"the ferry waits for the tide\n" * 9
SUMS = {"sha256": hashlib.sha256(BODY).hexdigest()}
OK = b"HTTP/1.1 200 OK\r\n"


WHOLE = answer(BODY, lengthy(len(BODY)))


def refused(url, folder, said):
    """The message of a download that fails over an older file, which stays."""
    (folder / "x.txt").write_text("old")
    with pytest.raises(InputError, match=said) as caught:
        download(url, folder / "x.txt", SUMS)
    assert str(caught.value).isprintable()
    assert (folder / "x.txt").read_text() == "old"
    return sorted(p.name for p in folder.iterdir() if p.name != "x.txt")


@pytest.mark.parametrize(
    ("sent", "said", "left"),
    [
        # lengths: too long and too short, of a body cut short, of none
        (answer(BODY + b"more", lengthy(len(BODY) + 4)), "not the file expected", False),
        (answer(BODY, lengthy(len(BODY) - 1)), "not the file expected", False),
        (answer(BODY, lengthy(len(BODY) + 1)), "broke off at 261 of 262 bytes; run it again", True),
        (answer(BODY[:100], lengthy(len(BODY))), "broke off at 100 of 261 bytes; run it again", True),
        (answer(BODY[:100]), "not the file expected", False),
        (answer(b"", lengthy(0)), "not the file expected", False),
        (answer(BODY[::-1], lengthy(len(BODY))), "not the file expected", False),
        (answer(BODY, b"Content-Length: many"), "not the file expected|cannot download", None),
        (answer(BODY, b"Content-Length: -7"), None, False),
        (answer(BODY, b"Content-Encoding: gzip"), None, False),
        (answer(b"5\r\nthe f\r\nZZ\r\n", b"Transfer-Encoding: chunked"), "cannot download", True),
        (answer(BODY, b"Content-Range: bytes 5-9/10", status=b"206 Partial Content"), None, False),
        (answer(b"gone", lengthy(4), status=b"404 Not Found"), "cannot download .*Not Found", False),
        (answer(b"", lengthy(0), status=b"404 \x1b[31mred\x07"), r"cannot download .*\\x1b\[31mred", False),
        (answer(b"no", lengthy(2), status=b"500 Oh"), "cannot download .*Oh", False),
        (answer(b"", lengthy(0), status=b"416 No such range"), "cannot download .*No such range", False),
        (answer(b"", b"Location: /x", lengthy(0), status=b"302 Found"), "'http://127.*' is no https", False),
        (answer(b"", b"Location: file:///etc/passwd", status=b"301 Moved"), "no https|cannot download", False),
        (answer(b"", lengthy(0), status=b"302 Found"), "cannot download", False),
        (b"", "cannot download", False),
        (b"\x00\xff\x1b[2J\r\n\r\n", "cannot download", False),
        (OK + b"X: " + b"y" * 70_000, "cannot download", False),
        (OK + b"X: y\r\n" * 200 + b"\r\n", "cannot download", False),
    ],
)  # fmt: skip
def test_what_a_bad_server_sends_is_refused_in_one_line(tmp_path, sent, said, left):
    with serving(sent) as (url, _):
        if said is None:  # the bytes are right, whatever stands before them
            download(url, tmp_path / "x.txt", SUMS)
            assert (tmp_path / "x.txt").read_bytes() == BODY
            assert [p.name for p in tmp_path.iterdir()] == ["x.txt"]
            return
        parts = refused(url, tmp_path, said)
    assert left is None or parts == (["x.txt.part"] if left else [])


def test_a_part_that_another_server_left_does_not_stay_in_the_way(tmp_path):
    """Neither one that is longer than the file, nor one of another file."""
    for part in (BODY[:50], b"evil" * 20, BODY * 2):
        (tmp_path / "x.txt.part").write_bytes(part)
        rest = answer(BODY[len(part) :], lengthy(len(BODY[len(part) :])), status=b"206 Partial Content")
        beyond = answer(b"", lengthy(0), status=b"416 Range Not Satisfiable")
        with serving(beyond if len(part) > len(BODY) else rest, WHOLE) as (url, asked):
            if part.startswith(b"evil"):
                assert refused(url, tmp_path, "not the file expected") == []
            download(url, tmp_path / "x.txt", SUMS)
        assert (tmp_path / "x.txt").read_bytes() == BODY
        assert f"Range: bytes={len(part)}-" in asked[0]
        assert [p.name for p in tmp_path.iterdir()] == ["x.txt"]


def test_redirections_in_a_ring_end(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_check_address", lambda *_, **__: None)
    ring = answer(b"", b"Location: /x.txt", lengthy(0), status=b"302 Found")
    with serving(ring) as (url, asked):
        assert refused(url, tmp_path, "cannot download .*infinite loop") == []
    assert 1 < len(asked) < 20


@pytest.mark.parametrize("headers", [(), (lengthy(1 << 40),), (b"Transfer-Encoding: chunked",)])
def test_a_body_without_end_is_bounded(tmp_path, monkeypatch, headers):
    monkeypatch.setattr(module, "LARGEST", 1 << 20)
    chunk = b"10000\r\n" + bytes(1 << 16) + b"\r\n"
    bodies = [answer(b"", *headers), *[chunk] * 400]
    with serving((bodies, 0)) as (url, _):
        assert refused(url, tmp_path, "goes on beyond 1,048,576 bytes") == []


def test_a_server_that_sends_nothing_is_not_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "PATIENCE", 0.1)
    with serving(([b"", b""], 0.5)) as (url, _):
        assert refused(url, tmp_path, "cannot download .*timed out") == []


@pytest.mark.parametrize(
    ("before", "drops", "left"),
    [
        # The status, the head and a chunk's length without end; a body of which some has come; a trailer without end.
        (b"HTTP/1.1 ", b"2", []),
        (OK, b"X: y\r\n", []),
        (answer(b"", b"Transfer-Encoding: chunked"), b"0", ["x.txt.part"]),
        (answer(BODY[:40], lengthy(len(BODY))), b"z", ["x.txt.part"]),
        (answer(b"28\r\n" + BODY[:40] + b"\r\n0\r\n", b"Transfer-Encoding: chunked"), b"X: y\r\n", ["x.txt.part"]),
    ],
)  # fmt: skip
def test_a_server_that_sends_hardly_anything_is_left(tmp_path, monkeypatch, before, drops, left):
    """Whatever it sends is too slow here, once a second has been waited."""
    monkeypatch.setattr(module, "PATIENCE", 1.0)
    monkeypatch.setattr(module, "SLOWEST", 1e9)
    with serving((itertools.chain([before], itertools.repeat(drops)), 0.02)) as (url, _):
        assert refused(url, tmp_path, "has sent .* bytes in 1 s; run it again to go on from there") == left


def test_what_a_slow_server_has_sent_is_gone_on_with(tmp_path):
    (tmp_path / "x.txt.part").write_bytes(BODY[:40])
    rest = answer(BODY[40:], lengthy(len(BODY) - 40), status=b"206 Partial Content")
    with serving(rest) as (url, asked):
        download(url, tmp_path / "x.txt", SUMS)
    assert "Range: bytes=40-" in asked[0]
    assert (tmp_path / "x.txt").read_bytes() == BODY


class Drops(io.RawIOBase):
    """Ten bytes at a time, for each of which so many seconds are waited."""

    def __init__(self, clock, seconds):
        self.clock, self.seconds = clock, seconds

    def readinto(self, buffer):
        self.clock.now += self.seconds
        buffer[:10] = bytes(10)
        return 10


@pytest.mark.parametrize(("seconds", "reads"), [(0.09, 0), (0.125, 1201), (1.0, 34), (29.0, 2)])
def test_fewer_than_a_hundred_bytes_a_second_are_too_few(monkeypatch, seconds, reads):
    """Half a minute is given besides: ten bytes in 0.125 s fall behind by 2.5 at each read, and 3,000 are given."""
    clock = types.SimpleNamespace(now=0.0)
    monkeypatch.setattr(connections, "time", types.SimpleNamespace(monotonic=lambda: clock.now))
    stream = Watched(Drops(clock, seconds), Bounds(module.PATIENCE, module.SLOWEST, module.LARGEST))
    for _ in range(reads - 1 if reads else 9000):
        stream.readinto(bytearray(20))
    if reads:
        with pytest.raises(TimeoutError, match=f"it has sent {10 * reads:,} bytes in .* s"):
            stream.readinto(bytearray(20))


def test_no_connection_is_waited_for_without_end(tmp_path, monkeypatch):
    """A name that is looked up for ever."""
    never = threading.Event()
    monkeypatch.setattr(module, "PATIENCE", 0.1)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: never.wait(20))
    assert refused("http://localhost:9/x.txt", tmp_path, "cannot download .*no connection in") == []
    never.set()


def test_what_stands_around_a_body_is_bounded_too(tmp_path, monkeypatch):
    """A trailer without end, as fast as one likes."""
    monkeypatch.setattr(module, "LARGEST", 1 << 20)
    head = answer(b"1\r\na\r\n0\r\n", b"Transfer-Encoding: chunked")
    with serving((itertools.chain([head], itertools.repeat(b"X: y\r\n" * 10_000)), 0)) as (url, _):
        assert refused(url, tmp_path, "goes on beyond 1,048,576 bytes") == ["x.txt.part"]
