"""What holds of every input.

Whatever it is, a command ends with a status of 0 to 2 or 130, and what is wrong with it is one printable line; a reader
returns or raises ``InputError`` of one such line. No other exception, no warning of numpy's, no hang.
"""

from __future__ import annotations

import contextlib
import io
import os
import random
import re
import sys
import unittest.mock
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from lmbench.cli import main
from lmbench.errors import InputError


@dataclass(frozen=True)
class Kind:
    """seeds: good inputs. damage: another input made of one. check: raises where an input is not stood (in a folder of its own)."""

    seeds: Callable[[], Mapping[str, bytes]]
    damage: Callable[[bytes, random.Random], bytes]
    check: Callable[[bytes, Path], object]


def assert_line(message: str) -> None:
    """A refusal is one printable line."""
    assert message
    assert message.isprintable(), f"not one line: {message!r}"
    assert len(message) < 300, f"a message of {len(message)} characters: {message}"


def refused(check: Callable[[], object]) -> object:
    """What a reader returns; None where it refuses in one printable line."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        try:
            return check()
        except InputError as error:
            assert_line(str(error))
    return None


class _Screen(io.TextIOWrapper):
    """A stream that says of itself that it is a terminal."""

    def isatty(self) -> bool:
        return True


def assert_no_model_broke(folder: Path) -> None:
    """A run goes on when a model of it has a fault, and leaves the traceback."""
    for path in folder.glob("*/errors/*.txt"):
        where = re.findall(r'lmbench/([\w/]+)\.py", line (\d+)', said := path.read_text("utf-8", "replace"))
        raise AssertionError(f"{'-'.join(where[-1]) if where else path.name}: {said}")


def command(argv: list[str], folder: Path, stdin: bytes = b"", screen: bool = False) -> int:
    """The status of a command, run in a folder, whose errors are single printable lines.

    screen: what it prints goes to a terminal, and holds no control characters.
    """
    kind = _Screen if screen else io.TextIOWrapper
    out, err = (kind(io.BytesIO(), "utf-8", "surrogateescape", newline="") for _ in range(2))
    kept = sys.stdin
    try:
        sys.stdin = io.TextIOWrapper(io.BytesIO(stdin), "utf-8")
        with (
            warnings.catch_warnings(),
            contextlib.chdir(folder),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            unittest.mock.patch.dict(os.environ, {"TERM": "dumb", "NO_COLOR": "1"} if screen else {}),
        ):
            warnings.simplefilter("error", RuntimeWarning)
            try:
                status = main(argv)
            except SystemExit as ended:
                status = ended.code if isinstance(ended.code, int) else 1
    finally:
        sys.stdin = kept
    assert status in (0, 1, 2, 130), f"status {status}"
    for stream in (out, err):
        stream.flush()
    said = err.buffer.getvalue().decode("utf-8", "replace")
    if status == 2 and not said.startswith("Usage"):
        lines = [line for line in said.split("\n") if line.startswith("lmbench: ")]
        # What reads many runs (``history``) remarks on each that does not read before it says what is wrong.
        assert len(lines) == 1 or (lines and argv[:1] == ["history"]), f"not one line: {said[:300]!r}"
        for line in lines:
            assert line.isprintable(), f"does not print: {line!r}"
            assert len(line.removeprefix("lmbench: ")) < 300, f"a message of {len(line)} characters: {line}"
    shown = said + (out.buffer.getvalue().decode("utf-8", "replace") if screen else "")
    for line in shown.split("\n"):
        assert line.replace("\t", "").isprintable(), f"does not print: {line[:300]!r}"
    assert_no_model_broke(folder)
    return status


def is_folder_outside(word: str, folder: Path) -> bool:
    """Whether all that lies in another folder would be read, which is as much as there is."""
    try:
        place = (folder / word.split("=")[-1]).resolve()
        return place.is_dir() and not place.is_relative_to(folder.resolve())
    except (OSError, ValueError):
        return False
