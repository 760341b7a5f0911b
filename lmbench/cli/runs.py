"""run, study, export, diff: whole suites and questions."""

from __future__ import annotations

import json
import os
from pathlib import Path

import click

from lmbench.cli.options import field_option, json_option, key_values, quiet_option, text_of
from lmbench.errors import InputError, unknown
from lmbench.storage.files import write_whole


@click.command()
@click.argument("suite", default="default", metavar="[SUITE.toml]")
@click.option("--corpus", "corpora", multiple=True, metavar="NAME", help="In place of the suite's corpora.")
@click.option("--model", "models", multiple=True, metavar="LABEL", help="Only these rows of the suite.")
@click.option("--out", type=click.Path(file_okay=False), help="The run directory; default reports/<suite>.")
@click.option("--seed", type=int, help="In place of the suite's seeds.")
@click.option(
    "--seeds", type=click.IntRange(min=1), metavar="N", help="So many seeds, from --seed (or 0) on."
)
@click.option("--jobs", type=click.IntRange(min=1), help="Models side by side; default one a core.")
@click.option(
    "--verify", type=int, metavar="N", help="Each model codes and decodes N tokens; see `score --verify`."
)
@click.option("--fresh", is_flag=True, help="Measures all anew.")
@click.option(
    "--fail-if-worse", metavar="RUN_DIR", help="Exits with 1 where a model lost beyond noise to RUN_DIR."
)
@quiet_option
def run(
    suite: str,
    corpora: tuple[str, ...],
    models: tuple[str, ...],
    out: str | None,
    seed: int | None,
    seeds: int | None,
    jobs: int | None,
    verify: int | None,
    fresh: bool,
    fail_if_worse: str | None,
    quiet: bool,
) -> int:
    """Trains and scores a suite's models, and writes the report."""
    from lmbench.bench.suite_file import load_suite

    chosen = load_suite(suite).narrowed(list(corpora), list(models), seed, seeds)
    if verify is not None:
        chosen.verify = verify
    folder = Path(out or Path("reports") / chosen.name)
    cores = os.cpu_count() or 1
    jobs = jobs or cores
    # With one job this process trains; else it reads and draws, and the workers divide the cores.
    os.environ.setdefault("OMP_NUM_THREADS", str(cores if jobs == 1 else 1))

    from lmbench.bench.runner import run_suite
    from lmbench.cli.progress import RunWatch, fit_monitor, progress_bars

    with progress_bars(quiet) as bars:
        outcome = run_suite(chosen, folder, fresh, jobs, RunWatch(bars, quiet))
    if not outcome.runs and outcome.interrupted:
        return 130

    import msgspec
    from rich.console import Console

    from lmbench import report
    from lmbench.results.file import write_results
    from lmbench.results.schema import StudyResult
    from lmbench.results.views import views_of
    from lmbench.studies.answers import answer_all

    results, charts = outcome.results()
    if chosen.studies and not outcome.interrupted:
        with fit_monitor("studies", quiet) as monitor:
            for answer in answer_all(
                chosen.studies, outcome.corpora, folder, chosen.seeds[0], fresh, monitor
            ):
                reported, figures = answer.reported()
                results.studies.append(msgspec.convert(reported, StudyResult))
                charts += figures
    write_results(results, folder)
    report.write(folder, results, charts, views_of(outcome.corpora, outcome.runs, outcome.scorer_of))
    Console().print(report.terminal_table(results))
    click.echo(f"report: {folder / 'report.html'}", err=True)
    for cell, why in outcome.failures:
        click.echo(f"lmbench: {cell.corpus.name} {cell.label} failed: {why}", err=True)
    if outcome.interrupted:
        click.echo("lmbench: interrupted; run the same command again for the rest", err=True)
        return 130
    worse = _worse(Path(fail_if_worse), folder) if fail_if_worse else []
    for line in worse:
        click.echo(f"lmbench: worse than {fail_if_worse}: {line}", err=True)
    return 1 if outcome.failures or worse else 0


def _worse(baseline: Path, folder: Path) -> list[str]:
    from lmbench.results.diff import diff_runs

    return [
        f"{row.corpus} {row.label} by {row.difference_bits_per_char:.4f} bits per character"
        for row in diff_runs(baseline, folder).models
        if row.moved > 0
    ]


