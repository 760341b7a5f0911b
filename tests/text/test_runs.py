"""Runs of a text's words, characters and ids: equal exactly where these are, all of them or some, however they are cut."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmbench.text import runs
from lmbench.text.canonical import CanonicalText
from lmbench.text.hashing import scramble, word_hashes
from lmbench.text.runs import Numbered, window_hashes


@given(st.lists(st.integers(0, 2), max_size=40), st.integers(1, 9))
def test_hashes_are_equal_exactly_where_runs_are(values, length):
    hashes = window_hashes(np.array(values, dtype=np.uint64), length).tolist()
    tuples = [tuple(values[i : i + length]) for i in range(len(values) - length + 1)]
    assert len(hashes) == len(tuples)
    assert len(set(zip(tuples, hashes, strict=True))) == len(set(tuples)) == len(set(hashes))


def test_narrow_and_wide_numbers_hash_alike():
    values = np.random.default_rng(0).integers(0, 256, 100)
    for kind in (np.uint32, np.int64):
        np.testing.assert_array_equal(
            window_hashes(values.astype(np.uint8), 30), window_hashes(values.astype(kind), 30)
        )


texts = st.text(alphabet="abAÉé9漢 \n\t\u2003.,'", max_size=60)


@settings(deadline=None)
@given(st.lists(st.integers(0, 2), max_size=40), st.integers(1, 9), st.integers(1, 5), st.integers(1, 7))
def test_runs_at_some_places_are_those_of_all(values, length, step, chunk):
    ids = np.array(values, dtype=np.int32)
    every = window_hashes(ids, length)
    for some in (Numbered(ids), Numbered.tokens(ids, 3)):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(runs, "CHUNK", chunk)
            assert np.array_equal(window_hashes(some, length), every)
            spaced = [np.zeros(0, np.uint64), *some.spaced_runs(length, step)]
            begins = np.arange(-3, len(values) + 1, 3)
            around = [np.zeros(0, np.uint64), *some.runs_from(begins, length, step)]
        assert np.array_equal(np.concatenate(spaced), every[::step])
        places = [b + i for b in begins.tolist() for i in range(step) if 0 <= b + i < len(every)]
        assert np.array_equal(np.concatenate(around), every[np.array(places, dtype=int)])


@settings(deadline=None, max_examples=200)
@given(texts, st.booleans(), st.integers(1, 5))
def test_words_by_their_types_are_those_of_the_text(text, folded, chunk):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runs, "CHUNK", chunk)
        words = Numbered.words(CanonicalText.of([text]), folded)
    expected = scramble(word_hashes(text, folded)[0])
    assert len(words) == len(expected)
    assert np.array_equal(words.of(0, len(words)), expected)


def test_characters_of_any_width_make_the_same_runs():
    narrow, wide = Numbered.characters("the ferry"), Numbered.characters("the ferry 船\U0001f6a2")
    assert np.array_equal(window_hashes(narrow, 4), window_hashes(wide, 4)[:6])
