"""Studies answered once: their tables, sentences and figures on disk, read back while text and code are the same."""

from __future__ import annotations

import csv
import functools
import hashlib
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from lmbench.charts.chart import Chart
from lmbench.corpora.corpus import Corpus
from lmbench.errors import InputError
from lmbench.models import Monitor
from lmbench.scoring.code_hash import code_hash
from lmbench.storage.files import read_bytes, write_whole
from lmbench.storage.plain import json_of
from lmbench.studies import STUDIES, Study, run_study


def reported(study: Study) -> tuple[dict[str, Any], list[Chart]]:
    """What results.json says of it, and its figures under names of their own, which ``figures`` there lists."""
    charts = [replace(chart, name=f"study-{study.corpus}-{chart.name}") for chart in study.charts]
    entry = {key: value for key, value in study.to_dict().items() if key not in ("table", "charts")}
    return {**entry, "figures": [chart.name for chart in charts]}, charts


def write_study(study: Study, folder: Path, key: str = "") -> None:
    """NAME.json (with the figures as data) and NAME.csv in the folder, each whole or not at all."""
    stored = study.to_dict() | {"key": key}
    write_whole(folder / f"{study.name}.json", json.dumps(stored, indent=1, ensure_ascii=False) + "\n")
    stream = io.StringIO()
    table = csv.DictWriter(stream, list(stored["table"][0]) if stored["table"] else [], lineterminator="\n")
    table.writeheader()
    table.writerows(stored["table"])
    write_whole(folder / f"{study.name}.csv", stream.getvalue())


def read_study(path: Path, key: str) -> Study | None:
    """A stored study, or None where it is missing, damaged, or of another text or code."""
    try:
        stored = json_of(read_bytes(path), dict[str, Any])
        if stored.pop("key") != key:
            return None
        study = msgspec.convert(stored, Study)
        study.to_dict()  # which numbers beyond 64 bits cannot
    except (OSError, KeyError, ValueError, OverflowError, RecursionError, msgspec.ValidationError):
        return None
    return None if any(chart.fault for chart in study.charts) else study


def answer_all(
    names: list[str],
    corpora: Mapping[str, Corpus],
    folder: Path,
    seed: int = 0,
    fresh: bool = False,
    monitor: Monitor | None = None,
) -> Iterator[Study]:
    """Each study on each corpus, from ``folder``/studies where it stands there already."""
    for corpus in corpora.values():
        for name in names:
            facts = [name, corpus.sha256, str(seed), code_hash(), _own_hash()]
            key = hashlib.sha256("|".join(facts).encode()).hexdigest()
            place = folder / "studies" / corpus.name
            study = None if fresh else read_study(place / f"{name}.json", key)
            if study is None or (study.name, study.corpus) != (name, corpus.name):
                study = _answer(name, corpus, seed, monitor)
                write_study(study, place, key)
            yield study


def _answer(name: str, corpus: Corpus, seed: int, monitor: Monitor | None) -> Study:
    """A study's answer, or why it has none: one short text must not cost a run its report."""
    try:
        return run_study(name, corpus, seed=seed, monitor=monitor)
    except InputError as error:
        asked: dict[str, Any] = {
            "name": name,
            "question": STUDIES[name][1],
            "corpus": corpus.name,
            "seed": seed,
        }
        return Study(**asked, sentences=[f"No answer: {error}."], rows=[], charts=[])


@functools.cache
def _own_hash() -> str:
    """Of the source files that decide a study's answer beside those that decide a score."""
    house, digest = Path(__file__).parents[1], hashlib.sha256()
    for room in ("charts", "zipf", "comparing", "studies"):
        for path in sorted((house / room).glob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()
