"""The fits of a text's n-grams as rows, an order a row, with their chart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lmbench.charts.chart import Chart
from lmbench.counts import ngram_counts
from lmbench.errors import InputError
from lmbench.text.canonical import CanonicalText
from lmbench.zipf.chart import zipf_chart
from lmbench.zipf.counting import Spectrum, spectrum, token_ids
from lmbench.zipf.fits import fit_spectrum


def zipf_rows(
    corpus: str,
    text: CanonicalText | Sequence[CanonicalText],
    unit: str,
    orders: Sequence[int],
    least: int = 1,
) -> tuple[list[dict[str, Any]], Chart]:
    """The fits of a text's n-grams, a row an order, and their figure; orders of fewer types than ``least`` are left out.

    text: or its parts, see ``token_ids``. Raises InputError where no order is left.

    >>> text = CanonicalText.of(["the cat and the dog and the bird"])
    >>> rows, chart = zipf_rows("pets", text, "word", [1])
    >>> rows[0]["tokens"], rows[0]["types"], rows[0]["hapaxes"]
    (8, 5, 3)
    """
    ids, starts = token_ids(text, unit)
    return fitted_rows(
        corpus, unit, {k: spectrum(c) for k, c in ngram_counts(ids, starts, orders).items()}, least
    )


def fitted_rows(
    corpus: str, unit: str, counts: Mapping[int, Spectrum], least: int = 1
) -> tuple[list[dict[str, Any]], Chart]:
    """``zipf_rows`` of n-grams that have been counted; counts: by order."""
    counts = {k: c for k, c in counts.items() if c.kinds >= least}
    if not counts:
        raise InputError(f"{corpus} has too few {unit}s to count")
    fits = {k: fit_spectrum(c) for k, c in counts.items()}
    rows = [{"corpus": corpus, "unit": unit, "order": k, **fit.to_dict()} for k, fit in fits.items()]
    curves = {f"{k}-grams": (counts[k], fit) for k, fit in fits.items()}
    return rows, zipf_chart(f"zipf-{corpus}", f"{unit} n-grams of {corpus}", curves)
