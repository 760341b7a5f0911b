"""Several seeds of one model on one text: their mean, and how far training spreads them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from lmbench.errors import InputError
from lmbench.scoring.run import Run

# Facts of a run that are measured anew with each seed; the others are the first seed's.
MEASURED = (
    *("fit_seconds", "score_seconds", "train_bits_per_char", "train_perplexity", "training_seconds"),
    *("training_tokens", "tokens_per_second", "flops_per_second", "peak_flops", "share_of_peak"),
)


def mean_run(runs: Sequence[Run]) -> Run:
    """The run whose loss on every token is the mean over the seeds' runs, as are the facts in ``MEASURED``.

    So its bits per character are the mean of theirs, its perplexity their geometric mean, and an interval of it speaks
    of the text alone. Raises InputError where the runs do not cut the text into the same tokens.
    """
    first = runs[0]
    if any(not np.array_equal(run.scores.ends, first.scores.ends) for run in runs):
        raise InputError(f"the seeds of {first.label} do not have the same tokens; they have no mean")
    log_probs = np.mean([run.scores.log_probs for run in runs], axis=0)
    spelling = np.mean([run.scores.spelling for run in runs], axis=0)
    facts: dict[str, Any] = dict(first.facts)
    for key in MEASURED:
        told = [run.facts[key] for run in runs if run.facts.get(key) is not None]
        if told:
            facts[key] = float(np.mean(told))
    if facts.get("parts"):
        parts = [run.facts["parts"] for run in runs]
        facts["parts"] = {label: float(np.mean([part[label] for part in parts])) for label in parts[0]}
    return replace(first, scores=replace(first.scores, log_probs=log_probs, spelling=spelling), facts=facts)


def spread(runs: Sequence[Run]) -> dict[str, Any]:
    """The seeds, bits per character of each, and their standard deviation with n - 1 in its denominator."""
    bits = [run.scores.bits_per_char for run in runs]
    finite = bool(np.isfinite(bits).all())
    return {
        "seeds": [run.seed for run in runs],
        "bits_per_char_of_seeds": bits,
        "bits_per_char_sd": float(np.std(bits, ddof=1)) if len(bits) > 1 and finite else None,
    }
