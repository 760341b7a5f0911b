"""prune: a smaller model of an ARPA file that any toolkit wrote."""

from __future__ import annotations

import json

import click

from lmbench.cli.options import echo_json, echo_notes, echo_text, json_option
from lmbench.errors import InputError
from lmbench.storage.files import check_place


@click.command()
@click.argument("source", metavar="FILE.arpa")
@click.option(
    "--entropy",
    type=float,
    required=True,
    metavar="E",
    help="Drops n-grams without which the perplexity rises by less than this part of it, such as 1e-7.",
)
@click.option(
    "--save", "place", required=True, metavar="FILE.arpa", help="The file to write; .arpa or .arpa.gz."
)
@click.option("--strict", is_flag=True, help="Refuses what is not written as KenLM and SRILM write it.")
@json_option
def prune(source: str, entropy: float, place: str, strict: bool, as_json: bool) -> None:
    """Drops the n-grams of an ARPA file that are hardly missed, by relative entropy."""
    from lmbench.models.smoothing.arpa import prune_arpa

    if not place.endswith((".arpa", ".arpa.gz")):
        raise InputError(f"cannot write {place}: give a name that ends in .arpa or .arpa.gz")
    check_place(place)
    model, before = prune_arpa(source, entropy, place, strict)
    echo_notes(model.notes)
    kept = model.table.sizes[1:]
    if as_json:
        facts = {
            "file": place,
            "ngrams_before": before,
            "ngrams": sum(kept),
            "by_order": kept,
            "notes": model.notes,
        }
        return echo_json(json.dumps(facts, ensure_ascii=False))
    echo_text(
        f"{place}: kept {sum(kept):,} of {before:,} n-grams"
        f" ({', '.join(f'{size:,} of order {k}' for k, size in enumerate(kept, 1))})"
    )
