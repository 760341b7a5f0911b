"""Finished runs in their order of time, and which of them moved which model."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lmbench.errors import InputError
from lmbench.results.diff import Change, diff_runs
from lmbench.results.file import read_results
from lmbench.results.schema import Results

DEPTH = 3  # folders below the one that is named


@dataclass(frozen=True)
class Past:
    """A finished run and its folder."""

    folder: Path
    results: Results

    @property
    def name(self) -> str:
        """What a figure and a table call it: its commit, where it is known, else its folder."""
        return self.results.made.commit or self.folder.name


def runs_in(folder: Path) -> tuple[list[Past], list[str]]:
    """The finished runs in a folder and those below it, the oldest first (one that tells no date before all that do), and why some cannot be read.

    Raises InputError where the folder is not there.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is not there; `lmbench run` makes the folder `reports` with a run in it")
    files = sorted(
        path for depth in range(DEPTH + 1) for path in folder.glob("/".join(["*"] * depth + ["results.json"]))
    )
    past, complaints = [], []
    for path in files:
        try:
            past.append(Past(path.parent, read_results(path.parent)))
        except InputError as error:
            complaints.append(str(error))
    return sorted(past, key=lambda run: run.results.made.finished), complaints


@dataclass(frozen=True)
class Step:
    """From one run to the next that has models in common with it: what moved beyond noise by a size that matters."""

    before: Past
    after: Past
    moved: Sequence[Change]
    compared: int


def steps(runs: Sequence[Past], tolerance: float) -> list[Step]:
    """Each run beside the one before it; pairs of which nothing compares are left out. tolerance: bits per character that matter."""
    made = []
    for before, after in itertools.pairwise(runs):
        try:
            changes = diff_runs(before.folder, after.folder, tolerance)
        except InputError:  # a folder whose scores are gone
            continue
        if changes.compared:
            moved = [row for row in changes.compared if row.moved and row.worthwhile]
            made.append(Step(before, after, moved, len(changes.compared)))
    return made
