"""How much of the test text stands in the training text, and what models pay there and elsewhere."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lmbench.scoring.scores import Scores
from lmbench.text.canonical import CanonicalText
from lmbench.text.units import code_points

WORDS, CHARS = 8, 30  # lengths of the stretches that are looked for
FILTER_BITS = 22
CHUNK = 1 << 17  # training values hashed at a time


@dataclass(frozen=True)
class Contamination:
    """Stretches of ``length`` units of the test text, and which of them the training text has word for word.

    unit: ``word`` (maximal runs of non-blank characters; blanks and line ends between them do not matter) or ``char``.
    stretches: how many there are in the test text; found: how many of them stand in the training text. covered:
    (chars,) bool, the characters of the test text that lie in such a stretch.
    """

    unit: str
    length: int
    stretches: int
    found: int
    covered: np.ndarray

    @property
    def share(self) -> float:
        """Of the test stretches, 0..1; 0 where the text is shorter than a stretch."""
        return self.found / self.stretches if self.stretches else 0.0

    def bits_per_char(self, scores: Scores) -> tuple[float, float]:
        """What a model pays on the covered characters and on the clean ones; nan where there are none.

        A token counts as covered when its last character is.
        """
        chars = np.diff(scores.ends, prepend=0)
        last = self.covered[np.maximum(scores.ends - 1, 0)]
        bits = scores.bits
        both = (np.array([bits[side].sum(), chars[side].sum()]) for side in (last, ~last))
        overlapping, clean = (float(b / c) if c else np.nan for b, c in both)
        return overlapping, clean


def contamination(train: CanonicalText, test: CanonicalText, unit: str = "word") -> Contamination:
    """Looks for every stretch of the test text, 8 words or 30 characters, in the training text."""
    length = WORDS if unit == "word" else CHARS
    if unit == "word":
        ids: dict[str, int] = {}
        of_train, _ = _words(train.text, ids)
        of_test, spans = _words(test.text, ids)
    else:
        of_train, of_test = (code_points(t.text) for t in (train, test))
        spans = np.stack([np.arange(test.chars), np.arange(1, test.chars + 1)], axis=1)
    known = _known(of_train, of_test, length)
    covered = np.zeros(test.chars + 1, dtype=np.int64)
    at = np.flatnonzero(known)
    np.add.at(covered, spans[at, 0], 1)
    np.add.at(covered, spans[at + length - 1, 1], -1)
    return Contamination(unit, length, len(known), len(at), np.cumsum(covered)[:-1] > 0)


def _words(text: str, ids: dict[str, int]) -> tuple[np.ndarray, np.ndarray]:
    """(N,) uint64 number of each word, new words numbered on, and (N, 2) where it begins and ends."""
    words = text.split()
    numbers = np.array([ids.setdefault(word, len(ids)) for word in words], dtype=np.uint64)
    blank = np.array([c.isspace() for c in text] + [True], dtype=bool)
    begins = np.flatnonzero(~blank & np.concatenate([[True], blank[:-1]]))
    ends = np.flatnonzero(blank & np.concatenate([[False], ~blank[:-1]]))
    return numbers, np.stack([begins, ends], axis=1)


def _known(train: np.ndarray, test: np.ndarray, length: int) -> np.ndarray:
    """(N - length + 1,) bool: the runs of ``length`` test values that stand in train."""
    wanted = window_hashes(test, length)
    shift = np.uint64(64 - FILTER_BITS)
    possible = np.zeros(1 << FILTER_BITS, dtype=bool)  # sifts out most training runs before any sorting
    possible[wanted >> shift] = True
    candidates = [np.zeros(0, dtype=np.uint64)]
    for start in range(0, len(train), CHUNK):
        hashes = window_hashes(train[start : start + CHUNK + length - 1], length)
        candidates.append(hashes[possible[hashes >> shift]])
    return np.isin(wanted, np.concatenate(candidates))


def window_hashes(values: np.ndarray, length: int) -> np.ndarray:
    """(N - length + 1,) uint64: a number for each run of ``length`` values, the same for equal runs.

    Unequal runs meet by chance once in 2^64 pairs. Built by doubling: the hash of 2k values is made of those of both halves.
    """
    if len(values) < length:
        return np.zeros(0, dtype=np.uint64)
    total: np.ndarray | None = None
    power, width, done = _mix(values.astype(np.uint64)), 1, 0
    count = len(values) - length + 1
    while done < length:
        if length & width:
            piece = power[done : done + count]
            total = piece if total is None else _pair(total, piece)
            done += width
        if 2 * width <= length:
            power = _pair(power[:-width], power[width:])
        width *= 2
    assert total is not None
    return total


def _pair(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return _mix(first * np.uint64(0xD1342543DE82EF95) + second)


def _mix(x: np.ndarray) -> np.ndarray:
    """A permutation of the 64-bit numbers that scatters neighbours (the finaliser of SplitMix64)."""
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: np.ndarray = x ^ (x >> np.uint64(31))
    return mixed
