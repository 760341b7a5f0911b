"""Tasks on a cluster of Dask workers (extra ``[cluster]``): the same seam as that of the processes of one machine."""

from __future__ import annotations

import itertools
import queue
import socket
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Self, TypeVar

from lmbench.bench.workers import Work
from lmbench.errors import InputError, cut, shown

if TYPE_CHECKING:
    from distributed import Client

Task = TypeVar("Task")
Answer = TypeVar("Answer")
_PATIENCE = 15  # seconds to wait for a scheduler or a first worker
_LOOK = 0.5  # seconds after which it is looked again for what workers send
_ALONE = 120  # seconds to wait for another worker where all are lost


class Cluster:
    """The workers of a Dask scheduler, until the ``with`` statement ends; a task of a lost worker is done by another.

    address: such as ``tcp://host:8786``. Raises InputError where nobody answers there, no worker comes, or all are lost for two minutes.
    """

    def __init__(self, address: str) -> None:
        try:
            from distributed import Client
        except ImportError:
            raise InputError("a cluster needs Dask: pip install 'lmbench[cluster]'") from None
        _check_address(address)
        try:
            self._client: Client = Client(address, timeout=_PATIENCE, set_as_default=False)
        except (OSError, ValueError, TypeError) as error:
            why = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise InputError(
                f"no Dask scheduler answers at {address} ({why}); start one with `dask scheduler`"
            ) from None
        try:
            self._client.wait_for_workers(1, timeout=_PATIENCE)
        except TimeoutError:
            self._client.close()
            raise InputError(
                f"the scheduler at {address} has no workers; start some with `dask worker {address}`"
            ) from None
        self._address = address
        self.jobs = sum(self._client.nthreads().values())
        self._sent: queue.SimpleQueue[tuple[int, Any]] = queue.SimpleQueue()
        self._topic = f"lmbench-{uuid.uuid4().hex}"
        self._client.subscribe_topic(self._topic, self._take)

    def _take(self, event: Any) -> None:
        self._sent.put(tuple(event[1]))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def each(self, tasks: Sequence[Task], work: Work[Task, Answer]) -> Iterator[tuple[Task, Answer]]:
        from distributed import KilledWorker, wait

        waiting = list(tasks)
        numbers = itertools.count()
        running: dict[Any, tuple[int, Task]] = {}
        self._met = time.monotonic()
        try:
            while waiting or running:
                unfinished = [*waiting, *(task for _, task in running.values())]
                for task in [task for task in waiting if work.ready(task, unfinished)]:
                    waiting.remove(task)
                    function, arguments = work.order(task)
                    number = next(numbers)
                    future = self._client.submit(
                        _call,
                        self._topic,
                        number,
                        function,
                        arguments,
                        pure=False,
                        key=f"{self._topic}-{uuid.uuid4().hex}",
                    )
                    running[future] = number, task
                try:
                    with self._client.as_current():
                        done = wait(list(running), timeout=_LOOK, return_when="FIRST_COMPLETED").done
                except TimeoutError:
                    done = set()
                    self._check_workers()
                self._tell(running, work)
                for future in done:
                    _, task = running.pop(future)
                    try:
                        answer = future.result()
                    except KilledWorker:
                        answer = work.died(0)
                    yield task, answer
        finally:
            self._client.cancel(list(running), force=True)

    def _check_workers(self) -> None:
        """Raises InputError where for long there has been no worker."""
        try:
            if self._client.nthreads():
                self._met = time.monotonic()
        except (OSError, TimeoutError):  # the scheduler is lost too
            pass
        if time.monotonic() - self._met > _ALONE:
            raise InputError(
                f"all workers at {self._address} were lost, and none came in {_ALONE} seconds; what is finished is kept: "
                "start workers, and give the command again"
            )

    def _tell(self, running: dict[Any, tuple[int, Any]], work: Work[Any, Any]) -> None:
        tasks = dict(running.values())
        while not self._sent.empty():
            number, value = self._sent.get()
            if number in tasks:
                work.progress(tasks[number], value)


def _check_address(address: str) -> None:
    """Raises InputError for what is no place on a network, for which Dask would look for a minute."""
    from distributed.comm.addressing import get_address_host_port

    try:
        host, port = get_address_host_port(address)
        if not 0 < port < 1 << 16:
            raise ValueError(f"a port is 1 to {(1 << 16) - 1}")
        socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise InputError(
            f"--cluster {shown(address)} is no address ({cut(why, 100)}); give one such as tcp://host:8786"
        ) from None


def _call(topic: str, number: int, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    from distributed import get_worker

    worker = get_worker()
    return function(lambda value: worker.log_event(topic, (number, value)), *arguments)
