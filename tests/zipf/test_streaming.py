"""Zipf's law of a text that is counted from files to files against that of the same text in memory: every number."""

import json
import random

import pytest

from lmbench.cli import main, zipf_files
from lmbench.corpora import shards
from lmbench.corpora.corpus import Corpus
from lmbench.corpora.shards import Reading, read_shards
from lmbench.counts import sharded
from lmbench.zipf import streaming
from lmbench.zipf.streaming import sharded_spectra
from lmbench.zipf.table import fitted_rows, zipf_rows


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Two files of words by a law, with runs of blanks, stretches of empty lines, and no line feed at the end."""
    folder, chance = tmp_path_factory.mktemp("texts"), random.Random(4)
    for name in ("one.txt", "two.txt"):
        words = [f"w{int(chance.paretovariate(0.9)) % 500}" for _ in range(3000)]
        text = "".join(word + chance.choice([" ", " ", " ", "\n", "  ", "\n\n"]) for word in words)
        (folder / name).write_text(
            "\n\n" * (name == "two.txt") + text[:9000] + "\n" * 300 + text[9000:] + "end"
        )
    return [folder / "one.txt", folder / "two.txt"]


@pytest.mark.parametrize(
    ("unit", "documents", "orders"),
    [
        ("word", "stream", [1, 2, 3]),
        ("word", "line", [1, 2, 4]),
        ("word", "line", [1]),
        ("char", "stream", [2, 4]),
    ],
)
def test_a_text_in_files_has_the_numbers_of_the_whole(files, tmp_path, monkeypatch, unit, documents, orders):
    whole = Corpus.of([str(file) for file in files], 0.0, 0.0, documents=documents).whole()
    monkeypatch.setattr(sharded, "RUN", 1000)
    monkeypatch.setattr(sharded, "PART", 700)
    monkeypatch.setattr(shards, "_BATCH", 500)
    monkeypatch.setattr(streaming, "_PIECE", 37)
    text = read_shards(files, Reading(unit, "none", documents), tmp_path, size=1000)
    rows, chart = fitted_rows("one", unit, sharded_spectra(text, orders))
    expected, figure = zipf_rows("one", whole, unit, orders)
    assert rows == expected
    assert chart == figure


def test_the_command_says_the_same_of_a_long_text(files, monkeypatch, capsys):
    told = []
    for brief in (1 << 30, 0):
        monkeypatch.setattr(zipf_files, "BRIEF", brief)
        assert main(["zipf", str(files[0]), "--json"]) == 0
        captured = capsys.readouterr()
        told.append((json.loads(captured.out), captured.err))
    assert told[0] == told[1]


def test_a_corpus_by_name_is_not_counted_by_a_cluster(capsys):
    assert main(["zipf", "golden-mean", "--jobs", "2"]) == 2
    assert "read in memory; give files" in capsys.readouterr().err


def test_a_text_without_words_is_told_from_files_too(tmp_path, monkeypatch, capsys):
    """50 MB of line feeds ended in a traceback."""
    (tmp_path / "t.txt").write_text("\n" * 3000)
    assert main(["zipf", str(tmp_path / "t.txt")]) == 2
    whole = capsys.readouterr().err
    assert whole == "lmbench: t has too few words to count\n"
    monkeypatch.setattr(zipf_files, "BRIEF", 1000)
    assert main(["zipf", str(tmp_path / "t.txt")]) == 2
    assert capsys.readouterr().err == whole
