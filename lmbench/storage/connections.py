"""Connections to servers that may answer slowly, without end, or with what is no HTTP."""

from __future__ import annotations

import http.client
import io
import ssl
import threading
import time
import urllib.request
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import socket


class Bounds(NamedTuple):
    """patience: seconds that a connection, and an answer in all, are waited for; after them for fewer than ``slowest`` bytes a second no
    longer (inf: for no more at all). largest: bytes of an answer, its head included."""

    patience: float
    slowest: float
    largest: int


class TooSlow(TimeoutError):
    """A server sends hardly anything."""


class TooLong(ValueError):
    """A server sends more than anybody would read."""


def opener(bounds: Bounds, *handlers: Any) -> urllib.request.OpenerDirector:
    """Opens addresses within bounds. handlers: of redirections, of proxies.

    Beyond the errors of ``urllib`` and ``http.client``, opening and reading raise TimeoutError, TooSlow and TooLong.
    """

    class Answer(http.client.HTTPResponse):
        def __init__(self, sock: socket.socket, *args: Any, **more: Any) -> None:
            super().__init__(sock, *args, **more)
            self.fp = io.BufferedReader(Watched(self.fp.detach(), bounds))

    class Plain(http.client.HTTPConnection):
        response_class = Answer

        def connect(self) -> None:
            _in_time(super().connect, bounds.patience)

    class Secured(http.client.HTTPSConnection):
        response_class = Answer

        def connect(self) -> None:
            _in_time(super().connect, bounds.patience)

    class Opening(urllib.request.HTTPHandler):
        def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
            return self.do_open(Plain, req)

    class OpeningSecured(urllib.request.HTTPSHandler):
        def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
            return self.do_open(Secured, req, context=ssl.create_default_context())

    return urllib.request.build_opener(Opening, OpeningSecured, *handlers)


def _in_time(task: Callable[[], None], patience: float) -> None:
    """Does what has no end of its own (names that are looked up, keys that are agreed upon a byte at a time), and raises TimeoutError
    where it takes more than ``patience``."""
    errors: list[BaseException] = []

    def tried() -> None:
        try:
            task()
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=tried, daemon=True)
    thread.start()
    thread.join(patience)
    if thread.is_alive():
        raise TimeoutError(f"no connection in {patience:.0f} s")
    if errors:
        raise errors[0]


class Watched(io.RawIOBase):
    """What a server sends, head and chunks' lengths included; raises TooSlow where that is hardly anything, TooLong where it is too much."""

    def __init__(self, raw: io.RawIOBase, bounds: Bounds) -> None:
        self._raw, self._bounds, self._count, self._waited = raw, bounds, 0, 0.0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        began = time.monotonic()
        count = self._raw.readinto(buffer)
        self._waited += time.monotonic() - began
        self._count += count or 0
        late = self._waited - self._bounds.patience
        if count and late > 0 and self._count < self._bounds.slowest * late:
            raise TooSlow(f"it has sent {self._count:,} bytes in {self._waited:.0f} s")
        if self._count > self._bounds.largest:
            raise TooLong(f"it goes on beyond {self._bounds.largest:,} bytes")
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()
