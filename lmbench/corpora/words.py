"""Lines of words read as what they are meant to be: blanks of every kind divide words, and nothing of it is silent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from lmbench.corpora.corpus import Corpus
from lmbench.corpora.inputs import SPLITS
from lmbench.text.canonical import canonical_text
from lmbench.text.oddities import Oddity, oddities

TIDIED = {
    "whitespace": "blanks divide words here, as in KenLM's query: the texts are read with --normalise whitespace",
    "sentences": "models mark sentences themselves: the texts are read with --normalise sentences, blanks dividing words",
}


def lines_of_words(corpus: Corpus) -> tuple[Corpus, list[str]]:
    """The corpus where it is lines under ``none`` and has what is not meant as words, normalised without it; and notes.

    Blanks are read by the rule by which KenLM's ``query`` reads a text, and sentence marks around lines are left out. Notes
    tell what was read so, and what was left as it is.
    """
    read, notes = corpus, remarks(corpus)
    parts = {s: part for s in SPLITS if (part := getattr(corpus, s)) is not None}
    remedy = remedy_of([oddity for part in parts.values() for oddity in oddities(part.text)])
    if remedy and corpus.normalise == "none" and corpus.documents == "line":
        tidied = {s: canonical_text([part.text], remedy, "line") for s, part in parts.items()}
        read = replace(corpus, normalise=remedy, **tidied)  # type: ignore[arg-type]
        notes.append(TIDIED[remedy])
    return read, notes


def read_as_words(corpus: Corpus, unit: str, normalise: str | None) -> tuple[Corpus, list[str]]:
    """The corpus as a model by ``unit`` reads it, and what there is to say of that. normalise: what the user asked for, or None."""
    if unit != "word":
        return corpus, []
    return lines_of_words(corpus) if normalise is None else (corpus, remarks(corpus))


def remedy_of(present: Sequence[Oddity]) -> str:
    """The normaliser under which the oddities of a text, those that have one, are none; empty where there are none."""
    return max((oddity.remedy for oddity in present), key=["", *TIDIED].index, default="")


def remarks(corpus: Corpus) -> list[str]:
    """What in the texts may be meant otherwise than a model by word reads it: a sentence each, with count and example."""
    said, tidied = [], corpus.normalise != "none"
    # A text that is scored by a loaded model stands in two places, and is told of once.
    parts = {id(part): (s, part) for s in SPLITS if (part := getattr(corpus, s)) is not None}
    for split, part in parts.values():
        said += [remark(split, oddity) for oddity in oddities(part.text, tidied)]
    return said


def remark(split: str, oddity: Oddity) -> str:
    """What there is to say of one oddity of a text, and what may be done."""
    advice = "--normalise whitespace makes single spaces of them"
    if oddity.kind == "ends":
        advice = "models mark sentences themselves (--documents line): --normalise sentences takes them out"
    if oddity.kind == "mark":
        advice = "models mark sentences themselves (--documents line): take them out of the text"
    if oddity.kind == "wide":
        advice += "; under none they are parts of words"
    return f"{split} text: {oddity}; {advice}"
