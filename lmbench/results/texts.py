"""What is said of a text whatever the models: what of it they have seen, what compressors pay, Zipf's laws; kept in a file."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from lmbench.charts.chart import Chart
from lmbench.comparing.compressors import COMPRESSORS, Baseline, baselines
from lmbench.comparing.seen import Seen
from lmbench.corpora.corpus import Corpus
from lmbench.errors import InputError
from lmbench.results.schema import ZipfResult
from lmbench.scoring.code_hash import code_hash
from lmbench.storage.files import read_bytes, write_whole
from lmbench.text.scripts import SAMPLE, is_unsegmented
from lmbench.zipf.table import zipf_rows

FEW_TYPES = 10  # of a text's n-grams of words, fewer show no law
MOST = 1 << 31  # words or characters of a test text
# Those whose code decides these facts.
ROOMS = ("charts", "comparing", "corpora", "counts", "results", "storage", "text", "zipf")


class TextFacts(msgspec.Struct, frozen=True):
    """seen: of the test text. baselines: what compressors pay for it. zipf: the laws of the whole text, with their chart, if it shows any."""

    seen: Seen
    baselines: list[Baseline]
    zipf: list[ZipfResult]
    charts: list[Chart]

    @classmethod
    def of(
        cls,
        name: str,
        corpus: Corpus,
        orders: Sequence[int] = (1, 2, 3),
        progress: Callable[[float, float, str], None] = lambda done, total, note: None,
    ) -> TextFacts:
        """Of a corpus by its name. orders: of the n-grams whose laws are fitted. Raises InputError where it has no test text.

        >>> import lmbench as lb
        >>> facts = TextFacts.of("gm", lb.load_corpus("golden-mean"), [])
        >>> [one.name for one in facts.baselines]
        ['bz2', 'xz', 'ppmd (order 6)']
        """
        train, test = corpus.text("train"), corpus.text("test")
        steps = len(COMPRESSORS) + 2
        progress(0, steps, "what models have seen")
        seen, paid = Seen.of(corpus), []
        for number, compressor in enumerate(COMPRESSORS, 1):
            progress(number, steps, compressor)
            paid += baselines(train, corpus.valid, test, [compressor])
        progress(steps - 1, steps, "Zipf's laws")
        laws, charts = _laws(name, corpus, orders)
        progress(steps, steps, "")
        return cls(seen, paid, laws, charts)

    @staticmethod
    def key(name: str, corpus: Corpus, orders: Sequence[int]) -> str:
        """Names all that the facts depend on: the text, what is asked, the code, the compressors' versions."""
        facts = [name, corpus.sha256, list(orders), code_hash(ROOMS), _versions()]
        return hashlib.sha256(msgspec.json.encode(facts)).hexdigest()

    def save(self, path: Path, key: str) -> None:
        """Writes the facts, whole or not at all. Raises InputError where they cannot be written."""
        write_whole(path, msgspec.json.encode((key, self), enc_hook=_plain))

    @classmethod
    def load(cls, path: Path, key: str, length: int) -> TextFacts | None:
        """The facts of this key read back, of a test text of ``length`` characters; None where there are none."""
        try:
            stored, rest = msgspec.json.decode(read_bytes(path), type=tuple[str, msgspec.Raw])
            facts = msgspec.json.decode(rest, type=cls, dec_hook=_array) if stored == key else None
            return facts if facts is not None and facts._fits(length) else None
        except (OSError, ValueError, TypeError, LookupError, ArithmeticError, MemoryError):  # damaged
            return None

    def _fits(self, length: int) -> bool:
        """Whether these are facts of a text of so many characters, and their figures can be drawn."""
        covered = (self.seen.words.covered, self.seen.chars.covered, self.seen.copies.covered)
        return {len(part) for part in covered} == {length} and not any(chart.fault for chart in self.charts)


def _laws(name: str, corpus: Corpus, orders: Sequence[int]) -> tuple[list[ZipfResult], list[Chart]]:
    """The laws of a text's words (characters, where words are not divided by blanks) and their figure; nothing of one too short."""
    beginning = "".join(part.text[:SAMPLE] for part in corpus.parts)
    unit = "char" if is_unsegmented(beginning) else "word"
    try:
        rows, chart = zipf_rows(name, corpus.parts, unit, orders, FEW_TYPES)
    except InputError:
        return [], []
    return msgspec.convert(rows, list[ZipfResult]), [chart]


def _versions() -> list[str]:
    from importlib.metadata import version

    return [version(package) for package in ("numpy", "scipy", "pyppmd")]


def _plain(array: Any) -> Any:
    """An array as plain values: a mask as the places where it turns."""
    if array.dtype == bool:
        return {"size": len(array), "turns": np.flatnonzero(np.diff(array, prepend=False)).tolist()}
    return array.tolist()


def _array(kind: type, value: Any) -> np.ndarray:
    """The same read back: a mask, or rows of two whole numbers."""
    if not isinstance(value, dict):
        return np.array(value, dtype=np.int64).reshape(-1, 2)
    if not 0 <= value["size"] <= MOST:
        raise ValueError("a mask of no text's size")
    mask = np.zeros(value["size"], dtype=np.int8)
    mask[value["turns"]] = 1
    return np.asarray(np.cumsum(mask) % 2 == 1)
