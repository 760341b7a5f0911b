"""Documents that are nearly the same, so that a copy of a training document is not a test document."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

import numpy as np

from lmbench.text.runs import window_hashes
from lmbench.text.units import code_points

WINDOW = 32  # characters
SHARE = 0.5  # of the shorter document's windows
NEIGHBOURS = 8
PIECE = 1 << 22  # characters hashed at a time
MOST = 1 << 22  # windows kept of a whole text


def near_duplicates(documents: Sequence[str], share: float = SHARE) -> np.ndarray:
    """(D,) int64: a number for each document, the same for those that are nearly the same, 0 to G - 1 by first place.

    Two documents are nearly the same where ``share`` of the shorter one's stretches of 32 characters (in lower case,
    runs of blanks as one) stand in the other too, or where all of the text is the same. What is like a third document
    is like its likes. Of long texts a sample of the stretches is looked at, chosen by their content (Broder 1997; Manku,
    Jain & Sarma 2007 for its use on the web).

    >>> near_duplicates(["The ferry leaves at nine, rain or no rain.", "Another text.", "the ferry  leaves at nine, rain or no rain!"])
    array([0, 1, 0])
    """
    total = sum(map(len, documents))
    every = np.uint64(max(1, total // MOST))
    parents = list(range(len(documents)))

    def root(i: int) -> int:
        while parents[i] != i:
            parents[i] = parents[parents[i]]
            i = parents[i]
        return i

    def join(a: int, b: int) -> None:
        one, other = sorted((root(a), root(b)))
        parents[other] = one

    first: dict[bytes, int] = {}
    hashes, owners = [], []
    for texts, begin in _pieces(documents):
        tidied = [" ".join(text.lower().split()) for text in texts]
        for number, text in enumerate(tidied, begin):
            digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
            join(number, first.setdefault(digest, number))
        windows, owner = _windows(tidied, every)
        hashes.append(windows)
        owners.append(owner + begin)
    for a, b in _alike(np.concatenate(hashes), np.concatenate(owners), len(documents), share):
        join(a, b)
    roots = np.array([root(i) for i in range(len(documents))], dtype=np.int64)
    return np.unique(roots, return_inverse=True)[1].astype(np.int64)


def _pieces(documents: Sequence[str]) -> Iterator[tuple[Sequence[str], int]]:
    """Documents some ``PIECE`` characters at a time, and the number of the first."""
    begin, size = 0, 0
    for number, text in enumerate(documents):
        size += len(text)
        if size >= PIECE or number == len(documents) - 1:
            yield documents[begin : number + 1], begin
            begin, size = number + 1, 0


def _windows(texts: Sequence[str], every: np.uint64) -> tuple[np.ndarray, np.ndarray]:
    """Hashes of the stretches inside each text, one in ``every``, and whose they are: both (N,), distinct pairs."""
    lengths = np.array([len(text) for text in texts], dtype=np.int64)
    hashes = window_hashes(code_points("".join(texts)), WINDOW)
    ends = np.cumsum(lengths)
    places = np.flatnonzero(hashes % every == 0)
    owner = np.searchsorted(ends, places, side="right")
    inside = places + WINDOW <= ends[owner]
    hashes, owner = hashes[places[inside]], owner[inside]
    order = np.lexsort((hashes, owner))
    hashes, owner = hashes[order], owner[order]
    new = np.ones(len(order), dtype=bool)
    new[1:] = (hashes[1:] != hashes[:-1]) | (owner[1:] != owner[:-1])
    return hashes[new], owner[new]


def _alike(hashes: np.ndarray, owners: np.ndarray, count: int, share: float) -> Iterator[tuple[int, int]]:
    """Pairs of documents that share enough; of those that have a stretch, each is paired with the next few."""
    sizes = np.bincount(owners, minlength=count)
    order = np.lexsort((owners, hashes))
    hashes, owners = hashes[order], owners[order]
    pairs = [
        owners[:-step][same] * count + owners[step:][same]
        for step in range(1, min(NEIGHBOURS + 1, len(hashes)))
        if (same := hashes[:-step] == hashes[step:]).any()
    ]
    if not pairs:
        return
    keys, shared = np.unique(np.concatenate(pairs), return_counts=True)
    a, b = np.divmod(keys, count)
    enough = shared >= share * np.minimum(sizes[a], sizes[b])
    yield from zip(a[enough].tolist(), b[enough].tolist(), strict=True)
