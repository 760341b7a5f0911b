"""Files read with clear errors; files that appear whole or not at all."""

import errno
import os
import subprocess
import sys

import pytest

from lmbench.errors import InputError
from lmbench.storage.files import read_text, whole_file, write_whole


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "empty"),
        (b"abc\xff", "byte 0xff at offset 3"),
        (b"\xef\xbb\xbfab\xe9", "byte 0xe9 at offset 5"),
        (b"ab" + b"\0" * 9, "binary file .* offset 2"),
        (b"\x1f\x8b\x08rest", "gzip"),
        (b"\xff\xfea\0b", "UTF-16"),
    ],
)
def test_what_is_no_text_is_named(tmp_path, data, said):
    path = tmp_path / "text"
    path.write_bytes(data)
    with pytest.raises(InputError, match=said):
        read_text(path)


def test_a_byte_order_mark_is_dropped(tmp_path):
    (tmp_path / "text").write_bytes(b"\xef\xbb\xbfab\r\n")
    assert read_text(tmp_path / "text") == "ab\r\n"


def test_missing_files_and_directories(tmp_path):
    with pytest.raises(InputError, match="No such file"):
        read_text(tmp_path / "nothing")
    with pytest.raises(InputError, match="directory"):
        read_text(tmp_path)


def test_a_file_appears_whole_or_not_at_all(tmp_path):
    path = tmp_path / "deep" / "file"
    write_whole(path, "first")
    with pytest.raises(TypeError), whole_file(path) as stream:
        stream.writelines([b"half of the sec", 1])
    assert path.read_text() == "first"
    assert os.listdir(path.parent) == ["file"]


def test_a_full_disk_leaves_the_old_file(tmp_path):
    path = tmp_path / "file"
    write_whole(path, "first")
    with pytest.raises(InputError, match="disk is full"), whole_file(path):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert path.read_text() == "first"
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="cannot write"):
        write_whole(tmp_path / "file" / "below", "data")


def test_what_is_no_ordinary_file_stays_as_it_is(tmp_path):
    """A file renamed over a device would take its place: /dev/null, for one who may."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="no ordinary file"):
        write_whole(tmp_path / "pipe", "data")
    assert (tmp_path / "pipe").is_fifo()
    with pytest.raises(InputError, match="it is a directory"):
        write_whole(tmp_path, "data")
    with pytest.raises(InputError, match="without a name"):
        write_whole("", "data")


@pytest.mark.parametrize("named", [False, True])
def test_a_killed_process_leaves_nothing_half_written(tmp_path, named):
    """Where the system has files without a name; elsewhere what is left has a name of its own and is not the file."""
    write_whole(tmp_path / "file", "first")
    killed = (
        f"import os, lmbench.storage.files as f\n{'del os.O_TMPFILE' if named else ''}\n"
        f"with f.whole_file({str(tmp_path / 'file')!r}) as stream:\n"
        "    stream.write(b'half of the'); stream.flush(); os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", killed], check=False).returncode == -9
    assert (tmp_path / "file").read_text() == "first"
    left = [name for name in os.listdir(tmp_path) if name != "file"]
    if named or not os.path.isdir("/proc/self/fd"):
        assert all(name.startswith(".file.") for name in left)
    else:
        assert left == []
