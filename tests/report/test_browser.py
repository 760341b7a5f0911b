"""The report in a real browser: quiet, self-contained, legible, sortable, and never wider than its window."""

from __future__ import annotations

import functools
import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import report_example as example
from in_browser import read_text, unfold
from msgspec.structs import replace as replace_fields

from lmbench.report import page as report_page

# The lowest contrast of a text with what lies behind it (WCAG 2.1), over every text that shows; and where.
CONTRAST = """() => {
  const parse = (c) => { const v = c.match(/[\\d.]+%?/g).map(parseFloat); return [...v.slice(0, 3), v[3] ?? 1]; };
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = (c) => {
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = c; canvas.fillRect(0, 0, 1, 1);
    const d = canvas.getImageData(0, 0, 1, 1).data; return [d[0], d[1], d[2], d[3] / 255];
  };
  const over = (top, under) => [0, 1, 2].map((i) => top[i] * top[3] + under[i] * (1 - top[3]));
  const light = (c) => {
    const [r, g, b] = c.map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (e) => {
    const layers = [];
    for (; e; e = e.parentElement) layers.push(rgba(getComputedStyle(e).backgroundColor));
    return layers.reverse().reduce((under, top) => over(top, under), [255, 255, 255]);
  };
  let worst = [21, ""], seen = 0;
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const e = walk.currentNode.parentElement;
    if (!walk.currentNode.textContent.trim() || ["SCRIPT", "STYLE", "NOSCRIPT"].includes(e.tagName)) continue;
    if (!e.checkVisibility()) continue;
    const style = getComputedStyle(e);
    const paper = behind(e);
    const ink = over(rgba(e instanceof SVGElement ? style.fill : style.color), paper);
    const [a, b] = [light(ink), light(paper)].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    seen++;
    if (ratio < worst[0]) worst = [ratio, walk.currentNode.textContent.trim().slice(0, 40)];
  }
  return { ratio: worst[0], text: worst[1], seen };
}"""


def test_tables_of_long_labels_are_not_clipped(open_page: Any, tmp_path: Path) -> None:
    found = example.views()
    long = replace(found.differences[0], a="kneser-ney-of-words-5", b="absolute-discounting-of-words")
    page = open_page(example.page_file(tmp_path, example.example(), replace(found, differences=[long])))
    unfold(page)
    clipped = "all => all.filter((e) => e.scrollWidth > e.clientWidth).map((e) => e.ariaLabel)"
    assert page.eval_on_selector_all(".columns .scroll", clipped) == []


def labels(page: Any) -> list[str]:
    return [
        t.strip()
        for t in page.locator("table.board").first.locator("tbody:not(.programs) th").all_inner_texts()
    ]


