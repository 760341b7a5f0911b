"""What models pay outside the seen part of a text, and whether the ranking holds there."""

import numpy as np
import pytest

from lmbench.comparing.error_bars import interval
from lmbench.comparing.seen import Seen
from lmbench.comparing.unseen import bits_outside, order_outside
from lmbench.scoring.scores import LN2, Scores
from lmbench.text.canonical import CanonicalText
from lmbench.text.units import unit_named


def text_of(text):
    return CanonicalText.of([text])


def letters(seed, size):
    return "".join(map(chr, np.random.default_rng(seed).integers(97, 123, size)))


def scores(text, bits, unit="char", starts=(0,)):
    """Scores of a text of which each token costs ``bits`` (T,) or a number of bits a character."""
    ends = unit_named(unit).ends(text)
    chars = np.diff(ends, prepend=0)
    nats = -np.broadcast_to(bits, ends.shape) * LN2 * (chars if np.ndim(bits) == 0 else 1)
    n = len(ends)
    starts = np.array(starts, dtype=np.int64)
    return Scores(
        nats, ends, np.zeros(n, bool), np.zeros(n), starts, len(text), len(text), len(text.split()), 27
    )


def assert_same(made, wanted):
    assert [made.estimate, made.low, made.high, made.se] == pytest.approx(
        [wanted.estimate, wanted.low, wanted.high, wanted.se]
    )
    assert made.method == wanted.method


def test_bits_on_both_sides_and_the_interval_of_the_unseen():
    train, fresh = letters(0, 400), letters(2, 4000)
    test = fresh[:1000] + train[:300] + fresh[1000:]
    bits = np.random.default_rng(3).exponential(2, len(test))
    seen = Seen.among([text_of(train)], text_of(test))
    inside = np.zeros(len(test), bool)
    inside[1000:1300] = True
    np.testing.assert_array_equal(seen.covered, inside)
    model = scores(test, bits)
    assert seen.bits_per_char(model) == pytest.approx((bits[inside].mean(), bits[~inside].mean()))
    made = bits_outside(seen.covered, model)
    assert made.estimate == pytest.approx(bits[~inside].mean())
    assert_same(made, interval(bits[~inside], np.ones((~inside).sum())))
    assert made.low < made.estimate < made.high


def test_documents_that_have_been_seen_whole_count_for_nothing():
    rng = np.random.default_rng(4)
    documents = [letters(10 + n, 200 + 40 * n) + "\n" for n in range(8)]
    test = CanonicalText.of(documents)
    seen = Seen.among([text_of(documents[2]), text_of(documents[5])], test)
    bits = rng.exponential(2, test.chars)
    made = bits_outside(seen.covered, scores(test.text, bits, starts=test.starts))
    others = [n for n in range(8) if n not in (2, 5)]
    lengths = [len(documents[n]) for n in others]
    wanted = np.concatenate([bits[test.starts[n] : test.starts[n] + len(documents[n])] for n in others])
    assert_same(made, interval(wanted, np.ones(len(wanted)), np.append(0, np.cumsum(lengths)[:-1])))
    assert made.method == "documents"


def test_where_nothing_can_be_said():
    text = letters(0, 200)
    seen = Seen.among([text_of(text)], text_of(text))
    assert bits_outside(seen.covered, scores(text, 2.0)) is None
    fresh = letters(1, 200)
    seen = Seen.among([text_of(text)], text_of(fresh))
    assert np.isnan(seen.bits_per_char(scores(fresh, 2.0))[0])
    impossible = np.full(200, 2.0)
    impossible[7] = np.inf
    assert bits_outside(seen.covered, scores(fresh, impossible)) is None
    assert order_outside(fresh, {}, seen.covered) is None


def some_words(size, seed=0):
    return " ".join(letters(1000 * seed + n, 3 + n % 5) for n in range(size))


def test_a_headline_that_does_not_hold_outside_says_so():
    text = some_words(2000)
    covered = np.zeros(len(text), bool)
    covered[3000:6000] = True
    rng = np.random.default_rng(5)
    noise = rng.exponential(1, len(text))
    copier = scores(text, noise + np.where(covered, 0.0, 2.0))
    honest = scores(text, noise + 1.7)
    last = scores(text, 9.0, "word")
    made = order_outside(text, {"copier": copier, "last": last, "honest": honest}, covered)
    assert copier.bits_per_char < honest.bits_per_char
    assert (made.first, made.first_outside, list(made.bits)) == (
        "copier",
        "honest",
        ["honest", "copier", "last"],
    )
    assert [(t.a, t.b) for t in made.turned] == [("copier", "honest")]
    # Words across the edges are in or out as wholes.
    assert made.turned[0].outside.difference == pytest.approx(0.3, abs=0.01)
    assert made.turned[0].outside.p_value < 0.05
    share = 3000 / len(text)
    assert made.sentence == (
        f"Outside what the training or valid text holds too ({share:.1%} of the characters) honest is ahead of copier, "
        f"{made.bits['honest']:.3f} to {made.bits['copier']:.3f} bits per character."
    )


def test_a_headline_that_holds_says_nothing():
    text = some_words(300)
    covered = np.arange(len(text)) < 300
    made = order_outside(text, {"a": scores(text, 1.0), "b": scores(text, 2.0, "word")}, covered)
    assert made.sentence is None
    assert not made.turned
    assert made.bits == {"a": pytest.approx(1.0), "b": pytest.approx(2.0)}


@pytest.mark.parametrize(("turn", "said"), [(0.006, True), (0.004, False)])
def test_a_turn_within_noise_is_called_that_and_one_of_no_size_is_not_told(turn, said):
    text = some_words(300)
    covered = np.arange(len(text)) < 300
    noise = np.random.default_rng(6).exponential(1, (2, len(text)))
    b, a = (noise[n] - noise[n][~covered].mean() + 3 for n in (0, 1))
    models = {"a": scores(text, a + np.where(covered, -1.0, turn)), "b": scores(text, b)}
    made = order_outside(text, models, covered)
    assert made.first_outside == "b"
    assert (made.sentence or "").endswith(", a difference that may be noise.") == said
    assert (made.sentence is not None) == said
