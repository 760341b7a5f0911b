"""Models of different units on the words of one text: nothing is lost between the pieces."""

from __future__ import annotations

import numpy as np
import pytest
import report_example as example
from hypothesis import given, settings
from hypothesis import strategies as st

from lmbench.comparing import words
from lmbench.comparing.words import Charges, Pieces, boundaries, first_token, nearest_cut, pieces, word_ends
from lmbench.scoring.scores import LN2, Scores

texts = st.text(alphabet="ab é🙂\n", min_size=1, max_size=60)
units = st.sampled_from(["char", "word", "byte"])


def total_bits(scores: Scores) -> float:
    return float(-scores.nats.sum() / LN2)


@settings(deadline=None, max_examples=200)
@given(texts, units, units)
def test_pieces_lose_nothing(text: str, one: str, other: str) -> None:
    a, b = example.scores(one, 1, text), example.scores(other, 2, text)
    cut = pieces(text, a, b)
    assert cut.ends[-1] == len(text)
    assert (np.diff(cut.ends, prepend=0) > 0).all()
    assert cut.a_bits.sum() == pytest.approx(total_bits(a))
    assert cut.b_bits.sum() == pytest.approx(total_bits(b))


def test_pieces_cut_where_words_end_and_both_may() -> None:
    #        0123456789
    text = "ab cd ef\ng"
    word, char = example.scores("word", 1, text), example.scores("char", 2, text)
    assert pieces(text, word, char).ends.tolist() == [2, 5, 8, 9, 10]
    # " cd" is characters 2, 3, 4
    assert pieces(text, word, char).b_bits[1] == pytest.approx(-char.nats[2:5].sum() / LN2)


def test_the_first_bytes_of_a_character_belong_to_it() -> None:
    text = "a é b"  # bytes: a, space, 2 of é, space, b; é ends at character 3
    scores = example.scores("byte", 1, text)
    assert scores.ends.tolist() == [1, 2, 2, 3, 4, 5]
    cut = pieces(text, scores, scores)
    assert cut.ends.tolist() == [1, 3, 5]
    assert cut.a_bits.tolist() == pytest.approx(
        (-np.array([scores.nats[:1].sum(), scores.nats[1:4].sum(), scores.nats[4:].sum()]) / LN2).tolist()
    )


def test_scores_of_another_text_are_refused() -> None:
    with pytest.raises(ValueError, match="not 3"):
        pieces("abc", example.scores("char", 1, "abcd"), example.scores("char", 1, "abc"))


@settings(deadline=None, max_examples=100)
@given(texts, units, units, st.integers(1, 5))
def test_blocks_of_words_change_nothing(text: str, one: str, other: str, block: int) -> None:
    a, b = example.scores(one, 1, text), example.scores(other, 2, text)
    a.oov[:] = np.arange(len(a)) % 3 == 0
    whole = pieces(text, a, b)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(words, "BLOCK", block)
        cut = pieces(text, a, b)
    for one_way, other_way in zip(vars(whole).values(), vars(cut).values(), strict=True):
        np.testing.assert_array_equal(one_way, other_way)


@settings(deadline=None, max_examples=100)
@given(texts, units, st.integers(-1, 65))
def test_tokens_are_found_by_their_place(text: str, unit: str, place: int) -> None:
    scores = example.scores(unit, 1, text)
    starts = scores.starts_of_tokens.tolist()
    first = next((i for i, start in enumerate(starts) if start >= place), len(starts))
    assert first_token(scores, np.array([place])).tolist() == [first]
    assert boundaries(scores, np.array([place])).tolist() == [place in scores.ends.tolist()]


def test_the_nearest_cut_is_the_first_in_the_order_given() -> None:
    text = "ab cd ef"
    word, char = example.scores("word", 1, text), example.scores("char", 1, text)
    assert nearest_cut(np.array([3, 4, 5, 8]), [word, char]) == 5
    assert nearest_cut(np.array([8, 5, 2]), [word, char]) == 8
    assert nearest_cut(np.array([3, 4]), [word, char]) is None


def test_tokens_over_several_words() -> None:
    text = "to be or not"  # words end at 2, 5, 8, 12
    odd = Scores(
        -np.arange(1.0, 4.0) * LN2,
        np.array([4, 8, 12]),  # "to b", "e or", " not"
        np.array([False, True, False]),
        np.zeros(3),
        np.zeros(1, np.int64),
        12,
        12,
        4,
        9,
    )
    charges = Charges.of(word_ends(text), odd)
    assert charges.cuts.tolist() == [False, False, True, True]
    assert charges.bits.tolist() == [1, 2, 0, 3]  # a token is charged to the word in which it begins
    cut = Pieces.of(word_ends(text), charges, charges)
    assert (cut.ends.tolist(), cut.a_bits.tolist(), cut.oov.tolist()) == ([8, 12], [3, 3], [True, False])
