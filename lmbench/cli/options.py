"""Options that several commands share, and the corpus that they describe."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import click
from click.shell_completion import CompletionItem

from lmbench.cli.completion import complete_corpus, complete_model, complete_option
from lmbench.errors import LARGEST_SEED, InputError, printable
from lmbench.text.canonical import DOCUMENTS, NORMALISERS
from lmbench.text.units import LEARNT, UNITS, check_unit

if TYPE_CHECKING:
    from lmbench.corpora.corpus import Corpus

Function = TypeVar("Function", bound=Callable[..., Any])


class UnitType(click.ParamType):
    """The name of a unit, with its options where it has some."""

    name = "unit"

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        return f"[{'|'.join([*UNITS, LEARNT])}[:KEY=VALUE,...]]"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        check_unit(value)
        return str(value)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        return [CompletionItem(name) for name in (*UNITS, LEARNT) if name.startswith(incomplete)]


class TokensType(click.ParamType):
    """How many tokens of a text, or all."""

    name = "tokens"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | Literal["all"]:
        if value == "all":
            return "all"
        if not str(value).isdecimal() or len(str(value)) > 18:
            self.fail(f"{printable(str(value))} is neither a number of tokens nor all", param, ctx)
        return int(value)


unit_option = click.option(
    "--unit",
    type=UnitType(),
    default="char",
    show_default=True,
    help="Tokens; subword:size=4000,kind=unigram: pieces of words.",
)
field_option = click.option(
    "--field",
    metavar="NAME",
    help="Of JSON lines, Parquet, CSV, TSV: the field that is the text. Default: text.",
)
lexicon_options = (
    click.option(
        "--unk",
        default="",
        metavar="WORD",
        help="This token of the text is the unknown one, as <unk> of ptb.",
    ),
    click.option(
        "--vocab",
        default="",
        metavar="FILE",
        help="The vocabulary, a token a line, in place of the training text's.",
    ),
    click.option(
        "--min-count",
        type=click.IntRange(min=0),
        default=0,
        metavar="N",
        help="Tokens that the training text has fewer than N times are unknown.",
    ),
)
normalise_option = click.option(
    "--normalise", type=click.Choice(list(NORMALISERS)), help="Default: none; a corpus's own."
)
text_options = (
    normalise_option,
    click.option("--documents", type=click.Choice(DOCUMENTS), help="Default: stream; a corpus's own."),
    field_option,
)
seed_option = click.option(
    "--seed",
    type=click.IntRange(0, LARGEST_SEED),
    metavar="INTEGER",
    default=0,
    show_default=True,
    help="Of all randomness, from 0 on.",
)
model_options = (
    click.option(
        "--model",
        "name",
        metavar="NAME",
        is_eager=True,
        shell_complete=complete_model,
        help="`lmbench models` lists them.",
    ),
    click.option(
        "-o",
        "options",
        metavar="KEY=VALUE",
        multiple=True,
        shell_complete=complete_option,
        help="An option of the model.",
    ),
    click.option(
        "--train",
        metavar="FILE|CORPUS",
        multiple=True,
        shell_complete=complete_corpus,
        help="A file, a directory, a glob pattern or a corpus; may be given again: all of them.",
    ),
    click.option(
        "--counts",
        metavar="FILE",
        multiple=True,
        help="In place of --train: counts of n-grams of words, a file or a folder; may be given again.",
    ),
    click.option("--valid", metavar="FILE", help="Held-out text for the model's settings."),
    unit_option,
    *lexicon_options,
    *text_options,
    seed_option,
)
tolerance_option = click.option(
    "--tolerance",
    type=click.FloatRange(min=0),
    metavar="BITS",
    help="The least difference that matters, in bits per character. Default 0.005.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="One JSON object and nothing else.")


def _trust_code(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value:
        from lmbench.models.trust import trusting_all

        context.with_resource(trusting_all())


trust_code_option = click.option(
    "--trust-code",
    is_flag=True,
    expose_value=False,
    callback=_trust_code,
    help="Runs code that the file names: a class of another package.",
)
quiet_option = click.option("--quiet", is_flag=True, help="No progress.")


def with_options(options: Sequence[Callable[[Function], Function]]) -> Callable[[Function], Function]:
    def decorate(function: Function) -> Function:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


# Text and models of the command line ------------------------------------------------------------------


def corpus_of(
    train: Sequence[str],
    valid: str | None,
    test: str | None,
    normalise: str | None,
    documents: str | None,
    field: str | None = None,
) -> Corpus:
    """The corpus that --train, --valid and --test describe; a corpus's own split stands in for what is left out.

    Of files all is learnt from, but for what --valid and --test take.
    """
    from lmbench.corpora.corpus import Corpus
    from lmbench.corpora.inputs import is_described

    if not train:
        raise InputError("--train is missing; give a text file or a corpus (`lmbench corpora list`)")
    if any(is_described(place) for place in train):
        if len(train) > 1:
            raise InputError("--train takes several files or one corpus; give one corpus, or files alone")
        return Corpus.of(train[0], valid, test, normalise=normalise, documents=documents, field=field)
    return Corpus.from_files(train, valid, test, normalise or "none", documents or "stream", field=field)


def text_of(
    places: Sequence[str],
    normalise: str | None = None,
    documents: str | None = None,
    field: str | None = None,
    divided: bool = True,
    valid: str | None = None,
) -> Corpus:
    """A corpus by its name, its description, or files that are divided here. divided: whether it has to be."""
    from lmbench.corpora.corpus import Corpus
    from lmbench.corpora.inputs import is_described

    place = places[0] if len(places) == 1 else list(places)
    share = None if divided or (isinstance(place, str) and is_described(place)) else 0.0
    return Corpus.of(
        place, share if valid is None else valid, share, normalise=normalise, documents=documents, field=field
    )


def key_values(pairs: Sequence[str]) -> dict[str, str]:
    """``-o KEY=VALUE``, each as written; raises InputError where one has no ``=``.

    >>> key_values(["order=3", "memory_limit=2GB"])
    {'order': '3', 'memory_limit': '2GB'}
    """
    options = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise InputError(f"-o {pair} is not KEY=VALUE, for instance -o order=3")
        options[key] = value
    return options


def orders_of(text: str) -> list[int]:
    """The orders of n-grams that ``--orders 1,2,3`` asks for, ascending. Raises InputError where it is no such list."""
    from lmbench.counts.ngrams import LONGEST

    try:
        wanted = sorted({int(k) for k in text.split(",")})
    except ValueError:
        wanted = []
    if not wanted or wanted[0] < 1 or wanted[-1] > LONGEST:
        raise InputError(f"--orders {text} is not a list of whole numbers from 1 to {LONGEST}, such as 1,2,3")
    return wanted


def echo_remark(text: str) -> None:
    """Says something beside an answer: a line of stderr that no terminal obeys, whatever names stand in it."""
    click.echo(printable(text), err=True)


def echo_notes(notes: Iterable[str], of: str = "") -> None:
    """What there is to say beside an answer, each a remark. of: what it is said of."""
    for note in notes:
        echo_remark(f"{of}: {note}" if of else note)


def echo_text(text: object, nl: bool = True) -> None:
    """Prints what a command answers: as it is into a file or pipe; on a terminal, what one would obey is escaped."""
    said = str(text)
    if sys.stdout.isatty():
        said = "".join(c if c in "\n\t" else printable(c) for c in said)
    click.echo(said, nl=nl)


def echo_json(text: str) -> None:
    """Prints a JSON document: as it is into a file or pipe; on a terminal, what one would obey stands in JSON's own escapes."""
    if sys.stdout.isatty():
        text = "".join(c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in text)
    click.echo(text)
