"""domains: models over several domains of text."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from lmbench.cli.lines import labelled
from lmbench.cli.options import echo_json, echo_notes, echo_text, field_option, json_option, trust_code_option
from lmbench.cli.tables import print_table
from lmbench.text.canonical import NORMALISERS

if TYPE_CHECKING:
    from lmbench.comparing.domains import DomainBits, DomainDifference, DomainTable, Kind


@click.command()
@click.option(
    "--load",
    "saved",
    metavar="[LABEL=]MODEL",
    multiple=True,
    required=True,
    help="A model that `lmbench fit --save` wrote, or an ARPA file; may be given again.",
)
@trust_code_option
@click.option(
    "--per",
    type=click.Choice(("byte", "char", "word")),
    default="byte",
    show_default=True,
    help="Of what bits are.",
)
@click.option(
    "--reference",
    metavar="LABEL",
    help="The model that others are compared with. Default: the best by micro average.",
)
@click.option(
    "--against",
    metavar="FILE",
    multiple=True,
    help="What of the domains stands in these texts, and what models pay there and elsewhere.",
)
@click.option(
    "--normalise",
    type=click.Choice(list(NORMALISERS)),
    default="none",
    show_default=True,
    help="How all models read the texts.",
)
@field_option
@click.option(
    "--domain",
    metavar="FIELD",
    default="domain",
    show_default=True,
    help="Of JSON lines and Parquet: the field that says the domain.",
)
@click.argument("place", metavar="FOLDER|FILE.jsonl")
@json_option
def domains(
    saved: tuple[str, ...],
    per: Any,
    reference: str | None,
    against: tuple[str, ...],
    normalise: str,
    field: str | None,
    domain: str,
    place: str,
    as_json: bool,
) -> None:
    """Compares models over domains of text: bits a byte in each and on average, with paired intervals.

    Each folder of FOLDER is a domain, and each file beside those; of JSON lines a field of a row says its domain.
    """
    import msgspec

    from lmbench.comparing.domains import domain_table
    from lmbench.corpora.domains import texts_by_domain
    from lmbench.corpora.formats import files_of, raw_documents

    texts = texts_by_domain(place, field, domain)
    seen = list(raw_documents(files_of(against))) if against else []
    table = domain_table(
        labelled(saved), texts, per=per, reference=reference, normalise=normalise, against=seen
    )
    if as_json:
        return echo_json(json.dumps(msgspec.to_builtins(table), ensure_ascii=False))
    _print(table)


def _print(table: DomainTable) -> None:
    labels = list(dict.fromkeys(one.model for one in table.bits))
    places: list[tuple[Kind, str]] = [("domain", domain.name) for domain in table.domains]
    places += [("micro", ""), ("macro", "")]
    sizes = {domain.name: (f"{domain.documents:,}", f"{domain.bytes:,}") for domain in table.domains}
    totals = (f"{sum(d.documents for d in table.domains):,}", f"{sum(d.bytes for d in table.domains):,}")
    bits = {(one.model, one.kind, one.domain): one for one in table.bits}
    columns = [("domain", False), ("documents", True), ("bytes", True), *((label, True) for label in labels)]
    rows = []
    for kind, name in places:
        cells = [_bits(bits[label, kind, name]) for label in labels]
        rows.append([name or f"{kind} average", *(sizes[name] if name else totals), *cells])
    wide = [bits[label, "macro", ""].ci95_domains for label in labels]
    if any(wide):
        rows.append(
            [
                "macro, of domains like these",
                "",
                "",
                *("-" if w is None else f"[{w[0]:.3f}, {w[1]:.3f}]" for w in wide),
            ]
        )
    print_table(columns, rows, f"bits per {table.per}, and their 95% intervals")
    others = [label for label in labels if label != table.reference]
    if others:
        found = {(one.model, one.kind, one.domain): one for one in table.differences}
        rows = []
        for kind, name in places:
            ones = [found[label, kind, name] for label in others]
            shows = [one.resolvable for one in ones if one.resolvable is not None]
            rows.append(
                [name or f"{kind} average", *map(_difference, ones), f"{max(shows):.3f}" if shows else "-"]
            )
        columns = [("domain", False), *((label, True) for label in others), ("can show", True)]
        print_table(columns, rows, f"less {table.reference} on the same text; *: p at most 0.05, corrected")
    for one in table.seen:
        inside, outside = ("-" if x is None else f"{x:.3f}" for x in (one.bits_inside, one.bits_outside))
        echo_text(
            f"{one.model}: {inside} bits a character in the {one.share:.1%} that stand in the given texts, {outside} elsewhere"
        )
    echo_notes(table.notes)


def _bits(one: DomainBits) -> str:
    if one.bits is None:
        return "infinite"
    return f"{one.bits:.3f}" + ("" if one.ci95 is None else f" [{one.ci95[0]:.3f}, {one.ci95[1]:.3f}]")


def _difference(one: DomainDifference) -> str:
    if one.difference is None:
        return "-"
    ends = "" if one.ci95 is None else f" [{one.ci95[0]:+.3f}, {one.ci95[1]:+.3f}]"
    return f"{one.difference:+.3f}{ends}" + ("*" if one.p_holm is not None and one.p_holm <= 0.05 else " ")
