"""A stretch of the test text with the bits that each model spends on its tokens."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from lmbench.comparing.words import first_token, nearest_cut, word_ends
from lmbench.scoring.scores import LN2, Scores

Options = Sequence[tuple[str, float]]  # the likeliest tokens somewhere and their probabilities
# a label -> by their places in the whole text, some tokens at which it is told what is likeliest
Alternatives = Callable[[str], Mapping[int, Options]]


@dataclass(frozen=True)
class Track:
    """What one model said of an extract, token by token.

    ends: (K,) strictly ascending character offsets in the extract, the last its length. bits: (K,) ≥ 0, inf where
    p = 0, spelling included. oov: (K,) bool. alternatives: of some of these tokens, by their places among them, (token, probability),
    likeliest first.
    """

    label: str
    unit: str
    ends: np.ndarray
    bits: np.ndarray
    oov: np.ndarray
    alternatives: Mapping[int, Options] = field(default_factory=dict)


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
    ends: np.ndarray | None = None,
) -> Extract:
    """A stretch of about ``length`` characters from about ``start``, cut where all models have a boundary.

    models: label -> (unit, scores); one with a token longer than the stretch is left out. alternatives: what they hold likeliest.
    ends: ``word_ends`` of the text, where the caller has them.
    """
    models = {label: model for label, model in models.items() if _longest(model[1], start, length) <= length}
    ends = word_ends(text) if ends is None else ends
    all_scores = [scores for _, scores in models.values()]
    first = nearest_cut(ends[: np.searchsorted(ends, start, side="right")][::-1], all_scores) or 0
    last = nearest_cut(ends[np.searchsorted(ends, first + length) :], all_scores)
    if last is None:
        last = nearest_cut(ends[::-1], all_scores) or 0
    tracks = []
    for label, (unit, scores) in models.items():
        low, high = first_token(scores, np.array([first, last])).tolist()
        options = {} if alternatives is None else alternatives(label)
        tracks.append(_track(label, unit, scores, first, low, high, options))
    return Extract(corpus, text[first:last], first, tracks)


def _longest(scores: Scores, start: int, length: int) -> int:
    """The longest token, in characters, that reaches into a stretch."""
    low, high = (
        int(np.searchsorted(scores.ends, start, side="right")),
        first_token(scores, np.array(start + length)),
    )
    return int(_lengths(scores, low, int(high)).max(initial=0))


def _lengths(scores: Scores, low: int, high: int) -> np.ndarray:
    """(N,) int64: how many characters the tokens low .. high - 1 have."""
    return np.diff(scores.ends[low:high], prepend=scores.ends[low - 1] if low else 0)


def _track(
    label: str,
    unit: str,
    scores: Scores,
    first: int,
    low: int,
    high: int,
    options: Mapping[int, Options],
) -> Track:
    ends = scores.ends[low:high] - first
    bits = -(scores.log_probs[low:high] + scores.spelling[low:high]) / LN2
    # Tokens without a span (the first bytes of a character) are joined to the one that completes it.
    starts = np.append(0, ends)[: len(ends)]
    begin = np.flatnonzero(np.append(True, starts[1:] > starts[:-1])[: len(starts)])
    if not len(begin):
        return Track(label, unit, ends, bits, scores.oov[low:high])
    final = np.append(begin[1:], len(ends)) - 1
    oov = np.logical_or.reduceat(scores.oov[low:high], begin)
    shown = {place: options[low + i] for place, i in enumerate(begin.tolist()) if low + i in options}
    return Track(label, unit, ends[final], np.add.reduceat(bits, begin), oov, shown)
