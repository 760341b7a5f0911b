"""Questions with several answers: which of them a model holds for the likeliest, by length or not."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from lmbench.errors import InputError, shown
from lmbench.scoring.continuation import Continuation, continuation
from lmbench.scoring.scorer import Scorer
from lmbench.storage.files import read_text
from lmbench.storage.plain import json_of

WAYS = ("raw", "char", "byte", "token", "pmi")


class Question(msgspec.Struct, frozen=True):
    """A context, its choices (two or more), which of them is right (gold, from 0), and what the question belongs to."""

    context: str
    choices: list[str]
    gold: int
    group: str = ""


class Pair(msgspec.Struct, frozen=True):
    """A minimal pair: a good text, a bad one, and the paradigm that it belongs to."""

    good: str
    bad: str
    group: str = ""


class Answers(msgspec.Struct, frozen=True):
    """What a model says of questions (N).

    log_probs: of each question, nats of each choice after its context. scores: for each of ``WAYS``, the same as it is compared there: ``raw``: the
    nats; ``char``, ``byte``, ``token``: over the choice's length; ``pmi``: less the nats of the choice after the premise, pointwise mutual information (Holtzman et
    al. 2021, "Surface Form Competition"). correct: for each way, whether the right choice is above all others; a tie is not correct.
    """

    log_probs: list[list[float]]
    scores: dict[str, list[list[float]]]
    correct: dict[str, list[bool]]


def answers(
    scorer: Scorer, questions: Sequence[Question], between: str | None = None, premise: str = ""
) -> Answers:
    """Scores every choice of every question as what follows its context (``continuation``).

    between: what stands between context and choice; None: a space where neither the context ends nor the choice begins in a blank, and a
    context stands before it. premise: the context of ``pmi``. Lengths are those of the choice alone, its tokens those of the continuation. Raises InputError where
    there are no questions, or a choice is empty.

    >>> from lmbench.corpora.corpus import Corpus, Documents
    >>> from lmbench.models import make_model
    >>> corpus = Corpus.of(Documents(["the cat sat on the mat " * 9]), test=0.0, valid=0.0)
    >>> scorer = Scorer.fit(make_model("witten-bell", order=4), corpus)
    >>> answers(scorer, [Question("on the", ["mat", "dog"], 0)]).correct["char"]
    [True]
    """
    if not questions:
        raise InputError("there are no questions; give JSON lines with context, choices and gold")
    alone: dict[str, float] = {}
    log_probs, scores = [], {way: [] for way in WAYS}  # type: ignore[var-annotated]
    for question in questions:
        charged = [
            continuation(scorer, question.context, _joined(question.context, choice, between))
            for choice in question.choices
        ]
        for choice in question.choices:
            if choice not in alone:
                alone[choice] = continuation(scorer, premise, _joined(premise, choice, between)).log_prob
        log_probs.append([one.log_prob for one in charged])
        for way in WAYS:
            scores[way].append(
                [
                    _score(way, one, choice, alone)
                    for one, choice in zip(charged, question.choices, strict=True)
                ]
            )
    correct = {
        way: [_best(row) == question.gold for row, question in zip(rows, questions, strict=True)]
        for way, rows in scores.items()
    }
    return Answers(log_probs, scores, correct)


def _joined(context: str, choice: str, between: str | None) -> str:
    if not choice.strip():
        raise InputError(f"the choice {shown(choice)} is empty; leave it out")
    if between is None:
        between = " " if context and not context[-1].isspace() and not choice[0].isspace() else ""
    return between + choice


def _score(way: str, charged: Continuation, choice: str, alone: dict[str, float]) -> float:
    if way == "pmi":
        return charged.log_prob - alone[choice] if math.isfinite(alone[choice]) else -math.inf
    length = {"raw": 1, "char": len(choice), "byte": len(choice.encode()), "token": charged.tokens}[way]
    return charged.log_prob / max(length, 1)


def _best(scores: Sequence[float]) -> int:
    """The place of the highest; -1 where several are."""
    highest = max(scores)
    return scores.index(highest) if list(scores).count(highest) == 1 else -1


# From files ----------------------------------------------------------------------------------------


def read_questions(path: str | Path, group: str | None = None) -> list[Question]:
    """JSON lines with ``context``, ``choices`` and ``gold``; group: the field that says what a question belongs to, where one does."""
    questions = []
    for where, row in _rows(path):
        context, choices, gold = (_field(row, name, where) for name in ("context", "choices", "gold"))
        right = isinstance(choices, list) and len(choices) > 1 and all(isinstance(c, str) for c in choices)
        if not isinstance(context, str) or not right:
            raise InputError(f"{where}: context is to be a text and choices two texts or more")
        if isinstance(gold, bool) or not isinstance(gold, int) or not 0 <= gold < len(choices):
            raise InputError(
                f"{where}: gold is to be the place of the right choice, 0 to {len(choices) - 1}, not {shown(str(gold))}"
            )
        questions.append(Question(context, choices, gold, _group(row, group, ("group",), where)))
    return questions


def read_pairs(path: str | Path, group: str | None = None) -> list[Pair]:
    """JSON lines with ``sentence_good`` and ``sentence_bad``, as BLiMP has them, and their paradigm: ``group``, or else ``paradigm`` or ``UID``."""
    pairs = []
    for where, row in _rows(path):
        good, bad = (_field(row, name, where) for name in ("sentence_good", "sentence_bad"))
        if not isinstance(good, str) or not isinstance(bad, str):
            raise InputError(f"{where}: sentence_good and sentence_bad are to be texts")
        pairs.append(Pair(good, bad, _group(row, group, ("group", "paradigm", "UID"), where)))
    return pairs


def _rows(path: str | Path) -> list[tuple[str, dict[str, Any]]]:
    rows = []
    for number, line in enumerate(read_text(path).split("\n"), 1):
        if not line.strip():
            continue
        where = f"{path} line {number}"
        try:
            row = json_of(line)
        except ValueError as error:
            raise InputError(f"{where} is not JSON ({error}); one object a line is expected") from None
        if not isinstance(row, dict):
            raise InputError(f"{where} is not an object")
        rows.append((where, row))
    return rows


def _field(row: dict[str, Any], name: str, where: str) -> Any:
    if name not in row:
        raise InputError(f"{where} has no field {name}; its fields are {', '.join(row) or 'none'}")
    return row[name]


def _group(row: dict[str, Any], asked: str | None, usual: Sequence[str], where: str) -> str:
    if asked is not None:
        return str(_field(row, asked, where))
    return next((str(row[name]) for name in usual if name in row), "")
