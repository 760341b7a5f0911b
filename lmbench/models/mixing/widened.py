"""A fitted model over a larger vocabulary than its own, beside models of other words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from lmbench.errors import InputError
from lmbench.models.base import LanguageModel, Part, Stepper, Traits, learned
from lmbench.models.mixing.parts import exactly, pack_parts, unpack_parts
from lmbench.models.monitor import Monitor
from lmbench.models.saved import saved_array
from lmbench.text.tokens import Tokens
from lmbench.text.vocab import NOTHING, Vocab


def joined(vocab: Vocab, parts: Sequence[Part]) -> list[LanguageModel]:
    """The parts of a mixture, those of other words over its vocabulary."""
    same = [part.vocab.tokens == vocab.tokens for part in parts]
    return [part.model if it else Widened.of(part, vocab) for part, it in zip(parts, same, strict=True)]


@dataclass(kw_only=True, eq=False)
class Widened(LanguageModel):
    """p(x | h) = p_own(x | h) of a token that the model knows; of another, p_own(<unk> | h) · p_speller(x).

    The model's own speller divides ``<unk>`` among all tokens outside its vocabulary; what it keeps for those that the wider
    vocabulary lacks too is that one's ``<unk>``. So it is the same distribution over texts as the model had with its speller.
    """

    own: np.ndarray = learned()  # (V,) int32: each token's id in the model's own vocabulary
    shares: np.ndarray = learned()  # (V,) nats: ln of what each token gets of its own id's probability

    @classmethod
    def of(cls, part: Part, vocab: Vocab) -> Self:
        """A part of a mixture over a vocabulary that holds all of its own tokens."""
        model = cls()
        own = part.vocab.encode(vocab.tokens)
        own[: len(vocab.reserved)] = np.arange(len(vocab.reserved))
        lacking = np.flatnonzero(own[1:] == 0) + 1
        shares = np.zeros(len(vocab))
        shares[lacking] = part.spelling([vocab.tokens[i] for i in lacking.tolist()])
        with np.errstate(divide="ignore"):
            shares[0] = np.log(np.maximum(1 - np.exp(shares[lacking]).sum(), 0.0))
        model.vocab_size, model.own, model.shares, model.components = len(vocab), own, shares, [part.model]
        return model

    @property
    def traits(self) -> Traits:
        of = self.components[0].traits if self.components else Traits()
        return replace(of, held_out="no", precision=max(of.precision, 1e-9), components=())

    @property
    def reach(self) -> int | None:
        return self.components[0].reach

    @property
    def scores_candidates(self) -> bool:
        return self.components[0].scores_candidates

    def seen(self, tokens: Tokens) -> tuple[np.ndarray, np.ndarray]:
        return self.components[0].seen(self._own(tokens))

    def ngrams(self) -> list[np.ndarray] | None:
        inside = self.components[0].ngrams()
        if inside is None:
            return None
        wide = np.zeros(self.components[0].vocab_size, dtype=np.int32)
        inside_too = np.flatnonzero(self.own)
        wide[self.own[inside_too]] = inside_too
        every = np.arange(self.vocab_size, dtype=np.int32)[:, None]
        return [every, *(wide[rows] for rows in inside[1:])]

    def retraced(self, train: Tokens, size: int) -> Iterator[np.ndarray] | None:
        inside = self.components[0].retraced(self._own(train), size)
        return None if inside is None else (rows[:, self.own] + self.shares for rows in inside)

    def _own(self, tokens: Tokens) -> Tokens:
        return Tokens(self.own[tokens.ids], tokens.starts, self._bos(tokens.bos))

    def _bos(self, bos: int) -> int:
        return int(self.own[bos]) or NOTHING if bos >= 0 else bos

    def _fit(self, train: Tokens, valid: Tokens | None, rng: np.random.Generator, monitor: Monitor) -> None:
        raise InputError("a model over a wider vocabulary is made of a fitted one; fit that")

    def _log_probs(self, tokens: Tokens) -> np.ndarray:
        return self.components[0].log_probs(self._own(tokens)) + self.shares[tokens.ids]

    def _next_log_probs(self, contexts: Sequence[np.ndarray], bos: int) -> np.ndarray:
        rows = self.components[0].next_log_probs([self.own[context] for context in contexts], self._bos(bos))
        return rows[:, self.own] + self.shares

    def _stepper(self, bos: int) -> Stepper:
        return WidenedStepper(self, bos)

    def _state(self) -> dict[str, np.ndarray]:
        return {"own": self.own, "shares": self.shares, **pack_parts(self.components)}

    def _restore(self, state: Mapping[str, np.ndarray]) -> None:
        self.own = saved_array(state, "own", (self.vocab_size or None,), "i")
        self.shares = saved_array(state, "shares", (len(self.own),), most=0.0)
        # Each token of the model inside is one of the wider vocabulary.
        if not len(self.own) or self.own.min() < 0:
            raise InputError("its tokens are not those of the model inside; fit it anew")
        self.components = unpack_parts(state, [exactly(int(self.own.max()) + 1)])


class WidenedStepper(Stepper):
    """That of the model inside, whose tokens are its own."""

    model: Widened

    def __init__(self, model: Widened, bos: int) -> None:
        super().__init__(model, bos)
        self.inside = model.components[0].stepper(model._bos(bos))

    def begin(self) -> None:
        self.inside.begin()

    def read(self, ids: np.ndarray) -> None:
        self.inside.read(self.model.own[ids])

    def _distribution(self) -> np.ndarray:
        row: np.ndarray = self.inside.distribution()[self.model.own] + self.model.shares
        return row
