"""Where two models differ: nothing is lost between the pieces, and fast code agrees with slow."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import report_example as example
from hypothesis import given, settings
from hypothesis import strategies as st

from lmbench.comparing.differences import BANDS, LINE_END, PLACES, difference, differences, largest
from lmbench.comparing.words import pieces
from lmbench.scoring.scores import LN2, Scores
from lmbench.text.units import unit_named

texts = st.text(alphabet="ab é🙂\n", min_size=1, max_size=60)
units = st.sampled_from(["char", "word", "byte"])


def total_bits(scores: Scores) -> float:
    return float(-scores.nats.sum() / LN2)


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


def slow_tables(text, a, b, train_counts, orders):
    """Each table as (name, characters, bits of a, bits of b) rows, by loops over pieces and strings."""
    cut = pieces(text, a, b)
    words, tokens = unit_named("word").ends(text).tolist(), unit_named("word").split(text)
    begins = a.starts_of_tokens[a.starts].tolist()
    oov = {int(s) for scores in (a, b) for s in scores.starts_of_tokens[scores.oov]}
    tables = {name: {} for name in ("By how often", "By the longest run", "By vocabulary", "By place")}
    places = {}
    for start, end, *bits in zip(
        cut.starts.tolist(), cut.ends.tolist(), cut.a_bits.tolist(), cut.b_bits.tolist(), strict=True
    ):
        # Where several words end in one place, the first has the characters.
        inside = [
            w for w, b, e in zip(tokens, [0, *words], words, strict=False) if start < e <= end and b < e
        ]
        inside = [w for w in inside if w != "\n"]
        count = min((train_counts.get(token, 0) for token in inside), default=None)
        order = int(orders[next(i for i, e in enumerate(words) if e >= end)])
        document = max(i for i, begin in enumerate(begins) if begin <= start)
        place = places[document] = places.get(document, -1) + 1
        kinds = {
            "By how often": LINE_END if count is None else BANDS[max(low for low in BANDS if low <= count)],
            "By the longest run": f"{order} word{'s' * (order > 1)}" if order else "none: a new word",
            "By vocabulary": "outside a vocabulary"
            if oov & set(range(start, end))
            else "in both vocabularies",
            "By place": PLACES[max(low for low in PLACES if low <= place)],
        }
        for table, kind in kinds.items():
            row = tables[table].setdefault(kind, [0, 0.0, 0.0])
            tables[table][kind] = [row[0] + end - start, row[1] + bits[0], row[2] + bits[1]]
    return tables


@settings(deadline=None, max_examples=150)
@given(
    st.text(alphabet="ab é\n", min_size=1, max_size=80),
    units,
    units,
    st.dictionaries(st.text("ab", min_size=1, max_size=2), st.integers(1, 2000), max_size=6),
)
def test_tables_agree_with_loops_over_strings(text, one, other, train_counts):
    a, b = example.scores(one, 1, text), example.scores(other, 2, text)
    a.oov[:] = np.arange(len(a)) % 3 == 1
    words = len(unit_named("word").ends(text))
    orders = np.random.default_rng(words).integers(0, 4, words)
    wanted = slow_tables(text, a, b, train_counts, orders)
    made = difference("c", ("a", "b"), text, a, b, train_counts, orders).tables
    for table in made:
        rows = next(rows for title, rows in wanted.items() if table.title.startswith(title))
        assert {r.name: r.chars for r in table.rows} == {name: row[0] for name, row in rows.items()}
        for r in table.rows:
            assert [r.a_bits, r.b_bits] == pytest.approx(rows[r.name][1:])


def slow_passages(text, a, b, count, width=90):
    """By trying every piece as the first, again and again."""
    cut = pieces(text, a, b)
    starts, ends = cut.starts.tolist(), cut.ends.tolist()
    windows = []
    for i, start in enumerate(starts):
        j = next((j for j, end in enumerate(ends) if end >= start + width), len(ends) - 1)
        windows.append((i, j, float((cut.b_bits - cut.a_bits)[i : j + 1].sum())))
    chosen = []
    for i, j, gain in sorted(windows, key=lambda w: -w[2]):
        if gain > 0 and len(chosen) < count and all(j < k or i > m for k, m, _ in chosen):
            chosen.append((i, j, gain))
    return [(starts[i], ends[j], pytest.approx(gain)) for i, j, gain in chosen]


@settings(deadline=None, max_examples=60)
@given(st.text(alphabet="ab é\n", min_size=1, max_size=900), units, units, st.integers(1, 8))
def test_passages_agree_with_trying_them_all(text, one, other, count):
    a, b = example.scores(one, 1, text), example.scores(other, 2, text)
    made = difference("c", ("a", "b"), text, a, b, passages=count)
    assert [(p.start, p.end, p.b_bits - p.a_bits) for p in made.a_better] == slow_passages(text, a, b, count)
    assert [(p.start, p.end, p.a_bits - p.b_bits) for p in made.b_better] == slow_passages(text, b, a, count)


def test_every_pair_of_several_models():
    models = {f"m{i}": example.scores(unit, i) for i, unit in enumerate(("char", "word", "byte"))}
    made = differences("c", example.TEXT, models, {"the": 3}, passages=2)
    assert [(d.a, d.b) for d in made] == [("m0", "m1"), ("m0", "m2"), ("m1", "m2")]
    for d in made:
        assert d == difference(
            "c", (d.a, d.b), example.TEXT, models[d.a], models[d.b], {"the": 3}, passages=2
        )


def test_a_piece_of_several_words_is_as_frequent_as_its_rarest():
    text = "the cat\n\nthe end"
    ends = np.array([8, 16])  # tokens "the cat\n" and "\nthe end", as of a tokenizer that knows no words
    some = np.zeros(2, dtype=bool), np.zeros(2), np.zeros(1, np.int64)
    scores = Scores(-np.ones(2), ends, *some, 16, 16, 4, 9)
    made = difference("c", ("a", "b"), text, scores, scores, {"the": 500, "cat": 2, "end": 50})
    bands = {row.name: row.chars for row in made.tables[0].rows}
    assert bands == {"2–9 times": 8, "10–99 times": 8}


def test_orders_of_another_text_are_refused():
    scores = example.scores("char", 1, "a b")
    with pytest.raises(ValueError, match="orders are of 3 words, the text has 2"):
        difference("c", ("a", "b"), "a b", scores, scores, orders=np.ones(3, dtype=int))


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.sampled_from([0.0, 1.0, 2.5, math.inf, -3.0]), max_size=30),
    st.integers(1, 8),
    st.integers(1, 4),
)
def test_the_largest_are_the_first_of_a_stable_sort(values, count, block):
    expected = sorted(range(len(values)), key=lambda i: -values[i])[:count]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lmbench.comparing.differences._BLOCK", block)
        assert largest(np.array(values, dtype=float), count).tolist() == expected
