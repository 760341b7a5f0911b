"""Many runs in one figure: bits of each model over the runs, a panel a corpus."""

from __future__ import annotations

from collections.abc import Sequence

from lmbench.charts.chart import Chart, Panel, Series
from lmbench.report.charts import BITS
from lmbench.report.columns import MARK
from lmbench.report.formats import finite_interval
from lmbench.report.ranking import ranked, rows
from lmbench.report.tables import mark_note
from lmbench.results.past import Past, Step


def history_chart(runs: Sequence[Past], steps: Sequence[Step]) -> Chart:
    """Bits per character of each model, run by run, with 95% bands; a line where a run moved a model beyond noise."""
    corpora = dict.fromkeys(corpus.name for run in runs for corpus in run.results.corpora)
    numbers = {run.folder: number for number, run in enumerate(runs, 1)}
    panels = []
    names: dict[str, str] = {}  # a label -> the same with its mark, where the model learns from the test text
    note = ""
    for corpus in corpora:
        lines: dict[str, list[tuple[int, float, float, float]]] = {}
        for run in runs:
            for row in ranked(rows(run.results, corpus)):
                if row.bits is not None:
                    names[row.label] = f"{row.label} {MARK}" if row.adaptive else row.label
                    note = note or mark_note([row])
                    low, high = finite_interval(row.result.ci95) or (row.bits, row.bits)
                    lines.setdefault(row.label, []).append((numbers[run.folder], row.bits, low, high))
        series = []
        for label, points in lines.items():
            x, y, lows, highs = (list(column) for column in zip(*points, strict=True))
            series.append(Series(names[label], x, y, "line", lows, highs, label))
            series.append(Series("", x, y, "points", key=label))
        moved = [
            (float(numbers[step.after.folder]), step.after.name)
            for step in steps
            if any(row.corpus == corpus for row in step.moved)
        ]
        if series:
            panels.append(Panel(_title(corpus, steps), "run, the oldest first", BITS, series, vertical=moved))
    caption = "Bits per character of each model, run by run, with 95% intervals of the text. A dotted line: a run that moved a model beyond noise."
    caption += f" {note}" if note else ""
    return Chart("history", caption, panels)


def _title(corpus: str, steps: Sequence[Step]) -> str:
    rows = [row for step in steps for row in step.moved if row.corpus == corpus]
    better, worse = sum(row.moved < 0 for row in rows), sum(row.moved > 0 for row in rows)
    if not rows:
        return f"{corpus}: nothing moved beyond noise"
    times = {1: "once", 2: "twice"}
    said = [
        f"{word} {times.get(count, f'{count} times')}"
        for word, count in (("better", better), ("worse", worse))
        if count
    ]
    return f"{corpus}: {' and '.join(said)} beyond noise"
