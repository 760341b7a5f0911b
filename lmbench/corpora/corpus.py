"""Corpora: a registry of TOML descriptions, a user's own files, and the split that models train and score on."""

from __future__ import annotations

import glob
import hashlib
import itertools
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from lmbench.corpora.descriptions import Description, File, data_folders, describe, find, registry
from lmbench.corpora.download import check_sum
from lmbench.corpora.python_docs import _python_topics
from lmbench.corpora.sources import make_source
from lmbench.errors import InputError
from lmbench.storage.files import decode_utf8, read_bytes, read_text
from lmbench.text.canonical import CanonicalText, canonical_text
from lmbench.text.tokens import EncodedText, encode
from lmbench.text.units import unit_named
from lmbench.text.vocab import Vocab, build_vocab

Split = Literal["train", "valid", "test"]
SPLITS: tuple[Split, ...] = ("train", "valid", "test")


@dataclass(frozen=True)
class Corpus:
    """Three canonical texts that do not overlap, and where they come from.

    train, valid, test: CanonicalText; valid is None where the user gave none. normalise, documents: how the texts
    were made of the files. entropy_rate: (low, high) bits a character where the truth is known.
    """

    name: str
    train: CanonicalText
    valid: CanonicalText | None
    test: CanonicalText | None
    normalise: str = "none"
    documents: str = "stream"
    info: dict[str, Any] = field(default_factory=dict)
    entropy_rate: tuple[float, float] | None = None
    _encoded: dict[tuple[str, str], Any] = field(default_factory=dict, repr=False)

    @classmethod
    def from_files(
        cls,
        train: str | os.PathLike[str],
        valid: str | os.PathLike[str] | None = None,
        test: str | os.PathLike[str] | None = None,
        normalise: str = "none",
        documents: str = "stream",
        name: str | None = None,
    ) -> Corpus:
        """A user's own texts. A path may be a file, a directory (every file in it) or a glob pattern.

        Raises InputError where a text is missing, empty after normalising, or stands in two of the places.
        """
        paths = {"train": train, "valid": valid, "test": test}
        read = {split: files_of(path) for split, path in paths.items() if path is not None}
        seen: dict[Path, str] = {}
        for split, files in read.items():
            for file in files:
                if (other := seen.setdefault(file.resolve(), split)) != split:
                    raise InputError(
                        f"{file} is given as {other} and as {split}; a text may be only one of them"
                    )
        texts = {split: read_canonical(files, normalise, documents) for split, files in read.items()}
        whole = [split for split in texts if split != "train" and texts[split].text == texts["train"].text]
        if whole:
            raise InputError(f"the {whole[0]} text is the training text; give another")
        name = name or Path(str(train)).stem
        info = {"title": name, "source": str(train)}
        return cls(name, texts["train"], texts.get("valid"), texts.get("test"), normalise, documents, info)

    def text(self, split: Split) -> CanonicalText:
        """Raises InputError where the corpus has no such split."""
        found: CanonicalText | None = getattr(self, split)
        if found is None:
            raise InputError(f"corpus {self.name} has no {split} text; give --{split} FILE")
        return found

    def whole(self) -> CanonicalText:
        """All of the text, as it stood before it was divided."""
        text, starts, offset = "", [], 0
        for piece in (self.train, self.valid, self.test):
            if piece is not None:
                joined = bool(text) and not text.endswith("\n")
                starts.append(piece.starts[1:] + offset if joined else piece.starts + offset)
                text += piece.text
                offset = len(text)
        return CanonicalText(text, np.concatenate(starts))

    @cached_property
    def sha256(self) -> str:
        """Of the canonical texts: train, valid, test."""
        digest = hashlib.sha256()
        for split in SPLITS:
            found = getattr(self, split)
            digest.update(b"\0" if found is None else found.text.encode() + b"\0" + found.starts.tobytes())
        return digest.hexdigest()

    def vocab(self, unit: str) -> Vocab:
        """The training text's vocabulary."""
        return self._cached("vocab", unit, lambda: build_vocab(self.train, unit_named(unit)))

    def encoded(self, unit: str, split: Split) -> EncodedText:
        """One of the texts in the training text's vocabulary."""
        return self._cached(split, unit, lambda: encode(self.text(split), unit_named(unit), self.vocab(unit)))

    def _cached(self, what: str, unit: str, make: Callable[[], Any]) -> Any:
        if (what, unit) not in self._encoded:
            self._encoded[what, unit] = make()
        return self._encoded[what, unit]

    def with_held_out(self) -> Corpus:
        """The corpus with a valid text: its own, or else the last tenth of the training documents or stream."""
        if self.valid is not None:
            return self
        train, valid = divide(self.train, (0.9, 0.1))
        if not (train.text and valid.text):
            raise InputError(f"{self.name} is too short to hold a tenth out; give --valid FILE")
        info = {**self.info, "held_out": "the last tenth of the training text"}
        return Corpus(
            self.name, train, valid, self.test, self.normalise, self.documents, info, self.entropy_rate
        )

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
            **{key: self.info[key] for key in ("title", "licence", "homepage") if key in self.info},
        }


