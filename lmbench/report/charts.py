"""Charts that only select from results: learning curves, quality against cost, intervals side by side."""

from __future__ import annotations

import re

from lmbench.charts.chart import Chart, Kind, Panel, Series
from lmbench.report.formats import finite_interval
from lmbench.report.ranking import Row, ranked, rows
from lmbench.results.schema import CorpusResult, Results

BITS = "bits per character"
NAMES = {"char": "character"}


def file_name(text: str) -> str:
    """A name that every file system takes: letters, digits, points and hyphens, at most 60 characters."""
    return re.sub(r"[^\w.]+", "-", text).strip("-.")[:60].strip("-.") or "unnamed"


def charts(results: Results) -> list[Chart]:
    """Every chart that the results themselves hold; those without data are left out."""
    made = []
    for corpus in results.corpora:
        for make in (bits_chart, quality_chart, size_chart, learning_chart):
            chart = make(results, corpus)
            if chart is not None:
                made.append(chart)
    ranks = ranks_chart(results)
    return made if ranks is None else [ranks, *made]


def ranks_chart(results: Results) -> Chart | None:
    """Average ranks over corpora, and bars that join models which do not differ (Demšar's drawing, upright)."""
    ranks = results.ranks
    if ranks is None:
        return None
    marks = [
        Series("", [label], [rank], "points", key=label)
        for label, rank in zip(ranks.labels, ranks.average_ranks, strict=True)
    ]
    place = dict(zip(ranks.labels, ranks.average_ranks, strict=True))
    right = max(ranks.average_ranks)
    bars = []
    for number, some in enumerate(ranks.alike, 1):
        at = max(place[label] for label in some)
        bars.append(Series("", [some[0], some[-1]], [at + 0.04 * number * right] * 2, "line", key=""))
    first = ranks.labels[0]
    peers = {label for some in ranks.alike if first in some for label in some} | {first}
    behind = len(ranks.labels) - len(peers)
    if ranks.p_value > 0.05:
        title = "The average ranks do not differ beyond chance"
    elif len(peers) == 1:
        title = f"{first} ranks ahead of all others"
    else:
        title = f"{first} ranks first, ahead of {behind} of {behind + len(peers) - 1} others beyond chance"
    caption = (
        f"Average rank over {len(ranks.corpora)} corpora, 1 is best. A bar joins models that the corpora cannot tell apart: their average "
        f"ranks are within Nemenyi's critical difference, {ranks.critical_difference:.2f} (at 5%). Friedman p = {ranks.p_value:.2g}."
    )
    return Chart("ranks", caption, [Panel(title, "model", "average rank", [*marks, *bars])])


def _ranked(results: Results, corpus: CorpusResult) -> list[Row]:
    lines = ranked(rows(results, corpus.name))
    return [row for row in lines if row.bits is not None and row.bits < float("inf")]


def _truth(corpus: CorpusResult) -> list[tuple[float, str]]:
    return [] if corpus.truth is None else [(corpus.truth, "entropy rate of the source")]


def bits_chart(results: Results, corpus: CorpusResult) -> Chart | None:
    """Bits per character with 95% intervals, best first, and the training text's beside them."""
    lines = _ranked(results, corpus)
    if not lines:
        return None
    series, trained = [], {}
    for row in lines:
        bits, train = row.bits or 0.0, row.result.train_bits_per_char
        low, high = finite_interval(row.result.ci95) or (bits, bits)
        series.append(Series(row.label, [row.name], [bits], "interval", [low], [high], row.label))
        if train is not None:
            trained[row.name] = train
    if trained:
        series.append(Series("training text", list(trained), list(trained.values()), "points", key=""))
    panel = Panel(f"Unseen text of {corpus.name}", "model", BITS, series, horizontal=_truth(corpus))
    caption = (
        f"Bits per character on the unseen text of {corpus.name}, with 95% intervals; fewer is better. "
        "A model that is far better on its training text (hollow) has memorised it."
    )
    return Chart(f"bits-{file_name(corpus.name)}", caption, [panel])


