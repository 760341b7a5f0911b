"""A user's files as tokens in a work folder, piece by piece: the text is nowhere whole, and pieces are read side by side.

What comes out is number for number what ``canonical_text`` and ``encode`` make of the whole.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import msgspec
import numpy as np

from lmbench.corpora.formats import is_rows
from lmbench.corpora.streaming import BATCH, batches_of_documents, batches_of_lines
from lmbench.corpora.words import TIDIED, remark, remedy_of
from lmbench.errors import InputError
from lmbench.storage.columns import ColumnFile, GrowingColumn, write_columns
from lmbench.storage.files import decode_utf8
from lmbench.storage.tasks import Here, Run
from lmbench.storage.unpacking import MAGIC
from lmbench.text.canonical import NORMALISERS, CanonicalText, canonical_text
from lmbench.text.oddities import Oddity, oddities, together
from lmbench.text.ranking import RankedTypes, rank_types
from lmbench.text.shards import TokenShards, TypeBooks, books_of
from lmbench.text.tokens import starts_of_tokens
from lmbench.text.units import unit_named
from lmbench.text.vocab import Vocab

PIECE = {"word": 1 << 25, "char": 1 << 23, "byte": 1 << 23}  # bytes of a file that are read as one

_BATCH = 1 << 22  # bytes that are cut into tokens at once: of more, fewer tokens are met anew
_BYTES_A_TYPE = 150  # of memory: in a Counter, a Vocab and a list
_SHARE = 4  # of a memory limit, what counts of types may take


@dataclass(frozen=True)
class Piece:
    """Some of a file: bytes ``begin`` to ``end``, which are whole lines, or all of it (end = -1)."""

    file: Path
    begin: int = 0
    end: int = -1


@dataclass(frozen=True)
class Reading:
    """How pieces are read. check: whether to look for what is no word in lines of words."""

    unit: str
    normalise: str
    documents: str
    field: str | None = None
    check: bool = False


def pieces_of(files: Sequence[Path], reading: Reading, size: int = 0) -> list[Piece]:
    """Files cut at line feeds, where they are plain text and may be cut."""
    size = size or PIECE[reading.unit]
    pieces = []
    for file in files:
        cuttable = str(file) != "-" and not is_rows(file, reading.field) and not _is_packed(file)
        if not cuttable or (reading.normalise == "letters" and reading.documents == "stream"):
            pieces.append(Piece(file))
            continue
        length = file.stat().st_size
        cuts = [0, *(_after_line_feed(file, cut) for cut in range(size, length, size)), length]
        pieces += [Piece(file, a, b) for a, b in pairwise(cuts) if a < b] or [Piece(file)]
    return pieces


def _is_packed(file: Path) -> bool:
    try:
        with open(file, "rb") as stream:
            return stream.read(8).startswith(tuple(MAGIC))
    except OSError as error:
        raise InputError(f"cannot read {file}: {error.strerror}") from None


def _after_line_feed(file: Path, place: int) -> int:
    with open(file, "rb") as stream:
        stream.seek(place - 1)
        while data := stream.read(BATCH):
            if (feed := data.find(b"\n")) >= 0:
                return place + feed
            place += len(data)
    return os.path.getsize(file)


# A piece -------------------------------------------------------------------------------------------


def tokenise(folder: Path, shard: int, piece: Piece, reading: Reading) -> None:
    """Writes the tokens of a piece (see ``TokenShards``), and its distinct ones, book after book."""
    with tempfile.TemporaryDirectory(dir=folder, prefix=f".tokens.{shard}.") as aside:
        _tokenise(folder / f"tokens.{shard}", piece, reading, Path(aside))


def _tokenise(place: Path, piece: Piece, reading: Reading, aside: Path) -> None:
    unit = unit_named(reading.unit)
    letters = reading.normalise == "letters" and reading.documents == "stream"
    which = GrowingColumn(aside / "which", np.int32)
    books = TypeBooks(GrowingColumn(aside / "types", np.uint8), GrowingColumn(aside / "shares", np.int64))
    documents, last, digest, odd = 0, "\n", hashlib.sha256(), list[Oddity]()
    for text, begins in canonical_batches(piece, reading):
        # Lines that were joined by a space; between words it is no token.
        joined = reading.unit == "word" and letters and text.text[0] == " "
        types, of_batch = unit.types(text.text[1:] if joined else text.text)
        starts = starts_of_tokens(text, types, of_batch)[0 if begins else 1 :]
        documents += len(starts)
        ids = books.numbers(types, np.bincount(of_batch, minlength=len(types))).take(of_batch)
        ids[starts] ^= -1
        which.append(ids)
        digest.update(text.text.encode("utf-8", "surrogatepass"))
        last = text.text[-1]
        if reading.check:
            odd += oddities(text.text)
    added, digests = last != "\n", [digest.hexdigest()] * 2
    if added:  # to be taken back where this is all there is: one document need not end so
        which.append(books.numbers(["\n"], np.ones(1, dtype=np.int64)))
        digest.update(b"\n")
        digests[1] = digest.hexdigest()
    books.close()
    facts = {
        "documents": documents,
        "added": added,
        "sha256": digests,
        "odd": msgspec.to_builtins(together(odd)),
        "books": books.lengths,
    }
    columns = {"which": which.array(), "types": books.types.array(), "shares": books.shares.array()}
    write_columns(place, columns, facts)


def canonical_batches(piece: Piece, reading: Reading) -> Iterator[tuple[CanonicalText, bool]]:
    """The canonical text of a piece, a batch at a time, none empty, and whether a document begins with the batch."""
    if reading.documents == "line":
        for batch in _batches(piece, reading.field):
            text = canonical_text(batch, reading.normalise, "line")
            if text.text:
                yield text, True
        return
    letters = reading.normalise == "letters"
    rows = is_rows(piece.file, reading.field)
    begun, open_ = piece.begin > 0, False
    for batch in _batches(piece, reading.field):
        texts = [t for t in map(NORMALISERS[reading.normalise], batch) if t]
        if letters:
            texts = [t.replace("\n", " ") for t in texts]
        if not texts:
            continue
        if rows:
            if open_:
                yield CanonicalText("\n", np.zeros(1, dtype=np.int64)), False
            ended = [t if t.endswith("\n") else t + "\n" for t in texts[:-1]]
            yield CanonicalText.of([*ended, texts[-1]]), True
            open_ = not texts[-1].endswith("\n")
        else:
            joint = " " if letters and begun else ""
            yield CanonicalText(joint + texts[0], np.zeros(1, dtype=np.int64)), not begun
            begun = True


def _batches(piece: Piece, field: str | None) -> Iterator[list[str]]:
    if is_rows(piece.file, field):
        yield from batches_of_documents([piece.file], field)
    elif piece.end < 0:
        yield from batches_of_lines([piece.file], size=_BATCH)
    else:
        yield from ([text] for text in _lines_between(piece))


def _lines_between(piece: Piece) -> Iterator[str]:
    """The text of a stretch of whole lines."""
    place, begun = piece.begin, b""
    with open(piece.file, "rb") as stream:
        stream.seek(place)
        while data := stream.read(min(_BATCH, piece.end - place - len(begun))):
            whole, feed, rest = (begun + data).rpartition(b"\n")
            begun = rest
            if feed:
                yield decode_utf8(whole + feed, str(piece.file), place)
                place += len(whole) + 1
    if begun:
        yield decode_utf8(begun, str(piece.file), place)


@dataclass(frozen=True)
class Stretch:
    """A piece of a text that is read by itself. offset: characters of the text before it; begins: whether a document begins with it.

    feed: whether it lacks the line feed that parts it from the document after it.
    """

    piece: Piece
    offset: int
    begins: bool
    feed: bool = False

    def batches(self, reading: Reading) -> Iterator[tuple[CanonicalText, bool]]:
        """Its canonical text, a batch at a time, none empty; and whether a document begins with the batch."""
        yield from canonical_batches(self.piece, reading)
        if self.feed:
            yield CanonicalText("\n", np.zeros(1, dtype=np.int64)), False

    def before(self, reading: Reading, chars: int) -> CanonicalText:
        """The end of the text before it in its document, ``chars`` characters of the file or a few more; all where there are no more."""
        end = self.piece.begin
        begin = max(0, end - chars)
        if begin:
            begin = min(_after_line_feed(self.piece.file, begin), end)
        if self.begins or begin == end:
            return CanonicalText("", np.zeros(0, dtype=np.int64))
        texts = [text.text for text, _ in canonical_batches(Piece(self.piece.file, begin, end), reading)]
        return CanonicalText("".join(texts), np.zeros(1, dtype=np.int64))


@dataclass(frozen=True)
class Survey:
    """What there is to know of a text before it is scored stretch by stretch."""

    stretches: list[Stretch]
    chars: int
    documents: int
    fingerprint: str
    oddities: list[Oddity]


def surveyed(files: Sequence[Path], reading: Reading, size: int) -> Survey:
    """Reads files through, in stretches of about so many bytes; all together they are ``canonical`` of the files."""
    stretches: list[Stretch] = []
    chars = documents = 0
    ended, digest, odd = True, hashlib.sha256(), list[Oddity]()
    for piece in pieces_of(files, reading, size):
        stretch: Stretch | None = None
        for text, begins in canonical_batches(piece, reading):
            if begins and not ended:
                stretches[-1], chars = replace(stretches[-1], feed=True), chars + 1
                digest.update(b"\n")
            if stretch is None:
                stretch = Stretch(piece, chars, begins)
                stretches.append(stretch)
            chars += text.chars
            documents += len(text.starts) - (not begins)
            ended = text.text.endswith("\n")
            digest.update(text.text.encode("utf-8", "surrogatepass"))
            odd += oddities(text.text) if reading.check else []
    if not ended and documents > 1:
        stretches[-1], chars = replace(stretches[-1], feed=True), chars + 1
        digest.update(b"\n")
    return Survey(stretches, chars, documents, digest.hexdigest()[:16], together(odd))


# All of them ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ShardedText:
    """A text as tokens in files: what the numbers in them stand for is in each file (``types``).

    sizes: tokens of each shard. surplus: how many line feeds at its end are none of it. reading: how the files were read.
    digest: 16 hexadecimal digits that name the text; those of its canonical text where it is one piece. notes: what in it may
    be meant otherwise than it is read.
    """

    folder: Path
    sizes: tuple[int, ...]
    surplus: int
    reading: Reading
    digest: str
    notes: tuple[str, ...] = ()

    @cached_property
    def counts(self) -> Counter[str]:
        """How often each distinct token occurs, by first appearance, all in memory."""
        counts: Counter[str] = Counter()
        for shard in range(len(self.sizes)):
            for types, shares in books_of(self.folder, shard):
                for token, number in zip(types, shares.tolist(), strict=True):
                    counts[token] += number
        if self.surplus:
            counts["\n"] -= self.surplus
            counts = +counts  # a text without a line feed has no such token
        return counts

    def ranked(self, first: int, memory: int, asked: str = "", least: int = 0) -> RankedTypes | None:
        """The distinct tokens by falling frequency, counted in a file; None where there is room for them.

        first: how many of them have to be in memory; least: how often those occur at least. memory: bytes that the process may take. asked: a token whose number will be asked for.
        """
        files = [ColumnFile(self.folder / f"tokens.{shard}") for shard in range(len(self.sizes))]
        share = memory // _SHARE
        if sum(file.size("shares") for file in files) * _BYTES_A_TYPE <= share:
            return None
        books = (book for shard in range(len(self.sizes)) for book in books_of(self.folder, shard))
        return rank_types(books, self.surplus, first, self.folder, share, asked, least)

    def numbered(self, vocab: Vocab, folder: Path) -> tuple[TokenShards, np.ndarray]:
        """The tokens by a vocabulary's numbers, which are written to ``folder``, and (V,) int64, how often each occurs."""
        unigrams = np.zeros(len(vocab), dtype=np.int64)
        for shard in range(len(self.sizes)):
            ids = []
            for types, shares in books_of(self.folder, shard):
                ids.append(vocab.encode(types))
                np.add.at(unigrams, ids[-1], shares)
            write_columns(folder / f"numbers.{shard}", {"ids": np.concatenate(ids)})
        unigrams[vocab.index("\n")] -= self.surplus
        return TokenShards(self.folder, self.sizes, vocab.newline, folder), unigrams


