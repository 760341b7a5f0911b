"""export, diff: runs that are finished, as tables and side by side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from lmbench.cli.options import echo_json, echo_remark, echo_text, json_option, tolerance_option
from lmbench.errors import InputError, printable, unknown
from lmbench.storage.files import write_whole

if TYPE_CHECKING:
    from lmbench.report.grid import Errors
    from lmbench.results.schema import Results

FORMATS = ("latex", "markdown", "typst")
METRICS = ("bits", "byte", "word", "perplexity")  # of report.grid, which is slow to import


@click.command()
@click.argument("folder", metavar="RUN_DIR", type=click.Path(path_type=Path))
@click.option(
    "--format", "form", type=click.Choice([*FORMATS, "csv", "pdf"]), default="markdown", show_default=True
)
@click.option("--corpus", "chosen", multiple=True, metavar="NAME", help="Only these corpora.")
@click.option(
    "--columns", metavar="NAME,NAME", help="`leaderboard`, `cost`, or columns by name, of a table a corpus."
)
@click.option("--wide", is_flag=True, help="One table, models by corpora, the best of each column bold.")
@click.option("--metric", type=click.Choice(METRICS), help="With --wide: what it shows. Default bits.")
@click.option(
    "--errors",
    type=click.Choice(["none", "seeds", "interval"]),
    help="With --wide: ± over seeds of training, or the 95% interval. Default none.",
)
@click.option("--caption", metavar="TEXT", help="With --wide in LaTeX or Typst, which read it as their own.")
@click.option("--label", metavar="KEY", help="With --wide in LaTeX or Typst. Default tab:lmbench.")
@click.option("--out", metavar="FILE", help="Writes to FILE, not to stdout; of pdf: the folder.")
def export(
    folder: Path,
    form: str,
    chosen: tuple[str, ...],
    columns: str | None,
    wide: bool,
    metric: str | None,
    errors: Errors | None,
    caption: str | None,
    label: str | None,
    out: str | None,
) -> None:
    """Writes a run's leaderboards as a table for a paper, a page or a spreadsheet, or its figures as PDF."""
    from lmbench import report
    from lmbench.report.columns import columns_named
    from lmbench.results.file import read_results

    results = read_results(folder)
    all_names = [corpus.name for corpus in results.corpora]
    for name in chosen:
        if name not in all_names:
            raise unknown(f"corpus of {folder}", name, all_names)
    names = [name for name in all_names if name in (chosen or all_names)]
    if not wide and (metric or errors or caption or label):
        raise InputError("--metric, --errors, --caption and --label are of --wide; give it, too")
    if (caption or label) and form not in ("latex", "typst"):
        raise InputError(f"--caption and --label are of latex and typst; {form} has neither")
    if columns is not None and (wide or form in ("csv", "pdf")):
        raise InputError(
            "--columns is of a table a corpus in latex, markdown or typst; a CSV file has every column"
        )
    if form == "pdf":
        _figures(folder, results, Path(out or folder / "figures"))
        return
    shown_columns = columns_named(columns or "leaderboard")
    if wide:
        text = report.wide_table(results, form, names, metric or "bits", errors or "none", caption, label)
    elif form == "csv":
        text = report.leaderboard_csv(results, names)
    else:
        text = "\n".join(report.leaderboard_table(results, form, name, shown_columns) for name in names)
    if out is None:
        echo_text(text, nl=False)
    else:
        write_whole(out, text)
        echo_remark(f"{form}: {out}")


def _figures(folder: Path, results: Results, out: Path) -> None:
    """Every figure of a run as PDF."""
    from lmbench import report
    from lmbench.storage.names import check_within

    if out == folder / "figures":
        check_within(folder, out / "figure")
    for path in report.write_pdf(folder, results, out):
        echo_text(str(path))


@click.command()
@click.argument("before", metavar="RUN_DIR", type=click.Path())
@click.argument("after", metavar="RUN_DIR", type=click.Path())
@click.option("--html", "page", metavar="FILE", help="Writes the table as a page, too.")
@click.option("--markdown", is_flag=True, help="Prints Markdown, for a pull request.")
@tolerance_option
@json_option
def diff(
    before: str, after: str, page: str | None, markdown: bool, tolerance: float | None, as_json: bool
) -> None:
    """Which numbers moved from one run to another, which beyond noise, and which do not compare."""
    from lmbench.comparing.pairs import WORTHWHILE
    from lmbench.results.diff import diff_runs

    if Path(before).resolve() == Path(after).resolve():
        raise InputError(f"{before} is given twice; name two run directories")
    changes = diff_runs(Path(before), Path(after), WORTHWHILE if tolerance is None else tolerance)
    if page is not None:
        from lmbench.report import write_changes

        write_changes(page, changes)
        echo_remark(f"page: {page}")
    if as_json:
        import msgspec

        echo_json(msgspec.json.encode(changes).decode())
        return
    from lmbench.cli.tables import print_table
    from lmbench.report.diff_page import changes_answer, changes_markdown
    from lmbench.report.formats import bits_text, finite_interval

    if markdown:
        echo_text(changes_markdown(changes), nl=False)
        return
    if changes.trained_otherwise:
        names = ", ".join(dict.fromkeys(row.label for row in changes.trained_otherwise))
        echo_text(printable(f"trained on different texts, which alone may move them: {names}"))
    columns = [("corpus", False), ("model", False), ("before", True), ("after", True), ("moved", True)]
    rows = []
    for row in changes.models:
        ends = finite_interval(row.ci95)
        rows.append(
            [
                *(row.corpus, row.label, bits_text(row.before, 4), bits_text(row.after, 4)),
                "" if row.reason is not None else f"{row.difference_bits_per_char:+.4f}",
                "" if ends is None else f"{ends[0]:+.4f} to {ends[1]:+.4f}",
                row.verdict,
            ]
        )
    print_table([*columns, ("95% interval", True), ("", False)], rows)
    echo_text(printable(changes_answer(changes)))
    for field, (was, became) in changes.environment.items():
        echo_remark(f"{field}: {was} -> {became}")
