"""lmbench compares language models on the same text and tells the truth about them.

import lmbench as lb
corpus = lb.load_corpus("python-docs")
run = lb.evaluate(lb.make_model("trigram"), corpus, unit="char")
run.scores.bits_per_char
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from lmbench.batches import random_batches, sequential_batches  # noqa: F401
    from lmbench.bench import evaluate  # noqa: F401
    from lmbench.comparison import compare  # noqa: F401
    from lmbench.corpus import Corpus, load_corpus  # noqa: F401
    from lmbench.external import external_run  # noqa: F401
    from lmbench.files import InputError  # noqa: F401
    from lmbench.models import LanguageModel, make_model  # noqa: F401
    from lmbench.models.laws import check_model  # noqa: F401
    from lmbench.results import leaderboard  # noqa: F401
    from lmbench.scores import Run, Scorer, Scores, load_model  # noqa: F401
    from lmbench.text import Tokens, Vocab  # noqa: F401
    from lmbench.zipf import fit_zipf  # noqa: F401

# name -> the module that holds it, imported when the name is first used
_PUBLIC = {
    "Corpus": "corpus",
    "InputError": "files",
    "LanguageModel": "models",
    "Run": "scores",
    "Scorer": "scores",
    "Scores": "scores",
    "Tokens": "text",
    "Vocab": "text",
    "check_model": "models.laws",
    "compare": "comparison",
    "evaluate": "bench",
    "external_run": "external",
    "fit_zipf": "zipf",
    "leaderboard": "results",
    "load_corpus": "corpus",
    "load_model": "scores",
    "make_model": "models",
    "random_batches": "batches",
    "sequential_batches": "batches",
}
__all__ = [*_PUBLIC]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'lmbench' has no attribute {name!r}")
    return getattr(importlib.import_module(f"lmbench.{_PUBLIC[name]}"), name)


def __dir__() -> list[str]:
    return sorted(_PUBLIC)
