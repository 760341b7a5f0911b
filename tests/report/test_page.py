"""The report's files from a results dictionary: complete, tolerant, escaped; leaderboards in every format."""

from __future__ import annotations

import base64
import csv
import io
import json
import os
import re
import subprocess
import sys
import zlib
from dataclasses import replace as replace_fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import report_example as example
from msgspec.structs import replace
from paths import HELPERS
from rich.console import Console

from lmbench import report
from lmbench.charts.chart import Chart
from lmbench.comparing.compressors import Baseline
from lmbench.comparing.pairs import Comparison
from lmbench.comparing.splits import SplitRow, Splits
from lmbench.errors import InputError
from lmbench.report import charts as selection
from lmbench.report import columns, formats, page
from lmbench.report import page_tables as board
from lmbench.report import ranking as lines
from lmbench.report import tables as leaderboard
from lmbench.report.headline import answer
from lmbench.report.inline import extract_data, packed
from lmbench.results.schema import CorpusResult, Result, Results
from lmbench.results.views import Views
from lmbench.scoring.run import Sample


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return example.page_file(tmp_path_factory.mktemp("report"), example.example(), example.views())


def terminal(results: Results, **options: Any) -> str:
    stream = io.StringIO()
    Console(file=stream, width=140, **options).print(report.terminal_table(results))
    return stream.getvalue()


def test_write_returns_every_file_it_made(tmp_path: Path) -> None:
    results = example.example()
    results = replace(results, results=results.results[:1])
    paths = report.write(tmp_path, results, [example.zipf_chart()])
    assert {p for p in tmp_path.rglob("*") if p.is_file()} == set(paths)
    names = {p.relative_to(tmp_path).as_posix() for p in paths}
    assert {
        "report.html",
        "report.md",
        "figures/zipf-time-machine.png",
        "figures/zipf-time-machine.svg",
    } <= names
    drawn = report.write_pdf(tmp_path, results, tmp_path / "pdf")
    assert {p.stem for p in drawn} == {p.stem for p in paths if p.suffix == ".svg"}
    assert all(p.read_bytes().startswith(b"%PDF") for p in drawn)


def test_figures_of_an_earlier_report_go_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lmbench.charts.draw.draw", lambda *a: (b"", "<svg/>"))
    monkeypatch.setattr("lmbench.charts.draw.draw_panels", lambda *a: ["<svg/>"])
    report.write(tmp_path, example.example(), [example.zipf_chart()])
    for name in ("mine.png", "zipf-notes.txt"):
        (tmp_path / "figures" / name).touch()
    (tmp_path / "bits-of-mine.png").touch()
    report.write(tmp_path, example.example())
    left = {p.name for p in (tmp_path / "figures").iterdir()} - {"charts.json"}
    assert "zipf-time-machine.png" not in left
    assert "zipf-time-machine.svg" not in left
    assert {"mine.png", "zipf-notes.txt", "bits-time-machine.png"} <= left
    assert (tmp_path / "bits-of-mine.png").exists()


def test_page_stands_alone_and_is_small(written: Path) -> None:
    text = written.read_text("utf-8")
    assert len(text.encode()) < 5_000_000
    assert not re.search(r"<(link|img|script)[^>]+(src|href)=[\"'](?!data:)", text)
    assert "url(http" not in text
    assert "@import" not in text


def test_page_holds_its_sections_in_order(written: Path) -> None:
    text = written.read_text("utf-8")
    sections = re.findall(r'<section id="(\w+)"', text)
    order = [
        "answer",
        "leaderboard",
        "pairs",
        "quality",
        "learning",
        "where",
        "zipf",
        "samples",
        "corpora",
        "how",
    ]
    assert sections == order


def test_pages_are_the_same_again() -> None:
    """Asked in another process, where sets have another order; figures are tested by themselves."""
    code = "import sys, report_example as e; from lmbench.report import page; r = e.example();"
    code += "text = page.html(r, [], e.views()) + page.markdown(r, {}, [], e.views());"
    code += "sys.stdout.buffer.write(text.encode())"
    paths = os.pathsep.join(str(p) for p in (Path(report.__file__).parents[2], HELPERS))
    environment = os.environ | {"PYTHONPATH": paths, "PYTHONHASHSEED": "1"}
    there = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True, env=environment
    ).stdout
    made, views = example.example(), example.views()
    assert there.decode() == page.html(made, [], views) + page.markdown(made, {}, [], views)


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


