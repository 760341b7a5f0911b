"""A network in a GGUF file, computed by llama.cpp (``llama-cpp-python``) and asked for log-probabilities in bounded memory."""

from __future__ import annotations

import ctypes
import functools
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lmbench.errors import InputError, number_of

LOGITS = (
    1 << 23
)  # logits that are held at once, in double precision: 64 MiB and as much for what is made of them
MOST = 512  # tokens that are read at once
PIECE = 256  # bytes of a token's text that are asked for at first
ERROR = 4  # the least of llama.cpp's levels that tells of errors; the highest are lines that go on
_MESSAGES: list[str] = []


def library() -> Any:
    """llama.cpp's own interface. Raises InputError where it is not installed."""
    try:
        import llama_cpp
    except ImportError:
        raise InputError(
            "a GGUF file needs llama-cpp-python; install it: pip install 'lmbench[gguf]'"
        ) from None
    _listen(llama_cpp)
    return llama_cpp


@functools.cache
def _listen(llama: Any) -> Any:
    """Takes llama.cpp's messages from the terminal; what it calls for each is kept for good, since it goes on calling it."""

    @llama.llama_log_callback  # type: ignore[untyped-decorator]
    def heard(level: int, text: bytes, _: Any) -> None:
        if level >= ERROR:
            _MESSAGES.append(text.decode("utf-8", "replace"))

    llama.llama_log_set(heard, None)
    llama.llama_backend_init()
    return heard


