"""A run as sums: all that a comparison asks of it, however long its text."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path

from lmbench.comparing.cells import stream_cells, stream_edges
from lmbench.comparing.totals import Totals
from lmbench.scoring.run import Outline, Run
from lmbench.scoring.scores import Scores
from lmbench.scoring.stored_run import StoredRun


@dataclass(frozen=True, eq=False)
class Summed(Outline):
    """A run of which some tokens at a time are in memory."""

    _pieces: Callable[[], Iterator[tuple[Scores, bool]]] = field(repr=False)
    _made: dict[int, Totals] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, run: Run) -> Summed:
        """Of a run in memory."""
        scores = run.scores
        sizes = len(scores), len(scores.starts), scores.chars
        return cls(run.corpus, run.label, run.signature, *sizes, scores.pieces)

    @classmethod
    def stored(cls, path: Path) -> Summed:
        """Of a run in a file. Raises InputError where it is none; what is damaged further on is met later."""
        run = StoredRun.of(path)
        return cls(**{one.name: getattr(run, one.name) for one in fields(Outline)}, _pieces=run.pieces)

    @property
    def seed(self) -> int:
        return self.signature.seed

    @property
    def by_document(self) -> bool:
        """Whether documents are what an error is made of; lines of running text, neighbours of each other, are not."""
        return self.documents > 1 and self.signature.documents != "line"

    @property
    def fineness(self) -> int:
        """How many cells its tokens allow where the text is a stream."""
        return stream_cells(self.tokens)

    @property
    def bits_per_char(self) -> float:
        made = next(iter(self._made.values()), None) or self.totals(self.fineness)
        return made.bits / self.chars if self.chars else math.nan

    def totals(self, count: int) -> Totals:
        """Sums in documents or, of a stream, in ``count`` cells; kept."""
        count = 0 if self.by_document else count
        if count not in self._made:
            totals = Totals(0, stream_edges(self.chars, count) if count else None)
            for piece, goes_on in self._pieces():
                totals.add(piece, None, goes_on)
            self._made[count] = totals
        return self._made[count]
