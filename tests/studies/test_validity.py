"""The validity study: its known truths are true, and a small version of it holds."""

import numpy as np
import pytest

from lmbench.corpora.chains import HiddenMarkov
from lmbench.corpora.sources import even_process
from lmbench.models.monitor import Monitor
from lmbench.studies.truths import (
    CONTEXT,
    MADE,
    Laboratory,
    of_documents,
    of_stretches,
    of_topics,
    passages,
)
from lmbench.studies.validity import Tally, family, rates, run


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


@pytest.mark.parametrize("make", MADE, ids=lambda make: make().name)
def test_means_of_many_texts_are_the_truth(make):
    case, rng = make(), np.random.default_rng(0)
    draws = [case.draw(3000, rng) for _ in range(80)]
    means = np.array([draw.losses.sum(axis=0) / draw.lengths.sum() for draw in draws])
    error = means.std(axis=0) / 80**0.5
    assert (np.abs(means.mean(axis=0) - draws[0].truth) <= 4 * error).all()


def test_stretches_of_a_text_have_the_whole_as_truth(ferry):
    case = of_stretches(ferry, False)
    draw = case.draw(300, np.random.default_rng(0))
    assert draw.losses.shape == (300, 2)
    whole = case.draw(ferry.whole().chars - 1, np.random.default_rng(0))
    np.testing.assert_allclose(whole.losses.mean(axis=0), whole.truth, rtol=1e-2)


@pytest.mark.parametrize(
    ("case", "naive"),
    [
        (of_topics("topics", 1.5, True), 0.6),
        (of_documents("documents", 10, 1.5, True), 0.5),
    ],
    ids=lambda x: getattr(x, "name", ""),
)
def test_error_bars_hold_where_tokens_depend(case, naive):
    found = rates(case, 80, 10_000, np.random.default_rng(0))
    share = {key: tally.interval()[0] for key, tally in found.items()}
    assert share["coverage", "lmbench"] >= 0.87  # 0.95 less three standard errors of 80 texts
    assert share["coverage", "independent"] < naive
    assert share["false positives", "lmbench"] <= 0.13
    assert share["power", "lmbench"] >= 0.6


def test_equal_models_are_rarely_told_apart_however_many():
    found = family(15, 60, 2000, np.random.default_rng(0))
    assert found.hits <= 8  # 5% of 60 and three standard errors


def test_study_is_whole(ferry):
    study = run(ferry, monitor=Monitor(), texts=3, length=400)
    assert set(study.table["what"]) == {
        "coverage",
        "prediction",
        "false positives",
        "power",
        "family-wise error",
    }
    assert "ferry" in set(study.table["case"])
    assert len(study.sentences) == 5
    again = run(ferry, monitor=Monitor(), texts=3, length=400)
    assert study.table.equals(again.table)
