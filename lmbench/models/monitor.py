"""What a fit tells whoever waits for it."""

from __future__ import annotations

from pathlib import Path


class Monitor:
    """What a long fit tells the outside, and where it may keep a checkpoint. This one is silent and keeps none."""

    checkpoint: Path | None = None  # a file that _fit may write (whole) and resume from

    def progress(self, done: float, total: float, note: str = "") -> None:
        """``done`` of ``total`` (any unit); ``note`` is a few words: loss, rate."""
