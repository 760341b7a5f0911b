"""A corpus's tables for the page: leaderboard, costs, and the matrix of paired differences, ready to print."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

from markupsafe import Markup

from lmbench.charts import style
from lmbench.comparing.pairs import Comparison, Verdict
from lmbench.report.axis import Axis
from lmbench.report.columns import BEST_FOR, BOARD, COLUMNS, COST, Column
from lmbench.report.formats import (
    MISSING,
    interval_text,
    number_text,
    signed_bits,
    signed_interval,
    signed_percent,
)
from lmbench.report.headline import worthwhile
from lmbench.report.ranking import Row, ranked, rows
from lmbench.report.tables import tables_of
from lmbench.results.schema import CorpusResult, Results

ALIKE = 1.005  # bytes a character up to which bits a byte say nothing beside bits a character


@dataclass(frozen=True)
class Cell:
    """A cell of a table. key: what a column is sorted by; '' stays last. kind: its style. title: shown on hovering. below: in small."""

    text: str
    key: str = ""
    kind: str = ""
    title: str = ""
    below: str = ""


@dataclass(frozen=True)
class Line:
    """A model's line in a table. above: bits a character above the board's ``truth``. drawn: its interval as SVG. hover,
    above_hover: what stands beside its bits, and beside those above the truth.
    """

    row: Row
    cells: Sequence[Cell]
    above: float | None = None
    drawn: str = ""
    key: str = ""
    hover: str = ""
    above_hover: str = ""


@dataclass(frozen=True)
class Part:
    """Lines of a leaderboard that are ranked among themselves. head: what stands above them, or ''."""

    head: str
    lines: Sequence[Line]


@dataclass(frozen=True)
class MatrixLine:
    """A model against each of the others. apart: it is the first of those that learn from the test text, after others."""

    label: str
    cells: Sequence[Cell]
    apart: bool = False


@dataclass(frozen=True)
class Program:
    """A compressor beside the models. drawn: its bits on the board's scale, as SVG."""

    name: str
    bits: float
    drawn: Markup


@dataclass(frozen=True)
class Board:
    """A corpus's leaderboard, costs and matrix of paired differences.

    programs: compressors. truth: what the source spends on this very text, where that is known, else its entropy rate, where that is.
    """

    name: str
    columns: Sequence[Column]
    parts: Sequence[Part]
    axis: Markup
    programs: Sequence[Program]
    truth: float | None
    grouped: bool
    matrix: Sequence[MatrixLine]
    cost_columns: Sequence[Column]
    costs: Sequence[Line]

    @property
    def adaptive(self) -> bool:
        """Whether some model learns from the test text."""
        return any(line.row.adaptive for part in self.parts for line in part.lines)


def colour(label: str, order: Sequence[str]) -> str:
    return f"var(--c{order.index(label) % len(style.PALETTE)})" if label in order else "var(--muted)"


def swatch(label: str, order: Sequence[str]) -> Markup:
    """A model's colour and shape, as figures draw it."""
    from lmbench.charts.shapes import shape

    drawn = Markup(
        '<svg class="swatch" viewBox="-1.1 -1.1 2.2 2.2" aria-hidden="true" style="color:{}"><path d="{}"/></svg>'
    )
    return drawn.format(colour(label, order), shape(style.style_of(label, order).marker))


def board(results: Results, corpus: CorpusResult, order: Sequence[str]) -> Board:
    """A corpus's tables, ready to print. order: the labels, whose places give their colours."""
    places = rows(results, corpus.name)
    truth = corpus.truth if corpus.source_bits_per_char is None else corpus.source_bits_per_char
    programs = sorted(corpus.baselines, key=lambda p: p.bits_per_char)
    axis = Axis(places, truth)
    costs = [COLUMNS[name] for name in COST[1:]]
    left_out = {"unseen"} if not any(o.share for o in corpus.contamination) else set()
    left_out |= {"byte"} if (corpus.bytes or 0) <= ALIKE * (corpus.chars or 0) else set()
    columns = [COLUMNS[name] for name in BOARD if name not in left_out]
    line_of = {}
    for row in places:
        above = None if truth is None or row.bits is None else row.bits - truth
        drawn = axis.draw(row, colour(row.label, order)) if row.bits is not None else ""
        line_of[row.name] = Line(
            row, cells(row, columns), above, drawn, sort_key(row.bits), _of_bits(row), _of_regret(row)
        )
    return Board(
        corpus.name,
        columns,
        [Part(head, [line_of[row.name] for row in part]) for head, part in tables_of(places)],
        axis.head(),
        [Program(p.name, p.bits_per_char, axis.mark(p.bits_per_char)) for p in programs],
        truth,
        any(row.groups for row in places),
        matrix(results, corpus.name, places),
        costs,
        [Line(row, cells(row, costs)) for row in places if costs_known(row)],
    )


