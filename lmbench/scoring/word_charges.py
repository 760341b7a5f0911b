"""What each word of a text costs its end counted, and the entropies before it: apart from the rows that say where words stand."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from lmbench.errors import InputError, shown
from lmbench.models.base import LanguageModel
from lmbench.scoring.scores import LN2, Scores, first_after
from lmbench.scoring.word_ends import ROWS, WordEnds, Words
from lmbench.text.tokens import EncodedText, Tokens


@dataclass(frozen=True)
class WordCharges:
    """Of words (W,): bits, tokens, whether one is unknown, bits of the tokens as they stand, entropies; of documents (D,): the same of what
    stands behind the last word."""

    bits: np.ndarray
    tokens: np.ndarray
    oov: np.ndarray
    uncorrected: np.ndarray
    entropies: np.ndarray
    rest_bits: np.ndarray
    rest_tokens: np.ndarray
    rest_uncorrected: np.ndarray


def charges_of_words(ends: WordEnds, encoded: EncodedText, scores: Scores, words: Words) -> WordCharges:
    """Of a text that is encoded and scored; raises InputError where a model by word cannot tell the end of a word."""
    starts, stops, tokens = scores.starts_of_tokens, scores.ends, encoded.tokens
    edges = np.append(tokens.starts, len(tokens))
    document = np.repeat(np.arange(len(tokens.starts)), np.diff(words.first))
    borders = np.append(encoded.canonical.starts, encoded.canonical.chars)
    goes_on = words.ends < borders[document + 1]  # something stands behind the word
    after = np.where(goes_on, first_after(stops, words.ends), edges[document + 1])
    across = goes_on & (np.append(starts, len(encoded.canonical.text))[after] < words.ends)
    before = np.append(0, after)[: len(after)]
    opening = words.first[:-1][np.diff(words.first) > 0]  # the first words of documents
    before[opening] = tokens.starts[document[opening]]
    first_letter = first_after(stops, words.starts)
    ends_nats, entropies = _ends_and_entropies(
        ends, encoded, scores, words, after, goes_on, across, first_letter, before, opening
    )
    given = np.append(0.0, ends_nats)[: len(ends_nats)]
    given[opening] = 0.0
    nats = _sums(scores.nats, before, after)
    last = words.first[1:] - 1
    some = np.diff(words.first) > 0
    behind = np.where(some, np.append(after, 0)[last], tokens.starts)
    rest = _sums(scores.nats, behind, edges[1:])
    told = np.where(some, np.append(ends_nats, 0.0)[last], 0.0)
    with np.errstate(invalid="ignore"):
        return WordCharges(
            _bits(-(nats + ends_nats - given) / LN2),
            after - before,
            _sums(scores.oov.astype(np.float64), before, after) > 0,
            -nats / LN2 + 0.0,  # not -0.0
            entropies,
            _bits(-(rest - told) / LN2),
            edges[1:] - behind,
            -rest / LN2 + 0.0,
        )


def _bits(bits: np.ndarray) -> np.ndarray:
    """Where a probability is 0, all is infinite, also what it takes away; and less than 0 is nothing but by rounding."""
    return np.where(np.isnan(bits), np.inf, np.maximum(bits, 0.0))


def _sums(values: np.ndarray, begins: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """(N,): the sums of values from each begin to its end; infinite ones do not spoil their neighbours. No more is read than is asked for."""
    first = int(begins.min(initial=len(values)))
    values, begins, ends = values[first : int(ends.max(initial=first))], begins - first, ends - first
    finite = np.isfinite(values)
    totals = np.append(0.0, np.cumsum(np.where(finite, values, 0.0)))
    counts = np.append(0, np.cumsum(~finite))
    return np.where(counts[ends] > counts[begins], -np.inf, totals[ends] - totals[begins])


def _ends_and_entropies(
    ends: WordEnds,
    encoded: EncodedText,
    scores: Scores,
    words: Words,
    after: np.ndarray,
    goes_on: np.ndarray,
    across: np.ndarray,
    first_letter: np.ndarray,
    before: np.ndarray,
    opening: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """(W,) nats: that words end, given the tokens up to ``after``; and (W,) bits: the entropies of their first tokens."""
    scorer, tokens = ends.scorer, encoded.tokens
    if scorer.unit.name == "word" and across.any():
        i = int(np.flatnonzero(across)[0])
        token = scores.starts_of_tokens[after[i]], scores.ends[after[i]]
        raise InputError(
            f"a model by word cannot tell the end of a word inside {shown(encoded.canonical.text[token[0] : token[1]].strip())}; "
            "leave punctuation joined, or give it a text whose words stand apart by single spaces"
        )
    nats, entropies = np.zeros(len(words.ends)), np.full(len(words.ends), np.nan)
    charged = scores.nats
    is_opening = np.zeros(len(words.ends), dtype=bool)
    is_opening[opening] = True
    kinds_before = np.append(0, words.kinds)[: len(words.kinds)]
    # The first token may tell both that the word before is over and with what this one begins.
    tells_both = ~is_opening & (first_letter == before)
    unclear = tells_both & np.append(False, across)[: len(across)]
    by_word = scorer.unit.name == "word"
    size = max(1, (ROWS if _reach(scorer.model) is None else ROWS // 8) // (3 * scorer.model.vocab_size))
    for begin in range(0, len(words.ends), size):
        part = np.arange(begin, min(begin + size, len(words.ends)))
        told = part[goes_on[part]] if not by_word else part[:0]
        places = np.unique(np.concatenate([after[told], after[told] - 1, first_letter[part]]))
        rows = _rows(ends, tokens, places)
        row_of = {place: i for i, place in enumerate(places.tolist())}
        for kind in np.unique(words.kinds[told]).tolist():
            mine = told[(words.kinds[told] == kind) & ~across[told]]
            some = np.array([row_of[place] for place in after[mine].tolist()], dtype=np.int64)
            chances = ends.chances(rows[some], kind)
            chances += ends.opened(tokens, after[mine], rows[some], np.full(len(mine), kind))
            nats[mine] = _at_least_the_text(
                ends, encoded, scores, charged, after[mine], words.ends[mine], chances, kind
            )
            for i in mine.tolist():
                last = int(after[i]) - 1
                if longer := ends.longer(int(tokens.ids[last]), rows[row_of[last]]):
                    nats[i] = np.logaddexp(nats[i], math.log(longer) - charged[last])
        for i in told[across[told]].tolist():
            place = int(after[i])
            chance = ends.across(encoded, place, int(words.ends[i]), rows[row_of[place]], int(words.kinds[i]))
            nats[i] = max(math.log(chance) if chance > 0 else -math.inf, charged[place])
        for i in part[~unclear[part]].tolist():
            row = rows[row_of[int(first_letter[i])]]
            entropies[i] = _entropy(
                ends, row, int(kinds_before[i]) if tells_both[i] and not by_word else None
            )
    return nats, entropies


def _rows(ends: WordEnds, tokens: Tokens, places: np.ndarray) -> np.ndarray:
    """(P, V) nats: the distributions at some places, of which no more of the text is read than is needed."""
    first = 0
    if not ends.scorer.model.traits.adaptive and len(places):
        first = int(tokens.starts[np.searchsorted(tokens.starts, places[0], side="right") - 1])
        if (reach := _reach(ends.scorer.model)) is not None:
            first = max(first, int(places[0]) - reach)
    last = int(places[-1]) + 1 if len(places) else 0
    starts = np.append(first, tokens.starts[(tokens.starts > first) & (tokens.starts < max(last, 1))]) - first
    return ends.scorer.model.distributions(Tokens(tokens.ids[first:last], starts, tokens.bos), places - first)


def _reach(model: LanguageModel) -> int | None:
    """On how many tokens a prediction rests, where a part of a text may be read without what stands before it."""
    return None if model.traits.adaptive else model.reach


def _at_least_the_text(
    ends: WordEnds,
    encoded: EncodedText,
    scores: Scores,
    charged: np.ndarray,
    places: np.ndarray,
    cuts: np.ndarray,
    chances: np.ndarray,
    kind: int,
) -> np.ndarray:
    """Nats: the chances of words' ends, the text's own way to go on among them, also where its first token does not tell.

    In logarithms, since the text may be less likely than a number can be; a word's end is not.
    """
    with np.errstate(divide="ignore"):
        nats: np.ndarray = np.log(chances)
    if ends.end == "space":
        return nats
    behind = np.searchsorted(scores.ends, cuts + 1) + 1
    own = _sums(charged, places, behind)
    counted = (
        ends.over(kind)[encoded.tokens.ids[places]] | scores.oov[places] | (ends.scorer.unit.name == "byte")
    )
    return np.minimum(np.where(counted, np.maximum(nats, own), np.logaddexp(nats, own)), 0.0)


def _entropy(ends: WordEnds, row: np.ndarray, kind: int | None) -> float:
    """Of a distribution (V,) in nats, in bits; kind: of the word that is known to be over, which leaves some tokens alone."""
    chances = np.exp(row)
    if kind is not None:
        chances[0] *= ends.unknown_share(kind) if chances[0] and ends.scorer.unit.name != "byte" else 0.0
        chances[1:] *= ends.over(kind)[1:]
        chances /= chances.sum() or 1.0
    some = chances[chances > 0]
    return float(-(some * np.log2(some)).sum())