def standing_out(*told: tuple[str, float | None, bool], **pairs: Comparison) -> Results:
    """A corpus with one result each: label, bits, adaptive; and comparisons of some of them."""
    rows = [
        Result(corpus="c", label=name, bits_per_char=bits, adaptive=adaptive, unit="char")
        for name, bits, adaptive in told
    ]
    return Results(corpora=[CorpusResult(name="c")], results=rows, comparisons=list(pairs.values()))


def pair(a: str, b: str, difference: float, verdict: str, **more: Any) -> Comparison:
    return Comparison("c", a, b, difference_bits_per_char=difference, verdict=verdict, **more)


KN, LSTM, CACHE = ("kn", 1.5, False), ("lstm", 1.75, False), ("cache", 1.25, True)


@pytest.mark.parametrize(
    ("told", "pairs", "said"),
    [
        # 0.25 / 1.75 = 14.3%
        (
            [KN, LSTM],
            [pair("lstm", "kn", 0.25, "b")],
            "On c, kn predicts unseen text best, with 1.500 bits per character, 0.250 (14.3%) fewer than lstm, the next.",
        ),
        (
            [KN, LSTM],
            [pair("kn", "lstm", -0.25, "open")],
            "On c, kn spends the fewest bits on unseen text, 1.500 per character; the text is too short to tell lstm from it.",
        ),
        (
            [KN, ("lstm", 1.501, False)],
            [pair("kn", "lstm", -0.001, "same")],
            "On c, kn and lstm are the same for any practical purpose, with 1.500 to 1.501 bits per character.",
        ),
        (
            [KN, ("twin", 1.5, False), LSTM],
            [pair("kn", "twin", 0.0, "same"), pair("kn", "lstm", -0.25, "a")],
            "On c, kn and twin are the same for any practical purpose, with 1.500 bits per character; "
            "lstm, the next, spends 0.250 (16.7%) more.",
        ),
        (
            [KN, ("lstm", 1.504, False)],
            [pair("kn", "lstm", -0.004, "a")],
            "On c, kn spends 1.500 bits per character on unseen text; beyond noise that is fewer than lstm, "
            "but by less than 0.005, which hardly matters.",
        ),
        (
            [KN, LSTM],
            [Comparison("c", "kn", "lstm", note="2 documents are too few")],
            "On c, kn spends the fewest bits on unseen text, 1.500 per character; whether it is better than lstm "
            "cannot be said (2 documents are too few).",
        ),
        ([KN], [], "On c, kn spends 1.500 bits per character on unseen text."),
        (
            [CACHE, KN, LSTM],
            [
                pair("cache", "kn", -0.25, "a"),
                pair("cache", "lstm", -0.5, "a"),
                pair("kn", "lstm", -0.25, "a"),
            ],
            "On c, kn predicts unseen text best, with 1.500 bits per character, 0.250 (14.3%) fewer than lstm, the next. "
            "cache, which goes on learning from the unseen text, spends 1.250 bits per character on it.",
        ),
        (
            [CACHE, KN, ("dynamic", 1.5, True)],
            [pair("cache", "dynamic", -0.25, "a"), pair("cache", "kn", -0.25, "a")],
            "On c, kn spends 1.500 bits per character on unseen text. Of the models that go on learning from the unseen text, "
            "cache predicts it best, with 1.250 bits per character, 0.250 (16.7%) fewer than dynamic, the next.",
        ),
        (
            [CACHE, ("dynamic", 1.5, True)],
            [pair("cache", "dynamic", -0.25, "open")],
            "On c, cache, which goes on learning from the unseen text, spends the fewest bits on it, 1.250 per character; "
            "the text is too short to tell dynamic from it.",
        ),
        (
            [KN, *((f"m{n}", 1.6, False) for n in range(6))],
            [pair("kn", f"m{n}", -0.1, "open") for n in range(6)],
            "On c, kn spends the fewest bits on unseen text, 1.500 per character; "
            "the text is too short to tell m0, m1, m2 and 3 others from it.",
        ),
    ],
)
def test_the_headline_speaks_by_verdict(
    told: list[tuple[str, float, bool]], pairs: list[Comparison], said: str
) -> None:
    results = replace(standing_out(*told), comparisons=pairs)
    assert answer(results, results.corpora[0]) == said