class LlamaNetwork:
    """A network of llama.cpp. Rows are (L,) int64 inputs; all log-probabilities are float64 nats.

    Keys and values are kept in single precision. What was read last is kept, so that a row that goes on from it costs no more
    than what it adds. Raises InputError where the file is no causal model.
    """

    def __init__(self, path: str, gpu_layers: int, threads: int | None) -> None:
        self.path = path
        self._threads = threads or number_of("OMP_NUM_THREADS", len(os.sched_getaffinity(0)))
        self._llama = llama = library()
        if not Path(path).is_file():
            raise InputError(f"option path={path} is no file; name a model in GGUF")
        _MESSAGES.clear()
        options = llama.llama_model_default_params()
        options.n_gpu_layers = gpu_layers
        self._model = llama.llama_model_load_from_file(path.encode(), options)
        if not self._model:
            reason = " ".join("".join(_MESSAGES).split())[:240] or "no reason is given"
            raise InputError(f"cannot load {path} as a model in GGUF: {reason}")
        self._vocab = llama.llama_model_get_vocab(self._model)
        self._context: Any = None
        self._window, self._held = 0, np.zeros(0, dtype=np.int64)

    # What it is ---------------------------------------------------------------------------------------

    @functools.cached_property
    def positions(self) -> int | None:
        """How many tokens it was trained to see at once; None where the file does not say so."""
        return int(self._llama.llama_model_n_ctx_train(self._model)) or None

    @functools.cached_property
    def outputs(self) -> int:
        """V', the number of tokens that it gives a probability."""
        return int(self._llama.llama_vocab_n_tokens(self._vocab))

    @property
    def parameters(self) -> int:
        return int(self._llama.llama_model_n_params(self._model))

    @property
    def model_bytes(self) -> int:
        return int(self._llama.llama_model_size(self._model))

    @functools.cached_property
    def description(self) -> str:
        """Kind, size and the type of the weights in a few words: ``llama 1B Q4_K - Medium``."""
        buffer = ctypes.create_string_buffer(128)
        self._llama.llama_model_desc(self._model, buffer, len(buffer))
        return buffer.value.decode("utf-8", "replace")

    @property
    def before_text(self) -> int | None:
        """The token that the tokenizer puts before a text, if it does."""
        llama = self._llama
        return self.begins if llama.llama_vocab_get_add_bos(self._vocab) else None

    @property
    def begins(self) -> int | None:
        """The token that begins a text, or else the one that ends it; None where there is neither."""
        llama = self._llama
        both = (llama.llama_vocab_bos(self._vocab), llama.llama_vocab_eos(self._vocab))
        return next((int(i) for i in both if i >= 0), None)

    # Tokens -------------------------------------------------------------------------------------------

    @functools.cached_property
    def names(self) -> list[str]:
        """(V',) the tokens as the file names them, each once."""
        names: dict[str, int] = {}
        for i in range(self.outputs):
            raw = self._llama.llama_vocab_get_text(self._vocab, i) or b""
            name = raw.decode("utf-8", "replace")
            names.setdefault(name if name and name not in names else f"<token {i}>", i)
        return list(names)

    def ids(self, text: str, special: bool) -> list[int]:
        """A text's tokens. special: whether what reads like a special token is one."""
        data = text.encode()
        size = len(data) + 8
        while True:
            ids = (self._llama.llama_token * size)()
            found = self._llama.llama_tokenize(self._vocab, data, len(data), ids, size, False, special)
            if found >= 0:
                return list(ids[:found])
            size = -found

    def piece(self, token: int, special: bool) -> bytes:
        """What a token stands for."""
        size = PIECE
        while True:
            buffer = ctypes.create_string_buffer(size)
            found = self._llama.llama_token_to_piece(self._vocab, token, buffer, size, 0, special)
            if found >= 0:
                return bytes(buffer.raw[:found])
            size = -found

    # What it is asked ---------------------------------------------------------------------------------

    def of_targets(
        self,
        rows: Sequence[np.ndarray],
        first: Sequence[int],
        targets: Sequence[np.ndarray],
        greedy: bool = True,
    ) -> list[tuple[np.ndarray, np.ndarray]]:
        """As ``Asked`` says."""
        results = []
        for row, begin, wanted in zip(rows, first, targets, strict=True):
            nats, best, done = np.empty(len(wanted)), np.zeros(len(wanted), dtype=bool), 0
            for logits in self._read(row, np.arange(begin, begin + len(wanted))):
                some = wanted[done : done + len(logits)]
                chosen = logits[np.arange(len(some)), some].astype(np.float64)
                nats[done : done + len(some)] = chosen - _log_sum(logits)
                if greedy:
                    best[done : done + len(some)] = logits.argmax(axis=1) == some
                done += len(some)
            results.append((nats, best))
        return results

    def distributions(self, rows: Sequence[np.ndarray], places: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Of each row, (n, V') nats: the distributions after row[: place + 1] of each of its n places, ascending."""
        return [
            np.concatenate(
                [part.astype(np.float64) - _log_sum(part)[:, None] for part in self._read(row, asked)]
            )
            for row, asked in zip(rows, places, strict=True)
        ]

    def _read(self, row: np.ndarray, places: np.ndarray) -> Iterator[np.ndarray]:
        """(n, V') float32, some at a time: the logits after row[: place + 1] of each place, ascending."""
        if not len(places):
            return
        llama = self._llama
        row = row[: int(places[-1]) + 1]
        asked = np.isin(np.arange(len(row)), places)
        context = self._room(len(row))
        least = min(len(row), len(self._held), int(places[0]))
        differs = np.flatnonzero(row[:least] != self._held[:least])
        begin = int(differs[0]) if len(differs) else least
        memory = llama.llama_get_memory(context)
        if not (begin and llama.llama_memory_seq_rm(memory, 0, begin, -1)):
            llama.llama_memory_clear(memory, True)
            begin = 0
        self._held = row[:0]
        step = self._step
        batch = llama.llama_batch_init(step, 0, 1)
        try:
            for at in range(begin, len(row), step):
                part = row[at : at + step].tolist()
                batch.n_tokens = len(part)
                for i, token in enumerate(part):
                    batch.token[i], batch.pos[i], batch.n_seq_id[i] = token, at + i, 1
                    batch.seq_id[i][0], batch.logits[i] = 0, bool(asked[at + i])
                if llama.llama_decode(context, batch) != 0:
                    raise InputError(
                        f"{self.path} fails on {len(row)} tokens at once; a shorter window may do: -o window=N"
                    )
                if count := int(asked[at : at + step].sum()):
                    size = count * self.outputs
                    flat = np.ctypeslib.as_array(llama.llama_get_logits(context), shape=(size,))
                    yield flat.reshape(count, self.outputs)
            self._held = row.copy()
        finally:
            llama.llama_batch_free(batch)

    @functools.cached_property
    def _step(self) -> int:
        """Tokens that are read at once, whose logits are held together."""
        return max(1, min(MOST, LOGITS // self.outputs))

    def _room(self, length: int) -> Any:
        """A context that holds so many tokens; a larger one is made where the present one does not."""
        if length > self._window:
            llama = self._llama
            if self._context:
                llama.llama_free(self._context)
            options = llama.llama_context_default_params()
            self._window = max(length, 2 * self._window, 64)
            options.n_ctx, options.n_batch, options.n_ubatch = self._window, self._step, self._step
            options.n_threads = options.n_threads_batch = self._threads
            options.type_k = options.type_v = llama.GGML_TYPE_F32
            # Which would round to half precision: differences of 0.01 nats a token.
            options.flash_attn_type = llama.LLAMA_FLASH_ATTN_TYPE_DISABLED
            self._context = llama.llama_init_from_model(self._model, options)
            self._held = np.zeros(0, dtype=np.int64)
            if not self._context:
                raise MemoryError(f"no memory for {self._window} tokens of {self.path}")
        return self._context

    def __del__(self) -> None:
        if getattr(self, "_context", None):
            self._llama.llama_free(self._context)
        if getattr(self, "_model", None):
            self._llama.llama_model_free(self._model)


def _log_sum(logits: np.ndarray) -> np.ndarray:
    """(n,) float64: the logarithm of the sum of exp of each row."""
    highest = logits.max(axis=1, keepdims=True)
    sums: np.ndarray = np.exp(logits - highest).sum(axis=1, dtype=np.float64)
    return np.log(sums) + highest[:, 0]
