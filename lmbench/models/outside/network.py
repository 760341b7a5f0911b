"""A causal network of the transformers library: loaded, checked, and asked for log-probabilities in bounded memory."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch

from lmbench.errors import InputError

LOGITS = (
    1 << 24
)  # logits that are held at once, in double precision: 128 MiB and as much for what is made of them
LENGTHS = (  # what configurations call the number of positions
    "max_position_embeddings",
    "n_positions",
    "max_seq_len",
    "max_sequence_length",
    "n_ctx",
)
_Logits = Callable[[torch.Tensor], torch.Tensor]


def load(kind: str, path: str, **options: Any) -> Any:
    """What ``transformers.kind.from_pretrained`` makes of a folder or a name. Raises InputError with its reason."""
    try:
        import transformers
    except ImportError:
        raise InputError("this model needs transformers; install it: pip install 'lmbench[hf]'") from None
    try:
        with _silent(transformers):
            return getattr(transformers, kind).from_pretrained(path, **options)
    except Exception as error:  # the library's readers raise what their parts raise
        reason = " ".join(str(error).split())
        if "trust_remote_code" in reason:
            raise InputError(
                f"{path} brings code of its own, which runs with your rights; read it, then allow it by "
                "-o trust_remote_code=true"
            ) from None
        raise InputError(
            f"cannot load {path} as a causal model with its tokenizer: {type(error).__name__}: {reason[:240]}"
        ) from None


@contextlib.contextmanager
def _silent(transformers: Any) -> Iterator[None]:
    """Without the library's bars and warnings: what matters in them is checked here."""
    log = transformers.utils.logging
    level, bars = log.get_verbosity(), log.is_progress_bar_enabled()
    log.set_verbosity_error()
    log.disable_progress_bar()
    try:
        yield
    finally:
        log.set_verbosity(level)
        if bars:
            log.enable_progress_bar()


