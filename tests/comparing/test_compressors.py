"""Compressors as models: a text that was read before costs next to nothing."""

import numpy as np
import pytest

from lmbench.comparing.compressors import baseline_bits_per_char, compressors, seven_zip
from lmbench.text.canonical import CanonicalText


def text_of(seed, n=20_000):
    letters = np.array(list("abcdefgh"))
    return CanonicalText.of(["".join(letters[np.random.default_rng(seed).integers(0, 8, n)])])


def test_random_letters_cost_their_entropy():
    found = baseline_bits_per_char(text_of(0), text_of(1))
    assert set(found) == set(compressors()) >= {"bz2", "xz"}
    for name, bits in found.items():
        assert 2.95 <= bits <= 3.6, name  # eight letters alike: 3 bits


def test_what_was_read_is_free():
    found = baseline_bits_per_char(text_of(0), text_of(0))
    assert found["xz"] < 0.05


@pytest.mark.skipif(seven_zip() is None, reason="7-Zip is not installed")
def test_ppmd_learns():
    once = CanonicalText.of(["the ferry waits by the river and " * 200])
    assert baseline_bits_per_char(once, once)["ppmd"] < 0.05
