"""Hostile text in every place where text may stand: it is shown as text in pages, tables and terminals, and nothing leaves the file."""

import csv
import dataclasses
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import msgspec
import pytest
import report_example as example
from msgspec.structs import replace
from paths import GOLDEN
from rich.console import Console

import lmbench as lb
from lmbench import report
from lmbench.charts.chart import Chart, Panel, Series
from lmbench.charts.draw import draw_panels
from lmbench.cli import main
from lmbench.models.notebook import NotebookMonitor
from lmbench.report import page
from lmbench.report.tables import latex_text, markdown_text, typst_text
from lmbench.results.file import write_results
from lmbench.results.schema import CorpusResult, Results
from lmbench.results.views import Views

PAYLOADS = (
    "<script>pwned=1</script>",
    "</script><script>pwned=1</script>",
    "<img src=x onerror=pwned=1>",
    "<svg/onload=pwned=1>",
    "\"><iframe src='javascript:pwned=1'>",
    "' onmouseover='pwned=1' autofocus onfocus='pwned=1",
    "</style><style>@import 'https://evil.example/x.css';*{display:none}",
    "</title></textarea></pre><base href='https://evil.example/'>",
    "<meta http-equiv=refresh content='0;url=https://evil.example/'>",
    "<link rel=stylesheet href=https://evil.example/x.css>",
    "<!--", "]]>", "<![CDATA[", "&lt;script&gt;", "&#x3c;script&#x3e;",
    "{{7*7}}", "{% raw %}", "${pwned=1}", "javascript:pwned=1", "data:text/html,<script>pwned=1</script>",
    "[x](javascript:pwned=1)", "![x](https://evil.example/x.png)", "<https://evil.example>", "| a | b |", "```\n# h",
    "\\write18{touch pwned}", "\\input{/etc/passwd}", "^^5cwrite18{x}", "$\\def\\x{}$", "[2em]", "%\n\\end{document}",
    "=cmd|'/c calc'!A1", "+1+1", "-2+3", "@SUM(1)", "\t=1+1", "\r=1+1",
    "\x1b[31mred\x1b]0;title\x07", "\x9b31m", "\u202eevil\u202c", "\u2066x\u2069", "a\x00b", "\ud800", "\ufeff", "\u2028",
)  # fmt: skip


def poisoned(tree: Any, payload: str, keep: tuple[str, ...]) -> Any:
    """A tree of plain values with the payload in every text, but where a text is a name that decides what is shown."""
    if isinstance(tree, dict):
        return {key: value if key in keep else poisoned(value, payload, keep) for key, value in tree.items()}
    if isinstance(tree, list):
        return [poisoned(value, payload, keep) for value in tree]
    return f"{payload}{tree}" if isinstance(tree, str) else tree


# Which row is which, and what is compared with what, stays; the payload goes to their names all the same, the same everywhere.
KEEP = ("status", "groups", "verdict", "unit", "resampled", "order_on_unseen")


def hostile(payload: str) -> Results:
    tree = msgspec.to_builtins(example.example())
    return msgspec.convert(poisoned(tree, payload, KEEP), Results)


@pytest.mark.parametrize("name", ["__proto__", "constructor", "toString", "hasOwnProperty"])
def test_a_name_that_javascript_knows_is_a_name(browser, tmp_path, name):
    """Of a model, with its passages and figures."""
    made = json.dumps(msgspec.to_builtins(example.example())).replace('"lstm"', f'"{name}"')
    assert name in made
    shown = msgspec.convert(json.loads(made), Results)
    file = example.page_file(tmp_path, shown, example.views())
    tab, errors = browser.new_context().new_page(), []
    tab.on("pageerror", lambda error: errors.append(str(error)))
    tab.goto(file.as_uri())
    assert errors == []
    assert name in tab.inner_text("body")