def device_named(name: str) -> torch.device:
    """The device of an option; ``auto``: a GPU where there is one. Raises InputError where there is none such."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise InputError(f"option device={name} is no device; write auto, cpu or cuda") from None
    if device.type == "cuda" and not torch.cuda.is_available():
        raise InputError(f"option device={name}: there is no GPU that torch can use here; write auto or cpu")
    if device.type not in ("cpu", "cuda", "mps"):
        raise InputError(f"option device={name} is not supported; write auto, cpu or cuda")
    return device


class Network:
    """A causal network, fit to score with. Rows are (L,) int64 inputs; all log-probabilities are float64 nats.

    dtype: ``auto`` computes on a GPU in the type of the saved weights and on a processor in float32. Raises InputError
    where it is no causal model, or not all of one.
    """

    def __init__(self, path: str, device: str, dtype: str, **options: Any) -> None:
        self.path, self.device = path, device_named(device)
        self.config = load("AutoConfig", path, **options)
        _refuse_encoders(path, self.config)
        quantised = getattr(self.config, "quantization_config", None) is not None
        if dtype == "auto":
            dtype = "float32" if self.device.type == "cpu" and not quantised else "auto"
        options = {**options, "dtype": dtype if dtype == "auto" else getattr(torch, dtype)}
        network, info = load("AutoModelForCausalLM", path, output_loading_info=True, **options)
        if lost := sorted(info.get("missing_keys", ())):
            raise InputError(
                f"the files of {path} hold no {lost[0]}"
                + (f" and {len(lost) - 1} arrays more" if len(lost) > 1 else "")
                + ", which would be drawn at random; get the whole model"
            )
        for config in (network.config, network.config.get_text_config()):
            config.use_cache = False
        self._network = (network if quantised else network.to(self.device)).eval().requires_grad_(False)
        self.device = next(network.parameters()).device
        self.dtype = str(next(p.dtype for p in network.parameters() if p.is_floating_point())).removeprefix(
            "torch."
        )
        self._check_causal()

    @cached_property
    def positions(self) -> int | None:
        """How many tokens it can see at once; None where nothing in it says so."""
        config = self.config.get_text_config()
        lengths = (getattr(config, name, None) for name in LENGTHS)
        return next((n for n in lengths if isinstance(n, int) and n > 0), None)

    @cached_property
    def outputs(self) -> int:
        """V', the number of tokens that it gives a probability."""
        return int(self._forward(torch.zeros((1, 2), dtype=torch.long)).shape[-1])

    @property
    def parameters(self) -> int:
        return sum(p.numel() for p in self._network.parameters())

    @property
    def model_bytes(self) -> int:
        return sum(p.numel() * p.element_size() for p in self._network.parameters())

    # What it is asked ---------------------------------------------------------------------------------

    def of_targets(
        self,
        rows: Sequence[np.ndarray],
        first: Sequence[int],
        targets: Sequence[np.ndarray],
        greedy: bool = True,
    ) -> list[tuple[np.ndarray, np.ndarray]]:
        """As ``Asked`` says."""
        states = self._states(rows)
        chosen = [torch.from_numpy(t.astype(np.int64)).to(self.device) for t in targets]
        results = []
        for state, begin, wanted in zip(states, first, chosen, strict=True):
            pieces = zip(
                self._pieces(state[begin : begin + len(wanted)]),
                torch.split(wanted, self._piece),
                strict=True,
            )
            parts = [_of(logits, y, greedy) for logits, y in pieces]
            nats, best = (torch.cat(column).cpu().numpy() for column in zip(*parts, strict=True))
            results.append((nats, best))
        return results

    def distributions(self, rows: Sequence[np.ndarray], places: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Of each row, (n, V') nats: the distributions after row[: place + 1] of each of its n places."""
        results = []
        for state, inside in zip(self._states(rows), places, strict=True):
            pieces = self._pieces(state[torch.from_numpy(inside).to(self.device)])
            results.append(np.concatenate([torch.log_softmax(p.double(), -1).cpu().numpy() for p in pieces]))
        return results

    # How it answers -----------------------------------------------------------------------------------

    @cached_property
    def _piece(self) -> int:
        """Positions whose logits are held at once."""
        return max(1, LOGITS // self.outputs)

    def _pieces(self, states: torch.Tensor) -> Iterator[torch.Tensor]:
        for part in torch.split(states, self._piece):
            with torch.inference_mode():
                yield part if self._of_state is None else self._of_state(part)

    def _states(self, rows: Sequence[np.ndarray]) -> torch.Tensor:
        """(B, L, d): what the logits are made of; shorter rows are filled up at the end, which nothing before it sees."""
        inputs = torch.zeros((len(rows), max(map(len, rows))), dtype=torch.long)
        for i, row in enumerate(rows):
            inputs[i, : len(row)] = torch.from_numpy(row)
        return self._forward(inputs) if self._of_state is None else self._hidden(inputs)

    def _forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """(B, L, V'): the logits, all at once."""
        try:
            with torch.inference_mode():
                logits: torch.Tensor = self._network(input_ids=inputs.to(self.device)).logits
        except (RuntimeError, IndexError, ValueError) as error:
            if isinstance(error, torch.cuda.OutOfMemoryError):
                raise MemoryError(str(error)) from None
            reason = " ".join(str(error).split())[:200]
            raise InputError(
                f"{self.path} fails on {inputs.shape[1]} tokens at once ({reason}); a shorter window may do: -o window=N"
            ) from None
        return logits

    def _hidden(self, inputs: torch.Tensor) -> torch.Tensor:
        """(B, L, d): what the last layer is given, of which it is let see one position, to save its work and memory."""
        kept: list[torch.Tensor] = []

        def keep(_: Any, given: tuple[Any, ...]) -> tuple[Any, ...]:
            kept.append(given[0])
            return (given[0][:, :1], *given[1:])

        hook = self._network.get_output_embeddings().register_forward_pre_hook(keep)
        try:
            self._forward(inputs)
        finally:
            hook.remove()
        (hidden,) = kept
        return hidden

    @cached_property
    def _of_state(self) -> _Logits | None:
        """From hidden states to logits; None where they cannot be had apart, so that all logits are computed at once.

        What a network does after its last layer (caps, scales) is not asked of it but compared: one of these ways
        gives its own logits of a few tokens, or none does.
        """
        head = getattr(self._network, "get_output_embeddings", lambda: None)()
        if head is None:
            return None
        inputs = _probe(self.outputs)
        logits = self._forward(inputs)
        try:
            hidden = self._hidden(inputs)
            with torch.inference_mode():
                plain = head(hidden)
        except (InputError, RuntimeError, ValueError, TypeError):
            return None
        cap = getattr(self.config.get_text_config(), "final_logit_softcapping", None)
        scale = float((logits.double() * plain.double()).sum() / plain.double().square().sum())
        ways: list[_Logits] = [head, lambda x: head(x) * scale]
        if cap:
            ways.append(lambda x: cap * torch.tanh(head(x) / cap))
        loose = 1e-5 if self.dtype == "float32" else 0.02
        with torch.inference_mode():
            for way in ways:
                if torch.allclose(way(hidden).double(), logits.double(), rtol=loose, atol=loose):
                    return way
        return None

    def _check_causal(self) -> None:
        """Raises InputError where what follows a token changes what is said of it."""
        one = _probe(self.outputs)
        other = one.clone()
        other[:, -1] = (other[:, -1] + 1) % self.outputs
        before, after = (self._forward(inputs)[:, :-1].double() for inputs in (one, other))
        loose = 1e-4 if self.dtype == "float32" else 0.1
        if not torch.allclose(before, after, rtol=loose, atol=loose, equal_nan=True):
            raise InputError(
                f"{self.path} ({self.config.model_type}) sees the tokens after the one that it predicts, so its numbers are "
                "no probabilities of a text; take a causal model"
            )


def _probe(outputs: int) -> torch.Tensor:
    return ((torch.arange(9) * 7 + 3) % outputs)[None, :]


def _of(
    logits: torch.Tensor, targets: torch.Tensor, greedy: bool = True
) -> tuple[torch.Tensor, torch.Tensor]:
    """(n,) float64: ln p of targets; (n,) bool: whether each is the likeliest, where that is asked for."""
    best = logits.argmax(-1) == targets if greedy else torch.zeros_like(targets, dtype=torch.bool)
    # Rounded to 1e-6 once a token; in double precision it would take five times as long.
    nats = torch.log_softmax(logits.float(), -1).gather(-1, targets[:, None])[:, 0]
    return nats.double(), best


def _refuse_encoders(path: str, config: Any) -> None:
    from transformers.models.auto import modeling_auto

    kind = config.model_type
    if getattr(config, "is_encoder_decoder", False):
        raise InputError(
            f"{path} is a {kind}, which reads with an encoder and writes with a decoder; take a causal model"
        )
    masked = kind in modeling_auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES
    if masked and not (getattr(config, "is_decoder", False) or getattr(config, "causal", False)):
        raise InputError(
            f"{path} is an encoder ({kind}), which sees the tokens after the one that it predicts, so its numbers are no "
            "probabilities of a text; take a causal model"
        )
