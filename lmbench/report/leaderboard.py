"""The leaderboard as rows, once; as CSV, Markdown, LaTeX and in the terminal. Nothing is computed but the order."""

from __future__ import annotations

import csv
import io
import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions
    from rich.table import Table

Results = Mapping[str, Any]  # what results.json holds
Entry = Mapping[str, Any]  # one of its results


# Reading results -------------------------------------------------------------------------------------

LOSSES = ("perplexity", "bits_per_char", "bits_per_byte", "bits_per_word")


def number(entry: Entry, key: str) -> float | None:
    """A number of an entry; inf where JSON could not say it: ``"inf"``, or null beside ``infinite_tokens``."""
    value = entry.get(key)
    if value is None:
        infinite = entry.get("infinite") or entry.get("infinite_tokens")
        return math.inf if infinite and key in LOSSES and failure(entry) is None else None
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return None
    return float(value)


def failure(entry: Entry) -> str | None:
    """Why a result is missing, or None where it is there."""
    status = entry.get("status", "ok")
    return None if status == "ok" else str(status)


def interval(entry: Entry) -> tuple[float, float] | None:
    """The 95% interval of an entry, where it has one."""
    ends = entry.get("ci95")
    if not ends or any(not isinstance(e, (int, float)) or not math.isfinite(e) for e in ends):
        return None
    return float(ends[0]), float(ends[1])


def corpora(results: Results) -> list[dict[str, Any]]:
    """The corpora, in the order of the suite; those that only results name come last."""
    known = {c["name"]: dict(c) for c in results.get("corpora", ())}
    for entry in results.get("results", ()):
        known.setdefault(entry["corpus"], {"name": entry["corpus"]})
    return list(known.values())


def labels(results: Results) -> list[str]:
    """All models' labels, in the order of the suite: their places give their colours."""
    return list(dict.fromkeys(str(entry["label"]) for entry in results.get("results", ())))


@dataclass(frozen=True)
class Row:
    """A line of a corpus's leaderboard. rank: 1 for the fewest bits; None where the model is not ranked.

    label: the model's. name: what the line is called; with its seed, where a label has several lines.
    """

    entry: Entry
    rank: int | None
    name: str

    @property
    def label(self) -> str:
        return str(self.entry["label"])

    @property
    def groups(self) -> list[str]:
        """The letters that the model shares with those that cannot be told from it."""
        return re.findall(r"\w'*", str(self.entry.get("groups") or ""))

    @property
    def bits(self) -> float | None:
        return number(self.entry, "bits_per_char")

    @property
    def reason(self) -> str | None:
        """Why the row has no rank."""
        return failure(self.entry) or self.entry.get("unranked_reason")


def rows(results: Results, corpus: str) -> list[Row]:
    """A corpus's results: ranked ones by bits per character, then those without a rank, then failures."""
    entries = [entry for entry in results.get("results", ()) if entry["corpus"] == corpus]

    def place(entry: Entry) -> tuple[int, float]:
        bits = number(entry, "bits_per_char")
        kind = 2 if failure(entry) else 1 if entry.get("unranked_reason") or bits is None else 0
        return kind, math.inf if bits is None else bits

    entries.sort(key=place)
    times = Counter(entry["label"] for entry in entries)
    found = []
    for i, entry in enumerate(entries, 1):
        seed = f" (seed {entry.get('seed')})" if times[entry["label"]] > 1 else ""
        found.append(Row(entry, i if place(entry)[0] == 0 else None, f"{entry['label']}{seed}"))
    return found


def truth(corpus: Mapping[str, Any]) -> float | None:
    """A source's entropy rate, bits a character, where it is known: the middle of what holds it."""
    told = corpus.get("entropy_rate")
    values = [float(v) for v in (told if isinstance(told, (list, tuple)) else [told]) if v is not None]
    return sum(values) / len(values) if values else None


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


def signed_bits(value: float) -> str:
    """With a true minus sign, for pages."""
    return f"{value:+.3f}".replace("-", "−") if math.isfinite(value) else ("∞" if value > 0 else "−∞")


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
    "bits": _numbers("bits/char", "bits_per_char", bits_text, "bits a character of the unseen text"),
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
    "fit": _numbers("to train", "fit_seconds", seconds_text, "time to train"),
    "score": _numbers("to score", "score_seconds", seconds_text, "time to score the unseen text"),
    "parameters": _numbers("parameters", "parameters", count_text, "numbers that training sets"),
    "size": _numbers("size", "model_bytes", bytes_text, "of the model in memory"),
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


# Formats ---------------------------------------------------------------------------------------------

