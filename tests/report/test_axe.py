"""axe-core finds nothing serious on the pages, in light and dark, with all that is folded open."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any

import pytest
import report_example as example
from in_browser import read_text, unfold

from lmbench.report import page, write_changes
from lmbench.results.diff import Change, Changes


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, report_file: Path) -> dict[str, Path]:
    """A report; one of several corpora, with a model that learns from the test text; what moved between two runs."""
    folder = tmp_path_factory.mktemp("axe")
    corpora, changes = folder / "corpora.html", folder / "changes.html"
    corpora.write_text(page.html(example.over_corpora(), [], example.views("text-1")), "utf-8")
    rows = [
        Change(
            corpus="ferry",
            label=label,
            before=2.5,
            after=2.5 + moved,
            difference_bits_per_char=moved,
            ci95=(moved - 0.05, moved + 0.05),
            percent=40 * moved,
            p_value=p,
            p_corrected=p,
            beyond_noise=p < 0.05,
            worthwhile=p < 0.05,
            signatures={"text": ("12ab", "34cd")} if moved < 0 else {},
        )
        for label, moved, p in (("trigram", -0.25, 0.001), ("rnn", 0.25, 0.001), ("uniform", 0.0, 1.0))
    ]
    gone = Change(corpus="ferry", label="old", before=2.5, reason="only before")
    write_changes(
        changes,
        Changes(before="a", after="b", models=[*rows, gone], environment={"python": ("3.11", "3.12")}),
    )
    return {"report": report_file, "corpora": corpora, "changes": changes}


def violations(page: Any) -> list[str]:
    """What axe-core calls serious or critical, a line each with the first place."""
    page.evaluate(resources.files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8"))
    result = page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
    return [
        f"{v['impact']} {v['id']}: {v['help']}, {len(v['nodes'])} times, {v['nodes'][0]['html'][:120]}"
        for v in result["violations"]
        if v["impact"] in ("serious", "critical")
    ]


@pytest.mark.parametrize(
    ("kind", "width", "scheme"),
    [
        ("report", 1440, "light"),
        ("corpora", 360, "dark"),
        ("changes", 1440, "light"),
        ("changes", 360, "dark"),
    ],
)
def test_nothing_serious(open_page: Any, files: dict[str, Path], kind: str, width: int, scheme: str) -> None:
    shown = open_page(files[kind], width, scheme, bypass_csp=True)
    if kind != "changes":
        read_text(shown).locator("span").nth(3).click()
    unfold(shown)
    assert violations(shown) == []


def test_what_is_serious_is_found(open_page: Any, tmp_path: Path) -> None:
    file = tmp_path / "poor.html"
    file.write_text(
        "<!doctype html><html><link rel=icon href='data:,'><img src='data:,'><p style='color:#bbb'>pale</p>"
    )
    found = " ".join(violations(open_page(file)))
    for rule in ("html-has-lang", "image-alt", "color-contrast"):
        assert rule in found
