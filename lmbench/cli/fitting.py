"""The options of a model as a scorer that is fitted: what score, fit and surprisal have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmbench.cli.options import corpus_of, echo_notes, echo_remark, key_values, text_of
from lmbench.errors import InputError
from lmbench.text.vocab import Lexicon

if TYPE_CHECKING:
    from lmbench.corpora.corpus import Corpus
    from lmbench.scoring.scorer import Scorer


def fitted_scorer(
    name: str,
    options: Sequence[str],
    corpus: Corpus,
    unit: str,
    seed: int,
    quiet: bool,
    lexicon: Lexicon,
    counts: Sequence[str] = (),
    checkpoint: Path | None = None,
) -> tuple[Scorer, float]:
    """Fits a model, and before it the models that it combines (by their names, with their defaults).

    counts: files of counts, in place of the corpus's training text. checkpoint: a file from which a long fit that was killed goes on.
    """
    from lmbench.cli.progress import fit_monitor
    from lmbench.models import make_model
    from lmbench.scoring.evaluation import timed_counts, timed_fit

    model = make_model(name, **key_values(options))
    if counts:
        from lmbench.counts.files import read_counts

        fitted = timed_counts(model, read_counts(counts), corpus, lexicon)
        echo_notes(model.notes, name)
        return fitted
    labels = model.traits.components
    units = model.traits.component_units or (unit,) * len(labels)
    parts = [
        fitted_scorer(label, (), corpus, of_part, seed, quiet, lexicon)[0]
        for label, of_part in zip(labels, units, strict=True)
    ]
    with fit_monitor(name, quiet) as monitor:
        monitor.checkpoint = checkpoint
        fitted = timed_fit(model, corpus, unit, seed, monitor, parts, lexicon)
    echo_notes(model.notes, name)
    return fitted


def _held_out(name: str, options: Sequence[str], corpus: Corpus) -> Corpus:
    """The corpus, with a tenth of the training text held out where a model needs it and none was given."""
    from lmbench.models import make_model

    queue = [make_model(name, **key_values(options))]
    while queue:
        model = queue.pop()
        if model.traits.held_out != "no" and corpus.valid is None:
            echo_remark("no --valid given: the last tenth of the training text is held out for the settings")
            return corpus.with_held_out()
        queue += [make_model(label) for label in model.traits.components]
    return corpus


def corpus_for(
    name: str,
    options: Sequence[str],
    train: Sequence[str],
    valid: str | None,
    test: str | None,
    unit: str,
    normalise: str | None,
    documents: str | None,
    field: str | None,
    scored: bool = False,
    counts: Sequence[str] = (),
) -> Corpus:
    """The corpus that the command line describes; the text to score alone, for a model that learns from none.

    scored: whether there has to be a test text; where none is given, the training text is divided.
    """
    import numpy as np

    from lmbench.corpora.corpus import Corpus, text_to_score
    from lmbench.corpora.inputs import canonical
    from lmbench.models import make_model
    from lmbench.text.canonical import CanonicalText

    if counts and (train or unit != "word"):
        raise InputError("--counts are of words, in place of the training text: --unit word, without --train")
    documents = documents or ("line" if counts else None)
    learns = make_model(name, **key_values(options)).traits.learns_from != 0
    if train or (learns and not counts):
        corpus = corpus_of(train, valid, test, normalise, documents, field)
        if scored and test is None and corpus.test is None:
            corpus = text_of(train, normalise, documents, field, valid=valid)
            echo_remark(f"no --test given: {corpus.info['division']}")
        return _held_out(name, options, in_words(corpus, unit, normalise))
    modes = normalise or "none", documents or "stream"
    held_out = None if valid is None else canonical(valid, *modes, field)
    tested = None if test is None else text_to_score(test, *modes, field)
    nothing = CanonicalText("", np.zeros(0, dtype=np.int64))
    corpus = in_words(Corpus(Path(test or "text").stem, nothing, held_out, tested, *modes), unit, normalise)
    # Whatever text such a model will be asked of: blanks divide words in files of counts.
    return replace(corpus, normalise="sentences") if counts and normalise is None else corpus


def in_words(corpus: Corpus, unit: str, normalise: str | None) -> Corpus:
    """The corpus as a model by word reads it, and what there is to say of that. normalise: what the user asked for."""
    from lmbench.corpora.words import read_as_words

    read, notes = read_as_words(corpus, unit, normalise)
    echo_notes(notes)
    return read


def needed(name: str | None) -> str:
    if name is None:
        raise InputError("--model is missing; `lmbench models` lists the names")
    return name


def scorer_of(given: Mapping[str, Any], quiet: bool) -> Scorer:
    """The model that the options of ``model_options`` describe, fitted; of a text to score nothing is known yet."""
    name, options, unit, counts = needed(given["name"]), given["options"], given["unit"], given["counts"]
    normalise, documents, field = (given[key] for key in ("normalise", "documents", "field"))
    corpus = corpus_for(
        name, options, given["train"], given["valid"], None, unit, normalise, documents, field, False, counts
    )
    lexicon = Lexicon(given["unk"], given["vocab"], given["min_count"])
    return fitted_scorer(name, options, corpus, unit, given["seed"], quiet, lexicon, counts)[0]
