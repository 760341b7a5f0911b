"""Fit a model on a corpus and score its held-out text."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import msgspec
import numpy as np

from lmbench.corpora.corpus import Corpus
from lmbench.counts.files import WordCounts
from lmbench.models import LanguageModel, Monitor
from lmbench.models.notebook import notebook_monitor
from lmbench.scoring.run import Epoch, Facts, Run, Signature, Verified
from lmbench.scoring.scorer import EVERY_TOKEN, Scorer
from lmbench.scoring.scores import Scores
from lmbench.scoring.verification import verify
from lmbench.text.canonical import CanonicalText
from lmbench.text.vocab import Lexicon


def costs_of(measured: Mapping[str, Any]) -> dict[str, Any]:
    """The facts that follow from a fit's ``LanguageModel.costs``; none of none.

    tokens_per_second and flops_per_second: over all of the training, its looks at held-out text included;
    share_of_peak: of the matrix products that the machine can do in that time, the share that was needed.
    """
    if not measured or not measured["training_seconds"]:
        return dict(measured)
    rate = measured["training_tokens"] / measured["training_seconds"]
    flops = rate * measured["training_flops"]
    return {
        **measured,
        "tokens_per_second": rate,
        "flops_per_second": flops,
        "share_of_peak": flops / measured["peak_flops"],
    }


def score_run(
    scorer: Scorer,
    corpus: Corpus,
    label: str,
    seed: int = 0,
    fit_seconds: float | None = None,
    monitor: Monitor | None = None,
) -> Run:
    """Scores a corpus's held-out text with a fitted model. fit_seconds: what the caller has measured of the fit."""
    model = scorer.model
    began = time.perf_counter()
    model.monitor = monitor or Monitor()
    try:
        read = scorer.encode(corpus.text("test"))
        scores = scorer.score(read)
    finally:
        model.monitor = Monitor()
    seconds = time.perf_counter() - began
    train, valid = (scorer.about.get(split, "") for split in ("train", "valid"))
    signature = Signature.of(corpus, scorer.unit.spec, model.context_policy, seed, train, valid)
    signature = msgspec.structs.replace(signature, text=read.canonical.fingerprint)
    return Run(corpus.name, label, scores, signature, facts_of(scorer, seconds, fit_seconds))


def facts_of(scorer: Scorer, seconds: float, fit_seconds: float | None = None) -> Facts:
    """What is known of a model that has scored a text in so many seconds."""
    model = scorer.model
    return Facts(
        model=model.name,
        options=model.options(),
        unit=scorer.unit.name,
        adaptive=model.traits.adaptive,
        fit_seconds=fit_seconds,
        score_seconds=seconds,
        parameters=model.parameters,
        model_bytes=model.model_bytes,
        notes=model.notes,
        history=msgspec.convert(model.history, list[Epoch]),
        **costs_of(model.costs),
    )


def verified(
    scorer: Scorer, text: CanonicalText, tokens: int | None = None, scores: Scores | None = None
) -> Verified:
    """What the model claims of a text's first tokens (default: all) beside the file that it codes them into; scores: see ``verify``."""
    verification = verify(scorer, text, tokens, scores)
    return Verified(**{name: getattr(verification, name) for name in Verified.__struct_fields__})


def timed_fit(
    model: LanguageModel,
    corpus: Corpus,
    unit: str = "char",
    seed: int = 0,
    monitor: Monitor | None = None,
    components: Sequence[Scorer] = (),
    lexicon: Lexicon = EVERY_TOKEN,
) -> tuple[Scorer, float]:
    """Fits a model; the seconds that it took, those before an interruption and of a shared fit too. Raises InputError as ``Scorer.fit`` does."""
    began = time.perf_counter()
    scorer = Scorer.fit(model, corpus, unit, seed, monitor, components, lexicon)
    shared = monitor.shared.seconds if monitor is not None and monitor.shared is not None else 0.0
    # Of a fit that was interrupted and went on, this call has seen the rest alone; of one that was taken up, what came after it.
    return scorer, max(time.perf_counter() - began + shared, model.costs.get("training_seconds", 0.0))


