"""A report of next to nothing, of hostile names and of endless samples."""

from __future__ import annotations

import base64
import json
import re
import zlib
from pathlib import Path

import pytest
import report_example as example
from msgspec.structs import replace

from lmbench import report
from lmbench.results.schema import CorpusResult, Result, Results
from lmbench.scoring.run import Sample


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
    monkeypatch.setattr("lmbench.charts.draw.draw_all", example.undrawn)
    report.write(tmp_path, results)
    example.terminal(results)
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
