"""What all neural models share: options of training, fitting, scoring, and saving."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass
from typing import Any, Literal, Self, cast

import numpy as np
import torch
from torch.overrides import TorchFunctionMode

from lmbench.errors import InputError
from lmbench.models.base import LanguageModel, Stepper, Traits, learned
from lmbench.models.monitor import Monitor
from lmbench.models.neural.dynamic import DynamicEvaluation, mean_squares
from lmbench.models.neural.network import (
    Network,
    generator_of,
    machine_peak,
    read,
    rounding,
    score,
)
from lmbench.models.neural.stepping import AdaptingStepper, StateStepper
from lmbench.models.neural.training import Trainer
from lmbench.models.options import fixed, option, option_fields
from lmbench.text.tokens import Tokens

MOST_LAYERS = 1000  # more would only take time to be made
MOST_REMEMBERED = 1 << 16  # tokens that a network may look back on

_LARGEST = 1e38  # of numbers in single precision
_SQUARES = "squares."  # before the names of weights: the mean squares of their gradients
MOST_DIRECT = 64  # tokens of n-grams with weights of their own


@dataclass(kw_only=True, eq=False)
class NeuralModel(LanguageModel):
    """A network trained by gradients. A subclass says what network, and what else may be chosen.

    context: what a token is scored with. ``carry``: the state runs through the document; ``reset``: it begins
    afresh every ``steps`` tokens; ``fixed:N``: from the N tokens before it alone (N times the work).

    A fitted network whose own rounding in single precision moves a probability by more than ``traits.precision``, as one that
    has memorised its text may, is kept, saved and read in double precision.

    ``history`` has an entry an epoch: epoch, tokens (predicted so far), seconds, train_bits (mean over the epoch
    as it was trained, dropout included) and valid_bits (where held-out text was given), bits a token.
    """

    hidden: int = option(MISSING, "hidden units a layer")
    batch: int = option(32, "rows of a minibatch")
    steps: int = option(35, "tokens of a row; gradients go no further back")
    sampling: Literal["sequential", "random"] = option("sequential", "how rows are drawn from the text")
    lr: float = option(MISSING, "learning rate")
    clip: float = option(1.0, "radius of the ball that gradients are clipped to")
    epochs: int = option(MISSING, "passes over the training text at most")
    patience: int | None = option(
        3, "epochs without a better held-out figure before stopping; none: never stop"
    )
    max_tokens: int | None = option(None, "train on so many tokens of the text, the first ones")
    time_limit: float | None = option(None, "seconds of training at most; the schedule adapts")
    context: str = option(
        "carry", "what scores depend on: carry, reset (every `steps` tokens) or fixed:N tokens", fits=False
    )
    dynamic: float = option(
        0.0, "learning rate of dynamic evaluation, such as 0.0005; 0: the weights stay", fits=False
    )
    dynamic_decay: float = option(
        0.002, "pull of dynamic evaluation back to the trained weights, a segment", fits=False
    )
    dynamic_steps: int = option(
        20, "tokens of a segment, after each of which dynamic evaluation takes a step", fits=False
    )
    device: Literal["auto", "cpu", "cuda"] = option("auto", "auto: a GPU where there is one")

    # How the book trains, where a subclass makes no options of them (Dive into Deep Learning, 8.5).
    bptt: Literal["truncated", "randomised", "full"] = fixed("truncated")
    optimizer: Literal["sgd", "adamw", "muon"] = fixed("sgd")
    schedule: Literal["constant", "cosine"] = fixed("constant")
    warmup: float = fixed(0.0)
    weight_decay: float = fixed(0.0)
    arithmetic: Literal["auto", "float32", "bfloat16"] = fixed("float32")
    average: float = fixed(0.0)

    network: Network = learned()
    squares: list[torch.Tensor] = learned()  # mean squared gradients, for dynamic evaluation

    def __post_init__(self) -> None:
        for name in ("hidden", "batch", "steps", "epochs", "max_tokens", "dynamic_steps"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"{name}={value} must be at least 1")
        for name in ("lr", "clip", "time_limit"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise InputError(f"{name}={value:g} must be greater than 0")
        for name in ("dynamic", "dynamic_decay"):
            if getattr(self, name) < 0:
                raise InputError(f"{name}={getattr(self, name):g} must be at least 0")
        for name, field in option_fields(type(self)).items():
            value = getattr(self, field.name)
            # A radius or a time may be without end; nothing else that is multiplied in single precision.
            if isinstance(value, float) and abs(value) > _LARGEST and name not in ("clip", "time_limit"):
                raise InputError(f"{name}={value:g} is beyond single precision; give {_LARGEST:g} at most")
        kind, _, length = self.context.partition(":")
        if self.context not in ("carry", "reset") and not (
            kind == "fixed" and length.isdecimal() and len(length) < 10 and int(length) > 0
        ):
            raise InputError(f"context={self.context} must be carry, reset or fixed:N, as in fixed:32")
        if self.dynamic and self.context != "carry":
            raise InputError(f"dynamic evaluation needs context=carry, not {self.context}")
        if self.device == "cuda" and not torch.cuda.is_available():
            raise InputError("device=cuda, but torch finds no GPU here; use device=cpu")

    @property
    def traits(self) -> Traits:
        return Traits(
            held_out="no" if self.patience is None else "wanted",  # without it all epochs are trained
            seeded=True,  # first weights and minibatches
            adaptive=self.dynamic > 0,
            learns_from=self.max_tokens,
            precision=1e-6,
        )

    def saved_options(self) -> dict[str, Any]:
        """Where there is no GPU, a model that was trained on one is read for the processor."""
        return {**super().saved_options(), "device": "cpu" if self.device == "cpu" else "auto"}

    @property
    def training_flops(self) -> int:
        """Floating-point operations to learn from one token, matrix products alone; of a fitted model."""
        return self.network.training_flops

    @abstractmethod
    def _network(self, generator: torch.Generator) -> Network:
        """A network with fresh weights for ``self.vocab_size``; all its randomness comes from the generator."""

    def _fit(self, train: Tokens, valid: Tokens | None, rng: np.random.Generator, monitor: Monitor) -> None:
        if self.max_tokens is not None:
            train = train.head(self.max_tokens)
        generator = generator_of(rng)
        generator = self._begin(generator)
        trainer = Trainer(self.network, self, train, valid, rng, generator, monitor)
        peak = machine_peak(next(self.network.parameters()).device)
        trainer.run()
        self.history, self.notes = trainer.done.history, trainer.done.notes
        self.costs = {
            "training_flops": self.training_flops,
            "training_tokens": trainer.done.tokens,
            "training_seconds": trainer.done.seconds,
            "peak_flops": peak,
            "arithmetic": trainer.arithmetic,
        }
        if (
            rounding(self.network, valid if valid is not None and len(valid) else train)
            > self.traits.precision
        ):
            self.network.double()

    def _settle(self, train: Tokens, valid: Tokens | None, rng: np.random.Generator) -> None:
        if self.dynamic:
            train = train if self.max_tokens is None else train.head(self.max_tokens)
            self.squares = mean_squares(self.network, train, rng, self.dynamic_steps)
            self._adapt()

    def _device(self) -> torch.device:
        cuda = self.device == "cuda" or (self.device == "auto" and torch.cuda.is_available())
        return torch.device("cuda" if cuda else "cpu")

    def _begin(self, generator: torch.Generator) -> torch.Generator:
        """A fresh network on its device; gives what draws in training.

        First weights are the same on every device; masks are drawn where they are used, by a generator of that device.
        """
        self.squares, device = [], self._device()
        self.network = self._network(generator).to(device)
        if device.type != "cpu":
            generator = torch.Generator(device).manual_seed(generator.initial_seed())
            for module in self.network.modules():
                if hasattr(module, "generator"):
                    cast(Any, module).generator = generator
        return generator

    def _adapt(self) -> None:
        """Makes what goes on learning as it scores, of the trained weights and the squares of their gradients."""
        self._dynamic = DynamicEvaluation(
            self.network, self.squares, self.dynamic, self.dynamic_decay, self.dynamic_steps
        )

    def with_context(self, context: str, steps: int | None = None) -> Self:
        """This model as fitted, but scoring with another ``context`` (and for ``reset`` other ``steps``).

        Raises InputError for a context that there is not.
        """
        other = copy.copy(self)
        other.context, other.steps = context, self.steps if steps is None else steps
        other.reading = None
        other.__post_init__()
        return other

    def _log_probs(self, tokens: Tokens) -> np.ndarray:
        return self._score(tokens, None)

    def _distributions(self, tokens: Tokens, places: np.ndarray) -> np.ndarray:
        return self._score(tokens, places)

    def _score(self, tokens: Tokens, asked: np.ndarray | None) -> np.ndarray:
        """(T,) float64, nats, or (P, V) of the tokens ``asked``."""
        if self.dynamic:
            scored = self._dynamic.score(tokens, asked is not None)
            return scored if asked is None else scored[asked]
        if self.context == "carry":
            return score(self.network, tokens, asked=asked)
        position = tokens.positions()
        if self.context == "reset":
            begins = np.flatnonzero(position % self.steps == 0)
            return score(self.network, tokens, begins, np.append(begins[1:], len(tokens)), asked)
        places = np.arange(len(tokens)) if asked is None else asked
        numbers = len(places) * (1 if asked is None else self.vocab_size) * self._span
        results = []
        for part in np.array_split(places, min(len(places), max(1, numbers // 2**22))):
            lengths = np.minimum(position[part] + 1, self._span)
            last = np.cumsum(lengths) - 1
            some = (self.network, tokens, part + 1 - lengths, part + 1)
            results.append(score(*some)[last] if asked is None else score(*some, last))
        return np.concatenate(results)

    @property
    def _span(self) -> int:
        """N of context=fixed:N."""
        return int(self.context.partition(":")[2])

    def _next_log_probs(self, contexts: Sequence[np.ndarray], bos: int) -> np.ndarray:
        if self.dynamic:
            return np.stack([self._after(Tokens.of(context, bos)) for context in contexts])
        texts = [np.append(bos, context) for context in contexts]
        if self.context == "reset":
            texts = [text[(len(text) - 1) // self.steps * self.steps :] for text in texts]
        elif self.context != "carry":
            texts = [text[-self._span :] for text in texts]
        return read(self.network, texts)[0]

    def _stepper(self, bos: int) -> Stepper:
        if self.dynamic:
            return AdaptingStepper(self, bos, self._dynamic)
        if self.context in ("carry", "reset"):
            return StateStepper(
                self, bos, self.network.walk(), self.steps if self.context == "reset" else None
            )
        return super()._stepper(bos)

    @property
    def reach(self) -> int | None:
        return None if self.context in ("carry", "reset") else self._span

    def _state(self) -> dict[str, np.ndarray]:
        named = list(self.network.named_parameters())
        state = {name: p.detach().cpu().numpy() for name, p in named}
        for (name, _), m in zip(named, self.squares, strict=False):
            state[_SQUARES + name] = m.cpu().numpy()
        return state

    def _restore(self, state: Mapping[str, np.ndarray]) -> None:
        if not self.dynamic:
            self._take_up(state)
            return
        squares = {name: array for name, array in state.items() if name.startswith(_SQUARES)}
        self._take_up({name: array for name, array in state.items() if name not in squares})
        named = dict(self.network.named_parameters())
        if {name: tuple(p.shape) for name, p in named.items()} != {
            name.removeprefix(_SQUARES): array.shape for name, array in squares.items()
        }:
            raise _misshapen()
        # In the order in memory that the weights have: sums are then the same bits.
        self.squares = [
            torch.empty_like(p).copy_(torch.from_numpy(squares[_SQUARES + name].copy()))
            for name, p in named.items()
        ]
        self._adapt()

    def _take_up(self, state: Mapping[str, np.ndarray]) -> None:
        try:
            # Shapes alone: options that do not fit may ask for any size.
            with torch.device("meta"), _Undrawn():
                named = dict(self._network(torch.Generator()).named_parameters())
        except RuntimeError as error:
            raise InputError(f"its options are beyond any network ({str(error).splitlines()[0]})") from None
        expected = {name: tuple(p.shape) for name, p in named.items()}
        if expected != {name: array.shape for name, array in state.items()}:
            raise _misshapen()
        self._begin(torch.Generator())
        if any(array.dtype == np.float64 for array in state.values()):
            self.network.double()
        with torch.no_grad():
            for name, p in self.network.named_parameters():
                p.copy_(torch.from_numpy(state[name].copy()))
        self.network.eval()


def _misshapen() -> InputError:
    return InputError("the model's weights do not have the shapes that its options ask for")


class _Undrawn(TorchFunctionMode):
    """Leaves the first weights undrawn: tensors without numbers have none, and torch would import its compiler for them."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.__name__ in ("normal_", "uniform_"):
            return args[0] if args else kwargs["tensor"]
        return func(*args, **(kwargs or {}))


