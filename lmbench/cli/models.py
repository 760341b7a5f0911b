"""fit, generate, models: one model at a time."""

from __future__ import annotations

import json
import os
from pathlib import Path

import click

from lmbench.cli.completion import complete_model
from lmbench.cli.fitting import corpus_for, fitted_scorer, needed
from lmbench.cli.options import (
    echo_json,
    echo_remark,
    echo_text,
    json_option,
    key_values,
    model_options,
    quiet_option,
    seed_option,
    trust_code_option,
    with_options,
)
from lmbench.cli.shards import fit_files, place_options, suits
from lmbench.errors import InputError, unknown
from lmbench.storage.files import check_place
from lmbench.text.vocab import Lexicon


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
    min_count: int,
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
    # Of several processes that torchrun has started, the first speaks and writes.
    first = os.environ.get("RANK", "0") == "0"
    lexicon, quiet = Lexicon(unk, vocab, min_count), quiet or as_json or not first
    asked = bool((jobs or 1) > 1 or cluster or work)
    if not counts and suits(make_model(needed(name), **key_values(options)), train, valid, unit, asked):
        text = train, valid, unit, normalise, documents, field
        scorer, seconds = fit_files(
            needed(name),
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
        corpus = corpus_for(
            needed(name), options, train, valid, None, unit, normalise, documents, field, False, counts
        )
        checkpoint = Path(f"{place}.checkpoint")
        scorer, seconds = fitted_scorer(
            needed(name), options, corpus, unit, seed, quiet, lexicon, counts, checkpoint
        )
        if not first:
            return
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
        return echo_json(json.dumps(facts, ensure_ascii=False, default=str))
    echo_text(
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
@seed_option
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
        echo_remark(
            f"the model's texts were normalised ({scorer.normalise}): this prompt would read {usual!r}; it is taken as it stands",
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
            echo_json(json.dumps({"models": rows}, ensure_ascii=False))
            return
        for group, names in grouped_models().items():
            shown = [(name, MODELS[name][2]) for name in names]
            print_table([(group, False), ("", False)], shown)
            echo_text("")
        return
    if name not in MODELS and ":" not in name:
        raise unknown("model", name, MODELS)
    cls, fixed = model_class(name)
    options = [o for o in describe_options(cls) if o["name"] not in fixed]
    if as_json:
        echo_text(
            json.dumps({"name": name, "about": cls.__doc__, "fixed": fixed, "options": options}, default=str)
        )
        return
    import inspect

    echo_text(inspect.cleandoc(cls.__doc__ or ""))
    echo_text("")
    for row in options:
        echo_text(f"-o {row['name']}={row['default']}  ({row['type']})  {row['help']}")
