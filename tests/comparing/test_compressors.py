"""Compressors as models: a text that was read before costs next to nothing."""

import bz2
import lzma
import os

import numpy as np
import pyppmd
import pytest

from lmbench.comparing import compressors as module
from lmbench.comparing.compressors import COMPRESSORS, ORDERS, baselines, ppmd_added, ppmd_order
from lmbench.text.canonical import CanonicalText

NOTHING = None  # no held-out text


def bits(train, test):
    return {b.name.split()[0]: b.bits_per_char for b in baselines(train, NOTHING, test)}


def text_of(seed, n=20_000):
    letters = np.array(list("abcdefgh"))
    return CanonicalText.of(["".join(letters[np.random.default_rng(seed).integers(0, 8, n)])])


def test_random_letters_cost_their_entropy():
    costs = bits(text_of(0), text_of(1))
    assert set(costs) == {"bz2", "xz", "ppmd"}
    for name, cost in costs.items():
        assert 2.95 <= cost <= 3.6, name  # eight letters alike: 3 bits


def test_what_was_read_is_free():
    costs = bits(text_of(0), text_of(0))
    assert costs["xz"] < 0.05


def test_ppmd_learns():
    once = CanonicalText.of(["the ferry waits by the river and " * 200])
    assert bits(once, once)["ppmd"] < 0.05


def prose(seed, words):
    """Words drawn with unequal chances, so that a coder has something to learn."""
    rng = np.random.default_rng(seed)
    names = ["ferry", "waits", "by", "the", "river", "and", "sings", "of", "rain"]
    return " ".join(names[n] for n in np.minimum(rng.geometric(0.3, words) - 1, 8))


@pytest.mark.parametrize("order", ORDERS)
def test_the_position_of_ppmd_is_where_an_archive_of_the_beginning_alone_ends(order):
    texts = [prose(seed, 1500).encode() for seed in range(4)]
    read = b""
    for text in texts:
        sizes = []
        for data in (read, read + text):
            coder = pyppmd.Ppmd7Encoder(order, 256 << 20)
            sizes.append(len(coder.encode(data)) + len(coder.flush(endmark=False)))
        assert ppmd_added(read, text, order) == pytest.approx(sizes[1] - sizes[0], abs=1)
        read += text


def test_ppmd_learns_from_the_held_out_text_too_and_from_the_test_text_as_it_reads():
    learnt, held_out, test = map(text_of, (1, 2, 3))

    def cost(*texts):
        return baselines(*texts, names=["ppmd"])[0].bits_per_char

    assert cost(learnt, test, test) < 0.2 * cost(learnt, NOTHING, test)
    twice = CanonicalText.of([test.text * 2])
    assert cost(learnt, held_out, twice) < 0.6 * cost(learnt, held_out, test)


def test_the_order_of_ppmd_is_chosen_on_the_held_out_text():
    """Order 6 suffices for words drawn one by one; what a name is followed by is known from more than six characters before."""
    rng = np.random.default_rng(0)
    names = ["".join(map(chr, letters)) for letters in rng.integers(97, 123, (30, 3))]
    said = "".join(f"{name} said thus {name[::-1]}. " for name in rng.choice(names, 2000))
    assert ppmd_order(CanonicalText.of([prose(1, 3000)]), CanonicalText.of([prose(2, 1000)])) == 6
    assert ppmd_order(CanonicalText.of([said[:-5000]]), CanonicalText.of([said[-5000:]])) == 16


def test_what_is_read_of_a_long_text_is_its_end_the_held_out_text_last(monkeypatch):
    train, valid, test = text_of(0, 20_000), text_of(1, 3_000), text_of(2, 20_000)
    monkeypatch.setitem(module.READ, "xz", 8_000)
    part = baselines(train, valid, test, ["xz"])[0]
    assert (part.train_bytes, part.test_chars) == (6_000, 2_000)
    added = exact(
        "xz", CanonicalText.of([train.text[-3_000:] + valid.text]), CanonicalText.of([test.text[:2_000]])
    )
    assert part.bits_per_char == pytest.approx(added)


