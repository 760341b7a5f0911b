"""Scores -> numbers, each with its error bar."""

from __future__ import annotations

import math
from typing import Any

from lmbench.comparing.dependence import effective_documents
from lmbench.comparing.error_bars import around, resolvable
from lmbench.comparing.totals import Column, Totals
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
    return numbers(Totals.of(scores, lines, text))


def numbers(totals: Totals) -> dict[str, Any]:
    """What ``summary`` says, of sums."""
    result: dict[str, Any] = {
        "vocab_size": totals.vocab_size,
        "tokens": totals.tokens,
        "oov": totals.oov,
        "chars": totals.chars,
        "bytes": totals.bytes,
        "words": totals.words,
        "log_prob": _json(totals.log_prob),
        "perplexity": _json(totals.perplexity),
        "perplexity_excluding_oov": _json(totals.perplexity_excluding_oov),
        "spelling_log_prob": _json(totals.spelling),
        "bits_per_char": _json(_over(totals.bits, totals.chars)),
        "bits_per_byte": _json(_over(totals.bits, totals.bytes)),
        "bits_per_word": _json(_over(totals.bits, totals.words)),
        "infinite_tokens": totals.infinite,
    }
    return result | _errors(totals)


def _over(total: float, size: int) -> float:
    return total / size if size else math.nan


def _json(x: float) -> float | None:
    return float(x) if math.isfinite(x) else None


def _errors(totals: Totals) -> dict[str, Any]:
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
    if not totals.tokens or not totals.chars:
        return result | {"ci95_note": "the text is empty"}
    infinite = not math.isfinite(totals.bits)
    cells = totals.cells("bits", "chars")
    if cells.by_document:
        result["effective_documents"] = effective_documents(cells.lengths)
    if cells.trouble:
        return result | {"ci95_note": cells.trouble}
    errors, method = cells.errors(cells.losses)
    result["ci95_method"] = str(method[0])
    tokens = totals.cells("nats", "tokens")
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
            independent = totals.deviation(ratio) / totals.chars
            result["n_eff"] = totals.tokens * (independent / error) ** 2
    result["ci95"] = [_json(low), _json(high)]
    sizes: tuple[tuple[Column, int], ...] = (("bytes", totals.bytes), ("words", totals.words))
    for unit, size in sizes:
        ends = [x * totals.chars / size for x in (low, high)] if size else [math.nan, math.nan]
        if totals.units and size and not infinite:
            per = totals.cells("bits", unit)
            ends = list(around(float(per.ratios[0]), per.errors(per.losses)[0]))
        result[f"ci95_bits_per_{unit[:-1]}"] = [_json(x) for x in ends]
    result["ci95_perplexity"] = [_json(math.exp(x)) if x < 700 else None for x in (token_low, token_high)]
    return result
