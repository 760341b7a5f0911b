"""A text's tokens in files of a work folder, so that none need be whole in memory and every process can read any of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from lmbench.storage.columns import ColumnFile, GrowingColumn, write_columns
from lmbench.text.tokens import Tokens

# Distinct tokens of a piece that are in memory at once, or twice so many; one met again after that has another number.
_BOOK = 1 << 17


@dataclass(frozen=True)
class TokenShards:
    r"""The tokens of a text, shard after shard.

    sizes: how many tokens each shard has. bos: see ``Tokens``. Shard s is the file ``tokens.<s>``: the column ``which``, (T,)
    int32, the first token of a document as its complement; what comes after its size does not count. numbers: the folder
    where the file ``numbers.<s>`` has in its column ``ids`` what the numbers of shard s stand for; None: for themselves.
    """

    folder: Path
    sizes: tuple[int, ...]
    bos: int
    numbers: Path | None = None

    def __len__(self) -> int:
        return sum(self.sizes)

    @classmethod
    def of(cls, tokens: Tokens, folder: Path) -> TokenShards:
        """Writes tokens that are in memory to one file."""
        which = tokens.ids.astype(np.int32)
        which[tokens.starts[tokens.starts < len(which)]] ^= -1
        write_columns(folder / "tokens.0", {"which": which})
        return cls(folder, (len(which),), tokens.bos)

    def read(self, begin: int, end: int) -> Tokens:
        """The tokens from ``begin`` to before ``end``; a document that began before is none of its own."""
        pieces = []
        offset = 0
        for shard, size in enumerate(self.sizes):
            first, beyond = max(begin - offset, 0), min(end - offset, size)
            if first < beyond:
                pieces.append(self._of_shard(shard, first, beyond))
            offset += size
        ids = np.concatenate(pieces) if pieces else np.zeros(0, dtype=np.int32)
        starts = np.flatnonzero(ids < 0)
        ids[starts] ^= -1
        return Tokens(ids, starts, self.bos)

    def _of_shard(self, shard: int, begin: int, end: int) -> np.ndarray:
        file = ColumnFile(self.folder / f"tokens.{shard}")
        which = file.read("which", begin, end)
        if self.numbers is None:
            return which
        ids = ColumnFile(self.numbers / f"numbers.{shard}").read("ids")
        starts = np.flatnonzero(which < 0)
        which[starts] ^= -1
        which = ids.take(which)
        which[starts] ^= -1
        return which

    def sample(self, size: int, stretches: int = 64) -> list[Tokens]:
        """About ``size`` tokens, in stretches that are evenly spread over the text."""
        length = max(2, size // stretches)
        if len(self) <= length * stretches:
            return [self.read(0, len(self))]
        begins: Sequence[int] = np.linspace(0, len(self) - length, stretches).astype(int).tolist()
        return [self.read(begin, begin + length) for begin in begins]


# What the numbers stand for -----------------------------------------------------------------------


class TypeBooks:
    """The distinct tokens of a piece and how often each occurs, of which only the last book is in memory.

    lengths: the bytes and the tokens of each book before.
    """

    def __init__(self, types: GrowingColumn, shares: GrowingColumn) -> None:
        self.types, self.shares = types, shares
        self.lengths: list[tuple[int, int]] = []
        self._begin = 0
        self._numbers: dict[str, int] = {}
        self._shares = np.zeros(0, dtype=np.int64)

    def numbers(self, types: Sequence[str], shares: np.ndarray) -> np.ndarray:
        """(N,) int32: the numbers of distinct tokens that occur so often."""
        numbers = np.empty(len(types), dtype=np.int32)
        for begin in range(0, len(types), _BOOK):
            some = slice(begin, begin + _BOOK)
            if len(self._numbers) >= _BOOK:
                self.close()
            known = self._numbers
            number = np.array([known.setdefault(token, len(known)) for token in types[some]])
            self._shares = np.append(self._shares, np.zeros(len(known) - len(self._shares), dtype=np.int64))
            self._shares[number] += shares[some]
            numbers[some] = number + self._begin
        return numbers

    def close(self) -> None:
        """Ends a book."""
        words = np.frombuffer(msgspec.json.encode(list(self._numbers)), dtype=np.uint8)
        self.types.append(words)
        self.shares.append(self._shares)
        self.lengths.append((len(words), len(self._numbers)))
        self._begin += len(self._numbers)
        self._numbers, self._shares = {}, np.zeros(0, dtype=np.int64)


def books_of(folder: Path, shard: int) -> Iterator[tuple[list[str], np.ndarray]]:
    """The distinct tokens of a shard, by first appearance, and (N,) int64, how often each occurs; some come in several books."""
    file = ColumnFile(folder / f"tokens.{shard}")
    place = number = 0
    for size, tokens in file.facts["books"]:
        words = file.read("types", place, place + size).tobytes()
        yield msgspec.json.decode(words, type=list[str]), file.read("shares", number, number + tokens)
        place, number = place + size, number + tokens
