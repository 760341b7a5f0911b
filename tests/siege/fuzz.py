"""The fuzz campaign: ``python tests/siege/fuzz.py FOLDER [--inputs N] [--kind NAME]... [--table]``.

Every input is made of its number (and its kind), so that the campaign goes on where it was stopped. A worker tries them in one process, as
fast as it can; when it hangs (over 20 s for one input), dies or eats memory, that input is put down and another worker goes on after it.
Each fault (the exception and the line of ours that it came from) leaves its smallest input and its traceback in FOLDER/found. The table
says how many inputs of each kind were tried, on which commits, and what they did.

With ``--each PART`` it tries every value at every place, one after the other (``exhaustive.py``).
"""

from __future__ import annotations

import argparse
import atexit
import contextlib
import functools
import json
import mmap
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")
HERE = Path(__file__).parent
SECONDS = 20.0  # that one input may take
MEMORY = 4 << 30  # bytes of address space beyond what a worker has at its start
MINIMISING = 10.0  # seconds
# Of each kind, the inputs in a thousand: what is read fast is read often.
SHARES = {
    "arpa": 180,
    "count-model": 200,
    "neural-model": 40,
    "suite": 60,
    "suite-run": 10,
    "description": 120,
    "results": 30,
    "stored-run": 40,
    "scores": 220,
    "text": 40,
    "command-line": 20,
    "side-file": 35,
    "run-folder": 5,
}


class Hang(BaseException):
    """An input took too long."""


def made(kind: Any, seeds: dict[str, bytes], name: str, number: int) -> bytes:
    """The input of a number, the same each time: one of the seeds, damaged; the first are the seeds themselves."""
    if number < len(seeds):
        return list(seeds.values())[number]
    from damage import damaged_bytes

    rng = random.Random(f"{name}-{number}")
    data = rng.choice(list(seeds.values()))
    try:
        return bytes(kind.damage(data, rng))
    except Exception:  # so damaged already that a library cannot write it
        return damaged_bytes(data, rng)


def fault(
    check: Callable[[bytes, Path], object], data: bytes, seconds: float = SECONDS
) -> tuple[str, str] | None:
    """What an input does wrong: a name for it, and the traceback. None: nothing. seconds: of processor, or thrice by the clock."""

    def stop(*_: object) -> None:
        raise Hang

    def limit(seconds: float) -> None:
        signal.setitimer(signal.ITIMER_PROF, seconds)
        signal.setitimer(signal.ITIMER_REAL, 3 * seconds)

    signal.signal(signal.SIGALRM, stop)
    signal.signal(signal.SIGPROF, stop)
    folder = _folder()
    limit(seconds)
    try:
        check(data, folder)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        limit(0)
        frames = traceback.extract_tb(error.__traceback__)
        ours = [f for f in frames if "/lmbench/" in f.filename and "/tests/" not in f.filename]
        where = f"{Path(ours[-1].filename).stem}-{ours[-1].lineno}" if ours else "property"
        said = "" if ours else "-" + "".join(c for c in str(error)[:24] if c.isalnum())
        return f"{type(error).__name__}-{where}{said}", "".join(traceback.format_exception(error))[-8000:]
    finally:
        limit(0)
        _empty(folder)
    return None


@functools.cache
def _folder() -> Path:
    """Where a worker tries its inputs, emptied after each."""
    folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _empty(folder: Path) -> None:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path, ignore_errors=True)
            else:
                os.unlink(entry.path)


