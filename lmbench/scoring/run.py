"""A model's scores on a corpus with the facts about it, and their file."""

from __future__ import annotations

import contextlib
import io
import tempfile
import warnings
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import msgspec
import numpy as np
from msgspec import Meta

from lmbench.charts.card import Card
from lmbench.corpora.corpus import Corpus
from lmbench.errors import InputError
from lmbench.scoring.scores import PIECE, Scores
from lmbench.storage.columns import GrowingColumn
from lmbench.storage.files import check_regular, write_whole
from lmbench.storage.unpacking import check_ratio, zip_archive
from lmbench.version import __version__


class Signature(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured: two runs compare only where the text is the same and was made alike.

    corpus: its name. text: 16 hexadecimal digits that name the canonical test text. normalise, documents: how it was made. unit: the
    model's tokens. oov: what tokens outside the vocabulary are charged. context: what a prediction rests on, ``adaptive`` where scoring
    learns from the text. train, valid: name the texts that the model learnt from, '' where that is not known or there was none.
    seed: of the fit. lmbench: the version.

    >>> str(Signature(corpus="c", text="ab", normalise="none", documents="line", unit="char", context="document", lmbench="1"))
    'corpus:c|text:ab|normalise:none|documents:line|unit:char|oov:spelled|context:document|seed:0|lmbench:1'
    """

    corpus: str
    text: str = ""
    normalise: str = "none"
    documents: str = "stream"
    unit: str = "token"
    oov: str = "spelled"
    context: str = "undeclared"
    train: str = ""
    valid: str = ""
    seed: int = 0
    lmbench: str = __version__

    @classmethod
    def of(
        cls, corpus: Corpus, unit: str, context: str, seed: int, train: str = "", valid: str = ""
    ) -> Signature:
        """Of scores of a corpus's test text."""
        return cls(
            corpus=corpus.name,
            text=corpus.text("test").fingerprint,
            normalise=corpus.normalise,
            documents=corpus.documents,
            unit=unit,
            context=context,
            train=train,
            valid=valid,
            seed=seed,
        )

    def __str__(self) -> str:
        """All of it as one string, ``field:value|field:value``; fields that are not known are left out."""
        return "|".join(
            f"{key}:{value}" for key, value in msgspec.structs.asdict(self).items() if value != ""
        )


class Epoch(msgspec.Struct, frozen=True, kw_only=True):
    """A pass over the training text: what a learning curve is drawn of.

    epoch: 1 for the first. tokens: predicted so far. seconds: since training began. train_bits, valid_bits: a token, of the training
    text while it was learnt and of the held-out text after it.
    """

    epoch: float | None = None
    tokens: float | None = None
    seconds: float | None = None
    train_bits: float | None = None
    valid_bits: float | None = None


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """A text that a model wrote.

    prompt: what it was to go on with. text: with the prompt before it. temperature: > 0; 1 draws from the model as it is.
    """

    prompt: str = ""
    temperature: float = 1.0
    text: str = ""


class Verified(msgspec.Struct, frozen=True, kw_only=True):
    """A claim held against a file: a text coded by the model, and decoded again.

    tokens: of the text's beginning. file_bits: of the file. claimed_bits: what the scores say. identical: the decoded text is the text. holds: identical, and the file
    is as short as claimed. verdict: what came of it, in words.
    """

    tokens: int
    file_bits: int
    claimed_bits: float
    identical: bool
    holds: bool
    verdict: str = ""


EACH_SEED = Meta(extra={"each seed": True})  # measured anew with each seed of training; over seeds, the mean
Amount = Annotated[float, Meta(ge=0)] | None
Count = Annotated[int, Meta(ge=0)] | None


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a run beside its scores; None where it is not known or does not apply.

    model: its registered name. options: the model's own, by name. unit: of its tokens. adaptive: scoring learns from the text.
    unranked_reason: why the run may not be ranked.
    fit_seconds, score_seconds: wall-clock time. parts: seconds that each model which this one combines took to fit, by label.
    parameters: numbers that training sets. model_bytes: of the model in memory.
    train_bits_per_char, train_perplexity: of as much of the training text as there is of the test text, once trained.
    training_flops: floating-point operations of matrix products to learn from one token. training_tokens: learnt from, over all passes.
    training_seconds: held-out evaluations included. peak_flops: a second, of large single-precision products on the same threads.
    arithmetic: that of the training. tokens_per_second, flops_per_second: over all of the training. share_of_peak: of the matrix
    products that the machine can do in that time, the share that was needed, 0 to 1 (more is possible in bfloat16).
    verified: a claim held against a file. notes: what a reader should know. history: an entry an epoch. samples: texts that it wrote.
    """

    model: str = ""
    options: dict[str, Any] = {}
    unit: str = "token"
    adaptive: bool = False
    unranked_reason: str | None = None
    fit_seconds: Annotated[Amount, EACH_SEED] = None
    score_seconds: Annotated[Amount, EACH_SEED] = None
    parts: dict[str, float] = {}
    parameters: Count = None
    model_bytes: Count = None
    train_bits_per_char: Annotated[Amount, EACH_SEED] = None
    train_perplexity: Annotated[Amount, EACH_SEED] = None
    training_flops: Amount = None
    training_tokens: Annotated[Amount, EACH_SEED] = None
    training_seconds: Annotated[Amount, EACH_SEED] = None
    peak_flops: Annotated[Amount, EACH_SEED] = None
    arithmetic: str | None = None
    tokens_per_second: Annotated[Amount, EACH_SEED] = None
    flops_per_second: Annotated[Amount, EACH_SEED] = None
    share_of_peak: Annotated[Amount, EACH_SEED] = None
    verified: Verified | None = None
    notes: list[str] = []
    history: list[Epoch] = []
    samples: list[Sample] = []

    @property
    def total_fit_seconds(self) -> float | None:
        """Seconds to fit a model and all that it combines; None of scores that came from elsewhere."""
        return None if self.fit_seconds is None else self.fit_seconds + sum(self.parts.values())


def measured_each_seed() -> list[str]:
    """The facts that each seed of training measures anew."""
    hints = get_type_hints(Facts, include_extras=True)
    return [name for name, hint in hints.items() if EACH_SEED in getattr(hint, "__metadata__", ())]


@dataclass(frozen=True, repr=False)
class Run(Card):
    """One model on one corpus: its scores on the held-out text and the facts beside them.

    signature: what was measured. facts: everything else that results.json tells of the run (fit_seconds, parameters, options ...).
    """

    corpus: str
    label: str
    scores: Scores
    signature: Signature
    facts: Facts = field(default_factory=Facts)

    def _card(self) -> tuple[str, list[tuple[str, str]]]:
        facts = self.facts
        said = [
            ("corpus", self.corpus),
            ("unit", facts.unit),
            ("bits per character", f"{self.scores.bits_per_char:.4f}"),
        ]
        if facts.train_bits_per_char is not None:
            said.append(("on training text", f"{facts.train_bits_per_char:.4f}"))
        said.append(("perplexity", f"{self.scores.perplexity:.4g} a token"))
        if facts.fit_seconds is not None:
            said.append(("seconds to fit", f"{facts.fit_seconds:.3g}"))
        if facts.adaptive:
            said.append(("adaptive", "goes on learning from the text that it scores"))
        if facts.unranked_reason is not None:
            said.append(("not ranked", facts.unranked_reason))
        return f"Run {self.label}", said

    @property
    def seed(self) -> int:
        return self.signature.seed

    @property
    def ranked(self) -> bool:
        """Whether the run may be ranked beside others."""
        return self.facts.unranked_reason is None

    def with_facts(self, **changed: Any) -> Run:
        """The run with some of its facts told anew."""
        return Run(
            self.corpus,
            self.label,
            self.scores,
            self.signature,
            msgspec.structs.replace(self.facts, **changed),
        )


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
class StoredRun:
    """A run in its file, of which no more is read than is asked for. tokens, documents: how many its text has; chars: their characters."""

    path: Path
    corpus: str
    label: str
    signature: Signature
    tokens: int
    documents: int
    chars: int

    @classmethod
    def of(cls, path: Path) -> StoredRun:
        """Raises InputError where the file is not what ``save_run`` writes."""
        with _reading(path), zip_archive(path, "it") as archive:
            about = _about(archive, path)
            tokens, documents = (
                _Member(archive, name, _ARRAYS[name]).size for name in ("log_probs", "starts")
            )
        names = about.corpus, about.label, about.signature
        return cls(path, *names, tokens, documents, about.scalars["chars"])

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


LEAST = -1e100  # nats; of less the squares are no numbers


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
