"""rank --pairs and --choices: how often models are right, with error bars."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lmbench.cli.options import echo_json, echo_text
from lmbench.cli.tables import print_table
from lmbench.errors import InputError

if TYPE_CHECKING:
    from lmbench.comparing.accuracy import Judgement
    from lmbench.scoring.choices import Pair
    from lmbench.scoring.scorer import Scorer


def judge_pairs(models: Mapping[str, Scorer], place: str, group: str | None, as_json: bool) -> None:
    """Prints how many minimal pairs each model gets right, by paradigm where the file has some."""
    from lmbench.comparing.accuracy import judgement
    from lmbench.scoring.ranking import minimal_pairs

    pairs = read_pairs_of(place, group)
    found = {
        label: minimal_pairs(scorer, [(pair.good, pair.bad) for pair in pairs])
        for label, scorer in models.items()
    }
    judged = judgement(
        {label: [d > 0 for d in each] for label, each in found.items()}, [pair.group for pair in pairs]
    )
    ties = {label: sum(d == 0 for d in each) for label, each in found.items()}
    if as_json:
        each = {
            label: [
                {"good": pair.good, "bad": pair.bad, "group": pair.group, "difference": _finite(d)}
                for pair, d in zip(pairs, differences, strict=True)
            ]
            for label, differences in found.items()
        }
        rows = [
            {
                "model": label,
                **_facts(judged, label),
                "pairs": len(pairs),
                "ties": ties[label],
                "each": each[label],
            }
            for label in models
        ]
        return _print_json(rows, judged)
    if len(models) == 1 and not judged.groups:
        (whole,), (label,) = judged.models, models
        echo_text(f"accuracy   {whole.accuracy:.4f}  (95%: {whole.ci95[0]:.4f} to {whole.ci95[1]:.4f})")
        return echo_text(f"pairs      {len(pairs):,}, {whole.correct:,} right, {ties[label]:,} ties")
    _print_judgement(judged, "pairs")
    if any(ties.values()):
        echo_text("ties, which are not right: " + ", ".join(f"{label} {n:,}" for label, n in ties.items()))


def judge_choices(
    models: Mapping[str, Scorer],
    place: str,
    group: str | None,
    between: str | None,
    premise: str,
    as_json: bool,
) -> None:
    """Prints how many questions each model answers right, its choices compared in each of several ways."""
    from lmbench.comparing.accuracy import judgement
    from lmbench.scoring.choices import WAYS, answers, read_questions

    questions = read_questions(place, group)
    found = {label: answers(scorer, questions, between, premise) for label, scorer in models.items()}
    groups = [question.group for question in questions]
    judged = {
        way: judgement({label: one.correct[way] for label, one in found.items()}, groups) for way in WAYS
    }
    if as_json:
        rows: list[dict[str, Any]] = []
        for label, one in found.items():
            each = [
                {
                    "context": question.context,
                    "choices": question.choices,
                    "gold": question.gold,
                    "group": question.group,
                    "log_probs": [_finite(nats) for nats in one.log_probs[i]],
                    "correct": {way: one.correct[way][i] for way in WAYS},
                }
                for i, question in enumerate(questions)
            ]
            ways = {way: _facts(judged[way], label) for way in WAYS}
            rows.append({"model": label, "questions": len(questions), "ways": ways, "each": each})
        compared = {way: _plain(judged[way].comparisons) for way in WAYS}
        document = {**rows[0]} if len(rows) == 1 else {"models": rows, "comparisons": compared}
        return echo_json(json.dumps(document, ensure_ascii=False))
    for way in WAYS:
        echo_text(f"{way}: {MEANING[way]}")
        _print_judgement(judged[way], "questions")
        echo_text("")


def judge_samples(places: Mapping[str, str], as_json: bool) -> None:
    """Prints how many items are right by what lm-evaluation-harness has logged of each model."""
    from lmbench.comparing.accuracy import judgement
    from lmbench.scoring.harness_tasks import read_judged, same_items

    found = {label: read_judged(place) for label, place in places.items()}
    judged = judgement({label: one.correct for label, one in found.items()}, same_items(list(found.values())))
    if as_json:
        return _print_json([{"model": label, **_facts(judged, label)} for label in found], judged)
    _print_judgement(judged, "items")


MEANING = {
    "raw": "the likelier choice",
    "char": "by ln p a character of the choice",
    "byte": "by ln p a byte of the choice",
    "token": "by ln p a token of the choice",
    "pmi": "by how much likelier the context makes the choice",
}


def read_pairs_of(place: str, group: str | None) -> list[Pair]:
    """JSON lines, or lines good<TAB>bad. Raises InputError where a line is neither."""
    from lmbench.scoring.choices import Pair, read_pairs
    from lmbench.storage.files import read_text

    if place.endswith((".jsonl", ".jsonl.gz", ".ndjson")):
        return read_pairs(place, group)
    if group is not None:
        raise InputError(f"--group {group} is a field of JSON lines; name a .jsonl file, or leave it out")
    pairs = []
    for i, line in enumerate(read_text(place).replace("\r\n", "\n").split("\n"), 1):
        if not line.strip():
            continue
        good, tab, bad = line.partition("\t")
        if not tab or "\t" in bad:
            raise InputError(f"{place} line {i} is not good<TAB>bad but has {line.count(chr(9))} tabs")
        pairs.append(Pair(good, bad))
    return pairs


# What is printed -----------------------------------------------------------------------------------


def _facts(judged: Judgement, label: str) -> dict[str, Any]:
    whole = next(row for row in judged.models if row.label == label)
    facts: dict[str, Any] = {"accuracy": whole.accuracy, "ci95": list(whole.ci95), "correct": whole.correct}
    facts["groups"] = _plain([row for row in judged.groups if row.label == label])
    facts["mean_of_groups"] = next(
        (p for row, p in zip(judged.means, _plain(judged.means), strict=True) if row.label == label), None
    )
    return facts


def _plain(rows: Sequence[Any]) -> list[dict[str, Any]]:
    import msgspec

    plain: list[dict[str, Any]] = msgspec.to_builtins(list(rows))
    return plain


def _print_json(rows: list[dict[str, Any]], judged: Judgement) -> None:
    document = rows[0] if len(rows) == 1 else {"models": rows, "comparisons": _plain(judged.comparisons)}
    echo_json(json.dumps(document, ensure_ascii=False))


def _print_judgement(judged: Judgement, what: str) -> None:
    rows = [
        [
            one.label,
            one.group or "all",
            f"{one.items:,}",
            f"{one.correct:,}",
            f"{one.accuracy:.4f}",
            _ends(one.ci95),
        ]
        for one in sorted(
            [*judged.models, *judged.groups],
            key=lambda one: [m.label for m in judged.models].index(one.label),
        )
    ]
    rows += [
        [one.label, "mean of groups", "", "", f"{one.accuracy:.4f}", _ends(one.ci95)] for one in judged.means
    ]
    columns = [
        ("model", False),
        ("group", False),
        (what, True),
        ("right", True),
        ("accuracy", True),
        ("95% interval", True),
    ]
    print_table(columns, rows)
    if judged.comparisons:
        columns = [
            ("pair", False),
            ("difference", True),
            ("95% interval", True),
            ("alone right", True),
            ("p", True),
            ("p (Holm)", True),
        ]
        print_table(
            columns,
            [
                [
                    f"{one.a} - {one.b}",
                    f"{one.difference:+.4f}",
                    _ends(one.ci95, "+"),
                    f"{one.only_a:,} : {one.only_b:,}",
                    f"{one.p_value:.3g}",
                    f"{one.p_holm:.3g}",
                ]
                for one in judged.comparisons
            ],
        )


def _ends(ends: tuple[float, float] | None, sign: str = "") -> str:
    return "-" if ends is None else f"{ends[0]:{sign}.4f} to {ends[1]:{sign}.4f}"


def _finite(value: float) -> float | None:
    return value if value - value == 0 else None
