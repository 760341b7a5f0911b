"""Intervals drawn inline, one line of a leaderboard each, on one axis."""

from __future__ import annotations

import math
from collections.abc import Sequence

from markupsafe import Markup

from lmbench.report.formats import bits_text, finite_interval, interval_text
from lmbench.report.ranking import Row

WIDTH, HEIGHT, MARGIN = 190, 19, 12
STEPS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)


class Axis:
    """Bits per character from left to right. Models far above the best leave it to the right, as arrows.

    truth: the source's entropy rate, where it is known.
    """

    def __init__(self, rows: Sequence[Row], truth: float | None) -> None:
        bits = [row.bits for row in rows if row.bits is not None]
        near = [row for row in rows if row.bits is not None and row.bits <= 1.35 * min(bits)]
        ends = [
            e
            for row in near
            for e in finite_interval(row.result.ci95) or (row.bits,)
            if e is not None and e < math.inf
        ]
        ends += [] if truth is None else [truth]
        self.low, self.high = min(ends, default=0.0), max(ends, default=1.0)
        largest = max(abs(self.low), abs(self.high))
        if self.high - self.low < 0.02 + 1e-9 * largest:
            around = 0.01 + 1e-6 * largest  # of numbers so large that a hundredth is lost in them
            self.low, self.high = self.low - around, self.high + around
        step = next((s for s in STEPS if self.high - self.low <= 4 * s), self.high - self.low)
        first, last = math.ceil(self.low / step), math.floor(self.high / step + 1e-9)
        self.ticks = [k * step for k in range(first, last + 1)]
        self.truth = truth

    def at(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return round(MARGIN + share * (WIDTH - 2 * MARGIN), 1)

    def head(self) -> Markup:
        """The numbers above the lines."""
        number_at = Markup('<text x="{}" y="14" text-anchor="middle">{}</text>')
        ticks = Markup("").join(number_at.format(self.at(t), f"{t:.4g}") for t in self.ticks)
        return Markup('<svg class="axis" viewBox="0 0 {} 18" aria-hidden="true">{}</svg>').format(
            WIDTH, ticks
        )

    def mark(self, bits: float) -> Markup:
        """A program's bits as a hollow square; beyond the scale an arrow."""
        upright = Markup('<line class="tick" x1="{0}" x2="{0}" y1="0" y2="{1}"/>')
        parts = [upright.format(self.at(t), HEIGHT) for t in self.ticks]
        y = HEIGHT / 2
        if bits > self.high:
            parts.append(Markup('<path class="train" d="M{} {}l6 4l-6 4z"/>').format(WIDTH - 8, y - 4))
        elif bits < self.low:
            parts.append(Markup('<path class="train" d="M7 {}l-5 3.5l5 3.5z"/>').format(y - 3.5))
        else:
            parts.append(
                Markup('<rect class="train" x="{}" y="{}" width="6.4" height="6.4"/>').format(
                    round(self.at(bits) - 3.2, 1), y - 3.2
                )
            )
        whole = Markup('<svg class="interval" viewBox="0 0 {} {}" aria-hidden="true">{}</svg>')
        return whole.format(WIDTH, HEIGHT, Markup("").join(parts))

    def draw(self, row: Row, colour: str) -> Markup:
        """A row's interval and estimate, and a hollow mark for its training text."""
        upright = Markup('<line class="{1}" x1="{0}" x2="{0}" y1="0" y2="{2}"/>')
        parts = [upright.format(self.at(t), "tick", HEIGHT) for t in self.ticks]
        if self.truth is not None:
            parts.append(upright.format(self.at(self.truth), "truth", HEIGHT))
        y = HEIGHT / 2
        train, bits = row.result.train_bits_per_char, row.bits
        if train is not None and self.low <= train <= self.high:
            parts.append(Markup('<circle class="train" cx="{}" cy="{}" r="3.2"/>').format(self.at(train), y))
        elif train is not None and train < self.low:
            parts.append(Markup('<path class="train" d="M7 {}l-5 3.5l5 3.5z"/>').format(y - 3.5))
        if bits is None or bits > self.high:
            parts.append(Markup('<path class="dot" d="M{} {}l6 4l-6 4z"/>').format(WIDTH - 8, y - 4))
        else:
            low, high = finite_interval(row.result.ci95) or (bits, bits)
            line = Markup('<line class="ci" x1="{}" x2="{}" y1="{y}" y2="{y}"/>')
            parts.append(line.format(self.at(low), self.at(min(high, self.high)), y=y))
            parts.append(Markup('<circle class="dot" cx="{}" cy="{}" r="3.6"/>').format(self.at(bits), y))
        whole = Markup(
            '<svg class="interval" viewBox="0 0 {} {}" role="img" aria-label="{}" style="color:{}">{}</svg>'
        )
        label = f"{bits_text(bits)}, 95% interval {interval_text(row.result.ci95)}"
        return whole.format(WIDTH, HEIGHT, label, colour, Markup("").join(parts))
