"""Error bars for the mean loss of any program's tokens, alone and paired.

What an interval is of: the mean over all text of the same documents, or of the same process, of which this text is a part. How such
errors come about, with sources: ``lmbench.comparing.dependence``.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from lmbench.comparing.cells import Cells, cells_of_documents, cells_of_lengths
from lmbench.comparing.dependence import Errors, effective_documents
from lmbench.errors import InputError

POWER = 0.8  # of the difference that is called resolvable
ROUNDING = 1e-9  # what two ways of computing one model may differ by, in bits per character


@dataclass(frozen=True)
class Interval:
    """A ratio Σ loss / Σ length with its error bar.

    estimate, low, high, se: in losses per length (bits per character, say); low, high and se are nan where no error bar can be
    had, and ``note`` says why. level: 0.95 for a 95% interval. prediction: (low, high) for another text of this length and
    make. method: ``documents`` (their jackknife), ``stream`` (long memory), ``none``. effective_documents: how many
    documents of one length would say as much; nan for a stream.
    """

    estimate: float
    low: float
    high: float
    se: float
    level: float
    prediction: tuple[float, float]
    method: str
    effective_documents: float
    note: str = ""


@dataclass(frozen=True)
class Paired:
    """The difference of two models' ratios on the same pieces, a less b, with its error bar and two-sided p-value.

    resolvable: the true difference that would be found at the 5% level four times in five; nan, like low, high and se,
    where no error bar can be had (then p_value is 1, and ``note`` says why).
    """

    difference: float
    low: float
    high: float
    se: float
    p_value: float
    level: float
    resolvable: float
    method: str
    effective_documents: float
    note: str = ""


def interval(
    losses: Sequence[float] | np.ndarray,
    lengths: Sequence[float] | np.ndarray,
    documents: Sequence[int] | np.ndarray | None = None,
    level: float = 0.95,
    clusters: Sequence[Hashable] | np.ndarray | None = None,
) -> Interval:
    """The mean loss Σ losses / Σ lengths with an error bar that holds on text.

    losses: (T,), finite, what each piece (token, sentence, document) of a text cost, in the order of the text. lengths: (T,) ≥ 0, of the
    pieces, in characters, say (ones for a mean a token). documents: (D,) indices of the pieces at which documents begin, the
    first 0; two and more are the units of the error. Without, the text is one stream. clusters: a label a document (a piece, without
    documents): author, domain, file; documents of one label are one unit, wherever they stand. level: 0 < level < 1. Losses that are
    never negative get an interval that is never below 0 (symmetric in the logarithm).

    Raises InputError where the shapes do not agree or a value cannot stand there.

    >>> import numpy as np
    >>> found = interval(np.random.default_rng(0).exponential(2.0, 5000), np.ones(5000))
    >>> found.method, found.low < 2.0 < found.high
    ('stream', True)
    """
    _check_level(level)
    cells = _cells([losses], lengths, documents, clusters)
    estimate = float(cells.ratios[0])
    worth = effective_documents(cells.lengths) if cells.by_document else math.nan
    if cells.trouble:
        nothing = math.nan
        return Interval(
            estimate, nothing, nothing, nothing, level, (nothing, nothing), "none", worth, cells.trouble
        )
    errors, method = cells.errors(cells.losses)
    positive = bool(np.min(losses) >= 0)
    low, high = around(estimate, errors, level, positive)
    prediction = around(estimate, errors.times(math.sqrt(2)), level, positive)
    return Interval(
        estimate,
        low,
        high,
        float(errors.standard_error()[0]),
        level,
        prediction,
        str(method[0]),
        worth,
        _remark(cells, str(method[0])),
    )


def paired(
    a: Sequence[float] | np.ndarray,
    b: Sequence[float] | np.ndarray,
    lengths: Sequence[float] | np.ndarray,
    documents: Sequence[int] | np.ndarray | None = None,
    level: float = 0.95,
    clusters: Sequence[Hashable] | np.ndarray | None = None,
) -> Paired:
    """The difference of two models' mean losses on the same text, a less b: negative where a is better.

    a, b: (T,) losses of the same T pieces; lengths, documents, clusters, level: as for ``interval``. What makes a passage hard for both
    cancels. Raises InputError where the shapes do not agree or a value cannot stand there.

    >>> import numpy as np
    >>> hard = np.random.default_rng(0).exponential(2.0, 5000)
    >>> found = paired(hard + 0.1, hard, np.ones(5000))
    >>> round(found.difference, 6), found.p_value < 0.001
    (0.1, True)
    """
    _check_level(level)
    cells = _cells([a, b], lengths, documents, clusters)
    difference = float(cells.ratios[0] - cells.ratios[1])
    worth = effective_documents(cells.lengths) if cells.by_document else math.nan
    if cells.trouble:
        nothing = math.nan
        return Paired(
            difference, nothing, nothing, nothing, 1.0, level, nothing, "none", worth, cells.trouble
        )
    errors, method = cells.errors(cells.losses[:, :1] - cells.losses[:, 1:])
    half = float(errors.half_width(level)[0])
    p = 1.0 if abs(difference) < ROUNDING else float(errors.p_value(np.array([difference]))[0])
    return Paired(
        difference,
        difference - half,
        difference + half,
        float(errors.standard_error()[0]),
        p,
        level,
        float(resolvable(errors, 0.05)[0]),
        str(method[0]),
        worth,
        _remark(cells, str(method[0])),
    )


def around(
    estimate: float, errors: Errors, level: float = 0.95, positive: bool = True
) -> tuple[float, float]:
    """The interval around an estimate; of what is never negative symmetric in the logarithm, so never below 0."""
    half = float(errors.half_width(level)[0])
    if positive and estimate > 0:
        factor = math.exp(min(half / estimate, 700.0))
        return estimate / factor, estimate * factor
    return estimate - half, estimate + half


def resolvable(errors: Errors, alpha: float) -> np.ndarray:
    """(P,): the true difference that a test at level ``alpha`` finds with probability 0.8: t of the test plus t of the power."""
    return errors.half_width(1 - alpha) + errors.half_width(2 * POWER - 1)


def _remark(cells: Cells, method: str) -> str:
    if cells.by_document and method == "stream":
        return (
            "neighbouring documents depend on each other; the error bar is that of a stream, which is wider"
        )
    return ""


def _check_level(level: float) -> None:
    if not 0 < level < 1:
        raise InputError(f"level {level} is not between 0 and 1; 0.95 makes a 95% interval")


def _cells(
    losses: Sequence[Sequence[float] | np.ndarray],
    lengths: Sequence[float] | np.ndarray,
    documents: Sequence[int] | np.ndarray | None,
    clusters: Sequence[Hashable] | np.ndarray | None = None,
) -> Cells:
    columns = [np.asarray(column, dtype=np.float64) for column in losses]
    sizes = np.asarray(lengths, dtype=np.float64)
    if sizes.ndim != 1 or any(column.shape != sizes.shape for column in columns):
        shapes = ", ".join(str(column.shape) for column in columns)
        raise InputError(f"losses {shapes} and lengths {sizes.shape} are to be rows of one length")
    if not len(sizes) or not math.isfinite(sizes.sum()) or sizes.min() < 0 or not sizes.max():
        raise InputError("lengths are to be finite, at least 0, and not all 0")
    for column in columns:
        if not math.isfinite(column.sum()) and not np.isfinite(column).all():
            place = int(np.flatnonzero(~np.isfinite(column))[0])
            raise InputError(
                f"loss {column[place]} at {place}: an infinite loss has no error bar; leave it out or mend it"
            )
    if documents is not None:
        starts = np.asarray(documents)
        wrong = starts.ndim != 1 or not len(starts) or starts[0] != 0 or starts[-1] >= len(sizes)
        if wrong or (np.diff(starts) <= 0).any():
            raise InputError(
                f"documents are the places where documents begin: 0 first, rising, below {len(sizes)}"
            )
    if clusters is None and (documents is None or len(starts) == 1):
        return cells_of_lengths(columns, sizes)
    if documents is None:
        starts = np.arange(len(sizes))
    summed = np.stack([np.add.reduceat(column, starts) for column in (*columns, sizes)], axis=1)
    if clusters is None:
        return cells_of_documents(summed[:, :-1], summed[:, -1], np.arange(len(starts)))
    labels = clusters.tolist() if isinstance(clusters, np.ndarray) else list(clusters)
    if len(labels) != len(starts):
        raise InputError(f"clusters are a label a document: {len(starts)} of them, not {len(labels)}")
    number = {label: i for i, label in enumerate(dict.fromkeys(labels))}
    together = np.zeros((len(number), summed.shape[1]))
    np.add.at(together, np.array([number[label] for label in labels]), summed)
    return Cells(together[:, :-1], together[:, -1], True)
