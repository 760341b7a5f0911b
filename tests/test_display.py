"""Progress: bars on a terminal, a line a cell elsewhere."""

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from lmbench.suite import to_toml
from tests.test_bench import suite_of

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_run_on_a_terminal_shows_bars_and_ends_well(tmp_path, jobs):
    rows = [("uniform",), ("bigram",), ("rnn-scratch", "rnn", "char", {"hidden": 8, "epochs": 1})]
    (tmp_path / "s.toml").write_text(to_toml(suite_of(*rows)))
    leader, follower = pty.openpty()
    command = [
        sys.executable,
        "run_bench.py",
        str(tmp_path / "s.toml"),
        "--jobs",
        str(jobs),
        "--out",
        str(tmp_path / "run"),
    ]
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        stderr=follower,
        stdout=subprocess.PIPE,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "100"},
    )
    os.close(follower)
    shown = b""
    while chunk := _read(leader):
        shown += chunk
    assert process.wait(timeout=60) == 0, shown.decode()
    text = shown.decode()
    assert "models" in text
    assert "3/3" in text
    assert "ferry rnn:" in text
    assert "Traceback" not in text


def _read(leader):
    try:
        return os.read(leader, 65536)
    except OSError:  # the other end is closed
        return b""
