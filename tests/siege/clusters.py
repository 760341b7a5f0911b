"""Workers of a cluster that are killed while they work: another does their tasks, and the outcome is the same."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

from commands import COMMANDS, HERE, given
from leavings import contents, difference

# Seconds for a command, of which a worker that dies takes some to be found dead and made anew; more than lmbench itself waits for one.
_PATIENCE = 300.0
_NAMES = {"run": "run", "fit --work": "fit --work", "score --work": "score --work, two jobs"}


def _said(process: subprocess.Popen[bytes], here: Any) -> str:
    """What a command says until its end. Meanwhile there are to be two workers: one that dies as it begins is given up by its nanny."""
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.communicate(timeout=5)[0].decode("utf-8", "replace")
        here.scale(2)
    process.kill()
    return f"no end in {_PATIENCE:.0f} s, " + process.communicate()[0].decode("utf-8", "replace")


def cluster(folder: Path, kills: int = 9, seed: int = 0) -> dict[str, str]:
    """By what was killed '' or what was wrong: a worker of two, at a random moment, by kill -9."""
    from distributed import LocalCluster

    os.environ["PYTHONPATH"] = str(HERE.parents[1])
    chance, found = random.Random(seed), {}
    start = folder / "prepared"
    with LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0", silence_logs=50
    ) as here:
        references, durations = {}, {}
        for number in range(-len(_NAMES), kills):
            name, command = list(_NAMES.items())[number % len(_NAMES)]
            place = folder / "cluster"
            shutil.rmtree(place, ignore_errors=True)
            shutil.copytree(start, place)
            argv = [word for word in COMMANDS[command] if word not in ("--jobs", "1", "2")]
            here.scale(2)  # a worker that is killed may be gone for good
            here.wait_for_workers(2, timeout=_PATIENCE)
            began = time.monotonic()
            process = given([*argv, "--cluster", here.scheduler_address], place)
            if number >= 0:
                time.sleep((0.3 + 0.7 * chance.random()) * durations[name])
                worker = chance.choice(list(here.workers.values()))
                with contextlib.suppress(ProcessLookupError, AttributeError):  # it is being made anew
                    os.kill(worker.pid, signal.SIGKILL)
            said = _said(process, here)
            wrong = "" if process.returncode == 0 else f"status {process.returncode}: {said[-400:]!r}"
            if number < 0:
                assert not wrong, wrong
                references[name], durations[name] = contents(place), time.monotonic() - began
                continue
            left = sorted(p.name for p in place.rglob("*.part"))
            wrong = wrong or (
                f"left behind: {left}" if left else difference(references[name], contents(place))
            )
            found[f"{name} on a cluster, a worker killed ({number // len(_NAMES) + 1})"] = wrong
    return found
