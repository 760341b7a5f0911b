"""What models pay on the part of the test text that they have not seen, and whether the ranking holds there.

What has been seen: ``comparing.seen``. An interval of the rest is that of a domain
(Cochran 1977, section 5A.14): the tokens inside are left out, documents without others too, and what remains keeps its order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from lmbench.comparing.error_bars import Interval, Paired, interval, paired
from lmbench.comparing.overlap import tokens_inside
from lmbench.comparing.pairs import WORTHWHILE
from lmbench.comparing.words import Charges, Pieces, word_ends
from lmbench.scoring.scores import Scores
from lmbench.text.searching import distinct


def bits_outside(covered: np.ndarray, scores: Scores, level: float = 0.95) -> Interval | None:
    """Bits a character that a model pays for what it has not seen, with their interval.

    covered: (chars,) bool, what has been seen. A token is inside where its last character is. None where everything is, or
    where a token outside had probability 0.
    """
    keep = ~tokens_inside(covered, scores)
    bits, chars = scores.bits[keep], np.diff(scores.ends, prepend=0)[keep]
    if not chars.any() or not np.isfinite(bits).all():
        return None
    return interval(bits, chars, _documents(keep, scores.starts), level)


def _documents(keep: np.ndarray, starts: np.ndarray) -> np.ndarray | None:
    """(D',) where documents begin once only some pieces are kept; None of one document. keep: (T,) bool, starts: (D,)."""
    before = np.append(0, np.cumsum(keep))
    begins = distinct(before[starts])[0]
    begins = begins[begins < before[-1]]
    return begins if len(begins) > 1 else None


@dataclass(frozen=True)
class Turned:
    """Two models of which a pays less on the whole text and b on the unseen part of it. outside: there, a less b."""

    a: str
    b: str
    outside: Paired


@dataclass(frozen=True)
class OrderOutside:
    """The order of some models on what they have not seen.

    share: of the test text's characters that have been seen, 0..1. bits: label -> bits a character outside, fewest first.
    first: the label that is first on the whole text. turned: the pairs whose order turns.
    """

    share: float
    bits: Mapping[str, float]
    first: str
    turned: Sequence[Turned]

    @property
    def first_outside(self) -> str:
        return next(iter(self.bits))

    @property
    def sentence(self) -> str | None:
        """What a headline with the first model's name has to add; None where it is first outside too, or by hardly anything not."""
        a, b = self.first, self.first_outside
        if self.bits[a] - self.bits[b] < WORTHWHILE:
            return None
        said = (
            f"Outside what the training or valid text holds too ({self.share:.1%} of the characters) {b} is ahead of {a}, "
            f"{self.bits[b]:.3f} to {self.bits[a]:.3f} bits per character"
        )
        pair = next(t.outside for t in self.turned if (t.a, t.b) == (a, b))
        return said + ("." if pair.p_value <= 0.05 else ", a difference that may be noise.")


def order_outside(text: str, models: Mapping[str, Scores], covered: np.ndarray) -> OrderOutside | None:
    """Whether the order of models (label -> scores of the text) is another on what they have not seen.

    covered: (chars,) bool. None where there are no models, or no characters outside. Raises ValueError where scores are of
    another text.
    """
    keep = {label: ~tokens_inside(covered, scores) for label, scores in models.items()}
    chars = {label: np.diff(models[label].ends, prepend=0)[keep[label]].sum() for label in models}
    if not models or not all(chars.values()):
        return None
    outside = {label: float(models[label].bits[keep[label]].sum() / chars[label]) for label in models}
    by_all = sorted(models, key=lambda label: models[label].bits_per_char)
    turned = [(a, b) for a, b in combinations(by_all, 2) if outside[b] < outside[a]]
    bits = {label: outside[label] for label in sorted(by_all, key=outside.__getitem__)}
    ends = word_ends(text) if turned else np.zeros(0, np.int64)
    charges = {
        label: Charges.of(ends, models[label]) for label in {label for pair in turned for label in pair}
    }
    pairs = [
        Turned(a, b, _paired(Pieces.of(ends, charges[a], charges[b]), covered, charges[a])) for a, b in turned
    ]
    return OrderOutside(float(covered.mean()), bits, by_all[0], pairs)


def _paired(cut: Pieces, covered: np.ndarray, a: Charges) -> Paired:
    """The difference of two models on the pieces whose last character is outside."""
    keep = ~covered[cut.ends - 1] & np.isfinite(cut.a_bits) & np.isfinite(cut.b_bits)
    documents = _documents(keep, np.searchsorted(cut.starts, a.documents))
    return paired(cut.a_bits[keep], cut.b_bits[keep], (cut.ends - cut.starts)[keep], documents)
