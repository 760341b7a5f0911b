"""What results.json holds, as documents made of the schema's types and docstrings: a JSON schema, and a page to read."""

from __future__ import annotations

import inspect
import re
from dataclasses import is_dataclass
from typing import Any, get_args, get_type_hints

import msgspec
from msgspec import Struct

from lmbench.results.schema import Results

FIELDS = re.compile(r"(?<!\S)((?:\w+, )*\w+): ")


def meanings(kind: type) -> dict[str, str]:
    """What a type's docstring says of each of its fields: ``name: meaning.``, several to a line, or ``name, name: meaning``.

    >>> from lmbench.comparing.compressors import Baseline
    >>> meanings(Baseline)["name"]
    'the program, with its order where it has one'
    """
    texts: dict[str, str] = {}
    for base in kind.__mro__:
        fields = set(get_type_hints(base)) if issubclass(base, Struct) or is_dataclass(base) else set()
        text = " ".join(inspect.cleandoc(base.__doc__ or "").partition("\n\n>>>")[0].split())
        heads = [head for head in FIELDS.finditer(text) if {*head[1].split(", ")} & fields]
        ends = [*(head.start() for head in heads[1:]), len(text)]
        for head, end in zip(heads, ends, strict=False):
            meaning = text[head.end() : end].strip().removesuffix(".")
            texts |= {name: meaning for name in head[1].split(", ") if name not in texts}
    return texts


def json_schema() -> dict[str, Any]:
    """The JSON schema of results.json, each key with its meaning."""
    schema = msgspec.json.schema(Results)
    kinds = [kind for kind in _kinds() if kind.__name__ in schema["$defs"]]
    for kind in kinds:
        texts = meanings(kind)
        definition = schema["$defs"][kind.__name__]
        definition["description"] = inspect.cleandoc(kind.__doc__ or "").partition("\n")[0]
        for name, key in definition["properties"].items():
            key["description"] = texts[name]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "results.json of lmbench",
    } | schema


def _kinds() -> list[type]:
    """Every type that results.json is made of."""
    kinds: dict[type, None] = {}

    def visit(kind: Any) -> None:
        hints = get_type_hints(kind) if hasattr(kind, "__struct_fields__") or is_dataclass(kind) else {}
        if hints and kind not in kinds:
            kinds[kind] = None
        for inner in (*hints.values(), *get_args(kind)):
            if inner not in kinds:
                visit(inner)

    visit(Results)
    return list(kinds)


def page() -> str:
    """The same as a page of Markdown: a section a type, a row for keys that share a meaning."""
    schema = json_schema()
    lines = [
        "# results.json",
        "",
        "All that a run found. Numbers that are infinite or not defined are `null`. The same as a",
        "[JSON schema](results.schema.json); both are made of the types that write and read the file.",
    ]
    for name, definition in schema["$defs"].items():
        lines += [
            "",
            f"## {name}",
            "",
            definition["description"],
            "",
            "| key | value | meaning |",
            "|---|---|---|",
        ]
        rows: dict[tuple[str, str], list[str]] = {}
        for key, value in definition["properties"].items():
            meaning = value["description"].replace("``", "`").replace("|", "\\|")
            rows.setdefault((_in_words(value), meaning), []).append(f"`{key}`")
        lines += [f"| {', '.join(keys)} | {kind} | {meaning} |" for (kind, meaning), keys in rows.items()]
    return "\n".join(lines) + "\n"


def _in_words(value: dict[str, Any]) -> str:
    """What a key may hold, as words: ``number or null``."""
    if "anyOf" in value:
        return " or ".join(map(_in_words, value["anyOf"]))
    if "$ref" in value:
        name = value["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "prefixItems" in value:
        return f"[{', '.join(map(_in_words, value['prefixItems']))}]"
    if "items" in value:
        return f"list of {_in_words(value['items'])}"
    return str(value.get("type", "any"))
