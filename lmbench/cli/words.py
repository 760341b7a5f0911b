"""surprisal: a text word by word."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lmbench.cli.fitting import scorer_of
from lmbench.cli.lines import FORMATS, labelled
from lmbench.cli.options import echo_text, model_options, quiet_option, trust_code_option, with_options
from lmbench.errors import InputError
from lmbench.storage.files import check_place, whole_file

if TYPE_CHECKING:
    import pandas as pd

ROWS = 1 << 14  # that are written at a time
ENDINGS = {".tsv": "tsv", ".jsonl": "jsonl", ".parquet": "parquet"}


@click.command()
@with_options(model_options)
@click.option(
    "--load",
    "saved",
    metavar="[LABEL=]MODEL",
    multiple=True,
    help="A model that `lmbench fit --save` wrote, or an ARPA file; may be given again: several side by side.",
)
@trust_code_option
@click.option(
    "--punctuation",
    type=click.Choice(("joined", "apart")),
    default="joined",
    show_default=True,
    help="Joined to its word, or a word of its own.",
)
@click.option(
    "--end",
    type=click.Choice(("blank", "space")),
    default="blank",
    show_default=True,
    help="What ends a word: whatever does not go on with it, or a space alone.",
)
@click.option("--format", "table", type=click.Choice(FORMATS), help="Default: tsv.")
@click.option(
    "--out", metavar="FILE", help="Writes FILE.tsv, FILE.jsonl or FILE.parquet, and prints nothing."
)
@click.argument("place", metavar="FILE|-")
@quiet_option
def surprisal(
    saved: tuple[str, ...],
    punctuation: Any,
    end: Any,
    table: str | None,
    out: str | None,
    place: str,
    quiet: bool,
    **given: Any,
) -> None:
    """Prints a row a word of a text: its bits, its end counted, and how uncertain the model was before it.

    FILE is read as it stands; each line is read alone (--documents line) or each file, or row of JSON lines, as a whole (stream).
    """
    from lmbench.corpora.formats import files_of, raw_documents
    from lmbench.scoring.surprisal import surprisal

    kind = table or "tsv"
    if out is not None:
        check_place(out)
        ending = Path(out).suffix
        if ending not in ENDINGS:
            raise InputError(
                f"--out {out} ends in none of {', '.join(ENDINGS)}; name one, which says the format"
            )
        if table is not None and table != ENDINGS[ending]:
            raise InputError(f"--out {out} and --format {table} name two formats; leave --format out")
        kind = ENDINGS[ending]
    models = labelled(saved)
    if given["name"] is not None:
        own = scorer_of(given, quiet)
        if own.model.name in models:
            raise InputError(f"two models are called {own.model.name}; load the other as LABEL=MODEL")
        models[own.model.name] = own
    if not models:
        raise InputError("which model? give --load MODEL or --model NAME")
    texts = list(raw_documents(files_of(place), given["field"]))
    rows = surprisal(
        models if len(models) > 1 else next(iter(models.values())),
        texts,
        documents=given["documents"],
        punctuation=punctuation,
        end=end,
    )
    if out is None:
        for part in _written(rows, kind):
            echo_text(part, nl=False)
    elif kind == "parquet":
        with whole_file(out) as stream:
            try:
                rows.to_parquet(stream, index=False)
            except ImportError:
                raise InputError(
                    f"{out} needs pyarrow; install it (pip install 'lmbench[parquet]') or name a .tsv file"
                ) from None
    else:
        with whole_file(out, "w") as stream:
            stream.writelines(_written(rows, kind))


def _written(rows: pd.DataFrame, kind: str) -> Iterator[str]:
    """As lines of TSV, with a head, or of JSON, some thousand at a time; what is not known is empty, or null."""
    import msgspec

    from lmbench.scoring.token_file import ESCAPES

    columns = [*rows.columns]
    if kind == "tsv":
        yield "\t".join(columns) + "\n"
    for begin in range(0, len(rows), ROWS):
        some = rows.iloc[begin : begin + ROWS]
        plain = some.astype(object).where(some.notna(), None)
        if kind == "jsonl":
            yield msgspec.json.Encoder().encode_lines(plain.to_dict(orient="records")).decode()
            continue
        lines = []
        for row in plain.itertuples(index=False):
            cells = dict(zip(columns, row, strict=True))
            cells["text"] = cells["text"].translate(ESCAPES)
            lines.append(
                "\t".join(
                    "" if c is None else str(int(c) if isinstance(c, bool) else c) for c in cells.values()
                )
            )
        yield "\n".join(lines) + "\n"
