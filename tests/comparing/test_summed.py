"""Sums of runs that are read some tokens at a time, against the whole."""

import tempfile
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmbench.comparing.pairs import comparisons
from lmbench.comparing.summed import Summed
from lmbench.comparing.totals import Totals
from lmbench.errors import InputError
from lmbench.scoring.run import Run, Signature
from lmbench.scoring.scores import Scores
from lmbench.scoring.stored_run import StoredRun, load_run, mapped, save_run


def run_of(label, lengths, starts, documents="stream", seed=0, noise=0):
    """A run whose tokens have the given lengths in characters."""
    rng = np.random.default_rng([seed, noise])
    tokens, chars = len(lengths), int(sum(lengths))
    scores = Scores(
        log_probs=-rng.exponential(2.0, tokens),
        ends=np.cumsum(lengths).astype(np.int64),
        oov=rng.random(tokens) < 0.1,
        spelling=np.where(rng.random(tokens) < 0.1, -1.5, 0.0),
        starts=np.array(starts, dtype=np.int64),
        chars=chars,
        bytes=chars,
        words=tokens,
        vocab_size=9,
    )
    return Run(
        "made",
        label,
        scores,
        Signature(corpus="made", text="ab", documents=documents, lmbench="1", seed=seed),
    )


TEXTS = st.lists(st.integers(0, 5), min_size=1, max_size=60).flatmap(
    lambda lengths: st.tuples(
        st.just([*lengths, 1]),
        st.sets(st.integers(1, len(lengths)), max_size=4).map(lambda s: [0, *sorted(s)]),
    )
)


@given(TEXTS, st.integers(1, 9))
def test_pieces_of_scores_are_all_of_them(text, size):
    scores = run_of("a", *text).scores
    pieces = list(scores.pieces(size))
    assert np.concatenate([piece.log_probs for piece, _ in pieces]).tolist() == scores.log_probs.tolist()
    assert sum(piece.chars for piece, _ in pieces) == scores.chars
    assert sum(piece.words for piece, _ in pieces) == scores.words
    offsets = np.cumsum([0, *(len(piece) for piece, _ in pieces)])
    starts = [
        s + o for (piece, goes_on), o in zip(pieces, offsets, strict=False) for s in piece.starts[goes_on:]
    ]
    assert starts == scores.starts.tolist()


@given(TEXTS, st.integers(1, 9), st.booleans())
@settings(max_examples=40)
def test_sums_of_pieces_are_those_of_the_whole(text, size, lines):
    scores = run_of("a", *text).scores
    whole = Totals.of(scores, lines)
    pieces = Totals(9, whole.edges, False)
    for piece, goes_on in scores.pieces(size):
        pieces.add(piece, None, goes_on)
    for losses, lengths in (("bits", "chars"), ("nats", "tokens")):
        one, other = whole.cells(losses, lengths), pieces.cells(losses, lengths)
        np.testing.assert_allclose(one.losses, other.losses, atol=1e-12)
        np.testing.assert_allclose(one.lengths, other.lengths, atol=1e-12)
    assert pieces.bits == pytest.approx(whole.bits)


@pytest.mark.parametrize("documents", ["stream", "line"])
def test_runs_in_files_compare_as_those_in_memory(tmp_path, monkeypatch, documents):
    rng = np.random.default_rng(3)
    lengths = rng.integers(1, 6, 5000)
    starts = np.unique(np.append(0, rng.integers(0, 5000, 40)))
    runs = [
        run_of(label, lengths, starts, documents, seed, n) for n, label in enumerate("ab") for seed in (0, 1)
    ]
    for number, run in enumerate(runs):
        save_run(run, tmp_path / f"{number}.npz", "key")
    expected = comparisons(runs)
    in_files = [Summed.stored(tmp_path / f"{number}.npz") for number in range(4)]
    assert comparisons(in_files) == expected
    assert [run.bits_per_char for run in in_files] == [run.scores.bits_per_char for run in runs]
    monkeypatch.setattr(Scores.pieces, "__defaults__", (700,))
    monkeypatch.setattr(StoredRun.pieces, "__defaults__", (700,))
    for again in (runs, [Summed.stored(tmp_path / f"{number}.npz") for number in range(4)]):
        for one, other in zip(comparisons(again), expected, strict=True):
            assert (one.verdict, one.method) == (other.verdict, other.method)
            assert one.difference_bits_per_char == pytest.approx(other.difference_bits_per_char, rel=1e-9)
            assert one.ci95 == pytest.approx(other.ci95, rel=1e-6)


def test_a_stored_run_is_read_in_pieces_as_whole_and_refused_where_it_is_damaged(tmp_path):
    run = run_of("a", [3, 0, 2, 4, 1, 5], [0, 4])
    path = tmp_path / "a.npz"
    save_run(run, path, "key")
    stored = StoredRun.of(path)
    assert (stored.tokens, stored.documents, stored.chars) == (6, 2, 15)
    for size in (1, 2, 4, 9):
        pieces = [piece for piece, _ in stored.pieces(size)]
        for name in ("log_probs", "oov", "spelling"):
            assert np.array_equal(
                np.concatenate([getattr(p, name) for p in pieces]), getattr(run.scores, name)
            )
        assert [p.chars for p in pieces] == [p.chars for p, _ in run.scores.pieces(size)]
    for wrong in (
        {"ends": np.array([3, 2, 5, 9, 10, 15])},
        {"starts": np.array([0, 4, 2])},
        {"log_probs": np.array([-1.0] * 5 + [0.5])},
        {"spelling": np.zeros(5)},
    ):
        save_run(replace(run, scores=replace(run.scores, **wrong)), path, "key")
        for reading in (load_run, lambda path: list(StoredRun.of(path).pieces(2))):
            with pytest.raises(InputError, match="is no stored run, or is damaged"):
                reading(path)


def test_scores_of_a_long_text_are_the_same_in_a_file_and_leave_none(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    one = run_of("a", [3, 0, 2, 4], [0, 2])
    assert mapped(one) is one
    monkeypatch.setattr("lmbench.scoring.stored_run.PIECE", 4)
    again = mapped(one)
    assert again.scores is not one.scores
    for name in ("log_probs", "ends", "oov", "spelling", "starts"):
        assert np.array_equal(getattr(again.scores, name), getattr(one.scores, name))
        assert type(getattr(again.scores, name)) is np.ndarray
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    assert mapped(one) is one
