"""The report: figures, report.html and report.md from finished results; leaderboards in other formats.

Nothing here computes a statistic, and importing this loads neither matplotlib nor jinja2.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from lmbench.charts.chart import Chart
from lmbench.errors import InputError, printable
from lmbench.report.columns import PLAIN
from lmbench.report.grid import Errors, grid
from lmbench.report.grid_tables import grid_csv, grid_latex, grid_markdown, grid_typst
from lmbench.report.ranking import labels
from lmbench.report.tables import (
    leaderboard_csv,
    leaderboard_latex,
    leaderboard_markdown,
    leaderboard_typst,
    markdown_text,
    terminal_table,
)
from lmbench.results.diff import Changes
from lmbench.results.schema import Results
from lmbench.results.views import Views
from lmbench.storage.files import write_whole
from lmbench.storage.plain import json_of
from lmbench.storage.tasks import Here, Run

__all__ = [
    "leaderboard_csv",
    "leaderboard_latex",
    "leaderboard_markdown",
    "leaderboard_table",
    "leaderboard_typst",
    "terminal_table",
    "wide_table",
    "write",
    "write_changes",
    "write_pdf",
]

CHARTS = "charts.json"
FEW_FIGURES = 6  # that a process draws in the time in which another one would start to
# The names of a run's figures, whose files alone are ever removed.
OURS = re.compile(r"(ranks|(bits|quality|size|learning|zipf|study)-.+)\.(png|svg)")


def write(
    out_dir: str | Path,
    results: Results,
    charts: Sequence[Chart] = (),
    views: Views | None = None,
    run: Run | None = None,
    progress: Callable[[float, float, str], None] = lambda done, total, note: None,
) -> list[Path]:
    """Writes figures/*.png, figures/*.svg, results.csv, report.md and report.html; returns their paths.

    figures/charts.json holds what the figures show, as numbers; ``write_pdf`` draws from it. Figures that an earlier report left there, and this one has not, are removed.

    charts: figures beside those that the results themselves hold (one of the same name takes their place); the first
    part of a name says where it stands: ``zipf-``, ``heaps-``, ``learning-``, ``quality-``, ``size-``, else last.
    run: where many figures are drawn, default here. Raises InputError where a file cannot be written.
    """
    from lmbench.charts import draw as figures
    from lmbench.report import charts as selection
    from lmbench.report import page

    out_dir, views = Path(out_dir), views or Views()
    shown = {chart.name: chart for chart in (*selection.charts(results), *charts)}
    colours = labels(results)
    written: list[Path] = []
    files: dict[str, str] = {}
    drawn: dict[int, figures.Drawn] = {}
    tasks = run if run is not None and len(shown) > FEW_FIGURES * run.jobs else Here()
    for number, one in tasks(figures.draw_all, [(chart, colours) for chart in shown.values()]):
        drawn[number] = one
        progress(len(drawn), len(shown) + 1, "figures")
    for number, chart in enumerate(shown.values()):
        name = selection.file_name(chart.name)
        while f"figures/{name}.png" in files.values():
            name += "-more"
        files[chart.name] = f"figures/{name}.png"
        png, svg = out_dir / files[chart.name], out_dir / f"figures/{name}.svg"
        for path, data in ((png, drawn[number].png), (svg, drawn[number].svg)):
            write_whole(path, data)
            written.append(path)
    panels = [drawn[number].panels for number in range(len(shown))]
    numbers = msgspec.json.encode(list(shown.values()), enc_hook=lambda array: array.tolist()).decode()
    for path, text in (
        (out_dir / "figures" / CHARTS, numbers),
        (out_dir / "report.md", page.markdown(results, files, list(shown.values()), views)),
        (out_dir / "results.csv", leaderboard_csv(results)),
        (out_dir / "report.html", page.html(results, list(shown.values()), views, panels)),
    ):
        write_whole(path, text)
        written.append(path)
    for path in (out_dir / "figures").glob("*.*"):
        if path not in written and OURS.fullmatch(path.name):
            path.unlink()
    return written


def write_pdf(folder: Path, results: Results, out: Path) -> list[Path]:
    """Draws every figure of a finished run as PDF, from folder/figures/charts.json; returns the files.

    A run of an earlier version has none: then those figures that ``results`` alone can give.
    """
    from lmbench.charts.draw import draw_pdf
    from lmbench.report import charts as selection

    stored = folder / "figures" / CHARTS
    try:
        charts = json_of(stored.read_bytes(), list[Chart]) if stored.is_file() else None
    except ValueError as error:
        raise InputError(f"{stored}: {error}; run the suite again, its scores are kept") from None
    for chart in charts or ():
        if chart.fault:
            raise InputError(f"{stored}: {chart.fault}; run the suite again, its scores are kept")
    order = labels(results)
    written = []
    for chart in selection.charts(results) if charts is None else charts:
        written.append(out / f"{selection.file_name(chart.name)}.pdf")
        write_whole(written[-1], draw_pdf(chart, order))
    return written


def leaderboard_table(results: Results, form: str, corpus: str, columns: Sequence[str] = PLAIN) -> str:
    """A corpus's leaderboard with its name. form: ``latex``, ``markdown`` or ``typst``. columns: of ``COLUMNS``."""
    if form == "latex":
        return f"% {printable(corpus)}\n{leaderboard_latex(results, corpus, columns)}"
    if form == "typst":
        return f"// {printable(corpus)}\n{leaderboard_typst(results, corpus, columns)}"
    return f"### {markdown_text(corpus)}\n\n{leaderboard_markdown(results, corpus, columns)}"


def wide_table(
    results: Results,
    form: str,
    corpora: Sequence[str] | None = None,
    metric: str = "bits",
    errors: Errors = "none",
    caption: str | None = None,
    label: str | None = None,
) -> str:
    """Models by corpora, the best of each column bold: what ``lmbench export --wide`` writes.

    form: ``latex`` (booktabs), ``typst``, ``markdown`` or ``csv``. corpora: default all. metric: ``bits`` (per character), ``byte``,
    ``word``, ``perplexity``. errors: ``seeds`` (± over seeds of training), ``interval`` (95%), ``none``. caption, label: of LaTeX and
    Typst.
    """
    table = grid(results, corpora, metric, errors)
    if form == "latex":
        return grid_latex(table, caption, label)
    if form == "typst":
        return grid_typst(table, caption, label)
    return grid_csv(table) if form == "csv" else grid_markdown(table)


def write_changes(path: str | Path, changes: Changes) -> None:
    """Writes what ``diff_runs`` tells as one self-contained page. Raises InputError where it cannot be written."""
    from lmbench.report.diff_page import changes_html

    write_whole(path, changes_html(changes))
