"""Stretches of the test text, token by token."""

from __future__ import annotations

import pytest
import report_example as example
from hypothesis import given, settings
from hypothesis import strategies as st

from lmbench.comparing.extracts import extract
from lmbench.comparing.words import pieces, word_ends
from lmbench.scoring.scores import LN2, Scores

texts = st.text(alphabet="ab é🙂\n", min_size=1, max_size=60)
units = st.lists(st.sampled_from(["char", "word", "byte"]), unique=True)


def total_bits(scores: Scores) -> float:
    return float(-scores.nats.sum() / LN2)


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


def test_alternatives_are_those_of_the_tokens_shown() -> None:
    def options(label: str) -> dict[int, list[tuple[str, float]]]:
        return {t: [(f"{label}{t}", 0.5)] for t in range(20) if t != 3}

    text = "ab cé\nab d"
    models = {unit: (unit, example.scores(unit, 1, text)) for unit in ("char", "word", "byte")}
    found = extract("c", text, models, 2, 3, options)
    assert found.text == " cé"
    # characters 2..4, of which nothing is told at 3; word 1; bytes 2, 3 and the two of é, of which the first tells
    assert [{place: o[0][0] for place, o in t.alternatives.items()} for t in found.tracks] == [
        {0: "char2", 2: "char4"},
        {0: "word1"},
        {0: "byte2", 2: "byte4"},
    ]


@settings(deadline=None, max_examples=200)
@given(texts, units, st.integers(0, 60), st.integers(1, 60))
def test_extracts_are_cut_at_the_nearest_common_boundaries(text, chosen, start, length):
    models = {unit: (unit, example.scores(unit, 1, text)) for unit in chosen}
    shown = {}
    for unit, (_, scores) in models.items():
        spans = list(zip(scores.starts_of_tokens.tolist(), scores.ends.tolist(), strict=True))
        if all(end - begin <= length for begin, end in spans if end > start and begin < start + length):
            shown[unit] = scores
    common = {0, *word_ends(text).tolist()}
    for scores in shown.values():
        common &= {0, *scores.ends.tolist()}
    first = max(place for place in common if place <= start)
    last = min((place for place in common if place >= first + length), default=max(common))
    made = extract("c", text, models, start, length)
    assert (made.start, made.text) == (first, text[first:last])
    assert [track.label for track in made.tracks] == list(shown)
