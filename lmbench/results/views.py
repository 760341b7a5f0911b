"""What a report shows of the text itself: an extract token by token, and where the best models differ."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from lmbench.comparing.differences import Difference, differences
from lmbench.comparing.extracts import Alternatives, Extract, extract
from lmbench.corpora.corpus import Corpus
from lmbench.counts import matched_orders
from lmbench.scoring.run import Run
from lmbench.scoring.scorer import Scorer
from lmbench.scoring.scores import Scores
from lmbench.text.canonical import CanonicalText
from lmbench.text.tokens import Tokens

EXTRACT = 1200  # characters shown token by token
BEST = 4  # so many of the best models are compared pair by pair
LIKELIEST = 5
MARGIN = 1000  # characters after the last token shown that may decide how it is cut


def views_of(corpora: Mapping[str, Corpus], runs: Sequence[Run], scorer_of: Callable[[Run], Scorer]) -> Views:
    """The extracts and differences of every corpus; scorer_of: a finished run's fitted model."""
    extracts, compared = [], []
    for name, corpus in corpora.items():
        here = [run for run in runs if run.corpus == name and run.ranked]
        seeds: dict[str, list[Run]] = {}
        for run in here:
            seeds.setdefault(run.label, []).append(run)
        # Ranked by the mean over seeds, and shown by the first: the best would flatter.
        means = {label: np.mean([run.scores.bits_per_char for run in of]) for label, of in seeds.items()}
        ranked = [seeds[label][0] for label in sorted(means, key=means.__getitem__)]
        if not ranked:
            continue
        text = corpus.text("test").text
        models = {run.label: (run.facts.unit, run.scores) for run in ranked}
        likeliest = _alternatives(corpus, {run.label: run for run in ranked[:BEST]}, scorer_of)
        extracts.append(extract(name, text, models, 0, EXTRACT, likeliest))
        train, test = corpus.encoded("word", "train").tokens, corpus.encoded("word", "test").tokens
        orders = matched_orders(train, test, len(corpus.vocab("word")))
        counts = dict(corpus.vocab("word").token_freqs)
        best = {run.label: run.scores for run in ranked[:BEST]}
        compared += differences(name, text, best, counts, orders)
    return Views(extracts, compared)


def _alternatives(
    corpus: Corpus, runs: Mapping[str, Run], scorer_of: Callable[[Run], Scorer]
) -> Alternatives:
    def likeliest(label: str, first: int, last: int) -> list[list[tuple[str, float]]]:
        if label not in runs:
            return []
        scorer = scorer_of(runs[label])
        tokens = _beginning(scorer, corpus.text("test"), runs[label].scores, last)
        table = scorer.model.distributions(tokens.head(last))[first:]
        best = np.argsort(-table, axis=1, kind="stable")[:, :LIKELIEST]
        names = [[str(name) for name in scorer.vocab.to_tokens(row)] for row in best.tolist()]
        shares = np.exp(np.take_along_axis(table, best, axis=1)).tolist()
        return [list(zip(*row, strict=True)) for row in zip(names, shares, strict=True)]

    return likeliest


def _beginning(scorer: Scorer, text: CanonicalText, scores: Scores, count: int) -> Tokens:
    """A text's tokens, of which the first ``count`` are needed; no more of a long text is cut than these need.

    What a tokenizer makes of a beginning may differ from what it makes of the whole, which was scored; then all is cut.
    """
    chars = int(scores.ends[count - 1]) if count else 0
    beginning = scorer.encode(text.head(chars + MARGIN))
    if np.array_equal(beginning.ends[:count], scores.ends[:count]):
        return beginning.tokens
    return scorer.encode(text).tokens


@dataclass(frozen=True)
class Views:
    """What a report shows of the text itself."""

    extracts: Sequence[Extract] = field(default_factory=list)
    differences: Sequence[Difference] = field(default_factory=list)
