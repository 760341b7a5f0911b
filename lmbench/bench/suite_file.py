"""Suite files: TOML read against the types, checked, counted out and written back."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from lmbench.bench.suite import Suite
from lmbench.errors import InputError, unknown
from lmbench.models import make_model
from lmbench.storage.files import read_text
from lmbench.studies import study_function
from lmbench.text.canonical import DOCUMENTS, NORMALISERS
from lmbench.text.units import check_unit
from lmbench.text.vocab import Vocab


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


def _counted(tables: dict[str, Any]) -> dict[str, Any]:
    """``seeds = 3`` is short for 0, 1, 2, of the suite and of a row."""
    rows = tables.get("models")
    for table in (tables, *(rows if isinstance(rows, list) else ())):
        if isinstance(table, dict) and type(table.get("seeds")) is int:
            if table["seeds"] < 1:
                raise InputError(f"seeds = {table['seeds']} is how many, at least 1, or a list")
            table["seeds"] = list(range(table["seeds"]))
    return tables


def check(suite: Suite) -> None:
    """Raises InputError for what the types do not say: names, options, labels, components."""
    corpora, models, external = suite.corpus_specs(), suite.models, suite.external
    for key, remedy in (
        ("corpora", "name at least one corpus"),
        ("models", "add a [[models]] table"),
        ("seeds", "leave it out or name at least one"),
    ):
        if not getattr(suite, key):
            raise InputError(f"{key} is empty; {remedy}")
    if suite.splits < 0 or suite.splits == 1:
        raise InputError(
            f"splits = {suite.splits} is to be at least 2, or 0 for the corpus's own division alone"
        )
    if not re.fullmatch(r"[\w.-]+", suite.name):
        raise InputError(f"name = {suite.name!r} is to be a folder's name: letters, digits, '.', '_' and '-'")
    names, labels = [spec.name for spec in corpora], [row.label for row in models]
    for where, seeds in [
        ("seeds", suite.seeds),
        *((f"models[{i}].seeds", r.seeds) for i, r in enumerate(models)),
    ]:
        _each_once(where, seeds, "it would make the same models again")
    _each_once("corpora[{}].name", names, "give one a name of its own")
    _each_once("models[{}].label", labels, "give each row a label of its own")
    for where, name in (
        *((f"corpora[{i}].name", name) for i, name in enumerate(names)),
        *((f"models[{i}].label", label) for i, label in enumerate(labels)),
        *((f"external[{i}].label", row.label) for i, row in enumerate(external)),
    ):
        if "/" in name or name.startswith("."):
            raise InputError(f"{where} {name!r} is to be a file's name")
    for where, value, known in (
        *((f"corpora[{i}].normalise", spec.normalise, NORMALISERS) for i, spec in enumerate(corpora)),
        *((f"corpora[{i}].documents", spec.documents, DOCUMENTS) for i, spec in enumerate(corpora)),
        *((f"external[{i}].corpus", row.corpus or None, names) for i, row in enumerate(external)),
    ):
        if value is not None and value not in known:
            raise unknown(where, value, known)
    for study in suite.studies:
        study_function(study)
    for i, row in enumerate(models):
        try:
            check_unit(row.unit)
            components = make_model(row.model, **row.options).traits.components
            row.lexicon.of(Vocab(), row.unit)
        except InputError as error:
            raise InputError(f"models[{i}]: {error}") from None
        for label in components:
            if label not in labels[:i]:
                raise unknown(f"component of models[{i}] (rows above it)", label, labels[:i])
    for i, other in enumerate(external):
        if not other.corpus and len(names) > 1:
            raise InputError(
                f"external[{i}].corpus is missing; name the one of {', '.join(names)} that was scored"
            )
        before = [*labels, *(r.label for r in external[:i] if r.corpus == other.corpus)]
        _each_once(
            f"external[{i}].label", [*dict.fromkeys(before), other.label], "give each row a label of its own"
        )


def _each_once(where: str, values: Sequence[Any], remedy: str) -> None:
    """Raises InputError for a value that stands twice; ``{}`` in where: the number of its second place."""
    for i, value in enumerate(values):
        if value in values[:i]:
            raise InputError(f"{where.format(i)}: {value!r} stands twice; {remedy}")


def to_toml(suite: Suite) -> str:
    """The suite as a TOML file that ``lmbench run`` takes."""
    import tomli_w

    return tomli_w.dumps(msgspec.to_builtins(suite))