def smallest(
    check: Callable[[bytes, Path], object], data: bytes, name: str, seconds: float = MINIMISING
) -> bytes:
    """A part of an input that does the same wrong: pieces are left out, from halves down to bytes, as long as it does."""
    if name.startswith("Hang"):
        return data
    end, size = time.monotonic() + seconds, max(1, len(data) // 2)
    while size:
        at = 0
        while at < len(data) and time.monotonic() < end:
            less = data[:at] + data[at + size :]
            found = fault(check, less)
            if found is not None and found[0] == name:
                data = less
            else:
                at += size
        size //= 2
    return data


# A worker --------------------------------------------------------------------------------------------------


def work(name: str, begin: int, end: int, folder: Path) -> None:
    """Tries the inputs from ``begin`` up to ``end``; the number of the one at hand stands in a file."""
    from kinds import KINDS

    kind = KINDS[name]
    seeds = seeds_of(name, folder)
    limit_memory()
    with open(folder / f"{name}.at", "r+b") as stream:
        at = mmap.mmap(stream.fileno(), 8)
    for number in range(begin, end):
        at[:8] = number.to_bytes(8, "little")
        data = made(kind, seeds, name, number)
        found = fault(kind.check, data)
        if found is not None:
            keep(folder, name, *found, data, kind.check)
    at[:8] = end.to_bytes(8, "little")


def limit_memory(more: int = MEMORY) -> None:
    """Lets this process have so much more and no more, so that not the machine is what an input takes the memory of."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + more, resource.RLIM_INFINITY))


def seeds_of(name: str, folder: Path) -> dict[str, bytes]:
    """The good inputs of a kind, made once for a campaign: training is slow, and the clock may have a share in them."""
    from kinds import KINDS

    place = folder / "seeds" / name
    if not place.exists():
        place.parent.mkdir(exist_ok=True)
        half = Path(tempfile.mkdtemp(dir=place.parent))
        for number, (key, data) in enumerate(dict(KINDS[name].seeds()).items()):
            (half / f"{number:03}-{key}").write_bytes(data)
        half.rename(place)
    return {path.name[4:]: path.read_bytes() for path in sorted(place.iterdir())}


def keep(
    folder: Path, kind: str, name: str, text: str, data: bytes, check: Callable[[bytes, Path], object] | None
) -> None:
    """Puts a fault down; the first of its name with its smallest input."""
    place = folder / "found" / f"{kind}-{name}"
    with open(folder / f"{kind}.faults", "a") as stream:
        stream.write(f"{name}\n")
    if not place.exists():
        place.write_bytes(data if check is None else smallest(check, data, name))
        place.with_name(f"{place.name}.txt").write_text(text)


# The campaign ------------------------------------------------------------------------------------------------


def campaign(folder: Path, inputs: int, names: list[str], batch: int = 30000) -> None:
    """Tries so many inputs, of each kind its share, in turns."""
    (folder / "found").mkdir(parents=True, exist_ok=True)
    total = sum(SHARES[name] for name in names)
    goals = {name: -(-inputs * SHARES[name] // total) for name in names}
    for name in names:
        if not (folder / f"{name}.at").exists():
            (folder / f"{name}.at").write_bytes(bytes(8))
    while open_kinds := [name for name in names if tried(folder, name) < goals[name]]:
        for name in open_kinds:
            began, begin = time.monotonic(), tried(folder, name)
            end = min(goals[name], begin + max(20, batch * SHARES[name] // 100))
            _watch(name, begin, end, folder)
            with open(folder / "seconds.jsonl", "a") as stream:
                row = [name, tried(folder, name) - begin, time.monotonic() - began, _commit()]
                stream.write(json.dumps(row) + "\n")


def _commit() -> str:
    """The state of the code that is tried."""
    asked = ["git", "describe", "--always", "--dirty"]
    return subprocess.run(asked, cwd=HERE, capture_output=True, text=True).stdout.strip()


def tried(folder: Path, name: str) -> int:
    return int.from_bytes((folder / f"{name}.at").read_bytes(), "little")


def _watch(name: str, begin: int, end: int, folder: Path) -> None:
    command = [sys.executable, str(HERE / "fuzz.py"), str(folder), "--worker", name, str(begin), str(end)]
    paths = [str(HERE), str(HERE.parent / "helpers"), str(HERE.parents[1])]
    space = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYTHONHASHSEED": "0", "COLUMNS": "80"}
    with open(folder / f"{name}.err", "wb") as errors:
        process = subprocess.Popen(command, env=space, stdout=errors, stderr=errors, stdin=subprocess.DEVNULL)
    last, since = -1, time.monotonic()
    while process.poll() is None:
        time.sleep(0.2)
        if (now := tried(folder, name)) != last:
            last, since = now, time.monotonic()
        elif time.monotonic() - since > 3 * SECONDS + MINIMISING + 30:
            process.kill()
            process.wait()
    at = tried(folder, name)
    if at < end:  # the worker died of this one, or was killed because it did not end
        from kinds import KINDS

        kind = KINDS[name]
        data = made(kind, seeds_of(name, folder), name, at)
        why = "Hang-native" if process.returncode == -signal.SIGKILL else f"Death-{process.returncode}"
        keep(folder, name, why, (folder / f"{name}.err").read_text("utf-8", "replace")[-8000:], data, None)
        (folder / f"{name}.at").write_bytes((at + 1).to_bytes(8, "little"))


def table(folder: Path) -> str:
    """What was tried, and what it did, a line a kind."""
    seconds: dict[str, float] = {}
    commits: dict[str, int] = {}
    batches = folder / "seconds.jsonl"
    for line in batches.read_text().splitlines() if batches.exists() else ():  # none is through yet
        name, count, took, commit = json.loads(line)
        seconds[name] = seconds.get(name, 0.0) + took
        commits[commit] = commits.get(commit, 0) + count
    lines = [f"{'kind':<14} {'inputs':>10} {'faults':>8} {'kinds of fault':>15} {'hangs':>6} {'seconds':>9}"]
    sums = [0, 0, 0, 0]
    for name in SHARES:
        with contextlib.suppress(FileNotFoundError):
            count = tried(folder, name)
            faults = (
                (folder / f"{name}.faults").read_text().split()
                if (folder / f"{name}.faults").exists()
                else []
            )
            hangs = sum(fault.startswith("Hang") for fault in faults)
            row = [count, len(faults), len(set(faults)), hangs]
            sums = [a + b for a, b in zip(sums, row, strict=True)]
            lines.append(
                f"{name:<14} {row[0]:>10,} {row[1]:>8,} {row[2]:>15} {row[3]:>6} {seconds.get(name, 0):>9,.0f}"
            )
    lines.append(
        f"{'all':<14} {sums[0]:>10,} {sums[1]:>8,} {sums[2]:>15} {sums[3]:>6} {sum(seconds.values()):>9,.0f}"
    )
    lines += [f"{count:,} of them tried on {commit}" for commit, count in commits.items()]
    return "\n".join(lines)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--inputs", type=int, default=1_000_000)
    parser.add_argument("--kind", action="append", choices=list(SHARES))
    parser.add_argument("--table", action="store_true", help="only prints what was tried so far")
    parser.add_argument(
        "--each", action="append", metavar="PART", help="every value at every place, of a part or all"
    )
    parser.add_argument("--only", default="", metavar="WORD", help="of --each: cases whose names hold this")
    parser.add_argument("--stride", type=int, default=1, metavar="N", help="of --each: one case of so many")
    parser.add_argument("--first", type=int, default=0, metavar="N", help="of --each: the first of them")
    parser.add_argument("--worker", nargs=3, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    asked = arguments()
    sys.path[:0] = [str(HERE), str(HERE.parent / "helpers"), str(HERE.parents[1])]
    if asked.worker:
        work(asked.worker[0], int(asked.worker[1]), int(asked.worker[2]), asked.folder)
    elif asked.each:
        from exhaustive import try_each

        sys.exit(try_each(asked.folder, asked.each, asked.only, asked.stride, asked.first))
    else:
        if not asked.table:
            campaign(asked.folder, asked.inputs, asked.kind or list(SHARES))
        print(table(asked.folder))
