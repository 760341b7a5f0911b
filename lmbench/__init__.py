"""lmbench compares language models on the same text and tells the truth about them.

import lmbench as lb
corpus = lb.load_corpus("python-docs")
run = lb.evaluate(lb.make_model("trigram"), corpus, unit="char")
run.scores.bits_per_char
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from lmbench.version import __version__ as __version__

if TYPE_CHECKING:
    from lmbench import plot  # noqa: F401
    from lmbench.bench.run import run_suite  # noqa: F401
    from lmbench.comparing.domains import domain_table  # noqa: F401
    from lmbench.comparing.error_bars import interval, paired  # noqa: F401
    from lmbench.comparing.pairs import compare  # noqa: F401
    from lmbench.corpora.corpus import Corpus, load_corpus  # noqa: F401
    from lmbench.corpora.inputs import Documents  # noqa: F401
    from lmbench.counts.files import read_counts  # noqa: F401
    from lmbench.errors import InputError  # noqa: F401
    from lmbench.models import LanguageModel, make_model  # noqa: F401
    from lmbench.models.laws import check_model  # noqa: F401
    from lmbench.results.frame import leaderboard  # noqa: F401
    from lmbench.scoring.combining import mix  # noqa: F401
    from lmbench.scoring.evaluation import evaluate  # noqa: F401
    from lmbench.scoring.run import Run  # noqa: F401
    from lmbench.scoring.scorer import Scorer, load_model  # noqa: F401
    from lmbench.scoring.scores import Scores  # noqa: F401
    from lmbench.scoring.surprisal import surprisal  # noqa: F401
    from lmbench.scoring.token_file import external_run  # noqa: F401
    from lmbench.studies import run_study  # noqa: F401
    from lmbench.text.batches import random_batches, sequential_batches  # noqa: F401
    from lmbench.text.tokens import Tokens  # noqa: F401
    from lmbench.text.vocab import Vocab  # noqa: F401
    from lmbench.zipf.fits import fit_zipf  # noqa: F401

# name -> the module that holds it, imported when the name is first used
_PUBLIC = {
    "Corpus": "corpora.corpus",
    "Documents": "corpora.inputs",
    "InputError": "errors",
    "LanguageModel": "models.base",
    "Run": "scoring.run",
    "Scorer": "scoring.scorer",
    "Scores": "scoring.scores",
    "Tokens": "text.tokens",
    "Vocab": "text.vocab",
    "check_model": "models.laws",
    "compare": "comparing.pairs",
    "domain_table": "comparing.domains",
    "evaluate": "scoring.evaluation",
    "external_run": "scoring.token_file",
    "fit_zipf": "zipf.fits",
    "interval": "comparing.error_bars",
    "leaderboard": "results.frame",
    "load_corpus": "corpora.corpus",
    "load_model": "scoring.scorer",
    "make_model": "models",
    "mix": "scoring.combining",
    "paired": "comparing.error_bars",
    "random_batches": "text.batches",
    "read_counts": "counts.files",
    "run_study": "studies",
    "run_suite": "bench.run",
    "sequential_batches": "text.batches",
    "surprisal": "scoring.surprisal",
}
_ROOMS = ("plot",)  # rooms that are used by their own name: lb.plot.leaderboard(runs)
__all__ = [*_PUBLIC]


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return importlib.import_module(f"lmbench.{name}")
    if name not in _PUBLIC:
        raise AttributeError(f"module 'lmbench' has no attribute {name!r}")
    return getattr(importlib.import_module(f"lmbench.{_PUBLIC[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*_PUBLIC, *_ROOMS])
