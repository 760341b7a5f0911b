"""Corpora: a registry of TOML descriptions, a user's own files, and the split that models train and score on."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from lmbench.charts.card import Card
from lmbench.corpora.chains import HiddenMarkov
from lmbench.corpora.descriptions import Description, File, Written, data_folders, describe, find
from lmbench.corpora.division import SHARE, deal, divide, divided
from lmbench.corpora.download import check_sum
from lmbench.corpora.grammars import Grammar
from lmbench.corpora.inputs import (
    SPLITS,
    Documents,
    Files,
    Split,
    Text,
    canonical,
    check_different,
    check_modes,
    documents_of,
    is_described,
    name_of,
    source_of,
)
from lmbench.corpora.python_docs import python_topics
from lmbench.corpora.sources import Source, make_source
from lmbench.errors import InputError
from lmbench.storage.files import decode_utf8, read_bytes
from lmbench.text.canonical import CanonicalText, canonical_text
from lmbench.text.tokens import EncodedText, encode
from lmbench.text.units import Unit, unit_named
from lmbench.text.vocab import Vocab, build_vocab


@dataclass(frozen=True, repr=False)
class Corpus(Card):
    """Three canonical texts that do not overlap, and where they come from.

    train, valid, test: CanonicalText; valid is None where the user gave none. normalise, documents: how the texts
    were made of the files. entropy_rate: (low, high) bits a character where the truth is known. source: what wrote
    the texts, where that is a source.
    """

    name: str
    train: CanonicalText
    valid: CanonicalText | None
    test: CanonicalText | None
    normalise: str = "none"
    documents: str = "stream"
    info: dict[str, Any] = field(default_factory=dict)
    entropy_rate: tuple[float, float] | None = None
    source: Source | None = field(default=None, repr=False, compare=False)

    def _card(self) -> tuple[str, list[tuple[str, str]]]:
        parts = [(name, part) for name in SPLITS if (part := getattr(self, name)) is not None]
        sizes = [
            (name, f"{t.chars:,} characters, {t.words:,} words, {len(t.starts):,} documents")
            for name, t in parts
        ]
        made = [("normalise", self.normalise), ("documents", self.documents)]
        divided = [("division", self.info["division"])] if "division" in self.info else []
        return f"Corpus {self.name}", [*sizes, *made, *divided]

    @classmethod
    def of(
        cls,
        text: Text,
        valid: Text | float | None = None,
        test: Text | float | None = None,
        *,
        normalise: str | None = None,
        documents: str | None = None,
        field: str | None = None,
        name: str | None = None,
        seed: int = 0,
        length: int = 200_000,
    ) -> Corpus:
        """The one door from text to corpus: files, described corpora, sources of known entropy, strings.

        text: the name of a registered corpus; the path of a description (``.toml``); a file, a directory, a glob pattern,
        ``-``, or a list of these (packed files are unpacked; each file is a document, and each row of JSON lines and
        Parquet, ``field`` of it); ``Documents`` for texts at hand; a source, which writes ``length`` characters.
        valid, test: texts of the same kinds, or shares of ``text`` (0: none; default: the corpus's own, else a tenth each;
        where ``test`` is a text, ``valid`` is a tenth of ``text``). Documents are dealt whole, by ``seed``, near-duplicates
        on one side; one document is cut in order; ``info["division"]`` says which.
        Raises InputError where a text is missing, empty, too short to be divided, or stands in two of the places.

        >>> corpus = Corpus.of(Documents(["a rose is a rose is a rose " * 20]), test=0.2)
        >>> corpus.train.chars, corpus.valid.chars, corpus.test.chars, corpus.info["division"]
        (378, 54, 108, 'cut in order: 70% learnt, then 10% held out, then 20% tested')
        """
        if isinstance(text, str) and is_described(text):
            return _described(text, valid, test, normalise, documents, field, name, seed)
        normalise, documents = normalise or "none", documents or "stream"
        check_modes(normalise, documents)
        if isinstance(text, (HiddenMarkov, Grammar)):
            source, entropy_rate = text, text.entropy_rate
            text = Documents([text.generate(length, np.random.default_rng(seed))], "source")
        else:
            source, entropy_rate = None, None
        check_different(text, valid, test)
        raw = documents_of(text, field)
        name = name or name_of(text)
        shares = [share if isinstance(share, (int, float)) else None for share in (valid, test)]
        own_test = test is not None and shares[1] is None
        division = divided(
            raw,
            normalise,
            documents,
            (SHARE if valid is None else 0.0) if shares[0] is None else shares[0],
            0.0 if own_test else (SHARE if shares[1] is None else shares[1]),
            seed,
            name,
        )
        info = {"title": name, "source": source_of(text), "division": division.how}
        if division.valid is None and division.test is None:
            del info["division"]
        made = (division.train, division.valid, division.test)
        corpus = cls(name, *made, normalise, documents, info, entropy_rate, source)
        return corpus._with(valid, test, field)

    @classmethod
    def from_files(
        cls,
        train: Files,
        valid: Files | None = None,
        test: Files | None = None,
        normalise: str = "none",
        documents: str = "stream",
        name: str | None = None,
        field: str | None = None,
    ) -> Corpus:
        """A user's own texts as they are divided already: all of ``train`` is learnt from. See ``of``."""
        names = [Path(train)] if isinstance(train, (str, os.PathLike)) else [Path(t) for t in train]
        return cls.of(
            names,
            0.0 if valid is None else valid,
            0.0 if test is None else test,
            normalise=normalise,
            documents=documents,
            field=field,
            name=name,
        )

    def _with(self, valid: Text | float | None, test: Text | float | None, field: str | None) -> Corpus:
        """The corpus with other texts in the places for which texts are given."""
        readers = ("valid", valid, canonical), ("test", test, text_to_score)
        given = {
            split: reader(place, self.normalise, self.documents, field)
            for split, place, reader in readers
            if place is not None and not isinstance(place, (int, float))
        }
        for split, text in given.items():
            if text.text == self.train.text:
                raise InputError(f"the {split} text is the training text; give another")
        return replace(self, **given)  # type: ignore[arg-type]

    def text(self, split: Split) -> CanonicalText:
        """Raises InputError where the corpus has no such split."""
        text: CanonicalText | None = getattr(self, split)
        if text is None:
            raise InputError(f"corpus {self.name} has no {split} text; give --{split} FILE")
        return text

    @property
    def parts(self) -> list[CanonicalText]:
        """Its texts: train, valid, test, as far as there are such."""
        return [part for part in (self.train, self.valid, self.test) if part is not None]

    def whole(self) -> CanonicalText:
        """All of the text, as it stood before it was divided."""
        return end_to_end(self.parts)

    def divided_anew(self, number: int, of: int) -> Corpus:
        """Another division of the same text, the ``number``-th (from 0) of ``of``.

        Documents are dealt anew by the seed ``number`` + 1, in shares as they are; lines, and documents that are too few to
        be dealt, are cut into ``of`` equal parts, of which one is the test text (a tenth of the rest is held out).
        Raises InputError where the text is too short.
        """
        whole = self.whole()
        documents = whole.documents()
        shares = [0.0 if part is None else part.chars / whole.chars for part in (self.valid, self.test)]
        parts = None
        if self.documents != "line" and len(documents) > 2:
            parts = deal(documents, shares[0], shares[1], number + 1)
        if parts is not None:
            train, valid, test = (CanonicalText.of([documents[i] for i in part]) for part in parts)
            how = f"documents dealt anew (seed {number + 1})"
        else:
            pieces = divide(whole, [1 / of] * of)
            test = pieces[number]
            train, valid = divide(end_to_end([*pieces[number + 1 :], *pieces[:number]]), (1 - SHARE, SHARE))
            how = f"part {number + 1} of {of} is the test text"
        if not (train.text and valid.text and test.text):
            raise InputError(f"{self.name} is too short to be divided {of} times; give more text")
        return replace(self, train=train, valid=valid, test=test, info={**self.info, "division": how})

    @cached_property
    def sha256(self) -> str:
        """Of the canonical texts: train, valid, test."""
        digest = hashlib.sha256()
        for split in SPLITS:
            text = getattr(self, split)
            digest.update(
                b"\0"
                if text is None
                else text.text.encode("utf-8", "surrogatepass") + b"\0" + text.starts.tobytes()
            )
        return digest.hexdigest()

    def unit(self, unit: str) -> Unit:
        """The unit of this name, its tokens learnt from the training text where it learns them."""
        if unit not in self._units:
            self._units[unit] = unit_named(unit, self.train)
        return self._units[unit]

    def vocab(self, unit: str) -> Vocab:
        """The training text's vocabulary."""
        if unit not in self._vocabs:
            self._vocabs[unit] = build_vocab(self.train, self.unit(unit))
        return self._vocabs[unit]

    def encoded(self, unit: str, split: Split) -> EncodedText:
        """One of the texts in the training text's vocabulary."""
        if (split, unit) not in self._encodings:
            self._encodings[split, unit] = encode(self.text(split), self.unit(unit), self.vocab(unit))
        return self._encodings[split, unit]

    # No fields: what another corpus is made of by ``replace`` does not inherit them.
    @cached_property
    def _units(self) -> dict[str, Unit]:
        return {}

    @cached_property
    def _vocabs(self) -> dict[str, Vocab]:
        return {}

    @cached_property
    def _encodings(self) -> dict[tuple[Split, str], EncodedText]:
        return {}

    def with_held_out(self) -> Corpus:
        """The corpus with a valid text: its own, or else the last tenth of the training documents or stream."""
        if self.valid is not None:
            return self
        train, valid = divide(self.train, (0.9, 0.1))
        single = self.documents == "line" and len(self.train.starts) < 2  # half a line is no sentence
        if single or not (train.text and valid.text):
            raise InputError(f"{self.name} is too short to hold a tenth out; give --valid FILE")
        info = {**self.info, "held_out": "the last tenth of the training text"}
        return replace(self, train=train, valid=valid, info=info)

    def describe(self) -> dict[str, Any]:
        """What results.json says of a corpus; the denominators are those of the test text."""
        test = self.text("test")
        split = {
            s: {"chars": t.chars, "bytes": t.bytes, "words": t.words, "documents": len(t.starts)}
            for s in SPLITS
            if (t := getattr(self, s)) is not None
        }
        entropy = None if self.entropy_rate is None else list(self.entropy_rate)
        return {
            "name": self.name,
            "sha256": self.sha256,
            "chars": test.chars,
            "bytes": test.bytes,
            "words": test.words,
            "normalise": self.normalise,
            "documents": self.documents,
            "split": split,
            "entropy_rate": entropy,
            **{
                key: self.info[key]
                for key in ("title", "licence", "homepage", "division")
                if key in self.info
            },
        }


