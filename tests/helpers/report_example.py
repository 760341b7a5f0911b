"""Results as a run leaves them, made up: numbers for the eye, awkward cases for the tests."""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import Any

import numpy as np
from msgspec.structs import replace
from rich.console import Console

from lmbench import report
from lmbench.charts.chart import Chart, Panel, Series
from lmbench.comparing.compressors import Baseline
from lmbench.comparing.differences import difference
from lmbench.comparing.extracts import extract
from lmbench.comparing.pairs import Comparison
from lmbench.comparing.ranks import Across, Standing, alike
from lmbench.report import charts as selection
from lmbench.report import page
from lmbench.results.costs import best_for
from lmbench.results.schema import (
    CorpusResult,
    Overlap,
    Part,
    Ranks,
    Result,
    Results,
    ZipfResult,
)
from lmbench.results.views import Views
from lmbench.scoring.run import Epoch, Sample
from lmbench.scoring.scores import Scores
from lmbench.text.units import unit_named

LABELS = {  # label: (model, unit, bits per character, training bits per character, seconds, parameters)
    "uniform": ("uniform", "char", 4.755, 4.755, 0.01, 0),
    "unigram": ("unigram", "char", 4.081, 4.078, 0.05, 27),
    "bigram": ("bigram", "char", 3.369, 3.352, 0.11, 611),
    "trigram": ("trigram", "char", 2.721, 2.641, 0.23, 6214),
    "kneser-ney-5": ("kneser-ney", "char", 1.982, 1.41, 0.92, 88210),
    "witten-bell-5": ("witten-bell", "char", 2.013, 1.44, 0.81, 88210),
    "word-kneser-ney-3": ("kneser-ney", "word", 2.318, 1.12, 1.31, 61200),
    "rnn-scratch": ("rnn-scratch", "char", 2.214, 1.95, 38.2, 80411),
    "lstm": ("lstm", "char", 1.981, 1.61, 61.7, 620123),
}

GROUPS = dict(zip(LABELS, ["h", "g", "f", "e", "a", "b", "d", "c", "a"], strict=True))


def result(corpus: str, label: str, shift: float = 0.0, **changed: Any) -> Result:
    model, unit, bits, train, seconds, parameters = LABELS[label]
    bits += shift
    chars = 17343
    tokens = chars if unit == "char" else 3270
    costs: dict[str, Any] = {}
    if model == "rnn-scratch":
        costs = {"training_flops": 436_224, "training_tokens": 2_760_000, "training_seconds": 55.2}
        costs |= {"tokens_per_second": 50_000.0, "flops_per_second": 2.18112e10}
        costs |= {"peak_flops": 4e10, "share_of_peak": 0.55}
    if model in ("rnn-scratch", "lstm"):
        costs["history"] = [
            Epoch(
                epoch=e,
                tokens=e * 138_000,
                seconds=seconds * e / 20,
                train_bits=train + 2.3 * math.exp(-e / 5),
                valid_bits=bits + 2.1 * math.exp(-e / 4) + 0.002 * e,
            )
            for e in range(1, 21)
        ]
    made = Result(
        corpus=corpus,
        label=label,
        model=model,
        unit=unit,
        options={"order": 5} if "-5" in label else {},
        perplexity=2.0 ** (bits * chars / tokens),
        bits_per_char=bits,
        bits_per_byte=bits,
        bits_per_word=bits * 5.3,
        ci95=(bits - 0.031, bits + 0.034),
        prediction95=(bits - 0.044, bits + 0.048),
        ci95_method="stream",
        ci95_bits_per_char_unseen=(bits - 0.025, bits + 0.045),
        tokens=tokens,
        oov=241 if unit == "word" else 0,
        vocab_size=28 if unit == "char" else 4100,
        chars=chars,
        bytes=chars,
        words=3270,
        fit_seconds=seconds,
        total_fit_seconds=seconds,
        score_seconds=seconds / 20,
        parameters=parameters,
        model_bytes=parameters * 8,
        train_bits_per_char=train + shift,
        bits_per_char_seen=bits - 1,
        bits_per_char_unseen=bits + 0.01,
        groups={"lstm": "a", "kneser-ney-5": "a", "witten-bell-5": "b", "rnn-scratch": "c"}.get(label, "d"),
        samples=[
            Sample(prompt="the time ", text="traveller came to the morlocks and the", temperature=0.8),
            Sample(prompt="", text="whe tin s ther of i was a litt", temperature=1.0),
        ],
        n_eff=812.0,
        signature=f"corpus:{corpus}|unit:{unit}|documents:stream|seed:0|lmbench:0.1.0",
        **costs,
    )
    return replace(made, **changed)