def differences_chart(results: Results, corpus: CorpusResult) -> Chart | None:
    """What each ranked model spends more than the best, with paired 95% intervals; None where nothing compares."""
    lines = _ranked(results, corpus)
    pairs = {frozenset((c.a, c.b)): c for c in results.comparisons if c.corpus == corpus.name}
    series = []
    for row in lines[1:]:
        pair = pairs.get(frozenset((lines[0].label, row.label)))
        if pair is None or pair.difference_bits_per_char is None:
            continue
        sign = 1 if pair.a == row.label else -1
        difference = sign * pair.difference_bits_per_char
        ends = sorted(sign * end for end in pair.ci95 or (pair.difference_bits_per_char,) * 2)
        series.append(
            Series(row.label, [row.name], [difference], "interval", [ends[0]], [ends[1]], row.label)
        )
    if not series:
        return None
    first = lines[0].label
    caption = (
        f"Bits per character of {corpus.name} that each model spends more than {first}, on the same stretches, with 95% intervals. "
        "One that holds 0 leaves open which is better."
    )
    panel = Panel(
        f"What others spend more than {first}", "model", f"more {BITS}", series, horizontal=[(0.0, first)]
    )
    return Chart(f"differences-{file_name(corpus.name)}", caption, [panel])


def quality_chart(results: Results, corpus: CorpusResult) -> Chart | None:
    """Bits per character against the time to train, that of the models which a model combines included."""
    caption = (
        f"What each model of {corpus.name} takes to train and how well it predicts; lower and further left is better. "
        "No model is both faster to train and better than one in a ring."
    )
    return _against(results, corpus, "quality", "total_fit_seconds", "time to train / s", caption)


def size_chart(results: Results, corpus: CorpusResult) -> Chart | None:
    """Bits per character against the numbers that a model keeps."""
    caption = (
        f"How many numbers each model of {corpus.name} keeps and how well it predicts; lower and further left is "
        "better. No model is both smaller and better than one in a ring."
    )
    return _against(results, corpus, "size", "parameters", "parameters", caption)


def _against(
    results: Results, corpus: CorpusResult, name: str, cost: str, label: str, caption: str
) -> Chart | None:
    """A point a ranked model, and a ring and a stair through those that are the best for their cost."""
    costs = [
        (paid, row) for row in _ranked(results, corpus) if (paid := getattr(row.result, cost)) and paid > 0
    ]
    if len(costs) < 2:
        return None
    best = sorted((paid, row.bits or 0.0) for paid, row in costs if cost in row.result.best_for)
    x, y = [paid for paid, _ in best], [bits for _, bits in best]
    front = []
    if best:
        furthest = max(paid for paid, _ in costs)
        front.append(Series("best for the cost", [*x, furthest], [*y, y[-1]], "step", key=""))
        front.append(Series("", x, y, "ring", key=""))
    points = [Series(row.name, [paid], [row.bits or 0.0], "points", key=row.label) for paid, row in costs]
    title = f"Unseen text of {corpus.name}"
    panel = Panel(title, label, BITS, [*front, *points], "log", "log", horizontal=_truth(corpus))
    return Chart(f"{name}-{file_name(corpus.name)}", caption, [panel])


def learning_chart(results: Results, corpus: CorpusResult) -> Chart | None:
    """Held-out (solid) and training (dashed) bits over time, a panel a unit: bits a token of one unit compare."""
    units: dict[str, list[Series]] = {}
    named: set[str] = set()
    order = {row.label: place for place, row in enumerate(rows(results, corpus.name))}
    here = [result for result in results.results if result.corpus == corpus.name]
    for result in sorted(here, key=lambda result: order[result.label]):
        shown = "" if result.label in named else result.label  # of several seeds, one stands in the legend
        named |= {result.label} if result.history else set()
        curves: tuple[tuple[str, Kind, str], ...] = (
            ("valid_bits", "line", shown),
            ("train_bits", "dashed", ""),
        )
        for key, kind, name in curves:
            points = [
                (epoch.seconds, bits)
                for epoch in result.history
                if epoch.seconds is not None and (bits := getattr(epoch, key)) is not None
            ]
            if points:
                x, y = [x for x, _ in points], [y for _, y in points]
                units.setdefault(result.unit, []).append(Series(name, x, y, kind, key=result.label))
    if not units:
        return None
    panels = [
        Panel(f"Learning {corpus.name}", "time in training / s", f"bits per {NAMES.get(unit, unit)}", series)
        for unit, series in units.items()
    ]
    caption = (
        f"Learning curves on {corpus.name}: held-out text solid, training text dashed. "
        "Where the dashed line falls and the solid one does not, the model memorises."
    )
    return Chart(f"learning-{file_name(corpus.name)}", caption, panels)
