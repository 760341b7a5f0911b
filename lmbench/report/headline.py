"""What the results say first, in a sentence or two: who predicts best, as far as the text can tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lmbench.comparing.pairs import Comparison
from lmbench.comparing.ranks import Standing
from lmbench.report.formats import bits_text, percent_text
from lmbench.report.ranking import Row, rankings, rows
from lmbench.results.schema import CorpusResult, Results

FEW = 4  # so many names in a sentence


def answer(results: Results, corpus: CorpusResult) -> str:
    """What ``sentences`` say, in one."""
    return " ".join(sentences(results, corpus))


def sentences(results: Results, corpus: CorpusResult) -> list[str]:
    """Which model predicts best, by how much, and which cannot be told from it or are as good.

    Of the models that stand still, where there are any; then the same of those that learn from the test text. Between them, what has
    to be added where another is first on text that no model has seen.
    """
    parts = rankings(rows(results, corpus.name))
    if not parts:
        return [f"No model has a ranked result on {corpus.name}."]
    pairs = {frozenset((c.a, c.b)): c for c in results.comparisons if c.corpus == corpus.name}
    said = [f"On {corpus.name}, {_first(parts[0], pairs, results.worthwhile)}."]
    if corpus.order_on_unseen:
        said.append(corpus.order_on_unseen)
    if len(parts) > 1:
        adaptive = parts[1]
        alone = len({row.label for row in adaptive}) == 1
        before = "" if alone else "Of the models that go on learning from the unseen text, "
        said.append(f"{before}{_first(adaptive, pairs, results.worthwhile, introduced=not alone)}.")
    return said


def headline(results: Results) -> list[str]:
    """What the results say first, and then; of all corpora, or of the only one."""
    if len(results.corpora) == 1:
        return sentences(results, results.corpora[0])
    return overall(results) or [answer(results, corpus) for corpus in results.corpora]


def overall(results: Results) -> list[str]:
    """Which model predicts best over all corpora, in the mean of its distances from the best of each; nothing for fewer than two corpora.

    The sentence that says it, and those that say more: who is next, the first of the models that learn from the test text, ranks.
    """
    across = results.across
    if across is None:
        return []
    whole = [row for row in across.rows if row.gap is not None]
    still, adaptive = [row for row in whole if not row.adaptive], [row for row in whole if row.adaptive]
    corpora = f"{len(across.corpora)} corpora"
    if not whole:
        return [f"No model has a rank on all of {corpora}."]
    first, *others = still or whole
    level = [first, *(row for row in others if _apart(row, first) < results.worthwhile)]
    if len(level) > 1:
        names = _few([row.label for row in level])
        said = f"Over {corpora}, {names} are the same for any practical purpose"
        said += f", {percent_text(first.gap)} above the best of each in the mean"
    elif not first.gap_high:
        said = f"{first.label} spends the fewest bits on each of {corpora}"
    else:
        said = f"Over {corpora}, {first.label} spends the fewest bits"
        said += f", {percent_text(first.gap)} above the best of each in the mean"
    ahead = sum(places is not None and places[0] == 1 for places in first.places95)
    if len(level) == 1:
        few = "none" if ahead == 0 else "all" if ahead == len(across.corpora) else str(ahead)
        said += f"; on {few} of them no model is better beyond noise"
    more = [f"{said}."]
    behind = [row for row in others if row not in level]
    if behind:
        more.append(
            f"{behind[0].label}, the next, is {percent_text(behind[0].gap)} above the best in the mean."
        )
    if still and adaptive and (adaptive[0].gap or 0.0) < (first.gap or 0.0):
        less = percent_text(adaptive[0].gap)
        side = "less than" if (adaptive[0].gap or 0.0) < 0 else "more than"
        more.append(
            f"{adaptive[0].label}, which goes on learning from the unseen text, spends {less} {side} the best that stand still."
        )
    return [*more, *_ranks(results, first.label)]


def _apart(row: Standing, first: Standing) -> float:
    """The mean over corpora of two models' distance, in bits per character."""
    gaps = [abs((a or 0.0) - (b or 0.0)) for a, b in zip(row.bits, first.bits, strict=True)]
    return sum(gaps) / len(gaps)


def _ranks(results: Results, first: str) -> list[str]:
    """What the test of average ranks adds."""
    ranks = results.ranks
    if ranks is None:
        return []
    if ranks.p_value > 0.05:
        return [
            f"The models' average ranks do not differ beyond chance (Friedman's p = {ranks.p_value:.2g})."
        ]
    if first not in ranks.labels:
        return []
    peers = [x for x in ranks.labels if x != first and any({x, first} <= set(some) for some in ranks.alike)]
    if not peers:
        return ["By average rank it is ahead of all others, beyond chance."]
    return [f"By average rank, {_few(peers)} cannot be told from {first}."]


