"""A causal model in a GGUF file, with the tokenizer that the file holds, computed by llama.cpp (extra ``[gguf]``)."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from lmbench.errors import InputError, shown
from lmbench.models.base import Traits
from lmbench.models.options import option
from lmbench.models.outside.llama import LlamaNetwork
from lmbench.models.outside.windowed import Windowed
from lmbench.text.canonical import CanonicalText
from lmbench.text.cut import Cut
from lmbench.text.units import Unit
from lmbench.text.vocab import UNK, Vocab


@dataclass(kw_only=True, eq=False)
class Gguf(Windowed):
    """A pretrained causal network in a GGUF file, quantised or not, as llama.cpp computes it; it learns nothing here.

    It reads documents in windows as ``hugging-face`` does, and its options mean the same. What the network saw in its own training is not
    known here: it may have read the test text.
    """

    path: str = option("", "the file", kind="path")
    bos: str | None = option(
        None, "the token before a document; none: what the tokenizer puts there, or else its bos or eos"
    )
    special: Literal["text", "tokens"] = option(
        "text", "what a text means that reads like a special token, such as <s>"
    )
    gpu_layers: int = option(-1, "layers on a GPU, where llama.cpp was built for one; -1: all")
    threads: int | None = option(
        None, "of the processor; none: OMP_NUM_THREADS, or all that this process may use"
    )

    @functools.cached_property
    def _network(self) -> LlamaNetwork:
        network = LlamaNetwork(self.path, self.gpu_layers, self.threads)
        _refuse_looking_ahead(network)
        return network

    @functools.cached_property
    def _bos(self) -> tuple[int, ...]:
        network = self._network
        if self.bos is not None:
            if self.bos not in network.names:
                raise InputError(f"{self.path} has no token {self.bos}; name one by -o bos=TOKEN")
            return (network.names.index(self.bos),)
        put = network.begins if network.before_text is None else network.before_text
        if put is None:
            raise InputError(f"{self.path} has no token that begins a text; name one by -o bos=TOKEN")
        return (put,)

    @property
    def own_unit(self) -> Unit:
        return self._unit

    @functools.cached_property
    def _unit(self) -> _PiecesUnit:
        return _PiecesUnit(self._network, self.special == "tokens")

    def vocabulary(self, corpus_vocab: Vocab) -> Vocab:
        """``<unk>``, which is never met, then the file's tokens in their order."""
        return Vocab.from_list([UNK, *self._network.names])

    @property
    def context_policy(self) -> str:
        window, stride = self._reach
        bos = "".join(self._network.names[i] for i in self._bos)
        policy = (
            f"document,bos={bos},bos_in={self.bos_in},window={window},stride={stride},special={self.special}"
        )
        return f"{policy},weights={self._network.description.replace(' ', '_')}"

    @property
    def traits(self) -> Traits:
        # Quantised products round the inputs too, and batches of different sizes differently.
        return Traits(learns_from=0, precision=1e-4, sources=(Path(self.path),))

    def saved_options(self) -> dict[str, Any]:
        """With the file's absolute path: a saved model may be read from another folder."""
        return {**self.options(), "path": str(Path(self.path).resolve())}


def _refuse_looking_ahead(network: LlamaNetwork) -> None:
    """Raises InputError where what follows a token changes what is said of it."""
    one = (np.arange(9) * 7 + 3) % network.outputs
    other = one.copy()
    other[-1] = (other[-1] + 1) % network.outputs
    before, after = (network.distributions([row], [np.arange(8)])[0] for row in (one, other))
    if not np.allclose(before, after, rtol=1e-3, atol=1e-3):
        raise InputError(
            f"{network.path} ({network.description}) sees the tokens after the one that it predicts, so its numbers are no "
            "probabilities of a text; take a causal model"
        )


class _PiecesUnit(Unit):
    """The tokens of a GGUF file's tokenizer, each document cut whole; a token's characters are those whose last byte it brings."""

    name = spec = "subword"

    def __init__(self, network: LlamaNetwork, special: bool) -> None:
        self._network, self._special = network, special
        self._bytes: dict[int, bytes] = {}
        self._numbers = {name: i for i, name in enumerate(network.names)}

    def split(self, text: str) -> list[str]:
        return [self._network.names[i] for i in self._document(text)[0]]

    def join(self, tokens: Iterable[str]) -> str:
        """The document that tokens stand for; bytes that are no UTF-8 become U+FFFD."""
        data = b"".join(self._piece(self._numbers[token]) for token in tokens)
        return data.removeprefix(b" " if self._puts_blank else b"").decode("utf-8", "replace")

    def types(self, text: str) -> tuple[list[str], np.ndarray]:
        return self._types(np.array(self._document(text)[0], dtype=np.int64))

    def ends(self, text: str) -> np.ndarray:
        return self._document(text)[1]

    def cut(self, text: CanonicalText) -> Cut:
        ids, ends, begin = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int64)], 0
        lengths = []
        for document in text.documents():
            found, its_ends = self._document(document, begin)
            ids.append(np.array(found, dtype=np.int64))
            ends.append(its_ends + begin)
            lengths.append(len(found))
            begin += len(document)
        types, which = self._types(np.concatenate(ids))
        return Cut(text, types, which, np.cumsum(lengths) - lengths, np.concatenate(ends))

    @functools.cached_property
    def _puts_blank(self) -> bool:
        """Whether a blank is put before texts, that stands for no character."""
        return b"".join(map(self._piece, self._network.ids("a", False))) == b" a"

    def _piece(self, token: int) -> bytes:
        if token not in self._bytes:
            self._bytes[token] = self._network.piece(token, True)
        return self._bytes[token]

    def _document(self, text: str, begin: int = 0) -> tuple[Sequence[int], np.ndarray]:
        """A document's ids, and (T,) int64 the ends of their characters. begin: the characters before it, for errors."""
        data = text.encode()
        ids = self._network.ids(text, self._special)
        pieces = [self._piece(i) for i in ids]
        read = b"".join(pieces)
        blank = len(read) == len(data) + 1 and read == b" " + data
        if not blank and read != data:
            said = read.decode("utf-8", "replace").removeprefix(" " if self._puts_blank else "")
            pairs = zip(text, said, strict=False)
            at = next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(text), len(said)))
            raise InputError(
                f"the tokenizer of {self._network.path} reads {shown(said[at : at + 9])} for {shown(text[at : at + 9])} at "
                f"character {begin + at + 1}; only one that keeps every character can be charged for the text"
            )
        ends = np.maximum(np.cumsum([len(piece) for piece in pieces], dtype=np.int64) - blank, 0)
        complete = np.cumsum((np.frombuffer(data[1:] + b" ", dtype=np.uint8) & 0xC0) != 0x80)
        return ids, np.append(0, complete)[ends].astype(np.int64)

    def _types(self, ids: np.ndarray) -> tuple[list[str], np.ndarray]:
        distinct, first, which = np.unique(ids, return_index=True, return_inverse=True)
        order = np.argsort(first)
        place = np.empty(len(order), dtype=np.int32)
        place[order] = np.arange(len(order), dtype=np.int32)
        return [self._network.names[i] for i in distinct[order].tolist()], place[which]
