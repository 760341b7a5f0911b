"""Counting within a memory limit against counting in memory; what a full disk and a wrong limit say."""

import errno
import json
import os
import tempfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmbench.cli import main
from lmbench.counts.ngrams import count_ngrams, sort_keys
from lmbench.counts.spilling import count_spilled
from lmbench.errors import InputError
from lmbench.models import make_model
from lmbench.storage.workspace import Disk, Memory, columns_within
from lmbench.text.tokens import Tokens

V = 5


def tokens_of(documents, bos=0):
    lengths = [len(d) for d in documents]
    return Tokens(np.concatenate(documents).astype(np.int32), np.cumsum([0, *lengths[:-1]]), bos)


def store_of(kind, block):
    store = Disk(10**6) if kind == "disk" else Memory()
    store.block = block
    return store


def assert_same(a, b):
    for k in range(a.order + 1):
        for x, y in ((a.words, b.words), (a.counts, b.counts), (a.suffixes, b.suffixes)):
            assert x[k].tolist() == y[k].tolist()
            assert x[k].dtype == y[k].dtype


@given(
    st.lists(st.lists(st.integers(0, V - 1), min_size=1, max_size=30), min_size=1, max_size=8),
    st.integers(1, 4),
    st.integers(-1, V - 1),
    st.integers(64, 200),
    st.sampled_from(["disk", "memory"]),
)
def test_spilled_counts_equal_counts_in_memory(documents, order, bos, block, kind):
    tokens = tokens_of(documents, bos)
    assert_same(
        count_spilled(tokens, order, V, store_of(kind, block)),
        count_ngrams(tokens, order, V),
    )


def zipfian(size, types, seed=1):
    """Lines of a second-order source: frequent words, and some that follow their predecessors."""
    rng = np.random.default_rng(seed)
    p = 1 / (np.arange(1, types) + 2.7)
    ids = rng.choice(np.arange(1, types), size=size, p=p / p.sum()).astype(np.int32)
    follows = rng.random(size) < 0.3
    ids[2:] = np.where(follows[2:], (ids[1:-1] * 7 + ids[:-2]) % (types - 1) + 1, ids[2:])
    return Tokens(ids, np.arange(0, size, 25), 1)


def test_many_runs_are_merged():
    tokens = zipfian(60_000, 3000)
    store = Disk(10**6)  # 7,812 symbols a run: nine runs with the beginnings of documents
    assert_same(count_spilled(tokens, 4, 3000, store), count_ngrams(tokens, 4, 3000))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("kneser-ney", {"order": 3}),
        ("kneser-ney", {"order": 4, "prune": (0, 0, 1), "kenlm_counts": True}),
        ("kneser-ney", {"order": 3, "discounts": "tune", "bits": 8}),
        ("kneser-ney", {"order": 3, "interpolate_unigrams": False}),
        ("laplace", {"order": 3}),
        ("trigram", {"eps": (1, 0, 2)}),
    ],
)
def test_models_within_a_limit_are_the_models(name, options):
    train, valid = zipfian(40_000, 2000), zipfian(4_000, 2000, seed=2)
    plain, limited = (
        make_model(name, **options, memory_limit=limit).fit(train, valid, 2000) for limit in ("", "1MB")
    )
    for key, column in plain.state().items():
        np.testing.assert_allclose(limited.state()[key], column, rtol=1e-12)
    np.testing.assert_allclose(limited.log_probs(valid), plain.log_probs(valid), rtol=1e-12)


def test_a_full_disk_is_told_and_nothing_is_left(monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    made = tempfile.TemporaryFile

    def short(*args, **kwargs):
        stream = made(*args, **kwargs)

        class Full:
            def write(self, data):
                if stream.tell() + len(data) > 50_000:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                return stream.write(data)

            def __getattr__(self, name):
                return getattr(stream, name)

        return Full()

    monkeypatch.setattr(tempfile, "TemporaryFile", short)
    with pytest.raises(InputError, match=r"the disk is full; nothing is left there\. Set TMPDIR"):
        make_model("kneser-ney", memory_limit="1MB").fit(zipfian(40_000, 2000))
    assert not list(tmp_path.iterdir())


def test_an_interrupt_leaves_nothing(monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    sorted_runs = []

    def interrupted(*args, **kwargs):
        sorted_runs.append(args)
        if len(sorted_runs) == 3:
            raise KeyboardInterrupt
        return sort_keys(*args, **kwargs)

    monkeypatch.setattr("lmbench.counts.spilling.sort_keys", interrupted)
    with pytest.raises(KeyboardInterrupt):
        make_model("kneser-ney", memory_limit="1MB").fit(zipfian(40_000, 2000))
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_gone_is_told(monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    with pytest.raises(InputError, match="gone: No such file or directory"):
        make_model("laplace", eps=1, memory_limit="1MB").fit(zipfian(1000, 50))


@pytest.mark.parametrize("limit", ["much", "3", "0.5MB", "1.2.3GB", "5XB", "-1GB", "1e9", "nan"])
def test_a_wrong_limit_is_refused(limit):
    with pytest.raises(InputError, match=r"memory_limit=.*: give a size of 1MB or more"):
        make_model("kneser-ney", memory_limit=limit)


def test_a_limit_too_low_for_the_text_is_told():
    store = Disk(10**6)
    store.block = 100
    with pytest.raises(InputError, match="too many to merge; raise memory_limit"):
        count_spilled(zipfian(1000, 50), 2, 50, store)


def test_sizes_are_read_with_their_units():
    assert columns_within("2MB").block == 2_000_000 // 128
    assert columns_within("1 GiB").block == 2**30 // 128
    assert columns_within("1500000").block == 1_500_000 // 128


def test_the_command_line_takes_a_limit(tmp_path, capsys):
    words = " ".join(f"w{i}" for i in zipfian(5000, 300).ids)
    (tmp_path / "train.txt").write_text(words)
    (tmp_path / "test.txt").write_text(words[:500])
    command = ["score", "--model", "kneser-ney", "--train", str(tmp_path / "train.txt"), "--unit", "word"]
    command += ["--test", str(tmp_path / "test.txt"), "--json"]
    results = []
    for more in ([], ["-o", "memory_limit=1MB"]):
        assert main([*command, *more]) == 0
        results.append(json.loads(capsys.readouterr().out))
    plain, limited = results
    assert limited["log_prob"] == pytest.approx(plain["log_prob"], rel=1e-12)
