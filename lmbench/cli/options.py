"""Options that several commands share, and the corpus that they describe."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from lmbench.errors import InputError
from lmbench.text.canonical import DOCUMENTS, NORMALISERS
from lmbench.text.units import UNITS

if TYPE_CHECKING:
    from lmbench.corpora.corpus import Corpus

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


def with_options(options: Sequence[Callable[[Function], Function]]) -> Callable[[Function], Function]:
    def decorate(function: Function) -> Function:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


# Text and models of the command line ------------------------------------------------------------------


def corpus_of(
    train: str | None, valid: str | None, test: str | None, normalise: str | None, documents: str | None
) -> Corpus:
    """The corpus that --train, --valid and --test describe; a corpus's own split stands in for what is left out."""
    from dataclasses import replace

    from lmbench.corpora.corpus import Corpus, files_of, load_corpus, read_canonical
    from lmbench.corpora.descriptions import registry

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


def key_values(pairs: Sequence[str]) -> dict[str, str]:
    options = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise InputError(f"-o {pair} is not KEY=VALUE, for instance -o order=3")
        options[key] = value
    return options
