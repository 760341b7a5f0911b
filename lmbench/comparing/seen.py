"""What of a test text the models have seen: what stands in the training text, or in the valid text, by which they are tuned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from lmbench.comparing.copies import Copies, copies
from lmbench.comparing.overlap import Contamination, bits_inside_and_outside, contamination
from lmbench.corpora.corpus import Corpus
from lmbench.scoring.scores import Scores
from lmbench.text.canonical import CanonicalText


@dataclass(frozen=True)
class Seen:
    """What of a test text the models have seen.

    words, chars: stretches of 8 words and of 30 characters, word for word. copies: passages with few words changed.
    """

    words: Contamination
    chars: Contamination
    copies: Copies

    @classmethod
    def of(cls, corpus: Corpus) -> Seen:
        """Of a corpus's test text in its training and valid texts. Raises InputError where it has no test text."""
        return cls.among(
            [text for text in (corpus.train, corpus.valid) if text is not None], corpus.text("test")
        )

    @classmethod
    def among(cls, seen: Sequence[CanonicalText], test: CanonicalText) -> Seen:
        """Of a test text in some texts."""
        words, chars = (contamination(seen, test, unit) for unit in ("word", "char"))
        return cls(words, chars, copies(seen, test))

    @cached_property
    def covered(self) -> np.ndarray:
        """(chars,) bool: the characters of the test text in stretches of 30 characters or in copies."""
        return np.asarray(self.chars.covered | self.copies.covered)

    @property
    def share(self) -> float:
        """Of the test text's characters that are covered, 0..1."""
        return float(self.covered.mean()) if len(self.covered) else 0.0

    def bits_per_char(self, scores: Scores) -> tuple[float, float]:
        """What a model pays for the covered characters and for the others; nan where there are none."""
        return bits_inside_and_outside(self.covered, scores)
