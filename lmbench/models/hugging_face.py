"""A causal model of the Hugging Face library, with the tokenizer that it was trained with (extra ``[hf]``)."""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lmbench.errors import InputError
from lmbench.models.base import LanguageModel, Traits
from lmbench.models.monitor import Monitor
from lmbench.models.options import option
from lmbench.text.tokens import Tokens
from lmbench.text.units import Unit
from lmbench.text.vocab import UNK, Vocab

_LINES = re.compile(r"[^\n]*\n|[^\n]+")
PIECE = 128  # positions whose distributions are held at once


class SubwordUnit:
    r"""The tokens of a tokenizer, line by line, so that none runs across the end of a document.

    A character that takes several tokens (the bytes of ``é``) ends at the last of them; blanks that no token claims
    belong to the token after them.
    """

    name = "subword"

    def __init__(self, tokenizer: Any, source: str) -> None:
        self.tokenizer, self.source = tokenizer, source

    def split(self, text: str) -> list[str]:
        """Raises InputError where the tokens do not hold all of the text (it lower-cases, or has no word for it)."""
        ids = list(itertools.chain.from_iterable(line for line, _ in self._lines(text)))
        tokens: list[str] = self.tokenizer.convert_ids_to_tokens(ids)
        return tokens

    def join(self, tokens: Iterable[str]) -> str:
        return str(self.tokenizer.convert_tokens_to_string(list(tokens)))

    def types(self, text: str) -> tuple[list[str], np.ndarray]:
        number: dict[str, int] = {}
        which = [number.setdefault(token, len(number)) for token in self.split(text)]
        return list(number), np.array(which, dtype=np.int32)

    def ends(self, text: str) -> np.ndarray:
        found, at = [], 0
        for line, (_, offsets) in zip(_LINES.findall(text), self._lines(text), strict=True):
            begins = [begin for begin, _ in offsets[1:]] + [len(line)]
            ends = [min(end, begin) for (_, end), begin in zip(offsets, begins, strict=True)]
            found.append(np.maximum.accumulate([*ends[:-1], len(line)]) + at)
            at += len(line)
        return np.concatenate(found).astype(np.int64) if found else np.zeros(0, dtype=np.int64)

    def _lines(self, text: str) -> Iterator[tuple[list[int], list[tuple[int, int]]]]:
        lines = _LINES.findall(text)
        if not lines:
            return
        told = self.tokenizer(lines, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
        for line, ids, offsets in zip(lines, told["input_ids"], told["offset_mapping"], strict=True):
            back = self.tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)
            if back != line:
                raise InputError(
                    f"the tokenizer of {self.source} makes {back[:40]!r} of {line[:40]!r}; only one that keeps every "
                    "character can be charged for the text (a byte-level one does)"
                )
            yield ids, offsets


