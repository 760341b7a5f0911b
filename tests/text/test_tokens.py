"""A text as a model sees it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmbench.errors import InputError
from lmbench.text.canonical import canonical_text
from lmbench.text.interning import WordFinder
from lmbench.text.tokens import Tokens, encode, encode_lines
from lmbench.text.units import unit_named
from lmbench.text.vocab import Vocab


def test_head_keeps_the_documents_that_begin_in_it():
    tokens = Tokens(np.array([5, 6, 1, 7, 1, 8, 1], dtype=np.int32), np.array([0, 3, 5]), bos=1)
    for length, starts in [(0, [0]), (1, [0]), (3, [0]), (4, [0, 3]), (6, [0, 3, 5])]:
        head = tokens.head(length)
        assert head.ids.tolist() == tokens.ids[:length].tolist()
        assert (head.starts.tolist(), head.bos) == (starts, 1)
    assert tokens.head(7) is tokens


def test_head_of_a_text_is_by_characters():
    text = canonical_text(["ab\ncd\ne"], "none", "line")
    for chars, starts in [(0, [0]), (3, [0]), (4, [0, 3]), (7, [0, 3, 6])]:
        assert (text.head(chars).text, text.head(chars).starts.tolist()) == (text.text[:chars], starts)
    assert text.head(100) is text


@settings(max_examples=100)
@given(
    st.lists(st.text("ab \té船\U0001f98a\n", max_size=30), min_size=1, max_size=4),
    st.lists(st.sampled_from(["a", "b", "ab", "é", "船船", "aaaaaaaaab", "\t"]), max_size=5),
)
def test_lines_looked_up_word_by_word_are_those_encoded(texts, words):
    """One table for all texts, or each text's own types: the same ids, spans and unknown tokens."""
    vocab = Vocab([*words, "\n"])
    finder = WordFinder(vocab.tokens[1:])
    for text in texts:
        lines = canonical_text([text], "none", "line")
        if not lines.text:
            continue
        expected = encode(canonical_text([text], "none", "line"), unit_named("word"), vocab)
        found = encode_lines(lines, unit_named("word"), vocab, finder)
        assert found.tokens.ids.tolist() == expected.tokens.ids.tolist()
        assert found.tokens.starts.tolist() == expected.tokens.starts.tolist()
        unknown = np.flatnonzero(expected.oov)
        assert found.surface_at(unknown) == [expected.surface()[i] for i in unknown]
        assert expected.surface_at(unknown) == found.surface_at(unknown)


def test_half_of_a_pair_has_no_bytes():
    for ask in (unit_named("byte").split, unit_named("byte").types, unit_named("byte").ends):
        with pytest.raises(InputError, match=r"character 2 of the text, U\+D800, is half of a pair"):
            ask("a\ud800")
