"""The shapes of the figures as paths of SVG, so that a page can set them beside names."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from matplotlib.markers import MarkerStyle
from matplotlib.path import Path

LETTERS = {int(Path.MOVETO): "M", int(Path.LINETO): "L", int(Path.CURVE3): "Q", int(Path.CURVE4): "C"}


@lru_cache(maxsize=64)
def shape(marker: object) -> str:
    """A marker of ``style.MARKERS`` as the ``d`` of an SVG path, within -1 .. 1 in both directions.

    >>> shape("s")
    'M-1 1 L1 1 L1 -1 L-1 -1 Z'
    """
    style = MarkerStyle(marker)  # type: ignore[arg-type]
    path = style.get_path().transformed(style.get_transform())
    reach = float(np.abs(np.asarray(path.vertices)).max()) or 1.0
    parts: list[str] = []
    for points, code in path.iter_segments(curves=True, simplify=False):
        if int(code) == Path.CLOSEPOLY:
            parts.append("Z")
            continue
        # upwards is negative in SVG; + 0.0 makes a zero of a negative one
        scaled = (float(p) / (-reach if i % 2 else reach) for i, p in enumerate(points))
        parts.append(LETTERS[int(code)] + " ".join(f"{round(p, 2) + 0.0:g}" for p in scaled))
    return " ".join(parts)
