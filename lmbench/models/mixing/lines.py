"""What stands around each token of a text: its word, its column, the line above."""

from __future__ import annotations

import numpy as np

from lmbench.models.compiled import compiled


@compiled()
def mixed(a: np.uint64, b: np.uint64) -> np.uint64:
    """A hash of two."""
    x = a * np.uint64(0x9E3779B97F4A7C15) + b + np.uint64(1)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


@compiled()
def structure(
    ids: np.ndarray, starts: np.ndarray, folded: np.ndarray, letters: np.ndarray, separator: int, newline: int
) -> tuple[np.ndarray, np.ndarray]:
    """What stands around each token: words without case, marks between words, columns, the line above.

    Returns (4, T) uint64 hashes: the word so far, the word before, the one before that, the marks since the line or document began;
    and (4, T) int64: the column, the symbol above it, the one right of that, the line's first symbol; -1 for none.
    """
    T = len(ids)
    words = np.zeros((4, T), dtype=np.uint64)
    lines = np.full((4, T), -1, dtype=np.int64)
    nothing = np.uint64(0)
    word = one = two = marks = nothing
    line = above = end = 0  # where the line began, and the line above: above up to end
    document = 0
    for t in range(T):
        if document < len(starts) and starts[document] == t:
            document += 1
            word = one = two = marks = nothing
            line = above = end = t
        column = t - line
        words[0, t], words[1, t], words[2, t], words[3, t] = word, one, two, marks
        lines[0, t] = column
        if above + column < end:
            lines[1, t] = ids[above + column]
        if above + column + 1 < end:
            lines[2, t] = ids[above + column + 1]
        if column:
            lines[3, t] = ids[line]
        symbol = ids[t]
        if letters[symbol]:
            word = mixed(word, np.uint64(folded[symbol]))
        else:
            if word != nothing:
                two, one, word = one, word, nothing
            if symbol != separator:
                marks = mixed(marks, np.uint64(symbol))
        if symbol == newline:
            marks = nothing
            above, end, line = line, t, t + 1
    return words, lines
