"""An OpenAI-compatible server asked what it thinks of a text: ``/v1/completions`` with ``echo`` and ``logprobs``."""

from __future__ import annotations

import contextlib
import http.client
import ipaddress
import json
import math
import os
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, NamedTuple
from urllib.parse import urlsplit

import msgspec
import numpy as np

from lmbench.errors import InputError, shown
from lmbench.models.outside.laying import lay
from lmbench.storage.connections import Bounds, TooLong, opener

PAUSE = 0.5  # seconds before the first repetition, twice as many before each further one
PASSING = (408, 409, 425, 429, 500, 502, 503, 504)  # states of a server that pass
NO_ECHO = (
    "{url} does not say how probable the tokens of a prompt are (echo with logprobs); vLLM, SGLang and the server of "
    "llama-cpp-python do, that of llama.cpp itself does not"
)

LARGEST = 64 << 20  # bytes of an answer


class Offered(msgspec.Struct):
    """A model that a server has, and what it says of how many tokens it takes."""

    id: Annotated[str, msgspec.Meta(max_length=300)]
    max_model_len: Any = None
    meta: Any = None

    @property
    def tokens(self) -> int | None:
        meta = self.meta if isinstance(self.meta, dict) else {}
        lengths = (self.max_model_len, meta.get("n_ctx"), meta.get("n_ctx_train"))
        return next((n for n in lengths if type(n) is int and n > 0), None)


# Nats of a token or of the likeliest one; JSON of Python's has NaN, which nothing is below.
_Nats = Annotated[float, msgspec.Meta(le=1e9)] | None


class _Echoed(msgspec.Struct):
    tokens: list[str] | None = None
    token_logprobs: list[_Nats] = []
    top_logprobs: list[dict[str, _Nats] | None] | None = None


class _OfVllm(msgspec.Struct):
    decoded_token: str | None = None
    logprob: _Nats = None


class _Choice(msgspec.Struct):
    logprobs: _Echoed | None = None
    prompt_logprobs: list[dict[str, _OfVllm] | None] | None = None


class _Usage(msgspec.Struct):
    completion_tokens: int | None = None


class _Answer(msgspec.Struct):
    choices: Annotated[list[_Choice], msgspec.Meta(min_length=1)]
    usage: _Usage | None = None


class Said(NamedTuple):
    """What a server says of a text.

    ends: (T,) int64, where the characters of each token end. nats: (T,) float64, nan where it says nothing. likeliest: (T,) bool,
    whether the token is the likeliest at its place, as far as is said.
    """

    ends: np.ndarray
    nats: np.ndarray
    likeliest: np.ndarray


