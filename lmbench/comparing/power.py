"""How much text resolves a difference: planning a comparison before it is made."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from lmbench.comparing.pairs import compare
from lmbench.errors import InputError
from lmbench.scoring.run import Run
from lmbench.text.canonical import CanonicalText

LEAST = 1e-9  # bits per character: of less, the text that tells it is beyond any number that is a length


class Need(msgspec.Struct, frozen=True):
    """What it takes to tell two models apart, four times in five, at the 5% level.

    difference: in bits per character. resolvable: the difference that this test text resolves; None where it has no error
    bar. factor: how many times this text is needed, chars and documents: how much that is.
    """

    a: str
    b: str
    difference: float
    resolvable: float | None
    factor: float | None
    chars: int | None
    documents: int | None


def needs(runs: Sequence[Run], test: CanonicalText, difference: float) -> list[Need]:
    """For each pair of models the test text that resolves ``difference`` bits per character.

    runs: on one corpus, at least two; test: its test text. The standard error falls with the root of the text's length, and so does
    what is resolvable (more documents of the same kind; a longer stream with long memory needs more than that). Each pair is
    taken alone: where many models are compared, the correction asks for more. Raises InputError for a difference that is
    not above 0, or below any that matters.
    """
    if not LEAST <= difference < math.inf:
        raise InputError(
            f"the difference {difference:g} is to be above 0, from {LEAST:g} on, in bits per character"
        )
    needs = []
    for i, a in enumerate(runs):
        for b in runs[i + 1 :]:
            row = compare([a, b]).to_dict(orient="records")[0]
            least = row["resolvable_difference"]
            if least is None or not math.isfinite(least):
                needs.append(Need(a.label, b.label, difference, None, None, None, None))
                continue
            factor = (float(least) / difference) ** 2
            chars, documents = math.ceil(factor * test.chars), math.ceil(factor * len(test.starts))
            needs.append(Need(a.label, b.label, difference, float(least), factor, chars, documents))
    return needs
