"""A text cut into cells, and what models lose in each: all that an error bar needs to see, however long the text is.

Documents are cells of their own; a stream is cut at equal distances, and a token that a cut goes through gives to both sides by
their shares of it, so that models of any units are cut alike.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from lmbench.comparing.dependence import (
    FEWEST_CELLS,
    FEWEST_DOCUMENTS,
    MANY_DOCUMENTS,
    SCALES,
    TOKENS_A_CELL,
    WHITE_DOCUMENTS,
    Errors,
    effective_documents,
    of_documents,
    of_stream,
)

_BLOCK = 1 << 20  # pieces whose places are in memory at a time


@dataclass(frozen=True)
class Cells:
    """Losses (K, M) float64 of M models, and lengths (K,) of the cells, in whatever unit the ratio is of.

    by_document: cells are documents, in the order of the text; else a power of 2 of stretches of about one length.
    """

    losses: np.ndarray
    lengths: np.ndarray
    by_document: bool

    @property
    def ratios(self) -> np.ndarray:
        """(M,): Σ loss / Σ length."""
        ratios: np.ndarray = self.losses.sum(axis=0) / self.lengths.sum()
        return ratios

    def residuals(self, losses: np.ndarray) -> np.ndarray:
        """(K, P): losses (K, P) less what their ratio makes of each cell's length."""
        ratios = losses.sum(axis=0) / self.lengths.sum()
        return losses - ratios * self.lengths[:, None]

    def coarser(self, count: int) -> Cells:
        """A stream's cells joined to ``count``, a power of 2; documents stay."""
        if self.by_document or count >= len(self.lengths):
            return self
        edges = np.arange(0, len(self.lengths), len(self.lengths) // count)
        return Cells(np.add.reduceat(self.losses, edges), np.add.reduceat(self.lengths, edges), False)

    @property
    def trouble(self) -> str:
        """Why no error bar can be had, as a sentence; '' where one can."""
        if not self.by_document:
            if len(self.lengths) < FEWEST_CELLS or not self.lengths.sum():
                return (
                    f"the text has fewer than {FEWEST_CELLS * TOKENS_A_CELL} tokens, too few for an error bar"
                )
            return ""
        worth = effective_documents(self.lengths)
        if worth >= FEWEST_DOCUMENTS:
            return ""
        share = float(self.lengths.max() / max(self.lengths.sum(), 1))
        return (
            f"{len(self.lengths)} documents, the longest {share:.0%} of the text, are worth {worth:.1f} of one length: "
            f"too few to say how documents differ; give more, or divide the text so that none outweighs the others"
        )

    def errors(self, losses: np.ndarray) -> tuple[Errors, np.ndarray]:
        """Of the ratios of losses (K, P), and (P,) the method of each: ``documents`` or ``stream``.

        Where there are 64 documents and more it can be seen whether neighbours depend on each other: then the wider
        of the two error bars is taken.
        """
        residuals, total = self.residuals(losses), float(self.lengths.sum())
        method = np.full(losses.shape[1], "documents" if self.by_document else "stream", dtype="<U9")
        if not self.by_document:
            return of_stream(residuals, total), method
        errors = of_documents(residuals, self.lengths)
        if len(self.lengths) >= MANY_DOCUMENTS:
            count = 2 ** min(SCALES, int(math.log2(len(self.lengths))))
            edges = np.linspace(0, len(self.lengths), count, endpoint=False).astype(np.int64)
            stream = of_stream(np.add.reduceat(residuals, edges), total, WHITE_DOCUMENTS)
            wider = stream.half_width() > errors.half_width()
            errors, method = stream.where(wider, errors), np.where(wider, "stream", method)
        return errors, method


def cells_of_documents(losses: np.ndarray, lengths: np.ndarray, starts: np.ndarray) -> Cells:
    """losses (T, M) and lengths (T,) of pieces, starts (D,) of documents among them; empty documents vanish."""
    losses, lengths = np.add.reduceat(losses, starts), np.add.reduceat(lengths, starts)
    return Cells(losses[lengths > 0], lengths[lengths > 0], True)


def cells_of_stream(columns: Iterable[tuple[np.ndarray, np.ndarray]], edges: np.ndarray) -> Cells:
    """Cells between the edges (K + 1,) of a stream; columns: of each model losses (T,) and where its pieces end (T,)."""
    return Cells(np.stack([cut(*column, edges) for column in columns], axis=1), np.diff(edges), False)


def cells_of_lengths(columns: Sequence[np.ndarray], lengths: np.ndarray) -> Cells:
    """Cells of a stream, which is gone through some pieces at a time. columns: of each model losses (T,); lengths: (T,) of the pieces."""
    blocks = [slice(begin, begin + _BLOCK) for begin in range(0, len(lengths), _BLOCK)]
    sizes = [float(np.cumsum(lengths[block])[-1]) for block in blocks]
    edges = stream_edges(math.fsum(sizes), stream_cells(len(lengths)))
    losses, offset = np.zeros((len(edges) - 1, len(columns))), 0.0
    for block, size in zip(blocks, sizes, strict=True):
        ends = np.cumsum(lengths[block])
        for number, column in enumerate(columns):
            losses[:, number] += cut(column[block], ends, edges - offset)
        offset += size
    return Cells(losses, np.diff(edges), False)


def stream_cells(tokens: int) -> int:
    """How many cells a stream of so many tokens is cut into: a power of 2, 1 to 256."""
    return 2 ** max(0, min(SCALES, math.floor(math.log2(max(tokens / TOKENS_A_CELL, 1)))))


def stream_edges(total: float, count: int) -> np.ndarray:
    """(count + 1,) float64: the places of the cuts, from 0 to ``total``."""
    return np.linspace(0, total, count + 1)


def cut(losses: np.ndarray, ends: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """(K,): losses (T,) between the edges (K + 1,); ends: (T,) where each piece ends, never falling.

    Within a piece its loss is spread evenly; one of no length is before the edge at which it lies, and after the first. Pieces may be
    a stretch of a longer text, from place 0 on, edges those of all of it: outside the stretch there is nothing.
    """
    totals = np.cumsum(losses)
    # Else numpy makes all ends numbers of the edges' kind.
    places = np.floor(edges).astype(ends.dtype) if ends.dtype.kind == "i" else edges
    whole = np.searchsorted(ends, places, side="right")
    inside = np.minimum(whole, len(ends) - 1)
    begin = np.where(inside > 0, ends[inside - 1], 0)
    share = np.clip((edges - begin) / np.maximum(ends[inside] - begin, 1e-300), 0, 1)
    sums = np.where(whole > 0, totals[whole - 1], 0.0) + np.where(
        whole < len(ends), losses[inside] * share, 0.0
    )
    sums[edges < 0] = 0.0
    if edges[0] <= 0:
        sums[0] = 0.0
    return np.diff(sums)
