"""The page of ``lmbench diff --html``: what moved from one run directory to another, in the report's dress."""

from __future__ import annotations

import math
from collections.abc import Sequence

from markupsafe import Markup

from lmbench.report.formats import bits_text, finite_interval, signed_bits, signed_interval
from lmbench.report.page import legal, page_environment, template
from lmbench.report.tables import markdown_table, markdown_text
from lmbench.results.diff import Change, Changes

WIDTH, HEIGHT = 170, 20
KINDS = {-1: "fewer", 1: "more"}


def changes_html(changes: Changes) -> str:
    """One self-contained page of what ``diff_runs`` tells."""
    ends = [
        abs(end)
        for row in changes.models
        for end in (*(finite_interval(row.ci95) or ()), row.difference_bits_per_char)
        if end is not None and math.isfinite(end)
    ]
    furthest = max(ends, default=0.0) or 1.0
    rows = [
        (row, KINDS.get(row.moved, "same" if row.same else "tie"), _interval(row, furthest))
        for row in changes.models
    ]
    page = page_environment().get_template("diff.html")
    context = {
        "changes": changes,
        "answer": changes_answer(changes),
        "warning": trained_otherwise(changes),
        "rows": rows,
    }
    return legal(page.render(context, js=Markup(template("page.js"))))


def changes_markdown(changes: Changes) -> str:
    """The same as Markdown: the answer, and a table that a pull request shows; what did not move is folded."""
    said = [f"**{markdown_text(changes_answer(changes))}**"]
    if warning := trained_otherwise(changes):
        said.append(markdown_text(warning))
    moved = [row for row in changes.models if row.reason is None and row.moved and row.worthwhile]
    others = [row for row in changes.models if row not in moved]
    if moved:
        said.append(_table(moved))
    if others:
        what = "1 other row" if len(others) == 1 else f"{len(others)} other rows"
        said.append(
            f"<details><summary>{what if moved else 'Every row'}</summary>\n\n{_table(others)}\n</details>"
        )
    before, after = markdown_text(changes.before), markdown_text(changes.after)
    said.append(
        f"Bits per character, {after} less {before}, on the same stretches of unseen text; p-values are corrected for all rows. "
        f"A difference of {changes.tolerance:g} and more matters."
    )
    return "\n\n".join(said) + "\n"


def _table(rows: Sequence[Change]) -> str:
    heads = ["corpus", "model", "before", "after", "moved", "95% interval", "verdict"]
    body = [
        [
            *(markdown_text(text) for text in (row.corpus, row.label)),
            *(bits_text(value, 4) for value in (row.before, row.after)),
            "" if row.reason is not None else signed_bits(row.difference_bits_per_char, 4),
            signed_interval(row.ci95, 4),
            markdown_text(row.reason or row.verdict),
        ]
        for row in rows
    ]
    return markdown_table(heads, body, [False, False, True, True, True, True, False])


def trained_otherwise(changes: Changes) -> str:
    """What is to be said before anything that moved: models that learnt from different texts; '' where none did."""
    names = list(dict.fromkeys(row.label for row in changes.trained_otherwise))
    if not names:
        return ""
    few = ", ".join(names) if len(names) <= 3 else f"{len(names)} models"
    return f"The two runs trained on different texts ({few}): what moved there may be the text's doing."


def changes_answer(changes: Changes) -> str:
    """What moved beyond noise, by a size that matters, in one sentence; and what else moved in another."""
    compared = changes.compared
    if not compared:
        return "No model of the two runs compares."
    matters = [row for row in compared if row.moved and row.worthwhile]
    hardly = [row for row in compared if row.moved and not row.worthwhile]
    better = _named([row for row in matters if row.moved < 0], compared)
    worse = _named([row for row in matters if row.moved > 0], compared)
    said = [f"{better} got better" if better else "", f"{worse} got worse" if worse else ""]
    count = f"({_count(len(compared))} compared)"
    little = f"by less than {changes.tolerance:g} bits per character, which hardly matters"
    if not better and not worse:
        if hardly:
            return f"Beyond noise, {_named(hardly, compared)} moved {little} {count}."
        return f"Nothing moved beyond noise {count}."
    answer = f"Beyond noise, {' and '.join(filter(None, said))} {count}."
    return f"{answer} {_named(hardly, compared)} moved, too, {little}." if hardly else answer


def _named(rows: Sequence[Change], compared: Sequence[Change]) -> str:
    """Up to three of the rows by name, or how many they are."""
    several = len({row.corpus for row in compared}) > 1
    names = [f"{row.label} on {row.corpus}" if several else row.label for row in rows]
    if len(names) > 3:
        return f"{len(names)} models"
    return ", ".join(names)


def _count(models: int) -> str:
    return "1 model" if models == 1 else f"{models} models"


def _interval(row: Change, furthest: float) -> Markup:
    """A row's difference and interval to the left (better) or right of nothing."""
    ends, difference = finite_interval(row.ci95), row.difference_bits_per_char
    if row.reason is not None or ends is None or difference is None:
        return Markup("")

    def at(value: float) -> float:
        return round(WIDTH / 2 + value / furthest * (WIDTH / 2 - 8), 1)

    drawn = Markup(
        '<svg class="interval" viewBox="0 0 {w} {h}" aria-hidden="true"><line class="tick" x1="{zero}" x2="{zero}" y1="0" '
        'y2="{h}"/><line class="ci" x1="{low}" x2="{high}" y1="{y}" y2="{y}"/><circle class="dot" cx="{x}" cy="{y}" r="3.6"/></svg>'
    )
    places = {"zero": at(0), "low": at(ends[0]), "high": at(ends[1]), "x": at(difference)}
    return drawn.format(w=WIDTH, h=HEIGHT, y=HEIGHT / 2, **places)