def test_the_page_says_what_an_interval_is_of_and_why_there_is_none() -> None:
    results = example.example()
    rows = [
        replace(r, ci95_method="documents", effective_documents=4.2)
        if r.corpus == "time-machine"
        else replace(r, ci95_method="none", ci95=None, prediction95=None, ci95_note="2 documents are too few")
        for r in results.results
    ]
    results = replace(results, results=rows)
    html, text = page.html(results, [], Views()), page.markdown(results, {}, [], Views())
    for told in (html, text):
        assert "worth 4.2 of one length" in told
        assert "No intervals: 2 documents are too few." in told
        assert "1.937 to 2.029" in told  # lstm's 1.981 - 0.044, + 0.048
        for gone in ("Holm", "resample", "blocks"):
            assert gone not in told
    assert "another text of this length: 1.937 to 2.029" in html
    assert 'title="95% interval 1.956 to 2.026"' in html  # unseen: 1.981 - 0.025, + 0.045


def test_compressors_stand_by_their_names_and_what_they_were_given_after_them() -> None:
    results = example.example()
    said = (
        "For scale: bzip2 2.119, xz 2.353 bits per character. xz was given the first 4.2 million characters."
    )
    html = page.html(results, [], Views())
    assert html.index("bzip2, a compressor") < html.index("xz, a compressor")
    assert "xz was given the first 4.2 million characters." in html
    assert said in page.markdown(results, {}, [], Views())


def test_further_divisions_and_what_is_spent_above_the_source_are_shown() -> None:
    results = example.example()
    splits = Splits(
        "time-machine",
        ["dealt, seed 1", "dealt, seed 2"],
        0.25,
        [
            SplitRow("lstm", [1.9, 2.0], 1.95, 0.0707, [1, 2], 0.5),
            SplitRow("kneser-ney-5", [2.0, 1.95], 1.975, 0.0354, [2, 1], 0.5),
        ],
    )
    corpora = [results.corpora[0], replace(results.corpora[1], source_bits_per_char=1.25)]
    rows = [
        replace(r, regret_bits_per_char=r.bits_per_char - 1.25, ci95_regret=(0.8125, 0.9375))
        if r.corpus == "tiny-shakespeare" and r.bits_per_char
        else r
        for r in results.results
    ]
    results = replace(results, splits=[splits], corpora=corpora, results=rows)
    html, text = page.html(results, [], Views()), page.markdown(results, {}, [], Views())
    said = "On 2 further divisions of the text: lstm and kneser-ney-5 are first in some; Kendall’s W of the rankings 0.25"
    for told in (html, text):
        assert said in told
        assert "1.975" in told
        assert "1.250" in told
        assert "0.881" in told  # lstm: 2.131 - 1.25
    assert "| lstm | 1.950 | 0.071 | 50% | 1 2 |" in text
    assert 'title="95% interval 0.812 to 0.938"' in html
    assert "no model can" not in html + text


def test_tables_of_pairs_show_verdict_and_size() -> None:
    results = example.example()
    html, text = page.html(results, [], Views()), page.markdown(results, {}, [], Views())
    # 1.981 - 1.982 = -0.001 of 1.982: -0.05%; 4.755 - 4.081 = 0.674 of 4.081: 16.5%; 0.674 * 17343 / 8 = 1461
    assert "too short to tell" in html
    assert "<td>unigram is better</td>" in html
    for told in (html, text):
        assert "+16.5%" in told
    assert re.search(r">\+1461<", html)
    assert "| unigram is better |" in text
    turned = board.turned(
        Comparison("c", "a", "b", -0.5, (-0.75, -0.25), percent=-20.0, bytes=-8, verdict="a")
    )
    # a is 2, b is 2.5: b is 25% more than a
    assert (turned.a, turned.percent, turned.ci95, turned.verdict) == (
        "b",
        pytest.approx(25),
        (0.25, 0.75),
        "b",
    )


