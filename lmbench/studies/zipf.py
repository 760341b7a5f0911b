"""Does the text follow Zipf's law, and does text that models write? (Dive into Deep Learning, 8.3.3)"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lmbench.charts.chart import Chart, Panel, Series
from lmbench.corpora.corpus import Corpus
from lmbench.models import make_model
from lmbench.models.monitor import Monitor
from lmbench.scoring.scorer import Scorer
from lmbench.studies import Study, at_least
from lmbench.text.canonical import CanonicalText
from lmbench.text.tokens import encode
from lmbench.text.units import unit_named
from lmbench.text.vocab import build_vocab
from lmbench.zipf.chart import thin, zipf_chart
from lmbench.zipf.fits import fit_split_half, fit_zipf, ngram_counts, split_half
from lmbench.zipf.growth import vocabulary_growth
from lmbench.zipf.power_law import compare_tails, goodness_of_fit

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
    ids, starts = word_ids(corpus.whole())
    at_least("words", len(ids), 100)
    counts = ngram_counts(ids, starts, ORDERS)
    steps = len(ORDERS) + len(WRITERS)

    rows, tails = [], {}
    for order in ORDERS:
        monitor.progress(order - 1, steps, f"{order}-grams: goodness of fit")
        alpha, spread = fit_split_half(counts[order], rng, splits=10)
        row = fitted(corpus.name, order, counts[order])
        row |= {
            "split_half": alpha,
            "split_half_sd": spread,
            "p": goodness_of_fit(counts[order], replicates, rng),
        }
        tails[order] = {t.other: t for t in compare_tails(counts[order])}
        row |= {f"p_{name.replace(' ', '_')}": t.p for name, t in tails[order].items()}
        rows.append(row)
    growth = vocabulary_growth(ids)

    length = min(length, len(ids))
    texts = {f"{corpus.name}, as long": counts_of(ids[:length])}
    for i, (label, (model, unit, options)) in enumerate(WRITERS.items()):
        monitor.progress(len(ORDERS) + i, steps, f"{label} writes")
        scorer = Scorer.fit(make_model(model, **options), corpus, unit, seed)
        per_word = len(corpus.encoded(unit, "train").tokens) / corpus.train.words
        texts[label] = counts_of(written(scorer, length, per_word, rng))
    rows += [fitted(label, 1, table) for label, table in texts.items()]
    monitor.progress(steps, steps)

    table = pd.DataFrame(rows)
    tables = {f"{k}-grams": counts[k] for k in ORDERS}
    charts = [
        zipf_chart(
            "zipf",
            f"Word n-grams of {corpus.name}: counts by rank, and how many types are so frequent.",
            tables,
        ),
        Chart(
            "zipf-growth",
            "Left: ranks and counts from the same words, and from two halves of them. Right: types among the first n "
            "words, as the text runs on and as it would if its words came in random order.",
            [_split_panel(counts[1], rng), _growth_panel(growth)],
        ),
        Chart(
            "zipf-written",
            f"Word counts by rank in {length:,} words of {corpus.name} and in as many that models wrote.",
            [
                Panel(
                    "Real and written text",
                    "rank",
                    "count",
                    [_curve(k, t) for k, t in texts.items()],
                    "log",
                    "log",
                )
            ],
        ),
    ]
    facts = {
        "heaps": {"beta": growth.beta, "k": growth.k, "missing_mass": growth.missing_mass},
        "tails": {
            k: {n: {"log_ratio": t.log_ratio, "p": t.p, **t.parameters} for n, t in v.items()}
            for k, v in tails.items()
        },
    }
    return Study(
        "zipf",
        QUESTION,
        table,
        charts,
        _sentences(corpus.name, rows, growth.beta, growth.missing_mass),
        facts,
    )


QUESTION = "Does the text follow Zipf's law, and does text that models write?"


def word_ids(text: CanonicalText) -> tuple[np.ndarray, np.ndarray]:
    r"""(T,) ids of the words, line feeds and empty words left out, and (D,) where documents start."""
    vocab = build_vocab(text, unit_named("word"))
    tokens = encode(text, unit_named("word"), vocab).tokens
    keep = ~np.isin(tokens.ids, [vocab.index(blank) for blank in ("\n", "") if blank in vocab])
    before = np.append(0, np.cumsum(keep))
    return tokens.ids[keep], np.unique(before[tokens.starts])


def counts_of(ids: np.ndarray) -> np.ndarray:
    """(K,) counts of the distinct ids, falling."""
    return ngram_counts(ids, None, (1,))[1]


def written(scorer: Scorer, words: int, per_word: float, rng: np.random.Generator) -> np.ndarray:
    """(words,) ids of the first words that a model writes; per_word: about how many of its tokens a word takes."""
    text: list[str] = []
    while len(text) < words:
        missing = words - len(text)
        text += scorer.generate(rng, int(1.1 * per_word * missing) + 20).split()
    return word_ids(CanonicalText.of([" ".join(text[:words])]))[0]


def fitted(text: str, order: int, counts: np.ndarray) -> dict[str, Any]:
    """A row of the table: the fits with 95% intervals by their standard errors, tokens taken as independent."""
    fit = fit_zipf(counts)
    rank, power = fit.rank_mle, fit.frequency_mle
    return {
        "text": text,
        "order": order,
        "tokens": fit.tokens,
        "types": fit.types,
        "hapaxes": fit.hapaxes,
        "least_squares": fit.ols.alpha,
        "rank_likelihood": rank.alpha,
        "rank_low": rank.alpha - 1.96 * rank.se,
        "rank_high": rank.alpha + 1.96 * rank.se,
        "mandelbrot": fit.zipf_mandelbrot.alpha,
        "mandelbrot_b": fit.zipf_mandelbrot.b,
        "gamma": power.gamma,
        "gamma_low": power.gamma - 1.96 * power.se,
        "gamma_high": power.gamma + 1.96 * power.se,
        "xmin": power.xmin,
    }


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
    same = Series(same.label, same.x, [y / 2 for y in same.y], "line")
    return Panel("Split halves", "rank", "count in half of the words", [same, halves], "log", "log")


def _growth_panel(growth: Any) -> Panel:
    n = growth.n.tolist()
    low = np.maximum(growth.expected - 2 * growth.deviation, 1)
    return Panel(
        "Growth of the vocabulary",
        "words n",
        "types V(n)",
        [
            Series("observed", n, growth.observed.tolist(), "line"),
            Series(
                "random order (± 2 sd)",
                n,
                growth.expected.tolist(),
                "dashed",
                low.tolist(),
                (growth.expected + 2 * growth.deviation).tolist(),
            ),
        ],
        "log",
        "log",
    )


def _sentences(name: str, rows: Sequence[Mapping[str, Any]], beta: float, missing: float) -> list[str]:
    one, two, three = rows[: len(ORDERS)]
    real, models = rows[len(ORDERS)], rows[len(ORDERS) + 1 :]
    found = [
        f"The {one['tokens']:,} words of {name} fall with rank as r^-{one['rank_likelihood']:.2f} by likelihood "
        f"({one['rank_low']:.3f} to {one['rank_high']:.3f}; least squares says {one['least_squares']:.2f}, ranks from a "
        f"split half {one['split_half']:.2f}), pairs as r^-{two['rank_likelihood']:.2f} and triples as "
        f"r^-{three['rank_likelihood']:.2f}."
    ]
    if math.isnan(one["p"]):
        found.append("There are too few types for a power law of the counts.")
    else:
        doubted = one["p"] < 0.1
        verdict = "is in doubt" if doubted else "is not in doubt"
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
        found.append(
            f"A power law of the word counts, γ = {one['gamma']:.2f} from {one['xmin']:.0f} up, {verdict} (bootstrap "
            f"p = {one['p']:.2f}), {beside}."
        )
    found.append(
        f"The vocabulary grows about as n^{beta:.2f}; a further word is new with probability {missing:.3f}."
    )
    told = ", ".join(
        f"{row['text']} {row['rank_likelihood']:.2f} with {row['types']:,} types" for row in models
    )
    found.append(
        f"In {real['tokens']:,} words the real text has α = {real['rank_likelihood']:.2f} and {real['types']:,} types; "
        f"the models write: {told}."
    )
    return found
