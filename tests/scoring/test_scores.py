"""Per-token facts, and what follows from them."""

import math

import numpy as np

from lmbench.scoring.scores import Scores


def test_bits_and_starts_of_tokens():
    # Three tokens of 1, 0 and 4 characters: 1 bit, 2 bits, and 1 bit with 2 more of spelling.
    log_probs, spelling = np.log([0.5, 0.25, 0.5]), np.array([0, 0, -2 * math.log(2)])
    oov = np.array([False, False, True])
    scores = Scores(log_probs, np.array([1, 1, 5]), oov, spelling, np.zeros(1, dtype=np.int64), 5, 5, 2, 9)
    np.testing.assert_allclose(scores.bits, [1, 2, 3])
    assert scores.starts_of_tokens.tolist() == [0, 1, 1]
    assert math.isclose(scores.bits.sum(), scores.bits_per_char * 5)
