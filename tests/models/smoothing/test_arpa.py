r"""The ARPA reader and writer, against files that KenLM wrote and what its ``query`` said of them."""

import gzip
import os
import re
import tempfile
import threading
import tracemalloc
from itertools import product

import numpy as np
import pytest
import readers
from hypothesis import given, settings
from hypothesis import strategies as st
from model_damage import damaged_arpa
from paths import GOLDEN
from readers import arpa_scores

from lmbench.cli import main
from lmbench.corpora.corpus import Corpus
from lmbench.errors import InputError
from lmbench.models import make_model
from lmbench.models.laws import broken_laws
from lmbench.models.smoothing import arpa_file
from lmbench.models.smoothing.arpa import from_arpa, to_arpa
from lmbench.models.smoothing.arpa_file import format_arpa, parse_arpa, read_arpa, write_arpa
from lmbench.models.smoothing.arpa_reader import Arpa, ArpaReader
from lmbench.scoring.scorer import Scorer
from lmbench.scoring.speller import Speller
from lmbench.text.canonical import canonical_text
from lmbench.text.tokens import Tokens, encode
from lmbench.text.units import unit_named
from lmbench.text.vocab import Vocab, build_vocab

FILES = {"ferry.o3.arpa": "ferry.o3.tokens.tsv", "ferry.o5.fallback.arpa": "ferry.o5.fallback.tokens.tsv"}
WORD = unit_named("word")

SMALL = """\\data\\
ngram 1=5
ngram 2=3

\\1-grams:
-1.5\t<unk>
0\t<s>\t-0.5
-0.5\t</s>
-0.25\ta\t-0.125
-1\tb

\\2-grams:
-0.25\t<s> a
-0.5\ta b
-0.75\ta </s>

\\end\\
"""


def lines_of(path):
    return canonical_text([path.read_text(encoding="utf-8")], "none", "line")


def loaded(path, text):
    """The model in a file, fitted, and a text in its vocabulary."""
    model = make_model("arpa", file=str(path))
    vocab = model.vocabulary(Vocab())
    encoded = encode(text, WORD, vocab)
    return model.fit(encoded.tokens, vocab_size=len(vocab)), encoded


# Reading and writing ---------------------------------------------------------------------------------


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


# As other toolkits write them ------------------------------------------------------------------------

FOX = """\\data\\
ngram 1=6
ngram 2=7

\\1-grams:
-1.0000000\t<unk>\t0
-99\t<s>\t-0.3424227
-0.5228787\t</s>
-0.5228787\tred\t-0.3679768
-0.8239087\tblue\t-0.3273589
-0.8239087\tfox\t-0.2041200

\\2-grams:
-0.3010300\t<s> red
-0.6020600\t<s> blue
-0.2218487\tred fox
-1.0000000\tred blue
-0.2218487\tblue fox
-0.2218487\tfox </s>
-0.8239087\tfox red

\\end\\
"""
FOX_TEXT = canonical_text(["red fox\nblue fox red\nfox blue\nzebra fox\n"], "none", "line")
FOX_PERPLEXITY = 4.682472597724976  # as KenLM's query says of the two


def _changed(*changes):
    text = FOX
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return text


