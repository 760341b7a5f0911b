"""What is a word's surprisal, once its end is counted? And do two models agree on it?

A model by character and one by word are asked for every word of the test text (``scoring.surprisal``). The first is charged for a
word's letters alone and with its end (Pimentel & Meister 2024; Oh & Schuler 2024); the second has ends in its tokens.
Words are taken together by how often the training text has them, and by how long they are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np

from lmbench.charts.chart import Chart, Panel, Series
from lmbench.corpora.corpus import Corpus
from lmbench.models import make_model
from lmbench.models.monitor import Monitor
from lmbench.scoring.scorer import Scorer
from lmbench.scoring.surprisal import surprisal
from lmbench.studies.study import Study, announced, at_least, paired_interval

FREQUENCIES = (0, 1, 10, 100, 1000)  # in the training text, from .. to less than the next
LENGTHS = (1, 3, 5, 7, 10)  # characters
BLOCKS = 20  # of the test text, for intervals
FEWEST = 50  # words of a class that is shown
MODELS = {"char": ("kneser-ney", 6), "word": ("kneser-ney", 3)}


def run(corpus: Corpus, *, seed: int = 0, full: bool = False, monitor: Monitor) -> Study:
    """Both fitted on the training text, asked on test; full: both with orders one and two higher, too."""
    import pandas as pd

    test = corpus.text("test")
    at_least("words of training text", corpus.train.words, 1000)
    at_least("words of test text", test.words, 10 * BLOCKS)
    rows: list[dict[str, Any]] = []
    settings = [(up, unit) for up in range(3 if full else 1) for unit in MODELS]
    columns: dict[str, Any] = {}
    for up, unit in announced(settings, monitor, lambda each: f"by {each[1]}"):
        name, order = MODELS[unit]
        scorer = Scorer.fit(make_model(name, order=order + up), corpus, unit, seed)
        words = surprisal(scorer, test.documents() if corpus.documents == "stream" else test.text)
        columns[unit] = words[words.text.str.strip() != ""].reset_index(drop=True)
        if unit == "word":
            rows += [
                {"orders": f"{MODELS['char'][1] + up}, {order + up}", **row}
                for row in _rows(corpus, **columns)
            ]
    table = pd.DataFrame(rows)
    return Study.of(
        table, [_chart(table[table["orders"] == table["orders"][0]])], _sentences(table, corpus.name)
    )


def _rows(corpus: Corpus, char: Any, word: Any) -> Iterator[dict[str, Any]]:
    """A row for all words, and one for each class of them."""
    counted = Counter(corpus.train.text.split())
    frequency = np.array([counted[text] for text in char["text"]])
    length = char["text"].str.len().to_numpy()
    bits, letters, by_word = (
        column.to_numpy() for column in (char["bits"], char["uncorrected"], word["bits"])
    )
    everything = np.ones(len(bits), dtype=bool)
    classes = [("all", "", everything)]
    for by, values, edges in (("frequency", frequency, FREQUENCIES), ("length", length, LENGTHS)):
        for low, high in zip(edges, [*edges[1:], None], strict=True):
            name = f"{low}+" if high is None else f"{low}" if high == low + 1 else f"{low}-{high - 1}"
            classes.append((by, name, (values >= low) & (values < (high or np.inf))))
    for by, name, inside in classes:
        if inside.sum() < FEWEST:
            continue
        moved = bits[inside] - letters[inside]
        low, high = np.quantile(moved, [0.05, 0.95])
        counts, mean_low, mean_high = int(inside.sum()), *paired_interval(_means(moved))[1:]
        yield {
            "by": by,
            "class": name,
            "words": counts,
            "bits_char": bits[inside].mean(),
            "bits_char_uncorrected": letters[inside].mean(),
            "bits_word": by_word[inside].mean(),
            "moved": moved.mean(),
            "moved_low": mean_low,
            "moved_high": mean_high,
            "moved_q05": low,
            "moved_q95": high,
            "moved_size": np.abs(moved).mean(),
            **_agreement(bits[inside], letters[inside], by_word[inside]),
        }


def _means(values: np.ndarray) -> np.ndarray:
    return np.array([block.mean() for block in np.array_split(values, BLOCKS)])


def _agreement(bits: np.ndarray, letters: np.ndarray, by_word: np.ndarray) -> dict[str, float]:
    """Pearson's r of the two models' bits, without and with the correction; and what it adds, with its interval (delete-one jackknife)."""

    def both(kept: np.ndarray) -> tuple[float, float]:
        one, other = (float(np.corrcoef(x[kept], by_word[kept])[0, 1]) for x in (letters, bits))
        return one, other

    everything = np.arange(len(bits))
    without, corrected = both(everything)
    blocks = np.array_split(everything, BLOCKS)
    left = [both(np.delete(everything, block)) for block in blocks]
    gained = corrected - without
    pseudo = np.array([BLOCKS * gained - (BLOCKS - 1) * (b - a) for a, b in left])
    _, low, high = paired_interval(pseudo)
    found = {"r_uncorrected": without, "r": corrected, "r_gained": gained}
    return {**found, "r_gained_low": low, "r_gained_high": high}


def _chart(table: Any) -> Chart:
    panels = []
    for by, what in (("frequency", "times in the training text"), ("length", "characters")):
        mine = table[table["by"] == by]
        middle = Series("mean", mine["class"].tolist(), mine["moved"].tolist(), "points")
        spread = Series(
            "5% to 95% of words",
            mine["class"].tolist(),
            mine["moved"].tolist(),
            "interval",
            mine["moved_q05"].tolist(),
            mine["moved_q95"].tolist(),
        )
        panels.append(
            Panel(
                f"By {by}",
                what,
                "bits that the end of the word adds",
                [spread, middle],
                horizontal=[(0.0, "")],
            )
        )
    caption = (
        "How far a word's surprisal moves when its end is its own and not the next word's: the mean and the middle nine "
        "tenths of the words of a class, of the model by character."
    )
    return Chart("words", caption, panels, same_scales=True)


def _sentences(table: Any, name: str) -> list[str]:
    first = table[table["orders"] == table["orders"].iloc[0]]
    whole = first[first["by"] == "all"].iloc[0]
    sentences = [
        f"On {name}, of {whole['words']:,} words, the end moves a word's surprisal by {whole['moved_size']:.2f} bits on average "
        f"(nine words in ten between {whole['moved_q05']:+.2f} and {whole['moved_q95']:+.2f}), and the mean of all by {whole['moved']:+.3f}.",
        f"The model by character and the one by word agree with r = {whole['r']:.3f}, without the ends with {whole['r_uncorrected']:.3f}; "
        f"the ends add {whole['r_gained']:+.4f} (95% interval {whole['r_gained_low']:+.4f} to {whole['r_gained_high']:+.4f}).",
    ]
    for by in ("frequency", "length"):
        mine = first[first["by"] == by]
        if len(mine) > 1:
            low, high = mine.iloc[0], mine.iloc[-1]
            sentences.append(
                f"By {by}, the end adds {low['moved']:+.2f} bits to words of {low['class']} and {high['moved']:+.2f} to those of "
                f"{high['class']}; r is {low['r']:.2f} and {high['r']:.2f}."
            )
    return sentences
