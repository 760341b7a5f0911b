"""The distinct tokens of a text by falling frequency, of which there may be more than memory holds."""

from __future__ import annotations

import contextlib
import tempfile
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from lmbench.errors import InputError
from lmbench.storage.columns import GrowingColumn

if TYPE_CHECKING:
    import sqlite3

_MANY = 1 << 14  # tokens that are written at once


@dataclass(frozen=True, eq=False)
class PackedWords(Collection[str]):
    """Words as a list in JSON, (N,) uint8, that are unpacked, all of them, when they are asked for.

    >>> sorted(PackedWords(packed(["ferry", "a"]), 2))
    ['a', 'ferry']
    """

    json: np.ndarray
    size: int

    def __len__(self) -> int:
        return self.size

    def __iter__(self) -> Iterator[str]:
        return iter(msgspec.json.decode(self.json.tobytes(), type=list[str]))

    def __contains__(self, word: object) -> bool:
        return any(word == one for one in self)


def packed(words: Collection[str]) -> np.ndarray:
    """(N,) uint8: words as a list in JSON."""
    if isinstance(words, PackedWords):
        return words.json
    return np.frombuffer(msgspec.json.encode(words), dtype=np.uint8)


@dataclass(frozen=True)
class RankedTypes:
    r"""Distinct tokens by falling frequency, ties by first appearance.

    first: so many and so frequent as were asked for, and ``\n`` after them where it comes later. types: all, in a mapped file that is gone with them.
    """

    first: list[str]
    types: PackedWords
    _numbers: dict[str, int] = field(repr=False)

    @property
    def counts(self) -> Counter[str]:
        """How often each of the first occurs."""
        return Counter({token: self._numbers[token] for token in self.first})

    def number(self, token: str) -> int:
        """How often a token occurs: one of the first, or that which was asked for."""
        return self._numbers.get(token, 0)


def rank_types(
    books: Iterable[tuple[list[str], np.ndarray]],
    surplus: int,
    first: int,
    folder: Path,
    memory: int,
    asked: str = "",
    least: int = 0,
) -> RankedTypes:
    r"""Counts tokens in a file, and sorts them there.

    books: some tokens and (N,) int64, how often each occurs there, as they first appear. surplus:
    how many of the line feeds do not count. first: how many have to be in memory; least: how often those occur at least. folder: where the files lie while they are
    made. memory: bytes that it may take. asked: a token whose number will be asked for. Raises InputError where the disk is full.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     books = [(["a", "ferry"], np.array([1, 2])), (["\n", "a"], np.array([1, 3]))]
    ...     ranked = rank_types(books, 0, 1, Path(folder), 1 << 20)
    ...     ranked.first, list(ranked.types), ranked.number("a")
    (['a', '\n'], ['a', 'ferry', '\n'], 4)
    """
    kept: dict[str, int] = {}
    size = 0
    with tempfile.TemporaryDirectory(dir=folder, prefix=".types.") as aside:
        words = GrowingColumn(Path(aside) / "types", np.uint8)
        try:
            for rows in _ranking(books, surplus, Path(aside) / "sqlite", memory):
                begin = b"," if size else b"["
                words.append(
                    np.frombuffer(begin + msgspec.json.encode([token for token, _ in rows])[1:-1], np.uint8)
                )
                kept |= {
                    token: n
                    for rank, (token, n) in enumerate(rows, size)
                    if (rank < first and n >= least) or token in ("\n", asked)
                }
                size += len(rows)
        except _errors() as error:
            raise InputError(
                f"cannot count types in {folder}: {error}; name a work folder with room (--work), and such a TMPDIR"
            ) from None
        words.append(np.frombuffer(b"]", np.uint8))
        heads = [
            token
            for rank, (token, n) in enumerate(kept.items())
            if (rank < first and n >= least) or token == "\n"
        ]
        return RankedTypes(heads, PackedWords(words.array(), size), kept)


def _ranking(
    books: Iterable[tuple[list[str], np.ndarray]], surplus: int, place: Path, memory: int
) -> Iterator[list[tuple[str, int]]]:
    with contextlib.closing(_database(place, memory)) as connection:
        for tokens, shares in books:
            pairs = zip(tokens, shares.tolist(), strict=True)
            connection.executemany("INSERT INTO seen VALUES (?, ?)", pairs)
        connection.execute("INSERT INTO seen VALUES (?, ?)", ("\n", -surplus))
        # Rows are numbered as they come.
        cursor = connection.execute(
            "SELECT token, sum(n) AS number FROM seen GROUP BY token HAVING number > 0 ORDER BY number DESC, min(rowid)"
        )
        while rows := cursor.fetchmany(_MANY):
            yield rows


def _database(path: Path, memory: int) -> sqlite3.Connection:
    """An empty one that nobody needs afterwards: no journal, no wait for the disk."""
    import sqlite3

    connection = sqlite3.connect(path, isolation_level=None)
    # Pages, and tokens that are being sorted by two keys, take so much each.
    connection.execute(f"PRAGMA cache_size = -{max(1, memory // 3 >> 10)}")
    for pragma in (
        "journal_mode = OFF",
        "synchronous = OFF",
        "locking_mode = EXCLUSIVE",
        "temp_store = FILE",
    ):
        connection.execute(f"PRAGMA {pragma}")
    connection.execute("BEGIN")
    connection.execute("CREATE TABLE seen (token TEXT, n INTEGER)")
    return connection


def _errors() -> type[Exception]:
    import sqlite3

    return sqlite3.Error
