"""Arrays read back from a saved model, checked for type and shape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np

from lmbench.errors import InputError
from lmbench.storage.mapped import MappedArray

Array = TypeVar("Array", np.ndarray, MappedArray)


def saved_array(
    state: Mapping[str, Array], name: str, shape: Sequence[int | None], kinds: str = "f"
) -> Array:
    """An array of a saved model, for ``_restore``; raises InputError where it is missing or another than expected.

    shape: None where any length will do. kinds: numpy's letters for the kinds of numbers allowed.
    """
    found = state.get(name)
    if found is None:
        raise InputError(f"the array {name} is missing")
    fits = len(found.shape) == len(shape) and all(
        n in (None, m) for n, m in zip(shape, found.shape, strict=True)
    )
    if not fits or found.dtype.kind not in kinds:
        raise InputError(
            f"the array {name} is {found.dtype} {found.shape}, not what the model's options ask for"
        )
    return found
