"""One file from the network: resumed where it broke off, checked, whole or not at all."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from lmbench.errors import InputError, shown

if TYPE_CHECKING:
    import urllib.request

Progress = Callable[[int, int], None]  # bytes had, bytes in all (0 where the server does not say)
LARGEST = 16 << 30  # bytes of a file: texts are read whole
SPARE = 1 << 20  # bytes of what stands around it
# The server is waited for so many seconds at a time; and after as many, for fewer than so many bytes a second no longer.
PATIENCE = 30.0
SLOWEST = 100.0


def check_sum(data: bytes, name: str, sums: dict[str, str]) -> None:
    """Compares bytes with their known digests (``{"sha256": hex}``); raises InputError where one differs."""
    for kind, expected in sums.items():
        digest = hashlib.new(kind, data).hexdigest()
        if digest != expected:
            raise InputError(
                f"{name} is not the file expected: {kind} {digest[:16]}…, should be {expected[:16]}…; get it anew"
            )


def _check_address(url: str, here: bool) -> None:
    """Raises InputError where an address is no https one; here: nor of a server on this machine."""
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(url)
        fits = parts.scheme == "https"
        fits = fits or (here and parts.scheme == "http" and parts.hostname in ("127.0.0.1", "localhost"))
    except ValueError:
        fits = False
    if not fits:
        raise InputError(f"{shown(url)} is no https address; files are fetched by https alone")


def _opener() -> urllib.request.OpenerDirector:
    """Opens addresses, and follows a redirection by https alone; neither a connection nor an answer is waited for without end."""
    import urllib.request

    from lmbench.storage.connections import Bounds, opener

    class Https(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *args: Any) -> urllib.request.Request | None:
            _check_address(args[-1], here=False)
            return super().redirect_request(*args)

    return opener(Bounds(PATIENCE, SLOWEST, LARGEST + SPARE), Https)


def _unlinked(path: Path, mode: str) -> IO[bytes]:
    """A file opened to be written, but not through a link."""

    def opener(name: str, flags: int) -> int:
        return os.open(name, flags | getattr(os, "O_NOFOLLOW", 0), 0o644)

    return open(path, mode, opener=opener)


def download(url: str, path: Path, sums: dict[str, str], progress: Progress | None = None) -> None:
    """Fetches ``url`` to ``path``; a part left by an earlier try (``path`` + ``.part``) is gone on with.

    Only by https, or from this machine. Raises InputError where the network or the server fails, or it sends hardly anything (the
    part stays for the next try), and where there is more than any text has or the digest is not the one expected (the part is
    deleted).
    """
    import http.client
    import urllib.error
    import urllib.request

    from lmbench.storage.connections import TooLong, TooSlow

    _check_address(url, here=True)
    opener = _opener()
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        had = part.stat().st_size if part.exists() else 0
        request = urllib.request.Request(url, headers={"Range": f"bytes={had}-"} if had else {})
        try:
            answer = opener.open(request, timeout=PATIENCE)
        except urllib.error.HTTPError as error:
            if error.code != 416:
                raise
            had = 0
            answer = opener.open(url, timeout=PATIENCE)
        with answer, _unlinked(part, "ab" if answer.status == 206 else "wb") as stream:
            had = had if answer.status == 206 else 0
            total = had + int(answer.headers.get("Content-Length") or 0)
            while chunk := answer.read1(1 << 16):
                stream.write(chunk)
                had += len(chunk)
                if max(had, total) > LARGEST:
                    os.unlink(part)
                    raise InputError(f"{url} goes on beyond {LARGEST:,} bytes, which no text of a corpus has")
                if progress:
                    progress(had, max(total, had))
        if had < total:
            raise InputError(
                f"the download of {url} broke off at {had:,} of {total:,} bytes; run it again to go on"
            )
    except InputError:
        raise
    except (
        urllib.error.URLError,
        http.client.HTTPException,
        TimeoutError,
        ConnectionError,
        ValueError,
    ) as error:
        reason = getattr(error, "reason", error)
        if isinstance(reason, TooSlow):
            reason = f"{reason}; run it again to go on from there"
        if isinstance(reason, TooLong):
            reason = f"it goes on beyond {LARGEST:,} bytes, which no text of a corpus has"
        raise InputError(f"cannot download {url}: {reason}") from None
    except OSError as error:
        raise InputError(f"cannot write {part}: {error.strerror or error}") from None
    try:
        check_sum(part.read_bytes(), url, sums)
    except InputError:
        part.unlink()
        raise
    os.replace(part, path)