@click.command()
@click.argument("name", required=False)
@click.option(
    "--corpus",
    "corpus_names",
    metavar="NAME|FILE",
    multiple=True,
    help="The text to ask it of, or several files. Default: python-docs.",
)
@field_option
@click.option("-o", "options", metavar="KEY=VALUE", multiple=True, help="An option of the study.")
@click.option("--csv", "csv_file", metavar="FILE", help="For `sequence`: a series of your own.")
@click.option("--column", metavar="NAME", help="The column of --csv.")
@click.option("--full", is_flag=True, help="The long version.")
@click.option("--seed", type=int, default=0, show_default=True)
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
    from lmbench.studies import STUDIES, run_study, study_function

    if name is None:
        if as_json:
            told = [{"name": key, "question": question} for key, (_, question) in STUDIES.items()]
            click.echo(json.dumps({"studies": told}, ensure_ascii=False))
            return
        for key, (_, question) in STUDIES.items():
            click.echo(f"{key:<15} {question}")
        return
    study_function(name)
    given = {
        **key_values(options),
        **{k: v for k, v in (("csv", csv_file), ("column", column)) if v is not None},
    }
    os.environ.setdefault("OMP_NUM_THREADS", "1")

    from lmbench.charts.draw import draw
    from lmbench.cli.progress import fit_monitor
    from lmbench.studies.answers import Answer

    corpus = text_of(corpus_names or ("python-docs",), field=field)
    with fit_monitor(name, quiet or as_json) as monitor:
        found = run_study(name, corpus, seed=seed, full=full, monitor=monitor, **given)
    folder = Path(out or Path("reports") / f"study-{name}-{corpus.name}")
    answer = Answer.of(found, corpus, seed, full)
    answer.write(folder)
    for chart in answer.charts:
        png, svg = draw(chart)
        write_whole(folder / f"{chart.name}.png", png)
        write_whole(folder / f"{chart.name}.svg", svg)
    if as_json:
        click.echo(json.dumps(answer.told, ensure_ascii=False))
        return
    click.echo(found.question)
    for sentence in found.sentences:
        click.echo(sentence)
    click.echo(f"table and figures: {folder}", err=True)


@click.command()
@click.argument("folder", metavar="RUN_DIR", type=click.Path(path_type=Path))
@click.option(
    "--format", "form", type=click.Choice(["latex", "markdown", "csv"]), default="markdown", show_default=True
)
@click.option("--corpus", "chosen", multiple=True, metavar="NAME", help="Only these corpora.")
@click.option(
    "--columns", metavar="NAME,NAME", help="`leaderboard`, `cost`, or columns by name (latex and markdown)."
)
@click.option("--out", metavar="FILE", help="Writes the tables to FILE, not to stdout.")
def export(folder: Path, form: str, chosen: tuple[str, ...], columns: str | None, out: str | None) -> None:
    """Writes a run's leaderboards as a table for a paper, a page or a spreadsheet."""
    from lmbench import report
    from lmbench.report.columns import columns_named
    from lmbench.results.file import read_results

    results = read_results(folder)
    known = [corpus.name for corpus in results.corpora]
    for name in chosen:
        if name not in known:
            raise unknown(f"corpus of {folder}", name, known)
    names = [name for name in known if name in (chosen or known)]
    if form == "csv" and columns is not None:
        raise InputError("a CSV file has every column; leave --columns out, or choose --format markdown")
    told = columns_named(columns or "leaderboard")
    if form == "csv":
        text = report.leaderboard_csv(results, names)
    elif form == "latex":
        text = "\n".join(f"% {name}\n{report.leaderboard_latex(results, name, told)}" for name in names)
    else:
        text = "\n".join(
            f"### {name}\n\n{report.leaderboard_markdown(results, name, told)}" for name in names
        )
    if out is None:
        click.echo(text, nl=False)
    else:
        write_whole(out, text)
        click.echo(f"{form}: {out}", err=True)


@click.command()
@click.argument("before", metavar="RUN_DIR", type=click.Path())
@click.argument("after", metavar="RUN_DIR", type=click.Path())
@click.option("--html", "page", metavar="FILE", help="Writes the table as a page, too.")
@json_option
def diff(before: str, after: str, page: str | None, as_json: bool) -> None:
    """Which numbers moved from one run to another, which beyond noise, and which do not compare."""
    from lmbench.results.diff import diff_runs

    if Path(before).resolve() == Path(after).resolve():
        raise InputError(f"{before} is given twice; name two run directories")
    found = diff_runs(Path(before), Path(after))
    if page is not None:
        from lmbench.report import write_changes

        write_changes(page, found)
        click.echo(f"page: {page}", err=True)
    if as_json:
        import msgspec

        click.echo(msgspec.json.encode(found).decode())
        return
    from lmbench.report.formats import bits_text, finite_interval

    if found.trained_otherwise:
        names = ", ".join(dict.fromkeys(row.label for row in found.trained_otherwise))
        click.echo(f"trained on different texts, which alone may move them: {names}")
    click.echo(f"{'corpus':<16} {'model':<24} {'before':>8} {'after':>8} {'moved':>9}  95% interval")
    for row in found.models:
        one, other = (bits_text(value, 4) for value in (row.before, row.after))
        line = f"{row.corpus:<16} {row.label:<24} {one:>8} {other:>8}"
        if row.reason is not None:
            click.echo(f"{line}  {row.reason}")
            continue
        ends = finite_interval(row.ci95)
        interval = "" if ends is None else f"{ends[0]:+.4f} to {ends[1]:+.4f}"
        mark = "  beyond noise" if row.beyond_noise else ""
        click.echo(f"{line} {row.difference_bits_per_char:>+9.4f}  {interval}{mark}")
    for key, (before_it, after_it) in found.environment.items():
        click.echo(f"{key}: {before_it} -> {after_it}", err=True)
