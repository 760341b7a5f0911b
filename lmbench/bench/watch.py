"""What a run tells whoever looks on: of the suite to a ``Watch``, of one fit to the ``Monitor`` that the watch gives."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import Any

from lmbench.bench.cells import Cell
from lmbench.bench.texts import TextTask
from lmbench.models import Monitor
from lmbench.scoring.run import Run

SENDING_SECONDS = 0.25  # between two messages of one fit


class Watch:
    """What a run tells whoever looks on; this one is silent."""

    def begin(self, cells: int) -> None: ...

    def start(self, task: Cell | TextTask) -> Monitor:
        return Monitor()

    def close(self, task: Cell | TextTask) -> None:
        """A task that was begun is done."""

    def stage(self, name: str) -> contextlib.AbstractContextManager[Monitor]:
        """What comes after the models: comparing, a study, drawing."""
        return contextlib.nullcontext(Monitor())

    def remark(self, sentence: str) -> None:
        """Something about a text that is not as it may seem."""

    def done(self, cell: Cell, outcome: Run | str, fresh: bool) -> None:
        """``outcome``: the run, or why it failed. fresh: whether it was measured just now."""


class SendingMonitor(Monitor):
    """A fit's progress sent to the process that shows it, a few times a second."""

    def __init__(self, send: Callable[[Any], None]) -> None:
        self.send, self.last = send, 0.0

    def progress(self, done: float, total: float, note: str = "") -> None:
        now = time.monotonic()
        if now - self.last > SENDING_SECONDS or done >= total:
            self.last = now
            self.send((done, total, note))
