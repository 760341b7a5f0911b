"""The progress of a suite on stderr: apart from that of one fit, which is shown without the runner."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from lmbench.bench.cells import Cell
from lmbench.bench.texts import TextTask
from lmbench.bench.watch import Watch
from lmbench.cli.progress import BarMonitor, LineMonitor
from lmbench.models import Monitor
from lmbench.scoring.run import Run

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


class RunWatch(Watch):
    """The progress of a suite. bars: None where stderr is no terminal; then each cell is a line."""

    def __init__(self, bars: Progress | None, quiet: bool) -> None:
        self.bars, self.quiet = bars, quiet
        self.total = self.finished = 0
        self.all: TaskID | None = None
        self.monitors: dict[str, BarMonitor] = {}
        self.lines: dict[str, LineMonitor] = {}

    def begin(self, cells: int) -> None:
        self.total = cells
        if self.bars is not None:
            self.all = self.bars.add_task(f"0 of {cells} models", total=cells)

    def start(self, task: Cell | TextTask) -> Monitor:
        name = task.name
        if self.bars is None:
            return Monitor() if self.quiet else self.lines.setdefault(name, LineMonitor(name))
        return self.monitors.setdefault(name, BarMonitor(self.bars, name))

    def close(self, task: Cell | TextTask) -> None:
        if task.name in self.monitors:
            self.monitors.pop(task.name).close()

    def remark(self, sentence: str) -> None:
        print(sentence, file=sys.stderr, flush=True)

    @contextmanager
    def stage(self, name: str) -> Iterator[Monitor]:
        monitor = Monitor() if self.bars is None else BarMonitor(self.bars, name)
        if self.bars is None and not self.quiet:
            monitor = LineMonitor(name)
        monitor.progress(0, 1)
        yield monitor
        if isinstance(monitor, BarMonitor):
            monitor.close()

    def done(self, cell: Cell, outcome: Run | str, fresh: bool) -> None:
        self.finished += 1
        self.close(cell)
        if self.bars is not None and self.all is not None:
            said = f"{self.finished} of {self.total} models"
            self.bars.update(self.all, completed=self.finished, description=said)
        if self.quiet and isinstance(outcome, Run):
            return
        if isinstance(outcome, str):
            said = f"failed: {outcome}"
        else:
            seconds = (outcome.facts.fit_seconds or 0.0) + (outcome.facts.score_seconds or 0.0)
            spent = f"{seconds:.1f} s" if fresh else "kept"
            said = f"{outcome.scores.bits_per_char:.3f} bits/char  ({spent})"
        line = f"[{self.finished}/{self.total}] {cell.name}: {said}"
        if self.bars is not None:
            self.bars.console.print(line, highlight=False, markup=False)
        else:
            print(line, file=sys.stderr, flush=True)