_UNKLESS = _changed(("ngram 1=6", "ngram 1=5"), ("-1.0000000\t<unk>\t0\n", ""))
TOOLKITS = {  # what they write: the file, and what each note says
    "as KenLM": (FOX, []),
    "text before (CMU)": (
        f"Made by a toolkit\n\nGood-Turing\n{FOX}",
        ["text before .*, in 3 lines, line 1 first"],
    ),
    "a blank line before (SRILM)": (f"\n{FOX}", []),
    "blanks for tabs (QuickLM)": (FOX.replace("\t", " "), ["blanks for tabs, in 13 lines, line 6 first"]),
    "a blank after the number (CMU)": (
        _changed(*((f"7\t{word}", f"7 {word}") for word in ("</s>", "red", "blue", "fox"))),
        ["blanks for tabs, in 8 lines, line 8 first"],
    ),
    "tabs between words": (_changed(("fox red", "fox\tred")), ["blanks for tabs, in 1 line, line 20 first"]),
    "numbers in columns": (
        _changed(("-1.0000000\t", "  -1.0000000\t  ")),
        ["blanks for tabs, in 2 lines, line 6 first"],
    ),
    "trailing blanks": (
        "\n".join(line and line + " " for line in FOX.split("\n")),
        ["blanks at the ends of lines, in 13 lines, line 6 first"],
    ),
    "trailing tabs (MITLM)": (
        _changed(("<s> red\n", "<s> red\t\n"), ("</s>\n-0.52", "</s>\t\n-0.52")),
        ["blanks at the ends of lines, in 2 lines, line 8 first"],
    ),
    "blank lines inside": (
        _changed(("</s>\n-0.52", "</s>\n\n \t\n-0.52")),
        ["a blank line .*, in 2 lines, line 9"],
    ),
    "IRSTLM": (
        _changed(("=", "=\t"), ("\n\n\\", "\n\\"), ("-1.0000000\t<unk>\t0", "-1.0000000 <unk>")),
        ["blanks among the counts, in 2 lines, line 2", "blanks for tabs, in 1 line, line 5"],
    ),
    "blanks around the sign": (_changed(("=", " = ")), ["blanks among the counts, in 2 lines"]),
    "counts before pruning (IRSTLM)": (
        _changed(("2=7", "2=1000000007")),
        ["there are 7 2-grams, but the header says 1,000,000,007; .*, in 1 line, line 21 first"],
    ),
    "no blank line before the end": (_changed(("\n\n\\end", "\n\\end")), []),
    "an empty section that lacks": (
        _changed(("2=7\n", "2=7\nngram 3=0\n")),
        [r"no section .3-grams:, of which there are 0"],
    ),
    "an empty section": (_changed(("2=7\n", "2=7\nngram 3=0\n"), ("\\end", "\\3-grams:\n\n\\end")), []),
    "</s> <s> (SRILM on one line)": (
        _changed(("2=7", "2=8"), ("fox red\n", "fox red\n-0.0044\t</s> <s>\n")),
        ["1 n-gram across the ends of sentences, such as '</s> <s>', left out"],
    ),
    "across sentences (CMU)": (
        _changed(
            ("2=7", "2=8\nngram 3=2"),
            ("fox red\n", "fox red\n-0.0044\t</s> <s>\t-0.1\n"),
            ("\\end", "\\3-grams:\n-0.1\tfox </s> <s>\n-0.2\t</s> <s> red\n\n\\end"),
        ),
        ["3 n-grams across the ends of sentences, such as '</s> <s>', left out"],
    ),
    "weights on </s>": (
        _changed(("fox </s>", "fox </s>\t-0.3"), ("2=7", "2=7\nngram 3=0"), ("\\end", "\\3-grams:\n\n\\end")),
        [],
    ),
    "<UNK> (CMU, Kaldi)": (_changed(("<unk>", "<UNK>")), []),
    "<Unk>": (_changed(("<unk>", "<Unk>")), []),
    "<S> and </S>": (_changed(("<s>", "<S>"), ("</s>", "</S>")), []),
    "p of <s> as any word's (CMU)": (_changed(("-99", "-0.6")), []),
    "p of <s> just above 1": (
        _changed(("-99", "1.1920929e-07")),
        ["a log10 probability just above 0, .*, in 1 line"],
    ),
    "-inf for <s> (OpenGrm)": (_changed(("-99", "-inf")), []),
    "capital exponents": (_changed(("-1.0000000", "-1.0E+00")), []),
    "a byte-order mark and Windows line ends": ("\ufeff" + FOX.replace("\n", "\r\n"), []),
    "weights at the highest order": (
        _changed(("red fox", "red fox\t-0.7")),
        ["a backoff, though no n-gram is longer"],
    ),
}


