"""Several seeds of one model on one text: their mean, and how far training spreads them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from lmbench.errors import InputError
from lmbench.scoring.run import Run, measured_each_seed


def mean_run(runs: Sequence[Run]) -> Run:
    """The run whose loss on every token is the mean over the seeds' runs, as are the facts that each seed measures anew.

    So its bits per character are the mean of theirs, its perplexity their geometric mean, and an interval of it speaks
    of the text alone. Raises InputError where the runs do not cut the text into the same tokens.
    """
    first = runs[0]
    if len(runs) == 1:
        return first
    if any(not np.array_equal(run.scores.ends, first.scores.ends) for run in runs):
        raise InputError(f"the seeds of {first.label} do not have the same tokens; they have no mean")
    log_probs = np.mean([run.scores.log_probs for run in runs], axis=0)
    spelling = np.mean([run.scores.spelling for run in runs], axis=0)
    scores = replace(first.scores, log_probs=log_probs, spelling=spelling)
    parts = {label: float(np.mean([run.facts.parts[label] for run in runs])) for label in first.facts.parts}
    means = {}
    for name in measured_each_seed():
        values = [x for run in runs if (x := getattr(run.facts, name)) is not None]
        means[name] = float(np.mean(values)) if values else None
    return replace(first, scores=scores).with_facts(parts=parts, **means)


def spread(runs: Sequence[Run]) -> dict[str, Any]:
    """The seeds, bits per character of each, and their standard deviation with n - 1 in its denominator."""
    bits = [run.scores.bits_per_char for run in runs]
    finite = bool(np.isfinite(bits).all())
    return {
        "seeds": [run.seed for run in runs],
        "bits_per_char_of_seeds": bits,
        "bits_per_char_sd": float(np.std(bits, ddof=1)) if len(bits) > 1 and finite else None,
    }
