"""A key is in one of its two places, whatever the keys, and the table is as large as it was asked to be."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmbench.storage.lookup import TwoPlaces

ROOM = 2.3


def assert_found(keys):
    keys = np.array(keys, dtype=np.uint64)
    numbers = np.arange(len(keys)) * 3
    table = TwoPlaces(keys, numbers, ROOM)
    one, two = table.candidates(keys)
    assert ((one == numbers) | (two == numbers)).all()
    return table


@given(st.sets(st.integers(0, 2**64 - 1), max_size=300))
def test_any_keys(keys):
    table = assert_found(list(keys))
    assert table.nbytes <= max(4, 4 * 2 * ROOM * len(keys))


@given(st.integers(1, 2**40), st.integers(0, 63), st.integers(2, 400))
def test_few_keys_at_any_distance(step, shift, number):
    keys = {(i * step << shift) % 2**64 for i in range(number)}
    assert assert_found(sorted(keys)).nbytes <= 4 * 2 * ROOM * len(keys)


N = 20_000
RNG = np.random.default_rng(3)
V = 30_000


def words(spelt):
    """Words of up to eight bytes as ``text.interning`` takes them for numbers."""
    return [int.from_bytes(word.encode().ljust(8, b"\0"), "little") for word in spelt]


ADVERSARIES = {
    "consecutive": range(N),
    **{f"each {step:,}th": range(0, N * step, step) for step in (7, 10_001, 2**16, 2**32, 2**44)},
    "high bits alone": [i << 49 for i in range(N)],
    "both halves alike": [i << 32 | i for i in range(N)],
    "numbers in digits": words(map(str, range(N))),
    "numbers in digits, drawn": words(map(str, RNG.permutation(400_000)[:N].tolist())),
    "ids of eight bytes": words(f"id{i:06}" for i in range(N)),
    "ids that differ at the end": words(f"{i:08}" for i in range(N)),
    "ids that differ in front": words(f"{i:05}xyz" for i in range(N)),
    "two letters and zeros": words(
        f"{chr(97 + i % 26)}{chr(97 + i // 26 % 26)}{i:06}"[::-1] for i in range(N)
    ),
    "products": sorted({a * b for a in range(1, 200) for b in range(1, 2000, 3)})[:N],
    "multiples of the inverse": [i * pow(0x9E3779B97F4A7C15, -1, 2**64) % 2**64 for i in range(N)],
    "multiples of the inverse, shifted": [
        (i << 32) * pow(0x9E3779B97F4A7C15, -1, 2**64) % 2**64 for i in range(N)
    ],
    "one context": [12_345 * V + word for word in range(N)],
    "one word": [context * V + 12_345 for context in range(N)],
    "contexts of a power of two": [context << 16 | 7 for context in range(N)],
    "few bits set": [1 << a | 1 << b | 1 << c for a in range(64) for b in range(a) for c in range(b)][:N],
    "doubles": np.arange(1, N + 1, dtype=np.float64).view(np.uint64).tolist(),
}


@pytest.mark.parametrize("adversary", ADVERSARIES)
def test_no_pattern_of_keys_makes_the_table_larger(adversary):
    """Unmixed, such keys share their places: the table grew to hundreds of times its size, or for ever."""
    keys = list(ADVERSARIES[adversary])
    assert assert_found(keys).nbytes == 4 * int(ROOM * len(keys))


def test_the_two_places_are_independent():
    """Of keys that share their first place, hardly any share their second: 20,000 in 46,000 places twice make 0.1 such pairs."""
    for keys in ADVERSARIES.values():
        keys = np.array(list(keys), dtype=np.uint64)
        one, two = TwoPlaces(keys, np.arange(len(keys)))._homes(keys).astype(np.uint64)
        pairs = len(keys) - len(np.unique(one << np.uint64(32) | two))
        assert pairs <= 4
        for home in (one, two):  # N distinct keys leave e^(-1/2.3) of all places empty
            assert len(np.unique(home)) == pytest.approx((1 - np.exp(-1 / ROOM)) * ROOM * len(keys), rel=0.02)


def test_keys_that_are_not_there_get_some_numbers():
    table = TwoPlaces(np.array([5], dtype=np.uint64), np.array([9]))
    one, two = table.candidates(np.arange(100, dtype=np.uint64))
    assert set(one) | set(two) <= {0, 9}
    assert table.nbytes == 4 * 2
    one, two = TwoPlaces(np.zeros(0, dtype=np.uint64), np.zeros(0, dtype=np.int64)).candidates(
        np.arange(9, dtype=np.uint64)
    )
    assert len(one) == len(two) == 9


def test_it_is_asked_whether_keys_repeat_after_several_tries_alone(monkeypatch):
    """Sorting all keys takes longer than placing them."""
    asked = []
    unique = np.unique
    monkeypatch.setattr(np, "unique", lambda keys: asked.append(len(keys)) or unique(keys))
    for number in [*range(200), 20_000]:
        TwoPlaces(np.arange(number, dtype=np.uint64), np.arange(number))
    assert len(asked) <= 2
    assert max(asked, default=0) < 100


def test_keys_that_repeat_are_refused():
    with pytest.raises(ValueError, match="distinct"):
        TwoPlaces(np.array([5, 5, 5], dtype=np.uint64), np.arange(3))
    with pytest.raises(ValueError, match="distinct"):
        TwoPlaces(np.array([*range(9_000), 5, 5], dtype=np.uint64), np.arange(9_002))
