"""Tasks side by side in worker processes, each with its share of the processor's threads.

Workers stay for many tasks (starting one costs about a second), tell their progress, and end with the caller: an
interrupt stops them at once, and a worker that dies (killed, out of memory) costs its own task alone.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any, Generic, TypeVar

Task = TypeVar("Task")
Send = Callable[[Any], None]


@dataclass
class _Worker(Generic[Task]):
    process: Any
    pipe: Connection
    task: Task | None = None


def side_by_side(
    tasks: Sequence[Task],
    work: Callable[[Task, Send], Any],
    ready: Callable[[Task, Sequence[Task]], bool],
    jobs: int,
    told: Callable[[Task, Any], None],
    died: Callable[[int], Any],
) -> Iterator[tuple[Task, Any]]:
    """Yields each task with what ``work`` returned, as they finish.

    work: a function of a module (workers import it); what it sends reaches ``told``. ready(task, unfinished): whether
    a task may begin. died: from a worker's exit code the result of the task that it took with it.
    """
    context = multiprocessing.get_context("spawn")
    threads = max(1, (os.cpu_count() or 1) // jobs)
    waiting, workers = list(tasks), list[_Worker[Task]]()
    try:
        while waiting or any(worker.task is not None for worker in workers):
            unfinished = [*waiting, *(w.task for w in workers if w.task is not None)]
            startable = [task for task in waiting if ready(task, unfinished)]
            for task in startable[: jobs - sum(w.task is not None for w in workers)]:
                worker = next((w for w in workers if w.task is None), None)
                if worker is None:
                    worker = _start(context, work, threads)
                    workers.append(worker)
                waiting.remove(task)
                worker.task = task
                worker.pipe.send(task)
            for pipe in wait([worker.pipe for worker in workers if worker.task is not None]):
                worker = next(w for w in workers if w.pipe is pipe)
                assert worker.task is not None
                try:
                    kind, value = worker.pipe.recv()
                except (EOFError, OSError):
                    worker.process.join()
                    workers.remove(worker)
                    yield worker.task, died(worker.process.exitcode or 0)
                    continue
                if kind == "told":
                    told(worker.task, value)
                else:
                    task, worker.task = worker.task, None
                    yield task, value
    finally:
        for worker in workers:
            worker.process.terminate()
        for worker in workers:
            worker.process.join()


def _start(context: Any, work: Callable[..., Any], threads: int) -> _Worker[Any]:
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(there, work, threads), daemon=True)
    process.start()
    there.close()
    return _Worker(process, here)


def _serve(pipe: Connection, work: Callable[..., Any], threads: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the caller decides when to stop
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = str(threads)
    try:
        while True:
            task = pipe.recv()
            pipe.send(("done", work(task, lambda value: pipe.send(("told", value)))))
    except (EOFError, OSError):
        return
