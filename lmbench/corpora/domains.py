"""Texts by domain: the folders of a folder, its files, or a field of JSON lines and Parquet."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from lmbench.corpora.formats import FIELD, files_of, is_rows, raw_documents
from lmbench.errors import InputError


def texts_by_domain(
    place: str | Path, field: str | None = None, domain: str = "domain"
) -> dict[str, list[str]]:
    """The documents of each domain, in order of first appearance.

    Of a folder each folder in it is a domain, and each file that stands in it beside those; of a file with a text a row (JSON lines,
    Parquet) its rows have a domain in a field of this name. field: that holds the text (default ``text``). Raises InputError where there is
    nothing, or a single plain file.
    """
    root = Path(place)
    if not root.is_dir():
        if not is_rows(root, field):
            raise InputError(
                f"{place} is one text; give a folder of domains, or JSON lines with a field {domain}"
            )
        texts, names = (raw_documents([root], name) for name in (field or FIELD, domain))
        return _together(zip(names, texts, strict=True))
    pairs = []
    for file in files_of(root):
        inside = file.relative_to(root)
        name = inside.parts[0] if len(inside.parts) > 1 else inside.name.partition(".")[0]
        pairs += [(name, text) for text in raw_documents([file], field if is_rows(file) else None)]
    return _together(pairs)


def _together(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    domains: dict[str, list[str]] = {}
    for name, text in pairs:
        domains.setdefault(name, []).append(text)
    return domains
