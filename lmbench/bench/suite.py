"""Suites: which models are run on which corpora, read from TOML and checked before anything runs."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from lmbench.comparing.pairs import WORTHWHILE
from lmbench.corpora.corpus import Corpus
from lmbench.corpora.descriptions import data_folders, describe, find, registry
from lmbench.corpora.formats import files_of, stem_of
from lmbench.corpora.inputs import is_described
from lmbench.counts.ngrams import LONGEST
from lmbench.errors import LARGEST_SEED, InputError, unknown
from lmbench.models import MODELS, make_model, model_class
from lmbench.models.options import needs_trust, option_fields
from lmbench.text.vocab import Lexicon

MOST_SEEDS = 1000
# Orders of n-grams whose ranks are fitted.
Orders = tuple[Annotated[int, Meta(ge=1, le=LONGEST)], ...]
# Of each file of a text: path, time, size, number.
Stamps = tuple[tuple[str | int, ...], ...]
Seeds = Annotated[tuple[Annotated[int, Meta(ge=0, le=LARGEST_SEED)], ...], Meta(max_length=MOST_SEEDS)]


class CorpusSpec(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, frozen=True):
    """A text of a suite: a registered corpus by its name, a description by its path, or files of the user's own.

    train: a file, a pattern, a directory, a description (``.toml``), or a list of files; left out where ``name`` is a
    registered corpus. valid, test: files too, or shares of ``train``; default a tenth each. field: of JSON lines and
    Parquet.
    """

    name: str
    normalise: str | None = None
    documents: str | None = None
    train: str | tuple[str, ...] | None = None
    valid: str | tuple[str, ...] | float | None = None
    test: str | tuple[str, ...] | float | None = None
    field: str | None = None

    @classmethod
    def of(cls, place: str) -> CorpusSpec:
        """From what stands in a list of corpora: a registered name, or the path of a description or of a text."""
        return cls(place) if place in registry() else cls(stem_of(place), train=place)

    def at_home(self) -> CorpusSpec:
        """The same with files named from the root."""

        def absolute(place: Any) -> Any:
            if isinstance(place, tuple):
                return tuple(map(absolute, place))
            there = isinstance(place, str) and place not in registry() and place != "-"
            return os.path.abspath(place) if there else place

        parts = {name: absolute(getattr(self, name)) for name in ("train", "valid", "test")}
        return msgspec.structs.replace(self, **parts)

    def stamps(self) -> Stamps:
        """What tells of each file whether it is still the one that was read. Files of registered corpora are checked when they are read. Raises InputError where one is missing."""
        found: list[Path] = []
        for place in (self.train, self.valid, self.test):
            if isinstance(place, str) and is_described(place):
                if place.endswith(".toml"):
                    own = Path(place)
                    folders = [own.parent, *data_folders()]
                    found += [own, *(path for file in describe(place).files if (path := find(file, folders)))]
            elif isinstance(place, (str, tuple)) and place != "-":
                found += files_of(place)
        facts = [(path.resolve(), path.stat()) for path in found if path.exists()]
        return tuple((str(path), s.st_mtime_ns, s.st_size, s.st_ino) for path, s in facts)

    def load(self) -> Corpus:
        return Corpus.of(
            self.name if self.train is None else self.train,
            self.valid,
            self.test,
            normalise=self.normalise,
            documents=self.documents,
            field=self.field,
            name=self.name,
        ).with_held_out()


class ModelSpec(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """A row of the leaderboard; seeds: default the suite's. unk, vocab, min_count: see ``Lexicon``."""

    model: str
    label: str = ""
    unit: str = "char"
    options: dict[str, Any] = {}
    seeds: Seeds = ()
    unk: str = ""
    vocab: str = ""
    min_count: int = 0

    def __post_init__(self) -> None:
        # Of options the values alone: kneser-ney-subword-4000.
        unit = re.sub(r"[^\w.-]+", "-", re.sub(r"\w+=(\S*/)?", "", self.unit)).strip("-")
        self.label = self.label or (self.model if self.unit == "char" else f"{self.model}-{unit}")

    @property
    def lexicon(self) -> Lexicon:
        return Lexicon(self.unk, self.vocab, self.min_count)

    @property
    def code(self) -> frozenset[str]:
        """The model's name, where the row does what a stranger's may not: names a class, runs what a model's folder brings, asks elsewhere."""
        kind, _ = model_class(self.model)
        fields = option_fields(kind)
        runs = any(key in fields and needs_trust(fields[key], value) for key, value in self.options.items())
        return frozenset([self.model] if runs or self.model not in MODELS else [])