CSV_FIELDS = (
    *("corpus", "label", "model", "unit", "seed", "status", "rank", "groups", "bits_per_char", "ci95_low"),
    *("ci95_high", "bits_per_byte", "bits_per_word", "perplexity", "perplexity_excluding_oov"),
    *("train_bits_per_char", "tokens", "oov"),
    *("vocab_size", "chars", "bytes", "words", "fit_seconds", "score_seconds", "parameters", "model_bytes"),
    *("unranked_reason",),
)
NUMBERS = {*CSV_FIELDS[8:]} - {"unranked_reason", "ci95_low", "ci95_high"}


def leaderboard_csv(results: Results) -> str:
    """All corpora's leaderboards as CSV: a header, a row a result, full precision, ``inf`` for infinity."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(CSV_FIELDS)
    for corpus in corpora(results):
        for row in rows(results, corpus["name"]):
            ends = interval(row.entry) or ("", "")
            extra = {"rank": row.rank, "ci95_low": ends[0], "ci95_high": ends[1]}
            cells = {**row.entry, **extra}
            cells |= {
                key: number(row.entry, key)
                for key in NUMBERS
                if isinstance(row.entry.get(key), (str, type(None)))
            }
            writer.writerow(["" if (v := cells.get(field)) is None else v for field in CSV_FIELDS])
    return stream.getvalue()


def leaderboard_markdown(results: Results, corpus: str) -> str:
    """A corpus's leaderboard as a Markdown table."""
    columns = [COLUMNS[name] for name in PLAIN]
    body = [[markdown_text(c.text(row)) for c in columns] for row in rows(results, corpus)]
    return markdown_table([c.title for c in columns], body, [c.numeric for c in columns])


def markdown_table(head: Sequence[str], body: Sequence[Sequence[str]], numeric: Sequence[bool]) -> str:
    """A Markdown table of cells that are Markdown already, padded so that its source reads as a table too."""
    widths = [max(3, *(len(line[i]) for line in (head, *body))) for i in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        padded = (c.rjust(w) if n else c.ljust(w) for c, w, n in zip(cells, widths, numeric, strict=True))
        return f"| {' | '.join(padded)} |"

    rule = "|".join(f" {'-' * (w - n)}{':' * n} " for w, n in zip(widths, numeric, strict=True))
    return "\n".join([line(head), f"|{rule}|", *map(line, body)]) + "\n"


def markdown_text(text: str) -> str:
    """Text that Markdown shows as it stands, on one line."""
    text = re.sub(r"([\\`*_{}\[\]<>|#~$&])", r"\\\1", "".join(c if c.isprintable() else " " for c in text))
    return "\\-" if text == "-" else text


def leaderboard_latex(results: Results, corpus: str) -> str:
    """A corpus's leaderboard as a LaTeX tabular (booktabs)."""
    columns = [COLUMNS[name] for name in PLAIN]
    lines = [rf"\begin{{tabular}}{{{''.join('r' if c.numeric else 'l' for c in columns)}}}", r"\toprule"]
    lines.append(" & ".join(latex_text(c.title) for c in columns) + r" \\")
    lines.append(r"\midrule")
    lines += [" & ".join(latex_text(c.text(row)) for c in columns) + r" \\" for row in rows(results, corpus)]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n"


def latex_text(text: str) -> str:
    """Text that LaTeX shows as it stands, on one line."""
    special = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "-": "-"}
    special |= {c: "\\" + c for c in "&%$#_{}"} | {"<": r"\textless{}", ">": r"\textgreater{}"}
    return "".join(special.get(c, c if c.isprintable() else " ") for c in text)


def terminal_table(results: Results) -> TerminalTable:
    """The leaderboards for the terminal (rich): a table a corpus, then why some rows have no rank."""
    return TerminalTable(results)


class TerminalTable:
    """What rich prints: of the columns, those that the terminal is wide enough for."""

    def __init__(self, results: Results) -> None:
        self.results = results

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Any]:
        from rich.text import Text

        unbounded = options.update(max_width=10_000)
        for corpus in corpora(self.results):
            shown = rows(self.results, corpus["name"])
            names = list(PLAIN)
            for least in (*LEAST, None):
                table = self._table(corpus["name"], shown, names)
                if least is None or console.measure(table, options=unbounded).maximum <= options.max_width:
                    break
                names.remove(least)
            yield table
            for row in shown:
                if row.reason:
                    yield Text(f"  {row.name}: {row.reason}", style="yellow")

    def _table(self, title: str, shown: Sequence[Row], names: Sequence[str]) -> Table:
        from rich import box
        from rich.table import Table
        from rich.text import Text

        table = Table(title=Text(title, style="bold"), title_justify="left", box=box.SIMPLE_HEAD)
        for column in (COLUMNS[name] for name in names):
            table.add_column(column.title, justify="right" if column.numeric else "left", overflow="fold")
        for row in shown:
            cells = [Text(COLUMNS[name].text(row), style="dim" if row.rank is None else "") for name in names]
            table.add_row(*cells, style="bold" if row.rank == 1 else None)
        return table