def test_a_model_that_learns_from_the_test_text_is_marked_wherever_it_stands() -> None:
    results = standing_out(("cache", 1.5, True), ("kn", 1.75, False), ("trie", 1.875, False))
    html = page.html(results, [], Views())
    assert re.search(r'cache <span class="adaptive"', html)
    assert not re.search(r'kn <span class="adaptive"', html)
    for text in (report.leaderboard_markdown(results, "c"), terminal(results)):
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
    alone = standing_out(("cache", 1.5, True), ("kn", None, False))
    text = report.leaderboard_markdown(alone, "c")
    assert columns.APART not in text
    assert "goes on learning from the text that it scores, an easier task" in text


def test_the_suite_s_title_and_what_is_seen_in_training_stand_on_the_page() -> None:
    results = replace(example.example(), title="Two texts, <nine> models")
    html = page.html(results, [], Views())
    assert html.count("Two texts, &lt;nine&gt; models") == 2  # the tab and the head
    assert page.markdown(results, {}, [], Views()).startswith("# Two texts, \\<nine\\> models")
    seen = "less than 0.1% of its runs of 8 words and 3.0% of its runs of 30 characters stand in the training or valid text word for word"
    assert seen in html
    assert "on unseen" in html


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
    matrix = board.matrix(results.comparisons, "time-machine", lines.rows(results, "time-machine"))
    cells = [[cell.text.replace("−", "-") for cell in line.cells] for line in matrix]
    for i in range(9):
        assert cells[i][i] == ""
        for j in range(i):
            assert float(cells[i][j]) == -float(cells[j][i])
    # lstm 1.981 - rnn-scratch 2.214 = -0.233: lstm spends fewer
    assert (matrix[0].cells[3].text, matrix[0].cells[3].kind) == ("−0.233", "fewer")
    assert matrix[3].cells[0].kind == "more"
    assert matrix[0].cells[1].kind == "tie"


def bare(results: Results) -> Results:
    kept = ("corpus", "label", "status", "bits_per_char")
    rows = [Result(**{key: getattr(r, key) for key in kept}) for r in results.results]
    return Results(corpora=[CorpusResult(name=c.name) for c in results.corpora], results=rows)


MINIMAL = {
    "nothing at all": lambda r: Results(),
    "no results": lambda r: replace(r, results=[], comparisons=[]),
    "one model": lambda r: replace(r, comparisons=[], zipf=[], results=r.results[:1]),
    "no zipf": lambda r: replace(r, zipf=[]),
    "bare entries": bare,
    "only failures": lambda r: replace(r, results=[e for e in r.results if not e.scored], comparisons=[]),
    "hostile": lambda r: example.hostile(),
}