def test_a_page_of_payloads_runs_nothing_and_asks_for_nothing(browser, tmp_path):
    """Each payload's page in turn; the elements are those of a harmless page."""
    counted = {}
    tab = browser.new_context().new_page()
    asked, errors = [], []
    tab.on("request", lambda request: asked.append(request.url))
    tab.on("dialog", lambda dialog: errors.append(dialog.message))
    tab.on("pageerror", lambda error: errors.append(str(error)))
    for number, payload in enumerate(
        ("harmless", "".join(PAYLOADS[:20]), "".join(PAYLOADS[20:]), *PAYLOADS[:8])
    ):
        file = tmp_path / f"{number}.html"
        text = page.html(hostile(payload), [], Views())
        assert "default-src 'none'" in text
        file.write_text(text, "utf-8")
        tab.goto(file.as_uri())
        tab.mouse.move(300, 300)
        assert tab.evaluate("typeof pwned") == "undefined", payload
        counted[payload] = tab.evaluate(
            "() => Object.fromEntries(['script','style','img','iframe','base','meta','link','object','svg','form','input']"
            ".map(t => [t, document.querySelectorAll(t).length]))"
        )
        hrefs = tab.evaluate(
            "() => [...document.querySelectorAll('[href]')].map(e => e.getAttribute('href'))"
        )
        assert all(h == "data:," or h.startswith(("#", "https://", "http://")) for h in hrefs), hrefs
        handlers = "() => [...document.querySelectorAll('*')].filter(e => [...e.attributes].some(a => a.name.startsWith('on'))).length"
        assert tab.evaluate(handlers) == 0
    assert [url for url in asked if not url.startswith("file:")] == []
    assert errors == []
    assert all(count == counted["harmless"] for count in counted.values()), counted


HARMLESS = {
    "svg",
    "g",
    "defs",
    "style",
    "path",
    "use",
    "text",
    "tspan",
    "rect",
    "clipPath",
    "metadata",
    "title",
    "desc",
}


@pytest.mark.parametrize(
    "payload",
    [*PAYLOADS[:12], "--><script>pwned=1</script>", "--!><img src=x onerror=pwned=1>", "$\\frac{1}{", "a--b"],
)
def test_figures_show_it_as_text(payload):
    """In titles, axes, keys and lines: as glyphs, and in the comments that stand before them."""
    curve = Series(payload, [1.0, 2.0], [3.0, 4.0], "line")
    bar = Series(payload, [payload], [3.0], "interval", [2.0], [4.0])
    for series in (curve, bar):
        chart = Chart(
            payload, payload, [Panel(payload, payload, payload, [series], horizontal=[(1.0, payload)])]
        )
        for svg in draw_panels(chart, [payload]):
            tree = ElementTree.fromstring(svg)
            tags = {element.tag.rpartition("}")[2] for element in tree.iter()}
            shown = {
                tag for tag in tags if tag[:1].islower()
            } - HARMLESS  # those of its description begin with a capital
            assert shown <= {"format", "type", "creator", "date"}, shown
            for element in tree.iter():
                assert not [name for name in element.attrib if name.startswith("on")]
                links = [link for name, link in element.attrib.items() if name.endswith("href")]
                assert all(link.startswith("#") for link in links), links
            assert "-->" not in re.sub("<!--.*?-->", "", svg, flags=re.DOTALL)


@pytest.mark.parametrize("payload", PAYLOADS[:8])
def test_a_notebook_shows_it_as_text(payload):
    """Tables of runs and of comparisons, and progress."""
    corpus = lb.Corpus.of(str(GOLDEN / "ferry.train.txt"), name="t")
    runs = [lb.evaluate(lb.make_model(name), corpus) for name in ("unigram", "bigram")]
    runs = [dataclasses.replace(run, label=f"{payload}{i}", corpus=payload) for i, run in enumerate(runs)]
    shown = []
    NotebookMonitor(payload, shown.append).progress(1, 2, payload)
    for table in (lb.leaderboard(runs)._repr_html_(), lb.compare(runs)._repr_html_(), *shown):
        markup = re.sub(r"<style.*?</style>", "", table, flags=re.DOTALL)
        tags = set(re.findall(r"</?([a-zA-Z!]+)", markup))
        assert tags <= {"table", "thead", "tbody", "tr", "th", "td", "progress"}, tags
        assert not re.search(r"<[^>]*\son\w+=", markup)


