"""run, suites: suites that are there, measured and listed."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from lmbench.cli.completion import complete_corpus, complete_label, complete_suite
from lmbench.cli.options import (
    TokensType,
    echo_json,
    echo_remark,
    json_option,
    quiet_option,
    text_options,
    with_options,
)
from lmbench.cli.own_text import how_to_go_on, own_text
from lmbench.errors import InputError, number_of, printable, unknown

if TYPE_CHECKING:
    from lmbench.bench.suite import Suite


class Run(click.Command):
    """The command ``run``, whose help ends with the suites that come along and what they cost."""

    def format_epilog(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        from lmbench.bench.suite_file import built_in, load_suite

        suites = [(name, load_suite(name)) for name in built_in()]
        with formatter.section("Suites, by name in place of a file (default: default)"):
            formatter.write_dl(
                [(name, f"{suite.title}{suite.cost and f': {suite.cost}'}") for name, suite in suites]
            )


@click.command(cls=Run)
@click.argument("places", nargs=-1, metavar="[SUITE.toml | FILE...]", shell_complete=complete_suite)
@click.option(
    "--corpus",
    "corpora",
    multiple=True,
    metavar="NAME|FILE",
    shell_complete=complete_corpus,
    help="In place of the suite's corpora.",
)
@click.option(
    "--model",
    "models",
    multiple=True,
    metavar="LABEL",
    shell_complete=complete_label,
    help="Only these rows of the suite.",
)
@click.option("--out", type=click.Path(file_okay=False), help="The run directory; default reports/<suite>.")
@with_options(text_options)
@click.option("--seed", type=int, help="In place of the suite's seeds.")
@click.option(
    "--seeds", type=click.IntRange(min=1), metavar="N", help="So many seeds, from --seed (or 0) on."
)
@click.option("--jobs", type=click.IntRange(min=1), help="Models side by side; default one a core.")
@click.option(
    "--cluster", metavar="ADDRESS", help="The Dask scheduler whose workers measure; default $LMBENCH_CLUSTER."
)
@click.option(
    "--work",
    metavar="FOLDER",
    help="Where workers leave models and scores, if the run directory is not seen by all of them.",
)
@click.option(
    "--verify",
    type=TokensType(),
    metavar="N|all",
    help="Each model codes and decodes N tokens, or all of the test text; see `score --verify`.",
)
@click.option("--fresh", is_flag=True, help="Measures all anew.")
@click.option(
    "--fail-if-worse",
    metavar="RUN_DIR",
    help="Exits with 1 where a model lost beyond noise to RUN_DIR, or where nothing compares.",
)
@click.option(
    "--tolerance",
    type=click.FloatRange(min=0),
    metavar="BITS",
    help="With --fail-if-worse: losses below so many bits per character pass. Default 0.",
)
@click.option("--trust-code", is_flag=True, help="Runs code that a suite from elsewhere names.")
@click.option(
    "--trust-paths", is_flag=True, help="Lets a suite from elsewhere read files outside of its folder."
)
@click.option("--open", "show", is_flag=True, help="Opens the report in the browser when it is done.")
@json_option
@quiet_option
def run(
    places: tuple[str, ...],
    corpora: tuple[str, ...],
    models: tuple[str, ...],
    out: str | None,
    normalise: str | None,
    documents: str | None,
    field: str | None,
    seed: int | None,
    seeds: int | None,
    jobs: int | None,
    cluster: str | None,
    work: str | None,
    verify: int | Literal["all"] | None,
    fresh: bool,
    fail_if_worse: str | None,
    tolerance: float | None,
    trust_code: bool,
    trust_paths: bool,
    show: bool,
    as_json: bool,
    quiet: bool,
) -> int:
    """Trains and scores a suite's models, or the default ones on a text of your own, and writes the report.

    Without arguments: the suite `default` on the text that comes along, in about two minutes of two cores; `lmbench
    suites` lists the others. FILE may be a text, several, a directory, a glob pattern, - or a corpus; .gz, .bz2, .xz and
    .zst are unpacked, and each row of .jsonl and .parquet is a document. What is tested on is dealt or cut off, and said.
    """
    from lmbench.bench.suite_file import load_suite

    if number_of("WORLD_SIZE", 1) > 1:
        raise InputError(
            "torchrun is for `lmbench fit`; a suite's models go side by side (--jobs, --cluster)"
        )
    own = not _is_suite(places)
    if own and corpora:
        raise InputError(
            f"--corpus takes the place of a suite's corpora; give {', '.join(corpora)} beside {places[0]}, without it"
        )
    said: list[str] = []
    if own:
        chosen, said = own_text(places, out, normalise, documents, field)
    elif normalise or documents or field:
        raise InputError(
            "--normalise, --documents and --field are of texts; a suite says them at its corpora"
        )
    else:
        chosen = load_suite(places[0] if places else "default", trust_code, trust_paths)
    for sentence in said:
        echo_remark(sentence)
    chosen = chosen.narrowed(list(corpora), list(models), seed, seeds)
    if verify is not None:
        chosen.verify = verify
    folder = Path(out or Path("reports") / chosen.name)
    if fail_if_worse is not None:
        _check_baseline(Path(fail_if_worse), folder, chosen)
    elif tolerance is not None:
        raise InputError("--tolerance is of --fail-if-worse; name the run to compare with, too")
    cores = os.cpu_count() or 1
    jobs = jobs or cores
    # With one job this process trains; else it reads and draws, and the workers divide the cores.
    os.environ.setdefault("OMP_NUM_THREADS", str(cores if jobs == 1 else 1))

    from lmbench import report
    from lmbench.bench.run import Interrupted, run_suite
    from lmbench.cli.past import show_report
    from lmbench.cli.progress import progress_bars
    from lmbench.cli.run_progress import RunWatch
    from lmbench.cli.tables import print_splits, terminal

    interrupted = False
    with progress_bars(quiet) as bars:
        try:
            results = run_suite(
                chosen,
                folder,
                fresh=fresh,
                jobs=jobs,
                watch=RunWatch(bars, quiet),
                cluster=cluster,
                work=work,
            )
        except Interrupted as stopped:
            if stopped.results is None:
                return 130
            results, interrupted = stopped.results, True
    if as_json:
        echo_json((folder / "results.json").read_text(encoding="utf-8").rstrip("\n"))
    else:
        terminal().print(report.terminal_table(results))
        for splits in results.splits:
            print_splits(splits)
    echo_remark(f"report: {printable(str(folder / 'report.html'))}")
    if show:
        show_report(folder)
    failed = [row for row in results.results if row.status != "ok"]
    for row in failed:
        echo_remark(f"lmbench: {row.corpus} {row.label} {row.status}")
    if interrupted:
        echo_remark("lmbench: interrupted; run the same command again for the rest")
        return 130
    if own:
        how_to_go_on(places, field, folder, chosen.studies)
    passed = fail_if_worse is None or _passes(Path(fail_if_worse), folder, tolerance or 0.0)
    return 1 if failed or not passed else 0


def _is_suite(places: Sequence[str]) -> bool:
    """Whether the arguments are a suite: none, a name, or a TOML file that is no description of a corpus."""
    from lmbench.bench.suite_file import built_in
    from lmbench.corpora.descriptions import registry
    from lmbench.storage.plain import toml_of

    if len(places) > 1:
        if suites := [place for place in places if place in built_in()]:
            raise InputError(f"{suites[0]} is a suite; give one suite, or texts alone")
        return False
    if not places or places[0] in built_in():
        return True
    if places[0].endswith(".toml") and Path(places[0]).exists():
        tables = toml_of(places[0])
        return not tables.keys() & {"files", "source"}
    if places[0].endswith(".toml"):
        return True
    if places[0] in registry() or any(mark in places[0] for mark in "./*?[-") or Path(places[0]).exists():
        return False
    raise unknown("suite, corpus or file", places[0], [*built_in(), *registry()])


@click.command()
@json_option
def suites(as_json: bool) -> None:
    """Lists the suites that come along, with their texts and what they cost."""
    from lmbench.bench.suite_file import built_in, load_suite
    from lmbench.cli.tables import print_table

    loaded = {name: load_suite(name) for name in built_in()}
    rows: list[dict[str, Any]] = [
        {
            "name": name,
            "title": suite.title,
            "cost": suite.cost,
            "corpora": [spec.name for spec in suite.corpus_specs()],
            "models": [row.label for row in suite.models],
        }
        for name, suite in loaded.items()
    ]
    if as_json:
        echo_json(json.dumps({"suites": rows}, ensure_ascii=False))
        return
    heads = [("suite", False), ("models", True), ("texts", False), ("takes", False), ("what", False)]
    body = [
        [row["name"], str(len(row["models"])), ", ".join(row["corpora"]), row["cost"], row["title"]]
        for row in rows
    ]
    print_table(heads, body)


def _check_baseline(baseline: Path, folder: Path, suite: Suite) -> None:
    """Raises InputError where a run cannot be compared with the baseline, before anything is trained."""
    from lmbench.results.diff import scored_rows

    if baseline.resolve() == folder.resolve():
        raise InputError(f"{baseline} is the folder of this run, too; give another --out")
    labels = [row.label for row in suite.models] + [row.label for row in suite.external]
    names = [spec.name for spec in suite.corpus_specs()]
    baseline_rows = scored_rows(baseline)
    if not any((corpus, label) in baseline_rows for corpus in names for label in labels):
        names_there = ", ".join(sorted({f"{label} on {corpus}" for corpus, label in baseline_rows})[:5])
        raise InputError(
            f"nothing of this run stands in {baseline}, which has {names_there}; rows are matched by names"
        )


def _passes(baseline: Path, folder: Path, tolerance: float) -> bool:
    """Whether no model became worse beyond noise by ``tolerance`` or more, and something was compared; says what came of it."""
    from lmbench.results.diff import diff_runs

    changes = diff_runs(baseline, folder, tolerance)
    worse = [row for row in changes.compared if row.moved > 0 and row.worthwhile]
    for row in worse:
        echo_remark(
            f"lmbench: worse than {baseline}: {row.corpus} {row.label} "
            f"by {row.difference_bits_per_char:.4f} bits per character",
        )
    if not changes.compared:
        reasons = "; ".join(dict.fromkeys(f"{row.label}: {row.reason}" for row in changes.models[:5]))
        echo_remark(f"lmbench: nothing was compared with {baseline} ({reasons})")
        return False
    if not worse:
        count = len(changes.compared)
        echo_remark(f"not worse than {baseline} beyond noise: {count} {'model' if count == 1 else 'models'}")
    return not worse
