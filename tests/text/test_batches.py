"""The two samplers of 8.3.4, on the book's example and on any text."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmbench.errors import InputError
from lmbench.text.batches import jittered_batches, random_batches, sequential_batches


@pytest.mark.parametrize("sampler", [sequential_batches, random_batches])
@pytest.mark.parametrize("seed", range(10))
def test_the_books_example(sampler, seed):
    # 0..34, 5 steps, batch 2: (35 - 1) // 5 = 6 subsequences, whatever the offset, so 3 minibatches.
    batches = list(sampler(range(35), 2, 5, rng=np.random.default_rng(seed)))
    assert len(batches) == 3
    for x, y in batches:
        assert x.shape == y.shape == (2, 5)
        np.testing.assert_array_equal(y, x + 1)
        np.testing.assert_array_equal(np.diff(x, axis=1), 1)


def test_sequential_batches_of_the_book_without_offset():
    # 34 // 2 = 17 tokens a row: rows begin at 0 and 17, and two tokens of each row are left out.
    batches = list(sequential_batches(range(35), 2, 5, offset=0))
    np.testing.assert_array_equal(batches[0][0], [[0, 1, 2, 3, 4], [17, 18, 19, 20, 21]])
    np.testing.assert_array_equal(batches[2][1], [[11, 12, 13, 14, 15], [28, 29, 30, 31, 32]])


def test_offsets_differ_and_zero_is_possible():
    rng = np.random.default_rng(0)
    firsts = {int(next(sequential_batches(range(35), 2, 5, rng=rng))[0][0, 0]) for _ in range(100)}
    assert firsts == {0, 1, 2, 3, 4}


shapes = st.tuples(st.integers(1, 6), st.integers(1, 9), st.integers(0, 200), st.integers(0, 2**32 - 1))


@given(shapes)
def test_sequential_rows_continue_each_other(shape):
    batch, steps, extra, seed = shape
    batches = list(
        sequential_batches(range((batch + 1) * steps + extra), batch, steps, np.random.default_rng(seed))
    )
    for (x, _), (following, _) in itertools.pairwise(batches):
        np.testing.assert_array_equal(following[:, 0], x[:, -1] + 1)


@given(shapes)
def test_less_than_two_minibatches_are_left_out(shape):
    batch, steps, extra, seed = shape
    total = (batch + 1) * steps + extra
    for sampler in (sequential_batches, random_batches):
        predicted = np.concatenate(
            [y.ravel() for _, y in sampler(range(total), batch, steps, np.random.default_rng(seed))]
        )
        assert len(np.unique(predicted)) == len(predicted), "no token is predicted twice"
        assert total - 1 - len(predicted) < 2 * batch * steps


@given(shapes)
def test_random_batches_are_the_offsets_subsequences_shuffled(shape):
    batch, steps, extra, seed = shape
    total = (batch + 1) * steps + extra
    starts = [
        x[:, 0] for x, _ in random_batches(range(total), batch, steps, np.random.default_rng(seed), offset=0)
    ]
    starts = np.concatenate(starts)
    assert set(starts.tolist()) <= set(range(0, total - steps, steps))
    assert len(starts) == (total - 1) // steps // batch * batch


@given(shapes)
def test_jittered_rows_continue_and_lose_less_than_one_token_a_row_after_the_offset(shape):
    batch, steps, extra, seed = shape
    total = (batch + 1) * steps + extra
    batches = list(jittered_batches(range(total), batch, steps, np.random.default_rng(seed)))
    lanes = np.concatenate([x for x, _ in batches], axis=1)
    np.testing.assert_array_equal(np.diff(lanes, axis=1), 1)
    np.testing.assert_array_equal(np.concatenate([y for _, y in batches], axis=1), lanes + 1)
    assert total - 1 - lanes.size < steps + batch
    for x, _ in batches[:-1]:
        assert (steps + 1) // 2 <= x.shape[1] <= steps + steps // 2


@pytest.mark.parametrize("sampler", [sequential_batches, random_batches])
def test_too_short_text_is_one_clear_error_at_once(sampler):
    assert len(list(sampler(range(15), 2, 5))) >= 1  # (2 + 1) * 5 suffice for every offset
    with pytest.raises(InputError, match=r"too short: 14 tokens.*need 15; give more text"):
        sampler(range(14), 2, 5)
    with pytest.raises(InputError, match="empty"):
        sampler(range(14), 0, 5)
