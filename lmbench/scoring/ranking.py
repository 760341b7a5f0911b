"""Which of these is more probable: n-best lists and minimal pairs, each alternative a line and a document of its own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from lmbench.errors import InputError, shown
from lmbench.scoring.lines import Row, score_each_line
from lmbench.scoring.scorer import Scorer
from lmbench.scoring.scores import LN2, perplexity_of
from lmbench.text.canonical import NORMALISERS
from lmbench.text.tokens import Tokens

_BATCH = 1 << 14  # alternatives that are scored together


@dataclass(frozen=True)
class Alternative:
    """One of several texts: its place in the list as given (from 0), and what it costs."""

    place: int
    text: str
    row: Row

    @property
    def log_prob(self) -> float:
        """Nats ≤ 0 for all of it, spelling included."""
        return self.row.log_prob + self.row.spelling_log_prob


def ranked(scorer: Scorer, lists: Sequence[Sequence[str]]) -> list[list[Alternative]]:
    """The alternatives of each list, the likeliest first; equals stay as they stood.

    By ln p of the whole line, and of its end where the model was trained on lines; nothing divided by a length. Raises InputError for an
    alternative that is empty once normalised, or more than one line.
    """
    rows = iter(_scored(scorer, (text for texts in lists for text in texts)))
    listed = [[Alternative(i, text, next(rows)) for i, text in enumerate(texts)] for texts in lists]
    return [sorted(alternatives, key=lambda one: -one.log_prob) for alternatives in listed]


def minimal_pairs(scorer: Scorer, pairs: Sequence[tuple[str, str]]) -> list[float]:
    """Of pairs (good, bad), nats: ln p(good) - ln p(bad), above 0 where the good text is the likelier one, and 0 of equals.

    Raises InputError as ``ranked`` does, and where there are none. How many are right: ``comparing.accuracy``.
    """
    if not pairs:
        raise InputError("there are no pairs; give lines good<TAB>bad")
    rows = list(_scored(scorer, (text for pair in pairs for text in pair)))
    nats = [row.log_prob + row.spelling_log_prob for row in rows]
    return [_difference(a, b) for a, b in zip(nats[::2], nats[1::2], strict=True)]


def _difference(a: float, b: float) -> float:
    return 0.0 if a == b else a - b  # -inf of both is a tie


def _scored(scorer: Scorer, texts: Iterable[str]) -> Iterable[Row]:
    lines = iter(_single_lines(scorer, texts))
    for batch in iter(lambda: list(islice(lines, _BATCH)), []):
        yield from _ended(scorer, batch) if scorer.documents == "line" else _open(scorer, batch)


def _ended(scorer: Scorer, lines: Sequence[str]) -> Iterable[Row]:
    for rows in score_each_line(scorer, [lines]):
        yield from rows


def _open(scorer: Scorer, lines: Sequence[str]) -> Iterable[Row]:
    """Each line as the beginning of a document that may go on: what was learnt from whole texts knows no end of a line alone."""
    if scorer.model.traits.adaptive and len(lines) > 1:
        for line in lines:
            yield from _open(scorer, [line])
        return
    texts = [scorer.encode(scorer.read(line, ended=False)) for line in lines]
    lengths = np.array([len(text.tokens) for text in texts], dtype=np.int64)
    starts = np.cumsum(lengths) - lengths
    ids = np.concatenate([text.tokens.ids for text in texts])
    nats = scorer.model.log_probs(Tokens(ids, starts, texts[0].tokens.bos))
    for i, text in enumerate(texts):
        own, chars = nats[starts[i] : starts[i] + lengths[i]], text.canonical.chars
        surfaces = text.surface() if text.oov.any() else []
        unknown = [surfaces[t] for t in np.flatnonzero(text.oov).tolist()]
        spelling = float(scorer.speller.log_probs(unknown).sum()) if unknown else 0.0
        total = float(own.sum())
        bits = -(total + spelling) / LN2 / chars
        yield Row(
            i, 0, chars, len(own), len(unknown), total, spelling, chars, bits, perplexity_of(total, len(own))
        )


def _single_lines(scorer: Scorer, texts: Iterable[str]) -> Iterable[str]:
    normalise = NORMALISERS[scorer.normalise]
    for text in texts:
        line = normalise(text)
        if not line or "\n" in line:
            what = "more than one line" if line else f"empty once normalised ({scorer.normalise})"
            raise InputError(f"the alternative {shown(text)} is {what}; each is to be one line of text")
        yield text
