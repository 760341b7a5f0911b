"""Progress: bars on a terminal, lines elsewhere."""

import os
import pty
import subprocess
import sys

import pytest
from paths import ROOT
from small_suites import suite_of

from lmbench.bench.suite_file import to_toml
from lmbench.cli import progress as display


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
        "--trust-paths",
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


def test_without_a_terminal_a_long_fit_tells_how_far_and_how_long(monkeypatch, capsys):
    clock = [100.0]
    monkeypatch.setattr(display.time, "monotonic", lambda: clock[0])
    monitor = display.LineMonitor("ferry rnn")
    for second in range(0, 91, 10):  # a quarter was done before; a tenth in ten seconds
        clock[0] = 100.0 + second
        monitor.progress(0.25 + second / 200, 1.0, "1.9 bits a token")
    said = capsys.readouterr().err.splitlines()
    # After 30 s: 0.25 + 0.15 = 40%; 60% are left at 0.15 in 30 s: 120 s
    assert said == [
        "  ferry rnn: 40%, 1.9 bits a token, 2:00 left",
        "  ferry rnn: 55%, 1.9 bits a token, 1:30 left",
        "  ferry rnn: 70%, 1.9 bits a token, 1:00 left",
    ]


def test_durations_are_shown_as_on_a_clock():
    assert [display.duration(s) for s in (0.4, 59.6, 754, 7325)] == ["0:00", "1:00", "12:34", "2:02:05"]
