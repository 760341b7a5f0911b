"""Normalisers, canonical text, units without loss, vocabularies (Dive into Deep Learning 8.2)."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmbench.errors import InputError
from lmbench.text import canonical as module
from lmbench.text.canonical import NORMALISERS, CanonicalText, canonical_text
from lmbench.text.tokens import encode
from lmbench.text.units import UNITS
from lmbench.text.vocab import Vocab, build_vocab

TEXTS = st.text(st.sampled_from(list("ab \n\t\ré世🙂-A")), max_size=40)
HARD = ["", " ", "\n", "a  b", " a", "a ", "\n\n a \n", "a\nb", "a\n", "x \n y\n\n\nz", "é🙂\n世 界"]


@pytest.mark.parametrize("text", HARD)
@pytest.mark.parametrize("unit", UNITS.values(), ids=UNITS)
def test_splitting_loses_nothing_and_spans_partition_the_text(unit, text):
    tokens, ends = unit.split(text), unit.ends(text)
    assert unit.join(tokens) == text
    assert len(ends) == len(tokens)
    assert (np.diff(ends, prepend=0) >= 0).all()
    assert (ends[-1] if len(ends) else 0) == len(text)


@given(TEXTS)
def test_lossless_on_any_string(text):
    for unit in UNITS.values():
        tokens, ends = unit.split(text), unit.ends(text).tolist()
        assert unit.join(tokens) == text
        assert len(tokens) == len(ends)
        # A word's span is the word and the space before it; a character's and a line feed's is itself.
        if unit.name == "word":
            for token, start, end in zip(tokens, [0, *ends], ends, strict=False):
                assert text[start:end] in (token, " " + token)


@pytest.mark.parametrize("mode", ["stream", "line"])
@pytest.mark.parametrize("normalise", NORMALISERS)
@given(st.lists(TEXTS, max_size=4))
def test_encoding_respects_documents(normalise, mode, raw):
    canonical = canonical_text(raw, normalise, mode)
    assert "".join(canonical.documents()) == canonical.text
    for unit in UNITS.values():
        if canonical.text:
            encoded = encode(canonical, unit, build_vocab(canonical, unit))
            parts = [unit.split(d) for d in canonical.documents()]
            found = [encoded.vocab.to_tokens(ids) for ids in encoded.tokens.documents()]
            assert found == parts


def test_letters_is_the_rule_of_the_book():
    # Every run of other characters is one space, per line; empty lines go; a stream glues lines by a space.
    raw = "The Time Machine, by H. G. Wells [1898]\n\n\nI\n"
    assert canonical_text([raw], "letters", "stream").text == "the time machine by h g wells i"
    assert canonical_text([raw], "letters", "line").documents() == ["the time machine by h g wells\n", "i\n"]


def test_whitespace_makes_one_blank_of_many_and_line_feeds_of_all_line_ends():
    assert canonical_text([" a \t b\r\nc\rd  \n"], "whitespace", "stream").text == "a b\nc\nd\n"


def test_several_streams_each_end_in_a_line_feed():
    assert canonical_text(["a b", "c", ""], "none", "stream").documents() == ["a b\n", "c\n"]


def test_denominators_come_from_the_canonical_text():
    text = canonical_text(["Zwölf  Boxkämpfer\n"], "whitespace", "stream")
    assert (text.chars, text.bytes, text.words) == (17, 19, 2)  # ö and ä have two bytes each


def test_documents_that_do_not_end_in_a_line_feed_are_refused():
    with pytest.raises(ValueError, match="line feed"):
        CanonicalText.of(["a", "b\n"])


@pytest.mark.parametrize(
    ("normalise", "mode", "named"), [("leters", "line", "letters"), ("none", "lines", "line")]
)
def test_unknown_names_are_named_with_the_nearest(normalise, mode, named):
    with pytest.raises(InputError, match=named):
        canonical_text(["a"], normalise, mode)


# Vocabulary ------------------------------------------------------------------------------------------


def test_vocabulary_is_by_falling_frequency_first_seen_first():
    vocab = Vocab(["b", "a", "c", "a", "b", "d"], reserved=["<pad>"])
    assert vocab.tokens == ["<unk>", "<pad>", "b", "a", "c", "d"]
    assert vocab["a"] == 3
    assert vocab[["a", "nothing"]] == [3, 0]
    assert vocab.to_tokens(2) == "b"
    assert vocab.to_tokens([2, 3]) == ["b", "a"]
    assert len(vocab) == 6
    assert vocab.token_freqs == [("b", 2), ("a", 2), ("c", 1), ("d", 1)]


def test_lists_of_lists_rare_tokens_and_limits():
    lines = [["the", "time"], ["the", "machine"], []]
    assert Vocab(lines).tokens == ["<unk>", "the", "time", "machine"]
    assert Vocab(lines, min_count=2).tokens == ["<unk>", "the"]
    assert Vocab(lines, max_size=3).tokens == ["<unk>", "the", "time"]
    assert Vocab().tokens == ["<unk>"]


def test_a_word_of_the_text_that_reads_unk_is_a_word_of_its_own():
    vocab = Vocab(["<unk>", "a", "<unk>"])
    assert vocab["<unk>"] == 0
    assert vocab.encode(["<unk>", "a", "z"]).tolist() == [1, 2, 0]


def test_reserved_tokens_may_not_repeat():
    with pytest.raises(ValueError, match="repeat"):
        Vocab(reserved=["<unk>"])


def test_bytes_are_shown_by_their_character_or_their_number():
    assert UNITS["byte"].split("aé") == ["a", "<0xC3>", "<0xA9>"]
    assert UNITS["byte"].ends("aé").tolist() == [1, 1, 2]  # é ends with its second byte


def test_an_empty_training_text_is_an_error():
    with pytest.raises(InputError, match="empty"):
        build_vocab(canonical_text(["123"], "letters", "stream"), UNITS["char"])


# The fast ways against the obvious ones ----------------------------------------------------------------


def slow_words(text):
    *lines, last = text.split("\n")
    return [t for line in lines for t in [*(line.split(" ") if line else []), "\n"]] + (
        last.split(" ") if last else []
    )


def slow_types(tokens):
    types = list(dict.fromkeys(tokens))
    number = {token: i for i, token in enumerate(types)}
    return types, [number[token] for token in tokens]


@pytest.mark.parametrize("text", HARD)
@pytest.mark.parametrize("unit", UNITS.values(), ids=UNITS)
def test_types_are_those_of_the_tokens(unit, text):
    types, which = unit.types(text)
    assert (types, which.tolist()) == slow_types(unit.split(text))
    assert which.dtype == np.int32


WORDS = ["a", "b", "", "\0", "a\0", "eight_by", "eight_byt", "eight_bytes_and_more", "eight_bytes_and_moro"]
WORDS += ["世界" * 5, "世界" * 4, "🙂", "é", "a\0\0\0\0\0\0\0", "\ud800", "x" * 40, "x" * 41, "x" * 39 + "y"]


@given(st.lists(st.sampled_from([*WORDS, "\n", "\n\n"]), max_size=60), st.integers(1, 60), st.booleans())
def test_words_are_numbered_as_one_by_one(parts, size, ahead):
    text = " ".join(parts)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lmbench.text.interning._FIRST", size)
        patch.setattr("lmbench.text.interning._LARGEST", 2 * size)
        # Cut by one thread and looked up by another.
        patch.setattr("lmbench.text.interning._WORTH", 0 if ahead else 1 << 30)
        types, which = UNITS["word"].types(text)
    assert UNITS["word"].split(text) == slow_words(text)
    assert (types, which.tolist()) == slow_types(slow_words(text))


def test_words_of_a_long_text_are_numbered_as_one_by_one():
    rng = np.random.default_rng(3)
    text = " ".join(
        f"{'long' * (i % 5)}{i}" + "\n" * int(i % 11 == 0) for i in rng.zipf(1.3, 200_000) % 10**6
    )
    types, which = UNITS["word"].types(text)
    assert (types, which.tolist()) == slow_types(slow_words(text))


@given(st.text(st.sampled_from(list("ab \n\r")), max_size=60))
def test_plain_blanks_are_treated_as_all_blanks_are(text):
    expected = "\n".join(
        " ".join(line.split()) for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    )
    assert NORMALISERS["whitespace"](text) == expected


@given(st.text(alphabet="ab \n\t\u00a0\u3000\u2028é", max_size=30))
def test_words_begin_where_split_finds_them(text):
    canonical = CanonicalText.of([text])
    starts = canonical.word_starts.tolist()
    assert [text[at:].split()[0] for at in starts] == text.split()
    assert len(starts) == canonical.words
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "PIECE", 3)
        assert CanonicalText.of([text]).words == len(starts)