@dataclass(kw_only=True, eq=False)
class HuggingFace(LanguageModel):
    """A pretrained causal network, scored with its own tokens; it learns nothing from the training text.

    A document begins as if the token ``bos`` stood before it. Token t sees the document so far as long as that fits the
    window of n tokens; beyond, it sees what follows the last multiple of ``stride`` that leaves room for it, at least
    n - stride tokens. The probability is that of the text's one customary tokenization, at most that of the text.
    What the network saw in its own training is not known here: it may have read the test text.
    """

    path: str = option("", "a folder with a saved model and its tokenizer, or a name on the hub")
    bos: str | None = option(None, "the token before a document; none: the tokenizer's own bos or eos")
    window: int | None = option(
        None, "tokens that a prediction may rest on; none: as many as the network can"
    )
    stride: int | None = option(None, "by how much a full window moves on; none: half of it")
    batch: int = option(4, "windows side by side")
    device: str = option("cpu", "cpu, or cuda where there is one")

    def __post_init__(self) -> None:
        if not self.path:
            raise InputError("option path: name a folder or a model, for instance -o path=gpt2")
        if self.window is not None and self.window < 2:
            raise InputError(f"option window={self.window} is to be 2 or more")
        if self.stride is not None and self.stride < 1:
            raise InputError(f"option stride={self.stride} is to be 1 or more")
        if self.batch < 1:
            raise InputError(f"option batch={self.batch} is to be 1 or more")

    # What it brings -----------------------------------------------------------------------------------

    @functools.cached_property
    def _tokenizer(self) -> Any:
        found = _load("AutoTokenizer", self.path)
        if not found.is_fast:
            raise InputError(
                f"the tokenizer of {self.path} does not tell where its tokens stand; use a fast one"
            )
        return found

    @functools.cached_property
    def _network(self) -> torch.nn.Module:
        network: torch.nn.Module = _load("AutoModelForCausalLM", self.path)
        return network.to(self.device).float().eval().requires_grad_(False)

    @functools.cached_property
    def _outputs(self) -> int:
        """How many tokens the network knows."""
        return int(self._network.config.vocab_size)  # type: ignore[union-attr, arg-type]

    @functools.cached_property
    def _bos(self) -> int:
        name = self.bos or self._tokenizer.bos_token or self._tokenizer.eos_token
        found = None if name is None else self._tokenizer.get_vocab().get(name)
        if found is None:
            raise InputError(
                f"{self.path} has no token {name or 'that begins a text'}; name one by -o bos=TOKEN"
            )
        return int(found)

    @functools.cached_property
    def _reach(self) -> tuple[int, int]:
        """The window's length and stride in tokens."""
        most = getattr(self._network.config, "max_position_embeddings", None)
        window = min(filter(None, (self.window, most)), default=1024)
        stride = self.stride or max(1, window // 2)
        if stride >= window:
            raise InputError(f"option stride={stride} is to be less than the window, {window} tokens")
        return window, stride

    def unit(self, name: str) -> Unit:
        return SubwordUnit(self._tokenizer, self.path)

    def vocabulary(self, corpus_vocab: Vocab) -> Vocab:
        """``<unk>``, which is never met, then the tokenizer's tokens in its order."""
        names = {i: token for token, i in self._tokenizer.get_vocab().items()}
        if max(names) >= self._outputs:
            raise InputError(
                f"the tokenizer of {self.path} has {max(names) + 1} tokens, its model {self._outputs}"
            )
        return Vocab.from_list([UNK, *(names.get(i, f"<no token {i}>") for i in range(self._outputs))])

    @property
    def context_policy(self) -> str:
        window, stride = self._reach
        return (
            f"document,bos={self._tokenizer.convert_ids_to_tokens(self._bos)},window={window},stride={stride}"
        )

    @property
    def traits(self) -> Traits:
        files = tuple(p for p in sorted(Path(self.path).glob("*")) if p.is_file())
        return Traits(
            precision=1e-5, sources=files
        )  # logits in 32 bits, computed in batches of different shapes

    @property
    def parameters(self) -> int:
        return sum(p.numel() for p in self._network.parameters())

    @property
    def model_bytes(self) -> int:
        return sum(p.numel() * p.element_size() for p in self._network.parameters())

    # The contract -------------------------------------------------------------------------------------

    def _fit(self, train: Tokens, valid: Tokens | None, rng: np.random.Generator, monitor: Monitor) -> None:
        if self.vocab_size != self._outputs + 1:
            raise InputError(
                f"{self.path} has {self._outputs} tokens; encode the text with the model's own vocabulary()"
            )
        self.notes.append("trained elsewhere: whether it has read the test text is not known")

    def _log_probs(self, tokens: Tokens) -> np.ndarray:
        result = np.full(len(tokens), -np.inf)
        windows = []  # (first input, end, first scored) as places in a document, and the document's own place
        ends = [*tokens.starts[1:].tolist(), len(tokens)]
        size, stride = self._reach
        for begin, end in zip(tokens.starts.tolist(), ends, strict=True):
            scored = 0
            for first in itertools.count(0, stride):
                if scored >= end - begin:
                    break
                last = min(first + size, end - begin)
                windows.append((first, last, scored, begin))
                scored = last
        windows.sort(key=lambda w: w[1] - w[0])
        for at in range(0, len(windows), self.batch):
            here = windows[at : at + self.batch]
            rows = [
                self._inputs(tokens.ids[begin : begin + last])[first:last] for first, last, _, begin in here
            ]
            for (first, last, scored, begin), logits in zip(here, self._logits(rows), strict=True):
                targets = tokens.ids[begin + scored : begin + last].astype(np.int64) - 1
                result[begin + scored : begin + last] = _of_targets(logits[scored - first :], targets)
        result[tokens.ids == 0] = -np.inf
        return np.minimum(result, 0.0)

    def _next_log_probs(self, contexts: Sequence[np.ndarray], bos: int) -> np.ndarray:
        result = np.full((len(contexts), self.vocab_size), -np.inf)
        size, stride = self._reach
        for row, context in zip(result, contexts, strict=True):
            first = max(0, -(-(len(context) + 1 - size) // stride)) * stride
            inputs = self._inputs(np.append(context, 0))[first:]
            logits = self._logits([inputs])[0][-1]
            row[1:] = torch.log_softmax(logits.double(), dim=-1).cpu().numpy()
        return result

    def _inputs(self, ids: np.ndarray) -> np.ndarray:
        """(T,) int64: what stands before each token, in the network's own ids."""
        before = np.append(0, ids[:-1]).astype(np.int64)
        return np.where(before == 0, self._bos, before - 1)

    def _logits(self, rows: Sequence[np.ndarray]) -> list[torch.Tensor]:
        """Of each row, (length, V'). Shorter rows are filled up at the end, which nothing before it sees."""
        longest = max(map(len, rows))
        inputs = torch.zeros((len(rows), longest), dtype=torch.long)
        mask = torch.zeros_like(inputs)
        for i, row in enumerate(rows):
            inputs[i, : len(row)] = torch.from_numpy(row)
            mask[i, : len(row)] = 1
        with torch.no_grad():
            found = self._network(
                input_ids=inputs.to(self.device), attention_mask=mask.to(self.device)
            ).logits
        return [logits[: len(row)] for logits, row in zip(found, rows, strict=True)]

    def _state(self) -> dict[str, np.ndarray]:
        """Nothing: the weights stay where ``path`` says."""
        return {}

    def _restore(self, state: Mapping[str, np.ndarray]) -> None: ...


def _of_targets(logits: torch.Tensor, targets: np.ndarray) -> np.ndarray:
    """(n,) float64, nats, of n targets; those below 0 get no meaning."""
    chosen = torch.from_numpy(np.maximum(targets, 0)).to(logits.device)
    pieces = zip(torch.split(logits, PIECE), torch.split(chosen, PIECE), strict=True)
    losses = [torch.nn.functional.cross_entropy(x.double(), y, reduction="none") for x, y in pieces]
    found: np.ndarray = -torch.cat(losses).cpu().numpy()
    return found


def _load(kind: str, path: str, **options: Any) -> Any:
    try:
        import transformers
    except ImportError:
        raise InputError("this model needs transformers; install it: pip install 'lmbench[hf]'") from None
    try:
        return getattr(transformers, kind).from_pretrained(path, **options)
    except (OSError, ValueError, KeyError) as error:
        said = " ".join(str(error).split())[:200]
        raise InputError(f"cannot load {path} as a causal model with its tokenizer: {said}") from None
