"""Interpolated modified Kneser–Ney smoothing, number for number that of KenLM's lmplz."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np

from lmbench.counts.blocks import Block, Counts, sum_by
from lmbench.counts.ngrams import NgramCounts
from lmbench.errors import InputError
from lmbench.models.base import Traits
from lmbench.models.options import option
from lmbench.models.smoothing.backoff import CountModel, interpolate
from lmbench.models.smoothing.pruning import prune_by_entropy, rounded
from lmbench.models.smoothing.table import Backoff
from lmbench.text.tokens import Tokens
from lmbench.text.vocab import Vocab


@dataclass(kw_only=True, eq=False)
class KneserNey(CountModel):
    r"""p(w | h) = (a(h w) − D(a(h w))) / Σ_w a(h w) + γ(h) p(w | h'), with γ(h) whatever makes the sum one.

    a is the count at the highest order and below it the number of distinct left neighbours (the beginning of a
    document is one each time). The discount D has a value each for a = 1, a = 2 and a ≥ 3, order by order,
    estimated from how many n-grams have a = 1..4 (Chen & Goodman 1998, sections 3 and 4.1.6; Heafield et al. 2013).
    The recursion ends in the uniform distribution over the V words.

    On documents that are lines it gives the probabilities of ``lmplz`` and ``query``, where ``\n`` stands for both
    ``<s>`` and ``</s>``. ``kenlm_counts`` repeats a slip of theirs (kenlm issue 427): of each lower order the last
    n-gram (words numbered by first appearance, compared from the right) enters the estimate of the discounts with
    its count instead of its number of left neighbours. It matters little: 3e-9 of the perplexity of the Penn Treebank, nothing
    for The Time Machine by words, 3e-5 by characters, where the last n-gram is frequent.
    """

    discounts: tuple[float, ...] | Literal["auto", "tune"] = option(
        "auto",
        "auto: from the counts of counts; tune: likeliest on held-out text; or D1,D2,D3 for every order, or three an order",
    )
    fallback: tuple[float, ...] = option(
        (0.5, 1.0, 1.5), "D1,D2,D3 of an order whose counts of counts are unusable"
    )
    interpolate_unigrams: bool = option(True, "false: only <unk> shares in the mass that unigrams leave over")
    most_tokens: int = option(
        0, "keep so many tokens, <unk> included, the most frequent; 0: all", name="vocab_size"
    )
    vocab_pad: int = option(0, "the uniform distribution at the bottom is over at least so many words")
    prune: tuple[int, ...] = option(
        (0,), "drop n-grams seen at most so often, a number an order from 1 up, the last for all above"
    )
    prune_entropy: float = option(
        0.0, "then drop n-grams without which the perplexity rises by less than this share, such as 1e-7"
    )
    bits: int = option(
        32,
        "of each number: 32, single precision; 64, double; or 2 to 16, codes for the probabilities, from which the weights of contexts then follow",
    )
    kenlm_counts: bool = option(False, "estimate discounts with KenLM's slip, to agree to its last digit")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.discounts, str):
            _check_discounts("discounts", self.discounts, (3, 3 * self.order))
        _check_discounts("fallback", self.fallback, (3,))
        if not 0 <= self.prune_entropy < np.inf:
            raise InputError(
                f"option prune_entropy={self.prune_entropy}: give 0 or a small number such as 1e-7"
            )
        if self.bits not in (64, 32, *range(2, 17)):
            raise InputError(f"option bits={self.bits}: give 64, 32, or 2 to 16")
        thresholds = self._thresholds()
        if len(self.prune) > self.order or thresholds[0] != 0 or thresholds != sorted(thresholds):
            raise InputError(
                f"option prune={','.join(map(str, self.prune))}: give at most {self.order} numbers that do not fall, "
                "the first 0 (to drop words, set vocab_size)"
            )

    @property
    def traits(self) -> Traits:
        held_out: Literal["no", "needed"] = "needed" if self.discounts == "tune" else "no"
        return Traits(held_out=held_out, precision=1e-6 if self.bits == 32 else 1e-12)

    def vocabulary(self, corpus_vocab: Vocab) -> Vocab:
        """The corpus's ``vocab_size`` most frequent tokens; the line feed is always among them."""
        if not self.most_tokens or self.most_tokens >= len(corpus_vocab):
            return corpus_vocab
        reserved = len(corpus_vocab.reserved)
        if self.most_tokens <= reserved:
            raise InputError(
                f"option vocab_size={self.most_tokens}: <unk> alone is not a vocabulary; give at least 2"
            )
        kept = corpus_vocab.tokens[: self.most_tokens]
        if corpus_vocab.newline >= self.most_tokens:
            kept[-1] = "\n"
        return Vocab.from_list(kept, reserved)

    def _estimate(self, counts: Counts, train: Tokens, valid: Tokens | None) -> Backoff:
        discounts = self._discounts(counts, train)
        if self.discounts == "tune":
            assert valid is not None  # fit has seen to it
            discounts = tune(discounts, counts, valid)
            self.notes.append("discounts chosen on held-out text")
        single = self.bits == 32 and not self.prune_entropy
        least = [t + 1 for t in self._thresholds()]
        kind = np.float32 if single else np.float64
        table = interpolate(counts, partial(self._parts, discounts, least), kind, least)
        if self.prune_entropy > 0:
            table = prune_by_entropy(table, self.prune_entropy, self._histories(counts.whole(), least))
        if table.sizes != counts.sizes:
            self.notes.append(f"kept {sum(table.sizes):,} of {sum(counts.sizes):,} n-grams")
        if self.bits == 32:
            return table.single()
        return table if self.bits == 64 else rounded(table, self.bits)

    def _parts(
        self, discounts: list[np.ndarray], least: list[int], block: Block
    ) -> tuple[np.ndarray, np.ndarray]:
        d, fewest = discounts[block.k - 1], least[block.k - 1]
        kept = block.n >= fewest if fewest > 1 else None
        own, share = _discounted(block.left, block.prefixes, block.size, d, kept)
        if block.k == 1 and self.interpolate_unigrams:
            share *= self.vocab_size / max(self.vocab_size, self.vocab_pad)
        elif block.k == 1:
            own[0] += share[0]
            share[:] = 0
        return own, share

    def _histories(self, counts: NgramCounts, least: list[int]) -> list[np.ndarray]:
        """For each order from 0 below the highest, the relative frequency as a context of each n-gram that is left."""
        every = [counts.context_counts(k) / counts.counts[0] for k in range(self.order)]
        return [
            column if k == 0 or least[k - 1] == 1 else column[counts.counts[k] >= least[k - 1]]
            for k, column in enumerate(every)
        ]

    @property
    def _weights_follow(self) -> bool:
        return self.bits < 32

    def _thresholds(self) -> list[int]:
        """For each order from 1, the count up to which n-grams are dropped."""
        prune = self.prune or (0,)
        return [prune[min(k, len(prune) - 1)] for k in range(self.order)]

    def _discounts(self, counts: Counts, train: Tokens) -> list[np.ndarray]:
        """For each order from 1, (4,) float64: the discounts of a = 0, 1, 2 and 3 or more."""
        if not isinstance(self.discounts, str):
            triples = np.reshape(self.discounts, (-1, 3)).tolist()
            return [np.array([0.0, *d]) for d in triples * (self.order // len(triples))]
        if self.kenlm_counts and not len(train):
            raise InputError("option kenlm_counts needs the text itself, not its counts; leave it out")
        discounts = []
        for k in range(1, self.order + 1):
            n = counts.tally(k, 5, left=True)
            if self.kenlm_counts and k < self.order and counts.sizes[k]:
                whole = counts.whole()
                last = _last_from_the_right(whole, k, train)
                n[min(whole.left_types(k)[last], 5)] -= 1
                n[min(whole.counts[k][last], 5)] += 1
            d, fault = chen_goodman(n)
            if fault:
                d = np.array([0.0, *self.fallback])
                if counts.sizes[k]:
                    values = ", ".join(f"{x:g}" for x in self.fallback)
                    self.notes.append(f"order {k}: discounts unusable because {fault}; used {values}")
            discounts.append(d)
        return discounts


def _discounted(
    a: np.ndarray, prefixes: np.ndarray, size: int, d: np.ndarray, kept: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """(N_k,) what each n-gram keeps, (size,) what each context gives away, as shares of the context's total.

    kept: (N_k,) bool, or None for all; an n-gram that is dropped leaves all its mass to the shorter context.
    """
    discount = d.take(a, mode="clip")  # a ≥ 3 takes the last
    if kept is not None:
        discount = np.where(kept, discount, a)
    total = sum_by(prefixes, size, a)
    given = sum_by(prefixes, size, discount)
    own = a - discount
    own /= np.maximum(total, 1).take(prefixes)
    return own, np.divide(given, total, out=np.ones(size), where=total > 0)


def chen_goodman(n: np.ndarray) -> tuple[np.ndarray, str]:
    """(4,) the discounts of a = 0, 1, 2 and 3 or more, D_j = j − (j+1) Y n_{j+1} / n_j with Y = n_1 / (n_1 + 2 n_2).

    n: how many n-grams have a = 0, 1, 2, 3, 4. Also what makes them unusable, in words; empty where nothing does.

    >>> chen_goodman(np.array([0, 40, 20, 10, 6]))  # Y = 1/2
    (array([0.  , 0.5 , 1.25, 1.8 ]), '')
    """
    for j in (1, 2, 3):
        if n[j] == 0:
            return np.zeros(4), f"n{j} = 0 (no n-gram has count {j})"
    y = n[1] / (n[1] + 2 * n[2])
    d = np.array([0.0, *(j - (j + 1) * y * n[j + 1] / n[j] for j in (1, 2, 3))])
    for j in (1, 2, 3):
        if not 0 <= d[j] <= j:
            return d, f"D{j} = {d[j]:.4g} is not between 0 and {j}"
    return d, ""


def tune(start: list[np.ndarray], counts: Counts, valid: Tokens) -> list[np.ndarray]:
    """The discounts of each order, as ``start`` has them, that make the held-out text likeliest.

    Given those of the other orders, p is affine in the three of one order, so its logarithm is concave: Newton's
    method on one order after the other, until a round gains next to nothing. 0 < D_j ≤ j throughout.
    """
    # Longer n-grams than the text has change nothing.
    longest = max(k for k, size in enumerate(counts.sizes) if size)
    orders = [_held_out(own, share) for own, share in counts.observed(valid, _by_kind)[:longest]]
    lowest, highest = np.full(3, 1e-4), np.array([1.0, 2.0, 3.0])
    discounts = [np.clip(d[1:], lowest, highest) for d in start]
    # Of each order: what multiplies p of the order below, and what its discounts take from an n-gram's own share.
    shared = [share[1:].T @ d for (_, share), d in zip(orders, discounts, strict=False)]
    taken = [own[1:].T @ d for (own, _), d in zip(orders, discounts, strict=False)]

    def extend(p: list[np.ndarray]) -> list[np.ndarray]:
        """p of each held-out token at each order from 0, given those of the first orders."""
        p = p[:]
        for j in range(len(p) - 1, longest):
            own, share = orders[j]
            p.append(p[-1] * share[0] + own[0] + shared[j] * p[-1] - taken[j])
        return p

    p = extend([np.full(len(valid), 1 / counts.vocab_size)])
    gain, best = np.inf, float(np.log(p[-1]).sum())
    while gain > 1e-7 * abs(best):
        before = best
        for k, (own, share) in enumerate(orders):
            above = np.ones(len(valid))
            for (_, other), of_other in zip(orders[k + 1 :], shared[k + 1 :], strict=True):
                above *= other[0] + of_other
            slopes = (share[1:] * p[k] - own[1:]) * above / p[-1]
            slope, d = slopes.sum(axis=1), discounts[k]
            free = ~((d <= lowest) & (slope < 0) | (d >= highest) & (slope > 0))
            curvature = slopes[free] @ slopes[free].T + 1e-9 * np.eye(free.sum())
            step = np.zeros(3)
            step[free] = np.linalg.solve(curvature, slope[free])
            present = shared[k], taken[k]
            for length in (1, 0.5, 0.25, 0.1, 0.01):
                discounts[k] = np.clip(d + length * step, lowest, highest)
                shared[k], taken[k] = share[1:].T @ discounts[k], own[1:].T @ discounts[k]
                trial = extend(p[: k + 1])
                likelihood = float(np.log(trial[-1]).sum())
                if likelihood >= best:
                    best, p = likelihood, trial
                    break
            else:
                discounts[k], (shared[k], taken[k]) = d, present
        gain = best - before
    return [np.array([0.0, *d]) for d in discounts]


def _by_kind(block: Block) -> tuple[np.ndarray, np.ndarray]:
    """(1, n) a; (4, size) of each context the sum of a, and how many n-grams have a = 1, 2, and 3 or more."""
    kind = np.minimum(block.left, 3)
    numbers = [np.bincount(block.prefixes[kind == j], minlength=block.size) for j in (1, 2, 3)]
    return block.left[None], np.stack([sum_by(block.prefixes, block.size, block.left), *numbers])


def _held_out(of_gram: np.ndarray, of_context: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What p at an order is made of, for each held-out token: own[0] − own[1:] · D + (share[0] + share[1:] · D) p'.

    (4, T) and (4, T) float64; a token whose context is not in the training text has share[0] = 1, the rest 0.
    """
    a, total, number = of_gram[0], of_context[0], of_context[1:]
    own, share = np.zeros((4, len(a))), np.zeros((4, len(a)))
    share[0] = total == 0
    own[0] = a / np.maximum(total, 1)
    for j in (1, 2, 3):
        share[j] = np.where(total > 0, number[j - 1] / np.maximum(total, 1), 0)
        own[j] = (np.minimum(a, 3) == j) / np.maximum(total, 1)
    return own, share


def _last_from_the_right(counts: NgramCounts, k: int, train: Tokens) -> int:
    """The n-gram of order k that comes last where words are compared from the right, by first appearance."""
    seen, first = np.unique(train.ids, return_index=True)
    age = np.full(counts.vocab_size, -1)
    age[seen] = first
    if train.bos >= 0:
        age[train.bos] = -1  # stands for <s> and </s>, which KenLM numbers before all words
    candidates = np.arange(counts.sizes[k])
    ngrams = counts.ngrams(k)
    for column in range(k - 1, -1, -1):
        ages = age[ngrams[candidates, column]]
        candidates = candidates[ages == ages.max()]
    return int(candidates[0])


def _check_discounts(name: str, values: Sequence[float], lengths: tuple[int, ...]) -> None:
    """Raises InputError unless there are as many numbers as there should be, each D_j in [0, j]."""
    if len(values) not in lengths or not all(
        0 <= d <= j for d, j in zip(values, [1, 2, 3] * len(values), strict=False)
    ):
        raise InputError(
            f"option {name}={','.join(map(str, values))}: give {' or '.join(map(str, sorted(set(lengths))))} numbers, "
            "D1 in 0..1, D2 in 0..2, D3 in 0..3"
        )
