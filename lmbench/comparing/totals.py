"""What the numbers of one model on one text are made of: sums over tokens, and in cells. Texts add up piece by piece, however long."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal, Self

import numpy as np

from lmbench.comparing.cells import Cells, cut, stream_cells, stream_edges
from lmbench.scoring.scores import LN2, Scores, perplexity_of
from lmbench.text.canonical import CanonicalText
from lmbench.text.units import narrow_points

Column = Literal["bits", "chars", "nats", "tokens", "bytes", "words"]
_COLUMNS: tuple[Column, ...] = ("bits", "chars", "nats", "tokens", "bytes", "words")

_SUMS = ("tokens", "oov", "chars", "bytes", "words", "log_prob", "known", "spelling", "infinite")


@dataclass
class Totals:
    """Sums of a text's scores.

    vocab_size: V. edges: (K + 1,) characters between which cells of a stream lie; None: cells are documents. units: whether it is
    counted how many bytes and words begin in each token. known: nats of the tokens in the vocabulary. infinite: tokens of
    probability 0. squares: Σ b², Σ b w, Σ w² over tokens of b bits and w characters (of finite cost).
    """

    vocab_size: int
    edges: np.ndarray | None
    units: bool = True
    tokens: int = 0
    oov: int = 0
    chars: int = 0
    bytes: int = 0
    words: int = 0
    log_prob: float = 0.0
    known: float = 0.0
    spelling: float = 0.0
    infinite: int = 0
    squares: np.ndarray = field(default_factory=lambda: np.zeros(3))
    _cells: list[np.ndarray] = field(default_factory=list)

    @classmethod
    def of(cls, scores: Scores, lines: bool = False, text: CanonicalText | None = None) -> Self:
        """Of all scores of a text; lines, text: see ``summary``."""
        by_document = len(scores.starts) > 1 and not lines
        edges = None if by_document else stream_edges(scores.chars, stream_cells(len(scores)))
        totals = cls(scores.vocab_size, edges, text is not None)
        totals.add(scores, text)
        return totals

    def add(self, scores: Scores, text: CanonicalText | None, goes_on: bool = False) -> None:
        """Adds the next piece of the text. goes_on: its first document has begun in the piece before."""
        offset = self.chars
        self.tokens += len(scores)
        self.oov += int(scores.oov.sum())
        self.chars, self.bytes, self.words = (
            self.chars + scores.chars,
            self.bytes + scores.bytes,
            self.words + scores.words,
        )
        self.log_prob += scores.log_prob
        self.known += float(scores.log_probs[~scores.oov].sum())
        self.spelling += scores.spelling_log_prob
        self.infinite += int((~np.isfinite(scores.log_probs)).sum())
        if not len(scores):
            return
        bits = scores.bits
        bits[~np.isfinite(bits)] = 0.0
        widths = np.diff(scores.ends, prepend=0)
        self.squares += [np.dot(x, y) for x, y in ((bits, bits), (bits, widths), (widths, widths))]

        def columns() -> Iterator[np.ndarray]:
            """As ``_COLUMNS`` has them, each made when the one before has gone."""
            yield bits
            yield widths
            yield np.where(np.isfinite(scores.log_probs), -scores.log_probs, 0.0)
            yield np.ones(len(scores))
            if self.units and text is not None:
                yield _units_a_token(scores, text, "byte")
                yield _units_a_token(scores, text, "word")

        if self.edges is None:
            rows = np.stack(
                [np.add.reduceat(column.astype(np.float64), scores.starts) for column in columns()], axis=1
            )
            if goes_on and self._cells:
                self._cells[-1][-1] += rows[0]
                rows = rows[1:]
            self._cells += [rows] if len(rows) else []
        else:
            edges = self.edges - offset
            sums = np.stack([cut(column, scores.ends, edges) for column in columns()], axis=1)
            self._cells = [self._cells[0] + sums] if self._cells else [sums]

    def join(self, other: Totals, goes_on: bool = False) -> None:
        """Adds what there is of the next stretch of the text. goes_on: its first document has begun in the stretch before."""
        for name in _SUMS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.squares += other.squares
        cells = [rows.copy() for rows in other._cells]
        if self.edges is not None and self._cells and cells:
            self._cells[0] += cells.pop()
        elif goes_on and self._cells and cells:
            self._cells[-1][-1] += cells[0][0]
            cells[0] = cells[0][1:]
        self._cells += [rows for rows in cells if len(rows)]

    def columns(self) -> dict[str, np.ndarray]:
        """All sums, as ``storage.columns`` keeps them; see ``restored``."""
        sums = np.array([getattr(self, name) for name in _SUMS], dtype=np.float64)
        cells = np.concatenate([np.zeros(0), *(rows.ravel() for rows in self._cells)])
        width = np.array([self._cells[0].shape[1] if self._cells else 0])
        return {"sums": sums, "squares": self.squares, "cells": cells, "width": width}

    @classmethod
    def restored(
        cls, vocab_size: int, edges: np.ndarray | None, columns: Callable[[str], np.ndarray]
    ) -> Self:
        """What ``columns`` wrote. Sums are exact below 2^53."""
        totals = cls(vocab_size, edges, squares=columns("squares"))
        for name, value in zip(_SUMS, columns("sums").tolist(), strict=True):
            setattr(totals, name, value if isinstance(getattr(totals, name), float) else int(value))
        if width := int(columns("width")[0]):
            totals._cells = [columns("cells").reshape(-1, width)]
        return totals

    def cells(self, losses: Column, lengths: Column) -> Cells:
        """One of the sums of each cell over another."""
        table = np.concatenate(self._cells)
        loss, length = (table[:, _COLUMNS.index(name)] for name in (losses, lengths))
        if self.edges is None:
            return Cells(loss[length > 0][:, None], length[length > 0], True)
        return Cells(loss[:, None], length, False)

    @property
    def bits(self) -> float:
        """Of all of the text, spelling included."""
        return -(self.log_prob + self.spelling) / LN2

    @property
    def perplexity(self) -> float:
        return perplexity_of(self.log_prob, self.tokens)

    @property
    def perplexity_excluding_oov(self) -> float:
        return perplexity_of(self.known, self.tokens - self.oov)

    def deviation(self, ratio: float) -> float:
        """√ Σ (b - ratio · w)² over tokens."""
        bb, bw, ww = self.squares.tolist()
        return math.sqrt(max(bb - 2 * ratio * bw + ratio * ratio * ww, 0.0))


def _units_a_token(scores: Scores, text: CanonicalText, unit: str) -> np.ndarray:
    """(T,) int64: how many words, or bytes, of the text begin in each token."""
    if unit == "word":
        before = np.searchsorted(text.word_starts, scores.ends)
    elif text.text.isascii():
        before = scores.ends
    else:
        before = np.append(0, np.cumsum(bytes_a_character(text.text)))[scores.ends]
    return np.diff(before, prepend=0)


def bytes_a_character(text: str) -> np.ndarray:
    """(N,) int64: how many bytes each character has in UTF-8."""
    points = narrow_points(text)
    if points.dtype == np.uint8:
        return np.ones(len(points), dtype=np.int64)
    return 1 + (points > 0x7F).astype(np.int64) + (points > 0x7FF) + (points > 0xFFFF)
