"""Fit a model on a corpus and score its held-out text."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from lmbench.corpora.corpus import Corpus
from lmbench.models import LanguageModel, Monitor
from lmbench.scoring.run import Run, signature
from lmbench.scoring.scorer import Scorer


def costs_of(measured: Mapping[str, Any]) -> dict[str, Any]:
    """A fit's ``LanguageModel.costs`` with what follows from them; nothing of nothing.

    tokens_per_second and flops_per_second: over all of the training, its looks at held-out text included;
    share_of_peak: of the matrix products that the machine can do in that time, the share that was needed.
    """
    if not measured or not measured["training_seconds"]:
        return dict(measured)
    rate = measured["training_tokens"] / measured["training_seconds"]
    flops = rate * measured["training_flops"]
    return {
        **measured,
        "tokens_per_second": rate,
        "flops_per_second": flops,
        "share_of_peak": flops / measured["peak_flops"],
    }


def score_run(scorer: Scorer, corpus: Corpus, label: str, seed: int = 0) -> Run:
    """Scores the held-out text, and as much of the training text: memorisation is the difference."""
    began = time.perf_counter()
    scores = scorer.score(corpus.text("test"))
    seconds = time.perf_counter() - began
    facts: dict[str, Any] = {
        "model": scorer.model.name,
        "options": scorer.model.options(),
        "unit": scorer.unit.name,
        "adaptive": scorer.model.adaptive,
        "score_seconds": seconds,
        "parameters": scorer.model.parameters,
        "model_bytes": scorer.model.model_bytes,
        "notes": scorer.model.notes,
        "history": scorer.model.history,
    }
    return Run(corpus.name, label, scores, signature(scorer, corpus, seed), facts)


def fit_run(
    model: LanguageModel,
    corpus: Corpus,
    unit: str = "char",
    label: str | None = None,
    seed: int = 0,
    monitor: Monitor | None = None,
    components: Sequence[Scorer] = (),
) -> tuple[Scorer, Run]:
    """Fits a model and scores the held-out text with it. Raises InputError where they do not suit each other."""
    if model.wants_valid:
        corpus = corpus.with_held_out()
    began = time.perf_counter()
    scorer = Scorer.fit(model, corpus, unit, seed, monitor, components)
    seconds = time.perf_counter() - began
    run = score_run(scorer, corpus, label or model.name, seed)
    # Of a fit that was interrupted and went on, this call has seen the rest alone.
    seconds = max(seconds, model.costs.get("training_seconds", 0.0))
    return scorer, replace(run, facts={**run.facts, "fit_seconds": seconds, **costs_of(model.costs)})


def evaluate(
    model: LanguageModel,
    corpus: Corpus,
    unit: str = "char",
    label: str | None = None,
    seed: int = 0,
    components: Sequence[Scorer] = (),
) -> Run:
    """Trains a model on a corpus and scores its held-out text: ``run.scores.bits_per_char`` and the rest.

    unit: char, word or byte. Raises InputError where the model does not suit the corpus.
    """
    return fit_run(model, corpus, unit, label, seed, components=components)[1]
