"""A text as a model sees it."""

import numpy as np

from lmbench.text.canonical import canonical_text
from lmbench.text.tokens import Tokens


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
