"""Suite files: TOML read against the types, checked, counted out and written back."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from lmbench.bench.strangers import check_code, read_suite, within
from lmbench.bench.suite import MOST_SEEDS, CorpusSpec, ExternalSpec, ModelSpec, SampleSpec, Suite
from lmbench.errors import InputError, nearest, shown, unknown
from lmbench.models import make_model
from lmbench.models.trust import trusting
from lmbench.storage.names import folded, name_fault
from lmbench.storage.plain import toml_of
from lmbench.studies import study_function
from lmbench.text.canonical import DOCUMENTS, NORMALISERS
from lmbench.text.units import check_unit
from lmbench.text.vocab import Vocab


def built_in() -> dict[str, Path]:
    """The suites that come along: name -> file."""
    return {p.stem: p for p in sorted((Path(__file__).parents[1] / "suites").glob("*.toml"))}


def load_suite(name: str, trust_code: bool = False, trust_paths: bool = False) -> Suite:
    """Reads a suite by a built-in name or a TOML file's path; raises InputError that names the key at fault.

    Of a suite that was not written here (``bench.strangers``) paths are taken from its own folder and may not lead out of it, unless
    trust_paths; and it may name classes of other packages only with trust_code.

    >>> suite = load_suite("words")
    >>> suite.name, [row.label for row in suite.models][:2]
    ('words', ['unigram-word', 'trigram-word'])
    """
    path = built_in().get(name, Path(name))
    if not path.exists():
        if "." not in name:
            raise unknown("suite", name, built_in())
        raise InputError(
            f"no such suite: {name}; {nearest(name, built_in())}give a TOML file or one of {', '.join(built_in())}"
        )
    text, own = read_suite(path)
    tables = toml_of(path, text)
    own = own or name in built_in()
    try:
        suite = msgspec.convert(_counted(tables), Suite)
        with trusting(own or trust_code):
            if not own:
                check_code(suite)
            if not own and not trust_paths:
                suite = within(suite, path.parent)
            check(suite)
    except msgspec.ValidationError as error:
        raise InputError(f"{path}: {_explained(str(error))}") from None
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    return suite


def _explained(message: str) -> str:
    """What msgspec says of a suite, its places named as a suite names them, with the keys nearest to one that is none.

    >>> _explained("Object contains unknown field `optons` - at `$.models[0]`")
    'unknown key optons at models[0]; did you mean options?'
    """
    unknown_key = re.fullmatch(r"Object contains unknown field `(.*?)`(?: - at `\$\.(.*)`)?", message, re.S)
    if unknown_key is None:
        return message.replace("$.", "")
    key, place = unknown_key.groups()
    kinds = {"models": ModelSpec, "external": ExternalSpec, "corpora": CorpusSpec, "samples": SampleSpec}
    fields = kinds.get(re.sub(r"\W.*", "", place or "", flags=re.S), Suite).__struct_fields__
    known = nearest(key, fields, 1).rstrip() or f"known: {', '.join(fields)}"
    return f"unknown key {key}{f' at {place}' if place else ''}; {known}"


def _counted(tables: dict[str, Any]) -> dict[str, Any]:
    """``seeds = 3`` is short for 0, 1, 2, of the suite and of a row."""
    rows = tables.get("models")
    for table in (tables, *(rows if isinstance(rows, list) else ())):
        if isinstance(table, dict) and type(table.get("seeds")) is int:
            if not 1 <= table["seeds"] <= MOST_SEEDS:
                raise InputError(f"seeds = {table['seeds']} is how many, 1 to {MOST_SEEDS}, or a list")
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
    names, labels = [spec.name for spec in corpora], [row.label for row in models]
    for where, seeds in [
        ("seeds", suite.seeds),
        *((f"models[{i}].seeds", r.seeds) for i, r in enumerate(models)),
    ]:
        _each_once(where, seeds, "it would make the same models again")
    _each_once("corpora[{}].name", names, "give one a name of its own")
    _each_once("models[{}].label", labels, "give each row a label of its own")
    for where, value, choices in (
        *((f"corpora[{i}].normalise", spec.normalise, NORMALISERS) for i, spec in enumerate(corpora)),
        *((f"corpora[{i}].documents", spec.documents, DOCUMENTS) for i, spec in enumerate(corpora)),
        *((f"external[{i}].corpus", row.corpus or None, names) for i, row in enumerate(external)),
    ):
        if value is not None and value not in choices:
            raise unknown(where, value, choices)
    for study in suite.studies:
        study_function(study)
    for i, row in enumerate(models):
        try:
            check_unit(row.unit)
        except InputError as error:
            raise InputError(f"models[{i}].unit: {error}") from None
        try:
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
    check_names(suite)


def check_names(suite: Suite) -> None:
    """Raises InputError where a name of the suite cannot be a file's or folder's in the run's, or two would be one."""
    names = [spec.name for spec in suite.corpus_specs()]
    labels = [row.label for row in suite.models]
    externals = [row.label for row in suite.external]
    if name_fault(suite.name) or not re.fullmatch(r"[\w.-]+", suite.name):
        raise InputError(
            f"name = {shown(suite.name)} is to be a folder's name: letters, digits, '.', '_' and '-', no dot first or last"
        )
    for key, values in (
        ("corpora[{}].name", names),
        ("models[{}].label", labels),
        ("external[{}].label", externals),
    ):
        for i, value in enumerate(values):
            if fault := name_fault(value):
                raise InputError(
                    f"{key.format(i)} {shown(value)} is to be a file's name, but {fault}; give another"
                )
    # A row of a further seed is a file called LABEL@SEED.
    files = [
        *labels,
        *(f"{row.label}@{seed}" for row in suite.models for seed in (row.seeds or suite.seeds)[1:]),
    ]
    for what, values in (("corpora", names), ("rows", [*files, *dict.fromkeys(externals)])):
        first: dict[str, str] = {}
        for value in values:
            if folded(value) in first:
                both = f"{shown(first[folded(value)])} and {shown(value)}"
                raise InputError(f"two {what} would have one file, {both}; give one another name")
            first[folded(value)] = value


def _each_once(where: str, values: Sequence[Any], remedy: str) -> None:
    """Raises InputError for a value that stands twice; ``{}`` in where: the number of its second place."""
    seen = set()
    for i, value in enumerate(values):
        if value in seen:
            raise InputError(f"{where.format(i)}: {value!r} stands twice; {remedy}")
        seen.add(value)


def to_toml(suite: Suite) -> str:
    """The suite as a TOML file that ``lmbench run`` takes."""
    import tomli_w

    return tomli_w.dumps(msgspec.to_builtins(suite))