def _of_bits(row: Row) -> str:
    """The intervals of a row's bits, in words."""
    ends, other = (interval_text(e) for e in (row.result.ci95, row.result.prediction95))
    said = "" if ends == MISSING else f"95% interval {ends}"
    return said if other == MISSING else f"{said}; another text of this length: {other}"


def _of_regret(row: Row) -> str:
    """The interval of what a row spends above the source, in words."""
    text = interval_text(row.result.ci95_regret)
    return "" if text == MISSING else f"95% interval {text}"


def cells(row: Row, columns: Sequence[Column]) -> list[Cell]:
    return [Cell(c.text(row), sort_key(c.key(row)), "n" if c.numeric else "", c.hover(row)) for c in columns]


def costs_known(row: Row) -> int:
    """How many of the costs a row tells; rows that have failed, and scores from elsewhere, tell none."""
    return sum(getattr(row.result, cost) is not None for cost in BEST_FOR)


def sort_key(value: float | str | None) -> str:
    return "" if value is None else value if isinstance(value, str) else repr(float(value))


def matrix(results: Results, corpus: str, places: Sequence[Row]) -> list[MatrixLine]:
    """A line a model, a cell an opponent: the difference in bits per character, line minus column, and its verdict."""
    pairs: dict[tuple[str, str], Cell] = {}
    for c in results.comparisons:
        if c.corpus == corpus and c.difference_bits_per_char is not None:
            pairs[c.a, c.b] = _difference(c, results.worthwhile)
            pairs[c.b, c.a] = _difference(turned(c), results.worthwhile)
    adaptive = {row.label: row.adaptive for row in ranked(places)}
    names = [a for a in adaptive if any(a in pair for pair in pairs)]
    apart = next((a for before, a in itertools.pairwise(names) if adaptive[a] > adaptive[before]), None)
    return [
        MatrixLine(
            a, [pairs.get((a, b), Cell("", kind="self" if a == b else "none")) for b in names], a == apart
        )
        for a in names
    ]


def turned(c: Comparison) -> Comparison:
    """The same comparison, b against a."""
    difference = c.difference_bits_per_char
    ends = None if c.ci95 is None else (-c.ci95[1], -c.ci95[0])
    percent = None if c.percent is None else 100 * (1 / (1 + c.percent / 100) - 1)
    return replace(
        c,
        a=c.b,
        b=c.a,
        difference_bits_per_char=None if difference is None else -difference,
        ci95=ends,
        percent=percent,
        bytes=None if c.bytes is None else -c.bytes,
        verdict=TURNED[c.verdict],
    )


def verdict_text(c: Comparison, least: float) -> str:
    """What the test says of a pair, in words. least: bits per character that matter."""
    if c.verdict in ("a", "b"):
        said = f"{c.a if c.verdict == 'a' else c.b} is better"
        return said if worthwhile(c, least) else f"{said}, by hardly anything"
    return "the same" if c.verdict == "same" else "too short to tell"


TURNED: dict[Verdict, Verdict] = {"a": "b", "b": "a", "same": "same", "open": "open"}
KINDS = {"a": "fewer", "b": "more", "same": "same", "open": "tie"}  # verdict -> style of the cell


def _difference(c: Comparison, least: float) -> Cell:
    interval = signed_interval(c.ci95) or "not known"
    size = "" if c.bytes is None else f", {c.bytes:+,.0f} bytes over the text".replace("-", "−")
    difference = signed_bits(c.difference_bits_per_char)
    title = f"{c.a} minus {c.b}: {difference} bits per character, 95% interval {interval}{size}"
    title += f"; {verdict_text(c, least)} (corrected p = {number_text(c.p_holm, 2)})"
    below = "" if c.percent is None else signed_percent(c.percent)
    return Cell(difference, kind=KINDS[c.verdict], title=title, below=below)