@pytest.mark.parametrize("width", [360, 1440])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_fits_its_window_and_is_legible(
    open_page: Any, report_file: Path, width: int, scheme: str
) -> None:
    page = open_page(report_file, width, scheme)
    read_text(page)
    page.click("[data-mode=difference]")
    page.click("#view-text span:nth-child(3)")
    unfold(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    found = page.evaluate(CONTRAST)
    assert found["seen"] > 500
    assert found["ratio"] >= 4.5, found["text"]
    for mode in ("a", "both"):
        page.click(f"[data-mode={mode}]")
        found = page.evaluate(CONTRAST)
        assert found["ratio"] >= 4.5, found["text"]


def test_the_measure_of_contrast_can_fail(open_page: Any, tmp_path: Path) -> None:
    file = tmp_path / "pale.html"
    file.write_text("<!doctype html><link rel=icon href='data:,'><p>dark</p><p style='color:#999'>pale</p>")
    found = open_page(file).evaluate(CONTRAST)
    assert found["text"] == "pale"
    assert found["ratio"] == pytest.approx(2.85, abs=0.01)  # #999 on white


def test_columns_sort_both_ways_by_mouse_and_keyboard(open_page: Any, report_file: Path) -> None:
    page = open_page(report_file)
    unfold(page)
    first = labels(page)
    head = page.locator("table.board").first.locator("th button", has_text="bits/char")
    head.click()
    assert labels(page) == first
    head.press("Enter")
    assert labels(page) == first[::-1]
    assert page.locator("table.board th[aria-sort=descending]").count() == 1
    page.locator("table.board").first.locator("th button", has_text="model").click()
    assert labels(page) == sorted(first)
    assert page.locator("table.board th[aria-sort]").count() == 1


def test_rows_without_a_number_stay_last(open_page: Any, report_file: Path) -> None:
    page = open_page(report_file)
    unfold(page)
    board = page.locator("table.board").nth(1)
    head = board.locator("th button", has_text="bits/char")
    for expected in (["bigram", "rnn-scratch"], ["trigram", "kneser-ney-5", "lstm", "rnn-scratch"]):
        head.click()  # inf is a number and sorts as one; a failed model has none
        names = [t.strip() for t in board.locator("tbody:not(.programs) th").all_inner_texts()]
        assert names[-len(expected) :] == expected


def test_token_view_toggles_and_tells_numbers(open_page: Any, report_file: Path) -> None:
    page = open_page(report_file)
    text = read_text(page)
    tokens = text.locator("span")
    view = example.views().extracts[0]
    assert tokens.count() == len(view.tracks[0].ends)  # the character model's
    assert text.text_content().replace("↵", "") == view.text
    page.click("[data-mode=b]")
    assert tokens.count() == len(view.tracks[1].ends)  # the word model's
    page.click("[data-mode=difference]")
    assert tokens.count() == len(view.tracks[1].ends)  # where both have a boundary
    tokens.nth(1).click()
    told = page.locator("#view-detail").inner_text()
    assert "B, word-kneser-ney-3 ␣ferry" in told
    assert f"{view.tracks[1].bits[1]:.2f} bits" in told
    assert "0.31" in told  # an alternative's probability
    text.press("ArrowRight")
    assert "␣crosses" in page.locator("#view-detail").inner_text()
    text.press("t")
    assert page.locator("[data-mode=a]").get_attribute("aria-pressed") == "true"
    page.select_option("#view-a", index=1)
    assert tokens.count() == len(view.tracks[1].ends)
    assert page.eval_on_selector("#view-b", "e => e.selectedIndex") != 1  # no model stands beside itself
    page.select_option("#view-extract", index=1)
    page.locator("#view-told", has_text="characters 1,1").wait_for()
    assert text.text_content().replace("↵", "") == example.views().extracts[1].text


def test_theme_button_switches(open_page: Any, report_file: Path) -> None:
    page = open_page(report_file)
    paper = functools.partial(page.evaluate, "getComputedStyle(document.body).backgroundColor")
    light = paper()
    page.click("#theme")
    assert paper() != light
    page.click("#theme")
    assert paper() == light


def test_hostile_page_runs_no_script_of_the_text(open_page: Any, tmp_path: Path) -> None:
    results = example.hostile()
    text = example.TEXT.replace("ferry", "<img src=x onerror=alert(1)>🙂")
    views = example.views(results.results[0].corpus, text)
    page = open_page(example.page_file(tmp_path, results, views), 360)
    read_text(page)
    assert page.locator("img").count() == 0
    assert "🙂" in page.locator("#view-text").text_content()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_printing_is_light_and_whole(open_page: Any, report_file: Path) -> None:
    page = open_page(report_file, scheme="dark")
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.locator("nav").is_hidden()
    assert len(page.pdf(format="A4")) > 10_000


@pytest.mark.parametrize(("corpora", "most"), [(0, 7000), (5, 6000)])
def test_what_is_not_folded_is_a_few_screens(
    open_page: Any, tmp_path: Path, report_file: Path, corpora: int, most: int
) -> None:
    file = report_file
    if corpora:
        file = example.page_file(tmp_path, example.over_corpora(corpora), example.views("text-1"))
    page = open_page(file)
    assert page.evaluate("document.documentElement.scrollHeight") <= most
    assert page.locator("details[open]").count() == 0


@pytest.fixture(scope="module")
def long_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page whose text is longer than what is drawn at once."""
    text = example.TEXT * 4
    views = example.views(text=text)
    whole = {
        "lstm": ("char", example.scores("char", 1, text)),
        "word-kneser-ney-3": ("word", example.scores("word", 2, text)),
    }
    shown = example.extract(
        "time-machine", text, whole, 0, len(text), lambda label: example.alternatives(label, range(300))
    )
    return example.page_file(
        tmp_path_factory.mktemp("long"), example.example(), replace(views, extracts=[shown])
    )


def test_every_passage_kind_and_cell_leads_to_the_text(open_page: Any, long_file: Path) -> None:
    page = open_page(long_file)
    unfold(page)
    at = lambda: int(page.url.partition("#at=")[2].partition("&")[0])  # noqa: E731
    link = page.locator(".passages a").first
    asked = int(link.get_attribute("href").partition("at=")[2].partition("&")[0])
    link.click()
    page.wait_for_selector("#view-text .chosen")
    assert abs(at() - asked) <= 1
    assert page.locator("[data-mode=difference]").get_attribute("aria-pressed") == "true"
    kind = page.locator("a[data-places]").first
    places = [int(place) for place in kind.get_attribute("data-places").split()]
    for place in places[:2]:  # one after the other
        kind.click()
        page.wait_for_url(lambda url, place=place: f"at={place}&" in url)
    page.locator(".matrix td a").first.click()
    page.wait_for_url(lambda url: "mode=difference" in url)
    cell = page.locator(".matrix td a").first.get_attribute("href")
    assert cell.startswith("#at=most&a=")


def test_the_matrix_is_whole_on_a_telephone_and_at_1440(open_page: Any, tmp_path: Path) -> None:
    """With 24 models on 360 pixels, where it shows signs, and with 14 and 24 on 1440, where it shows numbers."""
    results = example.example()
    for count, width, shown in ((24, 360, "−"), (14, 1440, "−0."), (24, 1440, "−0.")):
        names = [f"model-{i:02}-of-a-long-name" for i in range(count)]
        rows = [
            replace_fields(example.result("c", "lstm", 0.01 * i), label=name) for i, name in enumerate(names)
        ]
        pairs = example.comparisons("c", rows)
        made = replace_fields(
            results, corpora=[example.corpus_entry("c")], results=rows, comparisons=pairs, zipf=[]
        )
        file = tmp_path / f"{count}-{width}.html"
        file.write_text(report_page.html(made, [], example.views("c")), "utf-8")
        page = open_page(file, width)
        assert page.eval_on_selector(".scroll:has(.matrix)", "e => e.scrollWidth - e.clientWidth") <= 0
        cell = page.locator(".matrix tr").nth(1).locator("td").nth(count - 1)
        assert (
            cell.inner_text() or cell.evaluate("e => getComputedStyle(e, '::before').content.slice(1, -1)")
        ).startswith(shown)
        assert cell.bounding_box()["width"] >= 8


def test_a_cell_leads_to_where_two_differ_most_in_all_that_is_shown(
    open_page: Any, report_file: Path
) -> None:
    page = open_page(report_file)
    page.evaluate("location.hash = '#at=most&a=lstm&b=kneser-ney-5&mode=difference'")
    page.wait_for_selector("#view-text .chosen")
    differ = []
    for shown in example.views().extracts:  # hundredths of a bit, as the page has them
        of = {t.label: np.round(t.bits, 2) for t in shown.tracks}
        apart = of["lstm"] - of["kneser-ney-5"]
        differ += [(abs(apart[k : k + 90].sum()), shown.start + k) for k in range(0, len(apart), 30)]
    assert f"#at={max(differ)[1]}&" in page.url


def test_a_link_from_elsewhere_opens_at_its_place(open_page: Any, long_file: Path) -> None:
    page = open_page(long_file)
    page.evaluate("location.hash = '#at=9001&a=word-kneser-ney-3&b=lstm&mode=both'")
    page.wait_for_selector("#view-text .chosen")
    assert page.locator("#view-a option:checked").inner_text() == "word-kneser-ney-3 (word)"
    text = example.TEXT * 4
    chosen = page.locator("#view-text .chosen").inner_text().replace("↵", "").strip("\n")
    assert chosen in text[8990:9020]
    told = page.locator("#view-detail").inner_text()
    assert "B, lstm" in told
    assert "tokens" in told  # the letters that stand in the word's place


def test_a_long_text_is_turned_over_searched_and_walked_through(open_page: Any, long_file: Path) -> None:
    page = open_page(long_file)
    box = read_text(page)
    text = example.TEXT * 4
    assert box.locator("span").count() == 2400 < len(text)
    page.click("#view-on")
    assert box.text_content().replace("↵", "") == text[2000:4400]
    box.focus()
    page.keyboard.press("End")
    assert box.text_content().replace("↵", "").endswith(text[-50:])
    assert page.locator("#view-on").is_disabled()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowLeft")
    assert "#at=0&" in page.url
    page.keyboard.press("/")
    page.keyboard.type("KEEPER")
    page.keyboard.press("Enter")
    first = text.index("keeper")
    assert f"#at={first}&" in page.url
    page.keyboard.press("Enter")
    assert f"#at={text.index('keeper', first + 1)}&" in page.url
    page.fill("#view-search", "nowhere at all")
    page.click("text=Find next")
    assert page.eval_on_selector("#view-search", "e => e.validationMessage") == "not in this text"
    for button in page.locator("#view button:visible").all():
        assert button.bounding_box()["height"] >= 24


def test_high_contrast_keeps_what_the_shades_say(browser: Any, report_file: Path) -> None:
    context = browser.new_context(forced_colors="active", viewport={"width": 1440, "height": 900})
    page = context.new_page()
    page.goto(report_file.as_uri())
    read_text(page)
    shades = page.eval_on_selector_all(
        "#view-text span", "all => new Set(all.map((e) => getComputedStyle(e).backgroundColor)).size"
    )
    assert shades > 10
    swatches = page.eval_on_selector_all(
        ".board .swatch", "all => new Set(all.map((e) => getComputedStyle(e).fill)).size"
    )
    assert swatches > 3
    kinds = "all => all.map((e) => getComputedStyle(e).backgroundColor)"
    assert len(set(page.eval_on_selector_all("#pairs span.fewer, #pairs span.more", kinds))) == 2
    context.close()


def test_the_theme_that_was_chosen_is_kept(open_page: Any, report_file: Path) -> None:
    page = open_page(report_file)
    page.click("#theme")
    assert page.locator("#theme").get_attribute("aria-pressed") == "true"
    page.reload()
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"


def test_links_regions_and_headings_are_named_in_order(open_page: Any, report_file: Path) -> None:
    """What axe-core asks for by these rules: link-name, landmark-unique, heading-order, scrollable-region-focusable."""
    page = open_page(report_file, 360)
    read_text(page).locator("span").nth(3).click()
    unfold(page)
    names = "all => all.map((e) => (e.ariaLabel ?? e.textContent).trim())"
    assert "" not in page.eval_on_selector_all("a, button", names)
    regions = page.eval_on_selector_all("[role=region]", names)
    assert len(set(regions)) == len(regions) > 5
    levels = page.eval_on_selector_all("h1, h2, h3, h4, h5", "all => all.map((e) => Number(e.tagName[1]))")
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    unreachable = """all => all.filter((e) => e.scrollWidth > e.clientWidth && e.tabIndex < 0
      && ["auto", "scroll"].includes(getComputedStyle(e).overflowX)).map((e) => e.outerHTML.slice(0, 80))"""
    assert page.eval_on_selector_all("main *", unreachable) == []
