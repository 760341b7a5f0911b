"""What a model spends above the source that wrote the text: no rate of the source, but its own bits for this very text.

A rate is what the source spends a character in the long run. On a text of some thousand characters a model can spend
less than the rate, because the source did; above what the source spent on that text it pays for what it has not learnt.
"""

from __future__ import annotations

import msgspec
import numpy as np

from lmbench.comparing.pairs import comparisons
from lmbench.corpora.corpus import Corpus
from lmbench.scoring.run import Run, Signature
from lmbench.scoring.scores import Scores


class Regret(msgspec.Struct, frozen=True, kw_only=True):
    """Bits per character. source: what the source spends on the test text. regret: what the model spends more, on average
    ≥ 0; ci95: its interval, paired over the text, as ``compare`` gives it; None where no error bar can be had."""

    source_bits_per_char: float
    regret_bits_per_char: float
    ci95: tuple[float, float] | None


def source_run(corpus: Corpus) -> Run | None:
    """The source's own scores of the test text, a character a token; None where it cannot score it.

    It cannot where the corpus has none, where its probabilities are not known (grammars), and where a normaliser left
    other characters than it wrote.
    """
    if corpus.source is None:
        return None
    text = corpus.text("test")
    nats = corpus.source.log_probs(text.text)
    if nats is None or not np.isfinite(nats).all():
        return None
    nothing = np.zeros(len(nats))
    ends = np.arange(1, len(nats) + 1)
    scores = Scores(nats, ends, nothing > 0, nothing, text.starts, text.chars, text.bytes, text.words, 0)
    signature = Signature.of(corpus, "char", "source", 0)
    return Run(corpus=corpus.name, label="the source", scores=scores, signature=signature)


def regret(run: Run, source: Run, rng: np.random.Generator | None = None) -> Regret:
    """What a run spends above ``source_run`` of its corpus.

    >>> from dataclasses import replace
    >>> from lmbench.corpora import Corpus, make_source
    >>> corpus = Corpus.of(make_source("golden-mean"), length=5000)
    >>> known = source_run(corpus)
    >>> regret(replace(known, label="a copy"), known).regret_bits_per_char
    0.0
    """
    (row,) = comparisons([run, source], rng=rng)
    return Regret(
        source_bits_per_char=source.scores.bits_per_char,
        regret_bits_per_char=run.scores.bits_per_char - source.scores.bits_per_char,
        ci95=row.ci95,
    )
