"""report.html and report.md from finished results: what the templates need, and inline drawings."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

import jinja2
from markupsafe import Markup

from lmbench.charts import draw as figures
from lmbench.charts.chart import Chart
from lmbench.comparing.where import Difference
from lmbench.report import columns
from lmbench.report import ranking as lines
from lmbench.report import tables as lead
from lmbench.report.inline import DARK, PASSAGE, SAMPLE, _extract, _inline_figures, _script_json, _short
from lmbench.report.page_tables import board, costs_told, swatch
from lmbench.report.ranking import Results
from lmbench.results.views import Views


def html(results: Results, charts: Sequence[Chart], views: Views) -> str:
    """The whole page as one self-contained text: styles, script, figures and data inside."""
    colours = lines.labels(results)
    environment = page_environment()
    environment.filters["swatch"] = lambda label: swatch(str(label), colours)
    page = environment.get_template("report.html").render(
        _context(results, views),
        figures=_inline_figures(charts, colours, _figures_of_studies(results)),
        boards=[board(results, corpus, colours) for corpus in lines.corpora(results)],
        data=Markup(_script_json([_extract(e, colours) for e in views.extracts])),
        js=Markup(template("page.js") + template("report.js")),
    )
    return legal(page)


def page_environment() -> jinja2.Environment:
    """What every page is made in: escaping, with the styles and both themes' colours at hand."""
    environment = _environment(autoescape=True)
    environment.globals["palette"] = list(zip(figures.PALETTE, DARK, strict=True))
    environment.globals["css"] = Markup(template("report.css"))
    return environment


def legal(page: str) -> str:
    """A page without the characters that none may hold; a text under test can have them."""
    return re.sub(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]", "\N{REPLACEMENT CHARACTER}", page)


def markdown(results: Results, files: Mapping[str, str], charts: Sequence[Chart], views: Views) -> str:
    """The same tables for a terminal or a code-review page. files: chart name -> the figure's relative path."""
    environment = _environment(autoescape=False)
    environment.filters["md"] = lambda text: lead.markdown_text(str(text))
    environment.globals["leaderboard"] = lambda corpus: lead.leaderboard_markdown(results, corpus)
    environment.globals["costs"] = lambda corpus: lead.leaderboard_markdown(results, corpus, columns.COST)
    context = _context(results, views)
    asked = _figures_of_studies(results)
    apart = {
        number: [chart for chart in charts if asked.get(chart.name) == number] for number in asked.values()
    }
    text = environment.get_template("report.md").render(
        context, charts=[c for c in charts if c.name not in asked], of_question=apart, files=files
    )
    return re.sub(r"\n{3,}", "\n\n", text)


def answer(results: Results, corpus: Mapping[str, Any]) -> str:
    """What a corpus's results say, in one sentence."""
    ranked = [row for row in lines.rows(results, corpus["name"]) if row.rank is not None]
    if not ranked:
        return f"No model has a ranked result on {corpus['name']}."
    best = ranked[0]
    said = f"On {corpus['name']}, {best.label} predicts unseen text best"
    said += f", with {columns.bits_text(best.bits)} bits per character"
    others = [row for row in ranked[1:] if row.label != best.label]
    peers = list(dict.fromkeys(row.label for row in others if set(best.groups) & set(row.groups)))
    if peers:
        return f"{said}; the text is too short to tell {_listed(peers)} from it."
    if others:
        gap = (others[0].bits or math.nan) - (best.bits or math.nan)
        return f"{said}, {columns.bits_text(gap)} fewer than {others[0].label}, the next."
    return f"{said}."


# What the templates share ----------------------------------------------------------------------------


def _environment(autoescape: bool) -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(template),
        autoescape=autoescape,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "bits": columns.bits_text,
        "signed": columns.signed_bits,
        "count": columns.count_text,
        "number": columns.number_text,
        "facts": _facts,
        "short": lambda text: _short(text, PASSAGE),
    }
    return environment


def template(name: str) -> str:
    """The text of a file in templates/."""
    return resources.files("lmbench.report").joinpath("templates", name).read_text("utf-8")


def _context(results: Results, views: Views) -> dict[str, Any]:
    found = lines.corpora(results)
    return {
        **_suite(results.get("suite")),
        "signature": results.get("signature"),
        "environment": results.get("environment") or {},
        "corpora": [corpus | _corpus_facts(results, corpus) for corpus in found],
        "answers": [answer(results, corpus) for corpus in found],
        "comparisons": [
            c for c in results.get("comparisons", ()) if c.get("difference_bits_per_char") is not None
        ],
        "zipf": [_zipf_row(z) for z in results.get("zipf", ())],
        "notes": [
            (r["corpus"], str(r["label"]), str(note))
            for r in results.get("results", ())
            for note in r.get("notes") or ()
        ],
        "studies": list(results.get("studies") or ()),
        "priced": any(costs_told(row) for c in found for row in lines.rows(results, c["name"])),
        "samples": any(r.get("samples") for r in results.get("results", ())),
        "signatures": [
            (r["corpus"], str(r["label"]), r["signature"])
            for r in results.get("results", ())
            if r.get("signature")
        ],
        "differences": _differences(views.differences),
        "extracts": views.extracts,
    }


