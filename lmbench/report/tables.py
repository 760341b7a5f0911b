"""The leaderboard as CSV, Markdown, LaTeX and in the terminal."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, get_args, get_origin, get_type_hints

from lmbench.errors import printable
from lmbench.report.columns import ADAPTIVE, APART, COLUMNS, LEAST, MARK, PLAIN
from lmbench.report.formats import finite_interval
from lmbench.report.headline import overall
from lmbench.report.ranking import Row, rankings, rows
from lmbench.results.schema import Result, Results

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions
    from rich.table import Table


# Beside a result's fields that are one number or word; the others need a file with room for lists.
BEFORE = (
    *("corpus", "label", "model", "unit", "seed", "status", "ranking", "rank", "groups"),
    *("bits_per_char", "ci95_low", "ci95_high"),
)


def csv_fields() -> list[str]:
    """The columns of results.csv: every field of ``Result`` that is one number or word, and the seeds."""
    scalar = {str, int, float, bool}
    hints = get_type_hints(Result)
    single = [name for name, hint in hints.items() if {hint, *get_args(hint)} & scalar and not _holds(hint)]
    return [*BEFORE, *(name for name in single if name not in BEFORE), "seeds"]


def _holds(hint: Any) -> bool:
    """Whether a type is a list, tuple or dictionary."""
    return any(get_origin(kind) in (list, tuple, dict) for kind in (hint, *get_args(hint)))


def leaderboard_csv(results: Results, chosen: Sequence[str] | None = None) -> str:
    """Leaderboards as CSV: a header, a row a result, full precision, ``inf`` for infinity. chosen: corpora, default all."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    fields = csv_fields()
    writer.writerow(fields)
    for corpus in results.corpora:
        for row in rows(results, corpus.name) if chosen is None or corpus.name in chosen else ():
            low, high = finite_interval(row.result.ci95) or (None, None)
            beside: dict[str, Any] = {"rank": row.rank, "ranking": row.ranking}
            beside |= {"ci95_low": low, "ci95_high": high}
            beside["seeds"] = " ".join(map(str, row.result.seeds))
            cells = (beside[name] if name in beside else row.result.value(name) for name in fields)
            writer.writerow([csv_cell(cell) for cell in cells])
    return stream.getvalue()


def csv_cell(cell: Any) -> Any:
    """A cell of CSV; a text that a spreadsheet would take for a formula, or a terminal for an order, is none any more.

    >>> csv_cell("=1+1"), csv_cell("-o"), csv_cell("-1.5"), csv_cell(-1.5), csv_cell(None)
    ("'=1+1", "'-o", '-1.5', -1.5, '')
    """
    if not isinstance(cell, str):
        return "" if cell is None else cell
    shown = printable(cell)
    formula = re.match(r"\s*[=+@-].", shown) and not re.fullmatch(
        r"[+-]?[0-9.]+(e[+-]?[0-9]+)?|[+-]?inf", shown
    )
    return f"'{shown}" if formula else shown


def leaderboard_markdown(results: Results, corpus: str, names: Sequence[str] = PLAIN) -> str:
    """A corpus's leaderboard as a Markdown table; after it what the mark says, where one stands. names: of ``COLUMNS``.

    >>> from lmbench.results.schema import Result
    >>> listed = [Result(corpus="c", label=label, bits_per_char=bits) for label, bits in (("a", 2.5), ("b", 2.1))]
    >>> print(leaderboard_markdown(Results(results=listed), "c", ["rank", "label", "bits"]))
    |   # | model | bits/char |
    | --: | ----- | --------: |
    |   1 | b     |     2.100 |
    |   2 | a     |     2.500 |
    <BLANKLINE>
    """
    columns = [COLUMNS[name] for name in names]
    lines = rows(results, corpus)
    text = ""
    for head, part in tables_of(lines) or [("", [])]:
        body = [[markdown_text(c.text(row)) for c in columns] for row in part]
        text += f"\n{head}:\n\n" if head else ""
        text += markdown_table([c.title for c in columns], body, [c.numeric for c in columns])
    return text + (f"\n{markdown_text(note)}\n" if (note := mark_note(lines)) and APART not in text else "")


