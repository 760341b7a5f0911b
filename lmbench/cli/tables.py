"""Tables of the terminal that are no leaderboard."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.table import Table

if TYPE_CHECKING:
    from lmbench.comparing.splits import Splits


def plain_table(title: str, columns: Sequence[tuple[str, bool]], rows: Sequence[Sequence[str]]) -> Table:
    """A table without lines; columns: (head, whether it is numbers)."""
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for head, numeric in columns:
        table.add_column(head, justify="right" if numeric else "left", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    return table


def splits_table(splits: Splits) -> Table:
    """The models over further divisions of a text."""
    count, agreement = len(splits.divisions), splits.concordance
    said = f"{splits.corpus}, {count} further divisions"
    if agreement is not None:
        said += f"; rankings agree by W = {agreement:.2f} (1: wholly)"
    columns = [("model", False), ("bits/char", True), ("sd", True), ("ranks", False), ("first in", True)]
    rows = [
        [
            row.label,
            f"{row.mean:.3f}",
            f"{row.sd:.3f}",
            " ".join(f"{rank:g}" for rank in row.ranks),
            f"{row.first:.0%}",
        ]
        for row in splits.rows
    ]
    return plain_table(said, columns, rows)