@dataclass(kw_only=True, eq=False)
class TunedModel(NeuralModel):
    """A neural model trained by AdamW with warm-up, a cosine schedule, dropout and averaged weights."""

    batch: int = option(32, "rows of a minibatch")
    steps: int = option(40, "tokens of a row; gradients go no further back")
    bptt: Literal["truncated", "randomised", "full"] = option(
        "randomised", "rows of `steps` tokens, of lengths drawn around it, or as long as the text allows"
    )
    direct: int | None = option(
        None,
        "n-grams of up to so many tokens have weights straight to the output; none: 5, or 0 where V > 1000",
    )
    dropout: float = option(0.5, "share of a layer's outputs dropped")
    optimizer: Literal["sgd", "adamw", "muon"] = option(
        "adamw", "how gradients become steps; muon: of matrices between layers, adamw of the rest"
    )
    schedule: Literal["constant", "cosine"] = option("cosine", "the learning rate over the training")
    warmup: float = option(0.02, "share of the training during which the learning rate rises")
    weight_decay: float = option(0.1, "AdamW's, on matrices alone")
    arithmetic: Literal["auto", "float32", "bfloat16"] = option(
        "float32", "of the network in training, never in scoring; auto: bfloat16 where the processor has it"
    )
    average: float = option(0.98, "decay of the running mean of the weights, which is what is kept; 0: none")
    patience: int | None = option(
        5, "epochs without a better held-out figure before stopping; none: never stop"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("dropout", "average", "warmup"):
            if not 0 <= getattr(self, name) < 1:
                raise InputError(f"{name}={getattr(self, name):g} must be at least 0 and less than 1")
        if self.direct is not None and not 0 <= self.direct <= MOST_DIRECT:
            raise InputError(f"direct={self.direct} must be from 0 to {MOST_DIRECT}")

    @property
    def longest(self) -> int:
        """``direct``, or the default."""
        return (5 if self.vocab_size <= 1000 else 0) if self.direct is None else self.direct