def _few(names: Sequence[str]) -> str:
    """Names in a sentence, or how many they are."""
    few = [*names[: FEW - 1], f"{len(names) - FEW + 1} others"] if len(names) > FEW else names
    return listed(few)


Pairs = dict[frozenset[str], Comparison]


@dataclass(frozen=True)
class _Peers:
    """The models behind the best, by what the paired test says of them, in their order.

    same: as good for any practical purpose. slight: worse beyond noise, by less than is worthwhile. short: the text is too short to tell.
    unknown: no error bar can be had, for the reason ``why``. behind: worse beyond noise, by a size that matters.
    """

    same: Sequence[Row]
    slight: Sequence[Row]
    short: Sequence[Row]
    unknown: Sequence[Row]
    behind: Sequence[Row]
    why: str

    @classmethod
    def of(cls, best: Row, others: Sequence[Row], pairs: Pairs, least: float) -> _Peers:
        kinds: dict[str, list[Row]] = {k: [] for k in ("same", "slight", "short", "unknown", "behind")}
        why = ""
        for row in others:
            pair = pairs.get(frozenset((best.label, row.label)))
            if pair is None:
                continue
            if pair.verdict == "open" and pair.note:
                why = why or pair.note
                kinds["unknown"].append(row)
            elif pair.verdict in ("same", "open"):
                kinds["same" if pair.verdict == "same" else "short"].append(row)
            else:
                kinds["behind" if worthwhile(pair, least) else "slight"].append(row)
        return cls(**kinds, why=why)


def worthwhile(pair: Comparison, least: float) -> bool:
    """Whether a difference is of a size that matters in practice: ``least`` bits per character."""
    difference = pair.difference_bits_per_char
    return difference is not None and abs(difference) >= least


def _first(places: Sequence[Row], pairs: Pairs, least: float, introduced: bool = False) -> str:
    """What is to be said of the first of some rows and of those behind it. least: bits per character that matter. introduced: that they
    go on learning has been said."""
    best, others = places[0], [row for row in places if row.label != places[0].label]
    peers = _Peers.of(best, others, pairs, least)
    adaptive = best.adaptive and not introduced
    name = f"{best.label}, which goes on learning from the unseen text," if adaptive else best.label
    object_ = "it" if best.adaptive else "unseen text"
    bits = f"{bits_text(best.bits)} bits per character"
    if peers.same:
        said = f"{_names([best, *peers.same], name)} are the same for any practical purpose, with {bits}"
        spent = list(dict.fromkeys(bits_text(row.bits) for row in (best, *peers.same)))
        if len(spent) > 1:
            said = said.removesuffix(bits) + f"{spent[0]} to {spent[-1]} bits per character"
    elif peers.short or peers.unknown:
        said = f"{name} spends the fewest bits on {object_}, {bits_text(best.bits)} per character"
    elif peers.slight or not peers.behind:
        said = f"{name} spends {bits} on {object_}"
    else:
        said = f"{name} predicts {object_} best, with {bits}"
    if peers.slight:
        said += f"; beyond noise that is fewer than {_names(peers.slight)}, but by less than {least:g}, "
        said += "which hardly matters"
    if peers.short:
        said += f"; the text is too short to tell {_names(peers.short)} from it"
    if peers.unknown:
        said += f"; whether it is better than {_names(peers.unknown)} cannot be said ({peers.why})"
    if peers.behind and not peers.short and not peers.unknown:
        said += _ahead(best, peers.behind[0], alone=not peers.same and not peers.slight)
    return said


def _ahead(best: Row, other: Row, alone: bool) -> str:
    """How far the next is behind; alone: nobody stands between."""
    if best.bits is None or other.bits is None:
        return ""
    gap = other.bits - best.bits
    if alone:
        return (
            f", {bits_text(gap)} ({percent_text(100 * gap / other.bits)}) fewer than {other.label}, the next"
        )
    more = f" ({percent_text(100 * gap / best.bits)})" if best.bits else ""
    return f"; {other.label}, the next, spends {bits_text(gap)}{more} more"


def _names(places: Sequence[Row], first: str = "") -> str:
    """The rows' labels in a sentence, or how many they are. first: what the first is called."""
    names = list(dict.fromkeys(row.label for row in places))
    names[0] = first or names[0]
    return _few(names)


def listed(names: Sequence[str]) -> str:
    """Names as a list in a sentence."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
