"""Where two models differ: nothing is lost between the pieces, and fast code agrees with slow."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import report_example as example
from hypothesis import given, settings
from hypothesis import strategies as st

from lmbench.comparing.extracts import extract
from lmbench.comparing.where import difference, matched_orders, pieces
from lmbench.scoring.scores import LN2, Scores
from lmbench.text.tokens import Tokens
from lmbench.text.units import unit_named

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


@settings(deadline=None, max_examples=60)
@given(texts, units, units)
def test_every_table_sums_to_the_whole(text: str, one: str, other: str) -> None:
    a, b = example.scores(one, 1, text), example.scores(other, 2, text)
    words = len(unit_named("word").ends(text))
    found = difference("c", ("a", "b"), text, a, b, {"ab": 3, "a": 1, "b": 5000}, np.arange(words) % 3)
    for table in found.tables:
        assert len(table.rows) > 1
        assert sum(row.chars for row in table.rows) == len(text)
        assert sum(row.a_bits for row in table.rows) == pytest.approx(total_bits(a))
        assert sum(row.b_bits for row in table.rows) == pytest.approx(total_bits(b))


def test_frequency_bands_hold_what_they_say() -> None:
    text = "the river the lamp\nnine"
    scores = example.scores("char", 1, text)
    counts = {"the": 1000, "river": 999, "lamp": 1, "nine": 9}
    found = difference("c", ("a", "b"), text, scores, scores, counts)
    bands = {row.name: row.chars for row in found.tables[0].rows}
    # "the" 3 + " the" 4; " river" 6; " lamp" 5; "nine" 4; the line feed 1
    assert bands == {"once": 5, "2–9 times": 4, "100–999 times": 6, "1,000 times or more": 7, "line ends": 1}


def test_place_in_the_document_starts_anew_with_each() -> None:
    found = example.views().differences[0]
    table = next(t for t in found.tables if "document" in t.title)
    lines = example.TEXT.splitlines()
    first = sum(len(line.split()[0]) for line in lines)  # no blank stands before a document's first word
    assert {row.name: row.chars for row in table.rows}["1st word"] == first


def test_passages_do_not_overlap_and_fall() -> None:
    found = example.views().differences[0]
    for passages, sign in ((found.a_better, 1), (found.b_better, -1)):
        won = [sign * (p.b_bits - p.a_bits) for p in passages]
        assert won == sorted(won, reverse=True)
        assert won[-1] > 0
        spans = sorted((p.start, p.end) for p in passages)
        assert all(end <= start for (_, end), (start, _) in itertools.pairwise(spans))
        assert all(p.text == example.TEXT[p.start : p.end] for p in passages)


def test_the_first_passage_is_the_best_of_all_windows() -> None:
    a, b = example.scores("char", 1), example.scores("word", 2)
    cut = pieces(example.TEXT, a, b)
    won, starts = (cut.b_bits - cut.a_bits).tolist(), cut.starts.tolist()
    best = -math.inf
    for i, start in enumerate(starts):
        total = 0.0
        for j in range(i, len(starts)):
            total += won[j]
            if cut.ends[j] >= start + 90:
                break
        best = max(best, total)
    top = difference("c", ("a", "b"), example.TEXT, a, b).a_better[0]
    assert top.b_bits - top.a_bits == pytest.approx(best)


def test_an_impossible_token_spoils_only_its_own_passage() -> None:
    a, b = example.scores("char", 1), example.scores("char", 2)
    a.log_probs[100] = -np.inf
    found = difference("c", ("a", "b"), example.TEXT, a, b)
    assert math.isinf(found.b_better[0].a_bits)
    assert found.b_better[0].start <= 100 < found.b_better[0].end
    assert all(math.isfinite(p.a_bits) for p in found.b_better[1:] + found.a_better)


@settings(deadline=None, max_examples=60)
@given(texts, st.integers(0, 60), st.integers(1, 60))
def test_extracts_are_whole(text: str, start: int, length: int) -> None:
    models = {unit: (unit, example.scores(unit, 1, text)) for unit in ("char", "word", "byte")}
    found = extract("c", text, models, start, length)
    assert found.text == text[found.start : found.start + len(found.text)]
    for track in found.tracks:
        ends = track.ends.tolist()
        assert ends == sorted(set(ends))
        assert not ends or (ends[0] > 0 and ends[-1] == len(found.text))
        assert len(track.bits) == len(track.oov) == len(ends)
    if len(found.text) == len(text):
        for track in found.tracks:
            assert track.bits.sum() == pytest.approx(total_bits(models[track.label][1]))


def test_a_text_without_spaces_is_cut_at_characters() -> None:
    text = "abba" * 500
    char, word = example.scores("char", 1, text), example.scores("word", 2, text)
    assert len(pieces(text, char, char).ends) == 2000
    assert len(pieces(text, char, word).ends) == 1
    found = extract("c", text, {"c": ("char", char), "w": ("word", word)}, 100, 50)
    assert found.text == text[100:150]
    assert [track.label for track in found.tracks] == ["c"]  # the other's one token is the whole text


def test_alternatives_are_asked_for_the_tokens_shown() -> None:
    asked = []

    def options(label: str, first: int, stop: int) -> list[list[tuple[str, float]]]:
        asked.append((label, first, stop))
        return [[(f"{label}{t}", 0.5)] for t in range(first, stop)]

    text = "ab cé\nab d"
    models = {unit: (unit, example.scores(unit, 1, text)) for unit in ("char", "word", "byte")}
    found = extract("c", text, models, 2, 3, options)
    assert found.text == " cé"
    # characters 2..4; word 1; bytes 2, 3 and the two of é
    assert asked == [("char", 2, 5), ("word", 1, 2), ("byte", 2, 6)]
    assert [[o[0][0] for o in t.alternatives] for t in found.tracks] == [
        ["char2", "char3", "char4"],
        ["word1"],
        ["byte2", "byte3", "byte4"],
    ]


def slow_matched(train: Tokens, test: Tokens, highest: int) -> list[int]:
    seen = {
        tuple(d[i : i + n])
        for d in train.documents()
        for n in range(1, highest + 1)
        for i in range(len(d) - n + 1)
    }
    found = []
    for d in test.documents():
        for t in range(len(d)):
            best = 0
            for n in range(1, min(highest, t + 1) + 1):
                if d[t] != 0 and tuple(d[t - n + 1 : t + 1]) in seen:
                    best = n
            found.append(best)
    return found


@settings(deadline=None, max_examples=100)
@given(st.integers(0, 2**32 - 1), st.integers(2, 5), st.integers(1, 4))
def test_matched_orders_agree_with_sets_of_tuples(seed: int, size: int, highest: int) -> None:
    rng = np.random.default_rng(seed)

    def some(n: int) -> Tokens:
        starts = np.append(0, np.sort(rng.choice(np.arange(1, n), 3, replace=False)))
        return Tokens(rng.integers(0, size, n).astype(np.int32), starts)

    train, test = some(30), some(20)
    assert matched_orders(train, test, size, highest).tolist() == slow_matched(train, test, highest)