@pytest.mark.parametrize("payload", PAYLOADS)
def test_tables_show_it_as_text(payload, tmp_path, capsys):
    results = hostile(payload)
    name = results.corpora[0].name
    markdown = report.leaderboard_markdown(results, name)
    latex = report.leaderboard_latex(results, name)
    for table in (markdown, latex):
        assert all(line.isprintable() for line in table.split("\n"))
    for line in markdown.split("\n"):
        unescaped = re.sub(r"\\.", "", line)
        assert not re.search(r"[<>`\[\]]", unescaped), line
    commands = set(re.findall(r"\\[a-zA-Z]+", latex))
    assert commands <= {
        *("\\begin", "\\end", "\\toprule", "\\midrule", "\\bottomrule"),
        *("\\textbackslash", "\\textasciitilde", "\\textasciicircum", "\\textless", "\\textgreater"),
    }
    assert "^^" not in latex
    assert not re.search(r"\\\\\s*\[", latex)
    for row in csv.reader(io.StringIO(report.leaderboard_csv(results))):
        assert not any(cell[:1] in ("=", "+", "@", "\t", "\r") for cell in row)
        assert not any(cell[:1] == "-" and not _is_number(cell) for cell in row)
        assert all(cell.isprintable() for cell in row)
    stream = io.StringIO()
    Console(file=stream, width=300, force_terminal=True, color_system=None).print(
        report.terminal_table(results)
    )
    assert all(line.isprintable() for line in stream.getvalue().split("\n"))


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _places(tree: Any, before: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where texts stand in a tree of plain values, keys of free names included."""
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in items:
        yield from _places(value, (*before, key))
    if isinstance(tree, str):
        yield before


def test_markdown_escapes_every_text_of_the_results():
    """One by one, each kind of place once, since two that agree may go another way than one that stands alone."""
    tree = msgspec.to_builtins(example.example())
    kinds = {tuple("*" if isinstance(key, int) else key for key in place): place for place in _places(tree)}
    leaks, tried = [], 0
    for kind, place in kinds.items():
        one = json.loads(json.dumps(tree))
        node = one
        for key in place[:-1]:
            node = node[key]
        node[place[-1]] = PAYLOADS[0] + node[place[-1]]
        try:
            results = msgspec.convert(one, Results)
        except msgspec.ValidationError:
            continue
        tried += 1
        if "<script" in re.sub(r"\\.", "", page.markdown(results, {}, [], Views())):
            leaks.append(kind)
    assert leaks == []
    assert tried > 30


def test_keys_of_free_names_are_text():
    tree = msgspec.to_builtins(example.example())
    tree["environment"] = {PAYLOADS[0] + key: value for key, value in tree["environment"].items()}
    for row in tree["results"]:
        row["options"] = {PAYLOADS[0]: 1, **row["options"]}
    results = msgspec.convert(tree, Results)
    assert PAYLOADS[0] not in page.html(results, [], example.views())
    assert "<script" not in re.sub(r"\\.", "", page.markdown(results, {}, [], Views()))


def test_negative_numbers_stay_numbers():
    rows = list(csv.DictReader(io.StringIO(report.leaderboard_csv(hostile("-2+3")))))
    assert sum(_is_number(row["bits_per_char"]) for row in rows) >= len(rows) - 1
    row = replace(example.result("c", "lstm"), log_prob=-3.5)
    results = Results(corpora=[CorpusResult(name="c")], results=[row])
    (one,) = csv.DictReader(io.StringIO(report.leaderboard_csv(results)))
    assert one["log_prob"] == "-3.5"
    assert rows[0]["label"].startswith("'-2+3")


def test_what_others_wrote_does_not_reach_a_terminal_raw(tmp_path, capsys):
    write_results(hostile("\x1b[31m\u202e"), tmp_path)
    for form in ("markdown", "latex", "csv"):
        assert main(["export", str(tmp_path), "--format", form]) == 0
        assert not re.search("[\x1b\u202e]", capsys.readouterr().out)


@pytest.mark.parametrize(
    "payload", [*PAYLOADS, "1. first", " 12. ", "3.", "- x", "/ a: b", "= h", "// c", "a -- b"]
)
def test_typst_shows_it_as_text(payload):
    """As its compiler does: no list, heading, link, raw text, formula or reference comes of it."""
    escaped = typst_text(payload)
    assert re.sub(r"\\(.)", r"\1", escaped) == "".join(c if c.isprintable() else " " for c in payload)
    unescaped = re.sub(r"\\.", "", escaped)
    assert not re.search(r"[\\*_`$#\[\]<>@~/=+'\"-]", unescaped)
    assert not re.match(r"\s*\d+\.(\s|$)", escaped)
    table = report.leaderboard_typst(hostile(payload), hostile("").corpora[0].name)
    assert all(line.isprintable() for line in table.split("\n"))


@pytest.mark.parametrize("payload", PAYLOADS)
def test_escapes_of_markup_say_the_same(payload):
    shown = re.sub(r"\\(.)", r"\1", markdown_text(payload))
    assert shown == "".join(c if c.isprintable() else " " for c in payload)
    assert "\\write" not in latex_text(payload)


def test_directions_end_with_a_page(tmp_path: Path) -> None:
    text = page.html(hostile("\u202e\u2066\x1b"), [], Views())
    assert not re.search("[\u202a-\u202e\u2066-\u2069\x1b]", text)
