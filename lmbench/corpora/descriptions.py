"""The registry of corpora: TOML descriptions, where their files lie, and how they are got."""

from __future__ import annotations

import hashlib
import io
import os
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from lmbench.corpora.download import Progress, check_sum, download
from lmbench.errors import InputError, shown, unknown
from lmbench.storage.files import read_bytes, write_whole
from lmbench.storage.names import name_fault
from lmbench.storage.plain import toml_of
from lmbench.storage.unpacking import check_ratio, zip_archive


class File(msgspec.Struct, forbid_unknown_fields=True):
    """A file of a corpus. name: below the folders in which files are looked for."""

    name: Annotated[str, msgspec.Meta(max_length=200)]
    url: str = ""
    sha256: str = ""
    sha1: str = ""
    role: Literal["train", "valid", "test", ""] = ""  # '' where one file is to be divided

    def __post_init__(self) -> None:
        for part in self.name.split("/"):
            if fault := name_fault(part):
                raise ValueError(f"name {shown(self.name)} is no file's name: {fault}")

    @property
    def sums(self) -> dict[str, str]:
        return {kind: value for kind, value in (("sha256", self.sha256), ("sha1", self.sha1)) if value}


class Written(msgspec.Struct):
    """What every [source] table may say. kind: which source. length: characters. seed: of all randomness."""

    kind: str
    length: Annotated[int, msgspec.Meta(ge=1, le=10**8)] = 200_000
    seed: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)] = 0


class Description(msgspec.Struct, forbid_unknown_fields=True):
    """A corpora/*.toml file. Either ``files`` (with an ``archive`` that holds them, or a url each) or ``source``."""

    title: str
    licence: str = "unknown"
    homepage: str = ""
    normalise: str = "none"
    documents: str = "stream"
    valid: float = 0.1  # shares of a text that is to be divided
    test: float = 0.1
    files: list[File] = []
    archive: File | None = None
    source: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        if (self.source is None) != bool(self.files):
            raise ValueError("either [[files]] or a [source] is to be given")
        if self.source is not None:
            self.written()
        roles = sorted(file.role for file in self.files)
        if self.files and roles not in ([""], ["test", "train", "valid"]):
            raise ValueError("files are one without a role, or three whose roles are train, valid and test")

    def written(self) -> Written:
        """What the source is to write."""
        return msgspec.convert(self.source, Written)


def registry() -> dict[str, Path]:
    """The described corpora: name -> TOML file, beside the package when installed, else at the repository's top."""
    here = Path(__file__).parent
    for folder in (here, here.parents[1] / "corpora"):
        if files := {p.stem: p for p in sorted(folder.glob("*.toml"))}:
            return files
    return {}


def describe(name: str) -> Description:
    """The description of a registered corpus, or of a user's own TOML file by its path.

    >>> describe("golden-mean").source
    {'kind': 'golden-mean', 'length': 200000, 'seed': 1}
    """
    path = Path(name) if name.endswith(".toml") else registry().get(name)
    if path is None:
        raise unknown("corpus", name, registry())
    try:
        return msgspec.convert(toml_of(path), Description)
    except msgspec.ValidationError as error:
        raise InputError(f"{path}: {error}") from None


def data_folders() -> list[Path]:
    """Where corpus files may lie: the folder that LMBENCH_DATA names, then the cache that ``fetch`` fills."""
    given = os.environ.get("LMBENCH_DATA")
    return ([Path(given)] if given else []) + [cache_folder()]


def cache_folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "lmbench"


def find(file: File, folders: Iterable[Path]) -> Path | None:
    return next((path for folder in folders if (path := folder / file.name).is_file()), None)


# Getting files -------------------------------------------------------------------------------------


def fetch(name: str, progress: Progress | None = None) -> list[Path]:
    """Downloads a corpus's files into the cache, unless they are there; returns where they lie."""
    about = describe(name)
    missing = [file for file in about.files if find(file, data_folders()) is None]
    for file in missing:
        if not file.sums and not (about.archive and about.archive.sums):
            raise InputError(f"{file.name} has no checksum to know it by; give its sha256 in the description")
    try:
        if about.archive and missing:
            place = cache_folder() / about.archive.name
            download(about.archive.url, place, about.archive.sums, progress)
            _unpack(place.read_bytes(), place.name, missing)
            place.unlink()
        else:
            for file in missing:
                download(file.url, cache_folder() / file.name, file.sums, progress)
    except InputError as error:
        raise InputError(f"{error}; or get the file by hand: `lmbench corpora add {name} FILE`") from None
    return [path for file in about.files if (path := find(file, data_folders())) is not None]


def add(name: str, path: str | os.PathLike[str]) -> list[Path]:
    """Takes a file got by hand (one of the corpus's files, or its archive) into the cache, once it is checked."""
    about = describe(name)
    if not about.files:
        raise InputError(f"corpus {name} needs no file: it is made on the spot")
    data = read_bytes(path)
    if zipfile.is_zipfile(io.BytesIO(data)):
        _unpack(data, str(path), about.files)
        return [cache_folder() / file.name for file in about.files]
    digests = {hashlib.new(kind, data).hexdigest() for kind in ("sha256", "sha1")}
    for file in about.files:
        if digests & set(file.sums.values()):
            write_whole(cache_folder() / file.name, data)
            return [cache_folder() / file.name]
    names = " or ".join(file.name for file in about.files)
    raise InputError(f"{path} is not {names} (no checksum fits); get it from {about.homepage}")


def _unpack(data: bytes, name: str, files: Sequence[File]) -> None:
    """Writes the wanted members of a zip archive into the cache, each checked; others are left alone."""
    with zip_archive(io.BytesIO(data), name) as archive:
        members = {m.split("/")[-1]: m for m in archive.namelist() if not m.endswith("/")}
        for file in files:
            member = members.get(Path(file.name).name)
            if member is None:
                raise InputError(f"{name} does not hold {file.name}; get it anew")
            about = archive.getinfo(member)
            check_ratio(about.file_size, about.compress_size, f"{name}:{member}")
            content = archive.read(member)
            check_sum(content, f"{name}:{member}", file.sums)
            write_whole(cache_folder() / file.name, content)
