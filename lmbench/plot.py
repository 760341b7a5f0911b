"""Figures for a notebook: ``lb.plot.leaderboard(runs)`` and its like draw on matplotlib axes, and return them.

In: runs, or the results of a suite. Out: axes, to be changed, saved or laid out as any others. What they show is computed elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lmbench.charts.chart import Chart, Panel, Series
from lmbench.corpora.corpus import Corpus
from lmbench.errors import InputError, unknown
from lmbench.report.charts import (
    ALONG,
    BITS,
    bits_chart,
    differences_chart,
    learning_chart,
    quality_chart,
    ranks_chart,
)
from lmbench.report.ranking import labels
from lmbench.results.build import result_of
from lmbench.results.schema import CorpusResult, Results
from lmbench.scoring.run import Run
from lmbench.text.canonical import CanonicalText
from lmbench.zipf.chart import zipf_chart
from lmbench.zipf.counting import falling_counts, spectrum
from lmbench.zipf.fits import fit_zipf
from lmbench.zipf.table import zipf_rows

if TYPE_CHECKING:
    from lmbench.charts.draw import Axes

Shown = Results | Run | Sequence[Run]
PASSAGE = 80  # characters whose names fit below an axis


def leaderboard(runs: Shown, corpus: str | None = None, ax: Axes | None = None) -> Axes:
    """Bits per character of each model with 95% intervals, and of its training text (hollow).

    runs: of ``evaluate``, or what ``run_suite`` returns. corpus: where there are several. ax: default those of a new figure.
    Raises InputError where there is nothing to show.
    """
    results = _results(runs)
    return _drawn(bits_chart(results, _corpus(results, corpus)), results, ax)


def differences(runs: Shown, corpus: str | None = None, ax: Axes | None = None) -> Axes:
    """What each model spends more than the best, in bits per character, with paired 95% intervals; see ``leaderboard``."""
    results = _results(runs, compared=True)
    return _drawn(differences_chart(results, _corpus(results, corpus)), results, ax)


def learning(runs: Shown, corpus: str | None = None, along: str = "epoch", ax: Axes | None = None) -> Axes:
    """Learning curves: held-out text solid, training text dashed; see ``leaderboard``. Models that count have none.

    along: ``epoch``, ``tokens`` or ``seconds``. Of several seeds the mean, with a band from the least to the most.
    """
    if along not in ALONG:
        raise unknown("along", along, ALONG)
    results = _results(runs)
    return _drawn(learning_chart(results, _corpus(results, corpus), [along]), results, ax)


def cost(runs: Shown, corpus: str | None = None, ax: Axes | None = None) -> Axes:
    """Bits per character against the time to train; see ``leaderboard``."""
    results = _results(runs)
    return _drawn(quality_chart(results, _corpus(results, corpus)), results, ax)


def ranks(results: Results, ax: Axes | None = None) -> Axes:
    """Average ranks over the corpora of a suite, five or more, and bars that join what they cannot tell apart."""
    return _drawn(ranks_chart(results), results, ax)


def zipf(
    counts: Corpus | CanonicalText | Mapping[Any, int] | Sequence[int] | np.ndarray,
    unit: str = "word",
    orders: Sequence[int] = (1,),
    ax: Axes | None = None,
) -> Axes:
    """Counts by rank with the fitted laws, both axes logarithmic.

    counts: a corpus or a text, of whose n-grams (``unit``, ``orders``) they are made; or counts of types, in any order.
    """
    if isinstance(counts, Corpus):
        chart = zipf_rows(counts.name, counts.parts, unit, orders)[1]
    elif isinstance(counts, CanonicalText):
        chart = zipf_rows("text", counts, unit, orders)[1]
    else:
        chart = zipf_chart("zipf", "types", {"counted": (spectrum(falling_counts(counts)), fit_zipf(counts))})
    return _drawn(Chart(chart.name, chart.caption, chart.panels[:1]), Results(), ax)


def surprisal(
    runs: Run | Sequence[Run], corpus: Corpus, start: int = 0, length: int = 60, ax: Axes | None = None
) -> Axes:
    """Bits that each character of a passage costs, by token: a token's bits are spread over its characters.

    runs: on ``corpus``. start, length: of the passage, in characters of the test text. Raises InputError where a run is on another text.
    """
    text = corpus.text("test").text[start : start + length]
    if not text:
        raise InputError(
            f"{corpus.name} has {corpus.text('test').chars:,} characters of test text, none from {start:,} on"
        )
    runs = [runs] if isinstance(runs, Run) else list(runs)
    series = []
    for run in runs:
        if run.signature.text != corpus.text("test").fingerprint:
            raise InputError(f"{run.label} has scored another text than that of {corpus.name}")
        scores = run.scores
        each = np.repeat(
            scores.bits / np.maximum(np.diff(scores.ends, prepend=0), 1), np.diff(scores.ends, prepend=0)
        )
        bits = each[start : start + len(text)]
        series.append(
            Series(run.label, list(range(len(bits) + 1)), [*bits.tolist(), float(bits[-1])], "step")
        )
    panel = Panel(f"What a passage of {corpus.name} costs", "passage", BITS, series)
    axes = _drawn(Chart("surprisal", "", [panel]), Results(), ax)
    if len(text) <= PASSAGE:
        axes.set_xticks(np.arange(len(text)) + 0.5, list(text.replace("\n", "↵")), family="monospace")
        axes.tick_params(axis="x", length=0)
        axes.grid(False, axis="x")
    return axes


def _results(runs: Shown, compared: bool = False) -> Results:
    if isinstance(runs, Results):
        return runs
    from lmbench.comparing.pairs import comparisons

    some = [runs] if isinstance(runs, Run) else list(runs)
    names = dict.fromkeys(run.corpus for run in some)
    return Results(
        corpora=[CorpusResult(name=name) for name in names],
        results=[result_of(run) for run in some],
        comparisons=comparisons(some) if compared and len(some) > 1 else [],
    )


def _corpus(results: Results, name: str | None) -> CorpusResult:
    """The corpus of that name, or the only one."""
    every = {corpus.name: corpus for corpus in results.corpora}
    if name is None and len(every) != 1:
        raise InputError(f"corpus= is to name one of {', '.join(every) or 'no corpora'}")
    if name is not None and name not in every:
        raise unknown("corpus", name, every)
    return every[name if name is not None else next(iter(every))]


def _drawn(chart: Chart | None, results: Results, ax: Axes | None) -> Axes:
    from lmbench.charts.draw import draw_on

    if chart is None:
        raise InputError("there is nothing to show: no run has what this figure is of")
    return draw_on(chart, labels(results), ax)
