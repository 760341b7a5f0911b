"""Which stretches of the test text stand in the training text."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmbench.comparing.overlap import bits_inside_and_outside, contamination
from lmbench.scoring.scores import Scores
from lmbench.text import hashing, runs
from lmbench.text.canonical import CanonicalText
from lmbench.text.hashing import CHUNK
from lmbench.text.units import unit_named


def text_of(text):
    return CanonicalText.of([text])


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
    result = contamination(text_of(train), text_of(test), "char")
    count, covered = slow(train, test)
    assert result.matches == count >= 16 + 1  # 45 characters hold 16 runs of 30, 29 hold none
    np.testing.assert_array_equal(result.covered, covered)
    assert result.stretches == len(test) - 29
    assert result.share == count / (len(test) - 29)


def test_runs_across_chunks_of_training_text():
    train = "".join(map(chr, np.random.default_rng(1).integers(97, 123, 2 * CHUNK + 100)))
    seam = train[CHUNK - 20 : CHUNK + 20]
    result = contamination(text_of(train), text_of(seam), "char")
    assert result.share == 1


def test_words_across_line_ends_and_blanks():
    train = "zero one two three\nfour five six  seven eight nine"
    test = "fresh one two three four\n\nfive six seven eight end"
    result = contamination(text_of(train), text_of(test), "word")
    # Ten words hold three runs of eight; "one … eight" stands in train.
    assert (result.stretches, result.matches) == (3, 1)
    assert test[result.covered.argmax() :].startswith("one")
    assert result.covered.sum() == len("one two three four\n\nfive six seven eight")


def test_bits_on_both_sides():
    train = "a b c d e f g h"
    test = "x a b c d e f g h y"
    ends = unit_named("word").ends(test)
    bits = np.array([9.0, 1, 1, 1, 1, 1, 1, 1, 1, 5])
    n = len(ends)
    scores = Scores(
        -bits * math.log(2), ends, np.zeros(n, bool), np.zeros(n), np.zeros(1, np.int64), 19, 19, 10, 9
    )
    overlapping, clean = bits_inside_and_outside(contamination(text_of(train), text_of(test)).covered, scores)
    assert overlapping == pytest.approx(8 / 16)  # eight words of two characters, the blank before included
    assert clean == pytest.approx(14 / 3)  # "x" and " y"


def test_short_texts():
    result = contamination(text_of("a b"), text_of("a b"))
    assert result.share == 0
    assert not result.covered.any()


def test_what_models_were_chosen_by_has_been_seen_too():
    rng = np.random.default_rng(7)
    train, valid, fresh = ("".join(map(chr, rng.integers(97, 123, 500))) for _ in range(3))
    test = text_of(train[:100] + fresh[:200] + valid[300:400])
    assert contamination(text_of(train), test, "char").covered.sum() == 100
    assert contamination([text_of(train), text_of(valid)], test, "char").covered.sum() == 200


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(40, 200))
def test_pieces_of_texts_against_sets_of_strings(seed, chunk):
    rng = np.random.default_rng(seed)
    words = [f"{'ab'[n % 2]}{n}" for n in range(12)]
    train, test = (" ".join(words[n] for n in rng.integers(0, 3 + seed % 9, 400)) for _ in range(2))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hashing, "CHUNK", chunk)
        patch.setattr(runs, "CHUNK", chunk)
        by_word, by_char = (contamination(text_of(train), text_of(test), unit) for unit in ("word", "char"))
    count, covered = slow(train, test)
    assert by_char.matches == count
    np.testing.assert_array_equal(by_char.covered, covered)
    stretches = [set(), []]
    for text, of_text in ((train, stretches[0].add), (test, stretches[1].append)):
        split = text.split()
        for i in range(len(split) - 7):
            of_text(tuple(split[i : i + 8]))
    assert by_word.matches == sum(run in stretches[0] for run in stretches[1])
