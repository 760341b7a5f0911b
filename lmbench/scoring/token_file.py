"""Per-token scores as files: tab-separated for people and scripts, Parquet for tables of many millions of rows."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import msgspec
import numpy as np

from lmbench.corpora.corpus import Corpus
from lmbench.errors import InputError
from lmbench.scoring.run import Facts, Run, Signature
from lmbench.scoring.samples_file import is_samples, refuse_perplexity, samples_scores
from lmbench.scoring.scores import Scores
from lmbench.scoring.speller import Speller
from lmbench.storage.files import read_text, whole_file
from lmbench.text.canonical import CanonicalText
from lmbench.text.tokens import read_by, surface
from lmbench.text.units import Unit
from lmbench.text.vocab import Vocab

ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def write_tokens(path: str | Path, run: Run, text: CanonicalText, unit: Unit) -> None:
    r"""Writes a row a token of the text that ``run`` scored: ``start end token log_prob oov spelling``.

    token: without the blank before a word; of a tokenizer with an alphabet of its own (Ġ), the text that it stands for.
    start, end: its characters in the canonical text (as the unit reads it), end exclusive. log_prob: nats; spelling: nats beyond ``<unk>``, the
    rest of what the token costs. ``external_run`` reads both back to the same figures. A name that ends in ``.parquet`` gets the types int64,
    string, float64 and bool and the signature as metadata; any other is tab-separated with tabs, newlines and backslashes in
    a token as \t \n \\. Raises InputError where pyarrow is not installed or the file cannot be written.
    """
    with TokenWriter(path, unit) as writer:
        writer.add(text, run.scores)
        writer.signature = run.signature


class TokenWriter:
    """``write_tokens`` of a text that comes in pieces, in a ``with`` statement; the file appears whole at its end, or not at all."""

    def __init__(self, path: str | Path, unit: Unit, offset: int = 0) -> None:
        """offset: characters of the text before the first piece."""
        self._path, self._unit, self._offset = path, unit, offset
        self._in_parquet = str(path).endswith(".parquet")
        self._open = contextlib.ExitStack()
        self._table: Any = None
        self.signature: Signature | None = None

    def __enter__(self) -> Self:
        if self._in_parquet:
            _parquet(self._path)
        self._stream = self._open.enter_context(whole_file(self._path, "wb" if self._in_parquet else "w"))
        if not self._in_parquet:
            self._stream.write("\t".join(_COLUMNS_WRITTEN) + "\n")
        return self

    def add(self, text: CanonicalText, scores: Scores) -> None:
        """The tokens of the next piece."""
        text = read_by(text, self._unit)
        ends = scores.ends
        starts = np.append(0, ends[:-1])[: len(ends)]
        spans = [text.text[a:b] for a, b in zip(starts.tolist(), ends.tolist(), strict=True)]
        pairs = zip(surface(text, self._unit), spans, strict=True)
        tokens = [token if token in span or token.startswith("<0x") else span for token, span in pairs]
        numbers = scores.log_probs, scores.oov, scores.spelling
        columns: dict[str, Any] = dict(
            zip(_COLUMNS_WRITTEN, (starts + self._offset, ends + self._offset, tokens, *numbers), strict=True)
        )
        self._offset += text.chars
        if self._in_parquet:
            return self._add_to_table(columns)
        columns["token"] = [token.translate(ESCAPES) for token in tokens]
        columns["oov"] = scores.oov.astype(int)
        rows = zip(*(c.tolist() if isinstance(c, np.ndarray) else c for c in columns.values()), strict=True)
        self._stream.writelines("\t".join(map(str, row)) + "\n" for row in rows)

    @property
    def ending(self) -> str:
        """Of a file that ``join`` takes."""
        return ".parquet" if self._in_parquet else ".tsv"

    def join(self, path: str | Path) -> None:
        """The rows of a file that another writer has made of the next stretch of the text."""
        if self._in_parquet:
            written = _parquet(path)[1].ParquetFile(path)
            for group in range(written.num_row_groups):
                self._write(written.read_row_group(group))
            return
        with open(path, encoding="utf-8", newline="") as stream:
            stream.readline()
            shutil.copyfileobj(stream, self._stream)

    def _add_to_table(self, columns: dict[str, Any]) -> None:
        # A lone surrogate has no place in UTF-8, nor in Parquet.
        columns["token"] = [t.encode("utf-8", "replace").decode() for t in columns["token"]]
        self._write(_parquet(self._path)[0].table(columns))

    def _write(self, table: Any) -> None:
        parquet = _parquet(self._path)[1]
        if self._table is None:
            # A stored schema would hide what is added to the metadata at the end; the types are Parquet's own.
            self._table = parquet.ParquetWriter(
                self._stream, table.schema, compression="zstd", store_schema=False
            )
        self._table.write_table(table)

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if self._table is not None:
            if self.signature is not None:
                self._table.add_key_value_metadata({"lmbench": msgspec.json.encode(self.signature).decode()})
            self._table.close()
        self._open.__exit__(kind, error, trace)


def _parquet(path: str | Path) -> tuple[Any, Any]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise InputError(
            f"{path} needs pyarrow; install it (pip install 'lmbench[parquet]') or name a .tsv file"
        ) from None
    return pyarrow, parquet


_COLUMNS_WRITTEN = ("start", "end", "token", "log_prob", "oov", "spelling")
NEEDED = ("start", "end", "log_prob")
COLUMNS = (*NEEDED, "token", "oov", "spelling")


def external_run(
    file: str | Path,
    corpus: Corpus,
    label: str | None = None,
    unit: str = "token",
    vocab_size: int = 0,
    seed: int = 0,
) -> Run:
    """A run of the scores in ``file`` for a corpus's test text; it joins comparisons, tables and reports.

    file: a table of tokens, or the ``.jsonl`` that lm-evaluation-harness writes with ``--log_samples`` (``samples_scores``). label: default the file's name. unit, vocab_size: what the program's tokens are, as far as it is known (0: not). An
    out-of-vocabulary token without a ``spelling`` of its own is spelled as in every model here, by a speller that
    does not know the file's vocabulary and therefore charges a little more. Raises InputError where the file is not a table of scores for exactly this text.
    """
    path, text = Path(file), corpus.text("test")
    refuse_perplexity(path)
    if is_samples(path):
        scores, notes = samples_scores(path, text)
        return _outside(path, corpus, label, "document", seed, scores, notes)
    table = _columns(path)
    ends = _ends(table, text, str(file))
    log_probs = _numbers(table, "log_prob", str(file))
    oov = (
        _numbers(table, "oov", str(file)).astype(bool) if "oov" in table else np.zeros(len(ends), dtype=bool)
    )
    if "spelling" in table:
        spelling = _numbers(table, "spelling", str(file))
    else:
        spelling = _spelled(corpus, text.text, ends, oov, str(file))
    starts = np.searchsorted(ends, text.starts[1:], side="right")
    across = ends[starts - 1] != text.starts[1:]
    if across.any():
        start = int(text.starts[1:][across][0])
        raise InputError(
            f"{file}: a token runs across the document that begins at character {start}; divide it"
        )
    counts = (text.chars, text.bytes, text.words, vocab_size)
    scores = Scores(log_probs, ends, oov, spelling, np.append(0, starts), *counts)
    return _outside(path, corpus, label, unit, seed, scores)


def _outside(
    path: Path,
    corpus: Corpus,
    label: str | None,
    unit: str,
    seed: int,
    scores: Scores,
    notes: Sequence[str] = (),
) -> Run:
    why = f"read from {path.name}: that its probabilities sum to 1 is not known here"
    options = {"file": str(path)}
    facts = Facts(model="external", options=options, unit=unit, unranked_reason=why, notes=[*notes])
    signature = Signature.of(corpus, unit, "undeclared", seed)
    return Run(corpus.name, label or path.stem, scores, signature, facts)


def _columns(path: Path) -> dict[str, list[str]]:
    lines = read_text(path).split("\n")
    names = lines[0].rstrip("\r").split("\t")
    for name in NEEDED:
        if name not in names:
            raise InputError(
                f"{path}: its first line names no column {name!r}; it is to be {chr(9).join(COLUMNS)!r}"
            )
    rows = []
    for number, line in enumerate(lines[1:], 2):
        cells = line.rstrip("\r").split("\t")
        if len(cells) == len(names):
            rows.append(cells)
        elif line.strip("\r") or number < len(lines):
            raise InputError(f"{path} line {number}: {len(cells)} columns, not {len(names)} (tabs apart)")
    if not rows:
        raise InputError(f"{path} has a header and no tokens; write a line a token")
    return dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))


def _numbers(table: dict[str, list[str]], name: str, file: str) -> np.ndarray:
    """A column as (T,) float64; raises InputError with the line of a value that cannot stand there."""
    values = np.empty(len(table[name]))
    for i, cell in enumerate(table[name]):
        try:
            values[i] = float(cell)
        except ValueError:
            raise InputError(f"{file} line {i + 2}: {name} {cell!r} is not a number") from None
    if name == "oov":
        wrong, rule = ~np.isin(values, (0, 1)), "is 0 or 1"
    elif name in ("start", "end"):
        wrong, rule = (
            ~((abs(values) < 2**53) & (values == np.floor(values))),
            "is a whole number of characters",
        )
    else:
        wrong, rule = (
            ~(np.isfinite(values) & (values <= 0)),
            "is the logarithm of a probability: finite, at most 0",
        )
    if wrong.any():
        i = int(wrong.argmax())
        raise InputError(f"{file} line {i + 2}: {name} {table[name][i]} will not do; it {rule}")
    return values


def _ends(table: dict[str, list[str]], text: CanonicalText, file: str) -> np.ndarray:
    """(T,) int64: the spans' ends, when they divide the text and the tokens are its own."""
    starts, ends = (_numbers(table, name, file).astype(np.int64) for name in ("start", "end"))
    expected = np.append(0, ends[:-1])
    wrong = (starts != expected) | (ends < starts)
    if wrong.any():
        i = int(wrong.argmax())
        raise InputError(
            f"{file} line {i + 2}: characters {starts[i]} to {ends[i]} after {expected[i]}; "
            "the spans are to divide the text, each beginning where the last ended"
        )
    if ends[-1] != text.chars:
        raise InputError(
            f"{file}: the spans end at character {ends[-1]}, the test text has {text.chars}; "
            "score the canonical text (`lmbench corpora show` tells how it was normalised)"
        )
    for i, token in enumerate(table.get("token", ())):
        span = text.text[starts[i] : ends[i]]
        text_of_token = _unescape(token)
        is_symbol = text_of_token.startswith("<") and text_of_token.endswith(">")
        if text_of_token and not is_symbol and text_of_token.strip(" ") != span.strip(" "):
            raise InputError(f"{file} line {i + 2}: token {token!r} stands where the text has {span!r}")
    return ends


def _unescape(token: str) -> str:
    pieces = token.split("\\\\")
    for escape, meant in (("\\t", "\t"), ("\\n", "\n"), ("\\r", "\r")):
        pieces = [piece.replace(escape, meant) for piece in pieces]
    return "\\".join(pieces)


def _spelled(corpus: Corpus, text: str, ends: np.ndarray, oov: np.ndarray, file: str) -> np.ndarray:
    """(T,) float64, nats: what the unknown tokens cost beyond ``<unk>``."""
    spelling = np.zeros(len(ends))
    unknown = np.flatnonzero(oov)
    if len(unknown):
        starts = np.append(0, ends[:-1])
        surfaces = [text[starts[i] : ends[i]].strip(" ") for i in unknown]
        for i, surface in zip(unknown.tolist(), surfaces, strict=True):
            if " " in surface or ("\n" in surface and surface != "\n"):
                raise InputError(f"{file} line {i + 2}: the unknown token {surface!r} is more than one word")
        speller = Speller.fit(Vocab(), "word", corpus.vocab("word").tokens[1:])
        spelling[unknown] = speller.log_probs(surfaces)
    return spelling
