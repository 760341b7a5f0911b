"""harness-tasks: a user's own texts, pairs and questions as tasks of lm-evaluation-harness."""

from __future__ import annotations

import click

from lmbench.cli.options import echo_remark, echo_text, field_option
from lmbench.text.canonical import DOCUMENTS


@click.command("harness-tasks")
@click.option(
    "--out", metavar="DIRECTORY", default="tasks", show_default=True, help="The folder for --include_path."
)
@click.option("--name", metavar="NAME", help="Of the task. Default: the file's.")
@click.option(
    "--documents",
    type=click.Choice(DOCUMENTS),
    default="stream",
    show_default=True,
    help="Of a text: what a document is.",
)
@click.option(
    "--group", metavar="FIELD", help="Of pairs and questions: the field that says what an item belongs to."
)
@field_option
@click.argument("place", metavar="FILE|FOLDER")
def harness_tasks(
    out: str, name: str | None, documents: str, group: str | None, field: str | None, place: str
) -> None:
    """Writes a text, minimal pairs or questions as a task of lm-evaluation-harness."""
    import re

    from lmbench.corpora.formats import stem_of
    from lmbench.scoring.harness_tasks import write_task

    task = name or re.sub(r"[^A-Za-z0-9_-]+", "_", stem_of(place))
    echo_text(str(write_task(place, out, task, field=field, documents=documents, group=group)))
    echo_remark(
        f"run it: lm_eval --model hf --model_args pretrained=NAME --include_path {out} --tasks {task} "
        "--log_samples --output_path OUT",
    )
