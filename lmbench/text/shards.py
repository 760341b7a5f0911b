"""A text's tokens in files of a work folder, so that none need be whole in memory and every process can read any of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lmbench.storage.columns import ColumnFile, write_columns
from lmbench.text.tokens import Tokens


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
