"""The arithmetic coder: what goes in comes out, as long as claimed, and a cheat is found out."""

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmbench.models import make_model
from lmbench.models.uniform import Uniform
from lmbench.scoring.range_coder import Decoder, Encoder, cumulative_frequencies
from lmbench.scoring.scorer import Scorer
from lmbench.scoring.verification import Verification, extract, verify
from lmbench.text.canonical import canonical_text
from lmbench.text.tokens import encode
from lmbench.text.units import unit_named
from lmbench.text.vocab import UNK, Vocab

TRAIN = "the ferry waits\nthe river runs and the old ferry waits\na man sees the river\n" * 3
TEST = "the ferry runs\nthe 船 waits for naïve 😀 men  twice\n\n old river\n"


def scorer_of(model, unit, documents="line", keep=None):
    """A model fitted on TRAIN; ``keep``: how many entries the vocabulary has."""
    types = list(dict.fromkeys(unit_named(unit).split(TRAIN)))
    vocab = Vocab(Counter(unit_named(unit).split(TRAIN)), max_size=keep)
    train = encode(canonical_text([TRAIN], "none", documents), unit_named(unit), vocab).tokens
    model.fit(train, vocab_size=len(vocab))
    return Scorer(model, unit_named(unit), vocab, "none", documents, types)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.lists(st.integers(1, 2**20), min_size=1, max_size=9), max_size=80), st.data())
def test_what_goes_in_comes_out(frequencies, data):
    tables = [np.concatenate([[0], np.cumsum(f)]) for f in frequencies]
    symbols = [data.draw(st.integers(0, len(f) - 1)) for f in frequencies]
    encoder = Encoder()
    for table, symbol in zip(tables, symbols, strict=True):
        encoder.code(table, symbol)
    coded = encoder.finish()
    decoder = Decoder(coded)
    assert [decoder.code(table, None) for table in tables] == symbols
    bits = sum(math.log2(sum(f) / f[s]) for f, s in zip(frequencies, symbols, strict=True))
    assert bits - 8 <= 8 * len(coded) <= bits + 16


def test_carries_run_through():
    # The last symbol of a table, again and again: low climbs to the top of every interval.
    table = np.array([0, 1, 2**30])
    symbols = [1] * 5000 + [0] + [1] * 5000
    encoder = Encoder()
    for symbol in symbols:
        encoder.code(table, symbol)
    decoder = Decoder(encoder.finish())
    assert [decoder.code(table, None) for _ in symbols] == symbols


def test_frequencies_by_hand():
    # V = 2: floor(p (2^30 - 2)) + 1; p = 0 still has frequency 1.
    np.testing.assert_array_equal(cumulative_frequencies(np.array([0.0, 1.0])), [0, 1, 2**30])


@pytest.mark.parametrize("documents", ["line", "stream"])
@pytest.mark.parametrize("unit", ["word", "char", "byte"])
@pytest.mark.parametrize("keep", [None, 5])
def test_file_is_as_long_as_claimed(unit, documents, keep):
    scorer = scorer_of(make_model("trigram", eps="1,1,1"), unit, documents, keep)
    found = verify(scorer, canonical_text([TEST], "none", documents))
    assert found.identical
    assert found.holds
    assert abs(found.file_bits - found.claimed_bits) <= 10


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("cache", {}),
        ("context-mixing", {"adaptive": True}),
        ("lstm", {"dynamic": 0.01, "hidden": 8, "epochs": 1}),
    ],
)
def test_an_adaptive_model_reads_on_from_document_to_document(name, options):
    scorer = scorer_of(make_model(name, **options), "char")
    text = canonical_text([TEST, TRAIN[:200]], "none", "line")
    proof = verify(scorer, text)
    assert proof.holds
    assert abs(proof.file_bits - proof.claimed_bits) <= 10


def test_words_of_thousands_of_bits():
    scorer = scorer_of(make_model("trigram", eps="1,1,1"), "word")
    text = canonical_text([f"the {'qZ9+/' * 90} runs\n{'😀' * 130}\n{'中文沒有空格' * 60}\n"], "none", "line")
    proof = verify(scorer, text)
    assert proof.claimed_bits > 3 * 1022
    assert proof.holds
    assert abs(proof.file_bits - proof.claimed_bits) <= 10


def test_word_vocabulary_without_line_feed():
    scorer = scorer_of(Uniform(), "word")
    vocab = Vocab(Counter(["the", "ferry"]))
    scorer = Scorer(Uniform().fit([1, 2], vocab_size=3), scorer.unit, vocab, "none", "line", ["the", "ferry"])
    found = verify(scorer, canonical_text([TEST], "none", "line"))
    assert found.holds
    assert abs(found.file_bits - found.claimed_bits) <= 10


def test_vocabulary_word_that_reads_unk():
    text = f"{UNK} and {UNK}\n"
    vocab = Vocab(Counter(text.replace("\n", " \n").split(" ")))
    scorer = Scorer(Uniform().fit([1], vocab_size=len(vocab)), unit_named("word"), vocab, "none", "line", [])
    assert verify(scorer, canonical_text([text], "none", "line")).holds


class TooGood(Uniform):
    """Claims half the bits."""

    def _log_probs(self, tokens):
        return super()._log_probs(tokens) / 2


class Peeks(Uniform):
    """Knows the token that it is asked about: sure of it in log_probs, unable to say it beforehand."""

    def _log_probs(self, tokens):
        return np.zeros(len(tokens))


class TooMuch(Uniform):
    """Probabilities that sum to 2."""

    def _log_probs(self, tokens):
        return super()._log_probs(tokens) + math.log(2)

    def _next_log_probs(self, contexts, bos):
        return super()._next_log_probs(contexts, bos) + math.log(2)


@pytest.mark.parametrize("cheat", [TooGood, Peeks, TooMuch])
def test_a_cheat_is_found_out(cheat):
    found = verify(scorer_of(cheat(), "char"), canonical_text([TRAIN], "none", "line"))
    assert found.identical
    assert not found.holds


def test_extract_of_the_first_tokens():
    text = canonical_text([TEST], "none", "line")
    scorer = scorer_of(make_model("bigram", eps="1,1"), "word")
    found = verify(scorer, text, limit=6)
    assert (found.tokens, found.holds) == (6, True)
    piece = extract(text, unit_named("word"), 6)
    assert piece.text == "the ferry runs\nthe 船"
    assert piece.starts.tolist() == [0, 15]
    assert extract(text, unit_named("word"), 10**6) is text


@pytest.mark.parametrize("limit", [None, 6])
def test_scores_that_are_there_are_the_claim(limit):
    text = canonical_text([TEST], "none", "line")
    scorer = scorer_of(make_model("bigram", eps="1,1"), "word")
    scores, asked = scorer.score(text), verify(scorer, text, limit)
    scorer.model.log_probs = None  # not asked again
    assert verify(scorer, text, limit, scores) == asked


def test_what_holds_means():
    assert Verification(10, 1064, 1000.0, True).verdict == "decoded to the same text"
    assert "LONGER" in Verification(10, 1066, 1000.0, True).verdict
    assert "NOT DECODE" in Verification(10, 900, 1000.0, False).verdict
    assert Verification(10, 1064, 1000.0, True).holds
    assert not Verification(10, 1066, 1000.0, True).holds
    assert not Verification(10, 900, 1000.0, False).holds