@pytest.mark.parametrize("case", MINIMAL)
def test_no_results_break_the_report(case: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    results = MINIMAL[case](example.example())
    monkeypatch.setattr("lmbench.charts.draw.draw", lambda *a, **k: (b"", "<svg/>"))
    monkeypatch.setattr("lmbench.charts.draw.draw_panels", lambda chart, *a: ["<svg/>"] * len(chart.panels))
    report.write(tmp_path, results)
    terminal(results)
    report.leaderboard_csv(results)
    for corpus in results.corpora:
        report.leaderboard_latex(results, corpus.name)


def test_hostile_text_stays_text(tmp_path: Path) -> None:
    results = example.hostile()
    text = example.TEXT.replace("ferry", "</script><script>alert(2)</script>🙂")
    report.write(tmp_path, results, views=example.views(results.results[0].corpus, text))
    html = (tmp_path / "report.html").read_text("utf-8")
    assert "<script>alert" not in html
    assert "<img" not in html
    assert "<b>suite" not in html
    assert "\x00" not in html
    assert html.count("</script>") == 3  # two stretches of text, and ours
    data = re.search(r'<script type="text/plain" class="stretch" [^>]*>(.*?)</script>', html, re.S)
    assert data is not None
    held = json.loads(zlib.decompress(base64.b64decode(data[1])))
    assert held["text"].startswith("the </script><script>alert(2)</script>🙂 crosses")
    markdown = (tmp_path / "report.md").read_text("utf-8")
    assert "<script>" not in markdown.replace("\\<", "")
    assert all(re.fullmatch(r"[\w.-]+", p.name) for p in (tmp_path / "figures").iterdir())


def test_what_models_say_at_length_is_cut(tmp_path: Path) -> None:
    results = example.hostile()
    results.results[0].samples[:] = [Sample(prompt="ab", text="ab" + "x" * 5_000_000)]
    text = "ab" * 50_000
    file = example.page_file(tmp_path, results, example.views("c", text))
    assert file.stat().st_size < 1_000_000
    assert f"{'x' * 1000}…" in file.read_text("utf-8")


def test_csv_reads_back() -> None:
    lines = list(csv.DictReader(io.StringIO(report.leaderboard_csv(example.example()))))
    assert len(lines) == 15
    best = lines[0]
    assert (best["corpus"], best["label"], best["rank"]) == ("time-machine", "lstm", "1")
    assert float(best["bits_per_char"]) == 1.981
    assert [float(best["ci95_low"]), float(best["ci95_high"])] == pytest.approx([1.95, 2.015])
    infinite = next(line for line in lines if line["label"] == "bigram" and line["corpus"] != "time-machine")
    assert (infinite["bits_per_char"], infinite["perplexity"], infinite["rank"]) == ("inf", "inf", "")
    assert lines[-1]["bits_per_char"] == ""


def test_markdown_table_has_one_width() -> None:
    table = report.leaderboard_markdown(example.example(), "time-machine").splitlines()
    assert len(table) == 2 + 9
    assert len({len(line) for line in table}) == 1
    assert "1.981" in table[2]
    assert table[1].startswith("| --: | :-") or table[1].startswith("| --: | --")


def test_markdown_text_cannot_leave_its_cell() -> None:
    assert leaderboard.markdown_text("a|b\n<i>") == "a\\|b \\<i\\>"


def test_latex_is_escaped() -> None:
    table = report.leaderboard_latex(example.hostile(), example.hostile().results[0].corpus)
    assert r"\$\textbackslash{}frac\{1\}\$" in table
    assert r"\_\&\%" in table
    assert table.count("&") - table.count(r"\&") == 2 * 9  # ten columns, two lines


def test_terminal_shows_ranks_and_reasons() -> None:
    shown = terminal(example.example())
    assert re.search(r"1 +lstm +a +1\.981 +1\.950 to 2\.015", shown)
    assert "the loss became NaN at epoch 3; lower lr" in shown


def test_terminal_is_ascii_where_it_must_be() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii", errors="strict")
    Console(file=stream, width=120).print(report.terminal_table(example.example()))
    stream.flush()
    assert b"1.981" in raw.getvalue()


def test_a_narrow_terminal_shows_fewer_columns_whole() -> None:
    for width in (140, 100, 80, 60, 40):
        stream = io.StringIO()
        Console(file=stream, width=width).print(report.terminal_table(example.example()))
        lines = [line for line in stream.getvalue().splitlines() if "word-kneser-ney-3" in line]
        assert len(lines) == 1  # on one line, whole
        assert "2.318" in lines[0]
        assert ("2.287 to 2.352" in lines[0]) == (width >= 80)
        assert ("for want of width without" in stream.getvalue()) == (width < 140)  # and says so


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


def test_a_row_of_several_seeds_tells_their_spread_and_each() -> None:
    results = example.example()
    extra = example.result("time-machine", "lstm", 0.02, seed=1)
    told = {"seeds": [0, 1], "bits_per_char_of_seeds": [1.981, 2.001], "bits_per_char_sd": 0.0141}
    results.results.append(extra)
    results.over_seeds.append(example.result("time-machine", "lstm", 0.01, **told))
    names = [row.name for row in lines.rows(results, "time-machine")]
    assert sorted(names) == sorted(example.LABELS)
    for text in (
        page.html(results, [], example.views()),
        page.markdown(results, {}, [], example.views()),
        terminal(results),
    ):
        assert re.search(r"1\.991( <span[^>]*>| )± 0\.014", text)
    html = page.html(results, [], example.views())
    assert "1.981 (seed 0), 2.001 (seed 1)" in html
    assert "how it would move with another seed" in html
    results.over_seeds.clear()
    assert "lstm (seed 1)" in [row.name for row in lines.rows(results, "time-machine")]
    curves = selection.learning_chart(results, results.corpora[0])
    assert curves is not None
    held_out, trained = (s for s in curves.panels[0].series if s.key == "lstm")
    assert (held_out.label, trained.label) == ("lstm", "")
    each = [r.history for r in results.results if r.label == "lstm" and r.corpus == "time-machine"]
    bits = [[epoch.valid_bits for epoch in history] for history in each]
    assert held_out.y == pytest.approx(np.mean(bits, axis=0).tolist())
    assert (held_out.low, held_out.high) == (np.min(bits, axis=0).tolist(), np.max(bits, axis=0).tolist())
    assert [panel.xlabel for panel in curves.panels] == ["passes over the text", "time in training / s"]


def test_costs_stand_in_a_table() -> None:
    results = example.example()
    table = report.leaderboard_markdown(results, "time-machine", columns.COST)
    # 80,411 parameters; 6 (256² + 256·28) = 436,224 FLOPs; 21.8 of 40 GFLOP/s
    assert re.search(r"rnn-scratch .* 80,411 .* 436,224 +\| +50,000 +\| +21\.8 +\| +55% ", table)
    assert re.search(r"kneser-ney-5 .* \\- .* training, scoring", table)
    html = page.html(results, selection.charts(results), example.views())
    assert html.count('aria-label="Costs on') == 2
    assert "436,224" in page.markdown(results, {}, [], example.views())


def test_a_chart_given_takes_the_place_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Chart] = []
    monkeypatch.setattr(
        "lmbench.charts.draw.draw", lambda chart, *a: (drawn.append(chart), (b"", "<svg/>"))[1]
    )
    monkeypatch.setattr("lmbench.charts.draw.draw_panels", lambda *a: ["<svg/>"])
    mine = Chart("quality-time-machine", "mine", [])
    report.write(tmp_path, example.example(), [mine])
    assert [c for c in drawn if c.name == mine.name] == [mine]


