"""ln p(continuation | context): what the tokens that a continuation adds to its context cost."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lmbench.scoring.scorer import Scorer
from lmbench.scoring.scores import LN2, first_after
from lmbench.text.canonical import CanonicalText


@dataclass(frozen=True)
class Continuation:
    """A continuation, charged.

    log_prob: nats ≤ 0, spelling included. tokens, chars: its own, as the model reads it; a token that begins in the context
    and ends in the continuation is one of them. greedy: whether each of them is the likeliest at its place.
    """

    log_prob: float
    tokens: int
    chars: int
    greedy: bool

    @property
    def bits_per_char(self) -> float:
        """nan of an empty continuation."""
        return -self.log_prob / LN2 / self.chars if self.chars else float("nan")


def continuation(scorer: Scorer, context: str, text: str) -> Continuation:
    """What ``text`` costs after ``context``, both tokenized together, as the model reads texts.

    Of a byte model the sum over exactly the bytes of ``text``. Raises InputError where the model does not suit the text.

    >>> from lmbench.corpora.corpus import Corpus, Documents
    >>> from lmbench.models import make_model
    >>> scorer = Scorer.fit(make_model("uniform"), Corpus.of(Documents(["abcd " * 9]), test=0.0, valid=0.0))
    >>> after = continuation(scorer, "ab", "cd")
    >>> after.tokens, round(after.bits_per_char, 6)  # one of 5 characters or <unk>
    (2, 2.584963)
    """
    whole = scorer.encode(as_read(scorer, context + text))
    before = as_read(scorer, context)
    if whole.canonical.text != as_read(scorer, context + text).text:  # the tokenizer reads another text
        before = scorer.encode(before).canonical
    cut = _shared(before.text, whole.canonical.text)
    scores = scorer.score(whole)
    asked = np.arange(int(first_after(scores.ends, np.array([cut]))[0]), len(scores))
    if not len(asked):
        return Continuation(0.0, 0, 0, True)
    greedy = scorer.model.likeliest(whole.tokens, asked) & ~scores.oov[asked]
    chars = whole.canonical.chars - cut
    return Continuation(float(scores.nats[asked].sum()), len(asked), chars, bool(greedy.all()))


def as_read(scorer: Scorer, raw: str) -> CanonicalText:
    """A text normalised as the model's training text was; a line that goes on is not ended."""
    return scorer.read(raw, ended=False)


def _shared(one: str, other: str) -> int:
    """How many characters two texts begin with alike."""
    pairs = zip(one, other, strict=False)
    return next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))
