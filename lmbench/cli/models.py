"""score, fit, generate, models: one model at a time."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lmbench.cli.completion import complete_model
from lmbench.cli.lines import EACH, FORMATS, loaded, score_each
from lmbench.cli.options import (
    corpus_of,
    echo_text,
    json_option,
    key_values,
    model_options,
    quiet_option,
    text_of,
    trust_code_option,
    with_options,
)
from lmbench.cli.shards import fit_files, place_options, suits
from lmbench.cli.stream import is_long, score_long
from lmbench.errors import InputError, unknown
from lmbench.storage.files import check_place
from lmbench.text.vocab import Lexicon

if TYPE_CHECKING:
    from lmbench.corpora.corpus import Corpus
    from lmbench.results.schema import Result
    from lmbench.scoring.scorer import Scorer


def _fit(
    name: str,
    options: Sequence[str],
    corpus: Corpus,
    unit: str,
    seed: int,
    quiet: bool,
    lexicon: Lexicon,
    counts: Sequence[str] = (),
    checkpoint: Path | None = None,
) -> tuple[Scorer, float]:
    """Fits a model, and before it the models that it combines (by their names, with their defaults).

    counts: files of counts, in place of the corpus's training text. checkpoint: a file from which a long fit that was killed goes on.
    """
    from lmbench.cli.progress import fit_monitor
    from lmbench.models import make_model
    from lmbench.scoring.evaluation import timed_counts, timed_fit

    model = make_model(name, **key_values(options))
    if counts:
        from lmbench.counts.files import read_counts

        fitted = timed_counts(model, read_counts(counts), corpus, lexicon)
        for note in model.notes:
            click.echo(f"{name}: {note}", err=True)
        return fitted
    labels = model.traits.components
    units = model.traits.component_units or (unit,) * len(labels)
    parts = [
        _fit(label, (), corpus, of_part, seed, quiet, lexicon)[0]
        for label, of_part in zip(labels, units, strict=True)
    ]
    with fit_monitor(name, quiet) as monitor:
        monitor.checkpoint = checkpoint
        fitted = timed_fit(model, corpus, unit, seed, monitor, parts, lexicon)
    for note in model.notes:
        click.echo(f"{name}: {note}", err=True)
    return fitted


def _held_out(name: str, options: Sequence[str], corpus: Corpus) -> Corpus:
    """The corpus, with a tenth of the training text held out where a model needs it and none was given."""
    from lmbench.models import make_model

    queue = [make_model(name, **key_values(options))]
    while queue:
        model = queue.pop()
        if model.traits.held_out != "no" and corpus.valid is None:
            click.echo(
                "no --valid given: the last tenth of the training text is held out for the settings", err=True
            )
            return corpus.with_held_out()
        queue += [make_model(label) for label in model.traits.components]
    return corpus


def _corpus(
    name: str,
    options: Sequence[str],
    train: Sequence[str],
    valid: str | None,
    test: str | None,
    unit: str,
    normalise: str | None,
    documents: str | None,
    field: str | None,
    scored: bool = False,
    counts: Sequence[str] = (),
) -> Corpus:
    """The corpus that the command line describes; the text to score alone, for a model that learns from none.

    scored: whether there has to be a test text; where none is given, the training text is divided.
    """
    import numpy as np

    from lmbench.corpora.corpus import Corpus
    from lmbench.corpora.inputs import canonical
    from lmbench.models import make_model
    from lmbench.text.canonical import CanonicalText

    if counts and (train or unit != "word"):
        raise InputError("--counts are of words, in place of the training text: --unit word, without --train")
    documents = documents or ("line" if counts else None)
    learns = make_model(name, **key_values(options)).traits.learns_from != 0
    if train or (learns and not counts):
        corpus = corpus_of(train, valid, test, normalise, documents, field)
        if scored and test is None and corpus.test is None:
            corpus = text_of(train, normalise, documents, field, valid=valid)
            click.echo(f"no --test given: {corpus.info['division']}", err=True)
        return _held_out(name, options, _words(corpus, unit, normalise))
    modes = normalise or "none", documents or "stream"
    held_out, tested = (None if at is None else canonical(at, *modes, field) for at in (valid, test))
    nothing = CanonicalText("", np.zeros(0, dtype=np.int64))
    corpus = _words(Corpus(Path(test or "text").stem, nothing, held_out, tested, *modes), unit, normalise)
    # Whatever text such a model will be asked of: blanks divide words in files of counts.
    return replace(corpus, normalise="sentences") if counts and normalise is None else corpus


def _words(corpus: Corpus, unit: str, normalise: str | None) -> Corpus:
    """The corpus as a model by word reads it, and what there is to say of that. normalise: what the user asked for."""
    from lmbench.corpora.words import read_as_words

    read, notes = read_as_words(corpus, unit, normalise)
    for note in notes:
        click.echo(note, err=True)
    return read


def _need(name: str | None) -> str:
    if name is None:
        raise InputError("--model is missing; `lmbench models` lists the names")
    return name


def scorer_of(given: Mapping[str, Any], quiet: bool) -> Scorer:
    """The model that the options of ``model_options`` describe, fitted; of a text to score nothing is known yet."""
    name, options, unit, counts = _need(given["name"]), given["options"], given["unit"], given["counts"]
    normalise, documents, field = (given[key] for key in ("normalise", "documents", "field"))
    corpus = _corpus(
        name, options, given["train"], given["valid"], None, unit, normalise, documents, field, False, counts
    )
    lexicon = Lexicon(given["unk"], given["vocab"])
    return _fit(name, options, corpus, unit, given["seed"], quiet, lexicon, counts)[0]


@click.command()
@with_options(model_options)
@click.option(
    "--load", "saved", metavar="MODEL", help="A model that `lmbench fit --save` wrote, or an ARPA file."
)
@trust_code_option
@click.option(
    "--scores",
    "scores_file",
    metavar="FILE",
    help="In place of a model: what another program has said of the text (tokens, or lm_eval's samples).",
)
@click.option("--test", metavar="FILE", help="The text to score.")
@click.option(
    "--tokens", "tokens_file", metavar="FILE", help="Writes a row a token; FILE.parquet: as Parquet."
)
@click.option(
    "--verify",
    type=int,
    is_flag=False,
    flag_value=-1,
    metavar="[N]",
    help="Codes the text (its first N tokens) into a file, decodes it, and sets the file beside the claim; exits with 1 where it is longer.",
)
@click.option("--given", metavar="CONTEXT", help="Scores each line of the text as what follows this context.")
@click.option("--each", type=click.Choice(EACH), help="Prints a row for each line or document, as it comes.")
@click.option("--format", "table", type=click.Choice(FORMATS), help="Of --each. Default: tsv.")
@json_option
@quiet_option
def score(
    name: str | None,
    options: tuple[str, ...],
    train: tuple[str, ...],
    counts: tuple[str, ...],
    valid: str | None,
    unit: str,
    unk: str,
    vocab: str,
    normalise: str | None,
    documents: str | None,
    field: str | None,
    seed: int,
    saved: str | None,
    scores_file: str | None,
    test: str | None,
    tokens_file: str | None,
    verify: int | None,
    given: str | None,
    each: str | None,
    table: str | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Scores a text with one model, trained on the spot or loaded."""
    import msgspec

    from lmbench.cli.continuations import score_given
    from lmbench.cli.progress import fit_monitor
    from lmbench.corpora.corpus import Corpus
    from lmbench.corpora.inputs import canonical
    from lmbench.results.build import result_of
    from lmbench.scoring.evaluation import score_run, verified
    from lmbench.scoring.token_file import write_tokens
    from lmbench.scoring.verification import certify

    if table is not None and each is None:
        raise InputError("--format is of --each line|document; give both")
    if each is not None and (as_json or tokens_file is not None or verify is not None or given is not None):
        raise InputError(
            "--each prints rows and nothing else (--format jsonl: as JSON); leave --json, --tokens, --verify and --given out"
        )
    if given is not None and test is None:
        raise InputError("--given needs --test FILE: the continuations, a line each (-: standard input)")
    if scores_file is not None:
        if name or saved or train or test is None or tokens_file or given or each or verify is not None:
            raise InputError("--scores FILE goes with --test TEXT and how that is read, and with no model")
        return _outside(scores_file, test, normalise or "none", documents or "stream", field, as_json)
    if saved is not None:
        if name or train or counts or vocab:
            raise InputError("--load brings its own model; leave --model, --train, --counts and --vocab out")
        if test is None:
            raise InputError("--test is missing; give the text to score")
        scorer, fit_seconds = loaded(saved, unk), None
        if given is not None:
            return score_given(scorer, given, test, field, as_json)
        if each is not None:
            return score_each(scorer, each, test, table or "tsv", field, scorer.normalise)
        if verify is None and is_long(scorer, test):
            return _print(score_long(scorer, test, field, tokens_file), as_json)
        text = canonical(test, scorer.normalise, scorer.documents, field)
        corpus = Corpus(Path(test).stem, text, None, text, scorer.normalise, scorer.documents)
        _words(corpus, scorer.unit.name, scorer.normalise)
    else:
        apart = test is not None and not (given is None and each is None)  # read as it comes, later
        documents = "line" if each == "line" and documents is None else documents
        held = None if apart else test
        corpus = _corpus(
            _need(name), options, train, valid, held, unit, normalise, documents, field, not apart, counts
        )
        if not apart:
            corpus.text("test")
        scorer, fit_seconds = _fit(
            _need(name), options, corpus, unit, seed, quiet or as_json, Lexicon(unk, vocab), counts
        )
    if given is not None:
        return score_given(scorer, given, test or "", field, as_json)
    if each is not None:
        text_or_place = corpus.text("test") if test is None else test
        return score_each(scorer, each, text_or_place, table or "tsv", field, normalise)
    with fit_monitor(scorer.model.name, quiet or as_json) as monitor:
        run = score_run(scorer, corpus, scorer.model.name, seed, fit_seconds, monitor)
    if ":" in scorer.model.name and (reason := certify(scorer, corpus, run.scores)) is not None:
        click.echo(f"{scorer.model.name} may not be ranked: {reason}", err=True)
        run = run.with_facts(unranked_reason=reason)
    if tokens_file is not None:
        write_tokens(tokens_file, run, corpus.text("test"), scorer.unit)
    result = result_of(run, corpus.text("test"))
    if verify is not None:
        claim = verified(scorer, corpus.text("test"), verify if verify >= 0 else None)
        result = msgspec.structs.replace(result, verified=claim)
    _print(result, as_json)
    if result.verified is not None and not result.verified.holds:
        raise click.exceptions.Exit(1)


