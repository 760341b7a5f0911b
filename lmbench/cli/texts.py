"""zipf, corpora: the texts themselves."""

from __future__ import annotations

import json
from typing import Any

import click

from lmbench.cli.options import (
    UnitType,
    echo_json,
    echo_remark,
    echo_text,
    field_option,
    json_option,
    orders_of,
    text_of,
    text_options,
    with_options,
)
from lmbench.cli.shards import place_options
from lmbench.cli.zipf_files import is_counted_in_files, zipf_of_files
from lmbench.storage.files import write_whole


@click.command()
@click.argument("places", metavar="FILE...|CORPUS", nargs=-1, required=True)
@click.option("--unit", type=UnitType(), default="word", show_default=True)
@click.option("--orders", default="1,2,3", show_default=True, help="The n-grams to count.")
@with_options(text_options)
@click.option("--plot", metavar="FILE.png", help="Draws the curves and their fits (.png or .svg).")
@with_options(place_options)
@json_option
def zipf(
    places: tuple[str, ...],
    unit: str,
    orders: str,
    normalise: str | None,
    documents: str | None,
    field: str | None,
    plot: str | None,
    jobs: int | None,
    cluster: str | None,
    work: str | None,
    as_json: bool,
) -> None:
    """Fits Zipf's law to the n-grams of a text.

    A long text is counted from files to files, in memory that hardly grows with it, and with --jobs or --cluster side by side.
    """
    from lmbench.cli.tables import print_table
    from lmbench.corpora.words import remarks
    from lmbench.zipf.table import zipf_rows

    wanted = orders_of(orders)
    asked = bool((jobs or 1) > 1 or cluster or work)
    if is_counted_in_files(places, unit, asked):
        rows, chart = zipf_of_files(places, wanted, unit, normalise, documents, field, jobs, cluster, work)
    else:
        corpus = text_of(places, normalise, documents, field, divided=False)
        for note in remarks(corpus) if unit == "word" else ():
            echo_remark(note.removeprefix("train "))
        rows, chart = zipf_rows(corpus.name, corpus.parts, unit, wanted)
    if plot is not None:
        from lmbench.charts.draw import draw

        png, svg = draw(chart)
        write_whole(plot, svg if plot.endswith(".svg") else png)
    if as_json:
        echo_json(json.dumps({"zipf": rows}, ensure_ascii=False))
        return
    heads = ("tokens", "types", "once", "least squares", "rank MLE", "Zipf-Mandelbrot", "frequency MLE")
    print_table([("", False), *((head, True) for head in heads)], [_zipf_row(row) for row in rows])
    for row in rows:
        for note in row["notes"]:
            echo_remark(f"{row['order']}-grams: {note}")


def _zipf_row(row: dict[str, Any]) -> list[str]:
    mandelbrot, power = row["zipf_mandelbrot"], row["frequency_mle"]
    law = f"γ {_slope(power['gamma'])} ± {_slope(power['se'])} from {power['xmin']}"
    return [
        f"{row['order']}-grams",
        *(f"{row[count]:,}" for count in ("tokens", "types", "hapaxes")),
        *(f"α {_slope(row[fit]['alpha'])}" for fit in ("ols", "rank_mle")),
        f"α {_slope(mandelbrot['alpha'])}, b {_slope(mandelbrot['b'], 1)}",
        "–" if power["gamma"] is None else law,
    ]


def _slope(value: float | None, digits: int = 3) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


@click.group()
def corpora() -> None:
    """Lists, shows and fetches the corpora."""


@corpora.command("list")
@json_option
def corpora_list(as_json: bool) -> None:
    """The corpora, and whether their files are here."""
    from lmbench.cli.tables import print_table
    from lmbench.corpora.descriptions import data_folders, describe, find, registry

    rows = []
    for name in registry():
        description = describe(name)
        here = all(find(file, data_folders()) for file in description.files)
        rows.append({"name": name, "title": description.title, "licence": description.licence, "here": here})
    if as_json:
        echo_json(json.dumps({"corpora": rows}, ensure_ascii=False))
        return
    body = [[str(r["name"]), "here" if r["here"] else "not fetched", str(r["title"])] for r in rows]
    print_table([("name", False), ("", False), ("title", False)], body)


@corpora.command("show")
@click.argument("places", metavar="NAME|FILE...", nargs=-1, required=True)
@field_option
@json_option
def corpora_show(places: tuple[str, ...], field: str | None, as_json: bool) -> None:
    """What a corpus or a text of your own is, and the sizes of its split."""
    description = text_of(places, field=field).describe()
    if as_json:
        echo_json(json.dumps(description, ensure_ascii=False))
        return
    split = description.pop("split")
    for key, value in description.items():
        if value is not None and key not in ("chars", "bytes", "words"):
            echo_text(f"{key:<13} {value}")
    for part, sizes in split.items():
        echo_text(f"{part:<13} " + ", ".join(f"{n:,} {what}" for what, n in sizes.items()))


@corpora.command("fetch")
@click.argument("name")
def corpora_fetch(name: str) -> None:
    """Downloads a corpus into the cache, going on where an earlier try broke off."""
    from lmbench.cli.progress import byte_progress
    from lmbench.corpora.descriptions import fetch

    with byte_progress(name) as progress:
        paths = fetch(name, progress)
    for path in paths:
        echo_text(path)
    if not paths:
        echo_text(f"{name} needs no file: it is made on the spot")


@corpora.command("add")
@click.argument("name")
@click.argument("file")
def corpora_add(name: str, file: str) -> None:
    """Takes a corpus's file (or zip archive) that was got by hand, once its checksum fits."""
    from lmbench.corpora.descriptions import add

    for path in add(name, file):
        echo_text(path)
