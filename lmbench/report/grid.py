"""Models by corpora: one table for a page, a paper and the terminal; numbers as text, the best of each column marked."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from lmbench.comparing.ranks import Standing
from lmbench.report.columns import MARK
from lmbench.report.formats import MISSING, bits_text, finite_interval, interval_text, perplexity_text
from lmbench.report.ranking import Row, ranked, rows
from lmbench.results.schema import Result, Results

Errors = Literal["none", "seeds", "interval"]
# What a cell may show: its name in words, the field, and the field of its 95% interval.
METRICS = {
    "bits": ("bits per character", "bits_per_char", "ci95"),
    "byte": ("bits per byte", "bits_per_byte", "ci95_bits_per_byte"),
    "word": ("bits per word", "bits_per_word", "ci95_bits_per_word"),
    "perplexity": ("perplexity", "perplexity", "ci95_perplexity"),
}


@dataclass(frozen=True)
class GridCell:
    """A model on a corpus. text: the number, '-' where there is none. error: what stands behind it in small, or ''. best: whether it is
    the best of the column in its part of the table. level: whether the paired tests do not tell it from a first place. places: the
    places that they leave it. title: all of that in words.
    """

    text: str = MISSING
    error: str = ""
    best: bool = False
    level: bool = False
    places: str = ""
    title: str = ""


@dataclass(frozen=True)
class GridLine:
    """A model's line. gap: its mean distance from the best, in percent; gap_range: the least and the largest. rank: its average rank;
    rank_range: the places over corpora that the test leaves it.
    """

    label: str
    adaptive: bool
    cells: Sequence[GridCell]
    gap: str = ""
    gap_range: str = ""
    rank: str = ""
    rank_range: str = ""

    @property
    def name(self) -> str:
        return f"{self.label} {MARK}" if self.adaptive else self.label


@dataclass(frozen=True)
class Grid:
    """Models by corpora, those that stand still first. metric: what the cells show, in words."""

    corpora: Sequence[str]
    lines: Sequence[GridLine]
    metric: str

    @property
    def gaps(self) -> bool:
        return any(line.gap for line in self.lines)

    @property
    def ranks(self) -> bool:
        return any(line.rank for line in self.lines)

    @property
    def adaptive(self) -> bool:
        return any(line.adaptive for line in self.lines)


def grid(
    results: Results, chosen: Sequence[str] | None = None, metric: str = "bits", errors: Errors = "none"
) -> Grid:
    """The models that have a rank on some corpus, by corpora. chosen: corpora, default all.

    metric: of ``METRICS``. errors: ``interval`` (95%), ``seeds`` (± the standard deviation over seeds of training, of bits per character)
    or none. Distances from the best and ranks are of all corpora, and stand where all are shown.
    """
    names = [c.name for c in results.corpora if chosen is None or c.name in chosen]
    placed = {name: {row.label: row for row in reversed(ranked(rows(results, name)))} for name in names}
    across = results.across
    known = {row.label: row for row in across.rows} if across is not None else {}
    labels = [*known, *(label for of in placed.values() for label in reversed(of) if label not in known)]
    labels = [label for label in dict.fromkeys(labels) if any(label in of for of in placed.values())]
    adaptive = {label for of in placed.values() for label, row in of.items() if row.adaptive}
    labels.sort(key=lambda label: label in adaptive)
    whole = len(names) == len(results.corpora) > 1
    lines = []
    for label in labels:
        standing = known.get(label)
        cells = []
        for name in names:
            row = placed[name].get(label)
            at = across.corpora.index(name) if across is not None and name in across.corpora else None
            part = [r for r in placed[name].values() if (r.label in adaptive) == (label in adaptive)]
            cells.append(_cell(row, standing, at, part, metric, errors))
        lines.append(_line(label, label in adaptive, cells, standing if whole else None))
    return Grid(names, lines, METRICS[metric][0])


def _cell(
    row: Row | None,
    standing: Standing | None,
    at: int | None,
    part: Sequence[Row],
    metric: str,
    errors: Errors,
) -> GridCell:
    """part: the rows that the best is looked for among."""
    if row is None:
        return GridCell()
    words, field, interval = METRICS[metric]
    text = _text(row.result, metric)
    least = min((value for r in part if (value := r.result.value(field)) is not None), default=math.inf)
    best = text == _text(next(r.result for r in part if r.result.value(field) == least), metric)
    ends = finite_interval(getattr(row.result, interval))
    error = ""
    if errors == "interval" and ends is not None:
        error = interval_text(ends)
    if errors == "seeds" and metric == "bits" and row.result.bits_per_char_sd is not None:
        error = f"± {bits_text(row.result.bits_per_char_sd)}"
    title = f"{text} {words}" + ("" if ends is None else f", 95% interval {interval_text(ends)}")
    left = None if standing is None or at is None else standing.places95[at]
    if left is None:
        return GridCell(text, error, best, title=title)
    places = _range(*left)
    title += f"; place {row.rank}, the paired tests leave it {places}"
    return GridCell(text, error, best, left[0] == 1, places, title)


def _text(result: Result, metric: str) -> str:
    value = result.value(METRICS[metric][1])
    return perplexity_text(value) if metric == "perplexity" else bits_text(value)


def _range(first: int, last: int) -> str:
    """Places in words.

    >>> _range(1, 1), _range(2, 4)
    ('1', '2–4')
    """
    return str(first) if first == last else f"{first}–{last}"


def _line(label: str, adaptive: bool, cells: Sequence[GridCell], standing: Standing | None) -> GridLine:
    if standing is None or standing.gap is None:
        return GridLine(label, adaptive, cells)
    low, high = standing.gap_low or 0.0, standing.gap_high or 0.0
    rank, left = standing.average_rank, standing.rank95
    return GridLine(
        label,
        adaptive,
        cells,
        gap_text(standing.gap),
        f"{gap_text(low)} to {gap_text(high)}",
        "" if rank is None else f"{rank:.2f}".rstrip("0").rstrip("."),
        "" if left is None else _range(*left),
    )


def gap_text(percent: float) -> str:
    """A distance from the best.

    >>> gap_text(2.345), gap_text(0.0), gap_text(-1.0)
    ('2.3%', '0.0%', '−1.0%')
    """
    text = f"{percent:.1f}%" if percent < 999.5 else f"{percent:,.0f}%"
    return "0.0%" if text == "-0.0%" else text.replace("-", "−")