def _outside(file: str, test: str, normalise: str, documents: str, field: str | None, as_json: bool) -> None:
    """Prints what another program's scores of a text come to."""
    from lmbench.corpora.corpus import Corpus
    from lmbench.corpora.inputs import canonical
    from lmbench.results.build import result_of
    from lmbench.results.file import row_json
    from lmbench.scoring.token_file import external_run

    text = canonical(test, normalise, documents, field)
    run = external_run(file, Corpus(Path(test).stem, text, None, text, normalise, documents))
    for note in run.facts.notes:
        click.echo(note, err=True)
    result = result_of(run, text)
    click.echo(row_json(result) if as_json else _score_text(result))


def _print(result: Result, as_json: bool) -> None:
    from lmbench.results.file import row_json

    click.echo(row_json(result) if as_json else _score_text(result))


def _score_text(result: Result) -> str:
    low, high = result.ci95 or (None, None)
    interval = f"  (95%: {_number(low)} to {_number(high)})" if low is not None else ""
    lines = [
        (
            "model",
            f"{result.model} by {result.unit}"
            + (f", {result.vocab_size:,} types" if result.vocab_size else ""),
        ),
        (
            "text",
            f"{result.chars:,} characters, {result.tokens:,} tokens, {result.oov:,} out of vocabulary",
        ),
        ("bits per char", f"{_number(result.bits_per_char)}{interval}"),
        ("bits per byte", _number(result.bits_per_byte)),
        ("bits per word", _number(result.bits_per_word)),
        ("perplexity", f"{_number(result.perplexity)}  (within this vocabulary alone)"),
        ("without unknown", _number(result.perplexity_excluding_oov)),
    ]
    if result.parameters:
        lines.append(("size", f"{result.parameters:,} numbers, {result.model_bytes:,} bytes"))
    lines.append(("signature", result.signature))
    if claim := result.verified:
        bits = f"{claim.file_bits:,} bits in the file, {claim.claimed_bits:,.1f} claimed"
        lines.append(("verified", f"{claim.tokens:,} tokens, {bits}, {claim.verdict}"))
    return "\n".join(f"{name:<16} {value}" for name, value in lines)


