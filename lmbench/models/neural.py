"""What all neural models share: options of training, fitting, scoring, and saving."""

from __future__ import annotations

import dataclasses
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from lmbench.files import InputError
from lmbench.models.base import LanguageModel, Monitor, learned, option
from lmbench.models.network import Network, State, generator_of, read, score
from lmbench.models.training import Recipe, Trainer
from lmbench.text import Tokens

_NOTHING_READ: tuple[np.ndarray, State | None, np.ndarray] = (np.zeros(0, dtype=np.int64), None, np.zeros(0))


@dataclass(kw_only=True, eq=False)
class NeuralModel(LanguageModel):
    """A network trained by gradients. A subclass says what network, and what else the recipe holds.

    ``history`` has an entry an epoch: epoch, tokens (predicted so far), seconds, train_bits (mean over the epoch
    as it was trained, dropout included) and valid_bits (where held-out text was given), bits a token.
    """

    hidden: int = option(256, "hidden units a layer")
    batch: int = option(32, "rows of a minibatch")
    steps: int = option(35, "tokens of a row; gradients go no further back")
    sampling: Literal["sequential", "random"] = option("sequential", "how rows are drawn from the text")
    lr: float = option(1.0, "learning rate")
    clip: float = option(1.0, "radius of the ball that gradients are clipped to")
    epochs: int = option(10, "passes over the training text at most")
    patience: int | None = option(
        3, "epochs without a better held-out figure before stopping; none: never stop"
    )
    max_tokens: int | None = option(None, "train on so many tokens of the text, the first ones")
    time_limit: float | None = option(None, "seconds of training at most; the schedule adapts")

    network: Network = learned()

    def __post_init__(self) -> None:
        for name in ("hidden", "batch", "steps", "epochs", "max_tokens"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"{name}={value} must be at least 1")
        for name in ("lr", "clip", "time_limit"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise InputError(f"{name}={value:g} must be greater than 0")
        self._last_read: tuple[np.ndarray, State | None, np.ndarray] = _NOTHING_READ

    @abstractmethod
    def _network(self, generator: torch.Generator) -> Network:
        """A network with fresh weights for ``self.vocab_size``; all its randomness comes from the generator."""

    def _recipe(self) -> Recipe:
        """How this model is trained: the options of the same names, and Recipe's own defaults."""
        known = {f.name for f in dataclasses.fields(Recipe)}
        return Recipe(**{name: value for name, value in self.options().items() if name in known})

    def _fit(self, train: Tokens, valid: Tokens | None, rng: np.random.Generator, monitor: Monitor) -> None:
        if self.max_tokens is not None and self.max_tokens < len(train):
            kept = train.starts[train.starts < self.max_tokens]
            train = Tokens(train.ids[: self.max_tokens], kept, train.bos)
        generator = generator_of(rng)
        self._last_read = _NOTHING_READ
        self.network = self._network(generator)
        trainer = Trainer(self.network, self._recipe(), train, valid, rng, generator, monitor)
        trainer.run()
        self.history, self.notes = trainer.history, trainer.notes

    def _log_probs(self, tokens: Tokens) -> np.ndarray:
        return score(self.network, tokens)

    def _next_log_probs(self, contexts: Sequence[np.ndarray], bos: int) -> np.ndarray:
        texts = [np.append(bos, context) for context in contexts]
        if len(texts) != 1:
            return read(self.network, texts)[0]
        text, (known, state, rows) = texts[0], self._last_read
        if state is None or len(text) < len(known) or not np.array_equal(text[: len(known)], known):
            known, state = text[:0], None
        if len(text) > len(known):
            rows, state = read(self.network, [text[len(known) :]], state)
        self._last_read = (text, state, rows)  # generation token by token then costs one step a token
        return np.array(rows)

    def _state(self) -> dict[str, np.ndarray]:
        return {name: p.detach().cpu().numpy() for name, p in self.network.named_parameters()}

    def _restore(self, state: Mapping[str, np.ndarray]) -> None:
        self._last_read = _NOTHING_READ
        self.network = self._network(torch.Generator())
        expected = {name: tuple(p.shape) for name, p in self.network.named_parameters()}
        found = {name: array.shape for name, array in state.items()}
        if expected != found:
            raise InputError("the model's weights do not have the shapes that its options ask for")
        with torch.no_grad():
            for name, p in self.network.named_parameters():
                p.copy_(torch.from_numpy(state[name].copy()))
        self.network.eval()
