"""The command line. Results go to stdout, progress and warnings to stderr; what is heavy is imported when needed."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from lmbench import __version__
from lmbench.files import InputError, unknown, write_whole
from lmbench.text import DOCUMENTS, NORMALISERS, UNITS

if TYPE_CHECKING:
    from lmbench.corpus import Corpus
    from lmbench.scores import Run, Scorer

Function = TypeVar("Function", bound=Callable[..., Any])
unit_option = click.option("--unit", type=click.Choice(list(UNITS)), default="char", show_default=True)
text_options = (
    click.option("--normalise", type=click.Choice(list(NORMALISERS)), help="Default: none; a corpus's own."),
    click.option("--documents", type=click.Choice(DOCUMENTS), help="Default: stream; a corpus's own."),
)
model_options = (
    click.option("--model", "name", metavar="NAME", help="`lmbench models` lists them."),
    click.option("-o", "options", metavar="KEY=VALUE", multiple=True, help="An option of the model."),
    click.option("--train", metavar="FILE|CORPUS", help="A file, a directory, a glob pattern or a corpus."),
    click.option("--valid", metavar="FILE", help="Held-out text for the model's settings."),
    unit_option,
    *text_options,
    click.option("--seed", type=int, default=0, show_default=True),
)
json_option = click.option("--json", "as_json", is_flag=True, help="One JSON object and nothing else.")
quiet_option = click.option("--quiet", is_flag=True, help="No progress.")


def _with(options: Sequence[Callable[[Function], Function]]) -> Callable[[Function], Function]:
    def decorate(function: Function) -> Function:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="lmbench")
def lmbench() -> None:
    """Compares language models on the same text and tells the truth about them."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command; returns the exit status: 0 done, 1 a model failed, 2 wrong input, 130 interrupted."""
    try:
        result = lmbench.main(argv, prog_name="lmbench", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return 2
    except click.ClickException as error:
        message = " ".join(error.format_message().split())
        where = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else "lmbench"
        click.echo(f"lmbench: {message} (see `{where} --help`)", err=True)
        return 2
    except InputError as error:
        click.echo(f"lmbench: {error}", err=True)
        return 2
    except (KeyboardInterrupt, click.Abort):
        click.echo("lmbench: interrupted; what was done is kept", err=True)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except MemoryError:
        click.echo("lmbench: not enough memory; a smaller order, hidden size or text needs less", err=True)
        return 2


# Text and models of the command line ------------------------------------------------------------------


def _corpus(
    train: str | None, valid: str | None, test: str | None, normalise: str | None, documents: str | None
) -> Corpus:
    """The corpus that --train, --valid and --test describe; a corpus's own split stands in for what is left out."""
    from dataclasses import replace

    from lmbench.corpus import Corpus, files_of, load_corpus, read_canonical, registry

    if train is None:
        raise InputError("--train is missing; give a text file or a corpus (`lmbench corpora list`)")
    if train in registry() or (train.endswith(".toml") and Path(train).is_file()):
        corpus = load_corpus(train, normalise, documents)
        given = {
            split: read_canonical(files_of(path), corpus.normalise, corpus.documents)
            for split, path in (("valid", valid), ("test", test))
            if path is not None
        }
        return replace(corpus, **given, _encoded={})  # type: ignore[arg-type]
    return Corpus.from_files(train, valid, test, normalise or "none", documents or "stream")


def _options(pairs: Sequence[str]) -> dict[str, str]:
    options = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise InputError(f"-o {pair} is not KEY=VALUE, for instance -o order=3")
        options[key] = value
    return options


def _fit(
    name: str, options: Sequence[str], corpus: Corpus, unit: str, seed: int, quiet: bool
) -> tuple[Scorer, float]:
    """Fits a model, and before it the models that it combines (by their names, with their defaults)."""
    import time

    from lmbench.display import fit_monitor
    from lmbench.models import make_model
    from lmbench.scores import Scorer

    model = make_model(name, **_options(options))
    parts = [_fit(label, (), corpus, unit, seed, quiet)[0] for label in model.component_labels]
    if corpus.valid is None and model.needs_valid:
        raise AssertionError("the caller holds text out")
    began = time.perf_counter()
    with fit_monitor(name, quiet) as monitor:
        scorer = Scorer.fit(model, corpus, unit, seed, monitor, parts)
    for note in model.notes:
        click.echo(f"{name}: {note}", err=True)
    return scorer, time.perf_counter() - began


def _held_out(name: str, options: Sequence[str], corpus: Corpus) -> Corpus:
    """The corpus, with a tenth of the training text held out where a model needs it and none was given."""
    from lmbench.models import make_model

    queue = [make_model(name, **_options(options))]
    while queue:
        model = queue.pop()
        if model.needs_valid and corpus.valid is None:
            click.echo(
                "no --valid given: the last tenth of the training text is held out for the settings", err=True
            )
            return corpus.with_held_out()
        queue += [make_model(label) for label in model.component_labels]
    return corpus


def _need(name: str | None) -> str:
    if name is None:
        raise InputError("--model is missing; `lmbench models` lists the names")
    return name


# score, fit, generate ---------------------------------------------------------------------------------


@lmbench.command()
@_with(model_options)
@click.option("--load", "saved", metavar="MODEL", help="A model that `lmbench fit --save` wrote.")
@click.option("--test", metavar="FILE", help="The text to score.")
@click.option("--tokens", "tokens_file", metavar="FILE.tsv", help="Writes a row a token.")
@json_option
@quiet_option
def score(
    name: str | None,
    options: tuple[str, ...],
    train: str | None,
    valid: str | None,
    unit: str,
    normalise: str | None,
    documents: str | None,
    seed: int,
    saved: str | None,
    test: str | None,
    tokens_file: str | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Scores a text with one model, trained on the spot or loaded."""
    from dataclasses import replace

    from lmbench.bench import score_run
    from lmbench.corpus import Corpus, files_of, read_canonical
    from lmbench.results import plain, result_of
    from lmbench.scores import Scorer

    if saved is not None:
        if name or train:
            raise InputError("--load brings its own model; leave --model and --train out")
        if test is None:
            raise InputError("--test is missing; give the text to score")
        scorer, fit_seconds = Scorer.load(saved), None
        text = read_canonical(files_of(test), scorer.normalise, scorer.documents)
        corpus = Corpus(Path(test).stem, text, None, text, scorer.normalise, scorer.documents)
    else:
        corpus = _corpus(train, valid, test, normalise, documents)
        corpus.text("test")
        corpus = _held_out(_need(name), options, corpus)
        scorer, fit_seconds = _fit(_need(name), options, corpus, unit, seed, quiet or as_json)
    run = score_run(scorer, corpus, scorer.model.name, seed)
    run = replace(run, facts={**run.facts, "fit_seconds": fit_seconds})
    if tokens_file is not None:
        _write_tokens(Path(tokens_file), scorer, corpus, run)
    result = plain(result_of(run))
    if as_json:
        click.echo(json.dumps(result, ensure_ascii=False))
    else:
        click.echo(_score_text(result))


def _score_text(result: dict[str, Any]) -> str:
    low, high = result["ci95"]
    interval = f"  (95%: {_number(low)} to {_number(high)})" if low is not None else ""
    lines = [
        ("model", f"{result['model']} by {result['unit']}, {result['vocab_size']:,} types"),
        (
            "text",
            f"{result['chars']:,} characters, {result['tokens']:,} tokens, {result['oov']:,} out of vocabulary",
        ),
        ("bits per char", f"{_number(result['bits_per_char'])}{interval}"),
        ("bits per byte", _number(result["bits_per_byte"])),
        ("bits per word", _number(result["bits_per_word"])),
        ("perplexity", f"{_number(result['perplexity'])}  (within this vocabulary alone)"),
        ("without unknown", _number(result["perplexity_excluding_oov"])),
        ("size", f"{result['parameters']:,} numbers, {result['model_bytes']:,} bytes"),
        ("signature", result["signature"]),
    ]
    return "\n".join(f"{name:<16} {value}" for name, value in lines)


def _number(value: float | None) -> str:
    return "infinite" if value is None else f"{value:.4f}" if value < 1000 else f"{value:,.1f}"


def _write_tokens(path: Path, scorer: Scorer, corpus: Corpus, run: Run) -> None:
    escapes = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
    scores = run.scores
    rows = ["start\tend\ttoken\tlog_prob\toov"]
    start = 0
    tokens = scorer.unit.split(corpus.text("test").text)
    for end, token, log_prob, oov in zip(
        scores.ends.tolist(), tokens, scores.log_probs.tolist(), scores.oov.tolist(), strict=True
    ):
        rows.append(f"{start}\t{end}\t{token.translate(escapes)}\t{log_prob!r}\t{int(oov)}")
        start = end
    write_whole(path, "\n".join(rows) + "\n")


@lmbench.command()
@_with(model_options)
@click.option("--save", "place", metavar="MODEL", required=True, help="The file to write.")
@quiet_option
def fit(
    name: str | None,
    options: tuple[str, ...],
    train: str | None,
    valid: str | None,
    unit: str,
    normalise: str | None,
    documents: str | None,
    seed: int,
    place: str,
    quiet: bool,
) -> None:
    """Trains a model and saves it with all that it takes to score a text."""
    corpus = _held_out(_need(name), options, _corpus(train, valid, None, normalise, documents))
    if not Path(place).resolve().parent.is_dir():
        raise InputError(f"cannot write {place}: its folder is not there; make it first")
    scorer, seconds = _fit(_need(name), options, corpus, unit, seed, quiet)
    scorer.save(place)
    click.echo(f"{place}: {name} by {unit}, {scorer.model.parameters:,} numbers, fitted in {seconds:.1f} s")


@lmbench.command()
@click.option(
    "--load", "saved", metavar="MODEL", required=True, help="A model that `lmbench fit --save` wrote."
)
@click.option("--prompt", default="", help="The text to go on with.")
@click.option("--length", type=click.IntRange(min=0), default=200, show_default=True, help="Tokens to write.")
@click.option("--temperature", type=float, default=1.0, show_default=True, help="0: always the likeliest.")
@click.option("--top-k", type=int, default=0, help="Only the K likeliest tokens.")
@click.option(
    "--top-p", type=float, default=1.0, help="Only the likeliest tokens that make up this probability."
)
@click.option("--seed", type=int, default=0, show_default=True)
def generate(
    saved: str, prompt: str, length: int, temperature: float, top_k: int, top_p: float, seed: int
) -> None:
    """Writes text with a saved model."""
    import numpy as np

    from lmbench.scores import Scorer

    scorer = Scorer.load(saved)
    click.echo(scorer.generate(np.random.default_rng(seed), length, prompt, temperature, top_k, top_p))


# run, study, diff -------------------------------------------------------------------------------------


@lmbench.command()
@click.argument("suite", default="default", metavar="[SUITE.toml]")
@click.option("--corpus", "corpora", multiple=True, metavar="NAME", help="In place of the suite's corpora.")
@click.option("--model", "models", multiple=True, metavar="LABEL", help="Only these rows of the suite.")
@click.option("--out", type=click.Path(file_okay=False), help="The run directory; default reports/<suite>.")
@click.option("--seed", type=int, help="In place of the suite's seeds.")
@click.option("--jobs", type=click.IntRange(min=1), default=1, show_default=True, help="Models side by side.")
@click.option("--fresh", is_flag=True, help="Measures all anew.")
@quiet_option
def run(
    suite: str,
    corpora: tuple[str, ...],
    models: tuple[str, ...],
    out: str | None,
    seed: int | None,
    jobs: int,
    fresh: bool,
    quiet: bool,
) -> int:
    """Trains and scores a suite's models, and writes the report."""
    import msgspec
    from rich.console import Console

    from lmbench import report
    from lmbench.bench import run_suite
    from lmbench.display import RunWatch, progress_bars
    from lmbench.results import results_of, write_results
    from lmbench.suite import load_suite
    from lmbench.views import views_of

    chosen = load_suite(suite).narrowed(list(corpora), list(models), seed)
    folder = Path(out or Path("reports") / chosen.name)
    with progress_bars(quiet) as bars:
        outcome = run_suite(chosen, folder, fresh, jobs, RunWatch(bars, quiet))
    if not outcome.runs and outcome.interrupted:
        return 130
    told = msgspec.to_builtins(chosen)
    results, charts = results_of(told, outcome.corpora, outcome.runs, outcome.failed_rows())
    write_results(results, folder)
    report.write(folder, results, charts, views_of(outcome.corpora, outcome.runs, outcome.scorer_of))
    Console().print(report.terminal_table(results))
    click.echo(f"report: {folder / 'report.html'}", err=True)
    for cell, why in outcome.failures:
        click.echo(f"lmbench: {cell.corpus.name} {cell.label} failed: {why}", err=True)
    if outcome.interrupted:
        click.echo("lmbench: interrupted; run the same command again for the rest", err=True)
        return 130
    return 1 if outcome.failures else 0


# zipf, corpora, models --------------------------------------------------------------------------------


@lmbench.command()
@click.argument("text", metavar="FILE|CORPUS")
@click.option("--unit", type=click.Choice(list(UNITS)), default="word", show_default=True)
@click.option("--orders", default="1,2,3", show_default=True, help="The n-grams to count.")
@_with(text_options)
@click.option("--plot", metavar="FILE.png", help="Draws the curves and their fits (.png or .svg).")
@json_option
def zipf(
    text: str,
    unit: str,
    orders: str,
    normalise: str | None,
    documents: str | None,
    plot: str | None,
    as_json: bool,
) -> None:
    """Fits Zipf's law to the n-grams of a text."""
    from lmbench.results import plain, zipf_rows

    try:
        wanted = sorted({int(k) for k in orders.split(",")})
    except ValueError:
        wanted = []
    if not wanted or wanted[0] < 1:
        raise InputError(f"--orders {orders} is not a list of whole numbers from 1 up, such as 1,2,3")
    corpus = _corpus(text, None, None, normalise, documents)
    rows, chart = zipf_rows(corpus.name, corpus.whole(), unit, wanted)
    if plot is not None:
        from lmbench.figures import draw

        png, svg = draw(chart)
        write_whole(plot, svg if plot.endswith(".svg") else png)
    if as_json:
        click.echo(json.dumps({"zipf": plain(rows)}, ensure_ascii=False))
        return
    click.echo(
        f"{'':8} {'tokens':>10} {'types':>9} {'once':>9} {'least squares':>14} {'rank MLE':>16} {'Zipf-Mandelbrot':>22} {'frequency MLE':>24}"
    )
    for row in map(plain, rows):
        ols, rank, mandelbrot, power = (
            row["ols"],
            row["rank_mle"],
            row["zipf_mandelbrot"],
            row["frequency_mle"],
        )
        cells = [
            f"{row['order']}-grams",
            f"{row['tokens']:,}",
            f"{row['types']:,}",
            f"{row['hapaxes']:,}",
            f"α {_slope(ols['alpha'])}",
            f"α {_slope(rank['alpha'])} ± {_slope(rank['se'])}",
            f"α {_slope(mandelbrot['alpha'])}, b {_slope(mandelbrot['b'], 1)}",
            f"γ {_slope(power['gamma'])} ± {_slope(power['se'])} from {power['xmin'] or '–'}",
        ]
        click.echo(
            f"{cells[0]:8} {cells[1]:>10} {cells[2]:>9} {cells[3]:>9} {cells[4]:>14} {cells[5]:>16} {cells[6]:>22} {cells[7]:>24}"
        )
        for note in row["notes"]:
            click.echo(f"{row['order']}-grams: {note}", err=True)


def _slope(value: float | None, digits: int = 3) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


@lmbench.group()
def corpora() -> None:
    """Lists, shows and fetches the corpora."""


@corpora.command("list")
@json_option
def corpora_list(as_json: bool) -> None:
    """The corpora, and whether their files are here."""
    from lmbench.corpus import data_folders, describe, find, registry

    rows = []
    for name in registry():
        told = describe(name)
        here = all(find(file, data_folders()) for file in told.files)
        rows.append({"name": name, "title": told.title, "licence": told.licence, "here": here})
    if as_json:
        click.echo(json.dumps({"corpora": rows}, ensure_ascii=False))
        return
    for row in rows:
        click.echo(f"{row['name']:<17} {'here' if row['here'] else 'not fetched':<12} {row['title']}")


@corpora.command("show")
@click.argument("name")
@json_option
def corpora_show(name: str, as_json: bool) -> None:
    """What a corpus is, and the sizes of its split."""
    from lmbench.corpus import load_corpus

    told = load_corpus(name).describe()
    if as_json:
        click.echo(json.dumps(told, ensure_ascii=False))
        return
    split = told.pop("split")
    for key, value in told.items():
        if value is not None and key not in ("chars", "bytes", "words"):
            click.echo(f"{key:<13} {value}")
    for part, sizes in split.items():
        click.echo(f"{part:<13} " + ", ".join(f"{n:,} {what}" for what, n in sizes.items()))


@corpora.command("fetch")
@click.argument("name")
def corpora_fetch(name: str) -> None:
    """Downloads a corpus into the cache, going on where an earlier try broke off."""
    from lmbench.corpus import fetch
    from lmbench.display import byte_progress

    with byte_progress(name) as progress:
        paths = fetch(name, progress)
    for path in paths:
        click.echo(path)
    if not paths:
        click.echo(f"{name} needs no file: it is made on the spot")


@corpora.command("add")
@click.argument("name")
@click.argument("file")
def corpora_add(name: str, file: str) -> None:
    """Takes a corpus's file (or zip archive) that was got by hand, once its checksum fits."""
    from lmbench.corpus import add

    for path in add(name, file):
        click.echo(path)


@lmbench.command()
@click.argument("name", required=False)
@json_option
def models(name: str | None, as_json: bool) -> None:
    """Lists the models, or one model's options."""
    from lmbench.models import MODELS, model_class
    from lmbench.models.base import describe_options

    if name is None:
        rows = [
            {"name": n, "about": _about(model_class(n)[0]), "fixed": fixed}
            for n, (_, fixed) in MODELS.items()
        ]
        if as_json:
            click.echo(json.dumps({"models": rows}, ensure_ascii=False))
            return
        for row in rows:
            click.echo(f"{row['name']:<20} {row['about']}")
        return
    if name not in MODELS and ":" not in name:
        raise unknown("model", name, MODELS)
    found, fixed = model_class(name)
    options = [o for o in describe_options(found) if o["name"] not in fixed]
    if as_json:
        click.echo(
            json.dumps(
                {"name": name, "about": found.__doc__, "fixed": fixed, "options": options}, default=str
            )
        )
        return
    import inspect

    click.echo(inspect.cleandoc(found.__doc__ or ""))
    click.echo("")
    for told in options:
        click.echo(f"-o {told['name']}={told['default']}  ({told['type']})  {told['help']}")


def _about(model: type) -> str:
    return (sys.modules[model.__module__].__doc__ or "").strip().split("\n")[0]


if __name__ == "__main__":
    sys.exit(main())
