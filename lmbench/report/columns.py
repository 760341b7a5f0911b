"""The columns of every table of models: head, meaning, text and order; and numbers as text."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lmbench.errors import unknown
from lmbench.report.ranking import Entry, Row, interval, number

# Numbers as text -------------------------------------------------------------------------------------

MISSING = "-"


def bits_text(value: float | None) -> str:
    if value is None or math.isnan(value):
        return MISSING
    return "inf" if math.isinf(value) else f"{value:.3f}"


def perplexity_text(value: float | None) -> str:
    if value is None or math.isnan(value):
        return MISSING
    if math.isinf(value):
        return "inf"
    return (
        f"{value:.2e}"
        if value >= 1e6
        else f"{value:,.0f}"
        if value >= 1000
        else f"{value:.3f}"
        if value < 100
        else f"{value:.1f}"
    )


def count_text(value: float | None) -> str:
    return MISSING if value is None else f"{value:,.0f}"


def seconds_text(value: float | None) -> str:
    if value is None or not math.isfinite(value):
        return MISSING
    if value < 0.00095:
        return f"{value * 1e6:.0f} µs"
    if value < 0.0995:
        return f"{value * 1000:.0f} ms"
    if value < 99.5:
        return f"{value:.2g} s" if value < 9.95 else f"{value:.0f} s"
    minutes, seconds = divmod(round(value), 60)
    return f"{minutes} min {seconds:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def bytes_text(value: float | None) -> str:
    if value is None or not math.isfinite(value):
        return MISSING
    for unit in ("B", "kB", "MB"):
        if value < 999.5:
            return f"{value:.3g} {unit}"
        value /= 1000
    return f"{value:.3g} GB"


def interval_text(entry: Entry) -> str:
    ends = interval(entry)
    return MISSING if ends is None else f"{ends[0]:.3f} to {ends[1]:.3f}"


def spread_text(row: Row) -> str:
    return "" if row.spread is None else f" ± {row.spread:.3f}"


def signed_bits(value: float) -> str:
    """With a true minus sign, for pages."""
    return f"{value:+.3f}".replace("-", "−") if math.isfinite(value) else ("∞" if value > 0 else "−∞")


def number_text(value: object, digits: int = 4) -> str:
    """A number in so many digits; what is no number (an absent field, None) is missing."""
    return f"{value:,.{digits}g}" if isinstance(value, (int, float)) else MISSING


# Columns ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Column:
    """A column of the leaderboard: its head, what it means, its text in a row, and what to sort a row by."""

    title: str
    help: str
    text: Callable[[Row], str]
    key: Callable[[Row], float | str | None]
    numeric: bool = True


def _numbers(title: str, key: str, text: Callable[[float | None], str], help: str) -> Column:
    return Column(title, help, lambda row: text(number(row.entry, key)), lambda row: number(row.entry, key))


def _perplexity(row: Row) -> str:
    text = perplexity_text(number(row.entry, "perplexity"))
    return text if text == MISSING else f"{text} a {row.entry.get('unit', 'token')}"


def _to_train(row: Row) -> float | None:
    """Seconds, those of the models that it combines included."""
    total = number(row.entry, "total_fit_seconds")
    return number(row.entry, "fit_seconds") if total is None else total


def share_text(value: float | None) -> str:
    return MISSING if value is None else f"{value:.0%}" if value >= 0.0995 else f"{value:.1%}"


def _giga(value: float | None) -> str:
    return MISSING if value is None else f"{value / 1e9:.3g}"


BEST_FOR = {
    "total_fit_seconds": "training",
    "score_seconds": "scoring",
    "parameters": "parameters",
}


def _best_for(row: Row) -> str:
    return ", ".join(BEST_FOR[cost] for cost in row.entry.get("best_for") or () if cost in BEST_FOR)


def _rank(row: Row) -> str:
    return MISSING if row.rank is None else str(row.rank)


COLUMNS: dict[str, Column] = {
    "rank": Column("#", "place by bits per character", _rank, lambda row: row.rank),
    "label": Column("model", "the model's label", lambda row: row.name, lambda row: row.name, numeric=False),
    "groups": Column(
        "group",
        "models that share a letter cannot be told apart on this text",
        lambda row: str(row.entry.get("groups") or ""),
        lambda row: str(row.entry.get("groups") or "~"),
        numeric=False,
    ),
    "bits": Column(
        "bits/char",
        "bits a character of the unseen text; ±: standard deviation over seeds of training",
        lambda row: bits_text(row.bits) + spread_text(row),
        lambda row: row.bits,
    ),
    "interval": Column(
        "95% interval", "of bits per character", lambda row: interval_text(row.entry), lambda row: row.bits
    ),
    "train": _numbers(
        "on training", "train_bits_per_char", bits_text, "bits per character of the training text"
    ),
    "perplexity": Column(
        "perplexity",
        "compares only models of the same unit and vocabulary",
        _perplexity,
        lambda row: number(row.entry, "perplexity"),
    ),
    "vocabulary": _numbers(
        "vocabulary", "vocab_size", count_text, "tokens that the model knows, <unk> among them"
    ),
    "byte": _numbers("bits/byte", "bits_per_byte", bits_text, "the same bits over the text's UTF-8 bytes"),
    "word": _numbers("bits/word", "bits_per_word", bits_text, "the same bits over the text's words"),
    "fit": Column(
        "to train",
        "time to train, with the models that it combines",
        lambda row: seconds_text(_to_train(row)),
        _to_train,
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
    "speed": _numbers("GFLOP/s", "flops_per_second", _giga, "of matrix products, over all of the training"),
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
LEAST = (
    "parameters",
    "vocabulary",
    "perplexity",
    "fit",
    "train",
    "interval",
    "groups",
)  # left out first where space is short
PLAIN = (
    *("rank", "label", "groups", "bits", "interval", "train"),
    *("perplexity", "vocabulary", "fit", "parameters"),
)
BOARD = (
    "train",
    "perplexity",
    "vocabulary",
    "byte",
    "word",
    "fit",
    "score",
    "parameters",
    "size",
)  # of the page
COST = ("label", "bits", "fit", "score", "parameters", "size", "flops", "rate", "speed", "share", "best")


def columns_named(names: str) -> Sequence[str]:
    """The columns of a table by its name, or each by its own; raises InputError for what is neither."""
    tables = {"leaderboard": PLAIN, "cost": COST}
    if names in tables:
        return tables[names]
    found = [name.strip() for name in names.split(",")]
    for name in found:
        if name not in COLUMNS:
            raise unknown("column", name, [*tables, *COLUMNS])
    return found
