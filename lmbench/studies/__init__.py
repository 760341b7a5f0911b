"""Studies: one question, answered by one table, its figures, and sentences with the numbers filled in.

A study is a function ``run(corpus, *, seed, full, monitor, **options) -> Study`` in a file of its own. It is
deterministic for a seed, and takes under a minute on the embedded corpus unless ``full``.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lmbench.charts.chart import Chart
from lmbench.errors import InputError, unknown
from lmbench.models.monitor import Monitor
from lmbench.models.options import typed

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from lmbench.corpora.corpus import Corpus


@dataclass(frozen=True)
class Study:
    """What a study found. table: tidy, a row an observation. facts: what JSON should tell besides (no nan)."""

    name: str
    question: str
    table: pd.DataFrame
    charts: Sequence[Chart]
    sentences: Sequence[str]
    facts: dict[str, Any] = field(default_factory=dict)


# name: (module:function, the question in a line), in the order of the chapter
STUDIES: dict[str, tuple[str, str]] = {
    "sequence": ("lmbench.studies.sequence:run", "How far ahead can a sequence be predicted?"),
    "markov": (
        "lmbench.studies.markov:run",
        "How much does context help, and how fast does a chain forget?",
    ),
    "causality": ("lmbench.studies.causality:run", "Is text easier to predict forwards than backwards?"),
    "tails": ("lmbench.studies.tails:run", "Does Laplace smoothing over-estimate rare n-grams?"),
    "zipf": (
        "lmbench.studies.zipf:run",
        "Does the text follow Zipf's law, and does text that models write?",
    ),
    "sampling": (
        "lmbench.studies.sampling:run",
        "Is sequential partition better than random sampling, beyond the seeds' spread?",
    ),
    "gradients": (
        "lmbench.studies.gradients:run",
        "How far back do gradients reach, and what do clipping and truncation do?",
    ),
    "context": ("lmbench.studies.context:run", "How far back does a network look?"),
    "learning-curve": (
        "lmbench.studies.learning_curve:run",
        "How do bits fall with training text, and when does one model overtake another?",
    ),
    "generation": (
        "lmbench.studies.generation:run",
        "What do models write at each temperature, and what do other models say of it?",
    ),
    "size": ("lmbench.studies.size:run", "What does a smaller model cost in bits?"),
    "validity": (
        "lmbench.studies.validity:run",
        "Do the 95% intervals hold the truth 95 times in 100, and do equal models pass for equal?",
    ),
}


# A recurrent network that learns what it can in some ten seconds of one core; no time limit, so that it repeats.
# Rate and minibatch were chosen on the held-out (valid) text of python-docs.
SMALL_RNN: dict[str, Any] = {
    "hidden": 128,
    "epochs": 2,
    "batch": 32,
    "steps": 32,
    "lr": 0.016,
    "dropout": 0.0,
    "average": 0.99,
    "patience": None,
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
    parameters = inspect.signature(function, eval_str=True).parameters
    own = {
        key: p.annotation for key, p in list(parameters.items())[1:] if key not in ("seed", "full", "monitor")
    }
    options = {key: typed(f"option of study {name}", key, value, own) for key, value in options.items()}
    return function(corpus, seed=seed, full=full, monitor=monitor or Monitor(), **options)


def at_least(what: str, found: int, needed: int) -> None:
    """Raises InputError where a text is too short for a study."""
    if found < needed:
        raise InputError(
            f"the study needs at least {needed:,} {what}, the text has {found:,}; give more text"
        )


def paired_interval(differences: np.ndarray) -> tuple[float, float, float]:
    """Mean and 95% interval (Student's t) of differences between pairs, at least two of them."""
    from scipy.stats import t

    mean = float(differences.mean())
    half = float(t.ppf(0.975, len(differences) - 1) * differences.std(ddof=1) / len(differences) ** 0.5)
    return mean, mean - half, mean + half


@contextlib.contextmanager
def small_torch(rng: np.random.Generator) -> Iterator[None]:
    """torch for small networks: seeded from ``rng``, its global generator left as it was, on one thread.

    (Products of a few hundred numbers gain nothing from a second thread, and lose much where cores are busy.)
    """
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng():
            torch.manual_seed(int(rng.integers(2**31)))
            yield
    finally:
        torch.set_num_threads(threads)
