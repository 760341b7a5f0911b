"""Versions, processor and threads: what timings depend on."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmbench.version import __version__

if TYPE_CHECKING:
    pass


def environment() -> dict[str, Any]:
    """Versions, processor and threads: what timings depend on."""
    import importlib.metadata

    versions = {}
    for package in ("numpy", "scipy", "pandas", "torch"):
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        "lmbench": __version__,
        "python": platform.python_version(),
        "system": platform.platform(),
        "processor": _processor(),
        "threads": os.cpu_count(),
        **versions,
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next(
        (x.split(":", 1)[1].strip() for x in lines if x.startswith("model name")), platform.processor()
    )
