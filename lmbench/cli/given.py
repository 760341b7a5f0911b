"""score --given: ln p(continuation | context) of each line of a text."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from lmbench.scoring.scorer import Scorer


def score_given(scorer: Scorer, context: str, place: str, field: str | None, as_json: bool) -> None:
    """Prints a row for each line of a text (a file or ``-``): what it costs after ``context``, and its length."""
    from lmbench.corpora.corpus import canonical
    from lmbench.scoring.continuation import continuation
    from lmbench.scoring.token_file import ESCAPES

    lines = [line.removesuffix("\n") for line in canonical(place, "none", "line", field).documents()]
    rows = []
    for line in lines:
        found = continuation(scorer, context, line)
        facts = {"log_prob": found.log_prob, "tokens": found.tokens, "chars": found.chars}
        bits = found.bits_per_char if found.chars else None
        rows.append({**facts, "bits_per_char": bits, "greedy": found.greedy, "continuation": line})
    if as_json:
        told = {"model": scorer.model.name, "given": context, "continuations": rows}
        return click.echo(json.dumps(told, ensure_ascii=False))
    click.echo("log_prob\ttokens\tchars\tbits_per_char\tgreedy\tcontinuation")
    for row in rows:
        per_char = "" if row["bits_per_char"] is None else f"{row['bits_per_char']:.4f}"
        cells = [f"{row['log_prob']:.4f}", row["tokens"], row["chars"], per_char, int(bool(row["greedy"]))]
        click.echo("\t".join([*map(str, cells), str(row["continuation"]).translate(ESCAPES)]))
