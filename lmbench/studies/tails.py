"""Does Laplace smoothing over-estimate rare n-grams? (Dive into Deep Learning, 8.3.3)

The n-grams that the training text holds r times are taken together: how often do they come in held-out text, and
how often does each smoothing expect them there? (After Church & Gale, Computer Speech and Language 5, 1991.)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from lmbench.charts.chart import Chart, Panel, Series
from lmbench.corpora.corpus import Corpus
from lmbench.counts.ngrams import NgramCounts, count_ngrams
from lmbench.errors import InputError
from lmbench.models import make_model
from lmbench.models.base import LanguageModel
from lmbench.models.monitor import Monitor
from lmbench.studies.study import Study, at_least, plural
from lmbench.text.tokens import EncodedText, Tokens

ORDERS = (1, 2, 3)
CLASSES = 10  # training counts r = 0..9
RARE = 3  # counts up to this are what the last sentence is about
BLOCKS = 20  # of the held-out text, for the spread of its counts
BATCH = 128  # contexts whose distributions are held at once


def run(corpus: Corpus, *, seed: int = 0, full: bool = False, monitor: Monitor, unit: str = "word") -> Study:
    """Trained on the training text, settings chosen on valid, counts compared on test (full: on valid and test)."""
    import pandas as pd

    corpus = corpus.with_held_out()
    train, valid = corpus.encoded(unit, "train"), corpus.encoded(unit, "valid")
    held_out = [corpus.encoded(unit, "test")] + ([valid] if full else [])
    at_least(f"{plural(unit)} of training text", len(train.tokens), 1000)
    at_least(f"{plural(unit)} of held-out text", len(held_out[0].tokens), 100)
    size = len(train.vocab)
    scale = len(train.tokens) / sum(len(h.tokens) for h in held_out)
    rows = []
    for order in ORDERS:
        counts = count_ngrams(train.tokens, order, size)
        types = np.bincount(np.minimum(counts.counts[order], CLASSES + 1), minlength=CLASSES + 2).astype(
            float
        )
        types[0] = float(size) ** order - (counts.counts[order] > 0).sum()
        places = [Places.of(counts, h) for h in held_out]
        seen = np.stack([p.observed for p in places]).sum(axis=0)
        observed, spread = seen.sum(axis=0), seen.std(axis=0, ddof=1) * BLOCKS**0.5
        turing = np.arange(1, CLASSES + 1) * types[1 : CLASSES + 1] / scale  # r* N_r = (r + 1) N_{r+1}
        expected = {"Good–Turing": turing}
        smoothings = models(order, size)
        for i, (label, model) in enumerate(smoothings.items()):
            monitor.progress(order - 1 + i / len(smoothings), len(ORDERS), f"{order}-grams, {label}")
            model.fit(train.tokens, valid.tokens, size, np.random.default_rng(seed))
            expected[label] = np.sum([p.expected(counts, model) for p in places], axis=0)
        for label, expectation in expected.items():
            for r in range(CLASSES):
                if observed[r] and types[r]:
                    rows.append(
                        {
                            "order": order,
                            "r": r,
                            "types": int(types[r]),
                            "smoothing": label,
                            "held_out": observed[r] * scale / types[r],
                            "expected": expectation[r] * scale / types[r],
                            "ratio": expectation[r] / observed[r],
                            "held_out_relative_error": spread[r] / observed[r],
                            "held_out_share": observed[r] / sum(p.positions for p in places),
                        }
                    )
    table = pd.DataFrame(rows)
    if not any(1 <= row["r"] <= RARE for row in rows):
        raise InputError(
            f"of all {plural(unit)} of {corpus.name} and their pairs and triples none that is rare in training comes again in "
            "held-out text; ask for smaller tokens: -o unit=char"
        )
    return Study.of(
        table,
        [_chart(table, unit)],
        _sentences(table, corpus.name, unit),
        {"scale": scale},
    )


def models(order: int, size: int) -> dict[str, LanguageModel]:
    """label: smoothing. ε = V adds one to every count, as textbooks do."""
    return {
        "add one (Laplace, ε = V)": make_model("laplace", order=order, eps=(float(size),)),
        "Laplace, ε = 1": make_model("laplace", order=order, eps=(1.0,)),
        "Laplace, ε tuned": make_model("laplace", order=order),
        "Kneser–Ney": make_model("kneser-ney", order=order),
    }


@dataclass(frozen=True)
class Places:
    """The positions of a held-out text that have a whole context before them, by what the training text knows.

    observed: (BLOCKS, CLASSES) how many tokens of each block end an n-gram seen r times. contexts: (C,) int64, ranks
    of the distinct contexts that training has seen; weights: (C,) how often each comes; histories: the ids
    of each. positions: how many positions in all.
    """

    observed: np.ndarray
    contexts: np.ndarray
    weights: np.ndarray
    histories: list[np.ndarray]
    bos: int
    positions: int

    @classmethod
    def of(cls, counts: NgramCounts, held_out: EncodedText) -> Places:
        tokens: Tokens = held_out.tokens
        order = counts.order
        before = tokens.positions()
        # The symbol before a document counts as one of its context.
        places = np.flatnonzero(before >= order - 2)
        walk = counts.walk(tokens)
        grams = walk.grams(order)[places]
        seen = np.where(grams >= 0, counts.counts[order][grams], 0)
        block = np.arange(len(places)) * BLOCKS // len(places)
        observed = np.zeros((BLOCKS, CLASSES))
        np.add.at(observed, (block[seen < CLASSES], seen[seen < CLASSES]), 1)
        ranks = walk.contexts(order - 1)[places]
        contexts, first, weights = np.unique(ranks[ranks >= 0], return_index=True, return_counts=True)
        where = places[ranks >= 0][first]
        length = np.minimum(order - 1, before[where])
        histories = [tokens.ids[t - n : t] for t, n in zip(where.tolist(), length.tolist(), strict=True)]
        return cls(observed, contexts, weights, histories, tokens.bos, len(places))

    def expected(self, counts: NgramCounts, model: LanguageModel) -> np.ndarray:
        """(CLASSES,) how many tokens the model expects to end an n-gram seen r times, given the contexts as they are."""
        order = counts.order
        mass = np.zeros(CLASSES + 1)
        begin, end = counts.children(order - 1, self.contexts)
        for start in range(0, len(self.contexts), BATCH):
            rows = slice(start, start + BATCH)
            p = np.exp(model.next_log_probs(self.histories[rows], self.bos))
            number = (end - begin)[rows]
            row = np.repeat(np.arange(len(number)), number)
            grams = np.concatenate([np.arange(a, b) for a, b in zip(begin[rows], end[rows], strict=True)])
            seen = np.minimum(counts.counts[order][grams], CLASSES)
            probabilities = p[row, counts.words[order][grams]] * self.weights[rows][row]
            mass += np.bincount(seen, weights=probabilities, minlength=CLASSES + 1)
        # Whatever is not given to n-grams seen, contexts unseen included.
        mass[0] = self.positions - mass[1:].sum()
        return mass[:CLASSES]


def _chart(table: Any, unit: str) -> Chart:
    panels = []
    # The one word never seen is <unk>, far off any scale; it stands in the table.
    for order, part in table[(table["order"] > 1) | (table["r"] > 0)].groupby("order"):
        series = [
            Series.of(str(label), of, "r", "ratio") for label, of in part.groupby("smoothing", sort=False)
        ]
        of = part[part["smoothing"] == part["smoothing"].iloc[0]]
        error = 1.96 * of["held_out_relative_error"]
        truth = of.assign(one=1.0, low=(1 - error).clip(0.1), high=1 + error)
        band = Series.of("what comes (95% band)", truth, "r", "one", "dashed", ("low", "high"), key="")
        name = {1: f"{unit.capitalize()}s", 2: "Pairs", 3: "Triples"}[int(order)]
        panels.append(
            Panel(
                f"{name}{_verdict(part)}",
                "count r in training text",
                "expected / held-out count",
                [band, *series],
                yscale="log",
            )
        )
    caption = (
        "N-grams by how often the training text holds them: what each smoothing expects of them in held-out text over "
        "what comes there (dashed line, 95% band). Above 1 a smoothing over-estimates."
    )
    return Chart("tails", caption, panels, same_scales=True)


def _verdict(part: Any) -> str:
    """What adding one to every count makes of n-grams seen once, for a title."""
    once = part[(part["r"] == 1) & part["smoothing"].str.startswith("add one")]
    if once.empty:
        return ""
    ratio = float(once["ratio"].iloc[0])
    way = "over" if ratio > 1 else "under"
    return f" seen once: add-one {way}-estimates {max(ratio, 1 / ratio):,.1f}-fold"


def _sentences(table: Any, name: str, unit: str) -> list[str]:
    def cell(order: int, r: int, label: str) -> Any:
        sentences = table[(table["order"] == order) & (table["r"] == r) & (table["smoothing"] == label)]
        return None if sentences.empty else sentences.iloc[0]

    what = {1: f"{unit}s", 2: f"pairs of {unit}s", 3: f"triples of {unit}s"}
    sentences = []
    for r, class_name in ((1, "seen once in training"), (0, "never seen in training")):
        for order in (1, 2) if r else (2,):
            one, tuned, kneser = (
                cell(order, r, s) for s in ("Laplace, ε = 1", "Laplace, ε tuned", "Kneser–Ney")
            )
            if one is None or one["held_out_relative_error"] > 0.3:
                continue  # too few of them came to say anything
            verdict = "over" if one["ratio"] > 1 else "under"
            sure = abs(one["ratio"] - 1) > 1.96 * one["held_out_relative_error"]
            sentences.append(
                f"In {name}, {what[order]} {class_name} make up {one['held_out_share']:.1%} of held-out text; Laplace with ε = 1 "
                f"expects {one['ratio']:.2f} times that ({verdict}-estimated{'' if sure else ', within the noise'}), with "
                f"ε tuned {tuned['ratio']:.2f}, Kneser–Ney {kneser['ratio']:.2f}, Good–Turing "
                f"{cell(order, r, 'Good–Turing')['ratio']:.2f} times."
            )
    rare = table[table["r"].between(1, RARE)]
    error = (np.log(rare["ratio"].clip(lower=1e-9))).abs().groupby(rare["smoothing"], sort=False).mean()
    best = str(error.idxmin())
    sentences.append(
        f"For n-grams seen one to three times, of all three lengths, {best} is off least, by a factor of "
        f"{np.exp(error.min()):.2f} on average; {error.idxmax()} most, by {np.exp(error.max()):.2f}."
    )
    return sentences
