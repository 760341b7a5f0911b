"""study: one question, with its table and its figure, apart from the suites."""

from __future__ import annotations

import json
import os
from pathlib import Path

import click

from lmbench.cli.completion import complete_corpus, complete_study
from lmbench.cli.options import (
    echo_json,
    echo_remark,
    echo_text,
    field_option,
    json_option,
    key_values,
    quiet_option,
    seed_option,
    text_of,
)
from lmbench.errors import InputError
from lmbench.storage.files import write_whole


@click.command()
@click.argument("name", required=False, shell_complete=complete_study)
@click.option(
    "--corpus",
    "corpus_names",
    metavar="NAME|FILE",
    multiple=True,
    shell_complete=complete_corpus,
    help="The text to ask it of, or several files. Default: python-docs.",
)
@field_option
@click.option("-o", "options", metavar="KEY=VALUE", multiple=True, help="An option of the study.")
@click.option("--csv", "csv_file", metavar="FILE", help="For `sequence`: a series of your own.")
@click.option("--column", metavar="NAME", help="The column of --csv.")
@click.option("--full", is_flag=True, help="The long version.")
@seed_option
@click.option(
    "--out", type=click.Path(file_okay=False), help="Where to write; default reports/study-NAME-CORPUS."
)
@json_option
@quiet_option
def study(
    name: str | None,
    corpus_names: tuple[str, ...],
    field: str | None,
    options: tuple[str, ...],
    csv_file: str | None,
    column: str | None,
    full: bool,
    seed: int,
    out: str | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Answers one question with a table and a figure; without NAME lists the questions."""
    from lmbench.cli.tables import print_table
    from lmbench.studies import STUDIES, reads_a_corpus, run_study

    if name is None:
        if as_json:
            questions = [{"name": key, "question": question} for key, (_, question) in STUDIES.items()]
            echo_json(json.dumps({"studies": questions}, ensure_ascii=False))
            return
        print_table(
            [("study", False), ("question", False)], [(key, said) for key, (_, said) in STUDIES.items()]
        )
        return
    if corpus_names and not reads_a_corpus(name):
        raise InputError(f"the study {name} reads no corpus; leave --corpus out")
    given = {
        **key_values(options),
        **{k: v for k, v in (("csv", csv_file), ("column", column)) if v is not None},
    }
    os.environ.setdefault("OMP_NUM_THREADS", "1")

    from lmbench.charts.draw import draw
    from lmbench.cli.progress import fit_monitor
    from lmbench.studies.answers import write_study

    corpus = text_of(corpus_names or ("python-docs",), field=field)
    with fit_monitor(name, quiet or as_json) as monitor:
        answer = run_study(name, corpus, seed=seed, full=full, monitor=monitor, **given)
    folder = Path(out or Path("reports") / f"study-{name}-{corpus.name}")
    write_study(answer, folder)
    for chart in answer.charts:
        png, svg = draw(chart)
        write_whole(folder / f"{chart.name}.png", png)
        write_whole(folder / f"{chart.name}.svg", svg)
    if as_json:
        document = {key: value for key, value in answer.to_dict().items() if key != "charts"}
        echo_json(json.dumps(document, ensure_ascii=False))
        return
    echo_text(answer.question)
    for sentence in answer.sentences:
        echo_text(sentence)
    echo_remark(f"table and figures: {folder}")
