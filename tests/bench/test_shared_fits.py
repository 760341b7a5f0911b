"""Cells that differ only in what comes after their fit: it is done once, and each is what it is by itself."""

import numpy as np
import pytest
from small_suites import FERRY, TINY, results_in, suite_of

from lmbench.bench.cells import cells_of
from lmbench.bench.runner import measure
from lmbench.models.neural.training import Trainer

SMALL = {**TINY, "epochs": 2, "direct": 0}
STILL = ("gru", "still", "char", {**SMALL})
MOVING = ("gru", "moving", "char", {**SMALL, "dynamic": 0.01})
OTHER = ("gru", "other", "char", {**SMALL, "lr": 0.001})
READING = [
    (name, f"{name}-{n}", "char", options)
    for name, kinds in {
        "bit-mixing": ({}, {"adaptive": True}, {"read_valid": True}, {"adaptive": True, "read_valid": True}),
        "infini-gram": ({}, {"read_valid": True}),
        "context-mixing": ({"orders": [0, 1]}, {"orders": [0, 1], "read_valid": True}),
    }.items()
    for n, options in enumerate(kinds)
]


@pytest.fixture
def trainings(monkeypatch):
    """The models that were trained, in turn."""
    done = []
    run = Trainer.run
    monkeypatch.setattr(Trainer, "run", lambda self: (done.append(self.options.dynamic), run(self))[1])
    return done


def test_only_those_whose_fit_is_the_same_share_it():
    cells = cells_of(suite_of(STILL, OTHER, MOVING, ("uniform",)), FERRY)
    assert [cell.alike for cell in cells] == ["still", "", "still", ""]
    read = cells_of(suite_of(*READING), FERRY)
    # What needs held-out text is fitted where some is held out, what does not where it is learnt too.
    assert [cell.alike for cell in read] == [
        *["bit-mixing-0"] * 2,
        *["bit-mixing-2"] * 2,
        *["infini-gram-0"] * 2,
        "",
        "",
    ]


def test_a_group_is_of_those_whose_fit_depends_on_the_same():
    third = ("gru", "third", "char", {**SMALL, "dynamic": 0.1})
    suite = suite_of(STILL, OTHER, MOVING, third, ("gru", "word", "word", SMALL), *READING, ("uniform",))
    cells, corpus = cells_of(suite, FERRY), FERRY.load()
    keys, groups = [cell.fit_key(corpus) for cell in cells], [cell.fit_group() for cell in cells]
    assert len(set(zip(keys, groups, strict=True))) == len(set(keys)) == len(set(groups)) == 9


def test_each_is_bit_for_bit_what_it_is_alone(tmp_path, trainings):
    both, found = results_in(tmp_path / "both", suite_of(STILL, MOVING))
    assert trainings == [0.0]
    alone = [results_in(tmp_path / row[1], suite_of(row))[0].runs[0] for row in (STILL, MOVING)]
    for run, one in zip(both.runs, alone, strict=True):
        assert np.array_equal(run.scores.nats, one.scores.nats)
        assert [e.valid_bits for e in run.facts.history] == [e.valid_bits for e in one.facts.history]
    assert "one fit with still" in " ".join(both.runs[1].facts.notes)
    still, moving = found.results
    assert moving.fit_seconds >= still.training_seconds == moving.training_seconds
    assert not list(tmp_path.rglob("*.fit"))


def test_models_that_may_read_on_side_by_side(tmp_path):
    rows = READING[:2] + READING[4:6]
    shared = results_in(tmp_path / "s", suite_of(*rows), jobs=2)[0].runs
    for row, run in zip(rows, shared, strict=True):
        one = results_in(tmp_path / row[1], suite_of(row))[0].runs[0]
        assert np.array_equal(run.scores.nats, one.scores.nats)
    assert not list(tmp_path.rglob("*.fit"))


def test_a_run_that_breaks_off_between_them_goes_on(tmp_path, trainings):
    suite = suite_of(STILL, MOVING)
    first, second = cells_of(suite, FERRY)
    measure(first, suite, tmp_path)
    file = first.fit_file(tmp_path)
    assert file == second.fit_file(tmp_path)
    assert file.is_file()
    results_in(tmp_path, suite)
    assert trainings == [0.0]
    assert not file.exists()
    # A file that nobody waits for, and one that is damaged, or of other code.
    file.write_bytes(b"left")
    results_in(tmp_path, suite)
    assert not file.exists()
    second.scores_file(tmp_path).unlink()
    file.write_bytes(b"left")
    outcome, _ = results_in(tmp_path, suite)
    assert trainings == [0.0, 0.01]
    assert not any("one fit with" in note for note in outcome.runs[1].facts.notes)
    assert not file.exists()
