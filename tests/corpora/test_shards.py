"""Files read piece by piece into tokens against the whole text read at once."""

import gzip
import itertools
import json
import random

import numpy as np
import pytest

from lmbench.corpora.corpus import Corpus
from lmbench.corpora.shards import Reading, read_shards
from lmbench.corpora.words import lines_of_words
from lmbench.errors import InputError
from lmbench.text.vocab import Vocab


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Texts of all kinds: with and without a last line feed, packed, rows, empty lines, blanks, one long line."""
    place, chance = tmp_path_factory.mktemp("texts"), random.Random(1)
    words = ["cook", "smith", "sailor", "é€", "<s>", "Widow's", "7"]

    def line():
        return " ".join(chance.choice(words) for _ in range(chance.randrange(1, 9)))

    (place / "a.txt").write_text("\n".join(line() + "  x\r" * (i == 9) for i in range(80)))
    (place / "b.txt").write_text("\n".join(line() for _ in range(60)) + "\n\n\n")
    with gzip.open(place / "c.txt.gz", "wt") as stream:
        stream.write("\n".join(line() for _ in range(50)))
    rows = [json.dumps({"text": f"{line()}\n{line()}" + "\n" * (i % 3)}) for i in range(40)]
    (place / "d.jsonl").write_text("\n".join(rows))
    (place / "long.txt").write_text(" ".join(line() for _ in range(100)))
    (place / "blank.txt").write_text("\n \n")
    return place


SETS = [
    ("a.txt",),
    ("long.txt",),
    ("a.txt", "b.txt", "c.txt.gz"),
    ("d.jsonl",),
    ("a.txt", "blank.txt", "d.jsonl", "long.txt"),
]


@pytest.mark.parametrize("documents", ["stream", "line"])
@pytest.mark.parametrize("normalise", ["none", "whitespace", "sentences", "letters"])
@pytest.mark.parametrize("unit", ["word", "char", "byte"])
def test_pieces_are_the_whole(folder, tmp_path, unit, normalise, documents):
    for number, (names, size) in enumerate(itertools.product(SETS, (0, 300))):
        files = [folder / name for name in names]
        corpus = Corpus.from_files(files, normalise=normalise, documents=documents)
        whole, work = corpus.encoded(unit, "train").tokens, tmp_path / str(number)
        work.mkdir()
        text = read_shards(files, Reading(unit, normalise, documents), work, size=size)
        assert Vocab(text.counts).tokens == corpus.vocab(unit).tokens
        tokens, unigrams = text.numbered(Vocab(text.counts), work)
        read = tokens.read(0, len(tokens))
        assert read.ids.tolist() == whole.ids.tolist()
        assert read.starts.tolist() == whole.starts.tolist()
        assert read.bos == whole.bos
        assert unigrams.tolist() == np.bincount(whole.ids, minlength=len(unigrams)).tolist()
        middle = tokens.read(len(tokens) // 3, len(tokens) // 2)
        assert middle.ids.tolist() == whole.ids[len(whole) // 3 : len(whole) // 2].tolist()
        if len(text.sizes) == 1:
            assert text.digest == corpus.train.fingerprint


def test_lines_of_words_are_tidied_as_in_memory(folder, tmp_path):
    files = [folder / "a.txt", folder / "b.txt"]
    corpus, notes = lines_of_words(Corpus.from_files(files, documents="line"))
    text = read_shards(files, Reading("word", "none", "line", check=True), tmp_path, size=300, tidied=True)
    assert text.reading.normalise == corpus.normalise == "sentences"
    assert Vocab(text.counts).tokens == corpus.vocab("word").tokens
    assert len(text.notes) == len(notes)
    assert text.notes[0].partition(",")[0] == notes[0].partition(",")[0]


def test_pieces_that_are_there_are_not_read_again(folder, tmp_path):
    files, reading = [folder / "b.txt"], Reading("word", "none", "line")
    read_shards(files, reading, tmp_path, size=300)
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    (tmp_path / "tokens.1").unlink()
    read_shards(files, reading, tmp_path, size=300)
    after = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert len(before) > 3
    assert {name for name in before if before[name] != after[name]} == {"tokens.1"}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"ab\nc\xff\n", "byte 0xff at offset 4"),
        (b"", "is empty"),
        (b"\n7\n", "empty after"),
    ],
)
def test_bad_texts_are_told_as_ever(tmp_path, data, message):
    (tmp_path / "bad.txt").write_bytes(data)
    with pytest.raises(InputError, match=message):
        read_shards([tmp_path / "bad.txt"], Reading("char", "letters", "line"), tmp_path, size=2)
