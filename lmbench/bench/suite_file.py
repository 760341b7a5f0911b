"""Suite files: TOML read against the types, checked, counted out and written back."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import msgspec

from lmbench.bench.suite import Suite
from lmbench.errors import InputError, unknown
from lmbench.models import make_model
from lmbench.storage.files import read_text
from lmbench.studies import study_function
from lmbench.text.canonical import DOCUMENTS, NORMALISERS
from lmbench.text.units import UNITS


def built_in() -> dict[str, Path]:
    """The suites that come along: name -> file."""
    return {p.stem: p for p in sorted((Path(__file__).parents[1] / "suites").glob("*.toml"))}


def load_suite(name: str) -> Suite:
    """Reads a suite by a built-in name or a TOML file's path; raises InputError that names the key at fault."""
    path = built_in().get(name, Path(name))
    if not path.exists():
        if "." not in name:
            raise unknown("suite", name, built_in())
        raise InputError(f"no such suite: {name}; give a TOML file or one of {', '.join(built_in())}")
    tables = tables_of(path)
    try:
        suite = msgspec.convert(_counted(tables), Suite)
        check(suite)
    except msgspec.ValidationError as error:
        raise InputError(f"{path}: {str(error).replace('$.', '')}") from None
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    return suite


def tables_of(path: str | Path) -> dict[str, Any]:
    """A TOML file's plain values. Raises InputError where it is none."""
    try:
        return tomllib.loads(read_text(path))
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path}: {error}") from None


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
    if suite.splits < 0 or suite.splits == 1:
        raise InputError(
            f"splits = {suite.splits} is to be at least 2, or 0 for the corpus's own division alone"
        )
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
        for label in made.traits.components:
            if label not in labels:
                raise unknown(f"component of {where} (rows above it)", label, labels)
        labels.append(model.label)
    names = [spec.name for spec in suite.corpus_specs()]
    for number, name in enumerate(names):
        if name in names[:number]:
            raise InputError(f"corpora[{number}]: the name {name} stands twice; give one a name of its own")
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
        for key in ("name", "title", "seeds", "zipf_orders", "studies", "splits", "verify")
    ]
    corpora = [
        c if isinstance(c, str) else {k: v for k, v in msgspec.structs.asdict(c).items() if v is not None}
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
