"""A model of words and one of characters, mixed over whole words: against words enumerated, one after another."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmbench.corpora.corpus import Corpus, Documents
from lmbench.errors import InputError
from lmbench.models import make_model
from lmbench.models.laws import broken_laws
from lmbench.models.mixing.word_char_stepper import WordCharStepper
from lmbench.scoring.scorer import Scorer
from lmbench.scoring.verification import verify
from lmbench.text.canonical import CanonicalText, canonical_text

TRAIN = "ab ba ab  a\nb ab bab\n\nab a b\n ba ab\nab ab ba\n" * 6
VALID = "ab ba aab\nba ab\n\nb  ab a\nab\n"


@pytest.fixture(scope="module", params=["stream", "line"])
def scorers(request):
    corpus = Corpus.of(Documents([TRAIN]), Documents([VALID]), 0.0, documents=request.param)
    words = Scorer.fit(make_model("witten-bell", order=2), corpus, "word")
    characters = Scorer.fit(make_model("witten-bell", order=3), corpus, "char")
    model = make_model("word-char", of="words,characters")
    return Scorer.fit(model, corpus, "char", components=[words, characters]), words, characters


def slow_segment(scorers, weight, before, segment):
    """ln P(segment | before) by asking both models for whole words; before: a document so far that a segment ends."""
    _, words, characters = scorers
    ids = words.encode(CanonicalText(before, np.zeros(1, dtype=np.int64))).tokens.ids.tolist()
    if before.endswith(" "):  # the space belongs to the word after it
        ids = (
            words.vocab.encode(words.unit.split(before[:-1])).tolist()
            if before[:-1]
            else [words.vocab.index("")]
        )
        if before[:-1].endswith("\n"):
            ids.append(int(words.vocab.encode([""])[0]))
    newline = words.vocab.newline
    row = np.exp(words.model.next_log_probs(ids, newline))
    opens = not before.endswith(" ")
    left = 1.0 if opens else 1 - row[newline]
    known = sum(p for i, p in enumerate(row) if i > 0 and (i != newline or opens)) / left
    word, end = segment[:-1], segment[-1]
    own = 0.0
    text = before
    for c in segment:
        context = characters.vocab.encode(list(text))
        own += characters.model.next_log_probs(context, characters.vocab.newline)[characters.vocab.index(c)]
        text += c
    if opens and segment == "\n":
        of_words = row[newline]
    else:
        i = int(words.vocab.encode([word])[0])
        after = math.exp(words.model.next_log_probs([*ids, i], newline)[newline])
        if opens and not word:
            after = 0.0
        of_words = row[i] / left * (after if end == "\n" else 1 - after) if i else 0.0
    return math.log(weight * of_words + (weight * (1 - known) + 1 - weight) * math.exp(own))


def segments_of(text):
    begin = 0
    for end, c in enumerate(text, 1):
        if c in " \n":
            yield text[:begin], text[begin:end]
            begin = end


@settings(deadline=None, max_examples=60)
@given(st.text("ab \n", max_size=14))
def test_every_word_costs_what_both_models_say_of_it(scorers, text):
    scorer, text = scorers[0], text + "\n"
    weight = scorer.model.shares.values[0][0, 0]
    nats = scorer.score(canonical_text([text], "none", "stream")).nats
    begin = 0
    for before, segment in segments_of(text):
        expected = slow_segment(scorers, weight, before, segment)
        assert nats[begin : begin + len(segment)].sum() == pytest.approx(expected, abs=1e-10)
        begin += len(segment)


@pytest.mark.parametrize("before", ["", "ab ", "ab\n", "ab \n", "ba  ", " "])
def test_all_words_together_have_all_of_the_probability(scorers, before):
    """All segments of up to five characters, and what goes on without an end."""
    scorer = scorers[0]
    letters = [c for c in scorer.vocab.tokens[1:] if c not in " \n"]
    total = 0.0
    for length in range(5):
        for word in itertools.product([*letters, "X"], repeat=length):  # X: outside the vocabulary
            ends = [" ", "\n"] if length < 4 else [""]
            for end in ends:
                text = before + "".join(word) + end
                ids = scorer.vocab.encode(list(text))
                scores = scorer.model.log_probs(
                    scorer.encode(CanonicalText(text, np.zeros(1, dtype=np.int64))).tokens
                )
                assert len(ids) == len(scores)
                total += math.exp(scores[len(before) :].sum())
    assert total == pytest.approx(1, abs=1e-10)


def test_the_laws_hold_and_the_text_decodes(scorers, tmp_path):
    scorer = scorers[0]
    text = canonical_text(["ab  ba\n\n ab ax aba b\nba"], "none", scorer.documents)
    assert broken_laws(scorer.model, scorer.encode(text).tokens) == {}
    assert verify(scorer, text).holds
    scorer.save(tmp_path / "m")
    again = Scorer.load(tmp_path / "m", check=True)
    assert again.score(text).nats.tolist() == scorer.score(text).nats.tolist()


@settings(deadline=None, max_examples=40)
@given(st.text("ab \nx", max_size=20), st.randoms())
def test_read_step_by_step_it_says_what_it_says_of_the_whole(scorers, text, chance):
    model, ids = scorers[0].model, scorers[0].vocab.encode(list(text))
    bos = scorers[0].vocab.newline
    stepper = model.stepper(bos)
    assert isinstance(stepper, WordCharStepper)
    stepper.begin()
    done = 0
    while True:
        expected = model.next_log_probs(ids[:done], bos)
        np.testing.assert_allclose(np.exp(stepper.distribution()), np.exp(expected), atol=1e-12)
        if done == len(ids):
            break
        some = ids[done : done + chance.randint(1, 6)]
        stepper.read(some)
        done += len(some)
    assert len(stepper.words) <= model.components[0].reach + 3  # however long the text


def test_after_an_impossible_beginning_the_model_of_characters_goes_on_alone():
    # Unsmoothed pairs of characters: x never came, nor a or b after b, nor the end of a word after a.
    corpus = Corpus.of(Documents(["ab b\nb ab b\n" * 9]), Documents(["b ab\n"]), 0.0)
    words = Scorer.fit(make_model("witten-bell", order=2), corpus, "word")
    characters = Scorer.fit(make_model("bigram", eps="0,0"), corpus, "char")
    scorer = Scorer.fit(
        make_model("word-char", of="words,characters"), corpus, components=[words, characters]
    )
    text = canonical_text(["ab bbab xa b\nbba\nb ab\n"], "none", "stream")
    tokens = scorer.encode(text).tokens
    nats, alone = scorer.model.log_probs(tokens), characters.model.log_probs(tokens)
    after = [5, 6, 7, 9, 10, 15, 16]  # the rest of words with bb and x
    assert text.text[4] == "b"
    assert nats[after].tolist() == alone[after].tolist()
    assert np.flatnonzero(np.isneginf(nats)).tolist() == [4, 5, 8, 10, 14, 15, 16]
    rows = scorer.model.distributions(tokens)
    np.testing.assert_allclose(np.exp(rows[np.arange(len(tokens)), tokens.ids]), np.exp(nats), atol=1e-12)
    stepper = scorer.model.stepper(tokens.bos)
    stepper.begin()
    for place in range(len(tokens)):
        np.testing.assert_allclose(np.exp(stepper.distribution()), np.exp(rows[place]), atol=1e-12)
        stepper.read(tokens.ids[place : place + 1])


def test_it_is_better_than_either_on_held_out_text_and_weights_may_depend_on_the_context():
    corpus = Corpus.of(
        Documents(["the ferry left at nine and the ferryman came late again tonight " * 30]), test=0.1
    )
    parts = [
        Scorer.fit(make_model("kneser-ney", order=k), corpus, unit) for unit, k in (("word", 2), ("char", 3))
    ]
    for by in ("fixed", "per-order"):
        model = make_model("word-char", of="words,characters", weights=by)
        scorer = Scorer.fit(model, corpus, components=parts)
        assert (
            scorer.score(corpus.valid).bits_per_char
            <= min(p.score(corpus.valid).bits_per_char for p in parts) + 0.02
        )
        assert broken_laws(scorer.model, scorer.encode(corpus.test).tokens) == {}


def test_what_does_not_fit_is_refused(scorers):
    corpus = Corpus.of(Documents([TRAIN]), Documents([VALID]), 0.0)
    words, characters = scorers[1:]
    with pytest.raises(InputError, match="witten-bell is a model by char; here one by word belongs"):
        Scorer.fit(make_model("word-char", of="a,b"), corpus, components=[characters, words])
    with pytest.raises(InputError, match="name a model by word and one by character"):
        make_model("word-char", of="a")
    cache = Scorer.fit(make_model("cache"), corpus, "word")
    with pytest.raises(InputError, match="cache learns as it reads"):
        Scorer.fit(make_model("word-char", of="a,b"), corpus, components=[cache, characters])
    with pytest.raises(InputError, match=r"use Scorer\.fit"):
        make_model("word-char", of="a,b").fit([1, 2], [1], 3, components=[words.model, characters.model])


def test_parts_in_single_precision_are_let_be_what_they_are(tmp_path):
    corpus = Corpus.of(Documents([TRAIN * 3]), Documents([VALID]), 0.0)
    parts = []
    for unit in ("word", "char"):
        Scorer.fit(make_model("kneser-ney", order=3), corpus, unit).save(tmp_path / unit)
        parts.append(Scorer.load(tmp_path / unit))
    scorer = Scorer.fit(make_model("word-char", of="a,b"), corpus, components=parts)
    assert scorer.model.traits.precision == 1e-6
    assert broken_laws(scorer.model, scorer.encode(corpus.valid).tokens) == {}