def divide(text: CanonicalText, fractions: Sequence[float]) -> list[CanonicalText]:
    """Cuts a text in order: between documents where there are enough, else at the first word start after the cut.

    Documents are counted where each is a line, and weighed by length otherwise. fractions sum to 1.
    """
    cuts = np.cumsum(fractions)[:-1]
    documents = text.documents()
    if len(documents) < 3 * len(fractions):
        at = [_word_start(text.text, int(cut * text.chars)) for cut in cuts]
        bounds = [0, *at, text.chars]
        pieces = [text.text[a:b] for a, b in itertools.pairwise(bounds)]
        inner = text.starts
        return [
            CanonicalText(piece, np.unique(np.append(0, inner[(inner > a) & (inner < b)] - a)))
            for piece, a, b in zip(pieces, bounds, bounds[1:], strict=False)
        ]
    lines = all(d.count("\n") <= 1 for d in documents)
    ends = np.arange(1, len(documents) + 1) if lines else np.cumsum([len(d) for d in documents])
    at = [int(np.searchsorted(ends, int(cut * ends[-1]), side="right")) for cut in cuts]
    bounds = [0, *at, len(documents)]
    return [CanonicalText.of(documents[a:b]) for a, b in itertools.pairwise(bounds)]


def _word_start(text: str, at: int, reach: int = 200) -> int:
    """The first word start from ``at`` on; ``at`` itself where the text has no blank nearby."""
    near = (i for i in range(at, min(at + reach, len(text))) if i == 0 or text[i - 1].isspace())
    return next(near, at)


# Files ---------------------------------------------------------------------------------------------


def files_of(path: str | os.PathLike[str]) -> list[Path]:
    """A file, every file of a directory, or those that a glob pattern matches, sorted."""
    found = Path(path)
    if found.is_dir():
        files = sorted(p for p in found.rglob("*") if p.is_file() and not p.name.startswith("."))
        if not files:
            raise InputError(f"{path} is a directory without files; put texts in it or name another")
        return files
    if not found.exists() and any(c in str(path) for c in "*?["):
        files = sorted(p for p in map(Path, glob.glob(str(path), recursive=True)) if p.is_file())
        if not files:
            raise InputError(f"no file matches {path}; check the pattern")
        return files
    if not found.exists():
        raise InputError(f"no such file or corpus: {path}; the corpora are {', '.join(sorted(registry()))}")
    return [found]


def read_canonical(files: Iterable[Path], normalise: str, documents: str) -> CanonicalText:
    files = list(files)
    text = canonical_text([read_text(f) for f in files], normalise, documents)
    if not text.text:
        raise InputError(
            f"{files[0]} is empty after normalising with {normalise!r}; give another --normalise"
        )
    return text


# Registered corpora ----------------------------------------------------------------------------------


def load_corpus(name: str, normalise: str | None = None, documents: str | None = None) -> Corpus:
    """A registered corpus (or a TOML file's), read, checked and divided.

    normalise, documents: in place of the description's own. Raises InputError where the name is unknown, a file
    has not been fetched (the message says how to get it) or is not the file expected.
    """
    told = describe(name)
    normalise, documents = normalise or told.normalise, documents or told.documents
    stem = Path(name).stem if name.endswith(".toml") else name
    info = {"title": told.title, "licence": told.licence, "homepage": told.homepage}
    if told.source is not None:
        return _from_source(stem, told, normalise, documents, info)
    folders = [Path(name).parent] if name.endswith(".toml") else []
    texts = {file.role: _read(stem, file, folders + data_folders()) for file in told.files}
    if "" in texts:
        whole = canonical_text([texts[""]], normalise, documents)
        train, valid, test = divide(whole, (1 - told.valid - told.test, told.valid, told.test))
    else:
        train, valid, test = (canonical_text([texts[s]], normalise, documents) for s in SPLITS)
    return Corpus(stem, train, valid, test, normalise, documents, info)


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


def _from_source(
    name: str, told: Description, normalise: str, documents: str, info: dict[str, Any]
) -> Corpus:
    settings = dict(told.source or {})
    kind = settings.pop("kind", "")
    if kind == "python-topics":
        raw, entropy_rate = _python_topics(), None
    else:
        length, seed = settings.pop("length", 200_000), settings.pop("seed", 0)
        made = make_source(kind, **settings)
        raw, entropy_rate = [made.generate(length, np.random.default_rng(seed))], made.entropy_rate
    text = canonical_text(raw, normalise, documents)
    train, valid, test = divide(text, (1 - told.valid - told.test, told.valid, told.test))
    return Corpus(name, train, valid, test, normalise, documents, info, entropy_rate)
