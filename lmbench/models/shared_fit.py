"""A fit that several models share: those that differ only in what comes after it, done once and taken up by the others."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import numpy as np

from lmbench.errors import InputError
from lmbench.models.saved import MOST
from lmbench.storage.mapped import open_arrays, write_arrays

if TYPE_CHECKING:
    from lmbench.models.base import LanguageModel


class _Facts(msgspec.Struct):
    """What the file says beside the model's arrays. random: the state of the generator after the fit, in JSON."""

    label: str
    seconds: Annotated[float, msgspec.Meta(ge=0, le=1e12)]
    notes: list[str]
    history: list[dict[str, float]]
    costs: dict[str, int | float | str | None]
    random: str


@dataclass
class SharedFit:
    """The file in which the first of the models leaves what it has learnt, and from which the others take it.

    key: names all that the fit depends on. label: who fits. seconds: what the fit took that was taken up here; 0 where none was.
    """

    path: Path
    key: str
    label: str
    seconds: float = 0.0

    def take(self, model: LanguageModel, rng: np.random.Generator) -> bool:
        """Makes the model what the fit has made of another, bit for bit, the random numbers drawn; says whether there was such a fit."""
        if not self.path.exists():
            return False
        try:
            said, columns = open_arrays(self.path)
            if said.get("key") != self.key:
                return False
            facts = msgspec.convert(said, _Facts)
            after = type(rng.bit_generator)()
            after.state = json.loads(facts.random)
            state = {name: np.array(column) for name, column in columns.items()}
            if any(array.dtype.kind == "f" and not (np.abs(array) <= MOST).all() for array in state.values()):
                return False  # also of what is no number
            model._take_up(state)
        # Damaged: the model is fitted anew.
        except (InputError, msgspec.ValidationError, ValueError, TypeError, KeyError, OverflowError):
            return False
        model.notes = [*facts.notes, f"one fit with {facts.label}, done once; its seconds stand in both rows"]
        model.history, model.costs, self.seconds = facts.history, facts.costs, facts.seconds
        rng.bit_generator.state = after.state
        return True

    def keep(self, model: LanguageModel, rng: np.random.Generator, seconds: float) -> None:
        """Leaves what the model has learnt, whole or not at all."""
        facts = {
            "key": self.key,
            "label": self.label,
            "seconds": max(seconds, model.costs.get("training_seconds", 0.0)),
            "notes": model.notes,
            "history": model.history,
            "costs": model.costs,
            # Numbers of 128 bits.
            "random": json.dumps(rng.bit_generator.state),
        }
        write_arrays(self.path, model.state(), facts)
