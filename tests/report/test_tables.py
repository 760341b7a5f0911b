"""Leaderboards as CSV, Markdown, LaTeX and in the terminal."""

from __future__ import annotations

import csv
import io
import re

import pytest
import report_example as example
from rich.console import Console

from lmbench import report
from lmbench.report import tables as leaderboard


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
    shown = example.terminal(example.example())
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
