"""JSON and TOML, read and made of their own types all the way down."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec

from lmbench.errors import InputError
from lmbench.storage.files import read_text

# Parts of a dotted key: the time that reading one takes grows with the square of their number.
DEEPEST = 50
LONGEST_NUMBER = 4096  # bits of a whole number; what is much longer is not even printed
_BEYOND = "it has a whole number of more than a thousand digits; nobody writes them so"
_QUOTED = re.compile(r"""\"(?:[^"\\]|\\.)*+(?:"|$)|'[^']*+(?:'|$)""")
_BETWEEN = re.compile(r"[^\w. \t-]+")


def plain(value: Any) -> Any:
    """A value as JSON would give it back: dataclasses as dicts, arrays as lists, what is not finite as None.

    >>> import numpy as np
    >>> plain({1: np.array([0.5, np.nan]), "rank": np.int64(3)})
    {'1': [0.5, None], 'rank': 3}
    """
    return msgspec.json.decode(msgspec.json.encode(value, enc_hook=lambda numbers: numbers.tolist()))


def json_of(data: bytes | str, kind: Any = Any) -> Any:
    """What a JSON document holds, of a type that msgspec can check. Raises ValueError, whatever is wrong with it.

    >>> json_of(b'[1, 2]', tuple[int, int])
    (1, 2)
    """
    try:
        return msgspec.json.decode(data, type=kind)
    except UnicodeDecodeError as error:
        raise ValueError(f"it is not UTF-8 at byte {error.start}") from None
    except RecursionError:
        raise ValueError("its values are nested too deep") from None
    except msgspec.DecodeError as error:
        raise ValueError(str(error)) from None


def toml_of(path: str | Path, text: str | None = None) -> dict[str, Any]:
    """A TOML file's plain values. text: what it holds, where it has been read. Raises InputError where it is none, or where they lie deeper in each other than anyone writes them."""
    import tomllib

    text = read_text(path) if text is None else text
    try:
        for number, line in enumerate(text.split("\n"), 1):
            if line.count(".") > DEEPEST and any(
                part.count(".") > DEEPEST for part in _BETWEEN.split(_QUOTED.sub("", line))
            ):
                raise InputError(
                    f"{path} line {number}: a key of more than {DEEPEST} parts; nobody writes them so"
                )
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path}: {error}") from None
    except ValueError:  # Python's, of whole numbers beyond its reading
        raise InputError(f"{path}: {_BEYOND}") from None
    except RecursionError:
        raise InputError(f"{path}: its values are nested too deep; nobody writes them so") from None
    values: list[Any] = [tables]
    while values:
        value = values.pop()
        if isinstance(value, (dict, list)):
            values += value.values() if isinstance(value, dict) else value
        elif isinstance(value, int) and value.bit_length() > LONGEST_NUMBER:
            raise InputError(f"{path}: {_BEYOND}")
    return tables