class ExternalSpec(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """A row whose scores another program has written (see ``external.py``); corpus: default the suite's only one."""

    file: str
    label: str = ""
    corpus: str = ""
    unit: str = "token"
    vocab_size: int = 0

    def __post_init__(self) -> None:
        self.label = self.label or Path(self.file).stem


class SampleSpec(msgspec.Struct, forbid_unknown_fields=True):
    """The text that each model writes for the report."""

    prompt: str = "the "
    chars: int = 240
    temperatures: tuple[float, ...] = (0.5, 1.0)


class Suite(msgspec.Struct, forbid_unknown_fields=True):
    """What ``lmbench run`` runs: every model on every corpus, with every seed."""

    name: str
    corpora: list[str | CorpusSpec]
    models: list[ModelSpec]
    external: list[ExternalSpec] = []
    title: str = ""
    cost: str = ""  # about how long it takes, and on what: what lists of suites say
    seeds: Seeds = (0,)
    zipf_orders: Orders = (1, 2, 3)
    studies: list[str] = []
    splits: int = 0  # further divisions of each text, on which what fits fast is measured again
    worthwhile: Annotated[float, msgspec.Meta(gt=0)] = (
        WORTHWHILE  # bits per character: differences that are less hardly matter
    )
    # Tokens of the test text that every model has to code and decode; 0: none.
    verify: Annotated[int, msgspec.Meta(ge=0)] | Literal["all"] = 0
    samples: SampleSpec = msgspec.field(default_factory=SampleSpec)

    def corpus_specs(self) -> list[CorpusSpec]:
        return [CorpusSpec.of(c) if isinstance(c, str) else c for c in self.corpora]

    def narrowed(
        self, corpora: list[str], models: list[str], seed: int | None, seeds: int | None = None
    ) -> Suite:
        """The suite with other corpora, only some of its models (and what they combine), or other seeds.

        seeds: how many, from ``seed`` (default 0) on; they take the place of the rows' own, too.
        """
        chosen, external = self.models, self.external
        if models:
            external = [spec for spec in self.external if spec.label in models]
            models = [label for label in models if label not in [spec.label for spec in external]]
            by_label = {spec.label: spec for spec in self.models}
            wanted: list[str] = []
            queue = list(models)
            while queue:
                label = queue.pop()
                if label not in by_label:
                    raise unknown(f"model label of suite {self.name}", label, by_label)
                if label not in wanted:
                    wanted.append(label)
                    spec = by_label[label]
                    queue.extend(make_model(spec.model, **spec.options).traits.components)
            chosen = [spec for spec in self.models if spec.label in wanted]
        by_name = {spec.name: spec for spec in self.corpus_specs()}
        specs: list[str | CorpusSpec] = [by_name.get(place, place) for place in corpora] or self.corpora
        kept = [by_name[place] if place in by_name else CorpusSpec.of(place) for place in corpora]
        names = [spec.name for spec in kept]
        if corpora:
            only = self.corpus_specs()[0].name
            external = [spec for spec in external if (spec.corpus or only) in names]
        replaced = bool(corpora) and set(names) != set(by_name)
        name = "-".join([self.name, *names]) if replaced else self.name
        name = re.sub(r"[^\w.-]+", "-", name)
        chosen_seeds = self.seeds
        if seed is not None or seeds is not None:
            first, number = seed or 0, 1 if seeds is None else seeds
            if not (1 <= number <= MOST_SEEDS and 0 <= first <= LARGEST_SEED - MOST_SEEDS):
                raise InputError(f"{number} seeds from {first} on: give 1 to {MOST_SEEDS}, from 0 or more on")
            chosen_seeds = tuple(range(first, first + number))
            chosen = [msgspec.structs.replace(spec, seeds=()) for spec in chosen]
        rows = {"models": chosen, "external": external}
        return msgspec.structs.replace(self, name=name, corpora=specs, seeds=chosen_seeds, **rows)
