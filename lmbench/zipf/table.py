"""The fits of a text's n-grams as rows, an order a row, with their chart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lmbench.charts.chart import Chart
from lmbench.errors import InputError
from lmbench.text.canonical import CanonicalText
from lmbench.text.tokens import encode
from lmbench.text.units import unit_named
from lmbench.zipf.chart import zipf_chart
from lmbench.zipf.fits import fit_zipf, ngram_counts

if TYPE_CHECKING:
    pass


def zipf_counts(text: CanonicalText, unit: str, orders: Sequence[int]) -> dict[int, np.ndarray]:
    """For each order, the counts of a text's n-grams, (K,) falling; line feeds and empty words are no words."""
    from lmbench.text.vocab import build_vocab

    vocab = build_vocab(text, unit_named(unit))
    tokens = encode(text, unit_named(unit), vocab).tokens
    blanks = {vocab.index(t) for t in ("\n", "") if t in vocab} if unit == "word" else set()
    return ngram_counts(tokens.ids, tokens.starts, orders, sorted(blanks))


def zipf_rows(
    corpus: str, text: CanonicalText, unit: str, orders: Sequence[int], least: int = 1
) -> tuple[list[dict[str, Any]], Chart]:
    """The fits of a text's n-grams, a row an order, and their figure; orders of fewer types than ``least`` are left out.

    Raises InputError where no order is left.
    """
    names = {1: "1-grams", 2: "2-grams", 3: "3-grams"}
    counts = {k: c for k, c in zipf_counts(text, unit, orders).items() if len(c) >= least}
    if not counts:
        raise InputError(f"{corpus} has too few {unit}s to count")
    rows = [{"corpus": corpus, "unit": unit, "order": k, **fit_zipf(c).to_dict()} for k, c in counts.items()]
    caption = f"Zipf's law in {corpus}: {unit} n-grams by rank, and the distribution of their counts."
    tables = {names.get(k, f"{k}-grams"): c for k, c in counts.items()}
    return rows, zipf_chart(f"zipf-{corpus}", caption, tables)
