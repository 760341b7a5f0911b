"""Text from a model: one token drawn after another from its next-token distributions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lmbench.errors import InputError
from lmbench.models.base import LanguageModel
from lmbench.text.vocab import NOTHING

MOST = (1 << 31) - 1  # tokens of a text that is written


def shape_distribution(
    log_probs: np.ndarray, temperature: float = 1.0, top_k: int = 0, top_p: float = 1.0
) -> np.ndarray:
    """(V,) float64, probabilities that sum to 1: what is drawn from, given (V,) log-probabilities in nats.

    temperature: p^(1/temperature), renormalised; 0 puts everything on the likeliest token (the first of
    equals). top_k: only the k likeliest tokens stay (0: all). top_p: only the fewest likeliest tokens whose
    probabilities, after the temperature, reach top_p (nucleus sampling, Holtzman et al. 2020).
    Raises InputError for settings out of range, or where no token has p > 0.

    >>> log_probs = np.log([0.5, 0.3, 0.2])
    >>> shape_distribution(log_probs, temperature=0).tolist(), shape_distribution(log_probs, top_k=2).round(3).tolist()
    ([1.0, 0.0, 0.0], [0.625, 0.375, 0.0])
    """
    if not 0 <= temperature < np.inf:
        raise InputError(
            f"temperature {temperature} is not a number of 0 or more; 0 is greedy, 1 leaves the model as it is"
        )
    if top_k < 0:
        raise InputError(f"top_k {top_k} is below 0; 0 keeps every token")
    if not 0 < top_p <= 1:
        raise InputError(f"top_p {top_p} is outside (0, 1]; 1 keeps every token")
    best = int(np.argmax(log_probs))
    if log_probs[best] == -np.inf:
        raise InputError("the model gives no token a probability above 0; nothing can be drawn")
    if temperature == 0:
        greedy = np.zeros(len(log_probs))
        greedy[best] = 1.0
        return greedy
    # Of differences, so that what is likeliest stays 1 however little is divided by.
    with np.errstate(over="ignore"):
        probs: np.ndarray = np.exp((log_probs - log_probs[best]) / temperature)
    probs /= probs.sum()
    if top_k or top_p < 1:
        order = np.argsort(-probs, kind="stable")
        before = np.cumsum(probs[order]) - probs[order]  # the mass of all likelier tokens
        kept = int(np.searchsorted(before, top_p))
        probs[order[min(kept, top_k or kept) :]] = 0.0
        probs /= probs.sum()
    return probs


def draw_index(probs: np.ndarray, rng: np.random.Generator) -> int:
    """An index drawn from (V,) probabilities by one uniform number; never one with p = 0."""
    cumulative = np.cumsum(probs)
    return int(np.searchsorted(cumulative, rng.random() * cumulative[-1], side="right"))


def generate(
    model: LanguageModel,
    rng: np.random.Generator,
    length: int,
    prompt_ids: Sequence[int] | np.ndarray = (),
    temperature: float = 1.0,
    top_k: int = 0,
    top_p: float = 1.0,
    bos: int = NOTHING,
    end: int | None = None,
    exclude: Sequence[int] = (),
) -> np.ndarray:
    """(length,) int32: the ids that continue ``prompt_ids``, each drawn given all of its document so far; an adaptive model
    goes on learning from what it draws.

    bos: the id as if which a document begins, or ``NOTHING``. end: the id that ends a document, so that the next token
    opens a new one (None: one document runs on). exclude: ids never drawn, ``<unk>`` for instance. Raises InputError for a
    length that no array holds.
    """
    if not 0 <= length <= MOST:
        raise InputError(f"length {length} is outside 0 to {MOST:,}; it is the number of tokens to write")
    ids = np.empty(len(prompt_ids) + length, dtype=np.int32)
    ids[: len(prompt_ids)] = prompt_ids
    ends = [t for t in range(len(prompt_ids)) if ids[t] == end]
    start = ends[-1] + 1 if ends else 0
    stepper = model.stepper(bos)
    stepper.begin()
    if start < len(prompt_ids):
        stepper.read(ids[start : len(prompt_ids)])
    for t in range(len(prompt_ids), len(ids)):
        row = np.array(stepper.distribution())
        row[list(exclude)] = -np.inf
        ids[t] = draw_index(shape_distribution(row, temperature, top_k, top_p), rng)
        stepper.read(ids[t : t + 1])
        if ids[t] == end:
            stepper.begin()
    return ids[len(prompt_ids) :]
