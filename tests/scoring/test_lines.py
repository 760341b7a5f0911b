"""A row a line: it equals the line scored alone, and the rows add up to the file."""

import math

import numpy as np
import pytest

from lmbench.corpora.corpus import Corpus, Documents
from lmbench.models import make_model
from lmbench.scoring.lines import score_each_document, score_each_line
from lmbench.scoring.scorer import Scorer, load_model
from lmbench.text.canonical import canonical_text

LINES = ["the ferry leaves at nine\n", "\n", "an unknown Ωyx word\n", "to  the island\n", "the last ferry"]


def rows_of(scorer, batches, score=score_each_line, **options):
    return [row for rows in score(scorer, batches, **options) for row in rows]


def fitted(ferry, unit, name="kneser-ney", **options):
    return Scorer.fit(make_model(name, **options), ferry, unit)


@pytest.mark.parametrize("unit", ["char", "word", "byte"])
@pytest.mark.parametrize("cut", [1, 2, 5])
def test_a_row_is_what_the_line_alone_costs_however_lines_are_batched(ferry, unit, cut):
    scorer = fitted(ferry, unit, order=3)
    batches = [LINES[i : i + cut] for i in range(0, len(LINES), cut)]
    rows = rows_of(scorer, batches)
    assert [row.index for row in rows] == [0, 1, 2, 3, 4]
    whole = canonical_text(["".join(LINES)], "none", "line").text
    for row, line in zip(rows, LINES, strict=True):
        alone = scorer.score(canonical_text([line], "none", "line"))  # the slow way
        assert whole[row.start : row.end] == line.rstrip("\n") + "\n"
        assert (row.tokens, row.oov, row.chars) == (len(alone), alone.oov.sum(), alone.chars)
        figures = (row.log_prob, row.spelling_log_prob, row.bits_per_char, row.perplexity)
        expected = (alone.log_prob, alone.spelling_log_prob, alone.bits_per_char, alone.perplexity)
        np.testing.assert_allclose(figures, expected, rtol=1e-12)
    total = scorer.score(canonical_text(["".join(LINES)], "none", "line"))
    assert math.isclose(sum(row.log_prob for row in rows), total.log_prob, rel_tol=1e-12)
    assert rows[2].spelling_log_prob < 0


def test_a_model_that_learns_as_it_scores_meets_each_line_anew(ferry):
    scorer = fitted(ferry, "char", "context-mixing", adaptive=True)
    line = "the ferry leaves at nine\n"
    rows = rows_of(scorer, [[line * 3]])
    assert len({row.log_prob for row in rows}) == 1
    assert [row.start for row in rows] == [0, 25, 50]
    together = scorer.score(canonical_text([line * 3], "none", "line"))
    assert together.log_prob > 3 * rows[0].log_prob  # it would have learnt the line


def test_normalised_lines_have_offsets_in_the_canonical_text():
    corpus = Corpus.of(
        Documents(["A rose, a rose.\nIs it?\n" * 9]),
        test=0.0,
        valid=0.0,
        normalise="letters",
        documents="line",
    )
    scorer = Scorer.fit(make_model("uniform"), corpus, "word")
    rows = rows_of(scorer, [["A  ROSE!\n...\n"], ["is it\n"]])
    assert [(row.start, row.end, row.tokens) for row in rows] == [(0, 7, 3), (7, 13, 3)]  # "a rose\nis it\n"


def test_documents_are_read_as_the_model_reads_texts(ferry):
    raw = ["the ferry\nleaves\n", "", "at nine"]
    by_line = fitted(ferry, "word", order=2)
    flowing = Scorer.fit(
        make_model("kneser-ney", order=2), Corpus.of(Documents(["a b\nb a b\n" * 20])), "word"
    )
    for scorer in (by_line, flowing):
        rows = rows_of(scorer, [raw[:2], raw[2:]], score_each_document)
        assert [(row.index, row.start, row.end) for row in rows] == [(0, 0, 17), (1, 17, 25)]
        whole = scorer.score(canonical_text(raw, "none", scorer.documents))
        assert math.isclose(sum(row.log_prob for row in rows), whole.log_prob, rel_tol=1e-12)
        alone = scorer.score(canonical_text(["at nine\n"], "none", scorer.documents))
        assert math.isclose(rows[1].log_prob, alone.log_prob, rel_tol=1e-12)
    # A document that comes alone is not ended, as elsewhere.
    assert rows_of(flowing, [["a b"]], score_each_document)[0].end == 3


def test_nothing_has_no_rows(ferry):
    scorer = fitted(ferry, "char", order=2)
    assert rows_of(scorer, [[""], []]) == []
    assert rows_of(scorer, [[""]], score_each_document) == []


# Strings, lists, ARPA files and what comes next: of the scorer itself ------------------------------------


def test_strings_are_read_as_the_training_text_was(ferry, tmp_path):
    scorer = fitted(ferry, "word", order=3)
    scorer.save(tmp_path / "m.lm")
    loaded = load_model(tmp_path / "m.lm")
    line = scorer.score(canonical_text(["the ferry leaves\n"], "none", "line"))
    assert loaded.score("the ferry leaves").log_prob == line.log_prob
    many = loaded.score(["the ferry leaves", "nine at", ""])
    assert [len(scores) for scores in many] == [4, 3, 0]
    assert many[0].log_prob == line.log_prob
    assert many[1].log_prob == loaded.score("nine at").log_prob
    assert math.isnan(many[2].bits_per_char)


def test_an_arpa_file_stands_where_a_saved_model_may(ferry, tmp_path):
    scorer = fitted(ferry, "word", order=3)
    scorer.save(tmp_path / "m.arpa")
    loaded = load_model(tmp_path / "m.arpa")
    np.testing.assert_allclose(
        loaded.score("the  ferry\tleaves at nine\r\n").log_probs,  # blanks of every kind divide words
        scorer.score("the ferry leaves at nine").log_probs,
        atol=1e-6,
    )


def test_the_likeliest_next_tokens_are_those_of_the_distribution(ferry):
    scorer = fitted(ferry, "word", order=3)
    ids = scorer.vocab.encode(["the"])
    row = scorer.model.next_log_probs(ids, scorer.vocab.newline)
    # Of lines, what stands before the line says nothing.
    for prompt in ("the", "the ", "a line before\nthe "):
        tokens = scorer.next_tokens(prompt, top=5)
        assert [nats for _, nats in tokens] == np.sort(row)[::-1][:5].tolist()
        assert [row[scorer.vocab[token]] for token, _ in tokens] == [nats for _, nats in tokens]
    assert len(scorer.next_tokens("", top=10**6)) == len(scorer.vocab)
    assert math.isclose(
        sum(math.exp(nats) for _, nats in scorer.next_tokens("the", top=10**6)), 1, abs_tol=1e-6
    )


def test_a_blank_at_the_end_of_a_prompt_counts_for_characters():
    corpus = Corpus.of(Documents(["ab a b ab a b " * 20]), test=0.0, valid=0.0, normalise="whitespace")
    scorer = Scorer.fit(make_model("kneser-ney", order=2), corpus, "char")
    assert scorer.next_tokens("a", top=1)[0] != scorer.next_tokens("a ", top=1)[0]
