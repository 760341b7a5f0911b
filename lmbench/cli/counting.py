"""counts: how often the n-grams of a text occur, as files that other toolkits read."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from lmbench.cli.options import (
    echo_json,
    echo_notes,
    echo_text,
    field_option,
    json_option,
    normalise_option,
    orders_of,
    text_of,
)
from lmbench.counts.files import FORMS
from lmbench.errors import InputError

if TYPE_CHECKING:
    from lmbench.counts.files import WordCounts


@click.command()
@click.argument("places", metavar="[FILE...|CORPUS]", nargs=-1)
@click.option("--orders", default="1,2,3", show_default=True, help="The n-grams to count.")
@click.option("--format", "form", type=click.Choice(FORMS), default="srilm", show_default=True)
@click.option("--counts", "merged", metavar="FILE", multiple=True, help="Counts to add, a file or a folder.")
@click.option("--out", "place", metavar="PLACE", help="A file, packed by .gz; of google: a folder.")
@normalise_option
@field_option
@json_option
def counts(
    places: tuple[str, ...],
    orders: str,
    form: str,
    merged: tuple[str, ...],
    place: str | None,
    normalise: str | None,
    field: str | None,
    as_json: bool,
) -> None:
    """Counts the n-grams of lines of words, or adds counts up, as files that --counts and other toolkits take.

    Lines on stdout: words with a space between them, a tab, and how often; <s> and </s> begin and end a line of the text.
    """
    from lmbench.corpora.words import read_as_words
    from lmbench.counts.files import counted, google_lines, lines_of, read_counts, together, write_counts

    wanted = orders_of(orders)
    if as_json and place is None:
        raise InputError("--json tells of the files that were written; give --out, too")
    parts: list[WordCounts] = []
    if places:
        text, notes = read_as_words(
            text_of(places, normalise, "line", field, divided=False), "word", normalise
        )
        echo_notes(notes)
        parts.append(counted(text.whole(), max(wanted)))
    if merged:
        parts.append(read_counts(merged))
    if not parts:
        raise InputError("give a text to count, or --counts FILE to add up")
    sums = together(parts)
    if max(wanted) > sums.order:
        raise InputError(f"the counts go to order {sums.order}; leave the orders above out (--orders)")
    sizes = {k: len(sums.rows[k - 1]) for k in wanted}
    if place is None:
        for k in wanted:
            for line in google_lines(sums, k) if form == "google" else lines_of(sums, [k]):
                echo_text(line)
        return
    write_counts(place, sums, form, wanted)
    if as_json:
        rows = [{"order": k, "ngrams": n, "tokens": int(sums.counts[k - 1].sum())} for k, n in sizes.items()]
        return echo_json(json.dumps({"file": place, "format": form, "orders": rows}, ensure_ascii=False))
    echo_text(f"{place}: " + ", ".join(f"{n:,} {k}-grams" for k, n in sizes.items()))
