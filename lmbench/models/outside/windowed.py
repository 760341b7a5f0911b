"""What pretrained networks share, whatever program computes them: documents read in windows, each charged with its own tokens."""

from __future__ import annotations

import functools
import itertools
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np

from lmbench.errors import InputError
from lmbench.models.base import LanguageModel
from lmbench.models.monitor import Monitor
from lmbench.models.options import option
from lmbench.text.tokens import Tokens

LONGEST = 2048  # tokens of a window where no option names another length


class _Window(NamedTuple):
    """Of a document's inputs ``first`` to ``last``, from which the targets of ``scored`` on are predicted."""

    first: int
    last: int
    scored: int


class Asked(Protocol):
    """A network as it is asked. Rows are (L,) int64 inputs in its own ids; all log-probabilities are float64 nats."""

    @property
    def positions(self) -> int | None:
        """How many tokens it can see at once; None where nothing in it says so."""

    @property
    def outputs(self) -> int:
        """V', the number of tokens that it gives a probability."""

    @property
    def parameters(self) -> int: ...

    @property
    def model_bytes(self) -> int: ...

    def of_targets(
        self,
        rows: Sequence[np.ndarray],
        first: Sequence[int],
        targets: Sequence[np.ndarray],
        greedy: bool = True,
    ) -> list[tuple[np.ndarray, np.ndarray]]:
        """Of each row, (n,) nats of its n targets, and (n,) bool, whether each is the likeliest.

        Entry k is that of targets[k] after row[: first + k + 1]. greedy: whether the second is asked for; else it is false.
        """

    def distributions(self, rows: Sequence[np.ndarray], places: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Of each row, (n, V') nats: the distributions after row[: place + 1] of each of its n places, ascending."""


@dataclass(kw_only=True, eq=False)
class Windowed(LanguageModel):
    """A pretrained causal network, scored with its own tokens; it learns nothing from the training text.

    A document begins as if the tokens of ``bos`` stood before it. Token t sees the document so far as long as that fits
    the window of n tokens; beyond, it sees what follows the last multiple of ``stride`` that leaves room for it, at
    least n - stride tokens.
    """

    path: str = option("", "where the model is", kind="path")
    bos_in: Literal["document", "window"] = option(
        "document", "where bos stands: before a document alone, or first in every window"
    )
    window: int | None = option(
        None, f"tokens that a prediction may rest on; none: as many as the network can, at most {LONGEST}"
    )
    stride: int | None = option(None, "by how much a full window moves on; none: half of it")
    batch: int = option(4096, "tokens that the network reads at once; one window at least")

    def __post_init__(self) -> None:
        if not self.path:
            raise InputError("option path: name the model, a folder or a file: -o path=PATH")
        for name, least in (("window", 2), ("stride", 1), ("batch", 1)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise InputError(f"option {name}={value} is to be {least} or more")

    @property
    @abstractmethod
    def _network(self) -> Asked: ...

    @property
    @abstractmethod
    def _bos(self) -> tuple[int, ...]:
        """What stands before a document, one token or more."""

    @functools.cached_property
    def _reach(self) -> tuple[int, int]:
        """The window's length and stride in tokens."""
        most = self._network.positions
        window = self.window or min(most or LONGEST, LONGEST)
        if most is not None and window > most:
            raise InputError(
                f"option window={window} is more than the {most} tokens that {self.path} can see"
            )
        stride = self.stride or max(1, window // 2)
        if stride >= window:
            raise InputError(f"option stride={stride} is to be less than the window, {window} tokens")
        if len(self._bos) > window - stride:
            raise InputError(
                f"{len(self._bos)} tokens of bos do not fit what a window of {window} tokens leaves beside a stride of {stride}"
            )
        return window, stride

    @property
    def parameters(self) -> int:
        return self._network.parameters

    @property
    def model_bytes(self) -> int:
        return self._network.model_bytes

    # The contract -------------------------------------------------------------------------------------

    def _fit(self, train: Tokens, valid: Tokens | None, rng: np.random.Generator, monitor: Monitor) -> None:
        if self.vocab_size != self._network.outputs + 1:
            raise InputError(
                f"{self.path} has {self._network.outputs} tokens; encode the text with the model's own vocabulary()"
            )
        self.notes.append("trained elsewhere: whether it has read the test text is not known")

    def _log_probs(self, tokens: Tokens) -> np.ndarray:
        result, done = np.full(len(tokens), -np.inf), 0
        for batch in self._batches(self._jobs(tokens)):
            rows, first, wanted, places = zip(*batch, strict=True)
            known = [np.maximum(t, 0) for t in wanted]
            for place, (nats, _) in zip(
                places, self._network.of_targets(rows, first, known, greedy=False), strict=True
            ):
                result[place : place + len(nats)] = nats
                done += len(nats)
            self.monitor.progress(done, len(tokens), "tokens scored")
        result[tokens.ids == 0] = -np.inf
        return np.minimum(result, 0.0)

    def _distributions(self, tokens: Tokens, places: np.ndarray) -> np.ndarray:
        result = np.full((len(places), self.vocab_size), -np.inf)
        asked = []
        for row, first, targets, place in self._jobs(tokens):
            some = slice(*np.searchsorted(places, (place, place + len(targets))))
            if some.stop > some.start:
                asked.append((row, places[some] - place + first, some))
        for batch in self._batches(asked):
            rows, inside, parts = zip(*batch, strict=True)
            for part, nats in zip(parts, self._network.distributions(rows, inside), strict=True):
                result[part, 1:] = nats
        return result

    def _jobs(self, tokens: Tokens) -> list[Any]:
        """A text's windows: inputs, the first of them that predicts, (n,) targets, and the token that the first of these is."""
        before = len(self._bos) - 1  # inputs before the one that predicts a document's first token
        jobs = []
        for begin, document in zip(tokens.starts.tolist(), tokens.documents(), strict=True):
            inputs = self._inputs(document[:-1])
            for window in self._windows(len(inputs)):
                place = begin + window.scored - before
                targets = document[window.scored - before : window.last - before].astype(np.int64) - 1
                jobs.append((self._row(inputs, window), window.scored - window.first, targets, place))
        return jobs

    def _next_log_probs(self, contexts: Sequence[np.ndarray], bos: int) -> np.ndarray:
        result = np.full((len(contexts), self.vocab_size), -np.inf)
        jobs = []
        for place, context in enumerate(contexts):
            inputs = self._inputs(context)
            row = self._row(inputs, self._last_window(len(inputs)))
            jobs.append((row, np.array([len(row) - 1]), place))
        for batch in self._batches(jobs):
            rows, inside, places = zip(*batch, strict=True)
            for place, nats in zip(places, self._network.distributions(rows, inside), strict=True):
                result[place, 1:] = nats[0]
        return result

    # Windows ------------------------------------------------------------------------------------------

    def _inputs(self, ids: np.ndarray) -> np.ndarray:
        """(L,) int64, in the network's own ids: bos and what stands after it. ``<unk>``, which no text has, as bos."""
        own = ids.astype(np.int64) - 1
        return np.concatenate([self._bos, np.where(own < 0, self._bos[-1], own)])

    def _windows(self, length: int) -> Iterator[_Window]:
        """The windows of a document of so many inputs; each input after bos predicts in one of them."""
        size, stride = self._reach
        scored = len(self._bos) - 1
        for first in itertools.count(0, stride):
            if scored >= length:
                return
            last = min(first + size, length)
            yield _Window(first, last, scored)
            scored = last

    def _last_window(self, length: int) -> _Window:
        """The one in which the last of so many inputs predicts."""
        size, stride = self._reach
        first = max(0, -(-(length - size) // stride)) * stride
        return _Window(first, length, length - 1)

    def _row(self, inputs: np.ndarray, window: _Window) -> np.ndarray:
        row = inputs[window.first : window.last]
        if window.first and self.bos_in == "window":
            row = np.concatenate([self._bos, row[len(self._bos) :]])
        return row

    def _batches(self, jobs: list[Any]) -> Iterator[list[Any]]:
        """Windows of about one length, as many as ``batch`` tokens hold; the longest first, so that memory tells soon."""
        jobs = sorted(jobs, key=lambda job: -len(job[0]))
        begin = 0
        while begin < len(jobs):
            end = begin + max(1, self.batch // len(jobs[begin][0]))
            yield jobs[begin:end]
            begin = end

    def _state(self) -> dict[str, np.ndarray]:
        """Nothing: the weights stay where ``path`` says."""
        return {}

    def _restore(self, state: Mapping[str, np.ndarray]) -> None: ...