def tables_of(lines: Sequence[Row]) -> list[tuple[str, list[Row]]]:
    """A leaderboard's tables, a ranking each, and what stands above each: nothing above the first, which has the lines without a rank, too."""
    parts = rankings(lines)
    rest = [row for row in lines if row.rank is None]
    first = [*(parts[0] if parts else []), *rest]
    return [("", first), *((APART, part) for part in parts[1:])] if first else []


def mark_note(lines: Sequence[Row]) -> str:
    """What the mark beside some names says; '' where there is none."""
    return f"{MARK} {ADAPTIVE}." if any(row.adaptive for row in lines) else ""


def _parted(results: Results, corpus: str) -> list[Row | None]:
    """The lines of one table that holds both rankings; None is a rule between them."""
    parts = [part for _, part in tables_of(rows(results, corpus))]
    return [row for number, part in enumerate(parts) for row in ([None] if number else []) + list(part)]


def markdown_table(head: Sequence[str], body: Sequence[Sequence[str]], numeric: Sequence[bool]) -> str:
    """A Markdown table of cells that are Markdown already, padded so that its source reads as a table too."""
    widths = [max(3, *(len(line[i]) for line in (head, *body))) for i in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        padded = (c.rjust(w) if n else c.ljust(w) for c, w, n in zip(cells, widths, numeric, strict=True))
        return f"| {' | '.join(padded)} |"

    rule = "|".join(f" {'-' * (w - n)}{':' * n} " for w, n in zip(widths, numeric, strict=True))
    return "\n".join([line(head), f"|{rule}|", *map(line, body)]) + "\n"


def markdown_text(text: str) -> str:
    """Text that Markdown shows as it stands, on one line."""
    text = re.sub(r"([\\`*_{}\[\]<>|#~$&])", r"\\\1", "".join(c if c.isprintable() else " " for c in text))
    return "\\-" if text == "-" else text


def leaderboard_latex(results: Results, corpus: str, names: Sequence[str] = PLAIN) -> str:
    """A corpus's leaderboard as a LaTeX tabular (booktabs). names: of ``COLUMNS``."""
    columns = [COLUMNS[name] for name in names]
    lines = [rf"\begin{{tabular}}{{{''.join('r' if c.numeric else 'l' for c in columns)}}}", r"\toprule"]
    lines.append(" & ".join(latex_text(c.title) for c in columns) + r" \\")
    lines.append(r"\midrule")
    lines += [
        r"\midrule" if row is None else " & ".join(latex_text(c.text(row)) for c in columns) + r" \\"
        for row in _parted(results, corpus)
    ]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n"


def leaderboard_typst(results: Results, corpus: str, names: Sequence[str] = PLAIN) -> str:
    """A corpus's leaderboard as a Typst table. names: of ``COLUMNS``."""
    columns = [COLUMNS[name] for name in names]
    return typst_table(
        [typst_text(c.title) for c in columns],
        [
            [] if row is None else [typst_text(c.text(row)) for c in columns]
            for row in _parted(results, corpus)
        ],
        [c.numeric for c in columns],
    )


def typst_table(head: Sequence[str], body: Sequence[Sequence[str]], numeric: Sequence[bool]) -> str:
    """A Typst table of cells that are Typst already; an empty line is a rule."""
    aligned = ", ".join("right" if n else "left" for n in numeric)
    rows = [
        f"  {', '.join(f'[{c}]' for c in row)}," if row else "  table.hline(stroke: 0.5pt)," for row in body
    ]
    return "\n".join(
        [
            "#table(",
            f"  columns: {len(head)}, align: ({aligned}), stroke: none,",
            "  table.hline(),",
            f"  table.header({', '.join(f'[{h}]' for h in head)}),",
            "  table.hline(stroke: 0.5pt),",
            *rows,
            "  table.hline(),",
            ")",
            "",
        ]
    )


def typst_text(text: str) -> str:
    """Text that Typst shows as it stands, on one line.

    >>> typst_text("a_b #1 [x]"), typst_text("1. best"), typst_text("1.982")
    ('a\\\\_b \\\\#1 \\\\[x\\\\]', '1\\\\. best', '1.982')
    """
    shown = "".join(c if c.isprintable() else " " for c in text)
    escaped = re.sub(r"([\\*_`$#\[\]<>@~/=+'\"-])", r"\\\1", shown)
    return re.sub(r"^(\s*\d+)\.(?=\s|$)", r"\1\\.", escaped)  # it would be the first item of a list


def latex_text(text: str) -> str:
    """Text that LaTeX shows as it stands, on one line."""
    special = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "-": "-"}
    special |= {c: "\\" + c for c in "&%$#_{}"} | {"<": r"\textless{}", ">": r"\textgreater{}"}
    special |= {"[": "{[}"}  # at the beginning of a row, it would be an option of the line's end before it
    return "".join(special.get(c, c if c.isprintable() else " ") for c in text)


