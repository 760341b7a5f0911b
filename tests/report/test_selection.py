"""The figures that are selected from results."""

from __future__ import annotations

import report_example as example
from msgspec.structs import replace

from lmbench.comparing.compressors import Baseline
from lmbench.report import charts as selection


def test_charts_select_what_results_hold() -> None:
    names = [chart.name for chart in selection.charts(example.example())]
    assert names == [
        f"{kind}-{corpus}"
        for corpus in ("time-machine", "tiny-shakespeare")
        for kind in ("bits", "quality", "size", "learning")
    ]


def test_the_stair_and_the_rings_are_those_marked_as_best() -> None:
    results = example.example()
    chart = selection.quality_chart(results, results.corpora[0])
    assert chart is not None
    stair, ring = chart.panels[0].series[:2]
    # By time: uniform .01 s, unigram, bigram, trigram, witten-bell .81 s, kneser-ney .92 s, lstm 61.7 s.
    assert list(ring.y) == [4.755, 4.081, 3.369, 2.721, 2.013, 1.982, 1.981]
    assert list(ring.x) == [0.01, 0.05, 0.11, 0.23, 0.81, 0.92, 61.7]
    assert (list(stair.x), list(stair.y)) == ([*ring.x, 61.7], [*ring.y, 1.981])
    results = replace(results, results=[replace(r, best_for=[]) for r in results.results])
    unmarked = selection.quality_chart(results, results.corpora[0])
    assert unmarked is not None
    assert {series.kind for series in unmarked.panels[0].series} == {"points"}


def test_compressors_stand_in_the_figure_of_quality_and_time_where_their_seconds_are_known() -> None:
    results = example.example()
    timed = [
        Baseline(name="ppmd (order 6)", bits_per_char=1.862, seconds=0.25),
        *results.corpora[0].baselines,
    ]
    corpus = replace(results.corpora[0], baselines=timed)
    chart = selection.quality_chart(results, corpus)
    assert chart is not None
    shown = {series.label: (*series.x, *series.y) for series in chart.panels[0].series if series.key == ""}
    assert shown["ppmd (order 6)"] == (0.25, 1.862)
    assert "xz" not in shown
    assert "Compressors" in chart.caption
