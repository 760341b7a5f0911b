"""The page and its Markdown twin: complete, and what they say beside the tables."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import report_example as example
from msgspec.structs import replace
from paths import HELPERS

from lmbench import report
from lmbench.comparing.pairs import Comparison
from lmbench.comparing.splits import SplitRow, Splits
from lmbench.report import charts as selection
from lmbench.report import columns, page
from lmbench.report import page_tables as board
from lmbench.report import ranking as lines
from lmbench.results.views import Views


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return example.page_file(tmp_path_factory.mktemp("report"), example.example(), example.views())


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


def test_the_suite_s_title_and_what_is_seen_in_training_stand_on_the_page() -> None:
    results = replace(example.example(), title="Two texts, <nine> models")
    html = page.html(results, [], Views())
    assert html.count("Two texts, &lt;nine&gt; models") == 2  # the tab and the head
    assert page.markdown(results, {}, [], Views()).startswith("# Two texts, \\<nine\\> models")
    seen = "less than 0.1% of its runs of 8 words and 3.0% of its runs of 30 characters stand in the training or valid text word for word"
    assert seen in html
    assert "on unseen" in html


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
        example.terminal(results),
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
