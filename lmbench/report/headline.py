"""What a corpus's results say, in a sentence or two."""

from __future__ import annotations

from collections.abc import Sequence

from lmbench.report.formats import bits_text
from lmbench.report.ranking import Row, ranked, rows
from lmbench.results.schema import CorpusResult, Results

LEAST = 0.0005  # bits per character that three decimals can show


def answer(results: Results, corpus: CorpusResult) -> str:
    """What the results say first, and what has to be added where it does not hold on text that no model has seen."""
    said = _first(results, corpus)
    return f"{said} {corpus.order_on_unseen}" if corpus.order_on_unseen else said


def _first(results: Results, corpus: CorpusResult) -> str:
    """Which model predicts best, by how much, and, where it learns from the test text, which does of those that do not."""
    found = ranked(rows(results, corpus.name))
    if not found:
        return f"No model has a ranked result on {corpus.name}."
    best = found[0]
    if not best.adaptive:
        said = f"On {corpus.name}, {best.label} predicts unseen text best, with {bits_text(best.bits)} bits per character"
        return f"{said}{_beside(best, found)}."
    said = f"On {corpus.name}, {best.label}, which goes on learning from the unseen text, predicts it best, "
    said += f"with {bits_text(best.bits)} bits per character"
    still = [row for row in found if not row.adaptive]
    if not still:
        return f"{said}{_beside(best, found)}."
    said += f"; of the models that stand still {still[0].label} does, with {bits_text(still[0].bits)}"
    return f"{said}{_beside(still[0], still)}."


def _beside(best: Row, found: Sequence[Row]) -> str:
    """The models that cannot be told from the best, or how far the next is behind."""
    others = [
        row
        for row in found
        if row.label != best.label and row.rank is not None and row.rank > (best.rank or 0)
    ]
    peers = list(dict.fromkeys(row.label for row in others if set(best.groups) & set(row.groups)))
    if peers:
        return f"; the text is too short to tell {listed(peers)} from it"
    if not others or best.bits is None or others[0].bits is None:
        return ""
    gap = others[0].bits - best.bits
    fewer = f"less than {2 * LEAST:.3f}" if gap < LEAST else bits_text(gap)
    return f", {fewer} fewer than {others[0].label}, the next"


def listed(names: Sequence[str]) -> str:
    """Names as a list in a sentence."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
