"""What the shell may complete: models, suites, corpora, studies, and a model's options. Read when a shell asks, never before."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import click
from click.shell_completion import CompletionItem

Complete = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


def _of(names: Callable[[], Iterable[tuple[str, str]]], files: bool = False) -> Complete:
    """Completes by names (name, help) that begin so; files: and by files where no name does."""

    def complete(context: click.Context, parameter: click.Parameter, begun: str) -> list[CompletionItem]:
        items = [CompletionItem(name, help=said) for name, said in names() if name.startswith(begun)]
        return items if items or not files else [CompletionItem(begun, type="file")]

    return complete


def _models() -> Iterable[tuple[str, str]]:
    from lmbench.models import MODELS

    return ((name, about) for name, (_, _, about) in MODELS.items())


def _suites() -> Iterable[tuple[str, str]]:
    from lmbench.bench.suite_file import built_in, load_suite

    return ((name, load_suite(name).title) for name in built_in())


def _corpora() -> Iterable[tuple[str, str]]:
    from lmbench.corpora.descriptions import describe, registry

    return ((name, describe(name).title) for name in registry())


def _studies() -> Iterable[tuple[str, str]]:
    from lmbench.studies import STUDIES

    return ((name, question) for name, (_, question) in STUDIES.items())


def complete_label(context: click.Context, parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """The rows of the suite that is named before."""
    from lmbench.bench.suite_file import load_suite
    from lmbench.errors import InputError

    places = context.params.get("places") or context.args or ("default",)
    try:
        rows = load_suite(places[0]).models
    except InputError:
        return []
    return [CompletionItem(row.label, help=row.model) for row in rows if row.label.startswith(begun)]


def complete_option(context: click.Context, parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """The options of the model that is named before, as KEY=."""
    from lmbench.models import MODELS, model_class
    from lmbench.models.options import describe_options

    name = context.params.get("name")
    if name not in MODELS:
        return []
    cls, fixed = model_class(name)
    rows = [row for row in describe_options(cls) if row["name"] not in fixed]
    return [
        CompletionItem(f"{row['name']}=", help=row["help"]) for row in rows if row["name"].startswith(begun)
    ]


complete_model = _of(_models)
complete_corpus = _of(_corpora, files=True)
complete_suite = _of(lambda: (*_suites(), *_corpora()), files=True)
complete_study = _of(_studies)
