"""Per-token scores as files: tab-separated for people and scripts, Parquet for tables of many millions of rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from lmbench.files import InputError, whole_file, write_whole
from lmbench.scores import Run
from lmbench.text import CanonicalText
from lmbench.units import Unit

ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def write_tokens(path: str | Path, run: Run, text: CanonicalText, unit: Unit) -> None:
    r"""Writes a row a token of the text that ``run`` scored: ``start end token log_prob oov``.

    token: without the blank before a word; of a tokenizer with an alphabet of its own (Ġ), the text that it stands for.
    start, end: its characters in the canonical text, end exclusive. log_prob: nats. A name that ends in ``.parquet``
    gets the types int64, string, float64 and bool, a column ``spelling`` (nats beyond ``<unk>``) and the signature as
    metadata; any other is tab-separated with tabs, newlines and backslashes in a token as \t \n \\. Raises InputError where pyarrow is
    not installed or the file cannot be written.
    """
    ends = run.scores.ends
    starts = np.append(0, ends[:-1])
    spans = [text.text[a:b] for a, b in zip(starts.tolist(), ends.tolist(), strict=True)]
    told = zip(unit.split(text.text), spans, strict=True)
    tokens = [token if token in span or token.startswith("<0x") else span for token, span in told]
    columns: dict[str, Any] = {"start": starts, "end": ends, "token": tokens}
    columns |= {"log_prob": run.scores.log_probs, "oov": run.scores.oov}
    if str(path).endswith(".parquet"):
        return _write_parquet(path, columns | {"spelling": run.scores.spelling}, run.signature)
    columns["token"] = [token.translate(ESCAPES) for token in tokens]
    columns["oov"] = run.scores.oov.astype(int)
    rows = zip(*(c.tolist() if isinstance(c, np.ndarray) else c for c in columns.values()), strict=True)
    write_whole(path, "\n".join(["\t".join(columns), *("\t".join(map(str, row)) for row in rows)]) + "\n")


def _write_parquet(path: str | Path, columns: dict[str, Any], signature: dict[str, Any]) -> None:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise InputError(
            f"{path} needs pyarrow; install it (pip install 'lmbench[parquet]') or name a .tsv file"
        ) from None
    # A lone surrogate has no place in UTF-8, nor in Parquet.
    columns["token"] = [t.encode("utf-8", "replace").decode() for t in columns["token"]]
    table = pyarrow.table(columns).replace_schema_metadata({"lmbench": msgspec.json.encode(signature)})
    with whole_file(path) as stream:
        parquet.write_table(table, stream, compression="zstd")