def end_to_end(pieces: Sequence[CanonicalText]) -> CanonicalText:
    """Texts one after the other; where one does not end in a line feed, the next goes on with its last document."""
    text, starts, offset = "", [], 0
    for piece in pieces:
        joined = bool(text) and not text.endswith("\n")
        starts.append(piece.starts[1:] + offset if joined else piece.starts + offset)
        text += piece.text
        offset = len(text)
    return CanonicalText(text, np.concatenate(starts))


# Registered corpora ----------------------------------------------------------------------------------


def load_corpus(name: str, normalise: str | None = None, documents: str | None = None) -> Corpus:
    """A registered corpus (or a TOML file's), read, checked and divided.

    normalise, documents: in place of the description's own. Raises InputError where the name is unknown, a file
    has not been fetched (the message says how to get it) or is not the file expected.

    >>> corpus = load_corpus("golden-mean")
    >>> corpus.text("test").chars, round(corpus.entropy_rate[0], 3)
    (20000, 0.667)
    """
    return _described(name, None, None, normalise, documents)


def text_to_score(place: Text, normalise: str, documents: str, field: str | None = None) -> CanonicalText:
    """What a test text is given by: files, texts at hand, or a registered corpus (or a TOML file's), whose test part it then is.

    >>> text_to_score("golden-mean", "none", "stream").chars
    20000
    """
    if isinstance(place, str) and is_described(place):
        return load_corpus(place, normalise, documents).text("test")
    return canonical(place, normalise, documents, field)


