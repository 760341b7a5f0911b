"""Scores -> numbers, each with its error bar."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from lmbench.comparing.cells import Cells, cells_of_documents, cut, stream_cells, stream_edges
from lmbench.comparing.dependence import effective_documents
from lmbench.comparing.error_bars import around, resolvable
from lmbench.scoring.scores import Scores
from lmbench.text.canonical import CanonicalText


def summary(scores: Scores, *, lines: bool = False, text: CanonicalText | None = None) -> dict[str, Any]:
    """The numbers of one model on one text, ready for JSON.

    JSON knows neither infinity nor nan: a number that is infinite (the model gave ``infinite_tokens`` > 0 tokens
    probability 0, or exp overflows) or not defined (no tokens, no error bar to be had) is None. An interval
    of an infinite loss is [low, None]; both ends are None where nothing can be said, and ``ci95_note`` says why.

    lines: the documents are lines of running text, neighbours of each other, and not the units of an error. text: that was
    scored; with it, intervals of bits a word and a byte are of words and bytes as they lie in the text, and without, of its
    characters, in the unit of words and bytes.

    Beside the totals: ``ci95``, the 95% interval of bits_per_char, of the mean over all text of the same documents or process
    (and ``ci95_bits_per_byte``, ``ci95_bits_per_word``, ``ci95_perplexity``); never below 0 bits or perplexity 1.
    ``prediction95``: for another text of this length and make. ``ci95_method``: what the error rests on, ``documents`` (their jackknife)
    or ``stream`` (long memory; see ``lmbench.comparing.dependence``); ``effective_documents``: how many of one length would say as
    much. ``standard_error`` of bits_per_char; ``n_eff``, how many independent tokens would give the same error;
    ``resolvable_difference``: the smallest difference in bits per character that a text of this size can show four times in
    five when nothing is paired (pairs of models on the same text resolve finer: see ``compare``).

    >>> import lmbench as lb
    >>> corpus = lb.load_corpus("golden-mean")  # its rate: 2/3 bit a character
    >>> numbers = summary(lb.evaluate(lb.make_model("bigram"), corpus).scores)
    >>> round(numbers["bits_per_char"], 3), [round(end, 2) for end in numbers["ci95"]], numbers["ci95_method"]
    (0.667, [0.66, 0.67], 'stream')
    """
    finite = np.isfinite(scores.log_probs)
    result: dict[str, Any] = {
        "vocab_size": scores.vocab_size,
        "tokens": len(scores),
        "oov": int(scores.oov.sum()),
        "chars": scores.chars,
        "bytes": scores.bytes,
        "words": scores.words,
        "log_prob": _json(scores.log_prob),
        "perplexity": _json(scores.perplexity),
        "perplexity_excluding_oov": _json(scores.perplexity_excluding_oov),
        "spelling_log_prob": _json(scores.spelling_log_prob),
        "bits_per_char": _json(scores.bits_per_char),
        "bits_per_byte": _json(scores.bits_per_byte),
        "bits_per_word": _json(scores.bits_per_word),
        "infinite_tokens": int((~finite).sum()),
    }
    return result | _errors(scores, lines, text)


def _json(x: float) -> float | None:
    return float(x) if math.isfinite(x) else None


def _cells(scores: Scores, losses: np.ndarray, lengths: np.ndarray, lines: bool) -> Cells:
    """Of losses (T,) of the tokens, over lengths (T,): documents, or stretches of as many characters."""
    table = np.stack([losses, lengths], axis=1).astype(np.float64)
    if len(scores.starts) > 1 and not lines:
        return cells_of_documents(table[:, :1], table[:, 1], scores.starts)
    edges = stream_edges(scores.chars, stream_cells(len(scores)))
    columns = [cut(column, scores.ends, edges) for column in table.T]
    return Cells(columns[0][:, None], columns[1], False)


def _errors(scores: Scores, lines: bool, text: CanonicalText | None) -> dict[str, Any]:
    result: dict[str, Any] = {
        "ci95": [None, None],
        "ci95_bits_per_byte": [None, None],
        "ci95_bits_per_word": [None, None],
        "ci95_perplexity": [None, None],
        "ci95_note": "",
        "prediction95": [None, None],
        "standard_error": None,
        "resolvable_difference": None,
        "n_eff": None,
        "ci95_method": "none",
        "effective_documents": None,
    }
    if not len(scores) or not scores.chars:
        return result | {"ci95_note": "the text is empty"}
    infinite = not np.isfinite(scores.bits).all()
    bits = np.where(np.isfinite(scores.bits), scores.bits, 0.0)
    nats = np.where(np.isfinite(scores.log_probs), -scores.log_probs, 0.0)
    widths = np.diff(scores.ends, prepend=0)
    cells = _cells(scores, bits, widths, lines)
    if cells.by_document:
        result["effective_documents"] = effective_documents(cells.lengths)
    if cells.trouble:
        return result | {"ci95_note": cells.trouble}
    errors, method = cells.errors(cells.losses)
    result["ci95_method"] = str(method[0])
    tokens = _cells(scores, nats, np.ones(len(scores)), lines)
    low, high = around(float(cells.ratios[0]), errors)
    token_low, token_high = around(float(tokens.ratios[0]), tokens.errors(tokens.losses)[0])
    if infinite:  # what the other tokens cost is a lower bound
        high = token_high = math.inf
    else:
        ratio = float(cells.ratios[0])
        error = float(errors.standard_error()[0])
        result["prediction95"] = [_json(x) for x in around(ratio, errors.times(math.sqrt(2)))]
        result["standard_error"] = error
        result["resolvable_difference"] = float(resolvable(errors, 0.05)[0])
        if error > 1e-9 * ratio:  # else every token costs the same but for rounding
            independent = float(np.sqrt(np.sum((bits - ratio * widths) ** 2)) / scores.chars)
            result["n_eff"] = len(scores) * (independent / error) ** 2
    result["ci95"] = [_json(low), _json(high)]
    for unit, size in (("byte", scores.bytes), ("word", scores.words)):
        ends = [x * scores.chars / size for x in (low, high)] if size else [math.nan, math.nan]
        if text is not None and size and not infinite:
            per = _cells(scores, bits, _units_a_token(scores, text, unit), lines)
            ends = list(around(float(per.ratios[0]), per.errors(per.losses)[0]))
        result[f"ci95_bits_per_{unit}"] = [_json(x) for x in ends]
    result["ci95_perplexity"] = [_json(math.exp(x)) if x < 700 else None for x in (token_low, token_high)]
    return result


def _units_a_token(scores: Scores, text: CanonicalText, unit: str) -> np.ndarray:
    """(T,) int64: how many words, or bytes, of the text begin in each token."""
    if unit == "word":
        before = np.searchsorted(text.word_starts, scores.ends)
    else:
        widths = np.fromiter(
            (len(c.encode("utf-8", "surrogatepass")) for c in text.text), np.int64, text.chars
        )
        before = np.append(0, np.cumsum(widths))[scores.ends]
    return np.diff(before, prepend=0)
