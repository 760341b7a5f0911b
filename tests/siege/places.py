"""Places in which commands cannot work: a full disk, a folder that may not be written to, too little memory, no home, no streams."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from commands import COMMANDS, given


@contextlib.contextmanager
def disk(place: Path, size: int) -> Iterator[Path | None]:
    """A file system of its own in memory, of so many bytes; None where one may not be mounted."""
    place.mkdir(exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)]
    with contextlib.suppress(OSError):
        if subprocess.run(mount, capture_output=True, check=False).returncode == 0:
            try:
                yield place / "place"
            finally:
                subprocess.run(["umount", str(place)], check=True)
            return
    yield None


def _size(folder: Path) -> int:
    """The bytes that a copy of a folder takes, in whole pages, with its folders."""
    files = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
    return sum(-(-size // 4096) * 4096 for size in files)


def _closed() -> None:
    for stream in (0, 1, 2):
        os.close(stream)


def places(folder: Path, few: bool = False) -> dict[str, str]:
    """What commands do where they cannot work; by the place '' or what was wrong. few: only the shortest."""
    start = folder / "prepared"
    found = {}

    def attempt(
        name: str,
        argv: list[str],
        statuses: tuple[int, ...],
        before: Callable[[], object] | None = None,
        place: Path = folder / "place",
        **more: Any,
    ) -> None:
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(start, place, dirs_exist_ok=True)
        process = given(argv, place, before=before, **more)
        said = b"".join(part or b"" for part in process.communicate(timeout=120)).decode("utf-8", "replace")
        wrong = f"status {process.returncode}: {said[-400:]!r}" if process.returncode not in statuses else ""
        wrong = wrong or (f"a traceback: {said[-400:]!r}" if "Traceback" in said else "")
        left = sorted(p.name for p in place.rglob("*.part"))
        found[name] = wrong or (f"left behind: {left}" if left else "")

    def limit(kind: int, size: int) -> Callable[[], object]:
        return lambda: resource.setrlimit(kind, (size, size))

    for size in (0,) if few else (0, 500, 3000):
        for name in ("fit --save", "export") if few else ("run", "fit --save", "export", "score --tokens"):
            if not (size == 3000 and name != "run"):
                attempt(
                    f"{name} on a disk of {size} bytes",
                    COMMANDS[name],
                    (1, 2),
                    limit(resource.RLIMIT_FSIZE, size),
                )
    with open("/dev/full", "wb") as full:
        attempt("export onto a full device", ["export", "done"], (2,), stdout=full, stderr=subprocess.PIPE)
    if few:
        return found
    for free in (0, 8, 64):
        for name in (
            "run",
            "fit --save",
            "fit, spilling",
            "export",
            "export, PDF",
            "score --tokens",
            "counts",
        ):
            with disk(folder / "small", _size(start) + (free << 10)) as small:
                if small is None:
                    found["on a small disk of its own (not tried: no right to mount one)"] = ""
                    break
                attempt(f"{name} on a disk with {free} KiB left", COMMANDS[name], (0, 1, 2), place=small)
    attempt("run with no memory to speak of", COMMANDS["run"], (1, 2), limit(resource.RLIMIT_AS, 260 << 20))
    attempt(
        "run without a home",
        COMMANDS["run"],
        (0,),
        space={"HOME": "", "XDG_STATE_HOME": "", "XDG_CACHE_HOME": ""},
    )
    attempt("run into a folder that may not be written to", [*COMMANDS["run"][:-1], "/proc/out"], (2,))
    attempt(
        "fit into a folder that may not be written to",
        [*COMMANDS["fit --save"][:-1], "/proc/out"],
        (2,),
    )
    for name in ("run", "fit --save", "export, PDF"):
        attempt(f"{name} without streams", COMMANDS[name], (0,), before=_closed, stdout=None, stderr=None)
    reader, writer = os.pipe()
    os.close(reader)
    into = ["surprisal", "--load", "done.lm", "t.txt", "--quiet"]
    attempt("surprisal into a pipe that nobody reads", into, (0,), stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)
    attempt("export without an output", ["export", "done"], (0,), before=lambda: os.close(1), stdout=None)
    return found
