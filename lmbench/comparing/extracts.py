"""A stretch of the test text with the bits that each model spends on its tokens."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lmbench.scoring.scores import Scores
from lmbench.text.units import unit_named

LONG_WORDS = 40  # characters a word, on average: a source that writes no spaces


# (first token, one past the last) of a label -> for each token the likeliest tokens there and their probabilities
Alternatives = Callable[[str, int, int], Sequence[Sequence[tuple[str, float]]]]


@dataclass(frozen=True)
class Track:
    """What one model said of an extract, token by token.

    ends: (K,) strictly ascending character offsets in the extract, the last its length. bits: (K,) ≥ 0, inf where
    p = 0, spelling included. oov: (K,) bool. alternatives: (K,) lists of (token, probability), likeliest first, or ().
    """

    label: str
    unit: str
    ends: np.ndarray
    bits: np.ndarray
    oov: np.ndarray
    alternatives: Sequence[Sequence[tuple[str, float]]] = ()


@dataclass(frozen=True)
class Extract:
    """A stretch of the held-out text of a corpus and what each model said of it. start: its place in the text."""

    corpus: str
    text: str
    start: int
    tracks: Sequence[Track]


def extract(
    corpus: str,
    text: str,
    models: Mapping[str, tuple[str, Scores]],
    start: int = 0,
    length: int = 1500,
    alternatives: Alternatives | None = None,
) -> Extract:
    """A stretch of about ``length`` characters from about ``start``, cut where all models have a boundary.

    models: label -> (unit, scores); one with a token longer than the stretch is left out. alternatives: asked once a
    label for the tokens of the stretch.
    """
    models = {label: model for label, model in models.items() if _longest(model[1], start, length) <= length}
    common = _word_ends(text)
    for _, scores in models.values():
        common = np.intersect1d(common, scores.ends)
    common = np.append(0, common[common > 0])
    first = int(common[max(0, int(np.searchsorted(common, start, side="right")) - 1)])
    last = int(common[min(len(common) - 1, int(np.searchsorted(common, first + length)))])
    tracks = []
    for label, (unit, scores) in models.items():
        low, high = np.searchsorted(scores.starts_of_tokens, [first, last]).tolist()
        options = alternatives(label, low, high) if alternatives is not None else ()
        tracks.append(_track(label, unit, scores, first, low, high, options))
    return Extract(corpus, text[first:last], first, tracks)


def _word_ends(text: str) -> np.ndarray:
    """Where words end; every character, in a text whose words are too long to be words."""
    ends = unit_named("word").ends(text)
    return ends if len(text) <= LONG_WORDS * len(ends) else np.arange(1, len(text) + 1)


def _longest(scores: Scores, start: int, length: int) -> int:
    """The longest token, in characters, that reaches into a stretch."""
    starts = scores.starts_of_tokens
    reaching = (scores.ends > start) & (starts < start + length)
    return int((scores.ends - starts)[reaching].max(initial=0))


def _track(
    label: str,
    unit: str,
    scores: Scores,
    first: int,
    low: int,
    high: int,
    options: Sequence[Sequence[tuple[str, float]]],
) -> Track:
    starts = scores.starts_of_tokens[low:high] - first
    ends = scores.ends[low:high] - first
    bits = scores.bits[low:high]
    # Tokens without a span (the first bytes of a character) are joined to the one that completes it.
    begin = np.flatnonzero(np.append(True, starts[1:] > starts[:-1])[: len(starts)])
    if not len(begin):
        return Track(label, unit, ends, bits, scores.oov[low:high])
    final = np.append(begin[1:], len(ends)) - 1
    oov = np.logical_or.reduceat(scores.oov[low:high], begin)
    shown = [options[i] for i in begin.tolist()] if len(options) else ()
    return Track(label, unit, ends[final], np.add.reduceat(bits, begin), oov, shown)
