"""Progress in a notebook: a bar that is drawn anew in its cell and goes when the work is done."""

from __future__ import annotations

import html
import importlib
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from lmbench.models.monitor import Monitor

BETWEEN = 0.3  # seconds between two drawings


class NotebookMonitor(Monitor):
    """A fit's progress as HTML. display: of IPython, or what stands in for it: takes HTML, returns what can be updated."""

    def __init__(self, name: str, display: Any) -> None:
        self.name, self.display, self.handle, self.last = name, display, None, 0.0

    def progress(self, done: float, total: float, note: str = "") -> None:
        now = time.monotonic()
        if self.handle is not None and now - self.last < BETWEEN and done < total:
            return
        self.last = now
        bar = f"<progress value='{done:g}' max='{total:g}'></progress>"
        self.show(f"{html.escape(self.name)} {bar} {html.escape(note)}")

    def show(self, text: str) -> None:
        """Draws this HTML in place of what was drawn last."""
        if self.handle is None:
            self.handle = self.display(text)
        else:
            self.handle.update(text)


@contextmanager
def notebook_monitor(name: str) -> Iterator[Monitor]:
    """A bar where this is a notebook's cell, else a silent monitor."""
    display = notebook_display()
    if display is None:
        yield Monitor()
        return
    monitor = NotebookMonitor(name, display)
    try:
        yield monitor
    finally:
        if monitor.handle is not None:
            monitor.show("")


def notebook_display() -> Any:
    """What draws HTML in the cell that runs, and returns a handle to update it; None outside of notebooks."""
    if "ipykernel" not in sys.modules:
        return None
    shown: Any = importlib.import_module("IPython.display")  # there wherever a notebook's kernel is

    class Handle:
        def __init__(self, text: str) -> None:
            self.handle = shown.display(shown.HTML(text), display_id=True)

        def update(self, text: str) -> None:
            self.handle.update(shown.HTML(text))

    return Handle