class Completions:
    """A server at a base address (``https://host/v1``); http is for this machine alone, and redirections are not followed.

    key: the environment variable that holds the key, if one is set. timeout: seconds for an answer. retries: repetitions
    where the server is busy or the connection breaks.
    """

    def __init__(self, url: str, key: str, timeout: float, retries: int) -> None:
        self.url, self._key, self._timeout, self._retries = url.rstrip("/"), key, timeout, retries
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise InputError(
                f"option url={url} is no address of a server; write for instance -o url=http://127.0.0.1:8000/v1"
            )
        here = _is_here(parts.hostname)
        if parts.scheme == "http" and not here:
            raise InputError(
                f"option url={url} would send the text unencrypted to another machine; write https://"
            )
        proxies = [urllib.request.ProxyHandler({})] if here else []
        self._opener = opener(Bounds(timeout, math.inf, LARGEST), _NoRedirection, *proxies)

    def models(self) -> list[Offered]:
        """What the server says of each of its models; nothing where it has no such list."""
        try:
            answer = self._ask("models", None)
        except _Refused as refused:
            if refused.status in (404, 405, 501):
                return []
            raise self._error(refused) from None
        listed = answer.get("data") if isinstance(answer, dict) else None
        offered = []
        for one in listed if isinstance(listed, list) else ():
            with contextlib.suppress(msgspec.ValidationError):
                offered.append(msgspec.convert(one, Offered))
        return offered

    def said(self, model: str, bos: str, text: str) -> Said:
        """What it says of each token of a text, before which ``bos`` stands. Raises InputError where it does not, with the reason."""
        request = {"model": model, "prompt": bos + text, "max_tokens": 1, "temperature": 0}
        try:
            said = self._ask("completions", {**request, "echo": True, "logprobs": 1})
        except _Refused as refused:
            raise self._error(refused) from None
        try:
            answer = msgspec.convert(said, _Answer)
        except msgspec.ValidationError as error:
            raise InputError(
                f"{self.url} does not answer as an OpenAI-compatible server does ({error}): {shown(json.dumps(said), 120)}"
            ) from None
        tokens, nats, tops = self._tokens(answer.choices[0])
        wrote = None if answer.usage is None else answer.usage.completion_tokens
        # One token is written after the text, or none where that would have been the end.
        for more in (wrote, 1, 0):
            if not isinstance(more, int) or not 0 <= more <= len(tokens):
                continue
            kept = len(tokens) - more
            ends = _after_bos(tokens[:kept], bos, text)
            if ends is not None:
                likeliest = [n is not None and n >= top for n, top in zip(nats, tops, strict=True)]
                values = np.array([np.nan if n is None else float(n) for n in nats[:kept]])
                own = ends >= 0
                return Said(ends[own], values[own], np.array(likeliest[:kept], dtype=bool)[own])
        if len(tokens) <= max(wrote if isinstance(wrote, int) else 1, 1):  # those that it has written, alone
            raise InputError(NO_ECHO.format(url=self.url))
        raise InputError(
            f"the tokens that {self.url} shows are not those of the text that it was sent: {shown(''.join(tokens))} for "
            f"{shown(bos + text)}"
        )

    def _tokens(self, choice: _Choice) -> tuple[list[str], list[float | None], list[float]]:
        """Tokens as they are shown, ln p of each, and that of the likeliest in its place (inf: not said)."""
        echoed = choice.logprobs
        if echoed is not None and echoed.tokens:
            tokens, nats = echoed.tokens, echoed.token_logprobs
            tops = [_best(top) for top in echoed.top_logprobs or [None] * len(tokens)]
        else:  # vLLM's own form: of each token of the prompt those asked for, itself first
            rows = [list((row or {}).values()) for row in choice.prompt_logprobs or ()]
            tokens = [(row[0].decoded_token or "") if row else "" for row in rows]
            nats = [row[0].logprob if row else None for row in rows]
            tops = [_best({str(i): one.logprob for i, one in enumerate(row)}) for row in rows]
        if not tokens or len(tokens) != len(nats) or len(tokens) != len(tops):
            raise InputError(NO_ECHO.format(url=self.url))
        return tokens, nats, tops

    # The connection -----------------------------------------------------------------------------------

    def _ask(self, what: str, body: Mapping[str, Any] | None) -> Any:
        """The answer of ``/v1/WHAT``. Raises _Refused with the server's own words, InputError where there is no answer."""
        headers = {"Accept": "application/json", "Content-Type": "application/json"}
        if self._key and (key := os.environ.get(self._key)):
            headers["Authorization"] = f"Bearer {key}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/{what}", data, headers)
        for attempt in range(self._retries + 1):
            try:
                with self._opener.open(request, timeout=self._timeout) as answer:
                    # Piece by piece: what it says of its length may be anything.
                    return json.loads(b"".join(iter(lambda: answer.read1(1 << 16), b"")))
            except urllib.error.HTTPError as error:
                refused = _Refused(error.code, _words(error))
                if error.code not in PASSING or attempt == self._retries:
                    raise refused from None
            except TooLong as error:
                raise InputError(f"{self.url}/{what} answers without end: {error}") from None
            except (ValueError, OverflowError, RecursionError):
                raise InputError(f"{self.url}/{what} answers with something other than JSON") from None
            except (OSError, http.client.HTTPException) as error:
                reason = getattr(error, "reason", error)
                if isinstance(reason, ConnectionRefusedError) or attempt == self._retries:
                    raise InputError(
                        f"no server answers at {self.url} ({_reason(reason)}); start it, or name another: -o url=URL"
                    ) from None
            time.sleep(PAUSE * 2**attempt)
        raise AssertionError

    def _error(self, refused: _Refused) -> InputError:
        said = f"{self.url} refuses ({refused.status}): {refused.said}"
        if refused.status in (401, 403):
            return InputError(f"{said}; set the environment variable {self._key} to a key that it takes")
        if "echo" in refused.said.lower() or "logprobs" in refused.said.lower():
            return InputError(f"{NO_ECHO.format(url=self.url)}; it says: {refused.said}")
        if any(word in refused.said.lower() for word in ("context", "too long", "exceed", "max_model_len")):
            return InputError(f"{said}; a shorter window may do: -o window=N characters")
        return InputError(said)


def _after_bos(tokens: Sequence[str], bos: str, text: str) -> np.ndarray | None:
    """(T,) where the tokens end in the text, -1 of those before it; None where one joins bos to it, or they are others."""
    if (ends := lay(tokens, bos + text)) is None:
        return lay(tokens, text) if bos else None  # a symbol may be shown as nothing
    if not bos:
        return ends
    (last,) = np.flatnonzero(ends == len(bos))[:1] if (ends == len(bos)).any() else [None]
    if last is None:
        raise InputError(f"the server's tokenizer joins bos={bos} to the text; name one that it keeps apart")
    return np.where(np.arange(len(ends)) > last, ends - len(bos), -1)


class _Refused(Exception):
    def __init__(self, status: int, said: str) -> None:
        super().__init__(said)
        self.status, self.said = status, said


class _NoRedirection(urllib.request.HTTPRedirectHandler):
    """A key and a text go to the server that was named and to no other."""

    def redirect_request(self, *_: Any) -> None:
        return None


def _is_here(host: str) -> bool:
    """Whether a host is this machine, by its name or loopback address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _words(error: urllib.error.HTTPError) -> str:
    """What a server says of an error, in one line."""
    try:
        raw = error.read(10_000).decode("utf-8", "replace")
    except (OSError, http.client.HTTPException, ValueError, OverflowError):
        return error.reason
    try:
        said: Any = json.loads(raw)
        for key in ("error", "message", "detail"):
            said = said.get(key, said) if isinstance(said, dict) else said
        raw = said if isinstance(said, str) else json.dumps(said)
    except (ValueError, RecursionError):
        pass
    return " ".join(raw.split())[:240] or error.reason


def _reason(error: Any) -> str:
    return "timed out" if isinstance(error, TimeoutError) else " ".join(str(error).split())[:120]


def _best(top: Mapping[str, float | None] | None) -> float:
    return max((n for n in (top or {}).values() if n is not None), default=np.inf)
