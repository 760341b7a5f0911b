"""What a text is given by: paths, texts at hand, a source; and the canonical text of it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lmbench.corpora.chains import HiddenMarkov
from lmbench.corpora.descriptions import registry
from lmbench.corpora.formats import Place, files_of, raw_documents, stem_of
from lmbench.corpora.grammars import Grammar
from lmbench.errors import InputError, unknown
from lmbench.text.canonical import DOCUMENTS, NORMALISERS, CanonicalText, canonical_text

Split = Literal["train", "valid", "test"]
SPLITS: tuple[Split, ...] = ("train", "valid", "test")


@dataclass(frozen=True)
class Documents:
    """Texts at hand, where ``Corpus.of`` would take a string for a path: ``Documents(["one text", "another"])``."""

    texts: Sequence[str]
    name: str = "text"


Files = Place | Sequence[Place]
Text = Files | Documents | HiddenMarkov | Grammar


def is_described(text: str) -> bool:
    """Whether a string names a registered corpus or the TOML file of one (a file of that very name comes last)."""
    return text in registry() or text.endswith(".toml")


def check_modes(normalise: str, documents: str) -> None:
    """Raises InputError for the name of a normaliser or of a mode of documents that there is not."""
    if normalise not in NORMALISERS:
        raise unknown("normaliser", normalise, NORMALISERS)
    if documents not in DOCUMENTS:
        raise unknown("documents mode", documents, DOCUMENTS)


def canonical(text: Text, normalise: str, documents: str, field: str | None = None) -> CanonicalText:
    """One text, undivided. Raises InputError where it is missing or empty."""
    read = canonical_text(documents_of(text, field), normalise, documents)
    if not read.text:
        raise InputError(
            f"{source_of(text)} is empty after normalising with {normalise!r}; give another --normalise"
        )
    return read


def documents_of(text: Text, field: str | None) -> list[str]:
    """Its documents as they stand in the files. Raises InputError of what is read in another way."""
    if isinstance(text, (HiddenMarkov, Grammar)):
        raise InputError("a source writes the whole text, which is divided; it is no valid or test text")
    if isinstance(text, Documents):
        if isinstance(text.texts, str):
            raise InputError("Documents takes a list of texts: Documents([text])")
        return list(text.texts)
    return list(raw_documents(files_of(text), field))


def name_of(text: Text) -> str:
    """What a corpus of it is called where nobody says."""
    if isinstance(text, Documents):
        return text.name
    assert not isinstance(text, (HiddenMarkov, Grammar))
    return stem_of(text)


def source_of(text: Text) -> str:
    """Where it comes from, for a message."""
    if isinstance(text, (Documents, HiddenMarkov, Grammar)):
        return name_of(text)
    return str(text) if isinstance(text, (str, os.PathLike)) else ", ".join(map(str, text))


def check_different(*texts: Text | float | None) -> None:
    """Raises InputError where a file stands in two of train, valid and test."""
    seen: dict[Path, str] = {}
    for split, text in zip(SPLITS, texts, strict=True):
        if text is None or isinstance(text, (int, float, Documents, HiddenMarkov, Grammar)):
            continue
        # The test part of a registered corpus.
        if split == "test" and isinstance(text, str) and is_described(text):
            continue
        for file in files_of(text):
            if (other := seen.setdefault(file.resolve(), split)) != split:
                raise InputError(f"{file} is given as {other} and as {split}; a text may be only one of them")
