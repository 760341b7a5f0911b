"""A causal model of the Hugging Face library, with the tokenizer that it was trained with (extra ``[hf]``)."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from lmbench.errors import InputError
from lmbench.models.base import Traits
from lmbench.models.options import option
from lmbench.models.outside.harness_view import HarnessView
from lmbench.models.outside.network import Network, load
from lmbench.models.outside.windowed import LONGEST, Windowed
from lmbench.text.subword import SubwordUnit
from lmbench.text.units import Unit
from lmbench.text.vocab import UNK, Vocab


@dataclass(kw_only=True, eq=False)
class HuggingFace(Windowed):
    """A pretrained causal network, scored with its own tokens; it learns nothing from the training text.

    A document begins as if the tokens of ``bos`` stood before it. Token t sees the document so far as long as that fits
    the window of n tokens; beyond, it sees what follows the last multiple of ``stride`` that leaves room for it, at
    least n - stride tokens. The probability is that of the text's one customary tokenization, at most that of the text.
    What the network saw in its own training is not known here: it may have read the test text.
    """

    path: str = option("", "a folder with a saved model and its tokenizer, or a name on the hub", kind="hub")
    revision: str | None = option(
        None, "of a name on the hub: a branch, tag or commit; none: the main branch"
    )
    bos: str | None = option(
        None, "the token before a document; none: what the tokenizer puts there, or else its bos or eos"
    )
    special: Literal["text", "tokens"] = option(
        "text", "what a text means that reads like a special token, such as <s>"
    )
    as_read: bool = option(
        False,
        "score a text that the tokenizer changes (to NFC, to lower case) as it reads it; such scores have no rank",
    )
    device: str = option("auto", "cpu, cuda, or auto: a GPU where there is one")
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = option(
        "auto", "of the arithmetic; auto: that of the saved weights on a GPU, float32 on a processor"
    )
    trust_remote_code: bool = option(
        False, "run the code that the model's folder brings, with your rights", kind="code"
    )

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
        """With the folder's absolute path: a saved model may be read from another one, and where there is no GPU."""
        folder = Path(self.path)
        path = str(folder.resolve()) if folder.is_dir() else self.path
        return {**self.options(), "path": path, "device": "cpu" if self.device == "cpu" else "auto"}
