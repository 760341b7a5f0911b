"""What a fit tells whoever waits for it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lmbench.models.shared_fit import SharedFit


class Monitor:
    """What a long fit tells the outside, and where it may keep a checkpoint. This one is silent and keeps none."""

    checkpoint: Path | None = None  # a file that _fit may write (whole) and resume from
    shared: SharedFit | None = None  # where other models may have fitted what this one would, or will need it

    def progress(self, done: float, total: float, note: str = "") -> None:
        """``done`` of ``total`` (any unit); ``note`` is a few words: loss, rate."""
