"""What a report shows of the text itself: an extract token by token, and where the best models differ."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from lmbench.comparing.differences import Difference, differences
from lmbench.comparing.extracts import Extract, extract
from lmbench.comparing.ranks import rankings
from lmbench.comparing.words import word_ends
from lmbench.corpora.corpus import Corpus
from lmbench.counts import matched_orders
from lmbench.results.likeliest import alternatives
from lmbench.scoring.run import Run
from lmbench.scoring.scorer import Scorer

EXTRACT = (
    1200  # characters of which the likeliest tokens are shown, and those around a passage of a long text
)
TOKENS = 1_500_000  # of all models and corpora together: more are not shown, but the stretches that matter
BEST = 4  # so many of the best models are compared pair by pair
SHOWN = 5  # passages on either side of a comparison whose likeliest tokens are told,
LINKED = 1500  # in so many characters at most


def views_of(
    corpora: Mapping[str, Corpus],
    runs: Sequence[Run],
    scorer_of: Callable[[Run], Scorer],
    most: int | None = None,
    progress: Callable[[float, float, str], None] = lambda done, total, note: None,
) -> Views:
    """The extracts and differences of every corpus; scorer_of: a finished run's fitted model. most: tokens of all of them that are shown, default ``TOKENS``."""
    most = TOKENS if most is None else most
    extracts, compared = [], []
    for number, (name, corpus) in enumerate(corpora.items()):
        progress(number, len(corpora), name)
        here = [run for run in runs if run.corpus == name and run.ranked]
        seeds: dict[str, list[Run]] = {}
        for run in here:
            seeds.setdefault(run.label, []).append(run)
        # Ranked by the mean over seeds, and shown by the first: the best would flatter.
        means = {label: np.mean([run.scores.bits_per_char for run in of]) for label, of in seeds.items()}
        placed = [seeds[label][0] for label in sorted(means, key=means.__getitem__)]
        if not placed:
            continue
        still, *adaptive = rankings(placed)
        ranked = [*still, *(run for part in adaptive for run in part)]
        # The first of those that learn from the text is set beside the best of the others.
        first = [*still[: BEST - len(adaptive)], *(part[0] for part in adaptive)]
        text = corpus.text("test").text
        models = {run.label: (run.facts.unit, run.scores) for run in ranked}
        train, test = corpus.encoded("word", "train").tokens, corpus.encoded("word", "test").tokens
        orders = matched_orders(train, test, len(corpus.vocab("word")))
        counts = dict(corpus.vocab("word").token_freqs)
        best = {run.label: run.scores for run in first}
        here_compared = differences(name, text, best, counts, orders)
        compared += here_compared
        here_most = most // len(corpora)
        whole = sum(len(run.scores) for run in ranked) <= here_most
        stretches = (
            [(0, len(text))] if whole else _stretches(here_compared, len(text), here_most // len(ranked))
        )
        ends = word_ends(text)
        labelled = {run.label: run for run in ranked}
        likeliest = alternatives(corpus.text("test"), labelled, scorer_of, _asked(here_compared))
        extracts += [
            extract(name, text, models, start, stop - start, likeliest, ends) for start, stop in stretches
        ]
    return Views(extracts, compared)


def _stretches(compared: Sequence[Difference], chars: int, most: int) -> list[tuple[int, int]]:
    """Of a long text its beginning, and what lies around the passages and examples on which models differ most.

    most: characters in all, about; what differs most of each pair comes first.
    """
    half = EXTRACT // 2
    lists = [[p.start for p in some] for d in compared for some in (d.a_better, d.b_better)]
    lists += [list(row.places) for d in compared for table in d.tables for row in table.rows]
    turns = itertools.zip_longest(*lists)
    wanted = dict.fromkeys(place for turn in turns for place in turn if place is not None)
    places = [0, *wanted][: max(1, most // EXTRACT)]
    joined: list[tuple[int, int]] = []
    for place in sorted(places):
        start, stop = max(0, place - half), min(chars, place + half)
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], stop)
        else:
            joined.append((start, stop))
    return joined


def _asked(compared: Sequence[Difference]) -> list[tuple[int, int]]:
    """Where likeliest tokens are told: at the text's beginning, and in the passages that stand first in each comparison."""
    lists = [some[:SHOWN] for d in compared for some in (d.a_better, d.b_better)]
    pieces, chars = {(0, EXTRACT): None}, 0
    for passage in (p for turn in itertools.zip_longest(*lists) for p in turn if p is not None):
        chars += passage.end - passage.start
        if chars > LINKED:
            break
        pieces[passage.start, passage.end] = None
    return list(pieces)


@dataclass(frozen=True)
class Views:
    """What a report shows of the text itself."""

    extracts: Sequence[Extract] = field(default_factory=list)
    differences: Sequence[Difference] = field(default_factory=list)
