"""Corpora that sources wrote, and what two runs of a study must have in common."""

import json

import numpy as np

from lmbench.corpora.corpus import Corpus, divide
from lmbench.text.canonical import CanonicalText


def corpus_of(source, length, seed=1):
    """A corpus that a source of known entropy rate wrote."""
    text = CanonicalText.of([source.generate(length, np.random.default_rng(seed))])
    train, valid, test = divide(text, (0.8, 0.1, 0.1))
    return Corpus("made", train, valid, test, entropy_rate=source.entropy_rate)


def plain(study):
    """What must be the same for the same seed."""
    return study.table.to_csv(), list(study.sentences), json.dumps(study.facts, allow_nan=False)