def comparisons(corpus: str, results: list[Result]) -> list[Comparison]:
    made = []
    scored = [r for r in results if r.corpus == corpus and r.scored and r.ci95]
    for i, a in enumerate(scored):
        for b in scored[i + 1 :]:
            d = (a.bits_per_char or 0) - (b.bits_per_char or 0)
            p = math.exp(-abs(d) * 90)
            corrected = min(1.0, p * 20)
            same = 0.5 if abs(d) > 0.0005 else 0.01
            verdict = ("a" if d < 0 else "b") if corrected <= 0.05 else "same" if same <= 0.05 else "open"
            made.append(
                Comparison(
                    corpus,
                    a.label,
                    b.label,
                    difference_bits_per_char=d,
                    ci95=(d - 0.02, d + 0.02),
                    p_value=p,
                    p_holm=corrected,
                    percent=100 * d / (b.bits_per_char or 1),
                    bytes=d * 17343 / 8,
                    p_equivalence=same,
                    verdict=verdict,
                    method="stream",
                )
            )
    return made


def corpus_entry(name: str, **changed: Any) -> CorpusResult:
    sizes = {"train": (138741, 26220), "valid": (17343, 3285), "test": (17343, 3270)}
    made = CorpusResult(
        name=name,
        title=name.replace("-", " ").title(),
        sha256="5f" * 32,
        licence="public domain",
        homepage="https://example.org/a.txt",
        normalise="letters",
        documents="stream",
        chars=17343,
        bytes=17343,
        words=3270,
        split={
            part: Part(chars=chars, bytes=chars, words=words, documents=1)
            for part, (chars, words) in sizes.items()
        },
        baselines=[
            Baseline(name="xz", bits_per_char=2.353, note="the first 4.2 million characters"),
            Baseline(name="bzip2", bits_per_char=2.119),
        ],
        contamination=[
            Overlap(unit="word", length=8, share=0.0004),
            Overlap(unit="char", length=30, share=0.03),
        ],
    )
    return replace(made, **changed)