def read_shards(
    files: Sequence[Path],
    reading: Reading,
    folder: Path,
    run: Run | None = None,
    size: int = 0,
    tidied: bool = False,
) -> ShardedText:
    """Reads files into token shards in a work folder, where those that are there already stay.

    size: bytes of a piece (as suit the unit). tidied: lines of words read under ``none`` are read anew under the normaliser that
    ``lines_of_words`` would choose. Raises InputError where a file cannot be read, or the text is empty after normalising.
    """
    pieces = pieces_of(files, reading, size)
    tasks = [
        (folder, shard, piece, reading)
        for shard, piece in enumerate(pieces)
        if not ColumnFile(folder / f"tokens.{shard}").sound
    ]
    here = any(str(file) == "-" for file in files)  # no other process reads this one's standard input
    for _ in (Here() if run is None or here else run)(tokenise, tasks):
        pass
    sizes, documents, digests, odd = [], 0, [], list[Oddity]()
    added: list[int] = []
    for shard in range(len(pieces)):
        file = ColumnFile(folder / f"tokens.{shard}")
        if not file.whole:
            raise InputError(
                f"{file.path} is not there though a worker has written it; name a work folder that all see (--work)"
            )
        sizes.append(file.size("which"))
        documents += file.facts["documents"]
        digests.append(file.facts["sha256"])
        added += [shard] if file.facts["added"] else []
        odd += msgspec.convert(file.facts["odd"], list[Oddity])
    if not sum(sizes):
        raise InputError(
            f"the training text is empty after normalising with {reading.normalise!r}; give more text or another --normalise"
        )
    single = documents == 1
    if single and added:
        sizes[added[0]] -= 1
    names = [digest[0 if single else 1] for digest in digests]
    digest = names[0] if len(names) == 1 else hashlib.sha256("".join(names).encode()).hexdigest()
    every = together(odd)
    lines = reading.documents == "line" and reading.normalise == "none"
    if tidied and lines and (remedy := remedy_of(every)):
        (folder / remedy).mkdir(exist_ok=True)
        anew = replace(reading, normalise=remedy, check=False)
        read = read_shards(files, anew, folder / remedy, run, size)
        return replace(read, notes=(*(remark("train", one) for one in every), TIDIED[remedy]))
    notes = tuple(remark("train", one) for one in every)
    return ShardedText(folder, tuple(sizes), int(single and bool(added)), reading, digest[:16], notes)