@pytest.mark.parametrize("toolkit", TOOLKITS)
@pytest.mark.parametrize("documents", ["line", "stream"])
def test_files_are_read_as_other_toolkits_mean_them(toolkit, documents, tmp_path):
    text, notes = TOOLKITS[toolkit]
    path = tmp_path / "fox.arpa"
    path.write_bytes(text.encode())
    model, encoded = loaded(path, canonical_text([FOX_TEXT.text], "none", documents))
    np.testing.assert_allclose(np.exp(-model.log_probs(encoded.tokens).mean()), FOX_PERPLEXITY, rtol=1e-7)
    assert len(model.notes) == len(notes), model.notes
    for note, expected in zip(model.notes, notes, strict=True):
        assert re.match(f"{re.escape(str(path))}: {expected}", note)
    strict = make_model("arpa", file=str(path), strict=True)
    if notes:
        with pytest.raises(InputError, match=re.escape(str(path))):
            strict.fit([], vocab_size=len(strict.vocabulary(Vocab())))
    else:
        strict.fit([], vocab_size=len(strict.vocabulary(Vocab())))
        assert strict.log_probs(encoded.tokens).tolist() == model.log_probs(encoded.tokens).tolist()


def test_weights_of_contexts_that_do_not_occur_change_nothing(tmp_path):
    """'a </s>' as a context: after the end of a sentence stands <s>, whatever the weight that the file has."""
    trigram = SMALL.replace("2=3\n", "2=3\nngram 3=1\n").replace(
        "\n\\end", "\n\\3-grams:\n-0.1\t<s> a b\n\n\\end"
    )
    scores = []
    for text in (trigram, trigram.replace("a </s>", "a </s>\t-0.3")):
        (tmp_path / "weights.arpa").write_text(text)
        model, encoded = loaded(tmp_path / "weights.arpa", canonical_text(["a\nb a\nb\n"], "none", "stream"))
        scores.append((model.log_probs(encoded.tokens) / np.log(10)).tolist())
    assert scores[0] == scores[1]
    # b after 'a </s>', that is after <s>: the weight of <s>, the unigram
    assert scores[0][2] == pytest.approx(-0.5 - 1)


def test_text_that_has_no_data_is_no_model():
    with pytest.raises(InputError, match=r"line 1: an ARPA file begins with \\data\\, not 'the ferry'"):
        parse_arpa("the ferry\nleaves at nine\n")


def test_unknown_words_are_charged_by_the_words_of_the_file(tmp_path):
    """Whatever text stands beside it: bits per character depend on the model and the test text alone."""
    (tmp_path / "fox.arpa").write_text(FOX)
    charged = []
    for train in ("", "x\n", "zebra zebras\n", "今天天气很好\n"):
        corpus = Corpus("fox", canonical_text([train], "none", "line"), None, FOX_TEXT, "none", "line")
        model = make_model("arpa", file=str(tmp_path / "fox.arpa"))
        charged.append(Scorer.fit(model, corpus, "word").score(FOX_TEXT).spelling.sum())
    own = Speller.fit(Vocab(["red", "blue", "fox", "\n"]), "word").log_probs(["zebra"])
    assert charged == [own.sum()] * 4


# The model -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FILES)
def test_scores_are_those_of_query(name):
    model, encoded = loaded(GOLDEN / name, lines_of(GOLDEN / "ferry.test.txt"))
    golden = [line.split("\t") for line in (GOLDEN / FILES[name]).read_text().splitlines()[1:]]
    assert [w.replace("</s>", "\n") for w, _, _ in golden] == encoded.surface()
    expected = [float(log10) for _, _, log10 in golden]
    np.testing.assert_allclose(model.log_probs(encoded.tokens) / np.log(10), expected, atol=1e-5)
    assert broken_laws(model, Tokens.of(encoded.tokens.documents()[0], encoded.tokens.bos)) == {}


