"""Options of a model: fields that say what they mean, typed from what users write."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from typing import Any, Literal

from lmbench.errors import InputError, unknown


def option(default: Any, help: str) -> Any:
    """A dataclass field that users may set, with a line that says what it does."""
    return dataclasses.field(default=default, metadata={"help": help})


def option_fields(model: type[Any]) -> list[dataclasses.Field]:
    return [f for f in dataclasses.fields(model) if f.init]


def describe_options(model: type[Any]) -> list[dict[str, Any]]:
    """Each option's name, type in words, default and help, as plain values."""
    hints = typing.get_type_hints(model)
    return [
        {
            "name": f.name,
            "type": _describe(hints[f.name]),
            "default": ",".join(map(str, f.default)) if isinstance(f.default, tuple) else f.default,
            "help": f.metadata.get("help", ""),
        }
        for f in option_fields(model)
    ]


def typed_options(model: type[Any], name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Checks options against the model's fields; strings (from ``-o``) are read as the field's type.

    Raises InputError that names the key, the value and what is known.
    """
    hints = typing.get_type_hints(model)
    known = {f.name: hints[f.name] for f in option_fields(model)}
    return {key: typed(f"option of {name}", key, value, known) for key, value in given.items()}


def typed(what: str, key: str, value: Any, known: Mapping[str, Any]) -> Any:
    """``value`` as the type that ``known`` (key -> annotation) gives; raises InputError that names all of it."""
    if key not in known:
        raise unknown(what, key, known)
    try:
        return _convert(value, known[key])
    except ValueError:
        said = str(value) if len(str(value)) <= 60 else f"{str(value)[:60]}…"
        raise InputError(f"{what} {key}={said} is not {_describe(known[key])}") from None


def _convert(value: Any, kind: Any) -> Any:
    """``value`` as ``kind``; raises ValueError. TOML values must fit already, strings are parsed."""
    origin: Any = typing.get_origin(kind)
    arguments = typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        for choice in sorted(arguments, key=lambda a: str(typing.get_origin(a)) != str(Literal)):
            try:
                return _convert(value, choice)
            except ValueError:
                continue
        raise ValueError
    if origin is Literal:
        if value in arguments:
            return value
        raise ValueError
    if origin is tuple:
        parts = value.split(",") if isinstance(value, str) else value
        parts = parts if isinstance(parts, (list, tuple)) else [parts]
        return tuple(_convert(part, arguments[0]) for part in parts)
    if kind is type(None):
        if value is None or (isinstance(value, str) and value.lower() in ("none", "")):
            return None
        raise ValueError
    if kind is bool:
        words = {"true": True, "false": False, "1": True, "0": False, "yes": True, "no": False}
        if isinstance(value, bool):
            return value
        if isinstance(value, str) and value.lower() in words:
            return words[value.lower()]
        raise ValueError
    if kind is str:
        if isinstance(value, str):
            return value
        raise ValueError
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise ValueError
    if kind is int and isinstance(value, float) and value != int(value):
        raise ValueError
    number = kind(value)
    if number != number:
        raise ValueError
    return number


def _describe(kind: Any) -> str:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(_describe(a) for a in arguments)
    if origin is Literal:
        return " or ".join(str(a) for a in arguments)
    if origin is tuple:
        return f"a list of {_describe(arguments[0])}s".replace("a list of an ", "a list of ").replace(
            "a list of a ", "a list of "
        )
    names = {int: "an integer", float: "a number", bool: "true or false", str: "a text", type(None): "none"}
    return names.get(kind, str(kind))
