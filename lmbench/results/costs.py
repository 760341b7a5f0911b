"""What quality costs: the models that are the best for their cost."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from lmbench.results.schema import Result

COSTS = ("total_fit_seconds", "score_seconds", "parameters")


def best_for(rows: Sequence[Result], means: Sequence[Result] = ()) -> tuple[list[Result], list[Result]]:
    """The rows, and those that are means over seeds, with ``best_for`` told: the costs at which no other row beats them.

    Models that go on learning from the test text stand beside each other alone. Of a label of several seeds the mean stands beside
    the others, not its single seeds; what is not ranked stands beside none.
    """
    over = {(row.corpus, row.label) for row in means}
    shown = [*(row for row in rows if (row.corpus, row.label) not in over), *means]
    best: dict[int, list[str]] = {}
    for corpus, adaptive in {(row.corpus, row.adaptive) for row in shown}:
        here = [
            row for row in shown if row.corpus == corpus and row.adaptive == adaptive and row.reason is None
        ]
        for cost in COSTS:
            for row in front(here, cost):
                best.setdefault(id(row), []).append(cost)
    first, second = ([replace(row, best_for=best.get(id(row), [])) for row in some] for some in (rows, means))
    return first, second


def front(rows: Sequence[Result], cost: str) -> list[Result]:
    """The rows for which none with fewer bits costs less or the same, the cheapest first.

    Of rows that cost the same, that with the fewest bits; of equal ones, the first.

    >>> prices = {"a": (2.0, 10), "b": (1.9, 900), "c": (2.1, 500)}  # c costs more than a, and predicts worse
    >>> rows = [Result(corpus="t", label=k, bits_per_char=bits, parameters=size) for k, (bits, size) in prices.items()]
    >>> [row.label for row in front(rows, "parameters")]
    ['a', 'b']
    """
    priced = [
        (paid, bits, row)
        for row in rows
        if (paid := getattr(row, cost)) is not None and (bits := row.bits_per_char) is not None
    ]
    kept: list[Result] = []
    least = float("inf")
    for _, bits, row in sorted(priced, key=lambda p: p[:2]):
        if bits < least:
            least = bits
            kept.append(row)
    return kept
