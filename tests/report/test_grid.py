"""Models by corpora: the best of a column, what is said of all corpora, and the table in every format."""

from __future__ import annotations

import io
import re
from dataclasses import replace as with_fields

import pytest
import report_example as example
from msgspec.structs import replace
from rich.console import Console

from lmbench import report
from lmbench.comparing.ranks import Across
from lmbench.report import page
from lmbench.report.charts import ranks_chart
from lmbench.report.grid import grid
from lmbench.report.headline import overall
from lmbench.results.views import Views


def test_the_best_of_a_column_is_bold_among_its_kind() -> None:
    shown = grid(example.over_corpora())
    assert [line.label for line in shown.lines] == ["kneser-ney-5", "trigram", "uniform", "lstm"]
    best = {line.label: [cell.best for cell in line.cells] for line in shown.lines}
    # lstm goes on learning: it has a part of its own, and the best of those that stand still stays bold
    assert best == {
        "kneser-ney-5": [True] * 5,
        "trigram": [False] * 5,
        "uniform": [False] * 5,
        "lstm": [True] * 5,
    }
    first, last = shown.lines[0], shown.lines[-1]
    assert (first.gap, first.rank, first.rank_range) == ("0.0%", "2", "1–4")
    assert last.gap == "0.0%"
    assert [c.level for c in first.cells] == [True] * 5
    assert shown.lines[1].cells[0].places == "3"


def test_equal_numbers_are_all_bold_and_what_is_missing_is_a_dash() -> None:
    results = example.over_corpora(2)
    rows = [
        replace(row, bits_per_char=1.9823) if (row.label, row.corpus) == ("trigram", "text-1") else row
        for row in results.results
        if (row.label, row.corpus) != ("uniform", "text-2")
    ]
    shown = {line.label: line for line in grid(replace(results, results=rows, ranks=None)).lines}
    assert [c.best for c in shown["trigram"].cells] == [True, False]  # 1.982 as kneser-ney-5's
    assert shown["kneser-ney-5"].cells[0].best
    assert shown["uniform"].cells[1].text == "-"


def test_a_part_of_the_corpora_has_no_gaps_and_other_numbers_can_be_shown() -> None:
    results = example.over_corpora()
    part = grid(results, ["text-2"], "word", "interval")
    assert (part.gaps, part.ranks, part.corpora) == (False, False, ["text-2"])
    assert part.lines[0].cells[0].text == f"{2.082 * 5.3:.3f}"
    results = replace(
        results, results=[replace(r, bits_per_char_sd=0.0123, seeds=[0, 1]) for r in results.results]
    )
    assert grid(results, errors="seeds").lines[0].cells[0].error == "± 0.012"
    assert grid(results, errors="interval").lines[0].cells[0].error == "1.951 to 2.016"


@pytest.mark.parametrize("form", ["latex", "typst", "markdown", "csv"])
def test_every_format_has_a_row_a_model_and_marks_the_best(form: str) -> None:
    results = example.over_corpora()
    results = replace(
        results, results=[replace(r, label=r.label.replace("trigram", "tri_$3")) for r in results.results]
    )
    text = report.wide_table(results, form, errors="interval", label="tab:x")
    bold = {"latex": r"\textbf{1.982}", "typst": "*1.982*", "markdown": "**1.982**", "csv": "1.982 (1.951"}
    assert bold[form] in text
    if form == "latex":
        assert r"tri\_\$3" in text
        assert text.count(r"\\") == 5
        assert r"\label{tab:x}" in text
        assert "{\\small (1.951--2.016)}" in text
        assert text.count(r"\midrule") == 2  # before what goes on learning, too
        columns = {line.count("&") for line in text.splitlines() if "&" in line}
        assert columns == {7}
    if form == "typst":
        assert r"tri\_\$3" in text
        assert "<tab:x>" in text
        rows = [line for line in text.splitlines() if re.match(r"  \[", line)]
        assert {len(re.findall(r"(?<!\\)\](?=,)", line)) for line in rows} == {8}


def test_captions_are_the_author_s_own() -> None:
    results = example.over_corpora()
    latex, typst = (report.wide_table(results, form, caption="Bits of $p$") for form in ("latex", "typst"))
    assert r"\caption{Bits of $p$}" in latex
    assert "caption: [Bits of $p$ #text" in typst
    # The mark beside a model that goes on learning is told of all the same, below the table of eight columns.
    assert re.search(r"bottomrule\n\\multicolumn\{8\}\{l\}\{\\footnotesize \* goes on learning", latex)
    assert "goes on learning" in typst.partition("caption:")[2]
    assert "multicolumn" not in report.wide_table(results, "latex")


def test_one_corpus_has_a_wide_table_too() -> None:
    text = report.wide_table(example.example(), "markdown", ["time-machine"])
    assert text.splitlines()[2].startswith("| lstm")
    assert "**1.981**" in text
    assert "above best" not in text


def test_the_headline_of_several_corpora() -> None:
    results = example.over_corpora()
    said = overall(results)
    assert said[0] == (
        "kneser-ney-5 spends the fewest bits on each of 5 corpora; on all of them no model is better beyond noise."
    )
    assert "trigram, the next, is" in said[1]
    assert "lstm, which goes on learning from the unseen text" in said[2]
    assert "cannot be told from kneser-ney-5" in said[3]
    assert "beyond chance" in overall(replace(results, ranks=replace(results.ranks, p_value=0.3)))[-1]
    assert overall(example.example()) == []


def test_models_that_are_as_good_are_told_together() -> None:
    results = example.over_corpora()
    rows = results.across.rows
    twin = with_fields(rows[1], label="twin", bits=[b + 0.001 for b in rows[1].bits], gap=0.05)
    made = replace(results, across=Across(results.across.corpora, [rows[1], twin, *rows[2:]]))
    said = overall(made)[0]
    assert said.startswith("Over 5 corpora, kneser-ney-5 and twin are the same for any practical purpose")


def test_bars_join_what_the_corpora_cannot_tell_apart() -> None:
    results = example.over_corpora()
    chart = ranks_chart(results)
    bars = [series.x for series in chart.panels[0].series if series.kind == "line"]
    assert bars == [["lstm", "trigram"], ["kneser-ney-5", "uniform"]]
    assert "ahead of 1 of 3" in chart.panels[0].title
    chart = ranks_chart(replace(results, ranks=replace(results.ranks, p_value=0.5)))
    assert "do not differ" in chart.panels[0].title


def test_the_page_of_several_corpora_folds_what_is_of_each() -> None:
    results = example.over_corpora()
    text = page.html(results, [], Views())
    assert "<h1>kneser-ney-5 spends the fewest bits on each of 5 corpora" in text
    assert re.findall(r'<section id="(\w+)"', text)[:3] == ["answer", "across", "leaderboard"]
    assert text.count("<details") == text.count("</details>") > 10
    assert text.count("<b>1.982</b>") == 1
    assert "## Across corpora" in page.markdown(results, {}, [], Views())


@pytest.mark.parametrize("width", [50, 200])
def test_a_narrow_terminal_shows_fewer_corpora_side_by_side(width: int) -> None:
    stream = io.StringIO()
    Console(file=stream, width=width).print(report.terminal_table(example.over_corpora()))
    text = stream.getvalue()
    across = text[text.index("across corpora") :]
    assert max(map(len, text.splitlines())) <= width
    heads = [line for line in across.splitlines() if line.strip().startswith("model")]
    assert len(heads) == (1 if width == 200 else 3)
    assert all(f"text-{i}" in across for i in range(1, 6))
