"""Fitted models inside of a fitted model: which may be there, and how they are saved with it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lmbench.errors import InputError
from lmbench.models import make_model, model_class
from lmbench.models.base import LanguageModel


def check_labels(labels: Sequence[str]) -> None:
    """Raises InputError where the labels of models to mix do not name each once."""
    if not all(labels):
        raise InputError("option of: name the models to mix, for instance of=kneser-ney,cache")
    if len(set(labels)) < len(labels):
        raise InputError(f"option of={','.join(labels)}: a model beside itself adds nothing; name each once")


def exactly(size: int) -> range:
    """The one size that a part's vocabulary may have."""
    return range(size, size + 1)


def check_parts(labels: Sequence[str], parts: Sequence[LanguageModel], vocab_size: int) -> None:
    """Raises InputError where one of the fitted models cannot be mixed with others."""
    for label, part in zip(labels, parts, strict=True):
        if not part.traits.normalised:
            raise InputError(f"{label} gives scores, not probabilities; it cannot be mixed")
        if part.vocab_size != vocab_size:
            raise InputError(f"{label} has {part.vocab_size} tokens in its vocabulary, not {vocab_size}")


def pack_parts(parts: Sequence[LanguageModel]) -> dict[str, np.ndarray]:
    """For part i ``i.about`` (its name, options and vocabulary's size, JSON) and its own state under ``i.state.``."""
    state: dict[str, np.ndarray] = {}
    for i, part in enumerate(parts):
        about = {"name": part.name, "options": part.saved_options(), "vocab_size": part.vocab_size}
        state[f"{i}.about"] = np.frombuffer(json.dumps(about).encode(), dtype=np.uint8)
        state |= {f"{i}.state.{key}": array for key, array in part.state().items()}
    return state


def unpack_parts(state: Mapping[str, np.ndarray], sizes: Sequence[range]) -> list[LanguageModel]:
    """The parts again. Raises InputError where one is missing or is not what it says.

    sizes: of each part, how many tokens its vocabulary may have; a model without arrays would believe any number.
    """
    parts = []
    for i, size in enumerate(sizes):
        if f"{i}.about" not in state:
            raise InputError(f"the model {i + 1} of those that it is made of is missing")
        about = json.loads(state[f"{i}.about"].tobytes())
        part = _made(about["name"], about["options"])
        if about["vocab_size"] not in size:
            raise InputError(
                f"the model {i + 1} of those that it is made of has another vocabulary than what it is made with; fit the model anew"
            )
        prefix = f"{i}.state."
        own = {k.removeprefix(prefix): a for k, a in state.items() if k.startswith(prefix)}
        parts.append(part.restore(own, int(about["vocab_size"])))
    return parts


def _made(name: str, options: Mapping[str, Any]) -> LanguageModel:
    """A model by its name and all of its options, those that the name fixes included."""
    fixed = model_class(name)[1]
    return make_model(name, **{key: value for key, value in options.items() if key not in fixed})
