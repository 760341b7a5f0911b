r"""The ARPA reader and writer, against files that KenLM wrote."""

import gzip
import os
import threading

import numpy as np
import pytest
import readers
from arpa_files import FILES, SMALL, TOOLKITS, loaded
from hypothesis import given, settings
from hypothesis import strategies as st
from model_damage import damaged_arpa
from paths import GOLDEN
from readers import arpa_scores

from lmbench.errors import InputError
from lmbench.models.smoothing.arpa_file import format_arpa, parse_arpa, read_arpa, write_arpa
from lmbench.models.smoothing.arpa_reader import Arpa, ArpaReader
from lmbench.text.canonical import canonical_text


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("packed", ["", ".gz"])
def test_files_are_written_as_they_were_read(name, packed, tmp_path):
    text = (GOLDEN / name).read_text(encoding="utf-8")
    write_arpa(tmp_path / f"model{packed}", parse_arpa(text))
    data = (tmp_path / f"model{packed}").read_bytes()
    assert (gzip.decompress(data) if packed else data).decode() == text
    assert format_arpa(read_arpa(tmp_path / f"model{packed}")) == text


def test_what_a_small_file_says():
    arpa = parse_arpa(SMALL)
    assert arpa.words == ["<unk>", "<s>", "</s>", "a", "b"]
    assert arpa.log10_probs[0].tolist() == [-1.5, 0, -0.5, -0.25, -1]
    assert arpa.log10_backoffs[0].tolist() == [0, -0.5, 0, -0.125, 0]
    assert arpa.ngrams[1].tolist() == [[1, 3], [3, 4], [3, 2]]
    assert arpa.log10_backoffs[1].tolist() == [0, 0, 0]


def test_windows_line_ends_and_no_last_line_end():
    assert format_arpa(parse_arpa(SMALL.replace("\n", "\r\n").rstrip())) == format_arpa(parse_arpa(SMALL))


words = st.lists(
    st.text(st.characters(exclude_characters=" \t\r\n\0", exclude_categories=["Cs"]), min_size=1), unique=True
)
log10 = st.floats(-300, 0)


@given(st.data())
def test_every_model_reads_back_to_the_last_bit(data):
    vocab = data.draw(words)
    ngrams, probs, backoffs = [], [], []
    for k in range(1, data.draw(st.integers(1, 3)) + 1):
        number = len(vocab) if k == 1 else data.draw(st.integers(0, 4)) if vocab else 0
        ids = np.arange(number)[:, None]
        if k > 1:
            ids = data.draw(
                st.lists(st.integers(0, max(0, len(vocab) - 1)), min_size=k * number, max_size=k * number)
            )
        ngrams.append(np.array(ids, dtype=np.int32).reshape(-1, k))
        exactly = {"min_size": number, "max_size": number}
        probs.append(np.array(data.draw(st.lists(log10, **exactly))))
        backoffs.append(np.array(data.draw(st.lists(log10, **exactly))))
    backoffs[-1][:] = 0
    arpa = Arpa(vocab, tuple(ngrams), tuple(probs), tuple(backoffs))
    again = parse_arpa(format_arpa(arpa))
    assert again.words == arpa.words
    for name in ("ngrams", "log10_probs", "log10_backoffs"):
        for a, b in zip(getattr(arpa, name), getattr(again, name), strict=True):
            assert a.tolist() == b.tolist()


@pytest.mark.parametrize("word", ["", "a b", "a\tb", "\n"])
def test_words_that_the_format_cannot_hold_are_refused(word, tmp_path):
    arpa = Arpa([word], (np.zeros((1, 1), dtype=np.int32),), (np.zeros(1),), (np.zeros(1),))
    with pytest.raises(InputError, match="cannot stand"):
        write_arpa(tmp_path / "x.arpa", arpa)
    assert list(tmp_path.iterdir()) == []


