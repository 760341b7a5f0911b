"""What a text costs a model of word pieces when all of its tokenizations count, and not the customary one alone.

p(text) = Σ p(z) over all sequences z of pieces that join to the text. A tokenizer gives one of them, z*, and p(z*) ≤ p(text): the bits of
the customary tokenization are an upper bound of the text's. The sum is exact here where a prediction rests on few tokens (the
forward algorithm over a lattice), and estimated by importance sampling for any model (Cao & Rimell 2021, "You should evaluate your
language model on marginal likelihood over tokenisations"; Chirkova et al. 2023, "Should you marginalize over possible tokenizations?").
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lmbench.errors import InputError
from lmbench.scoring.scorer import Scorer
from lmbench.text.canonical import CanonicalText
from lmbench.text.subword import SubwordUnit
from lmbench.text.tokens import Tokens

LONGEST_REACH = 2  # tokens before a prediction with which the exact sum is still quick
CUSTOM = (
    3.0  # nats by which the proposal prefers a piece of the customary tokenization; chosen on held-out text
)
_BATCH = 1 << 18  # questions put to the model at once


@dataclass(frozen=True)
class Lattice:
    """The pieces of which a document can be made, and where.

    size: of the document, in bytes. leaving: for each place of 0..size the pieces that begin there: (end, id, nats of spelling),
    the end exclusive, only those that lie on a way from the beginning to the end.
    """

    size: int
    leaving: tuple[tuple[tuple[int, int, float], ...], ...]

    def count(self) -> int:
        """How many tokenizations there are."""
        ways = [0] * self.size + [1]
        for place in reversed(range(self.size)):
            ways[place] = sum(ways[end] for end, _, _ in self.leaving[place])
        return ways[0]


def lattice(scorer: Scorer, document: str) -> Lattice:
    """All tokenizations of a document. Raises InputError where the model is none of word pieces."""
    unit = _pieces(scorer)
    pieces: dict[bytes, list[int]] = {}
    for i, token in enumerate(scorer.vocab.tokens[1:], 1):
        pieces.setdefault(unit.data(token), []).append(i)
    return lattice_of(pieces, document, lambda c: float(scorer.speller.log_probs([c])[0]))


def _pieces(scorer: Scorer) -> SubwordUnit:
    if not isinstance(scorer.unit, SubwordUnit):
        raise InputError(
            f"a text has one tokenization by {scorer.unit.name}; give a model of word pieces (--unit subword)"
        )
    return scorer.unit


def lattice_of(
    pieces: Mapping[bytes, Sequence[int]], document: str, spelling: Callable[[str], float]
) -> Lattice:
    """pieces: the ids of those that stand for some bytes. spelling: nats of a character that is no piece."""
    data = document.encode()
    lengths = sorted({len(piece) for piece in pieces if piece})
    # Characters that are no pieces are unknown, and nothing else is.
    alone: dict[int, tuple[int, int, float]] = {}
    place, cost = 0, {}
    for c in document:
        end = place + len(c.encode())
        if data[place:end] not in pieces:
            if c not in cost:
                cost[c] = spelling(c)
            alone[place] = (end, 0, cost[c])
        place = end
    leaving: list[list[tuple[int, int, float]]] = [[] for _ in range(len(data) + 1)]
    ends = [False] * len(data) + [True]  # whether the end can be reached
    for place in reversed(range(len(data))):
        found = [
            (place + n, i, 0.0)
            for n in lengths
            for i in pieces.get(data[place : place + n], ())
            if place + n <= len(data)
        ]
        found += [alone[place]] if place in alone else []
        leaving[place] = [edge for edge in found if ends[edge[0]]]
        ends[place] = bool(leaving[place])
    begun = [True] + [False] * len(data)
    for place in range(len(data)):
        if not begun[place]:
            leaving[place] = []
        for end, _, _ in leaving[place]:
            begun[end] = True
    return Lattice(len(data), tuple(tuple(edges) for edges in leaving))


# The exact sum -------------------------------------------------------------------------------------


def exact_log_prob(scorer: Scorer, document: str) -> float:
    """ln p(document), nats, all tokenizations summed up by the forward algorithm over the last tokens and the place.

    Raises InputError where a prediction of the model rests on more than ``LONGEST_REACH`` tokens.
    """
    reach = scorer.model.reach
    if reach is None or reach > LONGEST_REACH:
        rests = "all that stands before" if reach is None else f"{reach} tokens"
        raise InputError(
            f"the predictions of {scorer.model.name} rest on {rests}; the exact sum is for {LONGEST_REACH} at most "
            f"(-o order={LONGEST_REACH + 1}), others are sampled"
        )
    ways = lattice(scorer, document)
    # Which contexts there are at each place: the last tokens, fewer at the beginning.
    contexts: list[dict[tuple[int, ...], int]] = [{} for _ in range(ways.size + 1)]
    contexts[0][()] = 0
    numbers: dict[tuple[int, ...], int] = {}  # of all questions: a context and the token after it
    for place in range(ways.size):
        for context in contexts[place]:
            for end, token, _ in ways.leaving[place]:
                question = (*context, token)
                numbers.setdefault(question, len(numbers))
                contexts[end].setdefault(question[max(0, len(question) - reach) :], 0)
    answers = _asked(scorer, list(numbers), reach)
    forward: list[dict[tuple[int, ...], list[float]]] = [{} for _ in range(ways.size + 1)]
    forward[0][()] = [0.0]
    for place in range(ways.size):
        for context, terms in forward[place].items():
            so_far = _log_sum(terms)
            for end, token, spelling in ways.leaving[place]:
                question = (*context, token)
                term = so_far + answers[numbers[question]] + spelling
                forward[end].setdefault(question[max(0, len(question) - reach) :], []).append(term)
        if place:
            forward[place] = {}
    return _log_sum([term for terms in forward[ways.size].values() for term in terms])


def _asked(scorer: Scorer, questions: Sequence[tuple[int, ...]], reach: int) -> list[float]:
    """ln p of the last token of each question after the others; one shorter than ``reach`` + 1 begins its document."""
    answers: list[float] = []
    for first in range(0, len(questions), _BATCH):
        some = questions[first : first + _BATCH]
        lengths = np.fromiter(map(len, some), dtype=np.int64, count=len(some))
        ids = np.fromiter(
            (i for question in some for i in question), dtype=np.int32, count=int(lengths.sum())
        )
        text = Tokens(ids, np.cumsum(lengths) - lengths, scorer.vocab.newline)
        answers += scorer.model.log_probs(text)[np.cumsum(lengths) - 1].tolist()
    return answers


def _log_sum(terms: Sequence[float]) -> float:
    top = max(terms, default=-math.inf)
    if top == -math.inf:
        return top
    return top + math.log(sum(math.exp(term - top) for term in terms))


# The estimate --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Estimate:
    """Of ln p(document), nats, from tokenizations drawn from a proposal.

    log_prob: the logarithm of the mean of p(z) / q(z). Of the mean the expectation is p(document); of its logarithm it is below ln p(document)
    (Jensen), so that the bits of an estimate are, on average, an upper bound of those of the sum. customary: ln p(z*).
    effective: how many of the samples count (Kish), 1 to their number.
    """

    log_prob: float
    customary: float
    effective: float


def sampled_log_prob(
    scorer: Scorer, document: str, samples: int, rng: np.random.Generator, custom: float = CUSTOM
) -> Estimate:
    """Importance sampling with ``samples`` tokenizations; for any model of word pieces.

    They are drawn piece by piece, backwards, from q(z) ∝ Π w(z_i) over the whole lattice: w is the share of a piece among
    the vocabulary's by rank (Zipf), e^custom times that where the piece stands in the customary tokenization. Each
    tokenization has q(z) > 0, so nothing is left out of the sum.
    """
    ways = lattice(scorer, document)
    encoded = scorer.encode(CanonicalText(document, np.zeros(1, dtype=np.int64)))
    unit = _pieces(scorer)
    ends = np.cumsum([len(unit.data(token)) for token in encoded.surface()])
    usual = set(zip([0, *ends[:-1].tolist()], ends.tolist(), encoded.tokens.ids.tolist(), strict=True))
    prior = -np.log(np.arange(1, len(scorer.vocab) + 1))

    def weight(place: int, end: int, token: int) -> float:
        return float(prior[token]) + (custom if (place, end, token) in usual else 0.0)

    # Backwards: of each place, what all ways from it to the end weigh, and how that is divided among its pieces.
    left = [-math.inf] * ways.size + [0.0]
    choices: list[tuple[np.ndarray, np.ndarray] | None] = [None] * ways.size
    for place in reversed(range(ways.size)):
        terms = [weight(place, end, token) + left[end] for end, token, _ in ways.leaving[place]]
        left[place] = _log_sum(terms)
        if terms:
            shares = np.array(terms) - left[place]
            choices[place] = np.cumsum(np.exp(shares)), shares
    drawn: dict[tuple[int, ...], tuple[float, float]] = {}  # ln q and nats of spelling of each that was drawn
    times: dict[tuple[int, ...], int] = {}
    for _ in range(samples):
        place, tokens, log_q, spelling = 0, [], 0.0, 0.0
        while place < ways.size:
            chosen = choices[place]
            assert chosen is not None  # what lies on no way is never come to
            cumulative, shares = chosen
            i = min(
                int(np.searchsorted(cumulative, rng.random() * cumulative[-1], side="right")), len(shares) - 1
            )
            place, token, nats = ways.leaving[place][i]
            tokens.append(token)
            log_q += float(shares[i])
            spelling += nats
        drawn[tuple(tokens)] = log_q, spelling
        times[tuple(tokens)] = times.get(tuple(tokens), 0) + 1
    log_p = _log_probs(scorer, list(drawn))
    ratios = np.array([p + spelling - q for p, (q, spelling) in zip(log_p, drawn.values(), strict=True)])
    weights = np.array([times[tokens] for tokens in drawn], dtype=np.float64)
    top = float(ratios.max())
    scaled = np.exp(ratios - top)
    total = float((weights * scaled).sum())
    effective = total**2 / float((weights * scaled**2).sum())
    customary = float(scorer.score(encoded).nats.sum())
    return Estimate(top + math.log(total / samples), customary, effective)


def _log_probs(scorer: Scorer, sequences: Sequence[tuple[int, ...]]) -> list[float]:
    """ln p of each sequence of ids as a document."""
    lengths = np.array([len(sequence) for sequence in sequences], dtype=np.int64)
    ids = np.array([i for sequence in sequences for i in sequence], dtype=np.int32)
    starts = np.cumsum(lengths) - lengths
    nats = scorer.model.log_probs(Tokens(ids, starts, scorer.vocab.newline))
    return [float(part.sum()) for part in np.split(nats, starts[1:])]