def _number(value: float | None) -> str:
    return "infinite" if value is None else f"{value:.4f}" if value < 1000 else f"{value:,.1f}"


@click.command()
@with_options(model_options)
@click.option(
    "--save",
    "place",
    metavar="MODEL",
    required=True,
    help="The file to write; .arpa or .arpa.gz: n-grams as text.",
)
@with_options(place_options)
@json_option
@quiet_option
def fit(
    name: str | None,
    options: tuple[str, ...],
    train: tuple[str, ...],
    counts: tuple[str, ...],
    valid: str | None,
    unit: str,
    unk: str,
    vocab: str,
    normalise: str | None,
    documents: str | None,
    field: str | None,
    seed: int,
    place: str,
    jobs: int | None,
    cluster: str | None,
    work: str | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Trains a model and saves it with all that it takes to score a text.

    A model of counts can be made from files to files: with --jobs, --cluster or --work, or within its option memory_limit.
    """
    from lmbench.models import make_model

    if not Path(place).resolve().parent.is_dir():
        raise InputError(f"cannot write {place}: its folder is not there; make it first")
    check_place(place)
    lexicon, quiet = Lexicon(unk, vocab), quiet or as_json
    asked = bool((jobs or 1) > 1 or cluster or work)
    if not counts and suits(make_model(_need(name), **key_values(options)), train, valid, unit, asked):
        text = train, valid, unit, normalise, documents, field
        scorer, seconds = fit_files(
            _need(name),
            options,
            *text,
            seed,
            lexicon,
            jobs or 1,
            cluster,
            work,
            quiet,
            lambda scorer: scorer.save(place),
        )
    else:
        corpus = _corpus(
            _need(name), options, train, valid, None, unit, normalise, documents, field, False, counts
        )
        checkpoint = Path(f"{place}.checkpoint")
        scorer, seconds = _fit(_need(name), options, corpus, unit, seed, quiet, lexicon, counts, checkpoint)
        scorer.save(place)
        checkpoint.unlink(missing_ok=True)
    model = scorer.model
    if as_json:
        facts: dict[str, object] = {
            "file": place,
            "model": model.name,
            "options": model.options(),
            "unit": scorer.unit.name,
        }
        facts |= {"vocab_size": len(scorer.vocab), "parameters": model.parameters}
        facts |= {"model_bytes": model.model_bytes, "fit_seconds": seconds, "notes": model.notes}
        return click.echo(json.dumps(facts, ensure_ascii=False, default=str))
    click.echo(
        f"{place}: {name} by {scorer.unit.name}, {model.parameters:,} numbers, fitted in {seconds:.1f} s"
    )


@click.command()
@click.option(
    "--load", "saved", metavar="MODEL", required=True, help="A model that `lmbench fit --save` wrote."
)
@trust_code_option
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

    from lmbench.scoring.scorer import Scorer
    from lmbench.text.canonical import canonical_text

    scorer = Scorer.load(saved)
    usual = canonical_text([prompt], scorer.normalise, "stream").text
    if usual.strip() != prompt.strip():
        click.echo(
            f"the model's texts were normalised ({scorer.normalise}): this prompt would read {usual!r}; it is taken as it stands",
            err=True,
        )
    echo_text(scorer.generate(np.random.default_rng(seed), length, prompt, temperature, top_k, top_p))


@click.command()
@click.argument("name", required=False, shell_complete=complete_model)
@json_option
def models(name: str | None, as_json: bool) -> None:
    """Lists the models, or one model's options."""
    from lmbench.cli.tables import print_table
    from lmbench.models import MODELS, grouped_models, model_class
    from lmbench.models.options import describe_options

    if name is None:
        rows = [{"name": n, "about": about, "fixed": fixed} for n, (_, fixed, about) in MODELS.items()]
        if as_json:
            click.echo(json.dumps({"models": rows}, ensure_ascii=False))
            return
        for group, names in grouped_models().items():
            shown = [(name, MODELS[name][2]) for name in names]
            print_table([(group, False), ("", False)], shown)
            click.echo("")
        return
    if name not in MODELS and ":" not in name:
        raise unknown("model", name, MODELS)
    cls, fixed = model_class(name)
    options = [o for o in describe_options(cls) if o["name"] not in fixed]
    if as_json:
        click.echo(
            json.dumps({"name": name, "about": cls.__doc__, "fixed": fixed, "options": options}, default=str)
        )
        return
    import inspect

    click.echo(inspect.cleandoc(cls.__doc__ or ""))
    click.echo("")
    for row in options:
        click.echo(f"-o {row['name']}={row['default']}  ({row['type']})  {row['help']}")
