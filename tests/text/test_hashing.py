"""Numbers for words: equal exactly where these are, however the text is cut into pieces."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmbench.text import hashing
from lmbench.text.hashing import word_hashes

texts = st.text(alphabet="abAÉé9漢 \n\t\u2003.,'", max_size=60)


@settings(deadline=None, max_examples=200)
@given(texts, st.integers(1, 5))
def test_words_are_those_of_split(text, chunk):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hashing, "CHUNK", chunk)
        cut, cut_spans = word_hashes(text)
    hashes, spans = word_hashes(text)
    if " " in text or "\n" in text or len(text) < 16 * chunk:  # else a word may be cut
        words = [text[a:b] for a, b in spans.tolist()]
        assert words == text.split()
        assert (
            len(set(zip(words, hashes.tolist(), strict=True))) == len(set(words)) == len(set(hashes.tolist()))
        )
    if all(len(word) < 10 * chunk for word in text.split(" ")):
        np.testing.assert_array_equal(cut, hashes)
        np.testing.assert_array_equal(cut_spans, spans)


@settings(deadline=None, max_examples=200)
@given(texts)
def test_folded_words_are_letters_and_digits_without_capitals(text):
    hashes, spans = word_hashes(text, folded=True)
    words = [text[a:b] for a, b in spans.tolist()]
    assert words == "".join(c if c.isalnum() else " " for c in text).split()
    small = [word.lower() for word in words]
    assert len(set(zip(small, hashes.tolist(), strict=True))) == len(set(small)) == len(set(hashes.tolist()))


def test_every_blank_of_unicode_cuts():
    blanks = [chr(point) for point in range(0x110000) if chr(point).isspace()]
    text = "".join(f"a{blank}" for blank in blanks)
    assert len(word_hashes(text)[0]) == len(blanks)
    assert len(word_hashes("漢" + chr(0x3001) + chr(0x10FFFF))[0]) == 1
