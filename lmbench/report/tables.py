"""The leaderboard as CSV, Markdown, LaTeX and in the terminal."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from lmbench.report.columns import COLUMNS, LEAST, PLAIN
from lmbench.report.ranking import Results, Row, corpora, interval, number, rows

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions
    from rich.table import Table


CSV_FIELDS = (
    *("corpus", "label", "model", "unit", "seed", "status", "rank", "groups", "bits_per_char", "ci95_low"),
    *("ci95_high", "bits_per_byte", "bits_per_word", "perplexity", "perplexity_excluding_oov"),
    *("train_bits_per_char", "tokens", "oov"),
    *("vocab_size", "chars", "bytes", "words", "fit_seconds", "score_seconds", "parameters", "model_bytes"),
    *("total_fit_seconds", "training_flops", "training_tokens", "tokens_per_second", "flops_per_second"),
    *(
        "bits_per_char_sd",
        "seeds",
        "peak_flops",
        "share_of_peak",
        "train_perplexity",
        "last_epoch_perplexity",
    ),
    *("unranked_reason",),
)
NUMBERS = {*CSV_FIELDS[8:]} - {"unranked_reason", "ci95_low", "ci95_high", "seeds"}


def leaderboard_csv(results: Results) -> str:
    """All corpora's leaderboards as CSV: a header, a row a result, full precision, ``inf`` for infinity."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(CSV_FIELDS)
    for corpus in corpora(results):
        for row in rows(results, corpus["name"]):
            ends = interval(row.entry) or ("", "")
            extra = {"rank": row.rank, "ci95_low": ends[0], "ci95_high": ends[1]}
            cells = {**row.entry, **extra, "seeds": " ".join(map(str, row.entry.get("seeds") or ()))}
            cells |= {
                key: number(row.entry, key)
                for key in NUMBERS
                if isinstance(row.entry.get(key), (str, type(None)))
            }
            writer.writerow(["" if (v := cells.get(field)) is None else v for field in CSV_FIELDS])
    return stream.getvalue()


def leaderboard_markdown(results: Results, corpus: str, names: Sequence[str] = PLAIN) -> str:
    """A corpus's leaderboard as a Markdown table. names: of ``COLUMNS``."""
    columns = [COLUMNS[name] for name in names]
    body = [[markdown_text(c.text(row)) for c in columns] for row in rows(results, corpus)]
    return markdown_table([c.title for c in columns], body, [c.numeric for c in columns])


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
    lines += [" & ".join(latex_text(c.text(row)) for c in columns) + r" \\" for row in rows(results, corpus)]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n"


def latex_text(text: str) -> str:
    """Text that LaTeX shows as it stands, on one line."""
    special = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "-": "-"}
    special |= {c: "\\" + c for c in "&%$#_{}"} | {"<": r"\textless{}", ">": r"\textgreater{}"}
    return "".join(special.get(c, c if c.isprintable() else " ") for c in text)


def terminal_table(results: Results) -> TerminalTable:
    """The leaderboards for the terminal (rich): a table a corpus, then why some rows have no rank."""
    return TerminalTable(results)


class TerminalTable:
    """What rich prints: of the columns, those that the terminal is wide enough for."""

    def __init__(self, results: Results) -> None:
        self.results = results

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Any]:
        from rich.text import Text

        unbounded = options.update(max_width=10_000)
        for corpus in corpora(self.results):
            shown = rows(self.results, corpus["name"])
            names = list(PLAIN)
            for least in (*LEAST, None):
                table = self._table(corpus["name"], shown, names)
                if least is None or console.measure(table, options=unbounded).maximum <= options.max_width:
                    break
                names.remove(least)
            yield table
            for row in shown:
                if row.reason:
                    yield Text(f"  {row.name}: {row.reason}", style="yellow")

    def _table(self, title: str, shown: Sequence[Row], names: Sequence[str]) -> Table:
        from rich import box
        from rich.table import Table
        from rich.text import Text

        table = Table(title=Text(title, style="bold"), title_justify="left", box=box.SIMPLE_HEAD)
        for column in (COLUMNS[name] for name in names):
            table.add_column(column.title, justify="right" if column.numeric else "left", overflow="fold")
        for row in shown:
            cells = [Text(COLUMNS[name].text(row), style="dim" if row.rank is None else "") for name in names]
            table.add_row(*cells, style="bold" if row.rank == 1 else None)
        return table
