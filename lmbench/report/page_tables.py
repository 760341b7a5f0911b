"""A corpus's tables for the page: leaderboard, costs, and the matrix of paired differences, ready to print."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from lmbench.charts import style
from lmbench.comparing.pairs import Comparison
from lmbench.report.axis import Axis
from lmbench.report.columns import BEST_FOR, BOARD, COLUMNS, COST, Column
from lmbench.report.formats import number_text, signed_bits, signed_interval
from lmbench.report.ranking import Row, ranked, rows
from lmbench.results.schema import CorpusResult, Interval, Results

ALPHA = 0.05  # up to which a paired difference, corrected for all pairs, is called one


@dataclass(frozen=True)
class Cell:
    """A cell of a table. key: what a column is sorted by; '' stays last. kind: its style."""

    text: str
    key: str = ""
    kind: str = ""
    title: str = ""


@dataclass(frozen=True)
class Line:
    """A model's line in a table. above: bits a character above the source's entropy rate. drawn: its interval as SVG."""

    row: Row
    cells: Sequence[Cell]
    above: float | None = None
    drawn: str = ""
    key: str = ""


@dataclass(frozen=True)
class MatrixLine:
    """A model against each of the others."""

    label: str
    cells: Sequence[Cell]


@dataclass(frozen=True)
class Board:
    """A corpus's leaderboard, costs and matrix of paired differences."""

    name: str
    columns: Sequence[Column]
    lines: Sequence[Line]
    axis: Markup
    truth: float | None
    grouped: bool
    matrix: Sequence[MatrixLine]
    cost_columns: Sequence[Column]
    costs: Sequence[Line]

    @property
    def adaptive(self) -> bool:
        """Whether some model learns from the test text."""
        return any(line.row.adaptive for line in self.lines)


def colour(label: str, order: Sequence[str]) -> str:
    return f"var(--c{order.index(label) % len(style.PALETTE)})" if label in order else "var(--muted)"


def swatch(label: str, order: Sequence[str]) -> Markup:
    return Markup('<i class="swatch" style="background:{}"></i>').format(colour(label, order))


def board(results: Results, corpus: CorpusResult, order: Sequence[str]) -> Board:
    """A corpus's tables, ready to print. order: the labels, whose places give their colours."""
    found = rows(results, corpus.name)
    axis = Axis(found, corpus.truth)
    costs = [COLUMNS[name] for name in COST[1:]]
    columns = [
        COLUMNS[name] for name in BOARD if name != "unseen" or any(o.share for o in corpus.contamination)
    ]
    lines = []
    for row in found:
        above = None if corpus.truth is None or row.bits is None else row.bits - corpus.truth
        drawn = axis.draw(row, colour(row.label, order)) if row.bits is not None else ""
        lines.append(Line(row, cells(row, columns), above, drawn, sort_key(row.bits)))
    return Board(
        corpus.name,
        columns,
        lines,
        axis.head(),
        corpus.truth,
        any(row.groups for row in found),
        matrix(results.comparisons, corpus.name, found),
        costs,
        [Line(row, cells(row, costs)) for row in found if costs_known(row)],
    )


def cells(row: Row, columns: Sequence[Column]) -> list[Cell]:
    return [Cell(c.text(row), sort_key(c.key(row)), "n" if c.numeric else "") for c in columns]


def costs_known(row: Row) -> int:
    """How many of the costs a row tells; rows that have failed, and scores from elsewhere, tell none."""
    return sum(getattr(row.result, cost) is not None for cost in BEST_FOR)


def sort_key(value: float | str | None) -> str:
    return "" if value is None else value if isinstance(value, str) else repr(float(value))


def matrix(comparisons: Sequence[Comparison], corpus: str, found: Sequence[Row]) -> list[MatrixLine]:
    """A line a model, a cell an opponent: the difference in bits per character, line minus column."""
    pairs: dict[tuple[str, str], Cell] = {}
    for c in comparisons:
        difference = c.difference_bits_per_char
        if c.corpus == corpus and difference is not None:
            pairs[c.a, c.b] = _difference(c, c.a, c.b, difference, c.ci95)
            mirrored = None if c.ci95 is None else (_minus(c.ci95[1]), _minus(c.ci95[0]))
            pairs[c.b, c.a] = _difference(c, c.b, c.a, -difference, mirrored)
    labels = dict.fromkeys(row.label for row in ranked(found))
    names = [a for a in labels if any(a in pair for pair in pairs)]
    return [
        MatrixLine(a, [pairs.get((a, b), Cell("", kind="self" if a == b else "none")) for b in names])
        for a in names
    ]


def _minus(value: float | None) -> float | None:
    return None if value is None else -value


def _difference(c: Comparison, a: str, b: str, difference: float, ends: Interval | None) -> Cell:
    sure = c.p_holm is not None and c.p_holm <= ALPHA
    kind = ("fewer" if difference < 0 else "more") if sure else "tie"
    interval = signed_interval(ends) or "not known"
    title = f"{a} minus {b}: {signed_bits(difference)} bits per character, 95% interval {interval}"
    return Cell(
        signed_bits(difference), kind=kind, title=f"{title}, p = {number_text(c.p_holm, 2)}, corrected"
    )
