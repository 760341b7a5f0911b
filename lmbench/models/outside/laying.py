"""Tokens as a server shows them, laid on the text that it was sent: which characters each of them brings."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

# Bytes that are no character alone: in place of each unit of them, and as OpenAI's older interface writes them.
_LOST, _IN_BYTES = "\ufffd", re.compile(r"bytes:(?:\\x[0-9a-fA-F]{2})+")
# What stands before a text and for no character of it, by whatever name.
_SYMBOL = re.compile(r"<[^<>\s]+>|\[[A-Z]+\]")


def lay(tokens: Sequence[str], text: str) -> np.ndarray | None:
    r"""(T,) int64: where the characters of each token of ``text`` end; None where these are not its tokens.

    -1 of a symbol before the text, which is none of its tokens. A blank that a tokenizer puts there brings no character; one
    that a server leaves out before a token is the token's. Where the bytes of tokens are not shown (``�``, or nothing
    at all), the last of them brings the characters that they make up together.

    >>> lay(["<s>", " The", " caf", "\ufffd", "\ufffd", "\n"], "The café\n").tolist()
    [-1, 3, 7, 7, 8, 9]
    """
    ends: list[int] = []
    hidden: list[str] = []
    at = 0
    for token in tokens:
        token = _LOST if _IN_BYTES.fullmatch(token) else token
        if not token or _LOST in token:
            hidden.append(token)
            ends.append(at)
            continue
        place = _place(text, at, token, hidden)
        if place is None and at == 0 and token.startswith(" ") and not text.startswith(" "):
            token = token[1:]
            place = _place(text, at, token, hidden)
        if place is None and at == 0 and not hidden and _SYMBOL.fullmatch(token):
            ends.append(-1)
            continue
        if place is None:
            return None
        if hidden:
            ends[-1] = place
            if place == 0 and len(ends) == len(hidden) and not hidden[0]:  # a symbol that is shown as nothing
                ends[0] = -1
            hidden = []
        at = place + len(token)
        ends.append(at)
    if hidden and _hides(text[at:], hidden):
        ends[-1] = at = len(text)
    return np.array(ends, dtype=np.int64) if at == len(text) else None


def _place(text: str, at: int, token: str, hidden: Sequence[str]) -> int | None:
    """Where a token begins whose bytes are shown, after those whose bytes are not."""
    for place in range(at, len(text) + 1):
        between = text[at:place]
        if not (_could_hide(between[-1:], hidden) if hidden else between.isspace() or not between):
            return None
        if text.startswith(token, place) and (not hidden or _hides(between, hidden)):
            return place
    return None


def _could_hide(char: str, hidden: Sequence[str]) -> bool:
    return not char.isascii() or char in " " or any(char in token for token in hidden)


def _hides(between: str, hidden: Sequence[str]) -> bool:
    """Whether some characters may be what tokens stand for whose bytes are not shown: a byte each, at least."""
    enough = len(between.encode("utf-8", "surrogatepass")) >= sum(map(bool, hidden))
    return enough and all(_could_hide(char, hidden) for char in between)
