"""Charts that only select from results: learning curves, quality against cost, intervals side by side."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from lmbench.charts.chart import Chart, Kind, Panel, Scale, Series
from lmbench.report.columns import marked
from lmbench.report.formats import count_text, finite_interval, seconds_text
from lmbench.report.ranking import Row, ranked, rows
from lmbench.report.tables import mark_note
from lmbench.results.schema import CorpusResult, Result, Results

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
        f"ranks are within Nemenyi's critical difference, {ranks.critical_difference:.2f} (at 5%). Friedman’s test: p {'< 0.001' if ranks.p_value < 0.001 else f'= {ranks.p_value:.2g}'}."
    )
    return Chart("ranks", caption, [Panel(title, "model", "average rank", [*marks, *bars])])


def _ranked(results: Results, corpus: CorpusResult) -> list[Row]:
    lines = ranked(rows(results, corpus.name))
    return [row for row in lines if row.bits is not None and row.bits < float("inf")]


def _mark_said(lines: Sequence[Row]) -> str:
    """What a caption adds where some names are marked."""
    return f" {note}" if (note := mark_note(lines)) else ""


def _truth(corpus: CorpusResult) -> list[tuple[float, str]]:
    return [] if corpus.truth is None else [(corpus.truth, "entropy rate of the source")]


def bits_chart(results: Results, corpus: CorpusResult) -> Chart | None:
    """Bits per character with 95% intervals, best first, and the training text's beside them."""
    lines = _ranked(results, corpus)
    if not lines:
        return None
    series, trained = [], {}
    for row in lines:
        name = marked(row)
        bits, train = row.bits or 0.0, row.result.train_bits_per_char
        low, high = finite_interval(row.result.ci95) or (bits, bits)
        series.append(Series(name, [name], [bits], "interval", [low], [high], row.label))
        if train is not None:
            trained[name] = train
    if trained:
        series.append(Series("training text", list(trained), list(trained.values()), "points", key=""))
    lines_at = _truth(corpus) + [
        (p.bits_per_char, p.name) for p in sorted(corpus.baselines, key=lambda p: p.bits_per_char)[:1]
    ]
    scale: Scale = (
        "log" if min([row.bits or 0.0 for row in lines] + list(trained.values())) > 0.05 else "linear"
    )
    panel = Panel(_first(corpus, lines), "model", BITS, series, yscale=scale, horizontal=lines_at)
    caption = (
        f"Bits per character on the unseen text of {corpus.name}, with 95% intervals; fewer is better. "
        "A model that is far better on its training text (hollow) has memorised it."
    ) + _mark_said(lines)
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
            Series(marked(row), [marked(row)], [difference], "interval", [ends[0]], [ends[1]], row.label)
        )
    if not series:
        return None
    first = lines[0].label
    caption = (
        f"Bits per character of {corpus.name} that each model spends more than {first}, on the same stretches, with 95% intervals. "
        "One that holds 0 leaves open which is better."
    ) + _mark_said(lines)
    panel = Panel(
        f"What others spend more than {first}", "model", f"more {BITS}", series, horizontal=[(0.0, first)]
    )
    return Chart(f"differences-{file_name(corpus.name)}", caption, [panel])


def quality_chart(results: Results, corpus: CorpusResult) -> Chart | None:
    """Bits per character against the time to train, that of the models which a model combines included; compressors are there too."""
    caption = (
        f"What each model of {corpus.name} takes to train and how well it predicts; lower and further left is better. "
        "No model is both faster to train and better than one in a ring."
    )
    programs = [
        Series(p.name, [p.seconds], [p.bits_per_char], "points", key="")
        for p in sorted(corpus.baselines, key=lambda p: p.bits_per_char)
        if p.seconds
    ]
    if programs:
        caption += (
            " Compressors (grey), which learn as they code, stand at the time that coding all the text takes."
        )
    return _against(results, corpus, "quality", "total_fit_seconds", "time to train / s", caption, programs)


def size_chart(results: Results, corpus: CorpusResult) -> Chart | None:
    """Bits per character against the numbers that a model keeps."""
    caption = (
        f"How many numbers each model of {corpus.name} keeps and how well it predicts; lower and further left is "
        "better. No model is both smaller and better than one in a ring."
    )
    return _against(results, corpus, "size", "parameters", "parameters", caption)


