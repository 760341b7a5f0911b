"""Error bars for any program's losses: what they hold, what they refuse, how they scale."""

import math
import tracemalloc

import numpy as np
import pytest

import lmbench as lb
from lmbench.comparing import cells
from lmbench.comparing.cells import Cells, cut, stream_cells, stream_edges
from lmbench.errors import InputError


def noise(n, seed=0, scale=2.0):
    return np.random.default_rng(seed).exponential(scale, n)


def test_a_stream_of_independent_losses():
    found = lb.interval(noise(4000), np.ones(4000))
    # 2/√4000 = 0.0316, and not below it: whether the text has a long memory is not known.
    assert 0.030 < found.se < 0.07
    assert found.low < found.estimate < found.high
    assert math.log(found.high / found.estimate) == pytest.approx(math.log(found.estimate / found.low))
    assert found.method == "stream"
    assert math.isnan(found.effective_documents)
    low, high = found.prediction
    assert low < found.low < found.high < high


def test_documents_are_the_units():
    losses = np.repeat(noise(40), 50)  # forty documents of fifty pieces that cost the same
    found = lb.interval(losses, np.ones(2000), documents=np.arange(0, 2000, 50))
    assert found.method == "documents"
    assert found.effective_documents == pytest.approx(40)
    levels = losses[::50]
    assert found.se == pytest.approx(levels.std(ddof=1) / math.sqrt(40) * 2.0227 / 1.96, rel=1e-3)  # t of 39


def test_documents_that_go_together_are_a_stream():
    # 128 documents in 8 topics: their neighbours know each other.
    topics = np.repeat(np.random.default_rng(3).normal(3, 0.5, 8), 16)
    losses = topics + np.random.default_rng(4).normal(0, 0.1, 128)
    found = lb.interval(losses, np.ones(128), documents=np.arange(128))
    assert found.method == "stream"
    assert found.se > 3 * losses.std() / math.sqrt(128)
    assert "depend on each other" in found.note


def test_one_document_that_outweighs_the_rest_has_no_interval():
    found = lb.interval(noise(1000), np.ones(1000), documents=[0, 10, 20, 30])
    assert found.method == "none"
    assert math.isnan(found.low)
    assert found.effective_documents == pytest.approx(1.06, abs=0.01)
    assert "4 documents, the longest 97% of the text" in found.note
    assert lb.paired(noise(1000), noise(1000, 1), np.ones(1000), documents=[0, 10]).p_value == 1


def test_short_texts_have_no_interval():
    found = lb.interval(noise(60), np.ones(60))
    assert found.method == "none"
    assert "fewer than 64 tokens" in found.note
    assert lb.interval(noise(64), np.ones(64)).method == "stream"


def test_pairing_takes_out_what_is_common():
    hard = noise(4096)
    found = lb.paired(hard + noise(4096, 1, 0.1), hard, np.ones(4096))
    assert found.difference == pytest.approx(0.1, abs=0.01)
    assert found.high - found.low < 0.03
    assert found.p_value < 1e-3
    back = lb.paired(hard, hard + noise(4096, 1, 0.1), np.ones(4096))
    assert (back.difference, back.low, back.p_value) == pytest.approx(
        (-found.difference, -found.high, found.p_value)
    )


def test_p_and_interval_agree():
    for seed in range(20):
        a, b = noise(700, seed), noise(700, 100 + seed)
        found = lb.paired(a, b, np.ones(700))
        assert (found.p_value <= 0.05) == (not found.low <= 0 <= found.high)
        assert found.resolvable > 1.15 * (found.high - found.difference)  # t of the test plus t of the power


def test_the_unit_scales_along():
    losses, lengths = noise(900), np.random.default_rng(1).integers(1, 9, 900)
    one, other = lb.interval(losses, lengths), lb.interval(losses, 8 * lengths)
    assert one.low == pytest.approx(8 * other.low)
    assert one.se == pytest.approx(8 * other.se)


def test_a_loss_that_follows_the_length_has_no_error():
    lengths = np.random.default_rng(1).integers(1, 9, 900)
    found = lb.interval(3.0 * lengths, lengths)
    assert (found.low, found.high) == pytest.approx((3, 3), abs=1e-6)


@pytest.mark.parametrize(
    ("losses", "lengths", "documents", "said"),
    [
        ([1, 2], [1], None, "one length"),
        ([], [], None, "not all 0"),
        ([1, np.inf], [1, 1], None, "infinite loss"),
        ([1, 2], [1, -1], None, "at least 0"),
        ([1, 2], [0, 0], None, "not all 0"),
        ([1, 2], [1, 1], [1], "0 first"),
        ([1, 2], [1, 1], [0, 5], "below 2"),
    ],
)
def test_what_cannot_be_is_refused(losses, lengths, documents, said):
    with pytest.raises(InputError, match=said):
        lb.interval(losses, lengths, documents)


