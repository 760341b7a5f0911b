"""The likeliest tokens at some places of a test text, told by models that read no more of it than these need."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from lmbench.comparing.differences import largest
from lmbench.comparing.extracts import Alternatives, Options
from lmbench.comparing.words import first_token
from lmbench.models.base import LanguageModel
from lmbench.scoring.run import Run
from lmbench.scoring.scorer import Scorer
from lmbench.scoring.scores import Scores
from lmbench.text.canonical import CanonicalText
from lmbench.text.tokens import Tokens

LIKELIEST = 5
MARGIN = 1000  # characters after the last token asked for that may decide how it is cut
READ = 100_000  # tokens that a model reads for them at most
CELLS = (
    1 << 22
)  # probabilities held at once; more where reading anew for each part would be more than ``READ``


def alternatives(
    text: CanonicalText,
    runs: Mapping[str, Run],
    scorer_of: Callable[[Run], Scorer],
    asked: Sequence[tuple[int, int]],
) -> Alternatives:
    """What each of some runs holds likeliest at the tokens of some pieces of the text, from a character to one past the last.

    A model that learns from what it reads is asked of the first piece alone, which is the text's beginning.
    """
    known: dict[str, Mapping[int, Options]] = {}

    def likeliest(label: str) -> Mapping[int, Options]:
        if label not in known:
            scorer, scores = scorer_of(runs[label]), runs[label].scores
            pieces = asked[:1] if scorer.model.traits.adaptive else asked
            known[label] = dict(_options(scorer, text, scores, _tokens(scores, pieces)))
        return known[label]

    return likeliest


def _tokens(scores: Scores, pieces: Sequence[tuple[int, int]]) -> np.ndarray:
    """(P,) int64, ascending: the tokens that begin in some pieces of the text."""
    if not pieces:
        return np.zeros(0, dtype=np.int64)
    ends = first_token(scores, np.array(pieces, dtype=np.int64).reshape(-1)).reshape(-1, 2)
    return np.unique(np.concatenate([np.arange(first, last) for first, last in ends.tolist()]))


def _options(
    scorer: Scorer, text: CanonicalText, scores: Scores, places: np.ndarray
) -> Iterator[tuple[int, Options]]:
    """What is likeliest at some tokens (P,), of those that can be told within ``READ``."""
    read = reached = 0
    for begin, some in _readings(scorer.model, scores, places):
        read += int(some[-1]) + 1 - max(begin, reached)
        reached = int(some[-1]) + 1
        if read > READ:
            return
        tokens = _reading(scorer, text, scores, begin, int(some[-1]) + 1)
        table = scorer.model.distributions(tokens, some - begin)
        best = np.stack([largest(row, LIKELIEST) for row in table])
        names = [[str(name) for name in scorer.vocab.to_tokens(row)] for row in best.tolist()]
        shares = np.exp(np.take_along_axis(table, best, axis=1)).tolist()
        yield from (
            (place, list(zip(*row, strict=True)))
            for place, *row in zip(some.tolist(), names, shares, strict=True)
        )


def _readings(model: LanguageModel, scores: Scores, places: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """The tokens asked for, in parts that are read in one go: from which token on, and which (P,) of them."""
    if not len(places):
        return
    begins = scores.starts[np.searchsorted(scores.starts, places, side="right") - 1]
    if model.traits.adaptive:
        begins = np.zeros_like(begins)
    elif model.reach is not None:
        begins = np.maximum(begins, places - model.reach)
    apart = np.flatnonzero(begins[1:] > places[:-1]) + 1
    bounded = model.reach is not None and not model.traits.adaptive
    for group in np.split(np.arange(len(places)), apart):
        reading = 0 if bounded else int(places[group[-1]] + 1 - begins[group[0]])
        rows = max(1, CELLS // model.vocab_size, len(group) * reading // READ)
        for part in np.split(group, np.arange(rows, len(group), rows)):
            yield int(begins[part[0]]), places[part]


def _reading(scorer: Scorer, text: CanonicalText, scores: Scores, begin: int, stop: int) -> Tokens:
    """Tokens begin .. stop - 1 of a text, with the documents that begin in them; no more of it is cut than these need.

    What a tokenizer makes of a piece may differ from what it makes of the whole, which was scored; then all is cut.
    """
    first, last = int(scores.ends[begin - 1]) if begin else 0, int(scores.ends[stop - 1])
    if begin and scorer.unit.name == "word" and text.text[first] == " ":
        first += 1  # the blank before a word belongs to it, and nothing stands before it here
    starts = text.starts[(text.starts > first) & (text.starts < last)] - first
    piece = CanonicalText(text.text[first : last + MARGIN], np.append(0, starts))
    encoded = scorer.encode(piece)
    if np.array_equal(encoded.ends[: stop - begin] + first, scores.ends[begin:stop]):
        return encoded.tokens.head(stop - begin)
    whole = scorer.encode(text).tokens
    starts = whole.starts[(whole.starts > begin) & (whole.starts < stop)] - begin
    return Tokens(whole.ids[begin:stop], np.append(0, starts), whole.bos)
