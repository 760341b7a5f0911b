"""mix: one model of several that were trained apart."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from lmbench.cli.lines import loaded
from lmbench.cli.options import (
    echo_json,
    echo_notes,
    echo_text,
    json_option,
    key_values,
    quiet_option,
    text_options,
    trust_code_option,
    with_options,
)
from lmbench.errors import InputError
from lmbench.storage.files import check_place


@click.command()
@click.option(
    "--load", "saved", metavar="MODEL", multiple=True, help="A saved model or an ARPA file; two or more."
)
@trust_code_option
@click.option("--tune", metavar="FILE", required=True, help="The text on which the weights are learnt.")
@click.option(
    "--save",
    "place",
    metavar="MODEL",
    required=True,
    help="The file to write; .arpa or .arpa.gz: as n-grams.",
)
@click.option("-o", "options", metavar="KEY=VALUE", multiple=True, help="An option of mixture or word-char.")
@with_options(text_options)
@json_option
@quiet_option
def mix(
    saved: tuple[str, ...],
    tune: str,
    place: str,
    options: tuple[str, ...],
    normalise: str | None,
    documents: str | None,
    field: str | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Mixes saved models and ARPA files, trained on whatever texts, into one."""
    from lmbench.cli.progress import fit_monitor
    from lmbench.corpora.inputs import canonical
    from lmbench.scoring.combining import agreed, mix
    from lmbench.scoring.scorer import Scorer

    if len(saved) < 2:
        raise InputError(
            "--load names a model; give it twice or more, for instance --load a.arpa --load b.arpa"
        )
    check_place(place)
    scorers = [loaded(name) for name in saved]
    modes = agreed("normalise", normalise, scorers), agreed("documents", documents, scorers)
    text = canonical(tune, *modes, field)
    stems = [Path(name).name.split(".")[0] for name in saved]
    labels = [stem if stems.count(stem) == 1 else f"{stem}-{i}" for i, stem in enumerate(stems, 1)]
    chosen: dict[str, Any] = {**key_values(options)}
    with fit_monitor("mixture", quiet or as_json) as monitor:
        scorer = mix(
            scorers,
            text,
            labels=labels,
            normalise=modes[0],
            documents=modes[1],
            monitor=monitor,
            **chosen,
        )
    scorer.save(place)
    bits = {label: one.score(text).bits_per_char for label, one in zip(labels, scorers, strict=True)}
    written = Scorer.load(place) if place.endswith((".arpa", ".arpa.gz")) else scorer
    bits_written = written.score(text).bits_per_char
    if as_json:
        facts = {
            "file": place,
            "model": scorer.model.name,
            "unit": scorer.unit.name,
            "vocab_size": len(scorer.vocab),
        }
        facts |= {"notes": scorer.model.notes, "tune_bits_per_char": bits | {"mixture": bits_written}}
        return echo_json(json.dumps(facts, ensure_ascii=False))
    echo_notes(scorer.model.notes, scorer.model.name)
    each = ", ".join(f"{label} {b:.4f}" for label, b in bits.items())
    echo_text(f"{place}: {bits_written:.4f} bits a character of {tune} ({each})")