def test_cutting_loses_nothing():
    rng = np.random.default_rng(0)
    lengths = rng.integers(0, 6, 300)  # bytes of a character span nothing
    ends, losses = np.cumsum(lengths), rng.exponential(1, 300)
    for count in (1, 8, 64):
        edges = stream_edges(ends[-1], count)
        found = cut(losses, ends, edges)
        assert found.sum() == pytest.approx(losses.sum())
        for i in range(count):  # each piece by its share, the obvious way
            begin = np.append(0, ends[:-1])
            share = np.clip(np.minimum(ends, edges[i + 1]) - np.maximum(begin, edges[i]), 0, None)
            spread = np.where(lengths > 0, share / np.maximum(lengths, 1), 0)
            inside = lengths > 0
            assert found[i] == pytest.approx((losses * spread)[inside].sum(), abs=losses[~inside].sum())


@pytest.mark.parametrize("block", [1, 7, 300])
def test_a_stream_in_blocks_has_the_numbers_of_the_whole(block, monkeypatch):
    rng = np.random.default_rng(5)
    lengths = np.append([0, 0], rng.integers(0, 6, 1998))
    lengths[-1] += -lengths.sum() % 256  # the places of cuts are whole numbers
    a, b = (rng.integers(1, 100, 2000) / 4.0 for _ in range(2))  # sums are exact in any order
    whole = lb.interval(a, lengths), lb.paired(a, b, lengths)
    ends = np.cumsum(lengths)
    edges = stream_edges(ends[-1], 128)
    monkeypatch.setattr(cells, "_BLOCK", block)
    np.testing.assert_allclose(
        cells.cells_of_lengths([a], lengths.astype(float)).losses[:, 0], cut(a, ends, edges), rtol=1e-12
    )
    for found, expected in zip((lb.interval(a, lengths), lb.paired(a, b, lengths)), whole, strict=True):
        for name, value in vars(found).items():
            assert value == (
                getattr(expected, name)
                if isinstance(value, str)
                else pytest.approx(getattr(expected, name), rel=1e-9, nan_ok=True)
            ), name
    assert whole[0].estimate == pytest.approx(a.sum() / lengths.sum(), rel=1e-15)


def test_a_piece_of_no_length_at_the_beginning_counts():
    found = lb.interval(np.append(640.0, np.ones(640)), np.append(0, np.ones(640)))
    assert found.estimate == pytest.approx(2.0, rel=1e-12)


def test_a_comparison_of_many_tokens_takes_little_beside_them(monkeypatch):
    monkeypatch.setattr(cells, "_BLOCK", 1 << 12)
    a, b, lengths = noise(400_000), noise(400_000, 1), np.ones(400_000)
    lb.paired(a[:5000], b[:5000], lengths[:5000])  # what is imported on the way stays out
    tracemalloc.start()
    lb.paired(a, b, lengths)
    lb.paired(a, b, lengths, documents=np.arange(0, 400_000, 10_000))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < a.nbytes / 4


def test_cells_of_a_stream():
    assert [stream_cells(n) for n in (1, 15, 16, 63, 64, 2000, 10**7)] == [1, 1, 2, 4, 8, 128, 256]
    joined = Cells(np.arange(16.0)[:, None], np.ones(16), False).coarser(8)
    assert joined.losses[:, 0].tolist() == [1, 5, 9, 13, 17, 21, 25, 29]


def test_documents_of_one_author_are_one_unit():
    # Forty documents by eight authors in turn: what an author costs is common to all of his.
    author = np.tile(np.arange(8), 5)
    level = np.random.default_rng(1).normal(3, 0.5, 8)[author]
    losses = np.repeat(level, 50) + np.random.default_rng(2).normal(0, 0.1, 2000)
    starts = np.arange(0, 2000, 50)
    apart = lb.interval(losses, np.ones(2000), starts)
    together = lb.interval(losses, np.ones(2000), starts, clusters=[f"author {i}" for i in author])
    assert together.effective_documents == pytest.approx(8)
    assert together.se > 1.8 * apart.se
    pairs = lb.paired(losses, losses + 0.1, np.ones(2000), starts, clusters=author)
    assert pairs.effective_documents == pytest.approx(8)
    with pytest.raises(InputError, match="a label a document: 40 of them, not 2"):
        lb.interval(losses, np.ones(2000), starts, clusters=["a", "b"])


@pytest.mark.parametrize("level", [0, 1, 95, math.nan])
def test_a_level_is_a_share(level):
    with pytest.raises(InputError, match="between 0 and 1"):
        lb.interval(noise(100), np.ones(100), level=level)
    with pytest.raises(InputError, match="between 0 and 1"):
        lb.paired(noise(100), noise(100), np.ones(100), level=level)
