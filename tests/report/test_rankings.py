"""The rows of a leaderboard, in their two rankings; what columns are sorted by; how numbers are written."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path
from typing import Any

import pytest
import report_example as example
from msgspec.structs import replace

from lmbench import report
from lmbench.report import columns, formats, page
from lmbench.report import page_tables as board
from lmbench.report import ranking as lines
from lmbench.report.charts import bits_chart
from lmbench.report.history import history_chart
from lmbench.results.past import Past
from lmbench.results.schema import Result
from lmbench.results.views import Views


def test_rows_are_ordered_by_bits_then_without_rank_then_failed() -> None:
    found = lines.rows(example.example(), "tiny-shakespeare")
    assert [(row.label, row.rank) for row in found] == [
        ("lstm", 1),
        ("kneser-ney-5", 2),
        ("trigram", 3),
        ("uniform", 4),
        ("bigram", None),
        ("rnn-scratch", None),
    ]


def test_what_stands_beside_the_axis_is_not_in_the_legend_too() -> None:
    results = example.standing_out(("cache", 1.5, True), ("kn", 1.75, False), ("trie", 1.875, False))
    chart = bits_chart(results, results.corpora[0])
    assert chart is not None
    assert chart.panels[0].names == ["kn", "trie", "cache *"]
    assert {series.label for series in chart.panels[0].series} <= {"kn", "trie", "cache *", "training text"}


def test_a_model_that_learns_from_the_test_text_is_marked_wherever_it_stands() -> None:
    results = example.standing_out(("cache", 1.5, True), ("kn", 1.75, False), ("trie", 1.875, False))
    html = page.html(results, [], Views())
    assert re.search(r'cache&nbsp;<abbr class="star"', html)
    assert not re.search(r'kn&nbsp;<abbr class="star"', html)
    for text in (report.leaderboard_markdown(results, "c"), example.terminal(results)):
        assert re.search(r"cache \\?\*", text)
        assert re.search(rf"1 .*kn.*2 .*trie.*{re.escape(columns.APART)}.*1 .*cache \\?\*", text, re.S)
        assert not re.search(r"kn \\?\*", text)
    bodies = re.findall(r"<tbody>.*?</tbody>", html[html.index('<table class="sortable board"') :], re.S)
    assert [re.findall(r'data-key="(\w+)"><svg', body) for body in bodies[:2]] == [["kn", "trie"], ["cache"]]
    assert columns.APART in bodies[1]
    assert re.search(r"trie.*\\midrule\n1 & cache \*", report.leaderboard_latex(results, "c"), re.S)
    assert re.search(
        r"trie.*hline\(stroke: 0.5pt\),\n  \[1\], \[cache \\\*\]",
        report.leaderboard_typst(results, "c"),
        re.S,
    )
    lines = list(csv.DictReader(io.StringIO(report.leaderboard_csv(results))))
    assert [(line["label"], line["ranking"], line["rank"]) for line in lines] == [
        ("kn", "static", "1"),
        ("trie", "static", "2"),
        ("cache", "adaptive", "1"),
    ]
    alone = example.standing_out(("cache", 1.5, True), ("kn", None, False))
    text = report.leaderboard_markdown(alone, "c")
    assert columns.APART not in text
    assert "goes on learning from the text that it scores, an easier task" in text


def test_a_history_marks_what_learns_from_the_test_text() -> None:
    results = example.standing_out(("cache", 1.5, True), ("kn", 1.75, False))
    runs = [Past(Path(name), results) for name in ("first", "second")]
    chart = history_chart(runs, [])
    lines = [(series.label, series.key) for series in chart.panels[0].series if series.kind == "line"]
    assert lines == [("kn", "kn"), ("cache *", "cache")]
    assert "* goes on learning" in chart.caption


def test_what_has_no_key_sorts_last_and_perplexities_by_unit() -> None:
    rows = {row.label: row for row in lines.rows(example.example(), "time-machine")}
    key = columns.COLUMNS["perplexity"].key
    # A word's perplexity is no worse character's.
    assert sorted(rows.values(), key=key)[-1].result.unit == "word"
    assert str(key(rows["lstm"])) < str(key(rows["uniform"]))
    none = lines.Row(Result(corpus="c", label="x"), None, "x")
    assert [column.key(none) for column in (columns.COLUMNS["groups"], columns.COLUMNS["perplexity"])] == [
        None,
        None,
    ]


@pytest.mark.parametrize(
    "spelling",
    [
        {"bits_per_char": None, "infinite_tokens": 3},
        {"bits_per_char": float("inf")},
    ],
)
def test_infinity_is_shown_however_json_spells_it(spelling: dict[str, Any]) -> None:
    row = lines.Row(replace(example.result("c", "bigram"), **spelling), None, "bigram")
    assert row.bits == float("inf")
    assert columns.COLUMNS["bits"].text(row) == "inf"


def test_matrix_is_antisymmetric() -> None:
    results = example.example()
    matrix = board.matrix(results, "time-machine", lines.rows(results, "time-machine"))
    cells = [[cell.text.replace("−", "-") for cell in line.cells] for line in matrix]
    for i in range(9):
        assert cells[i][i] == ""
        for j in range(i):
            assert float(cells[i][j]) == -float(cells[j][i])
    # lstm 1.981 - rnn-scratch 2.214 = -0.233: lstm spends fewer
    assert (matrix[0].cells[3].text, matrix[0].cells[3].kind) == ("−0.233", "fewer")
    assert matrix[3].cells[0].kind == "more"
    assert matrix[0].cells[1].kind == "tie"


def test_formats_of_numbers() -> None:
    assert formats.seconds_text(0.0123) == "12 ms"
    assert formats.seconds_text(0.0999) == "0.1 s"
    assert formats.seconds_text(9.96) == "10 s"
    assert formats.seconds_text(119.7) == "2 min 00 s"
    assert formats.seconds_text(7260) == "2 h 01 min"
    assert formats.bytes_text(999) == "999 B"
    assert formats.bytes_text(999_600) == "1 MB"
    assert formats.perplexity_text(5022.4) == "5,022"
    assert formats.perplexity_text(3.95) == "3.950"
    assert formats.bits_text(None) == "-"
    assert formats.signed_bits(-0.5) == "−0.500"
