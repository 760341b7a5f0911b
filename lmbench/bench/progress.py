"""How far a run has come, from what lies in its folder: nothing is asked of the process that makes it."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path

import msgspec

from lmbench.bench.cells import Cell, cells_of
from lmbench.bench.suite_file import load_suite
from lmbench.errors import InputError
from lmbench.results.build import result_of
from lmbench.results.schema import CorpusResult, Results
from lmbench.scoring.stored_run import load_run
from lmbench.storage.archived import archived_arrays


@dataclass(frozen=True)
class Standing:
    """A run as it stands. results: a row a cell that is done. curves: of each fit that has a checkpoint, held-out bits a token, pass by pass.

    cells: in all. reported: whether its report is newer than all scores.
    """

    results: Results
    curves: dict[str, list[float]]
    cells: int
    reported: bool

    @property
    def sentence(self) -> str:
        done = len(self.results.results)
        state = "done" if self.reported else "running, or interrupted"
        return f"{self.results.suite}: {done} of {self.cells} models are done ({state})"

    @classmethod
    def of(cls, folder: Path) -> Standing:
        """Reads a run directory. Raises InputError where it has no suite.toml, with which a run begins."""
        path = folder / "suite.toml"
        if not path.is_file():
            raise InputError(f"{path} is not there; a run begins with it: name the directory of one")
        suite = load_suite(str(path))
        cells = [cell for spec in suite.corpus_specs() for cell in cells_of(suite, spec)]
        files = [cell.scores_file(folder) for cell in cells]
        runs = [run for file in files if (run := load_run(file)) is not None]
        page = folder / "report.html"
        newest = max(file.stat().st_mtime for file in (path, *files) if file.is_file())
        results = Results(
            suite=suite.name,
            corpora=[CorpusResult(name=spec.name) for spec in suite.corpus_specs()],
            results=[result_of(run) for run in runs],
        )
        curves = {f"{cell.place} {cell.stem}": curve for cell in cells if (curve := _curve(cell, folder))}
        reported = len(runs) == len(cells) and page.is_file() and page.stat().st_mtime >= newest
        return cls(results, curves, len(cells), reported)


class _Trained(msgspec.Struct):
    """Of a checkpoint, what is shown of it: its passes."""

    history: list[dict[str, float | None]]


def _curve(cell: Cell, folder: Path) -> list[float]:
    """Held-out bits a token of a fit that goes on, from its checkpoint; none where there is none that can be read."""
    try:
        facts = archived_arrays(cell.checkpoint_file(folder), ["facts"])["facts"]
        history = msgspec.convert(json.loads(str(facts)), _Trained).history
    except (ValueError, RecursionError, msgspec.ValidationError):
        return []
    bits = [epoch.get("valid_bits") for epoch in history]
    return [value for value in bits if value is not None and math.isfinite(value)]
