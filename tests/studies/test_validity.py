"""The validity study: its known truths are true, and a small version of it holds."""

import numpy as np
import pytest

from lmbench.corpora.sources import HiddenMarkov, even_process
from lmbench.models.monitor import Monitor
from lmbench.studies.validity import CASES, CONTEXT, NOMINAL, Laboratory, Tally, passages, run, trials


def test_stated_loss_is_the_loss_of_a_long_text():
    laboratory = Laboratory.of(passages())
    sharper = np.log(laboratory.best)
    a, b = laboratory.tilted(sharper, 0.05), laboratory.tilted(-sharper, 0.05)
    floor = laboratory.loss(laboratory.best)
    assert laboratory.loss(a) - floor == pytest.approx(0.05)
    assert laboratory.loss(b) - floor == pytest.approx(0.05)
    text = laboratory.source.generate(200_000, np.random.default_rng(0))
    for table in (a, b):
        bits = laboratory.bits(table, text)
        assert len(bits) == len(text) - CONTEXT
        assert bits.mean() == pytest.approx(laboratory.loss(table), abs=0.03)
    # One by one: the table's row is the last three characters read as a number in base 4.
    alphabet = laboratory.source.alphabet
    for t in range(3, 20):
        row = sum(alphabet.index(text[t - 3 + i]) * 4 ** (2 - i) for i in range(3))
        expected = -np.log2(a[row, alphabet.index(text[t])])
        assert laboratory.bits(a, text)[t - 3] == pytest.approx(expected)


def test_loss_of_the_truth_is_the_entropy_rate():
    # A chain of order 1 seen through three characters: nothing to learn beyond it (smoothing costs a little).
    p = np.array([[0.9, 0.1], [0.4, 0.6]])
    moves = np.zeros((2, 2, 2))
    for a in range(2):
        moves[a, :, a] = p[:, a]
    chain = HiddenMarkov("ab", moves)
    laboratory = Laboratory.of(chain)
    assert laboratory.loss(laboratory.best) == pytest.approx(chain.entropy_rate[0], abs=1e-4)
    # The even process is of infinite order: three characters are not enough.
    even = Laboratory.of(even_process())
    assert even.loss(even.best) > 2 / 3 + 0.01


def test_share_with_its_interval():
    tally = Tally(8, 10)  # Wilson: (0.8 + 1.92/10 ± 1.96 √(0.016 + 0.0096))/1.384
    assert tally.interval() == pytest.approx((0.8, 0.490, 0.943), abs=1e-3)


def test_error_bars_hold_where_tokens_depend():
    found = trials("passages", 60, 6000, np.random.default_rng(0), Monitor(), 0, 1)
    share = {key: tally.interval()[0] for key, (tally, _) in found.items()}
    assert share["coverage, blocks"] >= 0.87  # 0.95 less three standard errors of 60 texts
    assert share["coverage, independent"] < 0.7
    assert share["false positives, blocks"] <= 0.15
    assert share["power, blocks"] >= 0.6


def test_study_is_whole():
    study = run(None, monitor=Monitor(), texts=3, length=800)
    assert len(study.table) == len(CASES) * len(NOMINAL) * 2
    assert len(study.charts[0].panels) == 3
    assert len(study.sentences) == 3
    again = run(None, monitor=Monitor(), texts=3, length=800)
    assert study.table.equals(again.table)
