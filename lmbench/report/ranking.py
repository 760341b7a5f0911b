"""The lines of a leaderboard in their order: models that stand still, then those that learn from the test text, each with places of their own.

Nothing is computed but the order.
"""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from lmbench.results.schema import Result, Results

STATIC, ADAPTING, UNRANKED, FAILED = range(4)  # kinds of lines, in their order


@dataclass(frozen=True)
class Row:
    """A line of a corpus's leaderboard. rank: 1 for the fewest bits of its ranking; None where the model is not ranked.

    name: what the line is called: the model's label, with its seed where a label has several lines.
    """

    result: Result
    rank: int | None
    name: str

    @property
    def label(self) -> str:
        return self.result.label

    @property
    def groups(self) -> list[str]:
        """The letters that the model shares with those that cannot be told from it."""
        return re.findall(r"\w'*", self.result.groups)

    @property
    def bits(self) -> float | None:
        """Bits per character; inf where the model gave some token probability 0."""
        return self.result.value("bits_per_char")

    @property
    def adaptive(self) -> bool:
        """Whether the model goes on learning from the text that it scores, which is an easier task."""
        return self.result.adaptive

    @property
    def ranking(self) -> str:
        """Which of the two rankings the line stands in: ``static`` or ``adaptive``; '' where it has no rank."""
        return "" if self.rank is None else "adaptive" if self.adaptive else "static"

    @property
    def reason(self) -> str | None:
        """Why the row has no rank."""
        return self.result.reason


def labels(results: Results) -> list[str]:
    """All models' labels, in the order of the suite: their places give their colours."""
    return list(dict.fromkeys(result.label for result in results.results))


def rows(results: Results, corpus: str) -> list[Row]:
    """A corpus's results: ranked ones by bits per character, apart from them those that learn from the test text, then those without a
    rank, then failures.

    A label of several seeds is one row, of their means.
    """
    means = [result for result in results.over_seeds if result.corpus == corpus]
    over = {result.label for result in means}
    here = [r for r in results.results if r.corpus == corpus and (r.label not in over or not r.scored)]
    ordered = sorted([*here, *means], key=_place)
    times = Counter(result.label for result in ordered)
    lines = []
    ranks = {kind: itertools.count(1) for kind in (STATIC, ADAPTING)}
    for result in ordered:
        kind = _place(result)[0]
        alone = times[result.label] == 1 or result.seeds
        name = result.label if alone else f"{result.label} (seed {result.seed})"
        lines.append(Row(result, next(ranks[kind]) if kind in ranks else None, name))
    return lines


def _place(result: Result) -> tuple[int, float]:
    bits = result.value("bits_per_char")
    if not result.scored:
        kind = FAILED
    elif result.reason is not None or bits is None:
        kind = UNRANKED
    else:
        kind = ADAPTING if result.adaptive else STATIC
    return kind, math.inf if bits is None else bits


def ranked(lines: Sequence[Row]) -> list[Row]:
    """The lines that have a rank."""
    return [row for row in lines if row.rank is not None]


def rankings(lines: Sequence[Row]) -> list[list[Row]]:
    """The lines that have a rank, of models that stand still and apart from them of those that do not; an empty ranking is left out."""
    placed = ranked(lines)
    parts = ([row for row in placed if not row.adaptive], [row for row in placed if row.adaptive])
    return [part for part in parts if part]


def first_ranking(lines: Sequence[Row]) -> list[Row]:
    """The ranking that is spoken of first: of models that stand still, where there are any."""
    return next(iter(rankings(lines)), [])
