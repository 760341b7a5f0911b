"""How often models are right, with error bars: shares of items alone, by group, and paired."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from statistics import NormalDist

import msgspec
import numpy as np

from lmbench.comparing.error_bars import interval, paired
from lmbench.comparing.family import holm
from lmbench.errors import InputError


class Accuracy(msgspec.Struct, frozen=True):
    """A model's share of right items. ci95: Wilson's interval of independent items (Wilson 1927); within 0 and 1."""

    label: str
    group: str
    items: int
    correct: int
    accuracy: float
    ci95: tuple[float, float]


class MeanAccuracy(msgspec.Struct, frozen=True):
    """The mean of a model's accuracies over groups (paradigms, say), each as heavy as any other.

    ci95: of the mean over all groups of which these are some: groups, not items, are what varies (Student's t with their delete-one
    jackknife). None where there are too few.
    """

    label: str
    groups: int
    accuracy: float
    ci95: tuple[float, float] | None


class AccuracyDifference(msgspec.Struct, frozen=True):
    """Two models on the same items, a less b, above 0 where a is right more often.

    ci95: of the difference, None where there are too few items or groups; where there are several groups, groups are its units. only_a,
    only_b: items that one alone gets right. p_value: two-sided, McNemar's exact test (1947) of those, items being independent; p_holm: corrected for
    all pairs that are compared together (Holm 1979).
    """

    a: str
    b: str
    difference: float
    ci95: tuple[float, float] | None
    only_a: int
    only_b: int
    p_value: float
    p_holm: float = 1.0


class Judgement(msgspec.Struct, frozen=True):
    """What models get right: all items of each model, its groups (none where all items are of one), the mean over these, and pairs of models."""

    models: list[Accuracy]
    groups: list[Accuracy]
    means: list[MeanAccuracy]
    comparisons: list[AccuracyDifference]


def judgement(correct: Mapping[str, Sequence[bool]], groups: Sequence[str]) -> Judgement:
    """By label, whether each item (N) is right; groups: (N,) what each item belongs to. Raises InputError where lengths differ or are 0.

    >>> judged = judgement({"a": [True, True, True, False], "b": [False, True, True, False]}, ["x", "x", "y", "y"])
    >>> judged.models[0].accuracy, judged.means[0].accuracy, judged.comparisons[0].only_a
    (0.75, 0.75, 1)
    """
    of_label = {label: np.asarray(items, dtype=bool) for label, items in correct.items()}
    if not groups or any(len(items) != len(groups) for items in of_label.values()):
        raise InputError("every model is to be asked of the same items, at least one")
    names = list(dict.fromkeys(groups))
    number = {name: i for i, name in enumerate(names)}
    member = np.array([number[group] for group in groups])
    several = len(names) > 1
    models = [_share(label, "", items) for label, items in of_label.items()]
    parts = [
        _share(label, name, items[member == i])
        for label, items in of_label.items()
        for i, name in enumerate(names if several else [])
    ]
    means = [_mean(label, items, member, len(names)) for label, items in of_label.items()] if several else []
    pairs = [
        _difference(a, b, of_label[a], of_label[b], list(groups) if several else None)
        for a, b in itertools.combinations(of_label, 2)
    ]
    adjusted = holm(np.array([pair.p_value for pair in pairs])) if pairs else np.zeros(0)
    pairs = [msgspec.structs.replace(pair, p_holm=float(p)) for pair, p in zip(pairs, adjusted, strict=True)]
    return Judgement(models, parts, means, pairs)


def _share(label: str, group: str, items: np.ndarray) -> Accuracy:
    right = int(items.sum())
    return Accuracy(label, group, len(items), right, right / len(items), wilson(right, len(items)))


def _mean(label: str, items: np.ndarray, member: np.ndarray, count: int) -> MeanAccuracy:
    shares = np.bincount(member, items, count) / np.bincount(member, minlength=count)
    errors = interval(shares, np.ones(count), clusters=range(count))
    mean = float(shares.mean())
    if math.isnan(errors.se):
        return MeanAccuracy(label, count, mean, None)
    return MeanAccuracy(label, count, mean, (max(errors.low, 0.0), min(errors.high, 1.0)))


def _difference(
    a: str, b: str, one: np.ndarray, other: np.ndarray, groups: list[str] | None
) -> AccuracyDifference:
    losses = one.astype(np.float64), other.astype(np.float64)
    lengths = np.ones(len(one))
    found = paired(*losses, lengths, clusters=groups if groups else range(len(one)))
    only_a, only_b = int((one & ~other).sum()), int((other & ~one).sum())
    ends = None if math.isnan(found.se) else (max(found.low, -1.0), min(found.high, 1.0))
    return AccuracyDifference(a, b, found.difference, ends, only_a, only_b, mcnemar(only_a, only_b))


def mcnemar(only_a: int, only_b: int) -> float:
    """The exact two-sided p-value of McNemar's test: a fair coin, thrown once for each item that one alone gets right.

    >>> mcnemar(10, 2), mcnemar(0, 0)
    (0.03857421875, 1.0)
    """
    from scipy.stats import binomtest

    count = only_a + only_b
    return float(binomtest(only_a, count, 0.5).pvalue) if count else 1.0


def wilson(successes: int, trials: int, level: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of a share, within 0 and 1, of one or more independent trials.

    >>> [round(x, 4) for x in wilson(81, 263)], [round(x, 4) for x in wilson(0, 10)]
    ([0.2553, 0.3662], [0.0, 0.2775])
    """
    z = NormalDist().inv_cdf((1 + level) / 2)
    share, spread = successes / trials, z * z / trials
    middle = (share + spread / 2) / (1 + spread)
    half = z / (1 + spread) * math.sqrt(share * (1 - share) / trials + spread / trials / 4)
    # Exact at the ends, where rounding would leave the share outside.
    low = max(0.0, middle - half) if successes else 0.0
    return low, min(1.0, middle + half) if successes < trials else 1.0
