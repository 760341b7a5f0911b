"""A causal model of the Hugging Face library, with the tokenizer that it was trained with (extra ``[hf]``)."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from lmbench.errors import InputError
from lmbench.models.base import LanguageModel, Traits
from lmbench.models.monitor import Monitor
from lmbench.models.options import option
from lmbench.models.outside.harness_view import HarnessView
from lmbench.models.outside.network import Network, load
from lmbench.text.subword import SubwordUnit
from lmbench.text.tokens import Tokens
from lmbench.text.units import Unit
from lmbench.text.vocab import UNK, Vocab

LONGEST = 2048  # tokens of a window where no option names another length


class _Window(NamedTuple):
    """Of a document's inputs ``first`` to ``last``, from which the targets of ``scored`` on are predicted."""

    first: int
    last: int
    scored: int


@dataclass(kw_only=True, eq=False)
class HuggingFace(LanguageModel):
    """A pretrained causal network, scored with its own tokens; it learns nothing from the training text.

    A document begins as if the tokens of ``bos`` stood before it. Token t sees the document so far as long as that fits
    the window of n tokens; beyond, it sees what follows the last multiple of ``stride`` that leaves room for it, at
    least n - stride tokens. The probability is that of the text's one customary tokenization, at most that of the text.
    What the network saw in its own training is not known here: it may have read the test text.
    """

    path: str = option("", "a folder with a saved model and its tokenizer, or a name on the hub", kind="path")
    revision: str | None = option(
        None, "of a name on the hub: a branch, tag or commit; none: the main branch"
    )
    bos: str | None = option(
        None, "the token before a document; none: what the tokenizer puts there, or else its bos or eos"
    )
    bos_in: Literal["document", "window"] = option(
        "document", "where bos stands: before a document alone, or first in every window"
    )
    special: Literal["text", "tokens"] = option(
        "text", "what a text means that reads like a special token, such as <s>"
    )
    as_read: bool = option(
        False,
        "score a text that the tokenizer changes (to NFC, to lower case) as it reads it; such scores have no rank",
    )
    window: int | None = option(
        None, f"tokens that a prediction may rest on; none: as many as the network can, at most {LONGEST}"
    )
    stride: int | None = option(None, "by how much a full window moves on; none: half of it")
    batch: int = option(4096, "tokens that the network reads at once; one window at least")
    device: str = option("auto", "cpu, cuda, or auto: a GPU where there is one")
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = option(
        "auto", "of the arithmetic; auto: that of the saved weights on a GPU, float32 on a processor"
    )
    trust_remote_code: bool = option(
        False, "run the code that the model's folder brings, with your rights", kind="code"
    )

    def __post_init__(self) -> None:
        if not self.path:
            raise InputError("option path: name a folder or a model, for instance -o path=gpt2")
        for name, least in (("window", 2), ("stride", 1), ("batch", 1)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise InputError(f"option {name}={value} is to be {least} or more")

    # What it brings -----------------------------------------------------------------------------------

    @property
    def _source(self) -> dict[str, Any]:
        return {"trust_remote_code": self.trust_remote_code, "revision": self.revision or "main"}

    @functools.cached_property
    def _tokenizer(self) -> Any:
        tokenizer = load("AutoTokenizer", self.path, **self._source)
        if not tokenizer.is_fast:
            raise InputError(
                f"the tokenizer of {self.path} does not tell where its tokens stand; get the model with its fast one "
                "(tokenizer.json)"
            )
        return tokenizer

    @functools.cached_property
    def _network(self) -> Network:
        return Network(self.path, self.device, self.dtype, **self._source)

    @functools.cached_property
    def _put(self) -> tuple[int, ...]:
        """What the tokenizer itself puts before a text: nothing, bos, or more."""
        alone: list[int] = self._tokenizer("a", add_special_tokens=False, verbose=False)["input_ids"]
        whole: list[int] = self._tokenizer("a", verbose=False)["input_ids"]
        before = next(n for n in range(len(whole)) if whole[n : n + len(alone)] == alone)
        return tuple(whole[:before])

    @functools.cached_property
    def _bos(self) -> tuple[int, ...]:
        """What stands before a document, one token or more."""
        tokenizer = self._tokenizer
        if self.bos is None and self._put:
            return self._put
        name = self.bos or tokenizer.bos_token or tokenizer.eos_token
        number = None if name is None else tokenizer.get_vocab().get(name)
        if number is None:
            raise InputError(
                f"{self.path} has no token {name or 'that begins a text'}; name one by -o bos=TOKEN"
            )
        return (int(number),)

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

    def harness_view(self) -> HarnessView:
        window = self.window or self._network.positions or LONGEST
        ends = {self._tokenizer.eos_token_id} - {None}
        return HarnessView(self._network, self._unit, self._bos, bool(self._put), ends, window, self.batch)

    @property
    def own_unit(self) -> Unit:
        return self._unit

    @functools.cached_property
    def _unit(self) -> SubwordUnit:
        return SubwordUnit(
            self._tokenizer.backend_tokenizer,
            self.path,
            lambda: self._network.outputs,
            self.special,
            self.as_read,
            self._tokenizer.unk_token,
        )

    def vocabulary(self, corpus_vocab: Vocab) -> Vocab:
        """``<unk>``, which is never met, then the network's tokens in its order, as far as the tokenizer names them."""
        names = {i: token for token, i in self._tokenizer.get_vocab().items()}
        outputs = range(self._network.outputs)
        return Vocab.from_list([UNK, *(names.get(i, f"<no token {i}>") for i in outputs)])

    @property
    def context_policy(self) -> str:
        window, stride = self._reach
        bos = "".join(self._tokenizer.convert_ids_to_tokens(self._bos))
        policy = (
            f"document,bos={bos},bos_in={self.bos_in},window={window},stride={stride},special={self.special}"
        )
        policy += f",dtype={self._network.dtype}"
        return f"{policy},as_read" if self.as_read else policy

    @property
    def traits(self) -> Traits:
        # Batches of different shapes round differently, more so in types of fewer bits.
        network = self.__dict__.get("_network")  # not loaded for this
        exact = (self.dtype if network is None else network.dtype) in ("auto", "float32")
        files = tuple(p for p in sorted(Path(self.path).glob("*")) if p.is_file())
        return Traits(learns_from=0, precision=1e-5 if exact else 0.02, sources=files)

    def saved_options(self) -> dict[str, Any]:
        """With the folder's absolute path: a saved model may be read from another one."""
        folder = Path(self.path)
        return {**self.options(), "path": str(folder.resolve()) if folder.is_dir() else self.path}

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
        result = np.full(len(tokens), -np.inf)
        for batch in self._batches(self._jobs(tokens)):
            rows, first, wanted, places = zip(*batch, strict=True)
            known = [np.maximum(t, 0) for t in wanted]
            for place, (nats, _) in zip(places, self._network.of_targets(rows, first, known), strict=True):
                result[place : place + len(nats)] = nats
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
