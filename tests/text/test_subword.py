"""Tokens of pretrained tokenizers on the characters of a text: seven kinds of tokenizers, and what they cannot hold."""

import itertools

import numpy as np
import pytest
from tiny_transformers import END, FAMILIES, byte_level, sentence_piece, transformers, unigram
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers

from lmbench.errors import InputError
from lmbench.text.canonical import canonical_text
from lmbench.text.subword import SubwordUnit

TEXTS = {
    "lines": "The ferry left.\n\nWhere is it?\n",
    "indented": "def f(x):\n    return x\n",
    "tabs and ends of other systems": "a\r\nb\tc\r\n",
    "characters of several bytes": "Ça va — «oui» 日本語 हिन्दी Привет 😀👩‍👩‍👧 e\u0301 é\n",
    "no line feed at the end": "It was here",
    "blanks at the end": "here  \n \n",
    "like special tokens": f"The <unk> said <s> and </s> to {END}.\n",
    "like bytes": "<0x0A> is a line feed\n",
    "one character": "A",
}


@pytest.fixture(scope="module")
def tokenizers():
    return {name: make() for name, make in FAMILIES.items()}


def unit_of(tokenizer, **options):
    outputs, unknown = len(tokenizer), tokenizer.unk_token
    return SubwordUnit(tokenizer.backend_tokenizer, "the model", lambda: outputs, unknown=unknown, **options)


def cut_of(tokenizer, text, documents="stream", **options):
    return canonical_text([text], "none", documents).cut(unit_of(tokenizer, **options))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("what", TEXTS)
def test_tokens_are_the_library_s_own_and_hold_every_character_once(family, what, tokenizers):
    text, tokenizer = TEXTS[what], tokenizers[family]
    if (family, what) == ("unigram", "like bytes"):  # to this kind both are one piece
        with pytest.raises(InputError, match=r"reads '\\n' for '<' at character 1"):
            cut_of(tokenizer, text)
        return
    reading = {"add_special_tokens": False, "verbose": False}
    for special, read in (("text", {"split_special_tokens": True}), ("tokens", {})):
        ids = tokenizer(text, **reading, **read)["input_ids"]
        cut = cut_of(tokenizer, text, special=special)
        assert tokenizer.convert_tokens_to_ids(cut.surface()) == ids
        assert cut.ends[-1] == len(text)
        assert (np.diff(cut.ends, prepend=0) >= 0).all()
        assert unit_of(tokenizer, special=special).join(cut.surface()) == text
        # A token's characters are those that the tokens up to it hold and those before it do not.
        unit = unit_of(tokenizer, special=special)
        for t, end in enumerate(cut.ends.tolist()):
            begun = unit._read(ids[: t + 1]).rstrip("\ufffd")
            assert begun.removeprefix(" ") == text[:end].removeprefix(" ")


@pytest.mark.parametrize("family", FAMILIES)
def test_each_document_is_cut_whole_and_apart(family, tokenizers):
    text, tokenizer = "One.\n\nTwo, and\nthree!\n", tokenizers[family]
    stream, lines = (cut_of(tokenizer, text, documents) for documents in ("stream", "line"))
    parts = [tokenizer(d, add_special_tokens=False)["input_ids"] for d in text.splitlines(keepends=True)]
    whole = tokenizer(text, add_special_tokens=False)["input_ids"]
    assert tokenizer.convert_tokens_to_ids(stream.surface()) == whole
    assert tokenizer.convert_tokens_to_ids(lines.surface()) == [*itertools.chain(*parts)]
    assert lines.starts.tolist() == np.cumsum([0, *map(len, parts[:-1])]).tolist()
    assert [text[:e].count("\n") for e in np.append(0, lines.ends)[lines.starts].tolist()] == [0, 1, 2, 3]


def test_a_blank_put_before_a_text_is_told_from_the_text_s_own():
    first, always = sentence_piece("first"), sentence_piece("always")
    for text in ("  two blanks\n", "x\n"):  # the tokens say how many blanks there were
        assert cut_of(first, text).ends[-1] == len(text)
        assert unit_of(first).join(cut_of(first, text).surface()) == text
    assert unit_of(always).join(cut_of(always, " one\n").surface()) == " one\n"
    for tokenizer in (first, byte_level(prefix=True)):
        with pytest.raises(
            InputError, match=r"reads the blank with which the document at character 3 begins"
        ):
            cut_of(tokenizer, "x\n one\n", "line")  # the same tokens as of "one\n"


