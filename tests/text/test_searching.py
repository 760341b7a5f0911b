"""What occurs among many pieces, against sets."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lmbench.text.searching import DEEP, Filter, Members, distinct, occurring

numbers = st.lists(st.sampled_from([0, 1, 2, 3, 2**40, 2**63, 2**64 - 1]), max_size=12)


@given(numbers, st.lists(numbers, max_size=9))
def test_what_occurs_is_what_a_set_holds(members, pieces):
    kept = np.array(sorted(set(members)), dtype=np.uint64)
    found = occurring(kept, (np.array(piece, dtype=np.uint64) for piece in pieces))
    every = {number for piece in pieces for number in piece}
    assert found.tolist() == [number in every for number in kept.tolist()]


@given(numbers, numbers, st.booleans())
def test_places_among_members_are_those_in_a_list(members, asked, deep):
    kept = sorted({*members, *range(DEEP * deep)})
    places = Members(np.array(kept, dtype=np.uint64)).places(np.array(asked, dtype=np.uint64))
    assert places.tolist() == [kept.index(number) if number in kept else -1 for number in asked]


def test_places_among_many_members_are_those_of_bisection():
    rng = np.random.default_rng(1)
    kept = np.unique(rng.integers(0, 2**64, 5000, dtype=np.uint64))
    asked = np.concatenate([kept, rng.integers(0, 2**64, 5000, dtype=np.uint64), kept + np.uint64(1)])
    places = np.searchsorted(kept, asked)
    expected = np.where(kept.take(places, mode="clip") == asked, places, -1)
    assert np.array_equal(Members(kept).places(asked), expected)


@given(numbers)
def test_distinct_is_unique(values):
    ascending = np.sort(np.array(values, dtype=np.uint64))
    made, expected = distinct(ascending), np.unique(ascending, return_index=True, return_counts=True)
    assert all(np.array_equal(one, other) for one, other in zip(made, expected, strict=True))


def test_a_filter_holds_what_was_added_and_little_else():
    rng = np.random.default_rng(0)
    hashes = rng.integers(0, 2**64, 20_000, dtype=np.uint64)
    some = Filter(10_000)
    some.add(hashes[:10_000])
    assert some.may_hold(hashes[:10_000]).all()
    assert some.may_hold(hashes[10_000:]).mean() < 0.3