def test_a_small_model_by_hand(tmp_path):
    (tmp_path / "small.arpa").write_text(SMALL)
    model, encoded = loaded(tmp_path / "small.arpa", canonical_text(["a b\nb c\n\n"], "none", "line"))
    found = model.log_probs(encoded.tokens) / np.log(10)
    # a after <s>; b after a; </s> after b: no backoff, the unigram.  b after <s>: backoff -0.5, unigram -1;
    # c, unknown, after b: the unigram of <unk>; </s> after it.  </s> after <s>: backoff -0.5, unigram -0.5.
    np.testing.assert_allclose(found, [-0.25, -0.5, -0.5, -1.5, -1.5, -0.5, -1.0], rtol=1e-12)


def obvious(entries, words):
    """log10 p of the last word: its own entry, or else the backoff weight of the context and one word less of it."""
    if words in entries:
        return entries[words][0]
    return entries.get(words[:-1], (0, 0))[1] + obvious(entries, words[1:])


@given(st.data())
def test_scores_are_those_of_the_obvious_program_though_prefixes_lack(data):
    number = st.floats(-3, 0, width=16)
    entries = {(w,): (data.draw(number), data.draw(number)) for w in ("<unk>", "<s>", "</s>", "a", "b")}
    for k in (2, 3, 4):
        for words in product("ab", repeat=k):
            if data.draw(st.booleans()):
                entries[words] = (data.draw(number), data.draw(number) if k < 4 else 0.0)
    orders = [[words for words in entries if len(words) == k] for k in (1, 2, 3, 4)]
    spelt = [words[0] for words in orders[0]]
    vocab, table = from_arpa(
        Arpa(
            spelt,
            tuple(
                np.array([[*map(spelt.index, w)] for w in o], np.int32).reshape(-1, k)
                for k, o in enumerate(orders, 1)
            ),
            *(tuple(np.array([entries[w][i] for w in o]) for o in orders) for i in (0, 1)),
        ),
        "drawn",
    )
    text = data.draw(st.lists(st.sampled_from("ab"), min_size=1, max_size=12))
    expected = [obvious(entries, ("<s>", *text)[max(0, t - 2) : t + 2]) for t in range(len(text))]
    np.testing.assert_allclose(np.log10(table.score(Tokens.of(vocab.encode(text), 1))), expected, atol=1e-12)


def test_prefixes_that_a_file_lacks_get_their_probability(tmp_path):
    """SRILM's pruning may drop 'a b' and keep 'a b a': then p(b | a) = 10^(-0.125 - 1), and nothing else changes."""
    text = SMALL.replace("ngram 2=3", "ngram 2=2\nngram 3=1").replace("-0.5\ta b\n", "")
    text = text.replace("\n\\end", "\n\\3-grams:\n-0.1\ta b a\n\n\\end")
    (tmp_path / "pruned.arpa").write_text(text)
    model, encoded = loaded(tmp_path / "pruned.arpa", canonical_text(["a b a"], "none", "line"))
    np.testing.assert_allclose(
        model.log_probs(encoded.tokens) / np.log(10), [-0.25, -1.125, -0.1, -0.75], rtol=1e-12
    )


def test_kneser_ney_written_and_read_scores_the_same(tmp_path):
    text = lines_of(GOLDEN / "ferry.train.txt")
    vocab = build_vocab(text, WORD)
    train, test = (encode(t, WORD, vocab) for t in (text, lines_of(GOLDEN / "ferry.test.txt")))
    model = make_model("kneser-ney", order=3, kenlm_counts=True).fit(train.tokens, vocab_size=len(vocab))
    arpa = to_arpa(model, vocab)
    write_arpa(tmp_path / "own.arpa.gz", arpa)
    other, encoded = loaded(tmp_path / "own.arpa.gz", test.canonical)
    np.testing.assert_allclose(other.log_probs(encoded.tokens), model.log_probs(test.tokens), rtol=1e-12)
    # Entry by entry, in whatever order, the file that KenLM wrote.
    golden = read_arpa(GOLDEN / "ferry.o3.arpa")
    for k in range(3):
        ours, theirs = (
            {
                tuple(a.words[i] for i in row): values
                for row, *values in zip(
                    a.ngrams[k].tolist(), a.log10_probs[k], a.log10_backoffs[k], strict=True
                )
            }
            for a in (arpa, golden)
        )
        assert ours.keys() == theirs.keys()
        np.testing.assert_allclose([ours[g] for g in theirs], list(theirs.values()), atol=1e-5)