def test_a_tokenizer_that_normalises_is_refused_with_place_and_remedy_or_read_as_it_reads():
    nfc = byte_level(normalizer=normalizers.NFC())
    text = "met at the cafe\u0301 and\nleft\n"
    with pytest.raises(
        InputError, match=r"reads 'é' for 'e' \+ U\+0301 at character 15; normalise the text to NFC"
    ):
        cut_of(nfc, text)
    cut = cut_of(nfc, text, as_read=True)
    assert cut.text.text == "met at the café and\nleft\n"
    assert cut.ends[-1] == cut.text.chars == len(text) - 1
    lower = byte_level(normalizer=normalizers.Lowercase())
    with pytest.raises(InputError, match=r"reads 'b' for 'B' at character 5; lower-case the text first"):
        cut_of(lower, "a\na B\n", "line")
    cut = cut_of(lower, "a\na B\n", "line", as_read=True)
    assert (cut.text.text, cut.text.starts.tolist()) == ("a\na b\n", [0, 2])
    assert cut_of(lower, "all lower\n").text.text == "all lower\n"  # nothing is changed, nothing refused


def test_what_the_vocabulary_lacks_is_named():
    with pytest.raises(InputError, match=r"has no token for '😀' at character 5; .* keeps every character"):
        cut_of(unigram(byte_fallback=False), "The 😀\n")
    with pytest.raises(InputError, match=r"has no token for '😀'"):  # its text is lost, not normalised
        cut_of(unigram(byte_fallback=False), "The 😀\n", as_read=True)


def test_a_tokenizer_that_loses_blanks_and_line_feeds_is_refused():
    words = Tokenizer(models.WordLevel({"[UNK]": 0, "the": 1, "cat": 2}, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=words, unk_token="[UNK]")
    with pytest.raises(InputError, match=r"reads nothing for '\\n' at character 8; "):
        cut_of(tokenizer, "the cat\n")
    assert cut_of(tokenizer, "the cat").ends.tolist() == [3, 7]
    with pytest.raises(InputError, match="drops the line feeds"):
        cut_of(tokenizer, "the\ncat\n", "line", as_read=True)


def test_marks_at_the_ends_of_words_are_laid_on_the_text_by_the_tokenizer_s_own_offsets():
    ends = Tokenizer(
        models.BPE({"a</w>": 0, "b": 1, "c</w>": 2, "bc</w>": 3}, [("b", "c</w>")], end_of_word_suffix="</w>")
    )
    ends.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    ends.decoder = decoders.BPEDecoder("</w>")
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=ends)
    assert cut_of(tokenizer, "a bc a").ends.tolist() == [1, 4, 6]


def test_added_tokens_are_text_where_they_are_and_refused_where_the_model_has_none():
    tokenizer = byte_level()
    size = len(tokenizer)
    # Not special: part of how texts are read.
    tokenizer.add_tokens([AddedToken("ferryman", normalized=False)])
    cut = cut_of(tokenizer, "the ferryman\n")
    assert "ferryman" in cut.surface()
    assert cut.ends[cut.surface().index("ferryman")] == len("the ferryman")
    tokenizer.add_special_tokens({"pad_token": "[PAD]"})
    unit = SubwordUnit(tokenizer.backend_tokenizer, "the model", lambda: size + 1, special="tokens")
    assert canonical_text(["a b\n"], "none", "stream").cut(unit).ends[-1] == 4
    with pytest.raises(InputError, match=r"document at character 3 holds '\[PAD\]'.*special=text"):
        canonical_text(["a\nb[PAD]\n"], "none", "line").cut(unit)


def test_half_of_a_pair_is_named():
    with pytest.raises(InputError, match=r"character 3 of a document, U\+D83D, is half of a pair"):
        cut_of(byte_level(), "ab\ud83d\n")


def test_settings_for_batches_do_not_cut_the_text():
    tokenizer = byte_level()
    tokenizer.backend_tokenizer.enable_truncation(4)
    tokenizer.backend_tokenizer.enable_padding(length=9)
    text = "The ferry left at nine\n"
    assert cut_of(tokenizer, text).ends[-1] == len(text)
