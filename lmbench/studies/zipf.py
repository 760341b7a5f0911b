"""Does the text follow Zipf's law, and does text that models write? (Dive into Deep Learning, 8.3.3)"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lmbench.charts.chart import Chart, Panel, Series
from lmbench.corpora.corpus import Corpus
from lmbench.counts import ngram_counts
from lmbench.models import make_model
from lmbench.models.monitor import Monitor
from lmbench.scoring.scorer import Scorer
from lmbench.studies.study import Study, at_least
from lmbench.text.canonical import CanonicalText
from lmbench.zipf.chart import thin, zipf_chart
from lmbench.zipf.counting import spectrum, token_ids
from lmbench.zipf.fits import ZipfFit, fit_split_half, fit_zipf, split_half
from lmbench.zipf.growth import Growth, vocabulary_growth
from lmbench.zipf.lengths import LengthFit, fit_by_length
from lmbench.zipf.power_law import TailComparison, compare_tails, goodness_of_fit

ORDERS = (1, 2, 3)
WRITERS: dict[str, tuple[str, str, dict[str, Any]]] = {  # label: (model, unit, options)
    "word 1-gram": ("unigram", "word", {}),
    "word 3-gram": ("trigram", "word", {}),
    "char 5-gram": ("laplace", "char", {"order": 5}),
}


def run(corpus: Corpus, *, seed: int = 0, full: bool = False, monitor: Monitor) -> Study:
    """Counts words of the whole corpus; models are trained on its training text and write as much as is compared.

    full: 1000 replicates of the goodness-of-fit test in place of 100, 20,000 words a model in place of 4,000.
    """
    import pandas as pd

    rng = np.random.default_rng(seed)
    replicates, length = (1000, 20_000) if full else (100, 4_000)
    ids, starts = token_ids(corpus.parts)
    at_least("words", len(ids), 100)
    counts = ngram_counts(ids, starts, ORDERS)
    fits = {k: fit_zipf(c) for k, c in counts.items()}
    rows, tails = [], {}
    for k in ORDERS:
        monitor.progress(k - 1, len(ORDERS) + len(WRITERS), f"{k}-grams: goodness of fit")
        tests, tails[k] = tested(counts[k], replicates, rng)
        rows.append(exponents(corpus.name, k, fits[k]) | tests)
    growth = vocabulary_growth(ids)
    texts = {f"{corpus.name}, as long": counts_of(ids[:length])} | _written(
        corpus, min(length, len(ids)), seed, rng, monitor
    )
    written = [exponents(label, 1, fit_zipf(table)) for label, table in texts.items()]
    lengths = fit_by_length(ids, np.random.default_rng([seed, 1]))
    stretches = [_stretches(corpus.name, fit) for fit in lengths if fit.parts > 1]
    charts = [
        zipf_chart(
            "zipf",
            f"word n-grams of {corpus.name}",
            {f"{k}-grams": (spectrum(counts[k]), fits[k]) for k in ORDERS},
        ),
        _growth_chart(counts[1], growth, lengths, rng),
        _written_chart(texts, written),
    ]
    facts = {
        "heaps": {"beta": growth.beta, "k": growth.k, "missing_mass": growth.missing_mass},
        "tails": {
            k: {t.other: {"log_ratio": t.log_ratio, "p": t.p, **t.parameters} for t in rivals}
            for k, rivals in tails.items()
        },
    }
    sentences = [
        *_sentences(corpus.name, rows, lengths),
        f"The vocabulary grows about as n^{growth.beta:.2f}; a further word is new with probability {growth.missing_mass:.3f}.",
        _sentence_of_written(written),
    ]
    return Study.of(pd.DataFrame(rows + written + stretches), charts, sentences, facts)


# Numbers -------------------------------------------------------------------------------------------


def tested(
    counts: np.ndarray, replicates: int, rng: np.random.Generator
) -> tuple[dict[str, float], list[TailComparison]]:
    """Of one table of counts: α with ranks from another half, and the p of a power law of counts and of its rivals."""
    alpha, spread = fit_split_half(counts, rng, splits=10)
    row = {"split_half": alpha, "split_half_sd": spread, "p": goodness_of_fit(counts, replicates, rng)}
    rivals = compare_tails(counts)
    return row | {f"p_{t.other.replace(' ', '_')}": t.p for t in rivals}, rivals


def _written(
    corpus: Corpus, length: int, seed: int, rng: np.random.Generator, monitor: Monitor
) -> dict[str, np.ndarray]:
    """label: counts of the words, ``length`` of them, that each of WRITERS writes."""
    texts: dict[str, np.ndarray] = {}
    for label, (model, unit, options) in WRITERS.items():
        monitor.progress(len(ORDERS) + len(texts), len(ORDERS) + len(WRITERS), f"{label} writes")
        scorer = Scorer.fit(make_model(model, **options), corpus, unit, seed)
        per_word = len(corpus.encoded(unit, "train").tokens) / corpus.train.words
        texts[label] = counts_of(written(scorer, length, per_word, rng))
    return texts


def counts_of(ids: np.ndarray) -> np.ndarray:
    """(K,) counts of the distinct ids, falling."""
    return ngram_counts(ids, orders=(1,))[1]


def written(scorer: Scorer, words: int, per_word: float, rng: np.random.Generator) -> np.ndarray:
    """(words,) ids of the first words that a model writes; per_word: about how many of its tokens a word takes."""
    text: list[str] = []
    while len(text) < words:
        missing = words - len(text)
        text += scorer.generate(rng, int(1.1 * per_word * missing) + 20).split()
    return token_ids(CanonicalText.of([" ".join(text[:words])]))[0]


def exponents(text: str, order: int, fit: ZipfFit) -> dict[str, Any]:
    """A row of the table. Rank exponents have no interval of their own: ranks and counts are the same words.

    gamma_low, gamma_high: 95%, given xmin, types taken as independent.
    """
    power = fit.frequency_mle
    return {
        "text": text,
        "order": order,
        "tokens": fit.tokens,
        "types": fit.types,
        "hapaxes": fit.hapaxes,
        "least_squares": fit.ols.alpha,
        "rank_likelihood": fit.rank_mle.alpha,
        "mandelbrot": fit.zipf_mandelbrot.alpha,
        "mandelbrot_b": fit.zipf_mandelbrot.b,
        "gamma": power.gamma,
        "gamma_low": power.gamma - 1.96 * power.se,
        "gamma_high": power.gamma + 1.96 * power.se,
        "xmin": power.xmin,
    }


def _stretches(name: str, fit: LengthFit) -> dict[str, Any]:
    """A row of the table: the mean over stretches of one length, with the interval of the mean."""
    return {
        "text": f"{name}, in {fit.parts} stretches",
        "order": 1,
        "tokens": fit.length,
        "rank_likelihood": fit.alpha,
        "rank_low": fit.low,
        "rank_high": fit.high,
        "rank_sd": fit.deviation,
        "shuffled": fit.shuffled_alpha,
        "shuffled_sd": fit.shuffled_deviation,
    }


# What is shown -------------------------------------------------------------------------------------


def _curve(label: str, counts: np.ndarray) -> Series:
    kept = thin(len(counts))
    return Series(label, (kept + 1).tolist(), counts[kept].tolist(), "line")


def _split_panel(counts: np.ndarray, rng: np.random.Generator) -> Panel:
    """Counts of one half by rank in the other, averaged over neighbouring ranks (single ones may be 0)."""
    half = split_half(counts, rng)
    edges = np.unique(np.geomspace(1, len(half) + 1, 60).round().astype(np.int64)) - 1
    means = np.add.reduceat(half, edges[:-1]) / np.diff(edges)
    middle = np.sqrt((edges[:-1] + 1.0) * edges[1:])
    seen = means > 0
    halves = Series("rank from the other half", middle[seen].tolist(), means[seen].tolist(), "points")
    same = _curve("rank from the same words (halved)", counts)
    same = Series(same.label, same.x, [(y or 0) / 2 for y in same.y], "line")
    return Panel(
        "Ranks from another half of the words",
        "rank",
        "count in half of the words",
        [same, halves],
        "log",
        "log",
    )


def _growth_panel(growth: Growth) -> Panel:
    n = growth.n.tolist()
    low, high = growth.expected - 2 * growth.deviation, growth.expected + 2 * growth.deviation
    series = [
        Series("as the text runs", n, growth.observed.tolist(), "line"),
        Series(
            "the same words shuffled (± 2 sd)",
            n,
            growth.expected.tolist(),
            "dashed",
            np.maximum(low, 1).tolist(),
            high.tolist(),
        ),
    ]
    title = f"Vocabulary grows about as n^{growth.beta:.2f}"
    return Panel(title, "words n", "types V(n)", series, "log", "log")


def _length_panel(lengths: Sequence[LengthFit]) -> Panel:
    n = [fit.length for fit in lengths]
    alpha = [fit.alpha for fit in lengths]
    low, high = (
        [getattr(fit, end) if fit.parts > 1 else fit.alpha for fit in lengths] for end in ("low", "high")
    )
    series = [
        Series("stretches of the text (95%)", n, alpha, "line", low, high),
        Series("stretches of the shuffled words", n, [fit.shuffled_alpha for fit in lengths], "dashed"),
    ]
    return Panel("The exponent depends on the length", "words in a stretch", "α by likelihood", series, "log")


def _growth_chart(
    counts: np.ndarray, growth: Growth, lengths: Sequence[LengthFit], rng: np.random.Generator
) -> Chart:
    caption = (
        "Left: ranks and counts from the same words, and from two halves of them. Middle: types among the first n words, as "
        "the text runs on and as it would if its own words came in random order (the band is of these orders, not of other "
        "texts). Right: the exponent of stretches of the text, with the interval of their mean."
    )
    return Chart(
        "zipf-growth", caption, [_split_panel(counts, rng), _growth_panel(growth), _length_panel(lengths)]
    )


def _written_chart(texts: Mapping[str, np.ndarray], rows: Sequence[Mapping[str, Any]]) -> Chart:
    fewest, most = (choose(rows[1:], key=lambda row: row["types"]) for choose in (min, max))
    title = f"Of as many words, {most['text']} writes {most['types']:,} types, {fewest['text']} {fewest['types']:,}"
    panel = Panel(
        title if len(rows) > 2 else "Real and written text",
        "rank",
        "count",
        [_curve(label, counts) for label, counts in texts.items()],
        "log",
        "log",
    )
    words = rows[0]["tokens"]
    caption = f"Word counts by rank in {words:,} words of the text ({rows[0]['types']:,} types) and in as many that models wrote."
    return Chart("zipf-written", caption, [panel])


def _sentences(name: str, rows: Sequence[Mapping[str, Any]], lengths: Sequence[LengthFit]) -> list[str]:
    """On the exponents, on how they vary, and on the power law of the counts."""
    one, two, three = rows
    return [
        f"The {one['tokens']:,} words of {name} fall with rank as r^-{one['rank_likelihood']:.2f} by likelihood, given these "
        f"ranks (least squares says {one['least_squares']:.2f}, ranks from a split half {one['split_half']:.2f}), pairs as "
        f"r^-{two['rank_likelihood']:.2f} and triples as r^-{three['rank_likelihood']:.2f}.",
        *_sentence_of_lengths(lengths),
        _sentence_of_counts(one),
    ]


def _sentence_of_lengths(lengths: Sequence[LengthFit]) -> list[str]:
    if len(lengths) < 2:
        return []
    most = lengths[-1]
    inflation = most.deviation / most.shuffled_deviation
    return [
        f"The exponent depends on the length: {most.parts} stretches of {most.length:,} words have {most.alpha:.3f} on average "
        f"(95% interval {most.low:.3f} to {most.high:.3f}), the whole {lengths[0].alpha:.3f}; they spread {inflation:.1f} times "
        "as much as stretches of the same words in random order."
    ]


def _sentence_of_counts(one: Mapping[str, Any]) -> str:
    if math.isnan(one["p"]):
        return "There are too few types for a power law of the counts."
    doubted = one["p"] < 0.1
    better = [
        key[2:].replace("_", " ")
        for key in ("p_truncated_power_law", "p_lognormal", "p_stretched_exponential")
        if one[key] < 0.05
    ]
    beside = (
        f"{'and' if doubted else 'yet'} a {' or a '.join(better)} fits better (p < 0.05)"
        if better
        else "and neither a cut-off, nor a lognormal, nor a stretched exponential fits better (p ≥ 0.05)"
    )
    return (
        f"A power law of the word counts, γ = {one['gamma']:.2f} from {one['xmin']:.0f} up, "
        f"{'is in doubt' if doubted else 'is not in doubt'} (bootstrap p = {one['p']:.2f}), {beside}."
    )


def _sentence_of_written(rows: Sequence[Mapping[str, Any]]) -> str:
    real, *models = rows
    each = ", ".join(
        f"{row['text']} {row['rank_likelihood']:.2f} with {row['types']:,} types" for row in models
    )
    return (
        f"In {real['tokens']:,} words the real text has α = {real['rank_likelihood']:.2f} and {real['types']:,} types; "
        f"the models write: {each}."
    )
