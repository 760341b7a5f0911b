"""Suites: which models are run on which corpora, read from TOML and checked before anything runs."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import msgspec

from lmbench.corpus import Corpus, load_corpus
from lmbench.files import InputError, read_text, unknown
from lmbench.models import make_model
from lmbench.studies import study_function
from lmbench.text import DOCUMENTS, NORMALISERS
from lmbench.units import UNITS


class CorpusSpec(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A registered corpus by name, or a name for files of the user's own."""

    name: str
    normalise: str | None = None
    documents: str | None = None
    train: str | None = None
    valid: str | None = None
    test: str | None = None

    def load(self) -> Corpus:
        if self.train is None:
            return load_corpus(self.name, self.normalise, self.documents)
        if self.test is None:
            raise InputError(f"corpus {self.name} has train but no test; add test = FILE to it")
        corpus = Corpus.from_files(
            self.train,
            self.valid,
            self.test,
            self.normalise or "none",
            self.documents or "stream",
            self.name,
        )
        return corpus.with_held_out()


class ModelSpec(msgspec.Struct, forbid_unknown_fields=True):
    """A row of the leaderboard; seeds: default the suite's."""

    model: str
    label: str = ""
    unit: str = "char"
    options: dict[str, Any] = {}
    seeds: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        self.label = self.label or (self.model if self.unit == "char" else f"{self.model}-{self.unit}")


class ExternalSpec(msgspec.Struct, forbid_unknown_fields=True):
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
    seeds: tuple[int, ...] = (0,)
    zipf_orders: tuple[int, ...] = (1, 2, 3)
    studies: list[str] = []
    verify: int = 0  # tokens of the test text that every model has to code and decode; 0: none
    samples: SampleSpec = msgspec.field(default_factory=SampleSpec)

    def corpus_specs(self) -> list[CorpusSpec]:
        return [CorpusSpec(c) if isinstance(c, str) else c for c in self.corpora]

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
                    queue.extend(make_model(spec.model, **spec.options).component_labels)
            chosen = [spec for spec in self.models if spec.label in wanted]
        known = {spec.name: spec for spec in self.corpus_specs()}
        if corpora:
            only = self.corpus_specs()[0].name
            external = [spec for spec in external if (spec.corpus or only) in corpora]
        specs: list[str | CorpusSpec] = [known.get(name, name) for name in corpora] or self.corpora
        replaced = bool(corpora) and set(corpora) != set(known)
        name = "-".join([self.name, *corpora]) if replaced else self.name
        name = re.sub(r"[^\w.-]+", "-", name)
        told = self.seeds
        if seed is not None or seeds is not None:
            told = tuple(range(seed or 0, (seed or 0) + (seeds or 1)))
            chosen = [msgspec.structs.replace(spec, seeds=()) for spec in chosen]
        rows = {"models": chosen, "external": external}
        return msgspec.structs.replace(self, name=name, corpora=specs, seeds=told, **rows)


def built_in() -> dict[str, Path]:
    """The suites that come along: name -> file."""
    return {p.stem: p for p in sorted((Path(__file__).parent / "suites").glob("*.toml"))}


def load_suite(name: str) -> Suite:
    """Reads a suite by a built-in name or a TOML file's path; raises InputError that names the key at fault."""
    path = built_in().get(name, Path(name))
    if not path.exists():
        raise InputError(f"no such suite: {name}; give a TOML file or one of {', '.join(built_in())}")
    try:
        suite = msgspec.convert(_counted(tomllib.loads(read_text(path))), Suite)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path}: {error}") from None
    except msgspec.ValidationError as error:
        raise InputError(f"{path}: {str(error).replace('$.', '')}") from None
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    try:
        check(suite)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    return suite


def _counted(told: dict[str, Any]) -> dict[str, Any]:
    """``seeds = 3`` is short for 0, 1, 2, of the suite and of a row."""
    rows = told.get("models")
    for table in (told, *(rows if isinstance(rows, list) else ())):
        if isinstance(table, dict) and type(table.get("seeds")) is int:
            if table["seeds"] < 1:
                raise InputError(f"seeds = {table['seeds']} is how many, at least 1, or a list")
            table["seeds"] = list(range(table["seeds"]))
    return told


