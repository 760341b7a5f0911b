"""Files read piece by piece into tokens against the whole text read at once."""

import gzip
import itertools
import json
import random
import sqlite3

import numpy as np
import pytest

from lmbench.corpora.corpus import Corpus
from lmbench.corpora.shards import Reading, read_shards
from lmbench.corpora.words import lines_of_words
from lmbench.errors import InputError
from lmbench.models import make_model
from lmbench.scoring.scorer import Scorer
from lmbench.text import ranking, shards
from lmbench.text.ranking import PackedWords
from lmbench.text.vocab import Lexicon, Vocab


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


@pytest.mark.parametrize("seed", range(4))
def test_types_counted_in_a_file_are_those_counted_in_memory(tmp_path, seed, monkeypatch):
    """Ties, words that come again in another book, and a line feed that is none: the file of types and the first of them."""
    monkeypatch.setattr(shards, "_BOOK", 50)
    chance = random.Random(seed)
    words = ["".join(chance.choices("abcé<>\0", k=chance.randrange(1, 5))) for _ in range(3000)]
    lines = [" ".join(words[i : i + 1 + seed * 3]) for i in range(0, len(words), 1 + seed * 3)]
    (tmp_path / "t.txt").write_text("\n".join(lines) if seed else " ".join(words))
    reading = Reading("word", "none", "line" if seed > 1 else "stream")
    text = read_shards([tmp_path / "t.txt"], reading, tmp_path, size=4000)
    counted = sorted(text.counts.items(), key=lambda pair: -pair[1])
    for first in (1, 7, 10**6):
        ranked = text.ranked(first, 1000, words[-1])
        tokens = [token for token, _ in counted]
        assert list(ranked.types) == tokens
        assert len(ranked.types) == len(tokens)
        assert ranked.first == tokens[:first] + ["\n"] * ("\n" in tokens[first:])
        assert ranked.number(words[-1]) == text.counts[words[-1]]
    assert text.ranked(7, 1 << 40) is None


@pytest.mark.parametrize(
    ("size", "more"),
    [
        (90, {}),
        (90, {"file": "words.txt"}),
        (90, {"unk": "w7"}),
        (90, {"min_count": 9}),
        (0, {"min_count": 4}),
        (0, {"min_count": 4, "unk": "w7"}),
        (0, {"min_count": 10**6}),
    ],
    ids=str,
)
def test_a_small_vocabulary_of_many_types_is_the_same_model(tmp_path, monkeypatch, size, more):
    """Within a limit that the types exceed, to the byte the model that is counted in memory, and it scores alike."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(shards, "_BOOK", 500)
    chance = random.Random(7)
    lines = [" ".join(f"w{int(chance.paretovariate(0.2)) % 9999}" for _ in range(8)) for _ in range(1500)]
    files = [tmp_path / "a.txt"]
    files[0].write_text("\n".join(lines) + "\n")
    (tmp_path / "words.txt").write_text("w1\nw2\nw9\nnever\n")
    (tmp_path / "work").mkdir()
    lexicon = Lexicon(**more)
    whole = Scorer.fit(
        make_model("kneser-ney", order=3, vocab_size=size, memory_limit="1MB"),
        Corpus.from_files(files, documents="line"),
        "word",
        lexicon=lexicon,
    )
    text = read_shards(files, Reading("word", "none", "line"), tmp_path / "work")
    model = make_model("kneser-ney", order=3, vocab_size=size, memory_limit="1MB")
    scorer = Scorer.fit_shards(model, text, "a", lexicon=lexicon)
    assert "counts" not in vars(text)  # else all types were in memory
    assert isinstance(scorer.types, PackedWords)
    scorer.about = whole.about  # the text has another digest there
    whole.save("whole.model")
    scorer.save("shards.model")
    assert (tmp_path / "whole.model").read_bytes() == (tmp_path / "shards.model").read_bytes()
    assert scorer.score("w1 w90 unheard\n").bits_per_char == whole.score("w1 w90 unheard\n").bits_per_char
    assert len(scorer.vocab) < len(whole.types)


def test_types_that_the_disk_has_no_room_for_are_one_line(tmp_path, folder, monkeypatch):
    text = read_shards([folder / "b.txt"], Reading("word", "none", "line"), tmp_path)

    def full(*_):
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(ranking, "_database", full)
    with pytest.raises(InputError, match=r"cannot count types in .*: database or disk is full; name a work"):
        text.ranked(1, 1)
