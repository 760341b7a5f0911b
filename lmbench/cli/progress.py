"""Progress on stderr: a bar with the rate and the time left on a terminal, lines elsewhere."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from lmbench.models import Monitor

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


LINE_SECONDS = 30.0  # between two lines of one fit


class BarMonitor(Monitor):
    """One fit's progress as a bar of its own."""

    def __init__(self, bars: Progress, name: str) -> None:
        self.bars, self.name, self.task = bars, name, None

    task: TaskID | None

    def progress(self, done: float, total: float, note: str = "") -> None:
        if self.task is None:
            self.task = self.bars.add_task(self.name, total=total)
        self.bars.update(self.task, completed=done, total=total, description=f"{self.name}  {note}")

    def close(self) -> None:
        if self.task is not None:
            self.bars.remove_task(self.task)


class LineMonitor(Monitor):
    """One fit's progress as a line now and then, where no bar can be drawn: how far, loss, rate, time left."""

    def __init__(self, name: str) -> None:
        self.name, self.began = name, time.monotonic()
        self.last, self.first = self.began, None

    first: tuple[float, float] | None  # when, and how far, the first time that progress was reported

    def progress(self, done: float, total: float, note: str = "") -> None:
        now, share = time.monotonic(), done / total if total else 0.0
        if self.first is None:
            self.first = now, share
        if now - self.last < LINE_SECONDS:
            return
        self.last = now
        began, before = self.first  # a fit that goes on after an interruption does not begin at nothing
        left = (now - began) * (1 - share) / (share - before) if share > before else None
        parts = [f"{share:.0%}", note, "" if left is None else f"{duration(left)} left"]
        print(f"  {self.name}: {', '.join(filter(None, parts))}", file=sys.stderr, flush=True)


def duration(seconds: float) -> str:
    """Whole seconds, minutes or hours, as a clock shows them."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}" if minutes >= 60 else f"{minutes}:{rest:02d}"


@contextmanager
def progress_bars(quiet: bool = False) -> Iterator[Progress | None]:
    """Bars on a terminal's stderr, None elsewhere."""
    if quiet or not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    # What may be long stands last, so that a narrow terminal cuts no number and no time.
    columns = (
        BarColumn(16),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.description}", markup=False),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        yield bars


@contextmanager
def fit_monitor(name: str, quiet: bool = False) -> Iterator[Monitor]:
    """The monitor of a single fit."""
    with progress_bars(quiet) as bars:
        if bars is not None:
            yield BarMonitor(bars, name)
        else:
            yield Monitor() if quiet else LineMonitor(name)


@contextmanager
def byte_progress(name: str) -> Iterator[Callable[[int, int], None] | None]:
    """A callback for a download: bytes had, bytes in all."""
    began = time.monotonic()
    with progress_bars() as bars:
        if bars is None:
            yield None
            return
        task = bars.add_task(name, total=None)

        def show(had: int, total: int) -> None:
            rate = had / max(time.monotonic() - began, 1e-3) / 1e6
            bars.update(task, completed=had, total=total or None, description=f"{name}  {rate:.1f} MB/s")

        yield show
