"""Tokens as servers show them, laid on the text: whole, in bytes, hidden, stripped of blanks, with symbols before them."""

import pytest
from tiny_transformers import FAMILIES

from lmbench.models.outside.laying import lay
from lmbench.text.canonical import canonical_text
from lmbench.text.subword import SubwordUnit

LOST = "\ufffd"


@pytest.mark.parametrize(
    ("tokens", "text", "ends"),
    [
        ([], "", []),
        (["The", " cat"], "The cat", [3, 7]),
        (["The", "cat"], "The cat", [3, 7]),  # the blank left out
        ([" The", " cat"], "The cat", [3, 7]),  # a blank put before
        (["<s>", "", "The"], "The", [-1, 0, 3]),  # a symbol, and a blank of its own token
        (["", "The"], "The", [-1, 3]),  # a symbol shown as nothing
        (["<s>", "a"], "<s>a", [3, 4]),  # a text that begins so
        ([LOST, LOST, "é"], "éé", [0, 1, 2]),
        ([LOST] * 4 + ["é"], "ééé", [0, 0, 0, 2, 3]),
        (["日" + LOST, LOST, "x"], "日本x", [0, 2, 3]),
        ([f" {LOST}", LOST, "s"], " és", [0, 2, 3]),
        ([f"{LOST}s", "."], "’s.", [2, 3]),
        (["a", LOST, LOST], "aé", [1, 1, 2]),
        (["bytes:\\xc3", "bytes:\\xa9", "."], "é.", [0, 1, 2]),
        (["a", "", "b"], "aéb", [1, 2, 3]),  # bytes shown as nothing
    ],
)
def test_what_each_token_brings(tokens, text, ends):
    assert lay(tokens, text).tolist() == ends


@pytest.mark.parametrize(
    ("tokens", "text"),
    [(["a"], "b"), (["a"], "ab"), (["a", "b"], "a"), ([LOST], "ab"), ([LOST] * 3, "é"), (["x"], "éx")],
)
def test_tokens_of_another_text_are_none(tokens, text):
    assert lay(tokens, text) is None


@pytest.mark.parametrize("family", FAMILIES)
def test_it_agrees_with_the_tokenizer_s_own_bytes_wherever_a_character_ends(family):
    tokenizer = FAMILIES[family]()
    text = "The ferry, ça va — 日本語 😀 and\n\n  two  blanks\n"
    unit = SubwordUnit(tokenizer.backend_tokenizer, "m", lambda: len(tokenizer))
    exact = canonical_text([text], "none", "stream").cut(unit).ends
    tokens = [tokenizer.decode([i]) for i in unit.ids(text)]
    found = lay(tokens, text)
    assert len(found) == len(exact)
    assert found[-1] == len(text)
    shown = [t for t, token in enumerate(tokens) if token and LOST not in token]
    assert (found == exact)[shown].all()