def size(name, data):
    """Of an archive that holds nothing else."""
    if name == "bz2":
        return len(bz2.compress(data, 9))
    if name == "ppmd":
        encoder = pyppmd.Ppmd7Encoder(6, 256 << 20)
        return len(encoder.encode(data)) + len(encoder.flush(endmark=False))
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 9, "dict_size": max(1 << 20, len(data))}]
    return len(lzma.compress(data, lzma.FORMAT_RAW, filters=filters))


def exact(name, train, test):
    """Both sizes, each of all that it is of."""
    return 8 * (size(name, (train.text + test.text).encode()) - size(name, train.text.encode())) / test.chars


@pytest.mark.parametrize("name", COMPRESSORS)
@pytest.mark.parametrize("forks", [True, False])
def test_the_training_text_read_once_adds_what_two_archives_differ_by(name, forks, monkeypatch):
    if not forks:
        monkeypatch.delattr(os, "fork")
    line = "".join("abcdefgh"[i] for i in np.random.default_rng(2).integers(0, 8, 997))
    train, test = CanonicalText.of([line * 100]), CanonicalText.of([line[500:] + text_of(1, 3000).text])
    assert bits(train, test)[name] == exact(name, train, test)


def odd_text(seed, pieces):
    """Letters, runs of all lengths, and long stretches of one letter."""
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(pieces):
        made.append("".join(map(chr, rng.integers(97, 101, 20_000))))
        made += [chr(97 + int(rng.integers(4))) * int(n) for n in rng.integers(1, 700, 60)]
        made.append("é" * int(rng.integers(1, 3000)))
    return CanonicalText.of(["".join(made)])


@pytest.mark.parametrize("pieces", [1, 12, 28])
def test_bz2_without_the_blocks_that_change_nothing(pieces):
    train, test = odd_text(pieces, pieces), odd_text(1000 + pieces, 3)
    assert bits(train, test)["bz2"] == pytest.approx(exact("bz2", train, test), abs=8 * 2 / test.chars)


@pytest.mark.parametrize("length", [899_981, 899_982, 1_799_962])
def test_bz2_about_the_edges_of_its_blocks(length):
    letters = "abcdefgh" * (length // 8 + 1)
    train, test = CanonicalText.of([letters[:length]]), text_of(3)
    assert bits(train, test)["bz2"] == pytest.approx(exact("bz2", train, test), abs=8 * 2 / test.chars)


def test_short_texts_are_read_whole_and_long_ones_say_what_was_read(monkeypatch):
    train, test = text_of(0), text_of(1)
    whole = next(b for b in baselines(train, NOTHING, test) if b.name == "xz")
    assert (whole.name, whole.note, whole.train_bytes, whole.test_chars) == ("xz", "", 20_000, 20_000)
    assert whole.bits_per_char == exact("xz", train, test)
    monkeypatch.setitem(module.READ, "xz", 8_000)
    part = next(b for b in baselines(train, NOTHING, test) if b.name == "xz")
    assert (part.name, part.train_bytes, part.test_chars) == ("xz", 6_000, 2_000)
    assert part.note == "the first 0.0 million characters, after the last 0.0 MB of what stands before"
    end, beginning = (CanonicalText.of([t]) for t in (train.text[-6_000:], test.text[:2_000]))
    assert part.bits_per_char == exact("xz", end, beginning)


def test_a_cut_goes_through_no_character(monkeypatch):
    monkeypatch.setitem(module.READ, "xz", 4_002)
    text = CanonicalText.of(["é" * 3_000])
    part = next(b for b in baselines(text, NOTHING, text) if b.name == "xz")
    assert (part.test_chars, part.train_bytes) == (500, 3_002)
