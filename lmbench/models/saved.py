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
    array = state.get(name)
    if array is None:
        raise InputError(f"the array {name} is missing")
    fits = len(array.shape) == len(shape) and all(
        n in (None, m) for n, m in zip(shape, array.shape, strict=True)
    )
    if not fits or array.dtype.kind not in kinds:
        raise InputError(
            f"the array {name} is {array.dtype} {array.shape}, not what the model's options ask for"
        )
    return array
