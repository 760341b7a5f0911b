"""Scores -> numbers, each with its error bar."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from lmbench.comparing.bootstrap import Resampling, half_width, merge_atoms, standard_error
from lmbench.scoring.scores import LN2, Scores

REPLICATES = 1999
MIN_DOCUMENTS = 50  # from so many documents on, they are the units of resampling
RESOLVABLE = 2.8  # standard errors: 1.96 + 0.84, a difference found at the 5% level four times in five


def summary(
    scores: Scores, *, replicates: int = REPLICATES, rng: np.random.Generator | None = None
) -> dict[str, Any]:
    """The numbers of one model on one text, ready for JSON.

    JSON knows neither infinity nor nan: a number that is infinite (the model gave ``infinite_tokens`` > 0 tokens
    probability 0, or exp overflows) or not defined (no tokens, no error bar to be had) is None. An interval
    of an infinite loss is [low, None]; both ends are None where nothing can be said.

    Beside the totals: ``ci95``, the interval of bits_per_char (and ``ci95_bits_per_byte``, ``ci95_bits_per_word``,
    ``ci95_perplexity``), by the circular block bootstrap over documents where there are 50 or more, else over
    tokens (``resampled``), ``block_length`` of them at a time; ``standard_error`` of bits_per_char; ``n_eff``, how
    many independent tokens would give the same error; ``resolvable_difference``, 2.8 standard errors: the smallest
    difference in bits per character that a text of this size can show four times in five when nothing is
    paired (pairs of models on the same text resolve finer: see ``compare``).

    rng: default seed 0. The same scores give the same numbers.
    """
    finite = np.isfinite(scores.log_probs)
    result: dict[str, Any] = {
        "vocab_size": scores.vocab_size,
        "tokens": len(scores),
        "oov": int(scores.oov.sum()),
        "chars": scores.chars,
        "bytes": scores.bytes,
        "words": scores.words,
        "log_prob": _json(scores.log_prob),
        "perplexity": _json(scores.perplexity),
        "perplexity_excluding_oov": _json(scores.perplexity_excluding_oov),
        "spelling_log_prob": _json(scores.spelling_log_prob),
        "bits_per_char": _json(scores.bits_per_char),
        "bits_per_byte": _json(scores.bits_per_byte),
        "bits_per_word": _json(scores.bits_per_word),
        "infinite_tokens": int((~finite).sum()),
    }
    return result | _errors(scores, replicates, np.random.default_rng(0) if rng is None else rng)


def _json(x: float) -> float | None:
    return float(x) if math.isfinite(x) else None


def token_chars(ends: np.ndarray) -> np.ndarray:
    """(T,) int64: how many characters each token spans."""
    return np.diff(ends, prepend=0)


def _errors(scores: Scores, replicates: int, rng: np.random.Generator) -> dict[str, Any]:
    infinite = ~np.isfinite(scores.nats)
    bits = np.where(infinite, 0, -scores.nats) / LN2
    nats = np.where(infinite, 0, -scores.log_probs)
    chars = token_chars(scores.ends)
    values = np.stack([bits, chars, nats, np.ones(len(scores)), infinite], axis=1)
    by_document = len(scores.starts) >= MIN_DOCUMENTS
    atoms = np.add.reduceat(values, scores.starts, axis=0) if by_document else merge_atoms(values)
    result: dict[str, Any] = {
        "ci95": [None, None],
        "ci95_bits_per_byte": [None, None],
        "ci95_bits_per_word": [None, None],
        "ci95_perplexity": [None, None],
        "standard_error": None,
        "resolvable_difference": None,
        "n_eff": None,
        "resampled": "documents" if by_document else "tokens",
        "block_length": None,
    }
    if len(atoms) < 2 or not chars.any():
        return result
    per_char = float(bits.sum() / chars.sum())
    resampling = Resampling.of(atoms[:, 0] - per_char * atoms[:, 1], replicates)
    draws = resampling.sums(atoms, rng)
    bits_drawn = draws[:, 0] / np.maximum(draws[:, 1], 1)
    nats_drawn = draws[:, 2] / np.maximum(draws[:, 3], 1)
    result["block_length"] = resampling.length * (1 if by_document else -(-len(values) // len(atoms)))
    if infinite.any():
        lost = draws[:, 4] > 0
        low = [_low(np.where(lost, np.inf, drawn)) for drawn in (bits_drawn, nats_drawn)]
        interval, nats_interval = (low[0], math.inf), (low[1], math.inf)
    else:
        deviations = (bits_drawn - per_char) * resampling.factor
        interval = _around(per_char, half_width(deviations))
        per_token = float(nats.mean())
        nats_interval = _around(per_token, half_width((nats_drawn - per_token) * resampling.factor))
        error = standard_error(deviations)
        independent = float(np.sqrt(np.sum((bits - per_char * chars) ** 2)) / chars.sum())
        result["standard_error"] = error
        result["resolvable_difference"] = RESOLVABLE * error
        if error > 1e-9 * per_char:  # else every token costs the same but for rounding
            result["n_eff"] = len(scores) * (independent / error) ** 2
    for key, size in (("", scores.chars), ("_bits_per_byte", scores.bytes), ("_bits_per_word", scores.words)):
        result[f"ci95{key}"] = [_json(x * scores.chars / size) if size else None for x in interval]
    result["ci95_perplexity"] = [_json(math.exp(x)) if x < 700 else None for x in nats_interval]
    return result


def _around(estimate: float, half: float) -> tuple[float, float]:
    return estimate - half, estimate + half


def _low(drawn: np.ndarray) -> float:
    return float(np.quantile(drawn, 0.025, method="lower"))
