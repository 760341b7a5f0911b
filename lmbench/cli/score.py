"""score: what a text costs by one model, apart from how the model is made."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from lmbench.cli.fitting import corpus_for, fitted_scorer, in_words, needed
from lmbench.cli.lines import EACH, FORMATS, loaded, score_each
from lmbench.cli.options import (
    echo_notes,
    echo_remark,
    echo_text,
    json_option,
    model_options,
    quiet_option,
    trust_code_option,
    with_options,
)
from lmbench.cli.shards import place_options
from lmbench.cli.stream import is_long, score_long
from lmbench.errors import InputError
from lmbench.text.vocab import Lexicon

if TYPE_CHECKING:
    from lmbench.results.schema import Result


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
@click.option("--test", metavar="FILE|CORPUS", help="The text to score; of a corpus its test part.")
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
@with_options(place_options)
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
    min_count: int,
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
    jobs: int | None,
    cluster: str | None,
    work: str | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Scores a text with one model, trained on the spot or loaded.

    A long text in files is scored by a loaded model with --jobs or --cluster in stretches side by side.
    """
    import msgspec

    from lmbench.cli.continuations import score_given
    from lmbench.cli.progress import fit_monitor
    from lmbench.corpora.corpus import Corpus, text_to_score
    from lmbench.corpora.inputs import is_described
    from lmbench.results.build import result_of
    from lmbench.scoring.evaluation import score_run, verified
    from lmbench.scoring.token_file import write_tokens
    from lmbench.scoring.verification import certify

    asked = bool((jobs or 1) > 1 or cluster or work)
    if asked and (saved is None or each is not None or given is not None or verify is not None):
        raise InputError(
            "--jobs, --cluster and --work are of a text that a saved model scores: --load MODEL --test FILE, without --each, --given, --verify"
        )
    if table is not None and each is None:
        raise InputError("--format is of --each line|document; give both")
    if each is not None and (as_json or tokens_file is not None or verify is not None or given is not None):
        raise InputError(
            "--each prints rows and nothing else (--format jsonl: as JSON); leave --json, --tokens, --verify and --given out"
        )
    of_corpus = test is not None and is_described(test)
    if given is not None and (test is None or of_corpus):
        raise InputError("--given needs --test FILE: the continuations, a line each (-: standard input)")
    if scores_file is not None:
        if name or saved or train or test is None or tokens_file or given or each or verify is not None:
            raise InputError("--scores FILE goes with --test TEXT and how that is read, and with no model")
        return _outside(scores_file, test, normalise or "none", documents or "stream", field, as_json)
    if saved is not None:
        if name or train or counts or vocab or min_count:
            raise InputError(
                "--load brings its own model; leave --model, --train, --counts, --vocab and --min-count out"
            )
        if test is None:
            raise InputError("--test is missing; give the text to score")
        scorer, fit_seconds = loaded(saved, unk), None
        if given is not None:
            return score_given(scorer, given, test, field, as_json)
        if each is not None and not of_corpus:
            return score_each(scorer, each, test, table or "tsv", field, scorer.normalise)
        if asked and of_corpus:
            raise InputError("--jobs, --cluster and --work are of a text in files; give --test FILE")
        if verify is None and not of_corpus and is_long(scorer, test, asked):
            places = saved, unk, jobs, cluster, work
            return _print(score_long(scorer, test, field, tokens_file, *places), as_json)
        text = text_to_score(test, scorer.normalise, scorer.documents, field)
        corpus = Corpus(Path(test).stem, text, None, text, scorer.normalise, scorer.documents)
        in_words(corpus, scorer.unit.name, scorer.normalise)
    else:
        # Read as it comes, later.
        apart = test is not None and not (given is None and (each is None or of_corpus))
        documents = "line" if each == "line" and documents is None else documents
        held = None if apart else test
        corpus = corpus_for(
            needed(name), options, train, valid, held, unit, normalise, documents, field, not apart, counts
        )
        if not apart:
            corpus.text("test")
        scorer, fit_seconds = fitted_scorer(
            needed(name),
            options,
            corpus,
            unit,
            seed,
            quiet or as_json,
            Lexicon(unk, vocab, min_count),
            counts,
        )
    if given is not None:
        return score_given(scorer, given, test or "", field, as_json)
    if each is not None:
        text_or_place = corpus.text("test") if test is None or of_corpus else test
        return score_each(scorer, each, text_or_place, table or "tsv", field, normalise)
    with fit_monitor(scorer.model.name, quiet or as_json) as monitor:
        run = score_run(scorer, corpus, scorer.model.name, seed, fit_seconds, monitor)
    if ":" in scorer.model.name and (reason := certify(scorer, corpus, run.scores)) is not None:
        echo_remark(f"{scorer.model.name} may not be ranked: {reason}")
        run = run.with_facts(unranked_reason=reason)
    if tokens_file is not None:
        write_tokens(tokens_file, run, corpus.text("test"), scorer.unit)
    result = result_of(run, corpus.text("test"))
    if verify is not None:
        claim = verified(scorer, corpus.text("test"), verify if verify >= 0 else None, run.scores)
        result = msgspec.structs.replace(result, verified=claim)
    _print(result, as_json)
    if result.verified is not None and not result.verified.holds:
        raise click.exceptions.Exit(1)


def _outside(file: str, test: str, normalise: str, documents: str, field: str | None, as_json: bool) -> None:
    """Prints what another program's scores of a text come to."""
    from lmbench.corpora.corpus import Corpus, text_to_score
    from lmbench.results.build import result_of
    from lmbench.results.file import row_json
    from lmbench.scoring.token_file import external_run

    text = text_to_score(test, normalise, documents, field)
    run = external_run(file, Corpus(Path(test).stem, text, None, text, normalise, documents))
    echo_notes(run.facts.notes)
    result = result_of(run, text)
    echo_text(row_json(result) if as_json else _score_text(result))


def _print(result: Result, as_json: bool) -> None:
    from lmbench.results.file import row_json

    echo_text(row_json(result) if as_json else _score_text(result))


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
