"""A text scored piece by piece, so that neither it nor its scores need be whole in memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from lmbench.scoring.scorer import Scorer
from lmbench.scoring.scores import Scores
from lmbench.text.canonical import CanonicalText
from lmbench.text.tokens import Tokens
from lmbench.text.units import UNITS


@dataclass(frozen=True)
class ScoredPiece:
    """Some of a text with its scores. begins: whether a document begins with it."""

    text: CanonicalText
    scores: Scores
    begins: bool


def can_stream(scorer: Scorer) -> bool:
    """Whether a text scored in pieces costs what it costs whole: where pieces are cut alike, and what stood before them can be kept.

    So it is where predictions rest on a few tokens, or every line is a document; not of a model that learns from what it scores, nor where
    lines are joined (``letters``).
    """
    model = scorer.model
    if model.traits.adaptive or scorer.unit.name not in UNITS:
        return False
    if scorer.documents == "line":
        return True
    return model.reach is not None and scorer.normalise != "letters"


def score_pieces(
    scorer: Scorer, pieces: Iterable[tuple[CanonicalText, bool]], before: np.ndarray | None = None
) -> Iterator[ScoredPiece]:
    """The scores of each piece of a text, and so all together those of the whole; pieces: texts and whether a document begins with each.

    before: the last tokens (of a document) before the first. For a scorer of which ``can_stream`` holds. Raises InputError as ``Scorer.score`` does.

    >>> from lmbench.corpora.corpus import Corpus, Documents
    >>> from lmbench.models import make_model
    >>> from lmbench.text.canonical import canonical_text
    >>> scorer = Scorer.fit(make_model("kneser-ney"), Corpus.of(Documents(["a b\\nb a\\n" * 9]), test=0.0, valid=0.0), "word")
    >>> parts = [(canonical_text([text], "none", "stream"), text[0] == "a") for text in ("a b\\n", "b a\\n")]
    >>> whole = scorer.score("a b\\nb a\\n").log_probs
    >>> np.array_equal(np.concatenate([piece.scores.log_probs for piece in score_pieces(scorer, parts)]), whole)
    True
    """
    before = np.zeros(0, dtype=np.int32) if before is None else before  # of a document that may go on
    for text, begins in pieces:
        scores, before = _scored(scorer, text, before[:0] if begins else before)
        yield ScoredPiece(text, scores, begins)
        del text, scores  # else they would stay until the next ones have been made


def _scored(scorer: Scorer, text: CanonicalText, before: np.ndarray) -> tuple[Scores, np.ndarray]:
    """The scores of a text that goes on after some tokens, and the tokens after which the next one does."""
    encoded = scorer.encode(text)
    tokens = encoded.tokens
    ids = np.concatenate([before, tokens.ids])
    starts = np.append(0, tokens.starts[1:] + len(before))
    log_probs = scorer.model.log_probs(Tokens(ids, starts, tokens.bos))[len(before) :]
    last = max(int(starts[-1]), len(ids) - (scorer.model.reach or 0))
    return scorer.charged(encoded, log_probs), ids[last:].copy()
