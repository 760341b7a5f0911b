"""How a text is divided into what models learn from, what settings are chosen on, and what they are tested on."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lmbench.corpora.duplicates import near_duplicates
from lmbench.errors import InputError
from lmbench.text.canonical import NORMALISERS, CanonicalText, canonical_text

MOST_OF_TEST = 8  # no document is more than this part of the test text, where there are documents enough
NEAR_ENOUGH = 0.95  # of a share, so that one more document does not double a part that is all but full
SHARE = 0.1  # of a text that is divided without being told how


@dataclass(frozen=True)
class Division:
    """Training, held-out and test text (the last two None where none was asked for), and how it was done in words."""

    train: CanonicalText
    valid: CanonicalText | None
    test: CanonicalText | None
    how: str


def divided(
    raw: Sequence[str],
    normalise: str,
    documents: str,
    valid: float = SHARE,
    test: float = SHARE,
    seed: int = 0,
    name: str = "the text",
) -> Division:
    """Divides raw documents (files, rows, topics): dealt whole where there are enough, else cut in order.

    valid, test: shares of the characters, 0 for none. seed: of the deal. Raises InputError where a share is none, or
    where the text is too short to be divided.
    """
    for what, share in (("valid", valid), ("test", test)):
        if not 0 <= share < 1:
            raise InputError(f"{what} = {share:g} is to be a share of the text from 0 up to below 1")
    if valid + test >= 1:
        raise InputError(f"valid = {valid:g} and test = {test:g} leave nothing to learn from")
    if documents == "line" and len(raw) > 1:
        pieces = [t for t in (NORMALISERS[normalise](r) for r in raw) if t]
    else:
        pieces = canonical_text(raw, normalise, documents).documents() if len(raw) > 1 else []
    parts = deal(pieces, valid, test, seed) if len(pieces) > 2 and valid + test else None
    if parts is not None:
        how = _in_words(pieces, parts, seed)
        texts = [_joined([pieces[i] for i in part], documents) for part in parts]
    else:
        whole = canonical_text(raw, normalise, documents)
        fractions = (1 - valid - test, valid, test)
        texts = divide(whole, fractions)
        if any(share and not part.text for part, share in zip(texts, fractions, strict=True)):
            texts = _cut(whole, fractions)  # a document of half the text: no boundary lies where a cut is due
        unit = "between lines" if documents == "line" else "in order"
        shares = (("learnt", 1 - valid - test), ("held out", valid), ("tested", test))
        how = f"cut {unit}: " + ", then ".join(f"{share:.0%} {what}" for what, share in shares if share)
    wanted = (1 - valid - test, valid, test)
    chars = sum(text.chars for text in texts)
    if not chars:
        raise InputError(f"{name} is empty after normalising with {normalise!r}; give another --normalise")
    if any(share and not text.text for text, share in zip(texts, wanted, strict=True)):
        raise InputError(
            f"{name} is too short to be divided ({chars:,} characters); give more text, or the parts one by one"
        )
    train, held, tested = (t if share else None for t, share in zip(texts, wanted, strict=True))
    assert train is not None
    return Division(train, held, tested, how)


def _joined(pieces: Sequence[str], documents: str) -> CanonicalText:
    """Normalised documents laid end to end."""
    return canonical_text(pieces, "none", documents)


def deal(
    documents: Sequence[str], valid: float, test: float, seed: int = 0
) -> tuple[list[int], list[int], list[int]] | None:
    """Which documents are trained, held out and tested on, each list in the order of the text; None: too few.

    Whole documents, near-duplicates on one side, drawn by ``seed``; none is more than an eighth of the test text
    where enough are short enough for it, and else as few as can be are. Too few they are where a part would come out
    at more than twice its share.
    """
    owner = near_duplicates(documents)
    sizes = np.bincount(owner, weights=[len(d) for d in documents])
    order = np.random.default_rng(seed).permutation(len(sizes))
    free = np.ones(len(sizes), dtype=bool)
    parts = []
    for share in (test, valid):
        target = share * sizes.sum()
        drawn = _draw(sizes, order[free[order]], target)
        if drawn is None:
            return None
        free[drawn] = False
        parts.append(np.isin(owner, drawn))
    trained = free[owner]
    if not trained.any() or sizes[free].sum() < (1 - valid - test) * sizes.sum() / 2:
        return None
    chosen = [np.flatnonzero(mask).tolist() for mask in (trained, parts[1], parts[0])]
    return chosen[0], chosen[1], chosen[2]


def _draw(sizes: np.ndarray, order: np.ndarray, target: float) -> np.ndarray | None:
    """Of the groups in ``order`` the first that make up ``target``, the least limit on their sizes that allows it."""
    if not target:
        return np.zeros(0, dtype=np.int64)
    target *= NEAR_ENOUGH
    limit = target / MOST_OF_TEST
    while sizes[order][sizes[order] <= limit].sum() < target:
        limit *= 1.25
        if limit > 2 * target:
            return None
    small = order[sizes[order] <= limit]
    enough = int(np.searchsorted(np.cumsum(sizes[small]), target)) + 1
    drawn = small[:enough]
    return None if sizes[drawn].sum() > 2 * target else drawn


def _in_words(documents: Sequence[str], parts: Sequence[Sequence[int]], seed: int) -> str:
    names = ("learnt", "held out", "tested")
    counts = ", ".join(f"{len(part):,} {name}" for part, name in zip(parts, names, strict=True) if part)
    said = f"documents dealt whole (seed {seed}), near-duplicates together: {counts}"
    lengths = [len(documents[i]) for i in parts[2]]
    if lengths and max(lengths) * MOST_OF_TEST > sum(lengths):
        said += f"; one of them is {max(lengths) / sum(lengths):.0%} of the test text"
    return said


def divide(text: CanonicalText, fractions: Sequence[float]) -> list[CanonicalText]:
    """Cuts a text in order: between documents where there are enough, else at the first word start after the cut.

    Documents are counted where each is a line, and weighed by length otherwise. fractions sum to 1.
    """
    number = len(text.starts)
    # Every document but the last ends in a line feed.
    in_last = text.text.count("\n", int(text.starts[-1])) if number else 0
    lines = in_last <= 1 and text.text.count("\n") - in_last == max(number - 1, 0)
    if number < (len(fractions) if lines else 3 * len(fractions)):
        return _cut(text, fractions)
    cuts = np.cumsum(fractions)[:-1]
    ends = np.arange(1, number + 1) if lines else np.append(text.starts[1:], text.chars)
    places = [int(np.searchsorted(ends, int(cut * ends[-1]), side="right")) for cut in cuts]
    bounds = [0, *places, number]
    if len(set(bounds)) < len(bounds):  # too few lines for a part of its own
        return _cut(text, fractions)
    begins = [*text.starts[bounds[:-1]].tolist(), text.chars]
    return [
        CanonicalText(text.text[a:b], text.starts[i:j] - a)
        for (a, b), (i, j) in zip(itertools.pairwise(begins), itertools.pairwise(bounds), strict=True)
    ]


def _cut(text: CanonicalText, fractions: Sequence[float]) -> list[CanonicalText]:
    """Parts of a text by their lengths alone, each from the first word start after the cut."""
    places = [_word_start(text.text, int(cut * text.chars)) for cut in np.cumsum(fractions)[:-1]]
    bounds = [0, *places, text.chars]
    return [
        CanonicalText(text.text[a:b], np.append(0, text.starts[(text.starts > a) & (text.starts < b)] - a))
        for a, b in itertools.pairwise(bounds)
    ]


def _word_start(text: str, place: int, reach: int = 200) -> int:
    """The first word start from ``place`` on; ``place`` itself where the text has no blank nearby."""
    near = (i for i in range(place, min(place + reach, len(text))) if i == 0 or text[i - 1].isspace())
    return next(near, place)
