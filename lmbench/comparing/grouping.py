"""Groups of models that cannot be told apart, as letters."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lmbench.comparing.pairs import Comparison, comparisons, grouped, unlike
from lmbench.errors import InputError
from lmbench.scoring.run import Run


def groups(
    runs: Sequence[Run], compared: Sequence[Comparison] | None = None, level: float = 0.05
) -> dict[str, str]:
    """Label -> letters, best label first: two labels share a letter exactly if they cannot be told apart.

    Models that go on learning from the test text are a ranking of their own, after the others, with capitals. runs: of one corpus;
    ``a`` stands in the group of the best, and beside a label that is alone. compared: ``comparisons``
    of these runs or more, where the caller has it; pairs whose p_holm is at most ``level`` differ. Raises InputError
    for runs of several corpora or texts: they are not one ranking.

    >>> import lmbench as lb
    >>> corpus = lb.load_corpus("golden-mean")
    >>> groups([lb.evaluate(lb.make_model(name), corpus) for name in ("bigram", "unigram")])
    {'bigram': 'a', 'unigram': 'b'}
    """
    for run in runs[1:]:
        if reason := unlike(runs[0], run):
            raise InputError(f"{runs[0].label} and {run.label} are not one ranking: {reason}")
    bits = {
        label: float(np.mean([run.scores.bits_per_char for run in seeds]))
        for label, seeds in grouped(runs, lambda run: run.label).items()
    }
    learning = {run.label for run in runs if run.facts.adaptive}
    different: set[frozenset[str]] = set()
    if len(bits) > 1:
        rows = comparisons(runs) if compared is None else compared
        different = {
            frozenset((row.a, row.b))
            for row in rows
            if row.corpus == runs[0].corpus and row.a in bits and row.b in bits
            if row.p_holm is not None and row.p_holm <= level
        }
    letters_of: dict[str, str] = {}
    for adaptive in (False, True):
        part = sorted((label for label in bits if (label in learning) == adaptive), key=bits.__getitem__)
        here = letters(part, {pair for pair in different if pair <= set(part)})
        letters_of |= {label: text.upper() if adaptive else text for label, text in here.items()}
    return letters_of


def letters(ranked: Sequence[str], different: set[frozenset[str]]) -> dict[str, str]:
    """The compact letter display of Piepho (2004): insert a column for each significant pair, absorb, name.

    ranked: labels, best first; different: pairs that do. Two labels share a letter exactly if they do not differ.
    """
    columns = [frozenset(ranked)] if ranked else []
    for pair in sorted(different, key=lambda pair: sorted(map(ranked.index, pair))):
        split = [column - {label} for column in columns if pair <= column for label in pair]
        columns = [column for column in columns if not pair <= column] + split
        columns = [
            c
            for i, c in enumerate(columns)
            if not any(c < d or (c == d and j < i) for j, d in enumerate(columns))
        ]
    columns.sort(key=lambda column: sorted(map(ranked.index, column)))
    return {
        label: "".join(_letter(i) for i, column in enumerate(columns) if label in column) for label in ranked
    }


def _letter(i: int) -> str:
    return "abcdefghijklmnopqrstuvwxyz"[i % 26] + "'" * (i // 26)
