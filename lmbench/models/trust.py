"""Whose word is enough to run code: a name in a file is a stranger's, until the user says otherwise."""

from __future__ import annotations

import contextlib
import importlib.util
import sys
from collections.abc import Collection, Iterator
from contextvars import ContextVar
from typing import Final

from lmbench.errors import InputError, shown

# The names of models that may bring code of their own; None: all, for what the user or the user's program named.
_trusted: ContextVar[Collection[str] | None] = ContextVar("trusted", default=None)

# What False means: whether the user has said so once for all that is opened (``--trust-code``).
_all = ContextVar("all", default=False)

Trust = bool | Collection[str]
NOBODY: Final = frozenset[str]()


@contextlib.contextmanager
def trusting(trust: Trust) -> Iterator[None]:
    """Within: only those names of models that ``trust`` holds may import a class or run a model's code (False: none, True: as outside).

    >>> from lmbench.models import make_model
    >>> with trusting(False):
    ...     make_model("nowhere:Model")
    Traceback (most recent call last):
    lmbench.errors.InputError: 'nowhere:Model' is code of nowhere, which is not here; --trust-code (trust_code=True) runs it, \
if you know who wrote it
    """
    outer = _trusted.get()
    trust = trust or (_all.get() and trust is False)
    token = _trusted.set(outer if trust is True else NOBODY if trust is False else trust)
    try:
        yield
    finally:
        _trusted.reset(token)


@contextlib.contextmanager
def trusting_all() -> Iterator[None]:
    """Within, what is opened without a word on trust is trusted: the user has said ``--trust-code``."""
    token = _all.set(True)
    try:
        yield
    finally:
        _all.reset(token)


def check_trust(name: str, option: str = "", what: str = "") -> None:
    """Raises InputError where a model's name would run code that nobody has trusted, or an option of it do ``what`` it does.

    A class that this program has imported already runs nothing new, and may be named.
    """
    trusted = _trusted.get()
    if trusted is None or name in trusted:
        return
    if option:
        raise InputError(
            f"{name} with {shown(option)} {what}; --trust-code (trust_code=True) does so, "
            "if you know who wrote it"
        )
    module, _, attribute = name.partition(":")
    if attribute not in vars(sys.modules.get(module, object)):
        raise InputError(f"{shown(name)} is code of {_origin(module)}; {_REMEDY}")


_REMEDY = "--trust-code (trust_code=True) runs it, if you know who wrote it"


def _origin(module: str) -> str:
    """Which file would run, without running any of it: of a package its folder."""
    top = module.partition(".")[0]
    try:
        spec = importlib.util.find_spec(top) if top else None
    except (ImportError, ValueError):
        spec = None
    if spec is None:
        return f"{top[:60]}, which is not here"
    folders = list(spec.submodule_search_locations or [])
    return str(folders[0] if folders else spec.origin)[-120:]
