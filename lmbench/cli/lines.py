"""rank, next, and score --each: how probable sentences are, and what comes next."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lmbench.cli.options import echo_json, echo_notes, echo_text, json_option, trust_code_option
from lmbench.errors import InputError

if TYPE_CHECKING:
    from lmbench.scoring.scorer import Scorer
    from lmbench.text.canonical import CanonicalText
    from lmbench.text.oddities import Oddity

EACH, FORMATS = ("line", "document"), ("tsv", "jsonl")


def score_each(
    scorer: Scorer,
    each: str,
    place: str | CanonicalText,
    table: str,
    field: str | None = None,
    normalise: str | None = None,
) -> None:
    """Prints a row a line or document as the text comes, a file (``-``: standard input) or one that is read.

    table: ``tsv`` or ``jsonl``. normalise: what the user asked for; where that is nothing (None), lines of words are read as
    KenLM's query reads them.
    """
    import msgspec

    from lmbench.corpora.formats import files_of
    from lmbench.corpora.streaming import batches_of_documents, batches_of_lines
    from lmbench.scoring.lines import Row, score_each_document, score_each_line, tab_separated

    by_line = each == "line"
    mode, notices = scorer.normalise, Notices(scorer)
    if not isinstance(place, str):
        batches: Iterator[Sequence[str]] = iter([place.documents()])
        mode = "none"
    else:
        batches = (batches_of_lines if by_line else batches_of_documents)(files_of(place), field)
        lines = by_line or scorer.documents == "line"
        if normalise is None and mode == "none" and lines and scorer.unit.name == "word":
            mode = "sentences"
        batches = notices.of(batches, mode)
    fields = Row.__struct_fields__
    encoder = msgspec.json.Encoder()
    if table == "tsv":
        sys.stdout.write("\t".join(fields) + "\n")
    for rows in (score_each_line if by_line else score_each_document)(scorer, batches, mode):
        written = tab_separated(rows) if table == "tsv" else encoder.encode_lines(rows).decode()
        sys.stdout.write(written)
        sys.stdout.flush()
    echo_notes(notices.notes())


class Notices:
    """What a text has that may be meant otherwise than a model by word reads it, counted as the text goes by."""

    def __init__(self, scorer: Scorer) -> None:
        self._scorer, self._tidied = scorer, False
        self._seen: dict[str, Oddity] = {}

    def of(self, batches: Iterator[Sequence[str]], normalise: str) -> Iterator[Sequence[str]]:
        """The batches themselves, looked through on the way. normalise: by which they will be read."""
        from lmbench.text.oddities import oddities

        by_word = self._scorer.unit.name == "word" and normalise != "letters"
        self._tidied = normalise != self._scorer.normalise
        blanks_too = self._tidied or normalise == "none"
        for batch in batches:
            for text in batch if by_word else ():
                for oddity in oddities(text):
                    if blanks_too or not oddity.is_blank:
                        first = self._seen.get(oddity.kind, replace(oddity, count=0))
                        self._seen[oddity.kind] = replace(first, count=first.count + oddity.count)
            yield batch

    def notes(self) -> list[str]:
        from lmbench.corpora.words import TIDIED, remark, remedy_of

        notes = [remark("test", oddity) for oddity in self._seen.values()]
        remedy = remedy_of(list(self._seen.values()))
        return [*notes, TIDIED[remedy]] if remedy and self._tidied else notes


# rank ----------------------------------------------------------------------------------------------

load_option = click.option(
    "--load",
    "saved",
    metavar="MODEL",
    required=True,
    help="A model that `lmbench fit --save` wrote, or an ARPA file.",
)


@click.command()
@click.option(
    "--load",
    "saved",
    metavar="[LABEL=]MODEL",
    multiple=True,
    help="A model that `lmbench fit --save` wrote, or an ARPA file; of pairs and choices several.",
)
@trust_code_option
@click.option(
    "--pairs", is_flag=True, help="Minimal pairs: good<TAB>bad a line, or JSON lines: how many are right."
)
@click.option(
    "--choices", is_flag=True, help="JSON lines with context, choices and gold: how many are right."
)
@click.option(
    "--samples",
    metavar="[LABEL=]FILE",
    multiple=True,
    help="What `lm_eval --log_samples` wrote of pairs or choices, in place of models and FILE; may be given again.",
)
@click.option(
    "--group", metavar="FIELD", help="Of these JSON lines: the field that says what an item belongs to."
)
@click.option(
    "--between",
    metavar="TEXT",
    help="Between context and choice; default: a space where neither has a blank.",
)
@click.option("--premise", default="", metavar="TEXT", help="The context of the choices alone, for pmi.")
@click.argument("place", metavar="FILE|-", required=False)
@json_option
def rank(
    saved: tuple[str, ...],
    pairs: bool,
    choices: bool,
    samples: tuple[str, ...],
    group: str | None,
    between: str | None,
    premise: str,
    place: str | None,
    as_json: bool,
) -> None:
    """Ranks alternatives, the likeliest first.

    FILE holds a line an alternative, an empty line between lists; or an n-best list as Moses writes it,
    ID ||| TEXT ||| more. With --pairs or --choices: how often models are right.
    """
    from lmbench.cli.judging import judge_choices, judge_pairs, judge_samples
    from lmbench.scoring.ranking import ranked
    from lmbench.scoring.token_file import ESCAPES
    from lmbench.storage.files import read_text

    if samples:
        if saved or place is not None or pairs or choices:
            raise InputError(
                "--samples is of what another program said; leave --load, --pairs, --choices and FILE out"
            )
        return judge_samples(by_label(samples), as_json)
    if not saved or place is None:
        raise InputError("give --load MODEL and the FILE to rank, or --samples")
    if pairs and choices:
        raise InputError("--pairs and --choices are of different files; give one")
    if not choices and (between is not None or premise):
        raise InputError("--between and --premise are of --choices; leave them out")
    if not pairs and not choices and (group is not None or len(saved) > 1):
        raise InputError(
            "lists are ranked by one model, and have no --group; give --pairs or --choices for several models"
        )
    models = labelled(saved)
    if choices:
        return judge_choices(models, place, group, between, premise, as_json)
    if pairs:
        return judge_pairs(models, place, group, as_json)
    (scorer,) = models.values()
    lines = read_text(place).split("\n")
    lines = [line.removesuffix("\r") for line in (lines if lines[-1] else lines[:-1])]
    lists = _lists(lines, place)
    results = ranked(scorer, list(lists.values()))
    columns = ("list", "rank", "place", "log_prob", "bits_per_char", "tokens", "oov", "text")
    rows = [
        (name, i, one.place, one.log_prob, one.row.bits_per_char, one.row.tokens, one.row.oov, one.text)
        for name, alternatives in zip(lists, results, strict=True)
        for i, one in enumerate(alternatives, 1)
    ]
    if as_json:
        alternatives = [{key: _finite(cell) for key, cell in zip(columns, row, strict=True)} for row in rows]
        return _json({"model": scorer.model.name, "lists": len(lists), "alternatives": alternatives})
    echo_text("\t".join(columns))
    for name, number, offset, nats, bits, tokens, oov, text in rows:
        cells = [name, number, offset, f"{nats:.4f}", f"{bits:.4f}", tokens, oov, text.translate(ESCAPES)]
        echo_text("\t".join(map(str, cells)))


def _lists(lines: Sequence[str], place: str) -> dict[str, list[str]]:
    """The alternatives by list: of Moses' format by its ids, else by number from 1, an empty line between two."""
    lists: dict[str, list[str]] = {}
    number, moses = 1, next((" ||| " in line for line in lines if line.strip()), False)
    for i, line in enumerate(lines, 1):
        if not line.strip():
            number += str(number) in lists
            continue
        if not moses and "\t" in line:
            raise InputError(
                f"{place} line {i} has a tab; give an alternative a line, or --pairs for lines good<TAB>bad"
            )
        name, bar, text = line.partition(" ||| ") if moses else (str(number), " ", line)
        if not bar:
            raise InputError(f"{place} line {i} is not ID ||| TEXT, as those before it are")
        lists.setdefault(name.strip(), []).append(text.partition(" |||")[0])
    if not lists:
        raise InputError(f"{place} has no alternatives; give one a line")
    return lists


