"""Scores to numbers with error bars: metrics, pairs, groups, ranks, and where two models differ.

In: ``Runs`` on the same text, or any program's losses. Out: bits with intervals, paired differences with p-values, groups
of models that cannot be told apart.
"""

from lmbench.comparing.differences import difference
from lmbench.comparing.error_bars import Interval, Paired, interval, paired
from lmbench.comparing.grouping import groups
from lmbench.comparing.metrics import summary
from lmbench.comparing.overlap import contamination
from lmbench.comparing.pairs import Comparison, compare, comparisons
from lmbench.comparing.ranks import across
from lmbench.comparing.regret import regret, source_run

__all__ = [
    "Comparison",
    "Interval",
    "Paired",
    "across",
    "compare",
    "comparisons",
    "contamination",
    "difference",
    "groups",
    "interval",
    "paired",
    "regret",
    "source_run",
    "summary",
]
