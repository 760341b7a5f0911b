"""Passages with changed words are found, refrains and chance are not, and a test text inside the training text is refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmbench.comparing.copies import Copies, copies
from lmbench.text import hashing, runs
from lmbench.text.canonical import CanonicalText


def text_of(text):
    return CanonicalText.of([text])


def words(rng, count, types=5000):
    """Words of a source with a Zipfian head."""
    return [f"w{n}" for n in (types * rng.random(count) ** 3).astype(int)]


def changed(rng, passage, rate):
    """A passage with a share of its words replaced, left out or doubled."""
    made = []
    for word in passage:
        fate = rng.random() / rate if rate else 1.0
        made += (
            [f"x{rng.integers(10**6)}"]
            if fate < 0.6
            else []
            if fate < 0.8
            else [word, word]
            if fate < 1
            else [word]
        )
    return made


def planted(rate, length=100, copied=20, seed=0):
    """Training text, test text, and (chars,) bool of the test text: what was copied from the training text, with changes."""
    rng = np.random.default_rng(seed)
    train, test, truth = words(rng, 20_000), [], []
    for _ in range(copied):
        fresh = words(rng, 200)
        begin = rng.integers(len(train) - length)
        passage = changed(rng, train[begin : begin + length], rate)
        test += fresh + passage
        truth += [
            np.zeros(sum(len(w) + 1 for w in fresh), bool),
            np.ones(sum(len(w) + 1 for w in passage), bool),
        ]
    return text_of(" ".join(train)), text_of(" ".join(test)), np.concatenate(truth)[:-1]


@pytest.mark.parametrize(("rate", "least"), [(0.0, 0.97), (0.05, 0.93), (0.1, 0.85), (0.2, 0.4)])
def test_passages_with_changes_are_found(rate, least):
    train, test, truth = planted(rate)
    found = copies(train, test).covered
    assert found[truth].mean() > least
    assert found[~truth].mean() < 0.02


def test_texts_of_one_source_hold_no_copies():
    train, test = (
        text_of(" ".join(words(np.random.default_rng(seed), 30_000, types=200))) for seed in (1, 2)
    )
    assert copies(train, test).share < 0.01


def test_what_the_test_text_says_over_and_over_is_no_copy():
    refrain = "and so they sailed away to the west on a grey morning with the wind in their sails and the gulls above them "
    train = text_of(refrain * 50)
    assert copies(train, text_of(refrain * 10)).share == 0
    assert copies(train, text_of(refrain)).share > 0.9


def test_a_passage_that_the_training_text_has_many_times_is_found():
    rng = np.random.default_rng(3)
    passage = " ".join(words(rng, 300))
    assert copies(text_of(f"{passage}\n" * 100), text_of(passage)).share > 0.99


def test_case_and_punctuation_do_not_hide_a_copy():
    rng = np.random.default_rng(4)
    passage = words(rng, 60)
    train, test = text_of(" ".join(passage)), text_of(", ".join(word.upper() for word in passage))
    assert copies(train, test).share > 0.99


def test_where_passages_lie_and_where_they_come_from():
    rng = np.random.default_rng(5)
    first, second = (" ".join(words(rng, 500)) for _ in range(2))
    a, b = second[:800].rpartition(" ")[0], first[1000:1500].partition(" ")[2]
    a, b = a.partition(" ")[2], b.rpartition(" ")[0]
    fresh = " ".join(f"y{n}" for n in range(100))
    test = f"{fresh} {a} {fresh.upper()} {b}"
    found = copies([text_of(first), text_of(second)], text_of(test))
    assert [test[begin:end] for begin, end in found.spans.tolist()] == [a, b]
    assert found.sources.tolist() == [[1, second.index(a)], [0, first.index(b)]]
    assert found.covered.sum() == len(a) + len(b)


def test_a_text_without_blanks():
    letters = np.array(list("abcdefghijklmnop"))
    rng = np.random.default_rng(6)
    train, fresh = ("".join(letters[rng.integers(0, 16, 5000)]) for _ in range(2))
    copy = list(train[1000:2000])
    for place in rng.integers(0, 1000, 20):
        copy[place] = "z"
    found = copies(text_of(train), text_of(fresh + "".join(copy))).covered
    assert found[5000:].mean() > 0.9
    assert not found[:5000].any()


def inside(seen, test):
    return copies(seen, test).unranked_reason


def test_a_test_text_inside_the_training_text_is_refused():
    train, test, _ = planted(0.0)
    whole = train.text.split(" ")
    cut = text_of(" ".join(whole[5000:9000]))
    said = inside(train, cut)
    assert said.startswith(
        "100% of the test text stands in the text that the model has seen (characters 0 to "
    )
    assert f"from character {len(' '.join(whole[:5000])) + 1:,} of it on" in said
    assert inside([test, train], cut)
    near = text_of(" ".join(changed(np.random.default_rng(1), whole[5000:9000], 0.1)))
    assert inside(train, near)
    assert inside(train, test) is None  # a third of it is copied
    assert inside(text_of("a b"), text_of("a b")) is None
    assert inside([], cut) is None


def test_sources_of_few_symbols_are_not_refused():
    for text in ("a b c " * 3000, "abab" * 3000, "0110" * 500 + "\n"):
        assert inside(text_of(text), text_of(text[: len(text) // 4])) is None


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32 - 1))
def test_pieces_change_nothing(seed):
    train, test, _ = planted(0.1, length=60, copied=3, seed=seed)
    whole = copies(train, test)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hashing, "CHUNK", 1000)
        patch.setattr(runs, "CHUNK", 1000)
        cut = copies(train, test)
    for one, other in zip((whole.spans, whole.sources), (cut.spans, cut.sources), strict=True):
        np.testing.assert_array_equal(one, other)


def test_nothing_is_found_in_nothing():
    empty = copies(text_of("one two"), text_of("three"))
    assert (empty.share, empty.spans.shape, empty.sources.shape) == (0, (0, 2), (0, 2))
    assert Copies(empty.spans, empty.sources, 0).share == 0
