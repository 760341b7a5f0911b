"""A hash of all code that decides a score, so that a stored score of other code is not taken for one of this."""

from __future__ import annotations

import functools
import hashlib
import inspect
import sys
from collections.abc import Sequence
from pathlib import Path

from lmbench.models import model_class

# The rooms whose code a score comes from, or whether it is ranked.
DECIDING = ("storage", "text", "corpora", "counts", "models", "scoring")


@functools.cache
def code_hash(rooms: Sequence[str] = DECIDING) -> str:
    """Of the source files of some rooms, by default of those that decide a score or whether it is ranked."""
    digest = hashlib.sha256()
    for file in deciding_files(rooms):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def deciding_files(rooms: Sequence[str] = DECIDING) -> list[Path]:
    """The files behind ``code_hash``: whole packages, so that none is forgotten when one is divided."""
    house = Path(__file__).parents[1]
    return [house / "errors.py", *sorted(file for room in rooms for file in (house / room).rglob("*.py"))]


def own_code_hash(model: str) -> str:
    """Of the source files of a user's own model: its class's and those of the classes that it builds on."""
    modules = {c.__module__ for c in model_class(model)[0].__mro__}
    own = {m for m in modules if m.split(".")[0] not in {"lmbench", *sys.stdlib_module_names}}
    digest = hashlib.sha256()
    for file in sorted(inspect.getsourcefile(sys.modules[module]) or "" for module in own):
        digest.update(Path(file).read_bytes() if file else b"")
    return digest.hexdigest()
