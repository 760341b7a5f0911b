"""Suites that were not written here: they run no code and read no files but their own folder's, unless the user says so.

A suite is the user's own where it lies in the folder in which lmbench runs and belongs to the user, or where lmbench itself wrote it, on
this account, at that place (the last line of such a suite is a code that only this account can make). Any other is a stranger's.
"""

from __future__ import annotations

import hmac
import os
import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from lmbench.bench.suite import CorpusSpec, Suite
from lmbench.corpora.descriptions import describe, registry
from lmbench.corpora.formats import files_of
from lmbench.errors import InputError, shown
from lmbench.models import MODELS, make_model, model_class
from lmbench.models.options import option_fields
from lmbench.models.trust import check_trust
from lmbench.storage.files import check_regular, decode_utf8, read_bytes, write_whole
from lmbench.text.units import LEARNT, unit_sources

MARK = "# Written at this place by lmbench: "


# Whose a suite is ----------------------------------------------------------------------------------------


def read_suite(path: Path) -> tuple[str, bool]:
    """A suite's text, and whether it is the user's own: of the file that was opened, whatever stands at its place a moment later.

    Raises InputError where it cannot be read.
    """
    try:
        check_regular(path)
        with open(path, "rb") as stream:
            about, data = os.fstat(stream.fileno()), stream.read()
        place = Path(os.path.realpath(path))
        here = place.parent == Path.cwd() and os.path.samestat(about, os.stat(place))
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from None
    text = decode_utf8(data, str(path))
    if here:
        return text, not hasattr(os, "getuid") or about.st_uid in (0, os.getuid())
    written, mark, code = text.rpartition(MARK)
    key = _key(make=False)
    ours = mark and key and hmac.compare_digest(code.strip().encode(), _code(key, place, written).encode())
    return text, bool(ours)


def write_suite(path: Path, text: str) -> None:
    """Writes a suite, whole or not at all, marked as written here."""
    key = _key(make=True)
    mark = f"{MARK}{_code(key, path.resolve(), text)}\n" if key else ""
    write_whole(path, text + mark)


def _code(key: bytes, place: Path, text: str) -> str:
    return hmac.digest(key, os.fsencode(place) + b"\0" + text.encode("utf-8", "replace"), "sha256").hex()


def _key(make: bool) -> bytes:
    """This account's secret; empty where it has none and none is to be made, or can be."""
    try:
        base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
        place = Path(base) / "lmbench" / "key"
        if make and not place.exists():
            write_whole(place, secrets.token_bytes(32), private=True)
        return read_bytes(place) if place.exists() else b""
    except (InputError, OSError, RuntimeError):  # RuntimeError: an account without a home
        return b""


# What a stranger's may do --------------------------------------------------------------------------------


def check_code(suite: Suite) -> None:
    """Raises InputError where a row would run code that nobody has trusted (``trusting``)."""
    for i, row in enumerate(suite.models):
        try:
            if row.model not in MODELS and ":" in row.model:
                check_trust(row.model)
            else:
                make_model(row.model, **row.options)
        except InputError as error:
            raise InputError(f"models[{i}]: {error}") from None


def within(suite: Suite, folder: Path) -> Suite:
    """The suite with its paths taken from the folder that it lies in.

    Raises InputError where one leads out of it: absolute, by ``..``, or by a link.
    """

    def settle(where: str, places: Any) -> Any:
        if isinstance(places, (tuple, list)):
            return tuple(settle(where, place) for place in places)
        return _settled(where, places, folder) if places and isinstance(places, str) else places

    corpora: list[str | CorpusSpec] = []
    for i, spec in enumerate(suite.corpus_specs()):
        if suite.corpora[i] == spec.name and spec.name in registry():
            corpora.append(spec.name)
            continue
        if spec.train is None and spec.name not in registry():
            spec = msgspec.structs.replace(spec, train=spec.name)
        texts = {key: settle(f"corpora[{i}].{key}", getattr(spec, key)) for key in ("train", "valid", "test")}
        corpora.append(msgspec.structs.replace(spec, **texts))
    models = []
    for i, row in enumerate(suite.models):
        fields = option_fields(model_class(row.model)[0])
        paths = {
            key: settle(f"models[{i}].{key}", value)
            for key, value in row.options.items()
            if key in fields and fields[key].metadata.get("kind") in ("path", "hub")
        }
        vocab = settle(f"models[{i}].vocab", row.vocab)
        unit = row.unit
        try:
            sources = unit_sources(unit)
        except InputError as error:
            raise InputError(f"models[{i}].unit: {error}") from None
        for file in sources:
            unit = f"{LEARNT}:file={settle(f'models[{i}].unit', str(file))}"
        models.append(msgspec.structs.replace(row, options={**row.options, **paths}, vocab=vocab, unit=unit))
    external = [
        msgspec.structs.replace(row, file=settle(f"external[{i}].file", row.file))
        for i, row in enumerate(suite.external)
    ]
    return msgspec.structs.replace(suite, corpora=corpora, models=models, external=external)


def _settled(where: str, place: str, folder: Path) -> str:
    if place == "-":
        return place
    beside = str(folder / place)
    place = beside if _is_there(beside) or not _is_there(place) else place
    base = Path(place)
    while any(mark in base.name for mark in "*?[") and not base.exists():
        base = base.parent
    for path in (base, *(_files(place) if _lies_in(base, folder) else ())):
        if not _lies_in(path, folder):
            raise InputError(
                f"{where} {shown(place, 80)} leads out of the suite's folder; a suite from elsewhere reads what lies in its "
                "own folder alone: --trust-paths (trust_paths=True) lets it"
            )
    return place


def _is_there(place: str) -> bool:
    try:
        return Path(place).exists() or bool(_parts(place))
    except (OSError, ValueError):
        return False


def _parts(place: str) -> Sequence[Path]:
    try:
        return files_of(place) if any(mark in place for mark in "*?[") else []
    except InputError:
        return []


def _files(place: str) -> Iterator[Path]:
    """The files that a place stands for; those of a description, too."""
    path = Path(place)
    if not path.exists():
        yield from _parts(place)
        return
    yield from files_of(place) if path.is_dir() else [path]
    if place.endswith(".toml"):
        for file in describe(place).files:
            yield path.parent / file.name


def _lies_in(path: Path, folder: Path) -> bool:
    return path.resolve().is_relative_to(folder.resolve())
