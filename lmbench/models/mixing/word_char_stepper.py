"""A text of characters read token by token, of which a model of words is asked for each word, and one of characters for each character."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lmbench.models.mixing.spelled_words import key_of
from lmbench.models.stepping import Stepper

if TYPE_CHECKING:
    from lmbench.models.mixing.word_char import Begun, WordChar


class WordCharStepper(Stepper):
    """The way of the model of characters; the last words, and what the model of words says after them; the word so far."""

    model: WordChar

    def __init__(self, model: WordChar, bos: int) -> None:
        super().__init__(model, bos)
        self.characters = model.components[1].stepper(bos)
        self.most = (model.components[0].reach or 0) + 1

    def begin(self) -> None:
        self.characters.begin()
        self.words: list[int] = []
        self._open(True)

    def _open(self, opens: bool) -> None:
        """A word begins; opens: a line, too."""
        self.key, self.opens, self.own = "", opens, [0.0]
        self.begun: Begun | None = None
        self.row: np.ndarray | None = None

    def read(self, ids: np.ndarray) -> None:
        spelled = self.model.spelled
        stops = np.flatnonzero((ids == spelled.space) | (ids == spelled.newline))
        done = 0
        for stop in stops.tolist():
            ended = bool(ids[stop] == spelled.newline)
            self.words += spelled.ended(self.key + key_of(ids[done:stop]), self.opens, ended)
            self._open(ended)
            done = stop + 1
        self.words = self.words[-self.most :]
        if done:
            self.characters.read(ids[:done])
        for i in range(done, len(ids)):
            self.own.append(self.own[-1] + float(self._row()[ids[i]]))
            self.key += key_of(ids[i : i + 1])
            self.characters.read(ids[i : i + 1])
            self.row = None

    def _row(self) -> np.ndarray:
        if self.row is None:
            self.row = self.characters.distribution()
        return self.row

    def _distribution(self) -> np.ndarray:
        if self.begun is None:
            self.begun = self.model._begun(self.words)
        return self.model._foretell(self.begun, self.key, self.opens, self._row(), np.array(self.own))
