"""Where tasks are done: here, in processes of this machine, on a cluster. Who has tasks is given a ``Run`` and asks no more."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol


class Run(Protocol):
    """Calls a function of a module with each of some argument tuples, in any order and anywhere; yields (number, answer).

    jobs: how many calls may be under way at a time.
    """

    jobs: int

    def __call__(
        self, function: Callable[..., Any], arguments: Sequence[tuple[Any, ...]]
    ) -> Iterator[tuple[int, Any]]: ...


class Here:
    """One after the other, in this process."""

    jobs = 1

    def __call__(
        self, function: Callable[..., Any], arguments: Sequence[tuple[Any, ...]]
    ) -> Iterator[tuple[int, Any]]:
        for number, one in enumerate(arguments):
            yield number, function(*one)
