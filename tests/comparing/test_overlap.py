"""Which stretches of the test text stand in the training text."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmbench.comparing.overlap import CHUNK, contamination, window_hashes
from lmbench.scoring.scores import Scores
from lmbench.text.canonical import CanonicalText
from lmbench.text.units import unit_named


def text_of(text):
    return CanonicalText.of([text])


@given(st.lists(st.integers(0, 2), max_size=40), st.integers(1, 9))
def test_hashes_are_equal_exactly_where_runs_are(values, length):
    hashes = window_hashes(np.array(values, dtype=np.uint64), length).tolist()
    runs = [tuple(values[i : i + length]) for i in range(len(values) - length + 1)]
    assert len(hashes) == len(runs)
    assert len(set(zip(runs, hashes, strict=True))) == len(set(runs)) == len(set(hashes))


def slow(train, test):
    """Covered characters and count by plain search of 30-character strings."""
    covered = np.zeros(len(test), dtype=bool)
    found = 0
    for i in range(len(test) - 29):
        if test[i : i + 30] in train:
            found += 1
            covered[i : i + 30] = True
    return found, covered


def test_characters_against_plain_search():
    rng = np.random.default_rng(0)
    letters = np.array(list("abcdeé "))
    train = "".join(letters[rng.integers(0, 7, 2000)])
    fresh = ["".join(letters[rng.integers(0, 7, 100)]) for _ in range(3)]
    test = fresh[0] + train[300:345] + fresh[1] + train[1000:1030] + fresh[2] + train[5:34]
    found = contamination(text_of(train), text_of(test), "char")
    count, covered = slow(train, test)
    assert found.found == count >= 16 + 1  # 45 characters hold 16 runs of 30, 29 hold none
    np.testing.assert_array_equal(found.covered, covered)
    assert found.stretches == len(test) - 29
    assert found.share == count / (len(test) - 29)


def test_runs_across_chunks_of_training_text():
    train = "".join(map(chr, np.random.default_rng(1).integers(97, 123, 2 * CHUNK + 100)))
    seam = train[CHUNK - 20 : CHUNK + 20]
    found = contamination(text_of(train), text_of(seam), "char")
    assert found.share == 1


def test_words_across_line_ends_and_blanks():
    train = "zero one two three\nfour five six  seven eight nine"
    test = "fresh one two three four\n\nfive six seven eight end"
    found = contamination(text_of(train), text_of(test), "word")
    # Ten words hold three runs of eight; "one … eight" stands in train.
    assert (found.stretches, found.found) == (3, 1)
    assert test[found.covered.argmax() :].startswith("one")
    assert found.covered.sum() == len("one two three four\n\nfive six seven eight")


def test_bits_on_both_sides():
    train = "a b c d e f g h"
    test = "x a b c d e f g h y"
    ends = unit_named("word").ends(test)
    bits = np.array([9.0, 1, 1, 1, 1, 1, 1, 1, 1, 5])
    n = len(ends)
    scores = Scores(
        -bits * math.log(2), ends, np.zeros(n, bool), np.zeros(n), np.zeros(1, np.int64), 19, 19, 10, 9
    )
    overlapping, clean = contamination(text_of(train), text_of(test)).bits_per_char(scores)
    assert overlapping == pytest.approx(8 / 16)  # eight words of two characters, the blank before included
    assert clean == pytest.approx(14 / 3)  # "x" and " y"


def test_short_texts():
    found = contamination(text_of("a b"), text_of("a b"))
    assert found.share == 0
    assert not found.covered.any()