def example() -> Results:
    """Two corpora, nine models, one failure, one p = 0, one unranked."""
    first = [result("time-machine", label) for label in LABELS]
    second = [
        result("tiny-shakespeare", label, 0.15) for label in ("uniform", "trigram", "kneser-ney-5", "lstm")
    ]
    without = dict.fromkeys(("perplexity", "bits_per_char", "bits_per_byte", "bits_per_word", "ci95"))
    broken = Result(
        corpus="tiny-shakespeare",
        label="rnn-scratch",
        model="rnn-scratch",
        unit="char",
        status="failed: the loss became NaN at epoch 3; lower lr",
    )
    infinite = result(
        "tiny-shakespeare",
        "bigram",
        **without,
        infinite_tokens=3,
        groups="",
        train_bits_per_char=2.1,
        unranked_reason="it gives some test token probability 0",
        notes=["eps=0 leaves unseen pairs without probability"],
    )
    results, _ = best_for([*first, *second, broken, infinite])
    laws = (
        (1, 4579, 2397, 1.035, 0.974, 1.949, 3),
        (2, 20234, 16221, 0.464, 0.605, 2.43, 2),
        (3, 29882, 28211, 0.164, 0.259, 4.30, 1),
    )
    return Results(
        suite="default",
        signature="lmbench:0.1.0|corpora:time-machine:5f5f5f5f5f5f",
        environment={"python": "3.11.9", "numpy": "2.4.0", "processor": "2 cores", "threads": 2},
        corpora=[
            corpus_entry("time-machine"),
            corpus_entry("tiny-shakespeare", entropy_rate=(1.30, 1.32), documents="line"),
        ],
        results=results,
        comparisons=[c for name in ("time-machine", "tiny-shakespeare") for c in comparisons(name, results)],
        zipf=[
            ZipfResult(
                corpus="time-machine",
                unit="word",
                order=order,
                tokens=32776 - order,
                types=types,
                hapaxes=hapaxes,
                ols={"alpha": ols, "c": 8.4},
                rank_mle={"alpha": rank},
                zipf_mandelbrot={"alpha": rank + 0.1, "b": 2.1},
                frequency_mle={"gamma": gamma, "xmin": xmin, "se": 0.02, "p_value": 0.21},
            )
            for order, types, hapaxes, ols, rank, gamma, xmin in laws
        ],
    )


def over_corpora(number: int = 5) -> Results:
    """Four models, of which one goes on learning, on several corpora that shift them all alike."""
    labels = ("kneser-ney-5", "lstm", "trigram", "uniform")
    names = [f"text-{i}" for i in range(1, number + 1)]
    results = [
        result(name, label, 0.1 * i, adaptive=label == "lstm")
        for i, name in enumerate(names)
        for label in labels
    ]
    standings = []
    for place, label in enumerate(("lstm", "kneser-ney-5", "trigram", "uniform"), 1):
        bits = [r.bits_per_char for r in results if r.label == label]
        best = [r.bits_per_char for r in results if r.label == "kneser-ney-5"]
        gaps = [100 * (a / b - 1) for a, b in zip(bits, best, strict=True)]
        ends = [(1, 2) if place < 3 else (place, place)] * number
        standings.append(
            Standing(
                *(label, label == "lstm", bits, [place] * number, ends),
                *(
                    sum(gaps) / number,
                    min(gaps),
                    max(gaps),
                    float(place),
                    (max(1, place - 2), min(4, place + 2)),
                ),
            )
        )
    ranks = [1.0, 2.0, 3.0, 4.0]
    order = [row.label for row in standings]
    return Results(
        suite="several",
        corpora=[corpus_entry(name) for name in names],
        results=results,
        comparisons=[c for name in names for c in comparisons(name, results)],
        across=Across(names, standings),
        ranks=Ranks(
            labels=order,
            average_ranks=ranks,
            corpora=names,
            p_value=0.002,
            critical_difference=2.1,
            alike=alike(order, ranks, 2.1),
        ),
    )


def hostile() -> Results:
    """One model with a name that attacks, in a suite that has nothing else."""
    entry = replace(
        result("time-machine", "lstm"),
        corpus="语料</script><img src=x onerror=alert(1)>",
        label="<script>alert('x')</script> 模型 🙂 | $\\frac{1}$ _&%",
        samples=[Sample(prompt="</pre><b>", text="人人生而自由 🙂\n<i>\x00\u202e", temperature=1.0)],
        notes=["a note with <b>tags</b> and a | bar"],
        groups="a",
    )
    corpus = CorpusResult(name=entry.corpus, sha256="0" * 64, chars=10, bytes=30, words=2)
    return Results(suite="<b>suite</b>", signature="x", corpora=[corpus], results=[entry])


def page_file(folder: Path, results: Results, views: Views) -> Path:
    """report.html alone, without the figures' own files, which take longer."""
    file = folder / "report.html"
    file.write_text(page.html(results, [*selection.charts(results), zipf_chart()], views), "utf-8")
    return file


