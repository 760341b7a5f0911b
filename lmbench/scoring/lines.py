"""A row for every line or document of a text that need never be whole in memory: how probable is this sentence?"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, pairwise

import msgspec
import numpy as np

from lmbench.scoring.scorer import Scorer
from lmbench.scoring.scores import LN2
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


def tab_separated(rows: Sequence[Row]) -> str:
    """Rows as lines of columns with tabs between them.

    >>> tab_separated([Row(0, 0, 2, 1, 0, -0.5, 0.0, 2, 0.25, float("inf"))])
    '0\\t0\\t2\\t1\\t0\\t-0.5\\t0.0\\t2\\t0.25\\tinf\\n'
    """
    cells = list(map(msgspec.structs.astuple, rows))
    if rows and all(map(math.isfinite, chain.from_iterable(row[-2:] for row in cells))):
        # As JSON, which is written five times as fast as strings are put together.
        written = msgspec.json.encode(cells).decode()[2:-2]
        return written.replace("],[", "\n").replace(",", "\t") + "\n"
    return "".join(["\t".join(map(str, row)) + "\n" for row in cells])


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
    lines = len(firsts) == len(canonical.starts) and canonical.text.count("\n") == len(firsts)
    encoded = scorer.encode_lines(canonical) if lines else scorer.encode(canonical)
    log_probs, spelling = scorer.nats(encoded)
    begins = encoded.canonical.starts[firsts]
    chars = np.diff(np.append(begins, encoded.canonical.chars))
    tokens = np.diff(np.append(encoded.tokens.starts[firsts], len(log_probs)))
    oov, nats, spelled = (
        _sums(column, encoded.tokens.starts[firsts], tokens)
        for column in (encoded.oov.astype(np.int64), log_probs, spelling)
    )
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        bits = -(nats + spelled) / LN2 / chars
        perplexity = np.exp(-nats / tokens)
    begins += offset
    columns = (begins, begins + chars, tokens, oov, nats, spelled, chars, bits, perplexity)
    rows = list(map(Row, range(index, index + len(firsts)), *(column.tolist() for column in columns)))
    return rows, offset + encoded.canonical.chars


def _sums(column: np.ndarray, firsts: np.ndarray, tokens: np.ndarray) -> np.ndarray:
    """(R,): the sum of a column over so many tokens from each first one on."""
    sums = np.zeros(len(firsts), dtype=column.dtype)
    full = firsts[tokens > 0]  # reduceat gives an empty stretch the token after it
    if len(full):
        sums[tokens > 0] = np.add.reduceat(column, full)
    return sums


def _documents(canonical: CanonicalText, begin: int, end: int) -> CanonicalText:
    """Some of a text's documents, as a text."""
    edges = np.append(canonical.starts, canonical.chars)
    text = canonical.text[edges[begin] : edges[end]]
    return CanonicalText(text, canonical.starts[begin:end] - edges[begin])
