"""report.html and report.md from finished results: what the templates need, and inline drawings."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

import jinja2
from markupsafe import Markup

from lmbench.charts import style
from lmbench.charts.chart import Chart
from lmbench.comparing.compressors import Baseline
from lmbench.comparing.differences import Difference
from lmbench.comparing.splits import Splits
from lmbench.report.columns import ADAPTIVE, COST
from lmbench.report.formats import (
    MISSING,
    bits_text,
    count_text,
    interval_text,
    number_text,
    seconds_text,
    share_text,
    signed_bits,
    signed_interval,
    signed_percent,
    small_bits,
)
from lmbench.report.grid import grid
from lmbench.report.grid_tables import grid_markdown, grid_note
from lmbench.report.headline import answer, headline, listed, overall
from lmbench.report.inline import DARK, PASSAGE, SAMPLE, _inline_figures, _short, extract_data, packed
from lmbench.report.page_tables import board, costs_known, swatch, verdict_text
from lmbench.report.ranking import Row, first_ranking, labels, ranked, rows
from lmbench.report.tables import leaderboard_markdown, markdown_text
from lmbench.results.schema import CorpusResult, Results
from lmbench.results.views import Views
from lmbench.scoring.run import Sample

CHIP = Markup(' <span class="adaptive" title="{}">adaptive</span>')  # after the name of a model that learns

STAR = Markup('&nbsp;<abbr class="star" title="{}">*</abbr>')  # the same where there is no room


def html(
    results: Results, charts: Sequence[Chart], views: Views, drawn: Sequence[Sequence[str]] | None = None
) -> str:
    """The whole page as one self-contained text: styles, script, figures and data inside.

    drawn: of each chart its panels as SVG, where the caller has them.
    """
    colours = labels(results)
    if drawn is None:
        from lmbench.charts.draw import draw_panels

        drawn = [draw_panels(chart, colours) for chart in charts]
    environment = page_environment()
    adaptive = {result.label for result in results.results if result.adaptive}
    environment.filters["verdict"] = lambda pair: verdict_text(pair, results.worthwhile)
    environment.filters["swatch"] = lambda label: swatch(str(label), colours)
    environment.filters["chip"] = lambda label: CHIP.format(ADAPTIVE) if label in adaptive else ""
    environment.filters["star"] = lambda label: STAR.format(ADAPTIVE) if label in adaptive else ""
    page = environment.get_template("report.html").render(
        _context(results, views),
        figures=_inline_figures(charts, drawn, _figures_of_studies(results)),
        boards=[board(results, corpus, colours) for corpus in results.corpora],
        data=[Markup(packed(extract_data(e, colours))) for e in views.extracts],
        js=Markup(template("page.js") + template("report.js")),
    )
    return legal(page)


def page_environment() -> jinja2.Environment:
    """What every page is made in: escaping, with the styles and both themes' colours at hand."""
    environment = _environment(autoescape=True)
    environment.globals["palette"] = list(zip(style.PALETTE, DARK, strict=True))
    environment.globals["adaptive"] = ADAPTIVE
    environment.globals["star"] = STAR.format(ADAPTIVE)
    environment.globals["grid_note"] = grid_note
    environment.globals["css"] = Markup(template("report.css"))
    return environment


# Controls, half characters, and marks that turn the direction of what follows: a text under test can have them.
_ILLEGAL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def legal(page: str) -> str:
    """A page without the characters that none may hold."""
    return _ILLEGAL.sub("\N{REPLACEMENT CHARACTER}", page)


def markdown(results: Results, files: Mapping[str, str], charts: Sequence[Chart], views: Views) -> str:
    """The same tables for a terminal or a code-review page. files: chart name -> the figure's relative path."""
    environment = _environment(autoescape=False)
    environment.filters["verdict"] = lambda pair: verdict_text(pair, results.worthwhile)
    environment.filters["md"] = lambda text: markdown_text(str(text))
    environment.globals["leaderboard"] = lambda corpus: leaderboard_markdown(results, corpus)
    environment.globals["grid_table"] = lambda: grid_markdown(grid(results))
    environment.globals["costs"] = lambda corpus: leaderboard_markdown(results, corpus, COST)
    context = _context(results, views)
    asked = _figures_of_studies(results)
    apart = {
        number: [chart for chart in charts if asked.get(chart.name) == number] for number in asked.values()
    }
    text = environment.get_template("report.md").render(
        context, charts=[c for c in charts if c.name not in asked], of_question=apart, files=files
    )
    return re.sub(r"\n{3,}", "\n\n", text)


# What the templates share ----------------------------------------------------------------------------


def _environment(autoescape: bool) -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(template),
        autoescape=autoescape,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "bits": bits_text,
        "small": small_bits,
        "signed": signed_bits,
        "count": count_text,
        "number": number_text,
        "share": share_text,
        "interval": signed_interval,
        "percent": signed_percent,
        "short": lambda text: _short(text, PASSAGE),
    }
    return environment


