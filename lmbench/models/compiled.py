"""Functions over arrays that are compiled to machine code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import njit


def compiled(**options: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Compiles a function at its first use, and keeps the result where there is a folder that takes it."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        try:
            return njit(cache=True, **options)(function)
        except RuntimeError:  # neither this folder nor a home can be written
            return njit(**options)(function)

    return decorate
