"""ln p(continuation | context): what the tokens that a continuation adds to its context cost."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from lmbench.errors import InputError
from lmbench.scoring.boundaries import other_tokens, path, token_begun
from lmbench.scoring.scorer import Scorer
from lmbench.scoring.scores import LN2, first_after
from lmbench.text.canonical import CanonicalText
from lmbench.text.tokens import EncodedText, Tokens


@dataclass(frozen=True)
class Continuation:
    """A continuation, charged.

    log_prob: nats ≤ 0, spelling included: of all that the tokens of context and continuation together say beyond the context. tokens,
    chars: its own, as the model reads it; a token that begins in the context and ends in the continuation is one of them. greedy:
    whether each of them is the likeliest at its place. apart: nats of its tokens where it is tokenized apart from its context; None of units that
    cut any piece of a text as they cut the whole, for which that is ``log_prob``, and where the tokenizer does not take the piece as a text.
    """

    log_prob: float
    tokens: int
    chars: int
    greedy: bool
    apart: float | None = None

    @property
    def bits_per_char(self) -> float:
        """nan of an empty continuation."""
        return -self.log_prob / LN2 / self.chars if self.chars else float("nan")


def continuation(scorer: Scorer, context: str, text: str) -> Continuation:
    """What ``text`` costs after ``context``, both tokenized together, as the model reads texts: ln p(both) - ln p(context).

    Of a byte model the sum over exactly the bytes of ``text``. Where a sub-word goes across the cut, p(context) is that of all sub-words which
    begin as it does up to there, and of the tokens that the context has alone (Vieira et al. 2024, "From Language Models over Tokens to Language
    Models over Characters", one token deep); of a model by word, and of one that gives no distributions, all of such a token is charged.
    Raises InputError where the model does not suit the text.

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
        return Continuation(0.0, 0, 0, True, None)
    greedy = scorer.model.likeliest(whole.tokens, asked) & ~scores.oov[asked]
    chars = whole.canonical.chars - cut
    nats = float(scores.nats[asked].sum())
    if scorer.unit.name != "subword":
        return Continuation(nats, len(asked), chars, bool(greedy.all()))
    if scores.starts_of_tokens[asked[0]] < cut and scorer.model.traits.distributions:
        nats = min(nats - _log_begun(scorer, whole, int(asked[0]), cut), 0.0)
    return Continuation(nats, len(asked), chars, bool(greedy.all()), _apart(scorer, context, text))


def _log_begun(scorer: Scorer, whole: EncodedText, token: int, cut: int) -> float:
    """Nats: that the text goes on from before a token to the cut inside it, whatever comes then."""
    begun = token_begun(scorer, whole, token, cut)
    row = scorer.model.distributions(whole.tokens.head(token + 1), [token])[0]
    chance = float(np.exp(row[[data.startswith(begun) for data in scorer.brings]]).sum())
    rest = other_tokens(scorer, whole, token, cut)
    if len(rest) > 1:  # one alone has been counted
        chance += math.exp(path(scorer.model, whole.tokens, token, row, rest)[0])
    return math.log(chance) if chance else -math.inf


def _apart(scorer: Scorer, context: str, text: str) -> float | None:
    try:
        before, after = (scorer.encode(as_read(scorer, part)) for part in (context, text))
    except InputError:
        return None
    first = len(before.tokens)
    starts = (
        np.append(before.tokens.starts, after.tokens.starts[1:] + first) if first else after.tokens.starts
    )
    ids = np.concatenate([before.tokens.ids, after.tokens.ids])
    nats = float(scorer.model.log_probs(Tokens(ids, starts, after.tokens.bos))[first:].sum())
    unknown = np.flatnonzero(after.oov)
    if len(unknown):
        surfaces = after.surface()
        nats += float(scorer.speller.log_probs([surfaces[i] for i in unknown]).sum())
    return nats


def as_read(scorer: Scorer, raw: str) -> CanonicalText:
    """A text normalised as the model's training text was; a line that goes on is not ended."""
    return scorer.read(raw, ended=False)


def _shared(one: str, other: str) -> int:
    """How many characters two texts begin with alike."""
    pairs = zip(one, other, strict=False)
    return next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))
