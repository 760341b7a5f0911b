"""A score that cannot be faked: the text encoded by an arithmetic coder that the model drives, and decoded again.

The decoder knows the model, the number of documents and the length of each in tokens, and the coded bits; it asks
the model for each next token's distribution only after it has decoded the tokens before. If the text comes
out again and the file is as long as the score claims, then the score is honest. (Witten, Neal & Cleary 1987; the
range coder of Martin 1979, with carries.)
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lmbench.corpora.corpus import Corpus
from lmbench.models import LanguageModel
from lmbench.models.laws import broken_laws
from lmbench.scoring.range_coder import Coder, Decoder, Encoder, cumulative_frequencies
from lmbench.scoring.scorer import Scorer
from lmbench.scoring.scores import LN2, Scores
from lmbench.text.canonical import CanonicalText
from lmbench.text.tokens import EncodedText, encode
from lmbench.text.tokens import ends as ends_in
from lmbench.text.units import Unit

# What is coded: tokens, then the spelling of the unknown ones ------------------------------------------


def code_tokens(
    coder: Coder, model: LanguageModel, lengths: Sequence[int], bos: int, ids: np.ndarray | None
) -> np.ndarray:
    """Codes documents of the given lengths in tokens and returns their ids, laid end to end.

    ids: those of an encoder; None for a decoder. Both go through the text by the same steps, so that rounding cannot part
    them.
    """
    given = ids is not None
    ids = np.array(ids, dtype=np.int32) if ids is not None else np.zeros(sum(lengths), dtype=np.int32)
    stepper = model.stepper(bos)
    for begin, end in itertools.pairwise([0, *itertools.accumulate(lengths)]):
        stepper.begin()
        for t in range(begin, end):
            cumulative = cumulative_frequencies(np.exp(stepper.distribution()))
            ids[t] = coder.code(cumulative, int(ids[t]) if given else None)
            stepper.read(ids[t : t + 1])
    return ids


def code_text(
    coder: Coder, scorer: Scorer, lengths: Sequence[int], given: EncodedText | None
) -> tuple[np.ndarray, list[str]]:
    """Codes a text's tokens, then the spelling of those outside the vocabulary: ids and tokens as they stand."""
    ids = code_tokens(
        coder, scorer.model, lengths, scorer.vocab.newline, None if given is None else given.tokens.ids
    )
    entries = scorer.vocab.tokens
    surface = [entries[i] for i in ids.tolist()]
    unknown = np.flatnonzero(ids == 0).tolist()
    if unknown:
        spelled = None if given is None else given.surface()
        for place in unknown:
            surface[place] = scorer.speller.code(coder, None if spelled is None else spelled[place])
    return ids, surface


# The check -----------------------------------------------------------------------------------------


HOLDS = "decoded to the same text"


@dataclass(frozen=True)
class Verification:
    """What the file says: identical, whether the decoded text is the text; claimed_bits, what the scores say.

    The file is longer than an honest claim by at most a few bytes and some 1e-5 bits a token (rounding to integer
    frequencies; a token that was claimed impossible is coded all the same, at 30 bits).
    """

    tokens: int
    file_bits: int
    claimed_bits: float
    identical: bool

    @property
    def holds(self) -> bool:
        """Decoded, and not longer than claimed by more than 64 bits and one part in a thousand."""
        return self.verdict == HOLDS

    @property
    def verdict(self) -> str:
        """What came of it, in words."""
        if not self.identical:
            return "DID NOT DECODE to the text"
        if not self.file_bits <= self.claimed_bits * 1.001 + 64:
            return "decoded to the same text, but LONGER THAN CLAIMED"
        return HOLDS


def verify(
    scorer: Scorer, text: CanonicalText, limit: int | None = None, scores: Scores | None = None
) -> Verification:
    """Encodes and decodes the first ``limit`` tokens of a text (default: all), and sets the file beside the claim.

    scores: what the model has given the text, which is then the claim; default: it is asked.

    >>> from lmbench.corpora import Corpus, make_source
    >>> from lmbench.models import make_model
    >>> corpus = Corpus.of(make_source("golden-mean"), length=5000)
    >>> verification = verify(Scorer.fit(make_model("bigram"), corpus), corpus.text("test"))
    >>> verification.tokens, verification.holds
    (500, True)
    """
    encoded = encode(extract(text, scorer.unit, limit), scorer.unit, scorer.vocab)
    count = len(encoded.tokens)
    if scores is None or not np.array_equal(scores.ends[:count], encoded.ends):
        scores = scorer.score(encoded)
    lengths = np.diff(np.append(encoded.tokens.starts, len(encoded.tokens))).tolist()
    encoder = Encoder()
    code_text(encoder, scorer, lengths, encoded)
    data = encoder.finish()
    _, surface = code_text(Decoder(data), scorer, lengths, None)
    bounds = itertools.pairwise([0, *itertools.accumulate(lengths)])
    decoded = "".join(scorer.unit.join(surface[a:b]) for a, b in bounds)
    identical = decoded == encoded.canonical.text
    claimed = -float(scores.nats[:count].sum()) / LN2
    return Verification(count, 8 * len(data), claimed, identical)


def extract(text: CanonicalText, unit: Unit, limit: int | None) -> CanonicalText:
    """The first ``limit`` tokens of a text, all of it where it has no more."""
    ends = ends_in(text, unit)
    if limit is None or len(ends) <= limit:
        return text
    return text.head(int(ends[limit - 1]))


def certify(scorer: Scorer, corpus: Corpus, scores: Scores | None = None) -> str | None:
    """Why a model may not be ranked (Σ p ≠ 1, it looks ahead …), or None; the laws are asked at places of the whole test text.

    scores: what the model has given the test text, which are then not asked for again.
    """
    text, read = corpus.text("test"), scorer.encode(corpus.text("test"))
    if read.canonical.text != text.text:
        return (
            f"the text is scored as its tokenizer reads it, {read.canonical.chars:,} characters in place of "
            f"{text.chars:,}, which is another text"
        )
    if not scorer.model.traits.distributions:
        return "distributions are not to be had, so that nobody can see whether its probabilities sum to 1"
    broken = broken_laws(scorer.model, read.tokens, scored=None if scores is None else scores.log_probs)
    return "; ".join(broken.values()) or None
