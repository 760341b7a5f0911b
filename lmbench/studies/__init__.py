"""Studies: one question, answered by one table, its figures, and sentences with the numbers filled in.

A study is a function ``run(corpus, *, seed, full, monitor, **options) -> Study`` in a file of its own. It is
deterministic for a seed, and takes under a minute on the embedded corpus unless ``full``.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from lmbench.errors import check_seed, unknown
from lmbench.models.monitor import Monitor
from lmbench.models.options import typed
from lmbench.studies.study import Study

if TYPE_CHECKING:
    from lmbench.corpora.corpus import Corpus

__all__ = ["STUDIES", "Study", "run_study", "study_function"]

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
    "words": (
        "lmbench.studies.words:run",
        "What is a word's surprisal, once its end is counted, and do two models agree on it?",
    ),
    "pieces": (
        "lmbench.studies.pieces:run",
        "What do word pieces cost, by how many there are, and what does the customary tokenization leave out?",
    ),
    "validity": (
        "lmbench.studies.validity:run",
        "Do the 95% intervals hold the truth 95 times in 100, and do equal models pass for equal?",
    ),
}


def study_function(name: str) -> Callable[..., Study]:
    """The function of a registered study; raises InputError for an unknown name."""
    if name not in STUDIES:
        raise unknown("study", name, STUDIES)
    module, _, attribute = STUDIES[name][0].partition(":")
    function: Callable[..., Study] = getattr(importlib.import_module(module), attribute)
    return function


def reads_a_corpus(name: str) -> bool:
    """Whether a registered study asks its question of a text; raises InputError for an unknown name."""
    corpus = next(iter(inspect.signature(study_function(name)).parameters.values()))
    return "None" not in str(corpus.annotation)


def run_study(
    name: str,
    corpus: Corpus | None,
    *,
    seed: int = 0,
    full: bool = False,
    monitor: Monitor | None = None,
    **options: Any,
) -> Study:
    """Runs a study on a corpus (None where it reads none). full: the long version.

    Raises InputError for an option that it does not have, and for texts too short for it.
    """
    import msgspec

    function = study_function(name)
    parameters = inspect.signature(function, eval_str=True).parameters
    own = {
        key: p.annotation for key, p in list(parameters.items())[1:] if key not in ("seed", "full", "monitor")
    }
    options = {key: typed(f"option of study {name}", key, value, own) for key, value in options.items()}
    monitor = monitor or Monitor()
    answer = function(corpus, seed=check_seed(seed), full=full, monitor=monitor, **options)
    monitor.progress(1, 1)
    asked = {"name": name, "question": STUDIES[name][1], "corpus": corpus.name if corpus else ""}
    return msgspec.structs.replace(answer, **asked, seed=seed, full=full)
