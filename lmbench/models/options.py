"""Options of a model: fields that say what they mean, typed from what users write."""

from __future__ import annotations

import dataclasses
import functools
import os
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, Literal

import msgspec

from lmbench.errors import InputError, unknown

_LARGEST = 2**63 - 1


# Types of a class's fields; working them out takes longer than checking values against them.
_hints: Callable[[Any], dict[str, Any]] = functools.cache(typing.get_type_hints)


def option(
    default: Any,
    help: str,
    name: str = "",
    kind: Literal["", "path", "hub", "code", "host"] = "",
    fits: bool = True,
) -> Any:
    """A dataclass field that users may set, with a line that says what it does.

    name: what users call it, where that is not the field's own name. kind: ``path``, where it names a file or folder; ``hub``, where
    it names a folder or what is fetched from the hub; ``code``, where setting it runs code that came with a model; ``host``, where it
    sends texts to another program. fits: whether ``_fit`` depends on it; what does not comes after, in ``_settle`` or in scoring.
    """
    metadata = {"help": help, "name": name, "kind": kind, "fits": fits}
    return dataclasses.field(default=default, metadata=metadata)


def needs_trust(field: dataclasses.Field, value: Any) -> str:
    """What setting an option to this value does, where a stranger's suite or saved model may not do so unasked; else ''."""
    kind = field.metadata.get("kind")
    if not value or (kind == "hub" and os.path.isdir(value)):
        return ""
    return _TRUSTED.get(str(kind), "")


_TRUSTED = {
    "code": "runs the code that the model brings",
    "host": "sends the text there",
    "hub": "is no folder here, and is fetched from the hub",
}


def fixed(value: Any) -> Any:
    """A dataclass field that is no option; a subclass may make it one."""
    return dataclasses.field(init=False, default=value, repr=False)


def option_fields(model: type[Any]) -> dict[str, dataclasses.Field]:
    """The options of a model by the names that users give them."""
    return {f.metadata.get("name") or f.name: f for f in dataclasses.fields(model) if f.init}


def describe_options(model: type[Any]) -> list[dict[str, Any]]:
    """Each option's name, type in words, default and help, as plain values."""
    hints = _hints(model)
    return [
        {
            "name": name,
            "type": _describe(hints[f.name]),
            "default": ",".join(map(str, f.default)) if isinstance(f.default, tuple) else f.default,
            "help": f.metadata.get("help", ""),
        }
        for name, f in option_fields(model).items()
    ]


def typed_options(model: type[Any], name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Checks options against the model's fields; strings (from ``-o``) are read as the field's type.

    Raises InputError that names the key, the value and what is known.
    """
    hints, fields = _hints(model), option_fields(model)
    kinds = {key: hints[f.name] for key, f in fields.items()}
    return {key: typed(f"option of {name}", key, value, kinds) for key, value in given.items()}


def typed(what: str, key: str, value: Any, kinds: Mapping[str, Any]) -> Any:
    """``value`` as the type that ``kinds`` (key -> annotation) gives; raises InputError that names all of it."""
    if key not in kinds:
        raise unknown(what, key, kinds)
    try:
        return _convert(value, kinds[key])
    except ValueError:  # msgspec's is one
        shown = str(value) if len(str(value)) <= 60 else f"{str(value)[:60]}…"
        raise InputError(f"{what} {key}={shown} is not {_describe(kinds[key])}") from None


def _convert(value: Any, kind: Any) -> Any:
    """``value`` as ``kind``; raises ValueError. TOML values must fit already, strings are parsed."""
    kinds = typing.get_args(kind) if _is_union(kind) else (kind,)
    words = [word for k in kinds if typing.get_origin(k) is Literal for word in typing.get_args(k)]
    if value in words:
        return value
    if isinstance(value, str):  # what users write, and msgspec does not read
        value = value if str in kinds else value.strip()
        if type(None) in kinds and value.lower() in ("none", ""):
            return None
        if bool in kinds:
            value = {"yes": "true", "no": "false"}.get(value.lower(), value)
    if any(typing.get_origin(k) is tuple for k in kinds):
        parts = [part.strip() for part in value.split(",")] if isinstance(value, str) else value
        value = parts if isinstance(parts, (list, tuple)) else [parts]
    converted = msgspec.convert(value, kind, strict=False)
    for number in converted if isinstance(converted, tuple) else [converted]:
        if number != number or (isinstance(number, int) and abs(number) > _LARGEST):
            raise ValueError("not a number, or beyond what arrays hold")
    return converted


def _is_union(kind: Any) -> bool:
    return typing.get_origin(kind) in (typing.Union, types.UnionType)


def _describe(kind: Any) -> str:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if _is_union(kind):
        return " or ".join(_describe(a) for a in arguments)
    if origin is Literal:
        return " or ".join(str(a) for a in arguments)
    if origin is tuple:
        return f"a list of {_describe(arguments[0])}s".replace("a list of an ", "a list of ").replace(
            "a list of a ", "a list of "
        )
    names = {int: "an integer", float: "a number", bool: "true or false", str: "a text", type(None): "none"}
    return names.get(kind, str(kind))
