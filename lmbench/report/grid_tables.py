"""A grid of models by corpora as Markdown, LaTeX, Typst, CSV and in the terminal."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from lmbench.report.columns import ADAPTIVE, MARK
from lmbench.report.grid import Grid, GridCell, GridLine
from lmbench.report.tables import csv_cell, latex_text, markdown_table, markdown_text, typst_table, typst_text

if TYPE_CHECKING:
    from rich.table import Table

MEAN_GAP, AVERAGE_RANK = "above best", "average rank"
NAME = "model"
MARKED = f"{MARK} {ADAPTIVE}."


def _heads(grid: Grid) -> list[str]:
    extra = [MEAN_GAP] * grid.gaps + [AVERAGE_RANK] * grid.ranks
    return [NAME, *grid.corpora, *extra]


def _body(grid: Grid, cell: Callable[[GridCell], str], plain: Callable[[str], str]) -> list[list[str]]:
    lines = []
    for line in grid.lines:
        rank = f"{line.rank} ({line.rank_range})" if line.rank_range else line.rank
        extra = [plain(line.gap)] * grid.gaps + [plain(rank)] * grid.ranks
        lines.append([plain(line.name), *map(cell, line.cells), *extra])
    return lines


def grid_note(grid: Grid) -> str:
    """What the table's signs say, in a sentence or more."""
    said = [f"{grid.metric[0].upper()}{grid.metric[1:]} of the unseen text, fewer is better; bold: the best"]
    if grid.gaps:
        said.append(f"{MEAN_GAP}: mean over the corpora of the distance from the best of each")
    if grid.ranks:
        said.append(
            f"{AVERAGE_RANK}: 1 is best, with the places that Nemenyi's test leaves it at 5% in brackets"
        )
    if grid.adaptive:
        said.append(f"{MARK} {ADAPTIVE}, and the best of these is bold too")
    return "; ".join(said) + "."


def grid_markdown(grid: Grid) -> str:
    """As a Markdown table, with what its signs say after it."""

    def cell(c: GridCell) -> str:
        text = markdown_text(c.text)
        return (f"**{text}**" if c.best else text) + (f" {_behind(c)}" if c.error else "")

    heads = [markdown_text(head) for head in _heads(grid)]
    table = markdown_table(heads, _body(grid, cell, markdown_text), [False, *[True] * (len(heads) - 1)])
    return f"{table}\n{markdown_text(grid_note(grid))}\n"


def _behind(cell: GridCell) -> str:
    return cell.error if cell.error.startswith("±") else f"({cell.error})"


def grid_csv(grid: Grid) -> str:
    """As CSV, of the numbers as they are shown."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(map(csv_cell, _heads(grid)))
    body = _body(grid, lambda c: f"{c.text} {_behind(c)}" if c.error else c.text, str)
    writer.writerows(map(csv_cell, row) for row in body)
    return stream.getvalue()


def grid_latex(grid: Grid, caption: str | None = None, label: str | None = None) -> str:
    """As a LaTeX table (booktabs), the best of each column bold. caption, label: default made of the table's own."""

    def cell(c: GridCell) -> str:
        text = latex_text(c.text)
        behind = _behind(c).replace("±", r"$\pm$").replace(" to ", "--") if c.error else ""
        return (rf"\textbf{{{text}}}" if c.best else text) + (rf" {{\small {behind}}}" if behind else "")

    heads = _heads(grid)
    extra = grid.gaps + grid.ranks
    lines = [r"\begin{table}", r"\centering"]
    lines.append(rf"\caption{{{latex_text(grid_note(grid)) if caption is None else caption}}}")
    lines.append(rf"\label{{{label or 'tab:lmbench'}}}")
    lines.append(rf"\begin{{tabular}}{{l{'r' * len(grid.corpora)}{'r' * extra}}}")
    lines += [r"\toprule", " & ".join(map(latex_text, heads)) + r" \\", r"\midrule"]
    parts = _parted(grid, _body(grid, cell, _latex_dashes), [])
    lines += [" & ".join(row) + r" \\" if row else r"\midrule" for row in parts]
    lines.append(r"\bottomrule")
    if caption is not None and grid.adaptive:  # a caption of the author's own says nothing of the mark
        lines.append(rf"\multicolumn{{{len(heads)}}}{{l}}{{\footnotesize {latex_text(MARKED)}}} \\")
    return "\n".join([*lines, r"\end{tabular}", r"\end{table}"]) + "\n"


def _latex_dashes(text: str) -> str:
    """A name or number, whose true minus sign and dash of a range LaTeX spells in its own way."""
    return latex_text(text).replace("−", "$-$").replace("–", "--")


def _parted(grid: Grid, body: Sequence[Sequence[str]], rule: Sequence[str]) -> list[Sequence[str]]:
    """The lines, with a rule before the models that go on learning."""
    still = sum(not line.adaptive for line in grid.lines)
    return [*body[:still], *([rule] if 0 < still < len(body) else []), *body[still:]]


def grid_typst(grid: Grid, caption: str | None = None, label: str | None = None) -> str:
    """As a Typst figure of a table, the best of each column bold. caption, label: default made of the table's own."""

    def cell(c: GridCell) -> str:
        text = typst_text(c.text)
        behind = f" #text(size: 0.8em)[{typst_text(_behind(c))}]" if c.error else ""
        return (f"*{text}*" if c.best else text) + behind

    heads = _heads(grid)
    table = typst_table(
        list(map(typst_text, heads)),
        _parted(grid, _body(grid, cell, typst_text), []),
        [False, *[True] * (len(heads) - 1)],
    )
    shown = typst_text(grid_note(grid)) if caption is None else caption
    if caption is not None and grid.adaptive:
        shown += f" #text(size: 0.8em)[{typst_text(MARKED)}]"
    key = re.sub(r"[^A-Za-z0-9_:.-]", "-", label or "tab:lmbench")
    return f"#figure(\n{table.removeprefix('#').rstrip()},\n  caption: [{shown}],\n) <{key}>\n"


def grid_terminal(grid: Grid, first: int, last: int) -> Table:
    """As a table of the terminal (rich), of the corpora first .. last - 1; that of the first corpus has what is of all, too."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    lines = [
        replace(line, cells=line.cells[first:last])
        if not first
        else GridLine(line.label, line.adaptive, line.cells[first:last])
        for line in grid.lines
    ]
    part = replace(grid, corpora=grid.corpora[first:last], lines=lines)
    title = "" if first else "across corpora, bits/char"
    table = Table(title=Text(title, style="bold"), title_justify="left", box=box.SIMPLE_HEAD)
    for number, head in enumerate(_heads(part)):
        table.add_column(head, justify="right" if number else "left", overflow="fold")
    for row, line in zip(_body(part, lambda c: c.text, str), lines, strict=True):
        best = [False, *(c.best for c in line.cells), False, False]
        table.add_row(*(Text(text, "bold" if b else "") for text, b in zip(row, best, strict=False)))
    return table
