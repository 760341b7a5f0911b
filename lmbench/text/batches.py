"""Reading long sequences: minibatches of subsequences, at random or in sequence (Dive into Deep Learning, 8.3.4).

Both samplers give pairs (X, Y) of (batch_size, num_steps) arrays, Y being X one token later. Both begin at a
random offset 0 <= offset < num_steps, so that epochs cut the text at different places, and both leave out
what does not fill a minibatch: less than two minibatches at the end of the text.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from lmbench.errors import InputError

Minibatch = tuple[np.ndarray, np.ndarray]


def sequential_batches(
    ids: Sequence[int] | np.ndarray,
    batch_size: int,
    num_steps: int,
    rng: np.random.Generator | None = None,
    offset: int | None = None,
) -> Iterator[Minibatch]:
    """Minibatches whose row i continues row i of the minibatch before, so that a hidden state may be carried on.

    ids: (T,) the text. rng: draws the offset (default: seed 0); offset: takes its place.
    Gives (X, Y), each (batch_size, num_steps). Raises InputError where the text is too short for one minibatch.

    >>> [X.tolist() for X, _ in sequential_batches(range(13), batch_size=2, num_steps=3, offset=0)]
    [[[0, 1, 2], [6, 7, 8]], [[3, 4, 5], [9, 10, 11]]]
    """
    ids, offset = _checked(ids, batch_size, num_steps, rng, offset)
    lanes, targets = _lanes(ids, batch_size, offset)
    cuts = range(0, lanes.shape[1] - num_steps + 1, num_steps)
    return ((lanes[:, cut : cut + num_steps], targets[:, cut : cut + num_steps]) for cut in cuts)


def random_batches(
    ids: Sequence[int] | np.ndarray,
    batch_size: int,
    num_steps: int,
    rng: np.random.Generator | None = None,
    offset: int | None = None,
) -> Iterator[Minibatch]:
    """Minibatches of subsequences in random order; each subsequence comes once, and rows have no common past.

    Arguments and result as in ``sequential_batches``; rng draws the order too.

    >>> batches = list(random_batches(range(13), batch_size=2, num_steps=3, offset=0))
    >>> sorted(row for X, _ in batches for row in X.tolist())
    [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9, 10, 11]]
    """
    rng = np.random.default_rng(0) if rng is None else rng
    ids, offset = _checked(ids, batch_size, num_steps, rng, offset)
    starts = rng.permutation(np.arange(offset, len(ids) - num_steps, num_steps))
    rows = starts[: len(starts) // batch_size * batch_size].reshape(-1, batch_size, 1) + np.arange(num_steps)
    return ((ids[row], ids[row + 1]) for row in rows)


def jittered_batches(
    ids: Sequence[int] | np.ndarray, batch_size: int, num_steps: int, rng: np.random.Generator
) -> Iterator[Minibatch]:
    """As ``sequential_batches``, with the number of steps drawn anew for each minibatch.

    Each length is uniform in num_steps/2 .. 3 num_steps/2, so that gradients are not cut off at the same distances
    in every epoch (after Merity, Keskar & Socher 2018, section 5); the last minibatch is what is left.
    """
    ids, offset = _checked(ids, batch_size, num_steps, rng, None)
    lanes, targets = _lanes(ids, batch_size, offset)
    width = lanes.shape[1]
    lengths = rng.integers(
        (num_steps + 1) // 2, num_steps + num_steps // 2 + 1, size=2 * width // num_steps + 2
    )
    cuts = np.append(0, np.minimum(np.cumsum(lengths), width))
    return (
        (lanes[:, a:b], targets[:, a:b])
        for a, b in zip(cuts[:-1].tolist(), cuts[1:].tolist(), strict=True)
        if a < b
    )


def _checked(
    ids: Sequence[int] | np.ndarray,
    batch_size: int,
    num_steps: int,
    rng: np.random.Generator | None,
    offset: int | None,
) -> tuple[np.ndarray, int]:
    """The ids as an array, and the offset. Raises InputError."""
    ids = np.asarray(ids)
    if batch_size < 1 or num_steps < 1:
        raise InputError(
            f"a minibatch of {batch_size} rows by {num_steps} steps is empty; give at least 1 by 1"
        )
    if offset is None:
        offset = int((np.random.default_rng(0) if rng is None else rng).integers(num_steps))
    if len(ids) - 1 < batch_size * num_steps + max(offset, num_steps - 1):
        raise InputError(
            f"the text is too short: {len(ids)} tokens, but minibatches of {batch_size} rows by {num_steps} steps "
            f"need {(batch_size + 1) * num_steps}; give more text, or a smaller batch or fewer steps"
        )
    return ids, offset


def _lanes(ids: np.ndarray, batch_size: int, offset: int) -> Minibatch:
    """The text from the offset on in batch_size rows of equal length, and the same one token later."""
    width = (len(ids) - offset - 1) // batch_size
    stop = offset + batch_size * width
    return ids[offset:stop].reshape(batch_size, -1), ids[offset + 1 : stop + 1].reshape(batch_size, -1)
