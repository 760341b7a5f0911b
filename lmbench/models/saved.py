"""Arrays read back from a saved model, checked for type and shape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np

from lmbench.errors import InputError
from lmbench.storage.mapped import MappedArray

MOST_TOKENS = 1 << 53  # of a text that has been read
MOST = 1e9  # what learning comes to is far below; numbers up to this can be multiplied and summed without end

Array = TypeVar("Array", np.ndarray, MappedArray)


def saved_array(
    state: Mapping[str, Array],
    name: str,
    shape: Sequence[int | None],
    kinds: str = "f",
    least: float | None = None,
    most: float | None = None,
) -> Array:
    """An array of a saved model, for ``_restore``; raises InputError where it is missing or another than expected.

    shape: None where any length will do. kinds: numpy's letters for the kinds of numbers allowed. least, most: where either is given,
    all numbers are between them, both included, and none is NaN; the array is then read.
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
    if least is not None or most is not None:
        numbers = np.asarray(array)
        low, high = (-np.inf if least is None else least), (np.inf if most is None else most)
        if not ((numbers >= low) & (numbers <= high)).all():
            raise InputError(f"the array {name} holds numbers that none of its model is; fit the model anew")
    return array
