"""Studies: one question, answered by one table, its figures, and sentences with the numbers filled in.

A study is a function ``run(corpus, *, seed, full, monitor, **options) -> Study`` in a file of its own. It is
deterministic for a seed, and takes under a minute on the embedded corpus unless ``full``.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lmbench.charts import Chart
from lmbench.files import InputError, unknown
from lmbench.models.base import Monitor

if TYPE_CHECKING:
    import pandas as pd

    from lmbench.corpus import Corpus


@dataclass(frozen=True)
class Study:
    """What a study found. table: tidy, a row an observation. facts: what JSON should tell besides (no nan)."""

    name: str
    question: str
    table: pd.DataFrame
    charts: Sequence[Chart]
    sentences: Sequence[str]
    facts: dict[str, Any] = field(default_factory=dict)


# name: (module:function, the question in a line)
STUDIES: dict[str, tuple[str, str]] = {
    "zipf": (
        "lmbench.studies.zipf:run",
        "Does the text follow Zipf's law, and does text that models write?",
    ),
    "markov": (
        "lmbench.studies.markov:run",
        "How much does context help, and how fast does a chain forget?",
    ),
    "tails": ("lmbench.studies.tails:run", "Does Laplace smoothing over-estimate rare n-grams?"),
    "validity": (
        "lmbench.studies.validity:run",
        "Do the 95% intervals hold the truth 95 times in 100, and do equal models pass for equal?",
    ),
}


PLURAL = {"char": "characters", "word": "words", "byte": "bytes"}


def study_function(name: str) -> Callable[..., Study]:
    """The function of a registered study; raises InputError for an unknown name."""
    if name not in STUDIES:
        raise unknown("study", name, STUDIES)
    module, _, function = STUDIES[name][0].partition(":")
    found: Callable[..., Study] = getattr(importlib.import_module(module), function)
    return found


def run_study(
    name: str,
    corpus: Corpus,
    *,
    seed: int = 0,
    full: bool = False,
    monitor: Monitor | None = None,
    **options: Any,
) -> Study:
    """Runs a study on a corpus. full: the long version. Raises InputError for an option that it does not have."""
    function = study_function(name)
    own = list(inspect.signature(function).parameters)[1:]
    for key in options:
        if key not in own:
            raise unknown(f"option of study {name}", key, set(own) - {"seed", "full", "monitor"})
    return function(corpus, seed=seed, full=full, monitor=monitor or Monitor(), **options)


def at_least(what: str, found: int, needed: int) -> None:
    """Raises InputError where a text is too short for a study."""
    if found < needed:
        raise InputError(
            f"the study needs at least {needed:,} {what}, the text has {found:,}; give more text"
        )