BROKEN = {
    "a count too high": (("ngram 2=3", "ngram 2=4"), "line 16: there are 3 2-grams, but the header says 4"),
    "a count too low": (("ngram 2=3", "ngram 2=2"), "line 16: there are 3 2-grams, but the header says 2"),
    "unigrams too few": (("ngram 1=5", "ngram 1=6"), "there are 5 1-grams"),
    "an order skipped": (("ngram 2=3", "ngram 3=3"), "line 3: 'ngram 2=COUNT' should stand"),
    "no counts": (("ngram 1=5\nngram 2=3\n", ""), "'ngram 1=COUNT'"),
    "a count that is no number": (("ngram 1=5", "ngram 1=five"), "'ngram 1=COUNT'"),
    "not a number": (("-0.25\ta", "x\ta"), "line 9: the probability 'x' is not a number"),
    "NaN": (("-0.25\ta", "nan\ta"), "line 9: the probability is nan"),
    "NaN backoff": (("-0.125", "nan"), "line 9: the backoff is nan"),
    "an infinite backoff": (("-0.125", "-inf"), "the backoff is -inf"),
    "an absurd backoff": (("-0.125", "1e9"), "the backoff is 1e9"),
    "a backoff that is no number": (("-0.125", "-0.1.2"), "line 9: the backoff '-0.1.2' is not a number"),
    "digits with a line": (("-0.25\ta", "-0_1\ta"), "line 9: the probability '-0_1' is not a number"),
    "digits of another script": (("-0.125", "-٣"), "line 9: the backoff '-٣' is not a number"),
    "a missing backoff": (("a\t-0.125", "a\t"), "line 9: 'log10 probability, tab, 1 word"),
    "p above 1": (("-0.25\ta", "0.25\ta"), "line 9: a log10 probability of 0.25 is a probability above 1"),
    "a backoff at the highest order": (("a b", "a b\t-0.5"), "line 14: a backoff of -0.5"),
    "no tab": (("-0.5\ta b", "-0.5 a b"), "line 14"),
    "a word too many": (("\ta b", "\ta b b"), "line 14: 'log10 probability, tab, 2 words"),
    "a word too few": (("\ta b", "\ta"), "line 14"),
    "an unknown word": (("\ta b", "\ta c"), "line 14: the word 'c' is not among the 1-grams"),
    "a word twice": (("-1\tb", "-1\ta"), "line 10: the word 'a' stands twice"),
    "another section": (("\\2-grams:", "\\3-grams:"), "\\2-grams: should stand here"),
    "text after the end": (("\\end\\\n", "\\end\\\n\nmore\n"), "line 19: after \\end\\ stands 'more'"),
    "a blank line in a section": (
        ("-0.5\ta b", "\n-0.5\ta b"),
        "line 14: a blank line stands among the 2-grams",
    ),
    "cut in a line": (("b\n-0.75\ta </s>\n\n\\end\\\n", ""), "is cut off after line 14"),
    "a backoff of more than can be": (("-0.125", "31"), "line 9: the backoff is 31"),
    "no end": (("\\end\\\n", ""), "cut off"),
    "cut in a section": (("-0.5\ta b\n-0.75\ta </s>\n\n\\end\\\n", ""), "cut off"),
    "another end": (("\\end\\", "end"), "it does not end in \\end\\"),
    "another mark": (("\\end\\", "\\3-grams:"), "\\end\\ should stand here"),
    "a word that is lacking": (("\ta\t-0.125", "\t\t-0.125"), "line 9: 'log10 probability, tab, 1 word"),
    "another beginning": (("\\data\\", "data"), "begins with \\data\\, not 'data'"),
    "iARPA": (("\\data\\", "iARPA\n\\data\\"), "IRSTLM"),
}


