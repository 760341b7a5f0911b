"""Reading results: corpora, labels, and the lines of a leaderboard in their order. Nothing is computed but the order."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

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
    def spread(self) -> float | None:
        """Standard deviation of ``bits`` over the seeds of training, where there are several."""
        return number(self.entry, "bits_per_char_sd")

    @property
    def reason(self) -> str | None:
        """Why the row has no rank."""
        return failure(self.entry) or self.entry.get("unranked_reason")


def rows(results: Results, corpus: str) -> list[Row]:
    """A corpus's results: ranked ones by bits per character, then those without a rank, then failures.

    A label of several seeds is one row, of their means, where the results tell them.
    """
    meant = [entry for entry in results.get("over_seeds") or () if entry["corpus"] == corpus]
    over = {entry["label"] for entry in meant}
    entries = [
        entry
        for entry in results.get("results", ())
        if entry["corpus"] == corpus and (entry["label"] not in over or failure(entry))
    ] + meant

    def place(entry: Entry) -> tuple[int, float]:
        bits = number(entry, "bits_per_char")
        kind = 2 if failure(entry) else 1 if entry.get("unranked_reason") or bits is None else 0
        return kind, math.inf if bits is None else bits

    entries.sort(key=place)
    times = Counter(entry["label"] for entry in entries)
    found = []
    for i, entry in enumerate(entries, 1):
        alone = times[entry["label"]] == 1 or "seeds" in entry
        seed = "" if alone else f" (seed {entry.get('seed')})"
        found.append(Row(entry, i if place(entry)[0] == 0 else None, f"{entry['label']}{seed}"))
    return found


def truth(corpus: Mapping[str, Any]) -> float | None:
    """A source's entropy rate, bits a character, where it is known: the middle of what holds it."""
    told = corpus.get("entropy_rate")
    values = [float(v) for v in (told if isinstance(told, (list, tuple)) else [told]) if v is not None]
    return sum(values) / len(values) if values else None