def check(suite: Suite) -> None:
    """Raises InputError for what the types do not say: names, options, labels, components."""
    if not suite.corpora:
        raise InputError("corpora is empty; name at least one corpus")
    if not suite.models:
        raise InputError("models is empty; add a [[models]] table")
    if not suite.seeds:
        raise InputError("seeds is empty; leave it out or name at least one")
    if len(set(suite.seeds)) < len(suite.seeds):
        raise InputError("seeds: a seed stands twice; it would make the same models again")
    if not re.fullmatch(r"[\w.-]+", suite.name):
        raise InputError(f"name = {suite.name!r} is to be a folder's name: letters, digits, '.', '_' and '-'")
    for number, spec in enumerate(suite.corpus_specs()):
        for key, value, known in (
            ("normalise", spec.normalise, NORMALISERS),
            ("documents", spec.documents, DOCUMENTS),
        ):
            if value is not None and value not in known:
                raise unknown(f"corpora[{number}].{key}", value, known)
    for study in suite.studies:
        study_function(study)
    labels: list[str] = []
    for number, model in enumerate(suite.models):
        where = f"models[{number}]"
        if len(set(model.seeds)) < len(model.seeds):
            raise InputError(f"{where}.seeds: a seed stands twice; it would make the same model again")
        if model.unit not in UNITS:
            raise unknown(f"{where}.unit", model.unit, UNITS)
        if "/" in model.label or model.label.startswith("."):
            raise InputError(f"{where}.label {model.label!r} is to be a file's name")
        if model.label in labels:
            raise InputError(f"{where}.label {model.label!r} stands twice; give each row a label of its own")
        try:
            made = make_model(model.model, **model.options)
        except InputError as error:
            raise InputError(f"{where}: {error}") from None
        for label in made.component_labels:
            if label not in labels:
                raise unknown(f"component of {where} (rows above it)", label, labels)
        labels.append(model.label)
    names = [spec.name for spec in suite.corpus_specs()]
    for number, row in enumerate(suite.external):
        where = f"external[{number}]"
        if not row.corpus and len(names) > 1:
            raise InputError(f"{where}.corpus is missing; name the one of {', '.join(names)} that was scored")
        if row.corpus and row.corpus not in names:
            raise unknown(f"{where}.corpus", row.corpus, names)
        if "/" in row.label or row.label.startswith("."):
            raise InputError(f"{where}.label {row.label!r} is to be a file's name")
        if row.label in labels or (row.corpus, row.label) in [
            (r.corpus, r.label) for r in suite.external[:number]
        ]:
            raise InputError(f"{where}.label {row.label!r} stands twice; give each row a label of its own")


def to_toml(suite: Suite) -> str:
    """The suite as a TOML file that ``lmbench run`` takes."""
    lines = [
        f"{key} = {_toml(getattr(suite, key))}"
        for key in ("name", "title", "seeds", "zipf_orders", "studies", "verify")
    ]
    corpora = [
        c if isinstance(c, str) else {k: v for k, v in msgspec.structs.asdict(c).items() if v}
        for c in suite.corpora
    ]
    lines.append(f"corpora = {_toml(corpora)}")
    lines += [
        "",
        "[samples]",
        *(f"{k} = {_toml(v)}" for k, v in msgspec.structs.asdict(suite.samples).items()),
    ]
    for table, rows in (("models", suite.models), ("external", suite.external)):
        for row in rows:
            lines += ["", f"[[{table}]]"]
            lines += [f"{key} = {_toml(v)}" for key, v in msgspec.structs.asdict(row).items() if v]
    return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{k} = {_toml(v)}" for k, v in value.items()) + " }"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_toml(v) for v in value) + "]"
    return msgspec.json.encode(value).decode()