def test_a_scorer_saved_as_arpa_scores_the_same(ferry, tmp_path):
    scorer = Scorer.fit(make_model("witten-bell", order=2), ferry, "word")
    scorer.save(tmp_path / "model.arpa.gz")
    again = Scorer.fit(make_model("arpa", file=str(tmp_path / "model.arpa.gz")), ferry, "word")
    before, after = (s.score(ferry.test) for s in (scorer, again))
    np.testing.assert_allclose(after.nats, before.nats, rtol=1e-9)
    with pytest.raises(InputError, match="not made of n-grams"):
        Scorer.fit(make_model("uniform"), ferry, "word").save(tmp_path / "uniform.arpa")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model.arpa.gz"]


@pytest.mark.parametrize("model", ["bigram", "trigram", "jelinek-mercer"])
def test_models_of_few_lines_are_saved_or_the_lines_said_to_be_too_few(model, tmp_path, capsys):
    """The tenth that is held out is whole lines: half a line has no end of a sentence, or an empty word."""
    (tmp_path / "four.txt").write_text("the old clock is loud\nclock makers\nan old friend\nthere are nine\n")
    (tmp_path / "one.txt").write_text("the old clock is loud\n")
    place = tmp_path / "few.arpa"
    command = [
        "fit",
        "--model",
        model,
        "--unit",
        "word",
        "--documents",
        "line",
        "--save",
        str(place),
        "--train",
    ]
    assert main([*command, str(tmp_path / "four.txt")]) == 0
    assert read_arpa(place).words[:3] == ["<unk>", "<s>", "</s>"]
    place.unlink()
    assert main([*command, str(tmp_path / "one.txt")]) == 2
    assert "too short to hold a tenth out; give --valid" in capsys.readouterr().err
    assert not place.exists()


def test_what_arpa_cannot_say_is_refused():
    vocab = Vocab(["\n", "a", "a"])
    model = make_model("witten-bell", order=3).fit([1, 2, 1, 1], vocab_size=3)
    with pytest.raises(InputError, match="run across the ends of lines"):
        to_arpa(model, vocab)
    with pytest.raises(InputError, match="needs the ends of sentences"):
        to_arpa(model, Vocab(["a", "b"]))
    with pytest.raises(InputError, match="reserve"):
        to_arpa(model, Vocab(["\n", "<unk>"]))


def test_files_that_are_no_model_are_refused(tmp_path):
    with pytest.raises(InputError, match="option file"):
        make_model("arpa")
    with pytest.raises(InputError, match="cannot read"):
        make_model("arpa", file=str(tmp_path / "none.arpa")).vocabulary(Vocab())
    for old, new, message in (
        ("<s>", "<p>", "no <s>"),
        ("a </s>", "a <s>", "2-gram 'a <s>' crosses the end"),
        ("a b", "a </s>", "2-gram 'a </s>' twice"),
        ("b\n", "<UNK>\n", "both <unk> and <UNK>"),
    ):
        with pytest.raises(InputError, match=message):
            from_arpa(parse_arpa(SMALL.replace(old, new)), "model.arpa")


def test_saved_and_restored_without_the_file(tmp_path):
    (tmp_path / "small.arpa").write_text(SMALL.replace("-1.5\t<unk>\n", "").replace("1=5", "1=4"))
    model, encoded = loaded(tmp_path / "small.arpa", canonical_text(["a b\nb c\n"], "none", "line"))
    assert "no <unk>" in model.notes[0]
    (tmp_path / "small.arpa").unlink()
    other = make_model("arpa", **model.options())
    other.restore(model.state(), model.vocab_size)
    assert other.log_probs(encoded.tokens).tolist() == model.log_probs(encoded.tokens).tolist()