def timed_counts(
    model: LanguageModel, counts: WordCounts, corpus: Corpus, lexicon: Lexicon = EVERY_TOKEN
) -> tuple[Scorer, float]:
    """Trains a model on counts; the seconds that it took. Raises InputError as ``Scorer.of_counts`` does."""
    began = time.perf_counter()
    return Scorer.of_counts(model, counts, corpus, lexicon), time.perf_counter() - began


def fit_run(
    model: LanguageModel,
    corpus: Corpus,
    unit: str = "char",
    label: str | None = None,
    seed: int = 0,
    monitor: Monitor | None = None,
    components: Sequence[Scorer] = (),
    lexicon: Lexicon = EVERY_TOKEN,
) -> tuple[Scorer, Run]:
    """Fits a model and scores the held-out text with it. Raises InputError where they do not suit each other."""
    if model.traits.held_out != "no":
        corpus = corpus.with_held_out()
    scorer, seconds = timed_fit(model, corpus, unit, seed, monitor, components, lexicon)
    return scorer, score_run(scorer, corpus, label or model.name, seed, seconds, monitor)


def beginning(text: CanonicalText, chars: int) -> CanonicalText:
    """About the first ``chars`` characters of a text, whole documents or else up to a blank."""
    if chars >= text.chars:
        return text
    last = int(np.searchsorted(text.starts, chars, side="right"))
    cut = int(text.starts[last]) if 0 < last < len(text.starts) else text.text.find(" ", chars)
    cut = text.chars if cut <= 0 else cut
    return text.head(cut)


def learnt_text(scorer: Scorer, corpus: Corpus) -> CanonicalText | None:
    """Of the training text that the model has learnt from, as much as there is of the test text; None of one that needs none."""
    text, most = corpus.train, scorer.model.traits.learns_from
    if most == 0:
        return None
    if most is not None:
        ends = scorer.encode(text).ends
        if most < len(ends):
            text = text.head(int(ends[most - 1]))
    return beginning(text, corpus.text("test").chars)


def training_facts(scorer: Scorer, corpus: Corpus) -> dict[str, float | None]:
    """``train_bits_per_char`` and ``train_perplexity`` of a fitted model; None of one that learns from no text."""
    learnt = learnt_text(scorer, corpus)
    head = None if learnt is None else scorer.score(learnt)
    return {
        "train_bits_per_char": None if head is None else head.bits_per_char,
        "train_perplexity": None if head is None else head.perplexity,
    }


def evaluate(
    model: LanguageModel,
    corpus: Corpus,
    unit: str = "char",
    label: str | None = None,
    seed: int = 0,
    components: Sequence[Scorer] = (),
    unk: str = "",
    vocab: str = "",
    min_count: int = 0,
    counts: WordCounts | None = None,
    monitor: Monitor | None = None,
) -> Run:
    """Trains a model on a corpus and scores its held-out text: ``run.scores.bits_per_char`` and the rest.

    unit: char, word or byte. unk: the token of the text that is the unknown one; vocab: a file that is the vocabulary, a token a
    line; min_count: tokens that are rarer in training text are unknown (see ``Lexicon``). counts: of n-grams of words (``read_counts``), learnt from in place of the training text. monitor: is told the
    progress of the fit; default a bar in a notebook, nothing elsewhere. Where a text is learnt from, the facts tell bits per character of as
    much of it as there is of the test text, too. Raises InputError where the model does not suit the corpus.

    >>> from lmbench.corpora import Corpus, make_source
    >>> from lmbench.models import make_model
    >>> corpus = Corpus.of(make_source("golden-mean"), length=5000)
    >>> run = evaluate(make_model("bigram"), corpus)
    >>> run.label, run.scores.chars, round(run.scores.bits_per_char, 3)  # the source's rate is 2/3 bit
    ('bigram', 500, 0.657)
    """
    lexicon = Lexicon(unk, vocab, min_count)
    if counts is not None:
        scorer, seconds = timed_counts(model, counts, corpus, lexicon)
        return score_run(scorer, corpus, label or model.name, seed, seconds)
    with notebook_monitor(label or model.name) if monitor is None else nullcontext(monitor) as told:
        scorer, run = fit_run(model, corpus, unit, label, seed, told, components, lexicon)
        return run.with_facts(**training_facts(scorer, corpus))
