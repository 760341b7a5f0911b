"""An OpenAI-compatible server asked what it thinks of a text: ``/v1/completions`` with ``echo`` and ``logprobs``."""

from __future__ import annotations

import ipaddress
import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import numpy as np

from lmbench.errors import InputError, shown
from lmbench.models.outside.laying import lay

PAUSE = 0.5  # seconds before the first repetition, twice as many before each further one
PASSING = (408, 409, 425, 429, 500, 502, 503, 504)  # states of a server that pass
NO_ECHO = (
    "{url} does not say how probable the tokens of a prompt are (echo with logprobs); vLLM, SGLang and the server of "
    "llama-cpp-python do, that of llama.cpp itself does not"
)


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
        self._opener = urllib.request.build_opener(_NoRedirection, *proxies)

    def models(self) -> list[dict[str, Any]]:
        """What the server says of each of its models; nothing where it has no such list."""
        try:
            answer = self._ask("models", None)
        except _Refused as refused:
            if refused.status in (404, 405, 501):
                return []
            raise self._error(refused) from None
        listed = answer.get("data") if isinstance(answer, dict) else None
        return [one for one in listed or [] if isinstance(one, dict) and isinstance(one.get("id"), str)]

    def said(self, model: str, bos: str, text: str) -> Said:
        """What it says of each token of a text, before which ``bos`` stands. Raises InputError where it does not, with the reason."""
        request = {"model": model, "prompt": bos + text, "max_tokens": 1, "temperature": 0}
        try:
            answer = self._ask("completions", {**request, "echo": True, "logprobs": 1})
        except _Refused as refused:
            raise self._error(refused) from None
        tokens, nats, tops = self._tokens(answer)
        usage = answer.get("usage")
        wrote = usage.get("completion_tokens") if isinstance(usage, dict) else None
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

    def _tokens(self, answer: Any) -> tuple[list[str], list[float | None], list[float]]:
        """Tokens as they are shown, ln p of each, and that of the likeliest in its place (inf: not said)."""
        try:
            choice = answer["choices"][0]
            said = choice.get("logprobs") or {}
            if said.get("tokens"):
                tokens, nats = said["tokens"], said["token_logprobs"]
                tops = [_best(top) for top in said.get("top_logprobs") or [None] * len(tokens)]
            else:  # vLLM's own form: of each token of the prompt those asked for, itself first
                rows = [list((row or {}).values()) for row in choice.get("prompt_logprobs") or ()]
                tokens = [row[0]["decoded_token"] if row else "" for row in rows]
                nats = [row[0]["logprob"] if row else None for row in rows]
                tops = [max((one["logprob"] for one in row), default=np.inf) for row in rows]
            if not tokens or len(tokens) != len(nats) or len(tokens) != len(tops):
                raise InputError(NO_ECHO.format(url=self.url))
            if not all(isinstance(n, (int, float, type(None))) for n in nats):
                raise TypeError
            return [str(token) for token in tokens], nats, tops
        except (AttributeError, IndexError, KeyError, TypeError):
            raise InputError(
                f"{self.url} does not answer as an OpenAI-compatible server does: {shown(json.dumps(answer), 200)}"
            ) from None

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
                    return json.load(answer)
            except urllib.error.HTTPError as error:
                refused = _Refused(error.code, _words(error))
                if error.code not in PASSING or attempt == self._retries:
                    raise refused from None
            except ValueError:
                raise InputError(f"{self.url}/{what} answers with something other than JSON") from None
            except (OSError, urllib.error.URLError) as error:
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
    except OSError:
        return error.reason
    try:
        said: Any = json.loads(raw)
        for key in ("error", "message", "detail"):
            said = said.get(key, said) if isinstance(said, dict) else said
        raw = said if isinstance(said, str) else json.dumps(said)
    except ValueError:
        pass
    return " ".join(raw.split())[:240] or error.reason


def _reason(error: Any) -> str:
    return "timed out" if isinstance(error, TimeoutError) else " ".join(str(error).split())[:120]


def _best(top: Any) -> float:
    return max(top.values(), default=np.inf) if isinstance(top, dict) else np.inf
