"""JSON's own types all the way down."""

from __future__ import annotations

from typing import Any

import msgspec


def plain(value: Any) -> Any:
    """A value as JSON would give it back: dataclasses as dicts, arrays as lists, what is not finite as None.

    >>> import numpy as np
    >>> plain({1: np.array([0.5, np.nan]), "rank": np.int64(3)})
    {'1': [0.5, None], 'rank': 3}
    """
    return msgspec.json.decode(msgspec.json.encode(value, enc_hook=lambda numbers: numbers.tolist()))
