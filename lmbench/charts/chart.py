"""What a figure shows, as data. Whoever computes fills these in; draw.py draws them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["line", "points", "step", "bar", "interval", "dashed", "ring"]
Scale = Literal["linear", "log"]
BEYOND = 1e100  # of a number that is larger, no axis tells anything
WORDY = 2000  # characters of a caption or a label, at most
MANY = 8  # named points, from which on a panel wants more room


@dataclass(frozen=True)
class Series:
    """One set of points, all sequences of one length.

    label: in the legend, or '' for none. kind: how they are joined; ``interval`` draws low..high with a mark at y,
    ``ring`` a circle around points that others draw. None or nan: not drawn.
    low, high: a band (or error bar) around y. key: what the colour stands for (a model's label: the same
    colour everywhere); default the label.
    """

    label: str
    x: Sequence[float | str]
    y: Sequence[float | None]
    kind: Kind = "line"
    low: Sequence[float | None] | None = None
    high: Sequence[float | None] | None = None
    key: str | None = None

    @property
    def colour_key(self) -> str:
        """What the colour stands for."""
        return self.label if self.key is None else self.key

    @classmethod
    def of(
        cls,
        label: str,
        table: Mapping[str, Any],
        x: str,
        y: str,
        kind: Kind = "line",
        band: tuple[str, str] | None = None,
        key: str | None = None,
    ) -> Series:
        """Columns of a table (a DataFrame, or a mapping to arrays), by their names; band: those of low and high."""
        low, high = (None, None) if band is None else (table[name].tolist() for name in band)
        return cls(label, table[x].tolist(), table[y].tolist(), kind, low, high, key)


@dataclass(frozen=True)
class Panel:
    """One pair of axes; xlabel and ylabel name the quantity with its unit; the title says what is to be seen.

    >>> bits = Series("bits", ["bigram", "trigram"], [2.5, 2.1], "bar")
    >>> panel = Panel("Fewer are better", "model", "bits per character", [bits])
    >>> panel.sideways, panel.names
    (True, ['bigram', 'trigram'])
    """

    title: str
    xlabel: str
    ylabel: str
    series: Sequence[Series]
    xscale: Scale = "linear"
    yscale: Scale = "linear"
    horizontal: Sequence[tuple[float | None, str]] = ()  # reference lines: height and what it is
    vertical: Sequence[tuple[float | None, str]] = ()

    @property
    def sideways(self) -> bool:
        """Whether x are names, which are written one below the other."""
        return any(len(s.x) and isinstance(s.x[0], str) for s in self.series)

    @property
    def names(self) -> list[str]:
        """All x as names, in order of their first appearance."""
        return list(dict.fromkeys(str(x) for s in self.series for x in s.x))

    @property
    def directly_labelled(self) -> bool:
        """Whether single points carry their names beside them; all else has a legend."""
        marks = [s for s in self.series if s.kind in ("points", "interval")]
        return len(marks) > 1 and all(len(s.x) <= 1 for s in marks)

    @property
    def crowded(self) -> bool:
        """Whether many points carry their names."""
        return self.directly_labelled and not self.sideways and len(self.series) > MANY


@dataclass(frozen=True)
class Chart:
    """One figure: a file name without suffix, a caption that says what to see, panels side by side.

    same_scales: whether all panels have the same limits, so that they can be compared by eye.

    ``msgspec.to_builtins`` and ``msgspec.convert`` take it to plain values and back.
    """

    name: str
    caption: str
    panels: Sequence[Panel]
    same_scales: bool = False

    @property
    def fault(self) -> str:
        """Why it cannot be drawn, of one that was read from a file; '' where it can."""
        for series in (series for panel in self.panels for series in panel.series):
            sizes = {len(some) for some in (series.x, series.y, series.low, series.high) if some is not None}
            if len(sizes) > 1:
                return f"a series has sequences of {' and '.join(map(str, sorted(sizes)))} numbers"
            some = (series.x, series.y, series.low or (), series.high or ())
            if any(
                isinstance(v, (int, float)) and abs(v) > BEYOND and abs(v) < math.inf
                for vs in some
                for v in vs
            ):
                return f"a number is beyond {BEYOND:g}"
        lines = [line for panel in self.panels for line in (*panel.horizontal, *panel.vertical)]
        if any(height is not None and BEYOND < abs(height) < math.inf for height, _ in lines):
            return f"a number is beyond {BEYOND:g}"
        words = [self.caption, *(what for _, what in lines)]
        words += [w for panel in self.panels for w in (panel.title, panel.xlabel, panel.ylabel)]
        words += [name for panel in self.panels if panel.sideways for name in panel.names]
        words += [series.label for panel in self.panels for series in panel.series]
        return f"a text is longer than {WORDY} characters" if max(map(len, words)) > WORDY else ""

    @property
    def wide(self) -> bool:
        """Whether the chart wants the whole width of a page: several panels."""
        return len(self.panels) > 1