# next ----------------------------------------------------------------------------------------------


@click.command("next")
@load_option
@trust_code_option
@click.option("--prompt", default="", help="The text before; without it, a document begins.")
@click.option("--top", type=click.IntRange(min=1), default=10, show_default=True, help="How many tokens.")
@json_option
def next_tokens(saved: str, prompt: str, top: int, as_json: bool) -> None:
    """Lists the likeliest next tokens."""
    import math

    from lmbench.scoring.token_file import ESCAPES

    scorer = loaded(saved)
    tokens = scorer.next_tokens(prompt, top)
    if as_json:
        rows = [
            {"token": token, "log_prob": _finite(nats), "probability": math.exp(nats)}
            for token, nats in tokens
        ]
        return _json({"model": scorer.model.name, "prompt": prompt, "tokens": rows})
    echo_text("probability\tlog_prob\ttoken")
    for token, nats in tokens:
        echo_text(f"{math.exp(nats):.6f}\t{nats:.4f}\t{token.translate(ESCAPES)}")


def loaded(saved: str, unk: str = "") -> Scorer:
    """A saved model; what there is to say of one that is read anew each time is said."""
    from lmbench.scoring.scorer import load_model

    scorer = load_model(saved, unk=unk)
    echo_notes(scorer.model.notes if scorer.model.traits.learns_from == 0 else (), scorer.model.name)
    return scorer


def labelled(saved: Sequence[str]) -> dict[str, Scorer]:
    """Saved models by label, see ``by_label``."""
    return {label: loaded(place) for label, place in by_label(saved).items()}


def by_label(given: Sequence[str]) -> dict[str, str]:
    """Files by label: FILE by its name, LABEL=FILE by that. Raises InputError where two have one label."""
    places: dict[str, str] = {}
    for one in given:
        label, equals, place = one.partition("=")
        if not equals or Path(one).exists():
            label, place = Path(one).stem, one
        if label in places:
            raise InputError(f"two are called {label}; give one another name: LABEL={place}")
        places[label] = place
    return places


def _finite(cell: object) -> object:
    """JSON knows no infinity."""
    return None if isinstance(cell, float) and cell - cell != 0 else cell


def _json(facts: dict[str, object]) -> None:
    echo_json(json.dumps(facts, ensure_ascii=False))
