"""power: how much text a comparison needs."""

from __future__ import annotations

import json
from typing import Any

import click

from lmbench.cli.options import (
    echo_json,
    echo_remark,
    echo_text,
    field_option,
    json_option,
    quiet_option,
    text_of,
)

# Two like models and one unlike: what a pair needs depends on how differently it fares from passage to passage.
PROBES: tuple[tuple[str, str, str, dict[str, Any]], ...] = (
    ("kneser-ney", "kneser-ney", "char", {"order": 6}),
    ("witten-bell", "witten-bell", "char", {"order": 6}),
    ("kneser-ney-word", "kneser-ney", "word", {"order": 3}),
)


@click.command()
@click.option(
    "--difference", type=float, required=True, metavar="BITS", help="In bits per character, such as 0.01."
)
@click.option(
    "--corpus",
    "places",
    multiple=True,
    metavar="NAME|FILE",
    help="A text like that to come, or several files. Default: python-docs.",
)
@field_option
@json_option
@quiet_option
def power(difference: float, places: tuple[str, ...], field: str | None, as_json: bool, quiet: bool) -> None:
    """How much text resolves a difference between models, judged by three quick models on a text of its kind."""
    import msgspec

    from lmbench.cli.progress import fit_monitor
    from lmbench.cli.tables import print_table
    from lmbench.comparing.power import needs
    from lmbench.models import make_model
    from lmbench.scoring.evaluation import evaluate
    from lmbench.text.scripts import is_unsegmented

    corpus = text_of(places or ("python-docs",), field=field).with_held_out()
    words = not is_unsegmented(corpus.train.text)
    with fit_monitor("power", quiet or as_json):
        runs = [
            evaluate(make_model(model, **options), corpus, unit, label)
            for label, model, unit, options in PROBES
            if words or unit != "word"
        ]
    test = corpus.text("test")
    required = needs(runs, test, difference)
    if as_json:
        document = {
            "corpus": corpus.name,
            "chars": test.chars,
            "documents": len(test.starts),
            "needs": required,
        }
        echo_json(json.dumps(msgspec.to_builtins(document), ensure_ascii=False))
        return
    echo_text(
        f"{corpus.name}: a test text of {test.chars:,} characters, {len(test.starts):,} documents. To find a difference of "
        f"{difference:g} bits per character four times in five:"
    )
    rows = [
        [
            f"{need.a}, {need.b}",
            "-" if need.resolvable is None else f"{need.resolvable:.4f}",
            "-" if need.factor is None else f"{need.factor:,.2f}",
            "-" if need.chars is None else f"{need.chars:,}",
            "-" if need.documents is None or len(test.starts) < 2 else f"{need.documents:,}",
        ]
        for need in required
    ]
    columns = [
        ("pair", False),
        ("resolved now", True),
        ("times", True),
        ("characters", True),
        ("documents", True),
    ]
    print_table(columns, rows)
    if any(need.resolvable is None for need in required):
        echo_remark("-: too few documents for an error bar; give a text with more of them")
    if len(test.starts) < 2:
        echo_text(
            "At least so much: in one stream, memory makes errors fall more slowly than with the root of its length. "
            "Documents that are independent of each other need less."
        )
