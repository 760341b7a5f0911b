"""When, where and of which state of the code a run was made."""

from __future__ import annotations

import platform
import subprocess
from datetime import UTC, datetime

from msgspec import Struct


class Made(Struct, frozen=True, kw_only=True):
    """When, where and of which state of the code a run was made.

    finished: when, UTC, as ``2026-11-25T23:40:00Z``. seconds: that the command took, what was kept of earlier ones left out. host: the machine's
    name. commit: of the repository in whose folder the command was given, twelve digits, with ``+`` where files were changed since; '' outside of one.
    """

    finished: str = ""
    seconds: float | None = None
    host: str = ""
    commit: str = ""


def made_now(seconds: float) -> Made:
    """Of a run that ends now. seconds: since it began."""
    now = datetime.now(UTC).replace(microsecond=0)
    return Made(
        finished=now.isoformat().replace("+00:00", "Z"),
        seconds=round(seconds, 3),
        host=platform.node(),
        commit=commit(),
    )


def commit() -> str:
    """The commit of the repository that the working folder is in, with ``+`` where files that it has were changed; '' outside of one."""
    head = _git("rev-parse", "--short=12", "HEAD")
    return f"{head}+" if head and _git("status", "--porcelain", "--untracked-files=no") else head


def _git(*command: str) -> str:
    try:
        done = subprocess.run(["git", *command], capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
