"""A text read token by token: what a model says of each token before it is known."""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from lmbench.text.tokens import Tokens

if TYPE_CHECKING:
    from lmbench.models.base import LanguageModel


class Stepper(ABC):
    """A fitted model's way through a text: ``distribution`` says what may come next, ``read`` what came.

    What codes a text into a file, decodes it, or draws one goes by it, in time that grows like the text. Encoder and decoder make the
    same calls, so that they see the same bits; two steppers of a model that read the same tokens by the same calls give
    the same. Every document begins with ``begin``, the first one too; what an adaptive model has learnt stays with it from
    one to the next, in the stepper alone: neither the model nor another stepper of it changes.

    A subclass writes ``begin``, ``read`` and ``_distribution``, and a model gives it as its ``_stepper``.

    >>> from lmbench.models import make_model
    >>> stepper = make_model("bigram", eps="1,1").fit([1, 2, 1, 2, 1], vocab_size=3).stepper()
    >>> stepper.begin()
    >>> stepper.read(np.array([1], dtype=np.int32))
    >>> np.exp(stepper.distribution()).round(3)
    array([0.019, 0.185, 0.796])
    """

    def __init__(self, model: LanguageModel, bos: int) -> None:
        self.model, self.bos = model, bos

    @abstractmethod
    def begin(self) -> None:
        """A document begins, as if ``bos`` stood before it (see ``Tokens``)."""

    @abstractmethod
    def read(self, ids: np.ndarray) -> None:
        """The next tokens of the document: (n,) int32, 0 ≤ id < V, n > 0."""

    @abstractmethod
    def _distribution(self) -> np.ndarray:
        """(V,) float64, nats: the next token's distribution; asked at any place, once, more often or not at all."""

    def distribution(self) -> np.ndarray:
        """(V,) float64, nats, ≤ 0: the next token's distribution. Raises InputError where the model's numbers are wrong."""
        return self.model.at_most_one(self._distribution())


class Rereading(Stepper):
    """Of a model that has no way of its own: it is asked with all that stands before, or as much of it as matters."""

    def __init__(self, model: LanguageModel, bos: int) -> None:
        super().__init__(model, bos)
        self.ids, self.size = np.zeros(64, dtype=np.int32), 0
        self.starts: list[int] = []

    def begin(self) -> None:
        if not self.model.traits.adaptive:  # what stands before the document says nothing
            self.size, self.starts = 0, []
        self.starts.append(self.size)

    def read(self, ids: np.ndarray) -> None:
        size = self.size + len(ids)
        if size > len(self.ids):
            self.ids = np.append(self.ids[: self.size], np.zeros(size, dtype=np.int32))
        self.ids[self.size : size] = ids
        self.size = size

    def _distribution(self) -> np.ndarray:
        reach = None if self.model.traits.adaptive else self.model.reach
        first = 0 if reach is None else max(0, self.size - reach)
        ids, starts = self.ids[first : self.size], np.array(self.starts)
        return self.model._next_after(Tokens(ids, starts, self.bos))


@dataclass
class Reading:
    """A stepper and all that it has read, so that a text of which one token after another is asked for is read once."""

    stepper: Stepper
    done: Tokens = field(init=False)

    def __post_init__(self) -> None:
        nothing = np.zeros(0, dtype=np.int64)
        self.done = Tokens(nothing.astype(np.int32), nothing, self.stepper.bos)

    def goes_on_in(self, tokens: Tokens) -> bool:
        """Whether the tokens begin with all that has been read."""
        size, begun = len(self.done), len(self.done.starts)
        return (
            tokens.bos == self.done.bos
            and len(tokens) >= size
            and np.array_equal(tokens.starts[:begun], self.done.starts)
            and (len(tokens.starts) == begun or int(tokens.starts[begun]) >= size)
            and np.array_equal(tokens.ids[:size], self.done.ids)
        )

    def next(self, tokens: Tokens) -> np.ndarray:
        """(V,) nats: the distribution after tokens that begin with what has been read."""
        size, begun = len(self.done), len(self.done.starts)
        bounds = [size, *tokens.starts[begun:].tolist(), len(tokens)]
        for document, (first, end) in enumerate(itertools.pairwise(bounds)):
            if document:
                self.stepper.begin()
            if end > first:
                self.stepper.read(tokens.ids[first:end])
        self.done = Tokens(tokens.ids.copy(), tokens.starts.copy(), tokens.bos)
        return self.stepper.distribution()
