"""One file from the network: resumed where it broke off, checked, whole or not at all."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

from lmbench.errors import InputError

Progress = Callable[[int, int], None]  # bytes had, bytes in all (0 where the server does not say)


def check_sum(data: bytes, name: str, sums: dict[str, str]) -> None:
    """Compares bytes with their known digests (``{"sha256": hex}``); raises InputError where one differs."""
    for kind, expected in sums.items():
        found = hashlib.new(kind, data).hexdigest()
        if found != expected:
            raise InputError(
                f"{name} is not the file expected: {kind} {found[:16]}…, should be {expected[:16]}…; get it anew"
            )


def download(url: str, path: Path, sums: dict[str, str], progress: Progress | None = None) -> None:
    """Fetches ``url`` to ``path``; a part left by an earlier try (``path`` + ``.part``) is gone on with.

    Raises InputError where the network or the server fails (the part stays for the next try) and where
    the digest is not the one expected (the part is deleted).
    """
    import urllib.error
    import urllib.request

    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        had = part.stat().st_size if part.exists() else 0
        request = urllib.request.Request(url, headers={"Range": f"bytes={had}-"} if had else {})
        try:
            answer = urllib.request.urlopen(request, timeout=30)
        except urllib.error.HTTPError as error:
            if error.code != 416:
                raise
            had = 0
            answer = urllib.request.urlopen(url, timeout=30)
        with answer, open(part, "ab" if answer.status == 206 else "wb") as stream:
            had = had if answer.status == 206 else 0
            total = had + int(answer.headers.get("Content-Length") or 0)
            while chunk := answer.read(1 << 16):
                stream.write(chunk)
                had += len(chunk)
                if progress:
                    progress(had, max(total, had))
        if had < total:
            raise InputError(
                f"the download of {url} broke off at {had:,} of {total:,} bytes; run it again to go on"
            )
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        reason = getattr(error, "reason", error)
        raise InputError(f"cannot download {url}: {reason}") from None
    except OSError as error:
        raise InputError(f"cannot write {part}: {error.strerror or error}") from None
    try:
        check_sum(part.read_bytes(), url, sums)
    except InputError:
        part.unlink()
        raise
    os.replace(part, path)