def _figures_of_studies(results: Results) -> dict[str, str]:
    """A study's figure, by name -> the section of the question that it answers."""
    studies = enumerate(results.get("studies") or ())
    return {name: f"question-{number}" for number, study in studies for name in study.get("figures") or ()}


def _corpus_facts(results: Results, corpus: Mapping[str, Any]) -> dict[str, Any]:
    """A corpus's rows, what its text can resolve, and the sizes of its parts as far as they are told."""
    found = lines.rows(results, corpus["name"])
    ranked = [row.entry for row in found if row.rank is not None]
    split = corpus.get("split")
    parts = []
    if isinstance(split, Mapping):
        for name, part in split.items():
            parts.append((name, part if isinstance(part, Mapping) else {"": part}))
    shown = ("sha256", "licence", "homepage", "source", "normalise", "documents", "language")
    return {
        "rows": found,
        "seeds": [
            {"name": row.name, "each": list(zip(seeds, row.entry["bits_per_char_of_seeds"], strict=True))}
            for row in found
            if (seeds := row.entry.get("seeds"))
        ],
        "reasons": [(row.name, row.reason) for row in found if row.reason and row.bits is not None],
        "samples": [
            (row, list(map(_sample, row.entry["samples"]))) for row in found if row.entry.get("samples")
        ],
        "resolvable": _resolvable(results, corpus["name"], ranked),
        "n_eff": next((n for entry in ranked if (n := lines.number(entry, "n_eff"))), None),
        "truth": lines.truth(corpus),
        "baselines": _baselines(corpus),
        "parts": parts,
        "split_text": None if parts or split is None else _facts(split),
        "facts": [(key, _facts(corpus[key])) for key in shown if corpus.get(key)],
        "contamination": corpus.get("contamination"),
    }


def _suite(told: Any) -> dict[str, str]:
    """The suite's name and title; results hold its name alone or all of it."""
    facts = told if isinstance(told, Mapping) else {"name": told or "run"}
    return {"suite": str(facts.get("name", "run")), "title": str(facts.get("title") or "")}


def _resolvable(results: Results, corpus: str, ranked: Sequence[Mapping[str, Any]]) -> float | None:
    """The smallest difference that the text can show between the two best, in bits per character."""
    best = list(dict.fromkeys(entry["label"] for entry in ranked))[:2]
    for c in results.get("comparisons", ()):
        if c["corpus"] == corpus and len(best) == 2 and {c["a"], c["b"]} == set(best):
            return lines.number(c, "resolvable_difference")
    return None


def _baselines(corpus: Mapping[str, Any]) -> list[tuple[str, float]]:
    """What well-known programs pay for the text, fewest bits first: told as a mapping or a list."""
    told = corpus.get("baselines") or {}
    pairs = told.items() if isinstance(told, Mapping) else [(b["name"], b["bits_per_char"]) for b in told]
    return sorted(((str(k), float(v)) for k, v in pairs if v is not None), key=lambda pair: pair[1])


def _sample(sample: Mapping[str, Any]) -> dict[str, Any]:
    """A sample with its prompt apart from what the model added."""
    prompt, text = str(sample.get("prompt") or ""), str(sample.get("text") or "")
    return {**sample, "prompt": prompt, "text": _short(text.removeprefix(prompt), SAMPLE)}


def _zipf_row(entry: Mapping[str, Any]) -> dict[str, Any]:
    def fit(name: str, key: str) -> float | None:
        return lines.number(entry.get(name) or {}, key)

    laws = {"ols": fit("ols", "alpha"), "rank": fit("rank_mle", "alpha")}
    laws |= {"mandelbrot": fit("zipf_mandelbrot", "alpha"), "b": fit("zipf_mandelbrot", "b")}
    laws |= {key: fit("frequency_mle", key) for key in ("gamma", "xmin", "p_value")}
    return {
        **laws,
        "gamma_se": fit("frequency_mle", "se"),
        **{k: entry.get(k) for k in ("corpus", "unit", "order")},
    } | {k: lines.number(entry, k) for k in ("tokens", "types", "hapaxes")}


def _differences(found: Sequence[Difference]) -> list[dict[str, Any]]:
    """All of them; ``first`` is each corpus's first."""
    first = {d.corpus: d for d in reversed(found)}
    return [_difference(d) | {"first": first[d.corpus] is d} for d in found]


def _difference(found: Difference) -> dict[str, Any]:
    """A difference with each category's bits per character, and its part of the whole difference."""
    tables = []
    for table in found.tables:
        kinds: list[tuple[str, float, float, float, float]] = []
        for row in table.rows:
            won = (row.b_bits - row.a_bits) / max(1, found.chars)
            bits = [row.a_bits / max(1, row.chars), row.b_bits / max(1, row.chars)]
            kinds.append((row.name, row.chars / max(1, found.chars), bits[0], bits[1], won))
        largest = max((abs(line[-1]) for line in kinds if math.isfinite(line[-1])), default=0.0) or 1.0
        tables.append({"title": table.title, "lines": kinds, "largest": largest})
    return {"found": found, "tables": tables}


def _facts(value: Any) -> str:
    """Facts in words: pairs as ``key value``, separated by commas."""
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_facts(v)}" for key, v in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_facts, value))
    return columns.number_text(value) if isinstance(value, float) else str(value)


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


# What only the page has ------------------------------------------------------------------------------
