"""The columns of every table of models: head, meaning, text and order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lmbench.errors import unknown
from lmbench.report.formats import (
    MISSING,
    bits_text,
    bytes_text,
    count_text,
    giga_text,
    interval_text,
    perplexity_text,
    seconds_text,
    share_text,
)
from lmbench.report.ranking import Row

ADAPTIVE = "goes on learning from the text that it scores, an easier task than standing still"
APART = "Models that go on learning from the text that they score, an easier task: a ranking of their own"
MARK = "*"  # after the name of such a model, in tables without room for a word


@dataclass(frozen=True)
class Column:
    """A column of the leaderboard: its head, what it means, its text in a row, and what to sort a row by.

    key: rows without one (None) stay last, whichever way they are sorted. hover: what a cell says beside its text on a page.
    """

    title: str
    help: str
    text: Callable[[Row], str]
    key: Callable[[Row], float | str | None]
    numeric: bool = True
    hover: Callable[[Row], str] = lambda row: ""


def _unseen_interval(row: Row) -> str:
    text = interval_text(row.result.ci95_bits_per_char_unseen)
    return "" if text == MISSING else f"95% interval {text}"


def _numbers(title: str, name: str, text: Callable[[float | None], str], help: str) -> Column:
    """Of a field of ``Result``, by its name."""
    return Column(title, help, lambda row: text(row.result.value(name)), lambda row: row.result.value(name))


def marked(row: Row) -> str:
    """A row's name, with a mark where the model learns from the test text."""
    return f"{row.name} {MARK}" if row.adaptive else row.name


def spread_text(row: Row) -> str:
    spread = row.result.bits_per_char_sd
    return "" if spread is None else f" ± {bits_text(spread)}"


def _perplexity(row: Row) -> str:
    text = perplexity_text(row.result.value("perplexity"))
    return text if text == MISSING else f"{text} a {row.result.unit}"


def _by_unit(row: Row) -> str | None:
    """Perplexities of one unit beside one another: those of two do not compare."""
    value = row.result.value("perplexity")
    return None if value is None else f"{row.result.unit} {min(value, 1e15):024.6f}"


BEST_FOR = {
    "total_fit_seconds": "training",
    "score_seconds": "scoring",
    "parameters": "parameters",
}


def _best_for(row: Row) -> str:
    return ", ".join(BEST_FOR[cost] for cost in row.result.best_for if cost in BEST_FOR)


def _rank(row: Row) -> str:
    return MISSING if row.rank is None else str(row.rank)


COLUMNS: dict[str, Column] = {
    "rank": Column(
        "#",
        "place by bits per character, of models that learn from the test text apart from the others",
        _rank,
        lambda row: row.rank,
    ),
    "label": Column(
        "model", f"the model's label; {MARK}: it {ADAPTIVE}", marked, lambda row: row.name, numeric=False
    ),
    "groups": Column(
        "group",
        "models that share a letter cannot be told apart on this text",
        lambda row: row.result.groups,
        lambda row: row.result.groups or None,
        numeric=False,
    ),
    "bits": Column(
        "bits/char",
        "bits a character of the unseen text; ±: standard deviation over seeds of training",
        lambda row: bits_text(row.bits) + spread_text(row),
        lambda row: row.bits,
    ),
    "interval": Column(
        "95% interval",
        "of bits per character, over all text of the same documents or process",
        lambda row: interval_text(row.result.ci95),
        lambda row: row.bits,
    ),
    "train": _numbers(
        "on training", "train_bits_per_char", bits_text, "bits per character of the training text"
    ),
    "perplexity": Column(
        "perplexity",
        "compares only models of the same unit and vocabulary",
        _perplexity,
        _by_unit,
    ),
    "vocabulary": _numbers(
        "vocabulary", "vocab_size", count_text, "tokens that the model knows, <unk> among them"
    ),
    "prediction": Column(
        "95%, another text",
        "where bits per character of another text of this length and make are to be expected",
        lambda row: interval_text(row.result.prediction95),
        lambda row: row.bits,
    ),
    "byte": _numbers("bits/byte", "bits_per_byte", bits_text, "the same bits over the text's UTF-8 bytes"),
    "word": _numbers("bits/word", "bits_per_word", bits_text, "the same bits over the text's words"),
    "seen": _numbers(
        "on seen",
        "bits_per_char_seen",
        bits_text,
        "bits per character where the test text repeats 30 characters or more, or a passage with few changes, of the text that models have seen",
    ),
    "unseen": Column(
        "on unseen",
        "bits per character where the test text repeats nothing of the text that models have seen",
        lambda row: bits_text(row.result.bits_per_char_unseen),
        lambda row: row.result.bits_per_char_unseen,
        hover=_unseen_interval,
    ),
    "unseen-interval": Column(
        "95% interval, on unseen",
        "of the bits per character where the test text repeats nothing of the text that models have seen",
        lambda row: interval_text(row.result.ci95_bits_per_char_unseen),
        lambda row: row.result.bits_per_char_unseen,
    ),
    "fit": _numbers(
        "to train", "total_fit_seconds", seconds_text, "time to train, with the models that it combines"
    ),
    "score": _numbers("to score", "score_seconds", seconds_text, "time to score the unseen text"),
    "parameters": _numbers("parameters", "parameters", count_text, "numbers that training sets"),
    "size": _numbers("size", "model_bytes", bytes_text, "of the model in memory"),
    "flops": _numbers(
        "FLOPs a token",
        "training_flops",
        count_text,
        "floating-point operations of matrix products to learn from one token; models that count do none",
    ),
    "passes": _numbers("tokens learnt", "training_tokens", count_text, "over all passes"),
    "rate": _numbers("tokens/s", "tokens_per_second", count_text, "tokens learnt a second of training"),
    "speed": _numbers(
        "GFLOP/s", "flops_per_second", giga_text, "of matrix products, over all of the training"
    ),
    "share": _numbers(
        "of peak",
        "share_of_peak",
        share_text,
        "of what large products in single precision reach on the same threads; in bfloat16 more than all of it may be had",
    ),
    "best": Column(
        "best for its", "no model of the text costs less and predicts better", _best_for, _best_for, False
    ),
    "last-epoch": _numbers(
        "last epoch",
        "last_epoch_perplexity",
        perplexity_text,
        "perplexity of the training text while it was learnt for the last time: what tutorials print",
    ),
    "train-perplexity": _numbers(
        "on training, perplexity", "train_perplexity", perplexity_text, "of the training text, once trained"
    ),
    "test-perplexity": _numbers(
        "held out, perplexity", "perplexity", perplexity_text, "of the unseen text, a token"
    ),
}
# Left out first where space is short.
LEAST = ("parameters", "vocabulary", "perplexity", "fit", "train", "interval", "groups")
PLAIN = (
    *("rank", "label", "groups", "bits", "interval", "train"),
    *("perplexity", "vocabulary", "fit", "parameters"),
)
# Of the page, beside rank, name, group and bits; what more a model costs stands in a table of its own.
BOARD = ("interval", "train", "unseen", "perplexity", "vocabulary", "byte", "fit", "parameters")
COST = ("label", "bits", "fit", "score", "parameters", "size", "flops", "rate", "speed", "share", "best")


def columns_named(names: str) -> Sequence[str]:
    """The columns of a table by its name, or each by its own; raises InputError for what is neither."""
    tables = {"leaderboard": PLAIN, "cost": COST}
    if names in tables:
        return tables[names]
    chosen = [name.strip() for name in names.split(",")]
    for name in chosen:
        if name not in COLUMNS:
            raise unknown("column", name, [*tables, *COLUMNS])
    return chosen
