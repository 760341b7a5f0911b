"""Many commands of one start: a server that has all imported makes a fork for each."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


class Forked:
    """A command in a fork of a server that has all imported, with what of Popen is used here."""

    def __init__(self, server: Server, argv: list[str], folder: Path, kill: str) -> None:
        self._server, self._said, self.returncode = server, folder.with_suffix(".said"), 0
        self._running = True
        self.pid = server.ask({"argv": argv, "folder": str(folder), "kill": kill, "said": str(self._said)})

    def poll(self) -> int | None:
        return None if self._running else self.returncode

    def wait(self, timeout: float = 120) -> int:
        if self._running:
            self.returncode, self._running = self._server.answer(), False
        return self.returncode

    def communicate(self, timeout: float = 120) -> tuple[bytes, None]:
        self.wait(timeout)
        return self._said.read_bytes(), None


class Server:
    """Starts commands in a hundredth of the time, one after the other, without a shell, a home or an interpreter of their own."""

    def __init__(self) -> None:
        paths = [str(HERE / "hook"), str(HERE.parents[1])]
        space = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}
        command = [sys.executable, str(HERE / "forks.py")]
        self._process = subprocess.Popen(
            command, env=space, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def given(self, argv: list[str], folder: Path, kill: str = "") -> Forked:
        return Forked(self, argv, folder, kill)

    def ask(self, order: Mapping[str, Any]) -> int:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return self.answer()

    def answer(self) -> int:
        assert self._process.stdout is not None
        return int(self._process.stdout.readline())

    def close(self) -> None:
        self._process.communicate()


def serve() -> None:
    """Reads orders, a line of JSON each; answers each with a process's number, then with its status."""
    import sitecustomize  # that of the hook

    import lmbench.bench.run
    import lmbench.charts.draw
    import lmbench.cli
    import lmbench.report.page  # noqa: F401

    for line in sys.stdin:
        order = json.loads(line)
        if not (child := os.fork()):
            _obey(order, sitecustomize.arm)
        print(child, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def _obey(order: Mapping[str, Any], arm: Callable[[str], None]) -> None:
    status = 130
    try:
        os.setsid()
        os.chdir(order["folder"])
        os.environ["XDG_STATE_HOME"] = order["folder"]
        os.environ["XDG_CACHE_HOME"] = f"{order['folder']}/out.cache"
        if order["kill"]:
            os.environ["LMBENCH_KILL"] = order["kill"]
        with open(order["said"], "wb") as said:
            for number in (1, 2):
                os.dup2(said.fileno(), number)
        with open(os.devnull, "rb") as nothing:
            os.dup2(nothing.fileno(), 0)
        if order["kill"]:
            arm(order["kill"])
        from lmbench.cli import main as command

        status = command(order["argv"])
    except KeyboardInterrupt:
        pass
    except BaseException:
        traceback.print_exc()
        status = 99
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    serve()