def template(name: str) -> str:
    """The text of a file in templates/."""
    return resources.files("lmbench.report").joinpath("templates", name).read_text("utf-8")


def _context(results: Results, views: Views) -> dict[str, Any]:
    facts = [corpus_facts(results, corpus) for corpus in results.corpora]
    named = [(r.corpus, r.label, r) for r in results.results]
    return {
        "results": results,
        "title": results.title or results.suite,
        "corpora": facts,
        "overall": overall(results),
        "headline": headline(results),
        "grid": None if results.across is None else grid(results),
        "answers": [answer(results, corpus) for corpus in results.corpora],
        "comparisons": [c for c in results.comparisons if c.difference_bits_per_char is not None],
        "incomparable": _incomparable(results),
        "worthwhile": f"{results.worthwhile:g}",
        "notes": [(corpus, label, note) for corpus, label, r in named for note in r.notes],
        "verified": [(corpus, label, r.verified) for corpus, label, r in named if r.verified is not None],
        "made": _made(results),
        "signatures": [(corpus, label, r.signature) for corpus, label, r in named if r.signature],
        "priced": any(costs_known(row) for facts_of in facts for row in facts_of.rows),
        "samples": any(r.samples for r in results.results),
        "differences": _differences(views.differences),
        "extracts": views.extracts,
    }


def _made(results: Results) -> list[tuple[str, str]]:
    """When, where and of which state of the code, as far as it is told."""
    made = results.made
    facts = [("finished", made.finished.replace("T", " ").replace("Z", " UTC"))]
    facts.append(("took", "" if made.seconds is None else seconds_text(made.seconds)))
    facts += [("commit", made.commit), ("host", made.host)]
    return [(name, value) for name, value in facts if value]


def _incomparable(results: Results) -> list[tuple[str, str, int]]:
    """Why some pairs have no difference: corpus, reason, and how many pairs it is."""
    reasons = Counter((c.corpus, c.note) for c in results.comparisons if c.difference_bits_per_char is None)
    return [(corpus, note, count) for (corpus, note), count in reasons.items() if note]


def _figures_of_studies(results: Results) -> dict[str, str]:
    """A study's figure, by name -> the section of the question that it answers."""
    studies = enumerate(results.studies)
    return {name: f"question-{number}" for number, study in studies for name in study.figures}


@dataclass(frozen=True)
class CorpusFacts:
    """What the page says of a corpus beside its tables.

    resolvable: the smallest difference that the text can show between the two best, in bits per character. n_eff: what the test text is
    worth in independent tokens, for the best model. splits: the models on further divisions of the text.
    """

    result: CorpusResult
    rows: Sequence[Row]
    resolvable: float | None
    n_eff: float | None
    splits: Splits | None = None

    @property
    def agreement(self) -> str:
        """How far the further divisions agree, in a sentence; '' where there are none."""
        if self.splits is None:
            return ""
        rows = [row for row in self.splits.rows if row.adaptive == self.splits.rows[0].adaptive]
        leaders = listed([row.label for row in rows if row.first > 0])
        said = f"{leaders} {'is' if ' and ' not in leaders else 'are'} first in some"
        first = next((row for row in rows if row.first == 1), None)
        if first is not None:
            said = f"{first.label} is first in all"
        w = self.splits.concordance
        return f"{said}." if w is None else f"{said}; Kendall’s W of the rankings {w:.2f} (1: they agree)."

    @property
    def name(self) -> str:
        return self.result.name

    @property
    def seeds(self) -> list[tuple[str, list[tuple[int, float | None]]]]:
        """The rows that are means over seeds, with what each seed reached."""
        several = [row for row in self.rows if row.result.seeds]
        return [
            (row.name, list(zip(row.result.seeds, row.result.bits_per_char_of_seeds, strict=True)))
            for row in several
        ]

    @property
    def reasons(self) -> list[tuple[str, str]]:
        """Why some rows that have scores have no rank."""
        return [(row.name, row.reason) for row in self.rows if row.reason and row.bits is not None]

    @property
    def samples(self) -> list[tuple[Row, list[tuple[str, str, float]]]]:
        """What each model wrote: prompt, text after it, temperature."""
        return [(row, list(map(_sample, row.result.samples))) for row in self.rows if row.result.samples]

    @property
    def without_interval(self) -> list[str]:
        """Which rows have bits and no interval, and why: a sentence a reason."""
        scored = [row for row in self.rows if row.bits is not None and math.isfinite(row.bits)]
        names: dict[str, list[str]] = {}
        for row in scored:
            if row.result.ci95_note:
                names.setdefault(row.result.ci95_note, []).append(row.name)
        return [
            f"{'No intervals' if len(of) == len(scored) > 1 else f'No interval of {listed(of)}'}: {why}."
            for why, of in names.items()
        ]

    @property
    def units(self) -> str:
        """What the intervals rest on, in words; '' where it is not known."""
        best = next((row.result for row in ranked(self.rows)), None)
        if best is None or best.ci95_method in (None, "none"):
            return ""
        worth = best.effective_documents
        if worth is None:
            return "one stream, whose tokens may depend on each other at every distance"
        part = self.result.split.get("test")
        count = f"{part.documents:,} documents" if part else "documents"
        said = f"the test text’s {count}, worth {number_text(worth, 3)} of one length"
        if best.ci95_method == "stream":
            said += "; neighbours depend on each other, so the wider error of a stream is shown"
        return said

    @property
    def prediction(self) -> tuple[str, str] | None:
        """The best ranked row and where its bits on another text of this length and make are to be expected."""
        pairs = ((row.name, interval_text(row.result.prediction95)) for row in ranked(self.rows))
        return next((pair for pair in pairs if pair[1] != MISSING), None)

    @property
    def baselines(self) -> list[Baseline]:
        """What well-known programs pay for the text, fewest bits first."""
        return sorted(self.result.baselines, key=lambda b: b.bits_per_char)

    @property
    def facts(self) -> list[tuple[str, str]]:
        """Where the text is from and how it was made, as far as it is told."""
        shown = ("sha256", "licence", "homepage", "division", "normalise", "documents")
        return [(name, value) for name in shown if (value := getattr(self.result, name))]

    @property
    def contamination(self) -> str:
        """How much of the test text models have seen, in words; '' where it is not known."""
        shares = [
            f"{share_text(o.share)} of its runs of {o.length} {'words' if o.unit == 'word' else 'characters'}"
            for o in self.result.contamination
        ]
        if not shares:
            return ""
        said = f"{listed(shares)} stand in the training or valid text word for word"
        copied = self.result.copied
        return f"{said}; {share_text(copied)} of it is passages with few words changed" if copied else said


