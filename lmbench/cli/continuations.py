"""score --given: ln p(continuation | context) of each line of a text."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from lmbench.cli.options import echo_json, echo_text

if TYPE_CHECKING:
    from lmbench.scoring.scorer import Scorer


def score_given(scorer: Scorer, context: str, place: str, field: str | None, as_json: bool) -> None:
    """Prints a row for each line of a text (a file or ``-``): what it costs after ``context``, and its length."""
    from lmbench.corpora.inputs import canonical
    from lmbench.scoring.continuation import continuation
    from lmbench.scoring.token_file import ESCAPES

    lines = [line.removesuffix("\n") for line in canonical(place, "none", "line", field).documents()]
    rows = []
    for line in lines:
        charged = continuation(scorer, context, line)
        facts = {"log_prob": charged.log_prob, "tokens": charged.tokens, "chars": charged.chars}
        bits = charged.bits_per_char if charged.chars else None
        more = {"log_prob_apart": charged.apart, "continuation": line}
        rows.append({**facts, "bits_per_char": bits, "greedy": charged.greedy, **more})
    if as_json:
        document = {"model": scorer.model.name, "given": context, "continuations": rows}
        return echo_json(json.dumps(document, ensure_ascii=False))
    echo_text("log_prob\ttokens\tchars\tbits_per_char\tgreedy\tlog_prob_apart\tcontinuation")
    for row in rows:
        per_char, apart = (_number(row[key]) for key in ("bits_per_char", "log_prob_apart"))
        cells = [
            _number(row["log_prob"]),
            row["tokens"],
            row["chars"],
            per_char,
            int(bool(row["greedy"])),
            apart,
        ]
        echo_text("\t".join([*map(str, cells), str(row["continuation"]).translate(ESCAPES)]))


def _number(value: object) -> str:
    return "" if value is None else f"{value:.4f}"
