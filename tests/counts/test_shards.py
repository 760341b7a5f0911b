"""Counting and estimating from files to files against doing so in memory, bit for bit, however the work is divided."""

import errno
import json
import os
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from slow_counts import V, documents_of, symbols_before, tokens_of

from lmbench.cli import main
from lmbench.counts import sharded, shards
from lmbench.counts.ngrams import count_ngrams
from lmbench.counts.sharded import count_shards, temporary_shards
from lmbench.errors import InputError
from lmbench.models import make_model
from lmbench.models.smoothing import backoff
from lmbench.storage.columns import ColumnFile, write_columns
from lmbench.storage.memory import limit_of
from lmbench.storage.tasks import Here
from lmbench.text.shards import TokenShards
from lmbench.text.tokens import Tokens

ORDERS = ("words", "counts", "suffixes", "begins")


def zipfian(size, types, seed=1, line=25):
    """Lines of a second-order source: frequent words, and some that follow their predecessors."""
    rng = np.random.default_rng(seed)
    p = 1 / (np.arange(1, types) + 2.7)
    ids = rng.choice(np.arange(1, types), size=size, p=p / p.sum()).astype(np.int32)
    follows = rng.random(size) < 0.3
    ids[2:] = np.where(follows[2:], (ids[1:-1] * 7 + ids[:-2]) % (types - 1) + 1, ids[2:])
    return Tokens(ids, np.arange(0, size, line), 1)


def sharded_fit(model, train, valid, types, folder, parts, run=1 << 20, tasks=None):
    """The model as ``fit`` makes it within a limit, in a folder that stays, and its counts."""
    model.vocab_size = types
    unigrams = np.bincount(train.ids, minlength=types)
    tokens = TokenShards.of(train, folder)
    before, sharded.RUN = sharded.RUN, run
    try:
        counts = count_shards(tokens, model.order, unigrams, run=tasks, parts=parts)
        model._learn(counts, train, valid)
    finally:
        sharded.RUN = before
    return counts


def assert_same_bits(a, b):
    """Two fitted models are one: notes, arrays of the saved file, types of numbers."""
    assert a.notes == b.notes
    one, other = a.state(), b.state()
    assert list(one) == list(other)
    for name, column in one.items():
        assert other[name].dtype == column.dtype
        assert np.array_equal(other[name], column), name


@settings(max_examples=40)
@given(documents_of, st.integers(1, 5), symbols_before, st.integers(1, 9), st.integers(3, 40))
def test_any_division_counts_as_the_whole(documents, order, bos, parts, run):
    tokens = tokens_of(documents, bos)
    whole = count_ngrams(tokens, order, V)
    with temporary_shards(tokens) as files, pytest.MonkeyPatch.context() as patch:
        patch.setattr(sharded, "RUN", run)
        counts = count_shards(files, order, np.bincount(tokens.ids, minlength=V), parts=parts)
        assert counts.sizes == whole.sizes
        for k in range(1, order + 1):
            for left in (False, True):
                assert counts.tally(k, 7, left).tolist() == whole.tally(k, 7, left).tolist()
        assert_same_columns(counts.whole(), whole)


def assert_same_columns(a, b):
    for name in ORDERS:
        for x, y in zip(getattr(a, name), getattr(b, name), strict=True):
            assert x.tolist() == y.tolist()
            assert x.dtype == y.dtype


WORDS, CHARS = (
    (zipfian(12_000, 900), zipfian(1500, 900, 2)),
    (zipfian(12_000, 9, 3, 12_000), zipfian(1500, 9, 4)),
)


