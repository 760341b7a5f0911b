"""Numbering words takes little beside their bytes, whatever the words; ``test_canonical`` has what is numbered."""

import hashlib
import tracemalloc

import numpy as np
import pytest

from lmbench.text import interning
from lmbench.text.interning import distinct_words

N = 60_000
KINDS = {
    "numbers": str,
    "numbers of one width": "{:08}".format,
    "ids": "id{:06}".format,
    "ids of long words": "https://example.org/{}".format,
    "differing at the end": "aaaaaaaaaaaaaaaaaaaa{:06}".format,
    "differing in front": "{:06}aaaaaaaaaaaaaaaaaaaa".format,
    "zero bytes": lambda i: f"{i // 3}" + "\0" * (i % 3),
    "Chinese": lambda i: chr(0x4E00 + i // 200) + chr(0x4E00 + i % 200),
}


@pytest.mark.parametrize("kind", KINDS)
def test_forty_bytes_a_word_beside_its_own(kind):
    """Keys that were not mixed took up to 10 GB for 13 MB."""
    text = " ".join(map(KINDS[kind], np.random.default_rng(0).permutation(N).tolist()))
    expected = list(dict.fromkeys(text.split(" ")))
    data = text.encode()
    words = interning.WordNumbers()
    tracemalloc.start()
    begin = 0
    while begin < len(data):
        end = interning._end_of_piece(data, begin, 1 << 14)
        piece = data[begin:end]
        words.number(interning.Words.of(piece, *interning._tokens(piece, begin == 0, end == len(data))))
        begin = end
    words.index()
    kept, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    own = sum(len(word.encode()) for word in expected)
    assert kept - own <= 40 * len(expected)
    assert peak - 2 * own <= 120 * len(expected)
    assert words.words() == expected


def test_words_that_share_a_key_are_told_apart(monkeypatch):
    """As if only the last eight bytes of a longer word made its key: what the index cannot hold is found one by one."""
    monkeypatch.setattr(interning, "_MULTIPLIER", np.uint64(0))
    text = " ".join(f"{i}_the_number" for i in np.random.default_rng(1).integers(100, 600, 30_000).tolist())
    types, which = distinct_words(text)
    assert types == list(dict.fromkeys(text.split(" ")))
    assert [types[i] for i in which.tolist()] == text.split(" ")


def test_words_for_which_no_table_has_a_place(monkeypatch):
    """As if all words were to have the same place: each table takes one."""
    monkeypatch.setattr(interning, "_PLACES", 0)
    text = " ".join(map(str, np.random.default_rng(2).integers(0, 300, 20_000).tolist()))
    types, which = distinct_words(text)
    assert types == list(dict.fromkeys(text.split(" ")))
    assert [types[i] for i in which.tolist()] == text.split(" ")
    assert interning.WordFinder(types).numbers(text).tolist() == which.tolist()


@pytest.mark.parametrize("alike", [False, True])
def test_words_of_thousands_of_letters(monkeypatch, alike):
    """Each is taken by itself; where two share a digest, their bytes tell them apart."""
    if alike:
        real = hashlib.blake2b
        monkeypatch.setattr(hashlib, "blake2b", lambda data, digest_size: real(b"", digest_size=digest_size))
    words = [
        "a" * 4095,
        "a" * 4096,
        "a" * 4097,
        "a" * 5000,
        "a" * 4999 + "b",
        "b" + "a" * 4999,
        "é" * 3000,
        "a" * 100_000,
    ]
    text = " ".join(np.random.default_rng(3).choice([*words, "the", "a_longer_one"], 300).tolist())
    types, which = distinct_words(text)
    assert types == list(dict.fromkeys(text.split(" ")))
    assert [types[i] for i in which.tolist()] == text.split(" ")
    assert interning.WordFinder(types).numbers(text).tolist() == which.tolist()
    assert interning.WordFinder(types[:4]).numbers(text).tolist() == [i if i < 4 else -1 for i in which]