def undrawn(chart: Chart, *_: object) -> Any:
    """In place of drawing, which takes time."""
    from lmbench.charts.draw import Drawn

    return Drawn(b"", "<svg/>", ["<svg/>"] * len(chart.panels))


def zipf_chart() -> Chart:
    """Rank-frequency curves of a planted law with fitted lines."""
    rank = np.arange(1, 5001)
    panels = []
    for order, alpha in ((1, 1.0), (2, 0.6)):
        counts = np.maximum(1, np.round(4000 / rank**alpha))
        panels.append(
            Panel(
                f"Words, {order}-grams",
                "rank",
                "occurrences",
                [
                    Series("counted", rank, counts, "points"),
                    Series("least squares", rank, 5000 / rank ** (alpha + 0.1), "dashed"),
                    Series("maximum likelihood", rank, 4000 / rank**alpha, "line"),
                ],
                "log",
                "log",
            )
        )
    return Chart(
        "zipf-time-machine", "Counts against rank, with fitted laws. Both axes are logarithmic.", panels
    )


TEXT = (
    "the ferry crosses twice a day when the wind allows it and once when it does not\n"
    "in winter the keeper of the landing lights a lamp at four and sits beside it with a book\n"
    "he has read the book before but the river is slow and the boat is slower\n"
) * 12


def scores(unit: str, seed: int, text: str = TEXT) -> Scores:
    """Scores of a text that nobody computed: about two bits a character, more where words begin."""
    rng = np.random.default_rng(seed)
    ends = unit_named(unit).ends(text)
    lengths = np.diff(np.append(0, ends))
    nats = -rng.gamma(1.2, 1.1, len(ends)) * np.where(unit == "word", np.sqrt(lengths + 1.0) * 1.8, 1.0)
    oov = (rng.random(len(ends)) < 0.03) & (unit == "word")
    chars = len(text)
    starts = np.append(0, np.searchsorted(ends, np.flatnonzero([c == "\n" for c in text])[:-1] + 1) + 1)
    spelling = np.where(oov, -3.0, 0.0)
    words = len(text.split())
    return Scores(
        nats, ends, oov, spelling, starts, chars, len(text.encode()), words, 28 if unit == "char" else 400
    )


def alternatives(label: str, places: range = range(5000)) -> dict[int, list[tuple[str, float]]]:
    return {place: [("the", 0.31), (" ", 0.12), ("\n", 0.0004)] for place in places}


def views(corpus: str = "time-machine", text: str = TEXT) -> Views:
    """Two models of different units on one text."""
    a, b = scores("char", 1, text), scores("word", 2, text)
    models = {
        "lstm": ("char", a),
        "word-kneser-ney-3": ("word", b),
        "kneser-ney-5": ("char", scores("char", 3, text)),
    }
    counts = {"the": 2000, "river": 12, "book": 3, "lamp": 1}
    orders = np.arange(len(unit_named("word").ends(text))) % 4
    found = difference(corpus, ("lstm", "word-kneser-ney-3"), text, a, b, counts, orders)
    shown = [extract(corpus, text, models, 0, 900, alternatives), extract(corpus, text, models, 1200, 600)]
    return Views(shown, [found])


def terminal(results: Results, **options: Any) -> str:
    stream = io.StringIO()
    Console(file=stream, width=140, **options).print(report.terminal_table(results))
    return stream.getvalue()


def standing_out(*told: tuple[str, float | None, bool], **pairs: Comparison) -> Results:
    """A corpus with one result each: label, bits, adaptive; and comparisons of some of them."""
    rows = [
        Result(corpus="c", label=name, bits_per_char=bits, adaptive=adaptive, unit="char")
        for name, bits, adaptive in told
    ]
    return Results(corpora=[CorpusResult(name="c")], results=rows, comparisons=list(pairs.values()))


def pair(a: str, b: str, difference: float, verdict: str, **more: Any) -> Comparison:
    return Comparison("c", a, b, difference_bits_per_char=difference, verdict=verdict, **more)