def terminal_table(results: Results) -> TerminalTable:
    """The leaderboards for the terminal (rich): a table a corpus and ranking, then why some rows have no rank."""
    return TerminalTable(results)


class TerminalTable:
    """What rich prints: of the columns, those that the terminal is wide enough for."""

    def __init__(self, results: Results) -> None:
        self.results = results

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Any]:
        from rich.text import Text

        unbounded = options.update(max_width=10_000)
        for corpus in self.results.corpora:
            shown = rows(self.results, corpus.name)
            names = list(PLAIN)
            for least in (*LEAST, None):
                table = self._table(corpus.name, shown, names)
                if least is None or console.measure(table, options=unbounded).maximum <= options.max_width:
                    break
                names.remove(least)
            for head, part in tables_of(shown):
                yield self._table(head or corpus.name, part, names)
            if out := [COLUMNS[name].title for name in PLAIN if name not in names]:
                yield Text(f"  for want of width without {', '.join(out)}", style="dim")
            if (note := mark_note(shown)) and len(rankings(shown)) == 1:
                yield Text(f"  {note}", style="dim")
            for row in shown:
                if row.reason:
                    yield Text(printable(f"  {row.name}: {row.reason}"), style="yellow")
        yield from self._across(console, options)

    def _across(self, console: Console, options: ConsoleOptions) -> Iterator[Any]:
        """Models by corpora, as many corpora side by side as there is room for."""
        from rich.text import Text

        from lmbench.report.grid import grid
        from lmbench.report.grid_tables import grid_note, grid_terminal

        if self.results.across is None:
            return
        shown, first = grid(self.results), 0
        unbounded = options.update(max_width=10_000)
        while first < len(shown.corpora):
            for last in range(len(shown.corpora), first, -1):
                table = grid_terminal(shown, first, last)
                if console.measure(table, options=unbounded).maximum <= options.max_width:
                    break
            yield table
            first = last
        yield Text(f"  {grid_note(shown)}", style="dim")
        yield Text(printable(" ".join(overall(self.results))))

    def _table(self, title: str, shown: Sequence[Row], names: Sequence[str]) -> Table:
        from rich import box
        from rich.table import Table
        from rich.text import Text

        table = Table(title=Text(printable(title), style="bold"), title_justify="left", box=box.SIMPLE_HEAD)
        for column in (COLUMNS[name] for name in names):
            table.add_column(column.title, justify="right" if column.numeric else "left", overflow="fold")
        for row in shown:
            cells = [
                Text(printable(COLUMNS[name].text(row)), style="dim" if row.rank is None else "")
                for name in names
            ]
            table.add_row(*cells, style="bold" if row.rank == 1 else None)
        return table
