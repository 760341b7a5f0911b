"""The tables that Python callers get: pandas DataFrames that show themselves in a notebook as a report would."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

BITS = ("bits_per_char", "bits_per_byte", "bits_per_word", "train_bits_per_char", "difference_bits_per_char")
ERRORS = ("standard_error", "se_text", "se_seeds", "resolvable_difference")
COUNTS = ("parameters", "model_bytes", "vocab_size", "tokens", "oov", "bytes", "rank")


class ResultTable(pd.DataFrame):
    """A DataFrame; in a notebook its numbers have the digits they deserve, and what is significant stands out."""

    @property
    def _constructor(self) -> type[ResultTable]:
        return ResultTable

    def _repr_html_(self) -> str | None:
        if not pd.get_option("display.notebook_repr_html"):
            return None
        if len(self) > pd.get_option("display.max_rows") or not self.columns.is_unique:
            return super()._repr_html_()  # type: ignore[misc]
        plain = pd.DataFrame(self).reset_index(drop=True)
        formats: dict[Any, Any] = {}
        for names, text in FORMATS.items():
            formats |= {name: text for name in names if name in plain.columns}
        style = plain.style.format(formats, na_rep="", escape="html").hide(axis="index")
        return str(style.apply(_mark, axis=1).to_html())


def _mark(row: pd.Series) -> list[str]:
    """Bold where a row is the best, or its difference more than chance (p ≤ 0.05 corrected for all pairs)."""
    p = row.get("p_holm")
    strong = row.get("rank") == 1 or (p is not None and p <= 0.05)
    return ["font-weight: bold" if strong else ""] * len(row)


def _interval(ends: Any) -> str:
    return "" if not isinstance(ends, (tuple, list)) else f"{ends[0]:.3f} to {ends[1]:.3f}"


def _count(value: Any) -> str:
    return "" if value is None or pd.isna(value) else f"{value:,.0f}"


def _perplexity(value: float) -> str:
    return "inf" if math.isinf(value) else f"{value:,.4g}"


FORMATS = {
    BITS: "{:.3f}",
    ERRORS: "{:.4f}",
    COUNTS: _count,
    ("p_value", "p_holm", "p_equivalence"): "{:.2g}",
    ("fit_seconds", "score_seconds"): "{:.2f}",
    ("perplexity", "perplexity_excluding_oov"): _perplexity,
    ("ci95",): _interval,
}