@pytest.mark.parametrize("parts", [1, 3, 8])
@pytest.mark.parametrize(
    ("name", "options", "text"),
    [
        ("kneser-ney", {"order": 3}, WORDS),
        ("kneser-ney", {"order": 5, "prune": (0, 0, 1)}, WORDS),
        ("kneser-ney", {"order": 6}, CHARS),
        ("kneser-ney", {"order": 3, "discounts": "tune", "bits": 8}, WORDS),
        ("kneser-ney", {"order": 3, "interpolate_unigrams": False, "prune_entropy": 1e-6}, WORDS),
        ("kneser-ney", {"order": 4, "kenlm_counts": True}, CHARS),
        ("kneser-ney", {"order": 1}, WORDS),
        ("laplace", {"order": 3}, WORDS),
        ("trigram", {"eps": (1, 0, 2)}, CHARS),
        ("katz", {"order": 4}, CHARS),
        ("jelinek-mercer", {"order": 3}, CHARS),
        ("absolute-discounting", {"order": 2}, WORDS),
        ("witten-bell", {"order": 5}, CHARS),
        ("stupid-backoff", {"order": 3}, WORDS),
    ],
)
def test_every_smoothing_is_the_same_in_shards(name, options, text, parts, tmp_path):
    train, valid = text
    types = int(train.ids.max()) + 1
    plain = make_model(name, **options).fit(train, valid, types)
    shared = make_model(name, **options)
    counts = sharded_fit(shared, train, valid, types, tmp_path, parts, run=5000 if parts > 1 else 1 << 20)
    assert parts == 1 or plain.order == 1 or counts.plan.parts > 1
    assert_same_bits(plain, shared)


def test_a_frequent_first_word_is_divided_among_parts(tmp_path):
    train = zipfian(20_000, 4)
    counts = sharded_fit(make_model("witten-bell", order=4), train, None, 4, tmp_path, 8)
    assert any(len(group) > 1 for group in counts.plan.groups)


class Failing(Here):
    """Does so many tasks, then fails; keeps what was done."""

    def __init__(self, most):
        self.most, self.done = most, []

    def __call__(self, function, arguments):
        for number, one in enumerate(arguments):
            if len(self.done) == self.most:
                raise KeyboardInterrupt
            self.done.append((function.__name__, *map(str, one[1:3])))
            yield number, function(*one)


def test_what_was_stopped_goes_on_and_does_no_task_twice(tmp_path):
    train = zipfian(9000, 300)
    whole = make_model("witten-bell", order=3)
    every = Failing(1000)
    for name in "ab":
        (tmp_path / name).mkdir()
    sharded_fit(whole, train, None, 300, tmp_path / "a", 3, 4000, every)
    done = []
    while True:
        tasks, model = Failing(2), make_model("witten-bell", order=3)
        try:
            sharded_fit(model, train, None, 300, tmp_path / "b", 3, 4000, tasks)
            break
        except KeyboardInterrupt:
            assert not list((tmp_path / "b").glob(".*"))
        finally:
            done += tasks.done
    assert sorted(done) == sorted(every.done)
    assert_same_bits(whole, model)


def test_a_file_cut_short_is_made_anew(tmp_path):
    train, model = zipfian(9000, 300), make_model("witten-bell", order=3)
    sharded_fit(model, train, None, 300, tmp_path, 3)
    victim = tmp_path / "part.1"
    victim.write_bytes(victim.read_bytes()[:-1])
    tasks, again = Failing(1000), make_model("witten-bell", order=3)
    sharded_fit(again, train, None, 300, tmp_path, 3, tasks=tasks)
    assert [name for name, *_ in tasks.done] == ["merge"]
    assert_same_bits(model, again)


def test_a_folder_that_the_worker_does_not_see_is_named(tmp_path):
    plan = shards.Plan(tmp_path / "gone", TokenShards(tmp_path, (5,), 1), 2, 5, 5, (0,))
    with pytest.raises(
        InputError, match=r"gone is not there on .*; name one that all workers see \(--work\)"
    ):
        plan.write("run.0", {})


@pytest.mark.parametrize("limit", ["1MB", "200MB"])
def test_models_within_a_limit_are_the_models(limit):
    train = zipfian(20_000, 2000)
    plain, limited = (
        make_model("kneser-ney", order=3, memory_limit=text).fit(train, vocab_size=2000)
        for text in ("", limit)
    )
    assert_same_bits(plain, limited)


