"""A row for every line or document of a text that need never be whole in memory: how probable is this sentence?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

import msgspec
import numpy as np

from lmbench.scoring.scorer import Scorer
from lmbench.scoring.scores import LN2, Scores, perplexity_of
from lmbench.text.canonical import CanonicalText, canonical_text


class Row(msgspec.Struct, frozen=True):
    """What a model charges for one line or document.

    index: from 0. start, end: its characters in the canonical text, end exclusive, the line feed among them. tokens, oov: how many, and
    how many of them are outside the vocabulary. log_prob: nats ≤ 0, ``<unk>`` charged as ``<unk>``; spelling_log_prob: nats ≤ 0 for
    the spelling of those. chars: end - start. bits_per_char: of both together; perplexity: exp(-log_prob / tokens); either is
    infinite where a token has no probability, and nan where there is nothing to divide by.
    """

    index: int
    start: int
    end: int
    tokens: int
    oov: int
    log_prob: float
    spelling_log_prob: float
    chars: int
    bits_per_char: float
    perplexity: float


def score_each_line(
    scorer: Scorer, batches: Iterable[Sequence[str]], normalise: str | None = None
) -> Iterator[list[Row]]:
    """The rows of each batch of texts, a row a line, in order; offsets run on from batch to batch.

    batches: texts of whole lines (a last one may lack its line feed, and gets it). Each line is a document, begun as if after a line
    feed and closed by its own, however many are scored at once; a model that learns from what it scores (``traits.adaptive``)
    is set to work on each line anew. normalise: in place of the scorer's own. The sum of ``log_prob`` is that of the whole text
    under ``--documents line``, an adaptive model's apart. Raises InputError where the model does not suit the text.

    >>> from lmbench.corpora.corpus import Corpus, Documents
    >>> from lmbench.models import make_model
    >>> corpus = Corpus.of(Documents(["a b\\nb a\\n" * 9]), test=0.0, valid=0.0, documents="line")
    >>> scorer = Scorer.fit(make_model("uniform"), corpus, "word")
    >>> [(row.index, row.start, row.end, row.tokens) for rows in score_each_line(scorer, [["a b\\nb\\n"], ["a"]]) for row in rows]
    [(0, 0, 4, 3), (1, 4, 6, 2), (2, 6, 8, 2)]
    """
    index = offset = 0
    for texts in batches:
        canonical = canonical_text(texts, normalise or scorer.normalise, "line")
        rows, offset = _rows(scorer, canonical, np.arange(len(canonical.starts)), index, offset)
        index += len(rows)
        yield rows


def score_each_document(
    scorer: Scorer, batches: Iterable[Sequence[str]], normalise: str | None = None
) -> Iterator[list[Row]]:
    """The rows of each batch of raw documents, a row a document, in order; one that is empty once normalised has none.

    Each is read as the scorer's texts are: a model of lines begins anew at each line inside. Where there are several, each ends in a
    line feed, as in ``canonical_text``.
    """
    index = offset = 0
    several = False
    for texts, last in _with_last(batches):
        several = several or len(texts) > 1 or not last
        parts = [canonical_text([text], normalise or scorer.normalise, scorer.documents) for text in texts]
        parts = [part.ended() if several else part for part in parts if part.text]
        sizes = [len(part.starts) for part in parts]
        chars = [part.chars for part in parts]
        before = [0, *np.cumsum(chars).tolist()]
        starts = [part.starts + begin for part, begin in zip(parts, before, strict=False)]
        text = "".join(part.text for part in parts)
        canonical = CanonicalText(text, np.concatenate([np.zeros(0, dtype=np.int64), *starts]))
        firsts = np.cumsum(sizes, dtype=np.int64) - np.array(sizes, dtype=np.int64)
        rows, offset = _rows(scorer, canonical, firsts, index, offset)
        index += len(rows)
        yield rows


def _with_last(batches: Iterable[Sequence[str]]) -> Iterator[tuple[Sequence[str], bool]]:
    """Each batch, and whether none follows."""
    waiting: Sequence[str] | None = None
    for batch in batches:
        if waiting is not None:
            yield waiting, False
        waiting = batch
    if waiting is not None:
        yield waiting, True


def _rows(
    scorer: Scorer, canonical: CanonicalText, firsts: np.ndarray, index: int, offset: int
) -> tuple[list[Row], int]:
    """The rows of a canonical text, and the offset of what follows.

    firsts: (R,) which of its documents opens each row. index, offset: of the first row.
    """
    if not canonical.text:
        return [], offset
    if scorer.model.traits.adaptive and len(firsts) > 1:
        rows: list[Row] = []
        for begin, end in pairwise([*firsts.tolist(), len(canonical.starts)]):
            part = _documents(canonical, begin, end)
            more, offset = _rows(scorer, part, np.zeros(1, dtype=np.int64), index + len(rows), offset)
            rows += more
        return rows, offset
    encoded = scorer.encode(canonical)
    scores = scorer.score(encoded)
    starts = encoded.canonical.starts[firsts]
    ends = np.append(starts[1:], encoded.canonical.chars)
    sums = _sums(scores, scores.starts[firsts])
    columns = zip(starts.tolist(), ends.tolist(), *sums, strict=True)
    rows = [
        Row(
            index + i,
            offset + start,
            offset + end,
            tokens,
            oov,
            log_prob,
            spelling,
            end - start,
            -(log_prob + spelling) / LN2 / (end - start),
            perplexity_of(log_prob, tokens),
        )
        for i, (start, end, tokens, oov, log_prob, spelling) in enumerate(columns)
    ]
    return rows, offset + encoded.canonical.chars


def _sums(scores: Scores, firsts: np.ndarray) -> tuple[list[int], list[int], list[float], list[float]]:
    """Tokens, unknown ones, nats and nats of spelling from each of some tokens up to the next."""
    tokens = np.diff(np.append(firsts, len(scores)))
    full = firsts[tokens > 0]  # reduceat gives an empty stretch the token after it

    def total(column: np.ndarray) -> np.ndarray:
        sums = np.zeros(len(firsts), dtype=column.dtype)
        if len(full):
            sums[tokens > 0] = np.add.reduceat(column, full)
        return sums

    oov = total(scores.oov.astype(np.int64))
    return tokens.tolist(), oov.tolist(), total(scores.log_probs).tolist(), total(scores.spelling).tolist()


def _documents(canonical: CanonicalText, begin: int, end: int) -> CanonicalText:
    """Some of a text's documents, as a text."""
    edges = np.append(canonical.starts, canonical.chars)
    text = canonical.text[edges[begin] : edges[end]]
    return CanonicalText(text, canonical.starts[begin:end] - edges[begin])
