"""The kill campaign: ``python tests/siege/kill.py FOLDER [--kills N] [--seed N] [--forked]``.

A command is killed at an event of the file system (the n-th file that is opened to be written, linked, renamed, removed) or at a random
moment, by kill -9, SIGTERM, SIGINT or SIGHUP, it alone or with all of its group; then it is given again. What it leaves is to be what the
undisturbed command leaves, byte for byte but for times, with nothing beside it, and every ask to end but kill -9 ends with 130. Then come the
places in which it cannot work: a full disk, a folder that may not be written to, too little memory, no home, no output.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from forks import Server
from leavings import contents, difference

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parents[1])]

TEXT = "".join(
    f"the {w} waits for the tide and the bell rings {n} times\n" for n in range(30) for w in ("ferry", "boat")
)
SUITE = """name = "s"
corpora = [{name = "t", train = "t.txt", documents = "line"}]
zipf_orders = [1]
seeds = [3]
[[models]]
model = "bigram"
options = {eps = [1.0, 1.0]}
[[models]]
model = "kneser-ney"
options = {order = 3}
[[models]]
model = "mixture"
options = {of = ["bigram", "kneser-ney"]}
"""
_LINES = {
    "run": "run s.toml --jobs 1 --quiet --out out",
    "run, two jobs": "run s.toml --jobs 2 --quiet --out out",
    "fit --save": "fit --model kneser-ney --train t.txt --quiet --save out.model",
    "fit, spilling": "fit --model kneser-ney -o memory_limit=1MB --documents line --unit word --train t.txt --quiet --save out.arpa",
    "fit --work": "fit --model kneser-ney -o order=2 --unit word --documents line --train t.txt --work out.d --jobs 1 --quiet --save out.arpa",
    "counts": "counts t.txt --orders 1,2 --format google --out out",
    "score --load": "score --load done.lm --test t.txt --tokens out.tsv --quiet",
    "surprisal": "surprisal --load done.lm t.txt --out out.jsonl --format jsonl --quiet",
    "score --tokens": "score --model bigram -o eps=1,1 --train t.txt --tokens out.tsv --quiet",
    "export": "export done --format csv --out out.csv",
}
COMMANDS = {name: line.split() for name, line in _LINES.items()}
SIGNALS = ("SIGKILL", "SIGTERM", "SIGINT", "SIGHUP")


@dataclass
class Kill:
    """command: by its name in COMMANDS. event: the n-th of the file system, or 0: a random moment. outcome: what was wrong, or ''."""

    command: str
    event: int
    signal: str
    group: bool
    status: int = 0
    outcome: str = ""


def prepared(folder: Path, given: Callable[..., Any]) -> Path:
    """The folder in which the commands are given, with a finished run in it."""
    place = folder / "prepared"
    place.mkdir(parents=True)
    (place / "t.txt").write_text(TEXT)
    (place / "s.toml").write_text(SUITE)
    assert given(COMMANDS["run"], place).wait() == 0
    (place / "out").rename(place / "done")
    assert given(COMMANDS["fit --save"], place).wait() == 0
    (place / "out.model").rename(place / "done.lm")
    return place


def given(
    argv: list[str], folder: Path, kill: str = "", before: Callable[[], object] | None = None, **more: Any
) -> subprocess.Popen[bytes]:
    """The command as a process of a group of its own."""
    paths = [str(HERE / "hook"), str(HERE.parents[1])]
    space = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(paths),
        "OMP_NUM_THREADS": "1",
        "XDG_STATE_HOME": str(folder),
    }
    if kill:
        space["LMBENCH_KILL"] = kill
    space |= more.pop("space", {})
    settings: dict[str, Any] = {
        "stdout": subprocess.PIPE,
        "stderr": subprocess.STDOUT,
        "stdin": subprocess.DEVNULL,
    } | more
    command = [sys.executable, "-m", "lmbench", *argv]
    return subprocess.Popen(
        command, cwd=folder, env=space, start_new_session=True, preexec_fn=before, **settings
    )


def killed(
    kill: Kill,
    start: Path,
    reference: Mapping[str, Any],
    folder: Path,
    moment: float,
    given: Callable[..., Any],
) -> Kill:
    """Kills a command, gives it again, and compares what it leaves."""
    place = folder / "try"
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(start, place)
    argv = COMMANDS[kill.command]
    whom = "group" if kill.group else "one"
    process = given(argv, place, f"{kill.event} {kill.signal} {whom} {place}/out" if kill.event else "")
    if not kill.event:
        time.sleep(moment)
        if process.poll() is None:
            send = os.killpg if kill.group else os.kill
            with contextlib.suppress(ProcessLookupError):  # it has ended by itself
                send(process.pid, getattr(signal, kill.signal))
    said = process.communicate(timeout=120)[0].decode("utf-8", "replace")
    kill.status = process.returncode
    kill.outcome = _wrong(kill, said)
    if not kill.outcome:
        again = given(argv, place)
        said = again.communicate(timeout=120)[0].decode("utf-8", "replace")
        if again.returncode != 0:
            kill.outcome = f"given again: status {again.returncode}, {said[-300:]!r}"
        else:
            left = sorted(p.name for p in place.rglob("*.part"))
            kill.outcome = f"left behind: {left}" if left else difference(reference, contents(place))
    return kill


def _wrong(kill: Kill, said: str) -> str:
    if "Traceback" in said and not (kill.event == 0 and "lmbench" not in said.partition("Traceback")[2]):
        return f"a traceback: {said[-600:]!r}"
    # A worker that is killed costs its cell alone, and is told as a failure; what ended before it was killed is done.
    worker = kill.command.endswith("jobs") and not kill.group
    started = (
        (-signal.SIGTERM, -signal.SIGINT, -signal.SIGHUP) if kill.event == 0 else ()
    )  # before the first line of ours
    allowed = {"SIGKILL": (-9, 0, 137)}.get(kill.signal, (130, 0, *started)) + ((1,) if worker else ())
    return "" if kill.status in allowed else f"status {kill.status}: {said[-300:]!r}"


# The campaign --------------------------------------------------------------------------------------------------


def plan(kills: int, seed: int, names: list[str]) -> list[Kill]:
    """Kills of all commands, signals and reaches, at events and moments in turns."""
    chance, every = random.Random(seed), []
    for number in range(kills):
        name = names[number % len(names)]
        most = 30 if name.startswith("run") else 4
        event = 0 if number % 4 == 3 else chance.randint(1, most)
        every.append(Kill(name, event, SIGNALS[chance.randrange(len(SIGNALS))], chance.random() < 0.3))
    return every


def campaign(
    folder: Path, kills: int, seed: int, names: list[str] | None = None, given: Callable[..., Any] = given
) -> list[Kill]:
    """All kills, and what came of each; the faulty ones are told as they come. given: how a command is started."""
    start = prepared(folder, given)
    references, durations = {}, {}
    for name in names or list(COMMANDS):
        place = folder / "reference"
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(start, place)
        began = time.monotonic()
        assert given(COMMANDS[name], place).wait() == 0, name
        durations[name], references[name] = time.monotonic() - began, contents(place)
    done = []
    for number, kill in enumerate(plan(kills, seed, list(references))):
        moment = random.Random(number).random() * durations[kill.command]
        done.append(killed(kill, start, references[kill.command], folder, moment, given))
        if kill.outcome:
            print(f"{kill}", flush=True)
    return done


def places(folder: Path, few: bool = False) -> dict[str, str]:
    """What commands do where they cannot work; by the place '' or what was wrong. few: only the shortest."""
    start = folder / "prepared"
    found = {}

    def attempt(
        name: str,
        argv: list[str],
        statuses: tuple[int, ...],
        before: Callable[[], object] | None = None,
        **more: Any,
    ) -> None:
        place = folder / "place"
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(start, place)
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
    attempt(
        "export without an output", ["export", "done"], (0, 1, 2), before=lambda: os.close(1), stdout=None
    )
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path, nargs="?", default=Path(tempfile.mkdtemp()))
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--forked", action="store_true", help="commands are forks of one process: in a tenth of the time"
    )
    asked = parser.parse_args()
    server = Server() if asked.forked else None
    try:
        done = campaign(asked.folder, asked.kills, asked.seed, given=server.given if server else given)
    finally:
        if server is not None:
            server.close()
    print(f"{'command':<18} {'kills':>6} {'faults':>7}")
    for name in COMMANDS:
        rows = [kill for kill in done if kill.command == name]
        print(f"{name:<18} {len(rows):>6} {sum(bool(kill.outcome) for kill in rows):>7}")
    found = places(asked.folder)
    for name, wrong in found.items():
        print(f"{name}: {wrong or 'as it should'}")
    bad = [kill for kill in done if kill.outcome]
    print(
        f"{len(done)} kills, {len(bad)} faults; {len(found)} places, {sum(map(bool, found.values()))} faults"
    )
    return 1 if bad or any(found.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
