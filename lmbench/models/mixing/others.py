"""What other models say of a text, as the log-odds of the decisions that lead to its symbols."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from lmbench.models.base import LanguageModel, Stepper
from lmbench.models.compiled import compiled
from lmbench.models.mixing.decisions import Decisions
from lmbench.text.tokens import Tokens

FARTHEST = 12.0  # log-odds


def said_of(
    models: Sequence[LanguageModel], tokens: Tokens, places: np.ndarray, tree: Decisions
) -> np.ndarray:
    """(P, V - 1, E) float32: what E models say of the tokens at some places, each after what stands before it."""
    return _side_by_side(
        (model.distributions(tokens, places) for model in models), tree, len(places), len(models)
    )


def said_next(steppers: Sequence[Stepper], tree: Decisions) -> np.ndarray:
    """(1, V - 1, E) float32: what E models say of the token to come."""
    return _side_by_side((stepper.distribution()[None] for stepper in steppers), tree, 1, len(steppers))


def said_in_training(
    models: Sequence[LanguageModel], train: Tokens, size: int, tree: Decisions
) -> tuple[np.ndarray, Iterator[np.ndarray]]:
    """(E,) bool, which of the models can retrace their training text, and what they say of it, (n, V - 1, E) float32 of ``size`` tokens at a time.

    Of the others it is 0: no word.
    """
    ways = [model.retraced(train, size) for model in models]
    silent = np.array([way is None for way in ways], dtype=bool)

    def parts() -> Iterator[np.ndarray]:
        for begin in range(0, len(train), size):
            n = min(size, len(train) - begin)
            even = np.zeros((n, len(tree.length)))
            rows = (even if way is None else next(way) for way in ways)
            part = _side_by_side(rows, tree, n, len(models))
            part[:, :, silent] = 0
            yield part

    return ~silent, parts()


def _side_by_side(rows: Iterable[np.ndarray], tree: Decisions, number: int, models: int) -> np.ndarray:
    """(N, V - 1, E) float32, of (N, V) nats of each model, of which one after another is asked."""
    odds = np.empty((number, len(tree.above), models), dtype=np.float32)
    for i, log_probs in enumerate(rows):
        _odds(np.ascontiguousarray(log_probs), tree, odds[:, :, i])
    return odds


@compiled()
def _odds(log_probs: np.ndarray, tree: Decisions, odds: np.ndarray) -> None:
    """Writes ln p(1) / p(0) of each decision, (N, V - 1), cut at ``FARTHEST``, of (N, V) log-probabilities of the symbols."""
    size = len(tree.length)
    zeros, ones = np.empty(size), np.empty(size)
    for t in range(len(log_probs)):
        zeros[:] = 1e-30  # where none of the symbols is possible, nothing is said
        ones[:] = 1e-30
        for symbol in range(size):
            last = tree.length[symbol] - 1
            if last >= 0:
                p = np.exp(log_probs[t, symbol])
                decision = tree.path[symbol, last]
                if tree.bit[symbol, last]:
                    ones[decision] += p
                else:
                    zeros[decision] += p
        for decision in range(len(tree.above) - 1, -1, -1):
            above, both = tree.above[decision], zeros[decision] + ones[decision]
            if above >= 0:
                if tree.turn[decision]:
                    ones[above] += both
                else:
                    zeros[above] += both
            x = np.log(ones[decision]) - np.log(zeros[decision])
            odds[t, decision] = min(max(x, -FARTHEST), FARTHEST)
