"""One model of several that were trained apart, on texts of their own: its weights are learnt on a text that none has seen."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np

from lmbench.errors import InputError, check_seed
from lmbench.models import Monitor, make_model
from lmbench.scoring.scorer import Scorer
from lmbench.text.canonical import CanonicalText, canonical_text
from lmbench.text.tokens import encode


def mix(
    scorers: Sequence[Scorer],
    tune: str | CanonicalText,
    *,
    labels: Sequence[str] = (),
    normalise: str | None = None,
    documents: str | None = None,
    seed: int = 0,
    monitor: Monitor | None = None,
    **options: Any,
) -> Scorer:
    """Fitted models mixed, over the words of all of them, each of which spells those that it lacks.

    scorers: two or more of one unit (``mixture``), or one by word and one by character (``word-char``). tune: the text on which
    weights are learnt; a string is read as the models' texts were. labels: what notes call the models. normalise, documents: how the
    mixture reads texts, where its models do not agree. options: those of ``mixture`` or ``word-char``. Raises InputError where the models
    do not suit each other or the text is too short.

    >>> from lmbench.corpora.corpus import Corpus, Documents
    >>> texts = ["the ferry sails" + " the ferry sails" * 8, "the choir sings" + " the choir sings" * 8]
    >>> parts = [Scorer.fit(make_model("bigram", eps="1,1"), Corpus.of(Documents([t]), 0.0, 0.0), "word") for t in texts]
    >>> mixed = mix(parts, "the choir sings the ferry sails the choir sings")
    >>> len(mixed.vocab), mixed.model.weights.round(1).tolist()
    (6, [0.3, 0.7])
    """
    if len(scorers) < 2:
        raise InputError("a mixture is made of two models or more; give another")
    units = [scorer.unit.name for scorer in scorers]
    name = "mixture"
    if sorted(units) == ["char", "word"]:
        name, scorers = "word-char", sorted(scorers, key=lambda scorer: scorer.unit.name, reverse=True)
    elif any(units[0] != unit for unit in units):
        raise InputError(
            f"models by {', '.join(dict.fromkeys(units))} are not mixed; take those of one unit, or one by word and one by char"
        )
    elif any(not _same_tokens(scorer, scorers[0]) for scorer in scorers):
        raise InputError(
            "the models cut words into other pieces; learn them once, and train the other with --unit subword:file=MODEL"
        )
    last = scorers[-1]  # whose unit is the mixture's
    modes = agreed("normalise", normalise, scorers), agreed("documents", documents, scorers)
    text = canonical_text([tune], *modes) if isinstance(tune, str) else tune
    alike = [scorer for scorer in scorers if scorer.unit.name == last.unit.name]
    vocab = alike[0].vocab.joined([scorer.vocab for scorer in alike[1:]])
    tokens = encode(text, last.unit, vocab).tokens
    if not len(tokens):
        raise InputError("the text to learn the weights on is empty; give one of some thousand words")
    model = make_model(name, of=list(labels) or [str(i) for i in range(1, len(scorers) + 1)], **options)
    parts = model.joined(vocab, [scorer.part for scorer in scorers])
    model.fit(tokens, tokens, len(vocab), np.random.default_rng(check_seed(seed)), monitor, parts)
    types = list(dict.fromkeys(chain.from_iterable(scorer.types for scorer in alike)))
    about = {"seed": seed, "valid": text.fingerprint, "parts": [scorer.about for scorer in scorers]}
    return Scorer(model, last.unit, vocab, *modes, types, about)


def _same_tokens(one: Scorer, other: Scorer) -> bool:
    """Whether two units cut texts alike: not by what they are called, but by what they have learnt."""
    states = one.unit.state(), other.unit.state()
    return states[0].keys() == states[1].keys() and all(
        np.array_equal(states[0][key], states[1][key]) for key in states[0]
    )


def agreed(what: str, asked: str | None, scorers: Sequence[Scorer]) -> str:
    """How the mixture reads texts: as asked, or as all of its models do that have learnt from texts."""
    learnt = [scorer for scorer in scorers if scorer.model.traits.learns_from != 0]
    read = [str(getattr(scorer, what)) for scorer in learnt or scorers]
    if asked is None and len(set(read)) > 1:
        raise InputError(
            f"the models read texts differently ({what} {', '.join(read)}); say which by --{what}"
        )
    return asked or read[0]