def corpus_facts(results: Results, corpus: CorpusResult) -> CorpusFacts:
    """A corpus's rows and what its text can resolve."""
    lines = rows(results, corpus.name)
    best = first_ranking(lines)
    labels = list(dict.fromkeys(row.label for row in best))[:2]
    pairs = (c for c in results.comparisons if c.corpus == corpus.name and {c.a, c.b} == set(labels))
    resolvable = next((c.resolvable_difference for c in pairs), None)
    worth = next((n for row in best if (n := row.result.n_eff)), None)
    splits = next((s for s in results.splits if s.corpus == corpus.name), None)
    return CorpusFacts(corpus, lines, resolvable, worth, splits)


def _sample(sample: Sample) -> tuple[str, str, float]:
    """A sample with its prompt apart from what the model added."""
    return sample.prompt, _short(sample.text.removeprefix(sample.prompt), SAMPLE), sample.temperature


def _differences(differences: Sequence[Difference]) -> list[dict[str, Any]]:
    """All of them; ``first`` is each corpus's first."""
    first = {d.corpus: d for d in reversed(differences)}
    return [_difference(d) | {"first": first[d.corpus] is d} for d in differences]


def _difference(difference: Difference) -> dict[str, Any]:
    """A difference with each category's bits per character, and its part of the whole difference."""
    tables = []
    for table in difference.tables:
        kinds: list[tuple[str, float, float, float, Sequence[int], float]] = []
        for row in table.rows:
            won = (row.b_bits - row.a_bits) / max(1, difference.chars)
            bits = [row.a_bits / max(1, row.chars), row.b_bits / max(1, row.chars)]
            kinds.append((row.name, row.chars / max(1, difference.chars), bits[0], bits[1], row.places, won))
        largest = max((abs(line[-1]) for line in kinds if math.isfinite(line[-1])), default=0.0) or 1.0
        tables.append({"title": table.title, "lines": kinds, "largest": largest})
    return {"difference": difference, "tables": tables, "most": _most(difference, tables)}


def _most(difference: Difference, tables: Sequence[dict[str, Any]]) -> str:
    """Which kind of text makes most of a difference, in words: of the first table, where one does; '' where none can be said."""
    if not tables:
        return ""
    lines = [line for line in tables[0]["lines"] if math.isfinite(line[-1])]
    name, *_, won = max(lines, key=lambda line: abs(line[-1]), default=("", 0.0))
    whole = sum(line[-1] for line in lines)
    if not won:
        return ""
    first = difference.a if whole >= 0 else difference.b
    said = f"{first} saves {bits_text(abs(whole))} bits a character"
    kind = "won" if (won > 0) == (whole >= 0) else "lost"
    title = tables[0]["title"]
    return f"{said}; most is {kind} at “{name}” ({title[0].lower()}{title[1:]}), {bits_text(abs(won))}"