def _described(
    place: str,
    valid: Text | float | None,
    test: Text | float | None,
    normalise: str | None = None,
    documents: str | None = None,
    field: str | None = None,
    name: str | None = None,
    seed: int = 0,
) -> Corpus:
    about = describe(place)
    name = name or (Path(place).stem if place.endswith(".toml") else place)
    normalise, documents = normalise or about.normalise, documents or about.documents
    check_modes(normalise, documents)
    info = {"title": about.title, "licence": about.licence, "homepage": about.homepage}
    shares = {
        split: float(share)
        for split, share in (("valid", valid), ("test", test))
        if isinstance(share, (int, float))
    }
    source: Source | None = None
    if about.source is not None:
        raw, source = _written(about)
    else:
        folders = [Path(place).parent] if place.endswith(".toml") else []
        texts = {file.role: _read(name, file, folders + data_folders()) for file in about.files}
        if "" not in texts:
            if shares:
                raise InputError(f"corpus {name} has a split of its own; leave the shares out or give texts")
            train, held, tested = (canonical_text([texts[s]], normalise, documents) for s in SPLITS)
            corpus = Corpus(name, train, held, tested, normalise, documents, info)
            return corpus._with(valid, test, field)
        raw = [texts[""]]
    wanted = {"valid": about.valid, "test": about.test, **shares}
    division = divided(raw, normalise, documents, **wanted, seed=seed, name=name)
    info["division"] = division.how
    made = (division.train, division.valid, division.test)
    rate = None if source is None else source.entropy_rate
    corpus = Corpus(name, *made, normalise, documents, info, rate, source)
    return corpus._with(valid, test, field)


def _written(about: Description) -> tuple[list[str], Source | None]:
    """The documents of a corpus that is made on the spot, and the source that wrote it, where one did."""
    asked = about.written()
    if asked.kind == "python-topics":
        return python_topics(), None
    options = {k: v for k, v in (about.source or {}).items() if k not in Written.__struct_fields__}
    source = make_source(asked.kind, **options)
    return [source.generate(asked.length, np.random.default_rng(asked.seed))], source


def _read(corpus: str, file: File, folders: list[Path]) -> str:
    path = find(file, folders)
    if path is None:
        raise InputError(
            f"corpus {corpus} is not here ({file.name} is in none of {', '.join(map(str, folders))}); "
            f"run `lmbench corpora fetch {corpus}`, or get the file by hand: `lmbench corpora add {corpus} FILE`"
        )
    data = read_bytes(path)
    check_sum(data, str(path), file.sums)
    return decode_utf8(data, str(path))
