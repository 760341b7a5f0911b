"""Where a command's tasks are done: here, in processes of this machine (``--jobs``), on a cluster (``--cluster``)."""

from __future__ import annotations

import os
import socket
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lmbench.bench.workers import Place, Processes, Work
from lmbench.errors import InputError
from lmbench.storage.tasks import Here, Run

ADDRESS = "LMBENCH_CLUSTER"  # names a scheduler where --cluster does not
_TRIES = 3  # of a task whose worker dies


def place_of(jobs: int, cluster: str | None = None) -> Place:
    """Workers for so many tasks at a time; of a cluster, where its address is given here or by ``LMBENCH_CLUSTER``."""
    address = cluster or os.environ.get(ADDRESS, "")
    if not address:
        return Processes(jobs)
    from lmbench.bench.cluster import Cluster

    return Cluster(address)


def calls_of(place: Place, folder: Path) -> Run:
    """Calls at a place; in this process, where it is one process. folder: one that all workers must see."""
    alone = isinstance(place, Processes) and place.jobs == 1
    return Here() if alone else Calls(place, folder.resolve())


class Calls:
    """Function calls at a place, as ``lmbench.storage.tasks.Run`` has them; a call whose worker dies is tried again.

    folder: one that all workers must see. Raises InputError where one does not see it, where a call raises it, and where a call
    ends its worker again and again.
    """

    def __init__(self, place: Place, folder: Path) -> None:
        self._place, self._folder = place, folder
        self.jobs = place.jobs

    def __call__(
        self, function: Callable[..., Any], arguments: Sequence[tuple[Any, ...]]
    ) -> Iterator[tuple[int, Any]]:
        left = list(range(len(arguments)))
        for _ in range(_TRIES):
            died = []
            for number, (kind, value) in self._place.each(left, _Calls(function, arguments, self._folder)):
                if kind == "died":
                    died.append(number)
                elif kind == "input":
                    raise InputError(value)
                elif kind == "error":
                    raise RuntimeError(f"a worker failed:\n{value}")
                else:
                    yield number, value
            left = died
            if not left:
                return
        raise InputError(
            f"{len(left)} of {len(arguments)} tasks ({function.__name__}) ended their workers {_TRIES} times "
            "(killed, or out of memory); give more memory, or a lower memory_limit"
        )


@dataclass(frozen=True)
class _Calls(Work[int, "tuple[str, Any]"]):
    function: Callable[..., Any]
    arguments: Sequence[tuple[Any, ...]]
    folder: Path

    def order(self, task: int) -> tuple[Callable[..., tuple[str, Any]], tuple[Any, ...]]:
        return _apart, (self.folder, self.function, self.arguments[task])

    def progress(self, task: int, sent: Any) -> None:
        pass

    def died(self, status: int) -> tuple[str, Any]:
        return "died", status


def _apart(
    send: Callable[[Any], None], folder: Path, function: Callable[..., Any], arguments: tuple[Any, ...]
) -> tuple[str, Any]:
    try:
        check_seen(folder)
        return "done", function(*arguments)
    except InputError as error:
        return "input", str(error)
    except Exception:
        return "error", traceback.format_exc()


def check_seen(folder: Path) -> None:
    """Raises InputError where a folder that is shared with other machines is not there on this one."""
    if not folder.is_dir():
        raise InputError(
            f"the folder {folder} is not there on {socket.gethostname()}; name one that all workers see (--work)"
        )
