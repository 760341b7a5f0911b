"""Which of these is more probable: n-best lists and minimal pairs, each alternative a line and a document of its own."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from statistics import NormalDist

from lmbench.errors import InputError, shown
from lmbench.scoring.lines import Row, score_each_line
from lmbench.scoring.scorer import Scorer
from lmbench.text.canonical import NORMALISERS

_BATCH = 1 << 14  # alternatives that are scored together


@dataclass(frozen=True)
class Alternative:
    """One of several texts: its place in the list as given (from 0), and what it costs."""

    place: int
    text: str
    row: Row

    @property
    def log_prob(self) -> float:
        """Nats ≤ 0 for all of it, spelling included."""
        return self.row.log_prob + self.row.spelling_log_prob


def ranked(scorer: Scorer, lists: Sequence[Sequence[str]]) -> list[list[Alternative]]:
    """The alternatives of each list, the likeliest first; equals stay as they stood.

    By ln p of the whole line and its end, nothing divided by a length. Raises InputError for an alternative that is empty once
    normalised, or more than one line.
    """
    rows = iter(_scored(scorer, (text for texts in lists for text in texts)))
    listed = [[Alternative(i, text, next(rows)) for i, text in enumerate(texts)] for texts in lists]
    return [sorted(alternatives, key=lambda one: -one.log_prob) for alternatives in listed]


@dataclass(frozen=True)
class Accuracy:
    """How often the better text of a minimal pair is the likelier one.

    differences: (N,) nats, ln p(good) - ln p(bad). correct: pairs whose difference is above 0. ties: pairs whose difference is 0;
    they are not correct. accuracy: correct / N. low, high: its 95% interval (Wilson 1927, "Probable inference", JASA 22),
    within 0 and 1; pairs count as independent.
    """

    differences: list[float]
    correct: int
    ties: int
    accuracy: float
    low: float
    high: float


def minimal_pairs(scorer: Scorer, pairs: Sequence[tuple[str, str]]) -> Accuracy:
    """Of pairs (good, bad) how many the model gets right. Raises InputError as ``ranked`` does, and where there are none."""
    if not pairs:
        raise InputError("there are no pairs; give lines good<TAB>bad")
    rows = list(_scored(scorer, (text for pair in pairs for text in pair)))
    nats = [row.log_prob + row.spelling_log_prob for row in rows]
    differences = [_difference(a, b) for a, b in zip(nats[::2], nats[1::2], strict=True)]
    correct = sum(difference > 0 for difference in differences)
    low, high = wilson(correct, len(pairs))
    ties = sum(difference == 0 for difference in differences)
    return Accuracy(differences, correct, ties, correct / len(pairs), low, high)


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


def _difference(a: float, b: float) -> float:
    return 0.0 if a == b else a - b  # -inf of both is a tie


def _scored(scorer: Scorer, texts: Iterable[str]) -> Iterable[Row]:
    lines = iter(_single_lines(scorer, texts))
    for rows in score_each_line(scorer, iter(lambda: list(islice(lines, _BATCH)), [])):
        yield from rows


def _single_lines(scorer: Scorer, texts: Iterable[str]) -> Iterable[str]:
    normalise = NORMALISERS[scorer.normalise]
    for text in texts:
        line = normalise(text)
        if not line or "\n" in line:
            what = "more than one line" if line else f"empty once normalised ({scorer.normalise})"
            raise InputError(f"the alternative {shown(text)} is {what}; each is to be one line of text")
        yield text
