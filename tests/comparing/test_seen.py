"""What of a test text has been seen, in training text and in valid text, word for word and with changes."""

import numpy as np
import pytest

from lmbench.comparing.seen import Seen
from lmbench.corpora.corpus import Corpus
from lmbench.scoring.scores import LN2, Scores
from lmbench.text.canonical import CanonicalText


def text_of(text):
    return CanonicalText.of([text])


def letters(seed, size):
    return "".join(map(chr, np.random.default_rng(seed).integers(97, 123, size)))


def some_words(size, seed=0):
    return " ".join(letters(1000 * seed + n, 3 + n % 5) for n in range(size))


def test_train_and_valid_have_both_been_seen():
    train, valid, fresh = letters(0, 400), letters(1, 400), letters(2, 200)
    test = train[:50] + fresh[:100] + valid[:50] + fresh[100:]
    seen = Seen.of(Corpus("c", text_of(train), text_of(valid), text_of(test)))
    assert seen.covered.sum() == 100
    assert seen.share == 100 / 300
    assert Seen.of(Corpus("c", text_of(train), None, text_of(test))).covered.sum() == 50


def test_stretches_and_passages_with_changes_are_seen():
    words = some_words(400).split()
    passage = words[100:160]
    passage[9::10] = ["changed"] * 6  # nine words alike are 36 characters or more
    fresh = some_words(100, 1)
    test = f"{fresh} {' '.join(passage)} {fresh.upper()} {' '.join(words[300:306])}"
    seen = Seen.among([text_of(" ".join(words))], text_of(test))
    assert seen.copies.share > 0.2
    assert (seen.covered >= seen.copies.covered).all()
    assert seen.covered[-25:].all()  # six words are a stretch of 30 characters, but no passage
    assert not seen.copies.covered[-25:].any()
    assert not seen.covered[: len(fresh) - 5].any()


def test_bits_on_both_sides():
    train, fresh = letters(0, 400), letters(2, 200)
    test = fresh + train[:100]
    bits = np.append(np.full(200, 3.0), np.full(100, 1.0))
    n = len(test)
    scores = Scores(
        -bits * LN2, np.arange(1, n + 1), np.zeros(n, bool), np.zeros(n), np.zeros(1, np.int64), n, n, 1, 27
    )
    assert Seen.among([text_of(train)], text_of(test)).bits_per_char(scores) == pytest.approx((1.0, 3.0))
    inside, outside = Seen.among([text_of("other")], text_of(test)).bits_per_char(scores)
    assert np.isnan(inside)
    assert outside == pytest.approx(7 / 3)


def test_a_test_text_inside_the_training_text_has_no_ranks():
    text = some_words(500)
    assert "of the test text stands in" in Seen.among([text_of(text)], text_of(text)).copies.unranked_reason
    assert Seen.among([text_of(text)], text_of(some_words(500, 1))).copies.unranked_reason is None
