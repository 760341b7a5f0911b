"""The files that a report leaves."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import warnings
import zlib
from dataclasses import replace as replace_fields
from pathlib import Path

import numpy as np
import pytest
import report_example as example
from msgspec.structs import replace

from lmbench import report
from lmbench.charts.chart import Chart
from lmbench.errors import InputError
from lmbench.report import charts as selection
from lmbench.report.inline import extract_data, packed


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
    monkeypatch.setattr("lmbench.charts.draw.draw_all", example.undrawn)
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


def test_a_chart_given_takes_the_place_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Chart] = []
    monkeypatch.setattr(
        "lmbench.charts.draw.draw_all", lambda chart, *a: drawn.append(chart) or example.undrawn(chart)
    )
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


def test_bits_beyond_any_number_are_drawn_as_many_and_never_below_none() -> None:
    """100 times 1e99 is no int64; a stored score may be of so many nats."""
    view = example.views().extracts[0]
    most = np.tile([1e99, 1e300, 1e17, 1.0], len(view.tracks[0].ends))[: len(view.tracks[0].ends)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data = extract_data(replace_fields(view, tracks=[replace_fields(view.tracks[0], bits=most)]), [])
    assert data["tracks"][0]["bits"][:4] == [10**17, 10**17, 10**17, 100]
    assert json.loads(zlib.decompress(base64.b64decode(packed(data)))) == data