def broken(monkeypatch, folder, function):
    """A temporary folder in which no file comes to its end."""
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.setattr("lmbench.storage.columns.os.replace", function)


def test_a_full_disk_is_told_and_nothing_is_left(monkeypatch, tmp_path):
    def fails(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    broken(monkeypatch, tmp_path, fails)
    with pytest.raises(
        InputError, match=r"the disk is full; name a work folder with room \(--work, TMPDIR\)"
    ):
        make_model("kneser-ney", memory_limit="1MB").fit(zipfian(4000, 200))
    assert not list(tmp_path.iterdir())


def test_an_interrupt_leaves_nothing(monkeypatch, tmp_path):
    def stops(*_):
        raise KeyboardInterrupt

    broken(monkeypatch, tmp_path, stops)
    with pytest.raises(KeyboardInterrupt):
        make_model("kneser-ney", memory_limit="1MB").fit(zipfian(4000, 200))
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_gone_is_told(monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    with pytest.raises(InputError, match="gone: No such file or directory"):
        make_model("laplace", eps=1, memory_limit="1MB").fit(zipfian(1000, 50))


@pytest.mark.parametrize("limit", ["much", "3", "0.5MB", "1.2.3GB", "5XB", "-1GB", "1e9", "nan"])
def test_a_wrong_limit_is_refused(limit):
    with pytest.raises(InputError, match=r"memory_limit=.*: give a size of 1MB or more"):
        make_model("kneser-ney", memory_limit=limit)


def test_sizes_are_read_with_their_units():
    assert [limit_of(text) for text in ("2MB", "1 GiB", "1500000")] == [2_000_000, 2**30, 1_500_000]


def test_columns_are_there_whole_or_not_at_all(tmp_path):
    file = ColumnFile(tmp_path / "file")
    assert not file.whole
    write_columns(file.path, {"a": np.arange(5), "b": np.zeros(0, dtype=np.uint8)}, {"n": [1, 2]})
    file = ColumnFile(file.path)
    assert file.whole
    assert file.read("a", 1, 3).tolist() == [1, 2]
    assert (file.size("b"), file.facts) == (0, {"n": [1, 2]})
    for cut in (0, 5, 30, len(file.path.read_bytes()) - 1):
        Path(tmp_path / "cut").write_bytes(file.path.read_bytes()[:cut])
        assert not ColumnFile(tmp_path / "cut").whole
    whole = file.path.read_bytes()
    file.path.write_bytes(whole[:-1])
    with pytest.raises(InputError, match="file is cut short; remove it"):
        file.read("a")
    file.path.write_bytes(whole)
    assert file.sound
    data = bytearray(file.path.read_bytes())
    data[-1] ^= 1
    file.path.write_bytes(data)
    assert ColumnFile(file.path).whole
    assert not ColumnFile(file.path).sound
    facts = {"n": list(range(10**5, 10**5 + 10**4))}  # a header of some 70 kB
    write_columns(file.path, {"a": np.arange(5)}, facts)
    assert (ColumnFile(file.path).facts, ColumnFile(file.path).read("a")[4]) == (facts, 4)


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
    assert limited["log_prob"] == plain["log_prob"]


@pytest.mark.parametrize("room", [True, False])
def test_a_long_text_is_counted_in_files_where_there_is_room(tmp_path, monkeypatch, room):
    train, used = zipfian(20_000, 2000), []
    plain = make_model("kneser-ney", order=3).fit(train, vocab_size=2000)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(backoff, "LONG", 1000)
    monkeypatch.setattr(backoff, "ROOM", 2 if room else 1e12)
    monkeypatch.setattr(backoff, "count_shards", lambda *given: used.append(1) or count_shards(*given))
    again = make_model("kneser-ney", order=3).fit(train, vocab_size=2000)
    assert_same_bits(plain, again)
    assert bool(used) == room
    assert not list(tmp_path.iterdir())
