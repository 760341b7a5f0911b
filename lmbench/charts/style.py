"""The colours of figures, and which colour and shape a model has: the same in every figure and on every page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

INK, MUTED, GRID, PAPER = "#1f2328", "#59636e", "#d8dee4", "#ffffff"
# Eight hues at each of three lightnesses of OKLab (Ottosson 2020), the first ones furthest apart; on white the least
# contrast is 3.08 : 1 (WCAG 2.1 asks 3 of what is not text).
PALETTE = (
    *("#036eae", "#d46e2a", "#7b0025", "#257e03", "#ba6abf", "#482584", "#034d30", "#b13065"),
    *("#0aa779", "#8d5e05", "#488fe6", "#6353c5", "#097974", "#603301", "#b53700", "#0d9eb8"),
    *("#6e0c58", "#b28601", "#6f9f2f", "#0b378d", "#da6267", "#034758", "#a0388f", "#3a4600"),
)
_BAR = ((-0.45, -1.0), (0.45, -1.0), (0.45, 1.0), (-0.45, 1.0))
_ARC = tuple((math.cos(math.pi * i / 12), math.sin(math.pi * i / 12)) for i in range(13))
_SLANT = ((-1.0, -0.55), (0.4, -0.55), (1.0, 0.55), (-0.4, 0.55))
# As many shapes as colours: matplotlib's names, stars as (rays, 1, degrees), corners.
MARKERS: tuple[Any, ...] = (
    *("o", "s", "^", "D", "v", "P", "X", "p", "h", "<", ">", "*", "d", "8", (4, 1, 0), (6, 1, 0), (3, 1, 0)),
    *(_BAR, tuple((y, x) for x, y in _BAR), _ARC, tuple((x, -y) for x, y in _ARC), _SLANT),
    *(tuple((-x, y) for x, y in _SLANT), (3, 1, 180)),
)


class Style(NamedTuple):
    """How a key is drawn."""

    colour: str
    marker: Any  # as matplotlib names it


def style_of(key: str, order: Sequence[str]) -> Style:
    """The style of a key: by its place in ``order``; keys not in it come after all that are; '' is grey."""
    if not key:
        return Style(MUTED, MARKERS[0])
    place = order.index(key) if key in order else len(order)
    turn, place = divmod(place, len(PALETTE))
    return Style(PALETTE[place], MARKERS[(place + turn) % len(MARKERS)])
