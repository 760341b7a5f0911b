"""Studies answered once: their tables, sentences and figures on disk, read back while text and code are the same."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from lmbench.charts.chart import Chart, chart_of
from lmbench.corpora.corpus import Corpus
from lmbench.errors import InputError
from lmbench.models import Monitor
from lmbench.scoring.code_hash import code_hash
from lmbench.storage.files import write_whole
from lmbench.storage.plain import plain
from lmbench.studies import STUDIES, Study, run_study


@dataclass(frozen=True)
class Answer:
    """A study's outcome as plain values (``told``, what JSON holds) and its figures."""

    told: dict[str, Any]
    charts: list[Chart]

    @classmethod
    def of(cls, study: Study, corpus: Corpus, seed: int, full: bool) -> Answer:
        told = {
            "study": study.name,
            "question": study.question,
            "corpus": corpus.name,
            "seed": seed,
            "full": full,
            "sentences": list(study.sentences),
            "facts": study.facts,
            "table": study.table.to_dict(orient="records"),
        }
        return cls(plain(told), list(study.charts))

    def reported(self) -> tuple[dict[str, Any], list[Chart]]:
        """What results.json says of it, and its figures under names of their own, which ``figures`` there lists."""
        place = f"study-{self.told['corpus']}"
        charts = [replace(chart, name=f"{place}-{chart.name}") for chart in self.charts]
        told = {key: value for key, value in self.told.items() if key != "table"}
        return {**told, "figures": [chart.name for chart in charts]}, charts

    def write(self, folder: Path, key: str = "") -> None:
        """NAME.json (with the figures as data) and NAME.csv in the folder, each whole or not at all."""
        import csv
        import io

        stored = {**self.told, "charts": plain([asdict(chart) for chart in self.charts]), "key": key}
        name, rows = self.told["study"], self.told["table"]
        write_whole(folder / f"{name}.json", json.dumps(stored, indent=1, ensure_ascii=False) + "\n")
        stream = io.StringIO()
        table = csv.DictWriter(stream, list(rows[0]) if rows else [], lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
        write_whole(folder / f"{name}.csv", stream.getvalue())


def read_answer(path: Path, key: str) -> Answer | None:
    """A stored answer, or None where it is missing, damaged, or of another text or code."""
    try:
        told = json.loads(path.read_bytes())
        if told.pop("key") != key:
            return None
        return Answer(told, [chart_of(chart) for chart in told.pop("charts")])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def answer_all(
    names: list[str],
    corpora: Mapping[str, Corpus],
    folder: Path,
    seed: int = 0,
    fresh: bool = False,
    monitor: Monitor | None = None,
) -> Iterator[Answer]:
    """Each study on each corpus, from ``folder``/studies where it stands there already."""
    for corpus in corpora.values():
        for name in names:
            facts = [name, corpus.sha256, str(seed), code_hash(), _studies_hash()]
            key = hashlib.sha256("|".join(facts).encode()).hexdigest()
            place = folder / "studies" / corpus.name
            found = None if fresh else read_answer(place / f"{name}.json", key)
            if found is None:
                found = _answer(name, corpus, seed, monitor)
                found.write(place, key)
            yield found


def _answer(name: str, corpus: Corpus, seed: int, monitor: Monitor | None) -> Answer:
    """A study's answer, or why it has none: one short text must not cost a run its report."""
    try:
        return Answer.of(run_study(name, corpus, seed=seed, monitor=monitor), corpus, seed, False)
    except InputError as error:
        told = {"study": name, "question": STUDIES[name][1], "corpus": corpus.name, "seed": seed}
        return Answer(
            {**told, "full": False, "sentences": [f"No answer: {error}."], "facts": {}, "table": []}, []
        )


@functools.cache
def _studies_hash() -> str:
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()