PROPER = """\\data\\
ngram 1=4
ngram 2=1

\\1-grams:
-0.60206\t<unk>
-99\t<s>\t-0.1760913
-0.60206\t</s>
-0.30103\ta

\\2-grams:
-0.1760913\t<s> a

\\end\\
"""


def test_backoff_weights_that_are_missing_are_told():
    """p(a | <s>) = 2/3, so that half of the rest, 1/3 / (1/2) = 2/3 = 10^-0.176, is the weight; without it Σ p = 7/6."""
    model = fitted_from(PROPER)
    assert model.notes == []
    with pytest.raises(InputError, match=r"after '<s>' sum to 1.167, as its backoff weight is missing"):
        fitted_from(PROPER.replace("<s>\t-0.1760913", "<s>"))
    assert (
        "after '<s>' sum to 1.196, not 1" in fitted_from(PROPER.replace("<s>\t-0.176", "<s>\t0.025")).notes[0]
    )
    assert (
        "without context sum to 0.75, not 1"
        in fitted_from(PROPER.replace("-0.60206\t<unk>", "-9\t<unk>")).notes[0]
    )


def test_a_probability_above_1_is_refused_where_it_comes_out(tmp_path):
    model = fitted_from(PROPER.replace("<s>\t-0.176", "<s>\t3.176"))
    with pytest.raises(InputError, match=r"arpa \(.*\) gives a probability of e\^.*, above 1"):
        model.log_probs(Tokens.of([0], 1))
    with pytest.raises(InputError, match="above 1"):
        model.next_log_probs([], 1)


def fitted_from(text):
    with tempfile.NamedTemporaryFile("w", suffix=".arpa") as file:
        file.write(text)
        file.flush()
        return loaded(file.name, canonical_text(["a"], "none", "line"))[0]


def test_memory_is_a_few_times_the_size_of_the_file(tmp_path):
    """20 times it was, when each line was a string."""
    rng = np.random.default_rng(0)
    words = [f"word{i}" for i in range(2000)]
    pairs = np.unique(rng.integers(0, 2000, (150_000, 2)), axis=0)
    numbers = np.char.mod("-%.6f", rng.random(len(pairs)) * 5)
    with (tmp_path / "large.arpa").open("w") as file:
        file.write(f"\\data\\\nngram 1=2003\nngram 2={len(pairs)}\n\n\\1-grams:\n")
        file.writelines(f"-3.3\t{word}\t-0.1\n" for word in ["<unk>", "<s>", "</s>", *words])
        file.write("\n\\2-grams:\n")
        file.writelines(f"{p}\tword{a} word{b}\n" for p, (a, b) in zip(numbers, pairs.tolist(), strict=True))
        file.write("\n\\end\\\n")
    arpa_file.BLOCK, before = 1 << 18, arpa_file.BLOCK
    tracemalloc.start()
    try:
        arpa = read_arpa(tmp_path / "large.arpa")
        from_arpa(arpa, "large")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        arpa_file.BLOCK = before
    assert peak < 3 * (tmp_path / "large.arpa").stat().st_size
    assert arpa.log10_probs[1].tolist() == [float(number) for number in numbers]


@settings(max_examples=60)
@given(st.integers(1, 400), st.sampled_from(sorted(TOOLKITS)))
def test_lines_are_the_same_however_the_file_is_cut_into_blocks(size, toolkit):
    whole = parse_arpa(TOOLKITS[toolkit][0], "x")
    data = TOOLKITS[toolkit][0].encode()
    cut = ArpaReader(iter([data[i : i + size] for i in range(0, len(data), size)]), "x", False).read()
    assert format_arpa(cut) == format_arpa(whole)
    assert cut.notes == whole.notes
