"""A key is in one of its two places, whatever the keys."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmbench.storage.lookup import TwoPlaces


def assert_found(keys):
    keys = np.array(keys, dtype=np.uint64)
    numbers = np.arange(len(keys)) * 3
    one, two = TwoPlaces(keys, numbers).candidates(keys)
    assert ((one == numbers) | (two == numbers)).all()


@given(st.sets(st.integers(0, 2**64 - 1), max_size=300))
def test_any_keys(keys):
    assert_found(list(keys))


@pytest.mark.parametrize("step", [1, 7, 10_001, 2**16, 2**32])
def test_regular_keys(step):
    assert_found([i * step for i in range(20_000)])


def test_keys_that_are_not_there_get_some_numbers():
    table = TwoPlaces(np.array([5], dtype=np.uint64), np.array([9]))
    one, two = table.candidates(np.arange(100, dtype=np.uint64))
    assert set(one) | set(two) <= {0, 9}
    assert table.nbytes == 4 * 2


def test_keys_that_repeat_are_refused():
    with pytest.raises(ValueError, match="distinct"):
        TwoPlaces(np.array([5, 5, 5], dtype=np.uint64), np.arange(3))
