"""What a model says of itself: whether it learns, draws, adapts or combines, and how exact it is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Traits:
    """What a model, with its options as set, says of itself.

    held_out: whether ``_fit`` uses held-out text: "no", "wanted" (callers who have none hold some out), or "needed".
    seeded: a fit draws from ``rng``, so that another seed makes another model.
    adaptive: ``log_probs`` learns from the text that it has scored, which every signature declares.
    learns_from: so many of the first training tokens are all that a fit learns from; None: all of them; 0: it needs none.
    normalised: false where the scores are no probabilities, so that the model has no place in a ranking.
    distributions: false where a model says how probable the tokens of a text are and not what else may come; it has no rank either.
    precision: how far Σ p may be from 1, and two ways to the same probability from each other.
    components: the labels of the models that this one combines, which are fitted before it. component_units: the unit of each; empty: this model's.
    sources: the files that the options name, on whose contents the model depends.
    """

    held_out: Literal["no", "wanted", "needed"] = "no"
    seeded: bool = False
    adaptive: bool = False
    learns_from: int | None = None
    normalised: bool = True
    distributions: bool = True
    precision: float = 1e-12
    components: tuple[str, ...] = ()
    component_units: tuple[str, ...] = ()
    sources: tuple[Path, ...] = ()
