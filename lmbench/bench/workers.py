"""Tasks side by side in worker processes, each with its share of the processor's threads.

Workers stay for many tasks (starting one costs about a second), tell their progress, and end with the caller: an
interrupt stops them at once, and a worker that dies (killed, out of memory) costs its own task alone. ``places`` chooses
between them and a cluster's.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any, Generic, Protocol, Self, TypeVar

Task = TypeVar("Task")
Answer = TypeVar("Answer")


class Work(ABC, Generic[Task, Answer]):
    """What is done with each task in a worker, and what the caller does meanwhile."""

    @abstractmethod
    def order(self, task: Task) -> tuple[Callable[..., Answer], tuple[Any, ...]]:
        """A function of a module, which a worker imports, and its arguments; before them it is given ``send``.

        What it returns is the task's answer; what it sends reaches ``progress``.
        """

    def ready(self, task: Task, unfinished: Sequence[Task]) -> bool:
        """Whether a task may begin while others are unfinished."""
        return True

    @abstractmethod
    def progress(self, task: Task, sent: Any) -> None:
        """Takes what a worker has sent while it works."""

    @abstractmethod
    def died(self, status: int) -> Answer:
        """The answer to the task that a worker took with it, by the worker's exit code (0 where it is not known)."""


class Place(Protocol):
    """Where tasks are done. jobs: how many at a time."""

    jobs: int

    def each(self, tasks: Sequence[Task], work: Work[Task, Answer]) -> Iterator[tuple[Task, Answer]]:
        """Yields each task with its answer, as they finish."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...


@dataclass
class _Worker(Generic[Task]):
    process: Any
    pipe: Connection
    task: Task | None = None


class Processes:
    """So many worker processes of this machine, started when they are needed, until the ``with`` statement ends."""

    def __init__(self, jobs: int) -> None:
        self.jobs = jobs
        self._workers: list[_Worker[Any]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        _end(self._workers)
        self._workers = []

    def each(self, tasks: Sequence[Task], work: Work[Task, Answer]) -> Iterator[tuple[Task, Answer]]:
        try:
            yield from self._each(tasks, work)
        finally:  # nobody takes the answers of those that are still at work
            busy = [worker for worker in self._workers if worker.task is not None]
            self._workers = [worker for worker in self._workers if worker.task is None]
            _end(busy)

    def _each(self, tasks: Sequence[Task], work: Work[Task, Answer]) -> Iterator[tuple[Task, Answer]]:
        waiting, workers = list(tasks), self._workers
        while waiting or any(worker.task is not None for worker in workers):
            unfinished = [*waiting, *(w.task for w in workers if w.task is not None)]
            startable = [task for task in waiting if work.ready(task, unfinished)]
            for task in startable[: self.jobs - sum(w.task is not None for w in workers)]:
                worker = next((w for w in workers if w.task is None), None) or self._start()
                waiting.remove(task)
                worker.task = task
                worker.pipe.send(work.order(task))
            for pipe in wait([worker.pipe for worker in workers if worker.task is not None]):
                worker = next(w for w in workers if w.pipe is pipe)
                assert worker.task is not None
                try:
                    kind, value = worker.pipe.recv()
                except (EOFError, OSError):
                    worker.process.join()
                    workers.remove(worker)
                    yield worker.task, work.died(worker.process.exitcode or 0)
                    continue
                if kind == "sent":
                    work.progress(worker.task, value)
                else:
                    task, worker.task = worker.task, None
                    yield task, value

    def _start(self) -> _Worker[Any]:
        context = multiprocessing.get_context("spawn")
        here, there = context.Pipe()
        threads = max(1, (os.cpu_count() or 1) // self.jobs)
        process = context.Process(target=_serve, args=(there, threads), daemon=True)
        process.start()
        there.close()
        self._workers.append(_Worker(process, here))
        return self._workers[-1]


def _end(workers: Sequence[_Worker[Any]]) -> None:
    for worker in workers:
        worker.process.kill()
    for worker in workers:
        worker.process.join()


def _serve(pipe: Connection, threads: int) -> None:
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):  # the caller decides when to stop
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = str(threads)
    try:
        while True:
            function, arguments = pipe.recv()
            pipe.send(("done", function(lambda value: pipe.send(("sent", value)), *arguments)))
    except (EOFError, OSError):
        return
