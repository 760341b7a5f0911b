"""Tables of the terminal that are no leaderboard."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lmbench.errors import printable

if TYPE_CHECKING:
    from rich.console import Console

    from lmbench.comparing.splits import Splits


def terminal() -> Console:
    """What tables are printed on; where a terminal is said to have no columns at all, it is taken for one of 80."""
    from rich.console import Console

    console = Console(markup=False, highlight=False, emoji=False)
    if console.width < 1:
        console.width = 80
    return console


def print_table(columns: Sequence[tuple[str, bool]], rows: Sequence[Sequence[str]], title: str = "") -> None:
    """A table without lines on stdout, whole where that is no terminal; columns: (head, whether it is numbers)."""
    from rich.table import Table

    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for head, numeric in columns:
        table.add_column(head, justify="right" if numeric else "left", no_wrap=numeric)
    for row in rows:
        table.add_row(*map(printable, row))
    console = terminal()
    if not console.is_terminal:
        console.width = 1000
    console.print(table)


def print_splits(splits: Splits) -> None:
    """The models over further divisions of a text."""
    count, agreement = len(splits.divisions), splits.concordance
    said = f"{splits.corpus}, {count} further divisions"
    if agreement is not None:
        said += f"; rankings agree by W = {agreement:.2f} (1: wholly)"
    columns = [("model", False), ("bits/char", True), ("sd", True), ("ranks", False), ("first in", True)]
    rows = [
        [
            f"{row.label} *" if row.adaptive else row.label,
            f"{row.mean:.3f}",
            f"{row.sd:.3f}",
            " ".join(f"{rank:g}" for rank in row.ranks),
            f"{row.first:.0%}",
        ]
        for row in splits.rows
    ]
    print_table(columns, rows, said)
