"""The kill campaign: ``python tests/siege/kill.py FOLDER [--kills N] [--seed N] [--forked]``.

A command is killed at an event of the file system (the n-th file that is opened to be written, linked, renamed, removed) or at a random
moment, by kill -9, SIGTERM, SIGINT or SIGHUP, it alone or with all of its group; then it is given again. What it leaves is to be what the
undisturbed command leaves, byte for byte but for times, with nothing beside it, and every ask to end but kill -9 ends with 130. Then come
the places in which it cannot work (``places.py``), and workers of a cluster that are killed (``clusters.py``).
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import http.server
import os
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clusters import cluster
from commands import COMMANDS, SUITE, TEXT, given
from forks import Server
from leavings import contents, difference
from places import places

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parents[1])]

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
    shutil.copytree(place / "done", place / "done2")
    shutil.copytree(place / "done", place / "out.done")
    return place


@contextlib.contextmanager
def served(place: Path) -> Iterator[None]:
    """A server of one file that knows ranges, and ``c.toml``, which describes the corpus of this file."""
    body = TEXT.encode() * 300

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers.get("Range")
            start = int(wanted[6:-1]) if wanted else 0
            self.send_response(416 if start >= len(body) else 206 if wanted else 200)
            self.send_header("Content-Length", str(len(body[start:])))
            self.end_headers()
            with contextlib.suppress(OSError):  # the command has been killed
                for begin in range(start, len(body), 1 << 16):
                    self.wfile.write(body[begin : begin + (1 << 16)])
                    time.sleep(0.005)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        address, digest = f"http://127.0.0.1:{server.server_port}/f.txt", hashlib.sha256(body).hexdigest()
        file = f'[[files]]\nname = "f.txt"\nurl = "{address}"\nsha256 = "{digest}"\n'
        (place / "c.toml").write_text(f'title = "f"\n{file}')
        yield
        server.shutdown()


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


def plan(kills: int, seed: int, events: Mapping[str, int]) -> list[Kill]:
    """Kills of all commands, signals and reaches, at events and moments in turns. events: how many each command has."""
    chance, every, names = random.Random(seed), [], list(events)
    for number in range(kills):
        name = names[number % len(names)]
        event = 0 if number % 4 == 3 else chance.randint(1, events[name])
        every.append(Kill(name, event, SIGNALS[chance.randrange(len(SIGNALS))], chance.random() < 0.3))
    return every


def campaign(
    folder: Path, kills: int, seed: int, names: list[str] | None = None, given: Callable[..., Any] = given
) -> list[Kill]:
    """All kills, and what came of each; the faulty ones are told as they come. given: how a command is started."""
    start = prepared(folder, given)
    references, durations, events = {}, {}, {}
    with served(start):
        for name in names or list(COMMANDS):
            place = folder / "reference"
            shutil.rmtree(place, ignore_errors=True)
            shutil.copytree(start, place)
            began = time.monotonic()
            assert given(COMMANDS[name], place, f"0 COUNT one {place}/out").wait() == 0, name
            durations[name], references[name] = time.monotonic() - began, contents(place)
            events[name] = len((place / "events").read_bytes())
        done = []
        for number, kill in enumerate(plan(kills, seed, events)):
            moment = random.Random(number).random() * durations[kill.command]
            done.append(killed(kill, start, references[kill.command], folder, moment, given))
            if kill.outcome:
                print(f"{kill}", flush=True)
    return done


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
    print(f"{'command':<22} {'kills':>6} {'faults':>7}")
    for name in COMMANDS:
        rows = [kill for kill in done if kill.command == name]
        print(f"{name:<22} {len(rows):>6} {sum(bool(kill.outcome) for kill in rows):>7}")
    found = {}
    for stage in (places, cluster):  # each is printed before the next begins
        found |= (outcome := stage(asked.folder))
        for name, wrong in outcome.items():
            print(f"{name}: {wrong or 'as it should'}", flush=True)
    bad = [kill for kill in done if kill.outcome]
    print(
        f"{len(done)} kills, {len(bad)} faults; {len(found)} places, {sum(map(bool, found.values()))} faults"
    )
    return 1 if bad or any(found.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