@pytest.mark.parametrize(
    ("text", "name"), [("a/b: c", "a-b-c"), ("../..", "unnamed"), ("语料", "语料"), ("x" * 99, "x" * 60)]
)
def test_file_names_are_safe(text: str, name: str) -> None:
    assert selection.file_name(text) == name


def test_a_place_that_cannot_be_written_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "figures").write_text("a file where a directory should be")
    with pytest.raises(InputError, match="cannot write"):
        report.write(tmp_path, example.example())


def test_importing_the_report_loads_no_heavy_library() -> None:
    code = "import sys, lmbench.report; print([m for m in ('matplotlib', 'jinja2', 'torch') if m in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


def test_an_extract_is_packed_and_read_back() -> None:
    view = example.views().extracts[0]
    data = extract_data(view, [])
    back = json.loads(zlib.decompress(base64.b64decode(packed(data))))
    assert back == data
    assert back["text"] == view.text
    char, word = back["tracks"][:2]
    assert "steps" not in char
    assert np.cumsum(word["steps"]).tolist() == view.tracks[1].ends.tolist()
    np.testing.assert_allclose(np.array(word["bits"]) / 100, view.tracks[1].bits, atol=0.00501)
    infinite = replace_fields(view.tracks[0], bits=np.full(len(view.tracks[0].ends), np.inf))
    assert set(extract_data(replace_fields(view, tracks=[infinite]), [])["tracks"][0]["bits"]) == {-1}
