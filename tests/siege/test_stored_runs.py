"""Stored runs that are damaged are measured anew; what is sound is read as it was."""

import zipfile

import numpy as np
import pytest
from paths import GOLDEN
from small_suites import suite_of

from lmbench.bench.runner import measure_suite
from lmbench.bench.watch import Watch
from lmbench.errors import InputError
from lmbench.results.diff import diff_runs
from lmbench.scoring.stored_run import load_run, save_run

TEXT = str(GOLDEN / "ferry.train.txt")


class Remarks(Watch):
    def __init__(self):
        self.remarks, self.fresh = [], []

    def remark(self, sentence):
        self.remarks.append(sentence)

    def done(self, cell, outcome, fresh):
        if fresh:
            self.fresh.append(cell.label)


@pytest.fixture
def measured(tmp_path):
    suite = suite_of(("uniform",), ("bigram", "b", "char", {"eps": (1, 1)}), zipf_orders=())
    measure_suite(suite, tmp_path / "run")
    return suite, tmp_path / "run"


def rewritten(path, **changed):
    """A stored run with other arrays in it."""
    with np.load(path) as stored:
        arrays = dict(stored) | changed
    np.savez_compressed(path, **{name: a for name, a in arrays.items() if a is not None})


@pytest.mark.parametrize(
    "changed",
    [
        {"log_probs": np.array([1.0])},
        {"log_probs": np.array([np.nan, -1.0])},
        {"log_probs": np.array([-1e200])},
        {"log_probs": np.array([-1 + 2j])},
        {"log_probs": np.array(["a"])},
        {"ends": None},
        {"ends": np.array([[1]])},
        {"about": np.array([1, 2], dtype=np.uint8)},
        {"starts": np.array([7, 3])},
        {"oov": np.zeros(3, dtype=np.int8)},
    ],
)
def test_a_stored_run_that_does_not_read_is_measured_anew(measured, changed):
    suite, folder = measured
    path = folder / "scores/ferry/b.npz"
    before = path.read_bytes()
    rewritten(path, **changed)
    with pytest.raises(InputError, match="no stored run, or is damaged"):
        load_run(path)
    watch = Remarks()
    measure_suite(suite, folder, watch=watch)
    assert watch.fresh == ["b"]
    assert len([said for said in watch.remarks if "it is measured anew" in said]) == 1
    again, other = load_run(path), folder / "other.npz"
    other.write_bytes(before)
    assert np.array_equal(again.scores.log_probs, load_run(other).scores.log_probs)


def test_an_array_with_a_header_of_old_is_damage_and_no_warning(measured, recwarn):
    _, folder = measured
    path = folder / "scores/ferry/b.npz"
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    head = members["ends.npy"].replace(b"(", b"(0L+", 1).replace(b"    ", b"", 1)
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in {**members, "ends.npy": head}.items():
            archive.writestr(name, data)
    with pytest.raises(InputError, match="no stored run, or is damaged"):
        load_run(path)
    assert [str(warning.message) for warning in recwarn] == []


@pytest.mark.parametrize("starts", [[], [1], [-1, 5], [0, 5, 3], [0, 10**6]])
def test_documents_that_do_not_begin_with_the_text_are_damage(measured, starts):
    _, folder = measured
    path = folder / "scores/ferry/b.npz"
    rewritten(path, starts=np.array(starts, dtype=np.int64))
    with pytest.raises(InputError, match="no stored run, or is damaged"):
        load_run(path)


def test_a_cut_run_is_named_by_diff(measured, tmp_path):
    suite, folder = measured
    measure_suite(suite, tmp_path / "other")
    path = folder / "scores/ferry/b.npz"
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(InputError, match=r"b\.npz is no stored run"):
        diff_runs(tmp_path / "other", folder)


def test_a_cost_of_spelling_without_end_is_no_damage(measured):
    """A lone surrogate outside the vocabulary has no spelling: -inf."""
    _, folder = measured
    path = folder / "scores/ferry/b.npz"
    spelling = load_run(path).scores.spelling.copy()
    spelling[1] = -np.inf
    rewritten(path, spelling=spelling)
    assert load_run(path).scores.spelling[1] == -np.inf
    rewritten(path, spelling=np.where(np.isinf(spelling), -1e101, spelling))
    with pytest.raises(InputError, match="beyond what a token can cost"):
        load_run(path)


def test_what_is_stored_is_read_as_it_was(measured):
    _, folder = measured
    run = load_run(folder / "scores/ferry/b.npz")
    save_run(run, folder / "again.npz", "k")
    assert load_run(folder / "again.npz", "k").facts == run.facts
    assert load_run(folder / "again.npz", "other") is None
    assert load_run(folder / "nothing.npz") is None