ODD = {
    "a count too high": "there are 3 2-grams, but the header says 4; those that stand there count, in 1 line, line 16 first",
    "a count too low": "there are 3 2-grams, but the header says 2; those that stand there count, in 1 line, line 16 first",
    "unigrams too few": "there are 5 1-grams, but the header says 6",
    "no tab": "blanks for tabs, in 1 line, line 14 first",
    "a missing backoff": "blanks at the ends of lines, in 1 line, line 9 first",
    "a blank line in a section": "a blank line among n-grams, in 1 line, line 14 first",
    "a backoff at the highest order": "a backoff, though no n-gram is longer than 2 words, passed over, in 1 line",
}


@pytest.mark.parametrize("what", BROKEN)
@pytest.mark.parametrize("strict", [True, False])
def test_what_is_broken_is_diagnosed(what, strict):
    (old, new), message = BROKEN[what]
    assert old in SMALL
    text = SMALL.replace(old, new, 1)
    if not strict and what in ODD:
        (note,) = parse_arpa(text, "model.arpa").notes
        assert note.startswith(f"model.arpa: {ODD[what]}")
        return
    with pytest.raises(InputError) as error:
        parse_arpa(text, "model.arpa", strict)
    assert message in str(error.value)
    assert str(error.value).startswith("model.arpa")
    assert "\n" not in str(error.value)


def test_damaged_gzip_files_are_diagnosed(tmp_path):
    packed = gzip.compress(SMALL.encode())
    path = tmp_path / "model.arpa.gz"
    path.write_bytes(packed[:-20])
    with pytest.raises(InputError, match="cut off"):
        read_arpa(path)
    path.write_bytes(packed[:30] + b"xxxx" + packed[34:])
    with pytest.raises(InputError, match="damaged gzip"):
        read_arpa(path)
    path.write_bytes(b"mmap lm http://kheafield.com/code format version 5\n\0")
    with pytest.raises(InputError, match="KenLM binary"):
        read_arpa(path)


@settings(max_examples=300)
@given(st.randoms(use_true_random=False))
def test_no_damage_makes_the_reader_fail(tmp_path_factory, rng):
    """Lines and parts of lines lost, doubled or replaced: a model that keeps the laws, or one line that says what is wrong."""
    arpa_scores(damaged_arpa(readers.ARPA.encode(), rng), tmp_path_factory.getbasetemp())


def test_a_long_line_does_not_make_a_long_message():
    for old, new in (
        ("ngram 2=3", "ngram" + "2" * 9000),
        ("a b", "a" * 9000 + " b"),
        ("-0.5\ta b", "-0.5 " * 9000),
    ):
        with pytest.raises(InputError) as error:
            parse_arpa(SMALL.replace(old, new))
        assert len(str(error.value)) < 250


def test_what_unpacks_beyond_measure_is_refused(tmp_path):
    (tmp_path / "bomb.arpa.gz").write_bytes(gzip.compress(bytes(50_000_000)))
    with pytest.raises(InputError, match="more than 100 times its size"):
        read_arpa(tmp_path / "bomb.arpa.gz")
    two = SMALL.encode()[:100], SMALL.encode()[100:]
    (tmp_path / "parts.arpa.gz").write_bytes(b"".join(map(gzip.compress, two)))
    assert format_arpa(read_arpa(tmp_path / "parts.arpa.gz")) == format_arpa(parse_arpa(SMALL))


def test_a_pipe_is_read_once(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=(tmp_path / "pipe").write_text, args=(SMALL,))
    writer.start()
    model, encoded = loaded(tmp_path / "pipe", canonical_text(["a b"], "none", "line"))
    writer.join()
    assert np.isfinite(model.log_probs(encoded.tokens)).all()


@settings(max_examples=60)
@given(st.integers(1, 400), st.sampled_from(sorted(TOOLKITS)))
def test_lines_are_the_same_however_the_file_is_cut_into_blocks(size, toolkit):
    whole = parse_arpa(TOOLKITS[toolkit][0], "x")
    data = TOOLKITS[toolkit][0].encode()
    cut = ArpaReader(iter([data[i : i + size] for i in range(0, len(data), size)]), "x", False).read()
    assert format_arpa(cut) == format_arpa(whole)
    assert cut.notes == whole.notes
