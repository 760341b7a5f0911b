"""A run's file: written whole, read back whole or a piece at a time."""

from __future__ import annotations

import contextlib
import io
import tempfile
import warnings
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import Meta

from lmbench.errors import InputError
from lmbench.models.base import LEAST
from lmbench.scoring.run import Facts, Outline, Run, Signature
from lmbench.scoring.scores import PIECE, Scores
from lmbench.storage.columns import GrowingColumn
from lmbench.storage.files import check_regular, write_whole
from lmbench.storage.unpacking import check_ratio, zip_archive


class _Stored(msgspec.Struct):
    """What stands beside the arrays in a run's file."""

    key: str
    corpus: str
    label: str
    signature: Signature
    facts: Facts
    scalars: dict[str, Annotated[int, Meta(ge=0, le=2**62)]]


# The arrays of a stored run: numpy's name of their type.
_ARRAYS = {"log_probs": "<f8", "ends": "<i8", "oov": "|b1", "spelling": "<f8", "starts": "<i8"}
_SCALARS = {f.name for f in fields(Scores)} - set(_ARRAYS)


def mapped(run: Run) -> Run:
    """The run with the scores of a long text in a mapped file that is gone with them, so that memory can do without; itself where there is no room."""
    if len(run.scores) < PIECE:
        return run
    arrays: dict[str, Any] = {}
    try:
        with tempfile.TemporaryDirectory(prefix="lmbench-") as folder:
            for name, kind in _ARRAYS.items():
                column = GrowingColumn(Path(folder) / name, kind)
                column.append(getattr(run.scores, name))
                arrays[name] = np.asarray(column.array())
    except (InputError, OSError):
        return run
    return replace(run, scores=replace(run.scores, **arrays))


def save_run(run: Run, path: Path, key: str) -> None:
    """Writes a run's scores and facts to one .npz file, whole or not at all."""
    scalars = {name: getattr(run.scores, name) for name in _SCALARS}
    about = _Stored(key, run.corpus, run.label, run.signature, run.facts, scalars)
    arrays: dict[str, Any] = {n: np.asarray(getattr(run.scores, n), kind) for n, kind in _ARRAYS.items()}
    stream = io.BytesIO()
    arrays["about"] = np.frombuffer(msgspec.json.encode(about), dtype=np.uint8)
    # As numpy's savez_compressed has it; but logarithms hardly get smaller, however long one tries.
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array)
    write_whole(path, stream.getvalue())


def load_run(path: Path, key: str | None = None) -> Run | None:
    """A run read back; None where it is missing or (given a key) not of the same text, model and code.

    Raises InputError where the file is there and is not what ``save_run`` writes.
    """
    if not path.exists():
        return None
    with _reading(path), zip_archive(path, "it") as archive:
        about = _about(archive, path)
        if key is not None and about.key != key:
            return None
        arrays: dict[str, Any] = {name: _Member(archive, name, kind).read() for name, kind in _ARRAYS.items()}
        scores = Scores(**(arrays | about.scalars))
        _check(scores)
        return Run(about.corpus, about.label, scores, about.signature, about.facts)


