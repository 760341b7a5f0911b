"""The same models on several divisions of one text: how far the numbers move, and whether the ranking stays.

One division is one draw; Gorman & Bedrick (2019) and Bouthillier et al. (2021) measured that rankings on it often do not
hold on the next. The spread over divisions holds both the choice of the test text and that of the training text.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from lmbench.scoring.run import Run


class SplitRow(msgspec.Struct, frozen=True):
    """One model over the divisions, bits per character.

    label: the model's row. of_splits: (S,), a number a division. mean, sd: of them, the latter over S - 1. ranks: (S,) in its ranking,
    1 is best, ties share the mean. first: the share of divisions in which it is the best of it. adaptive: whether its ranking is that
    of models which learn from the test text.
    """

    label: str
    of_splits: list[float]
    mean: float
    sd: float
    ranks: list[float]
    first: float
    adaptive: bool = False


class Splits(msgspec.Struct, frozen=True):
    """The models of a corpus over its divisions, the best mean first, those that learn from the test text after the others; one that is
    infinite in a division is left out.

    corpus: its name. divisions: what each of them is, in words. concordance: Kendall's W of the rankings (of the models that stand still,
    where there are any), 0 (none agree) to 1 (all agree), where there are two models. rows: a model each.
    """

    corpus: str
    divisions: list[str]
    concordance: float | None
    rows: list[SplitRow]


def over_splits(corpus: str, divisions: Sequence[str], runs: Sequence[Sequence[Run]]) -> Splits | None:
    """runs: those of each division, at least two; of the labels that every division has. None where there are none."""
    by_label = [{run.label: run.scores.bits_per_char for run in split} for split in runs]
    labels = [label for label in by_label[0] if all(label in split for split in by_label)] if by_label else []
    labels = [label for label in labels if all(np.isfinite(split[label]) for split in by_label)]
    if len(by_label) < 2 or not labels:
        return None
    from scipy.stats import rankdata

    learning = {run.label for split in runs for run in split if run.facts.adaptive}
    rows: list[SplitRow] = []
    orders: list[np.ndarray] = []
    for adaptive in (False, True):
        part = [label for label in labels if (label in learning) == adaptive]
        if not part:
            continue
        bits = np.array([[split[label] for label in part] for split in by_label])
        ranks = rankdata(bits, axis=1)
        means, spread = bits.mean(axis=0), bits.std(axis=0, ddof=1)
        first = (ranks == ranks.min(axis=1, keepdims=True)).mean(axis=0)
        orders.append(ranks)
        rows += [
            SplitRow(
                part[i],
                bits[:, i].tolist(),
                float(means[i]),
                float(spread[i]),
                ranks[:, i].tolist(),
                float(first[i]),
                adaptive,
            )
            for i in np.argsort(means, kind="stable").tolist()
        ]
    return Splits(corpus, list(divisions), concordance(orders[0]), rows)


def concordance(ranks: np.ndarray) -> float | None:
    """Kendall's W of (S, K) ranks: their sums' variance over that of S equal rankings; None for fewer than 2 models.

    >>> concordance(np.array([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]])), concordance(np.array([[1.0, 2.0], [2.0, 1.0]]))
    (1.0, 0.0)
    """
    splits, models = ranks.shape
    if models < 2:
        return None
    sums = ranks.sum(axis=0)
    return float(12 * ((sums - sums.mean()) ** 2).sum() / (splits**2 * (models**3 - models)))