def _against(
    results: Results,
    corpus: CorpusResult,
    name: str,
    cost: str,
    label: str,
    caption: str,
    others: Sequence[Series] = (),
) -> Chart | None:
    """A point a ranked model, a ring and a stair through those that are the best for their cost, and what else stands there."""
    costs = [
        (paid, row) for row in _ranked(results, corpus) if (paid := getattr(row.result, cost)) and paid > 0
    ]
    if len(costs) < 2:
        return None
    # Who learns from the test text has another task: the stair and what the title says are of one ranking.
    kind = [(paid, row) for paid, row in costs if row.adaptive == costs[0][1].adaptive]
    best = sorted((paid, row.bits or 0.0) for paid, row in kind if cost in row.result.best_for)
    x, y = [paid for paid, _ in best], [bits for _, bits in best]
    front = []
    if best:
        furthest = max(paid for paid, _ in costs)
        front.append(Series("best for the cost", [*x, furthest], [*y, y[-1]], "step", key=""))
        front.append(Series("", x, y, "ring", key=""))
    points = [Series(marked(row), [paid], [row.bits or 0.0], "points", key=row.label) for paid, row in costs]
    first = min(kind, key=lambda pair: pair[1].bits or 0.0)[1]
    cheap = min((pair for pair in kind if cost in pair[1].result.best_for), default=None, key=lambda p: p[0])
    title = f"{first.label} predicts best"
    if cheap is not None and cheap[1].label != first.label:
        title += f"; {cheap[1].label} is the cheapest that none beats on both"
    panel = Panel(title, label, BITS, [*front, *points, *others], "log", "log", horizontal=_truth(corpus))
    return Chart(f"{name}-{file_name(corpus.name)}", caption + _mark_said([row for _, row in costs]), [panel])


# What a learning curve may run along: the field of ``Epoch``, and its name on the axis.
ALONG = {"epoch": "passes over the text", "tokens": "tokens learnt from", "seconds": "time in training / s"}


def learning_chart(
    results: Results, corpus: CorpusResult, along: Sequence[str] = ("epoch", "seconds")
) -> Chart | None:
    """Held-out (solid) and training (dashed) bits over passes and over time, the mean over seeds with a band from the least to the most.

    A panel a unit and ``along`` (of ``ALONG``): bits a token of one unit compare.
    """
    order = {row.label: place for place, row in enumerate(rows(results, corpus.name))}
    here = [result for result in results.results if result.corpus == corpus.name and result.history]
    panels = []
    for unit in dict.fromkeys(result.unit for result in here):
        labels = sorted({r.label for r in here if r.unit == unit}, key=order.__getitem__)
        for name in along:
            series = [
                curve
                for label in labels
                for curve in _curves(label, [r for r in here if (r.label, r.unit) == (label, unit)], name)
            ]
            if series:
                panels.append(
                    Panel(
                        _lowest(series, len(labels), name),
                        ALONG[name],
                        f"bits per {NAMES.get(unit, unit)}",
                        series,
                    )
                )
    if not panels:
        return None
    caption = (
        f"Learning curves on {corpus.name}: held-out text solid, training text dashed, as it was while it was learnt (with dropout, and before "
        "the pass had ended, so that it may lie higher at first). Where the dashed line falls and the solid one does not, the model memorises. "
        "Of several seeds the mean, with a band from the least to the most."
    )
    return Chart(f"learning-{file_name(corpus.name)}", caption, panels)


def _lowest(series: Sequence[Series], models: int, along: str) -> str:
    """What a panel of curves says: whose held-out curve goes lowest, and where."""
    points = [
        (bits, float(place), curve.label)
        for curve in series
        if curve.kind == "line"
        for place, bits in zip(curve.x, curve.y, strict=True)
        if bits is not None
    ]
    if not points:
        return "Training text (dashed)"
    bits, place, first = min(points)
    where = {
        "epoch": f"{place:g} {'pass' if place == 1 else 'passes'}",
        "tokens": f"{count_text(place)} tokens",
        "seconds": seconds_text(place),
    }
    name = f"{first} is lowest" if models > 1 else first
    return f"{name} on held-out text (solid), {bits:.2f} after {where[along]}"


def _curves(label: str, seeds: Sequence[Result], along: str) -> list[Series]:
    """A model's two curves; of seeds as many passes as all of them made."""
    made = []
    kinds: tuple[tuple[str, Kind], ...] = (("valid_bits", "line"), ("train_bits", "dashed"))
    for field, kind in kinds:
        points = []
        for passes in zip(*(result.history for result in seeds), strict=False):
            places = [place for epoch in passes if (place := getattr(epoch, along)) is not None]
            bits = [value for epoch in passes if (value := getattr(epoch, field)) is not None]
            if len(places) == len(bits) == len(seeds):
                points.append((sum(places) / len(seeds), sum(bits) / len(seeds), min(bits), max(bits)))
        if points:
            x, y, low, high = (list(column) for column in zip(*points, strict=True))
            curve = Series(label if kind == "line" else "", x, y, kind, key=label)
            made.append(curve if len(seeds) == 1 else replace(curve, low=low, high=high))
    return made


def _first(corpus: CorpusResult, lines: Sequence[Row]) -> str:
    """What a figure of bits says: who spends the fewest, and whether that is beyond noise."""
    first = lines[0]
    tied = [row for row in lines[1:] if set(row.groups) & set(first.groups)]
    said = f"{first.label} spends the fewest bits on {corpus.name}"
    if len(lines) == 1:
        return f"{first.label} on {corpus.name}"
    if not tied:
        return said
    return f"{said}; {tied[0].label if len(tied) == 1 else f'{len(tied)} others'} cannot be told from it"