@dataclass(frozen=True)
class StoredRun(Outline):
    """A run in its file, of which no more is read than is asked for."""

    path: Path

    @classmethod
    def of(cls, path: Path) -> StoredRun:
        """Raises InputError where the file is not what ``save_run`` writes."""
        with _reading(path), zip_archive(path, "it") as archive:
            about = _about(archive, path)
            tokens, documents = (
                _Member(archive, name, _ARRAYS[name]).size for name in ("log_probs", "starts")
            )
        names = about.corpus, about.label, about.signature
        return cls(*names, tokens, documents, about.scalars["chars"], path)

    def pieces(self, size: int = PIECE) -> Iterator[tuple[Scores, bool]]:
        """As ``Scores.pieces``, from the file. Raises InputError as ``load_run`` does, when it comes to what is damaged."""
        with _reading(self.path), zip_archive(self.path, "it") as archive:
            about = _about(archive, self.path)
            members = {name: _Member(archive, name, kind) for name, kind in _ARRAYS.items()}
            starts = members.pop("starts").read()
            if {member.size for member in members.values()} != {self.tokens}:
                raise ValueError("its arrays differ in length")
            if (np.diff(starts, prepend=0) < 0).any():
                raise ValueError("its documents begin outside of the text")
            counts, offset = dict(about.scalars), 0
            for begin in range(0, self.tokens, size):
                arrays: dict[str, Any] = {name: member.read(size) for name, member in members.items()}
                arrays["ends"] -= offset
                first, beyond = np.searchsorted(starts, [begin, begin + size])
                if begin + size >= self.tokens:
                    first_of_rest, counts["chars"] = len(starts), about.scalars["chars"] - offset
                else:
                    first_of_rest, counts["chars"] = beyond, int(arrays["ends"][-1])
                own = starts[first:first_of_rest] - begin
                goes_on = begin > 0 and (not len(own) or bool(own[0] > 0))
                arrays["starts"] = np.append(0, own) if goes_on else own
                scores = Scores(**(arrays | counts))
                _check(scores)
                yield scores, goes_on
                offset += counts["chars"]
                counts |= {"bytes": 0, "words": 0}


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Says of what goes wrong while a stored run is read that it is damaged."""
    if path.exists():
        check_regular(path)
    try:
        yield
    except Exception as error:  # a dozen kinds: of archives, their packings, arrays, JSON
        what = f"{type(error).__name__}: {error}"[:80]
        raise InputError(f"{path} is no stored run, or is damaged ({what}); run the suite again") from None


def _about(archive: zipfile.ZipFile, path: Path) -> _Stored:
    check_ratio(sum(member.file_size for member in archive.infolist()), path.stat().st_size, "it")
    about = msgspec.json.decode(_Member(archive, "about", "|u1").read().tobytes(), type=_Stored)
    if about.scalars.keys() != _SCALARS:
        raise ValueError("it lacks counts")
    return about


class _Member:
    """(N,) an array of a stored run, from its beginning to its end. Raises ValueError where it has another type or shape."""

    def __init__(self, archive: zipfile.ZipFile, name: str, kind: str) -> None:
        self._stream = archive.open(f"{name}.npy")
        self._name, self._left = name, 0
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # numpy's, of headers that it reads with trouble
            version = np.lib.format.read_magic(self._stream)
            if version != (1, 0):
                raise ValueError(f"{name} is of version {version}")
            shape, _, self._dtype = np.lib.format.read_array_header_1_0(self._stream)
        if self._dtype != np.dtype(kind) or len(shape) != 1:
            raise ValueError(f"{name} is {self._dtype} {shape}")
        if not 0 <= shape[0] * self._dtype.itemsize <= archive.getinfo(f"{name}.npy").file_size:
            raise ValueError(f"{name} is cut short")
        self.size = self._left = shape[0]

    def read(self, most: int | None = None) -> np.ndarray:
        """The next ``most`` of it, all that is left where it has no more."""
        number = self._left if most is None else min(most, self._left)
        self._left -= number
        data = self._stream.read(number * self._dtype.itemsize) if self._left else self._stream.read()
        return np.frombuffer(bytearray(data), self._dtype, number)


def _check(scores: Scores) -> None:
    """Raises ValueError where arrays are not a charge of every character of a text."""
    tokens, ends, starts = len(scores.log_probs), scores.ends, scores.starts
    if {len(ends), len(scores.oov), len(scores.spelling)} != {tokens}:
        raise ValueError("its arrays differ in length")
    if not ((scores.log_probs <= 0).all() and (scores.spelling <= 0).all()):
        raise ValueError("a score is above 0 or no number")
    for nats in (scores.log_probs, scores.spelling):
        if (np.isfinite(nats) & (nats < LEAST)).any():
            raise ValueError("a score is beyond what a token can cost")
    if (np.diff(ends, prepend=0) < 0).any() or (ends[-1] if tokens else 0) != scores.chars:
        raise ValueError("its spans do not divide a text")
    if (np.diff(starts) < 0).any() or (len(starts) and not 0 <= starts[0] <= starts[-1] <= tokens):
        raise ValueError("its documents begin outside of the text")
    if tokens and (not len(starts) or starts[0]):
        raise ValueError("its first document does not begin with the text")
