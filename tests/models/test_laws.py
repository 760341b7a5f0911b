"""The contract's laws, on every registered model; and that the laws can be broken."""

import math
from dataclasses import dataclass

import numpy as np
import pytest
from odd_models import LateCheat
from paths import GOLDEN

from lmbench.corpora.corpus import load_corpus
from lmbench.errors import InputError
from lmbench.models import MODELS, make_model
from lmbench.models.base import LanguageModel, Traits
from lmbench.models.laws import LAWS, broken_laws, check_model
from lmbench.models.uniform import Uniform
from lmbench.scoring.scorer import Scorer, load_model
from lmbench.scoring.verification import certify
from lmbench.text.tokens import Tokens
from lmbench.text.vocab import NOTHING

# Options that keep a model small enough for a test, and models that are made of others or of a file.
SMALL = {
    "rnn-scratch": {"hidden": 8, "epochs": 2, "batch": 4, "steps": 8},
    "rnn": {"hidden": 8, "epochs": 2, "batch": 4, "steps": 8},
    "gru": {"hidden": 8, "epochs": 2, "batch": 4, "steps": 8},
    "lstm": {"hidden": 8, "epochs": 2, "batch": 4, "steps": 8},
    "mingru": {"hidden": 8, "epochs": 2, "batch": 4, "steps": 8},
    "transformer": {"hidden": 8, "epochs": 2, "batch": 4, "steps": 8},
    "mlp": {"hidden": 8, "epochs": 2, "batch": 4, "steps": 8},
    "mixture": {"of": "bigram,trigram"},
    "word-char": {"of": "bigram,trigram"},
    "arpa": {"file": str(GOLDEN / "ferry.o3.arpa")},
}
# Five hundred epochs; the same classes as others.
PRESETS = {name for name in MODELS if name.startswith("d2l-")}


def fitted(name, ferry, unit="char"):
    model = make_model(name, **SMALL.get(name, {}))
    labels = model.traits.components
    units = model.traits.component_units or (unit,) * len(labels)
    parts = [Scorer.fit(make_model(label), ferry, of) for label, of in zip(labels, units, strict=True)]
    return Scorer.fit(model, ferry, unit, components=parts)


def stepwise(model, tokens):
    """(T, V) nats: what is said of each token before it is read, one after the other, as a decoder does."""
    stepper, rows = model.stepper(tokens.bos), []
    for document in tokens.documents():
        stepper.begin()
        for t in range(len(document)):
            rows.append(stepper.distribution())
            stepper.read(document[t : t + 1])
    return np.stack(rows)


OUTSIDE = {"hugging-face", "gguf", "server"}  # their own tests ask the laws
KINDS = sorted(set(MODELS) - PRESETS - OUTSIDE)


@pytest.mark.parametrize("name", KINDS)
def test_every_model_keeps_the_laws_and_comes_back_bit_for_bit(name, ferry, tmp_path):
    scorer = fitted(name, ferry, "word" if name == "arpa" else "char")
    assert not any("random" in note for note in scorer.model.notes)  # it says whether it draws
    first = scorer.encode(ferry.test).tokens.documents()[0]
    second = scorer.encode(ferry.test).tokens.documents()[1]
    tokens = Tokens(np.concatenate([first, second]), np.zeros(1, dtype=np.int64), scorer.vocab.newline)
    broken = broken_laws(scorer.model, tokens)
    if name == "stupid-backoff":  # it says itself that its scores are no probabilities (Brants et al. 2007)
        assert "sums to one" in broken
    else:
        assert not broken
    both = Tokens(tokens.ids, np.array([0, len(first)]), tokens.bos)
    rows, scored = scorer.model.distributions(both), scorer.model.log_probs(both)
    assert rows.shape == (len(both), len(scorer.vocab))
    taken = rows[np.arange(len(both)), both.ids]
    np.testing.assert_allclose(np.exp(taken), np.exp(scored), rtol=0, atol=scorer.model.traits.precision)
    np.testing.assert_allclose(
        np.exp(stepwise(scorer.model, both)), np.exp(rows), rtol=0, atol=10 * scorer.model.traits.precision
    )
    scorer.save(tmp_path / "model")
    again = load_model(tmp_path / "model")
    before, after = scorer.score(ferry.test), again.score(ferry.test)
    assert np.array_equal(before.log_probs, after.log_probs)
    assert np.array_equal(before.spelling, after.spelling)
    rng = [np.random.default_rng(1) for _ in range(2)]
    assert scorer.generate(rng[0], 20, "the ") == again.generate(rng[1], 20, "the ")


@pytest.mark.parametrize("name", sorted(set(KINDS) - {"arpa", "stupid-backoff"}))
def test_the_laws_hold_of_a_text_that_begins_after_nothing(name, flow, tmp_path):
    scorer = fitted(name, flow)
    tokens = scorer.encode(flow.test).tokens
    assert (scorer.vocab.newline, tokens.bos) == (NOTHING, NOTHING)
    assert not broken_laws(scorer.model, tokens.head(300))
    scorer.save(tmp_path / "model")
    assert np.array_equal(
        load_model(tmp_path / "model").model.log_probs(tokens), scorer.model.log_probs(tokens)
    )


@pytest.mark.parametrize("name", ["bigram", "kneser-ney", "witten-bell", "absolute-discounting", "katz"])
def test_an_unknown_word_is_not_read_as_the_beginning_of_a_document(name, flow):
    # It says nothing of the next word: what follows it is what follows no word at all.
    scorer = fitted(name, flow, "word")
    after_unknown, at_first = scorer.model.next_log_probs([[0], []])
    np.testing.assert_allclose(after_unknown, at_first, rtol=1e-14)
    after_known = scorer.model.next_log_probs([scorer.vocab.index("the")])
    assert np.abs(after_known - at_first).max() > 0.5


@pytest.mark.parametrize(("name", "bits"), [("witten-bell", 1.695), ("kneser-ney", 1.599)])
def test_unknown_words_of_the_time_machine(name, bits, data_folder, monkeypatch):
    monkeypatch.setenv("LMBENCH_DATA", str(data_folder))
    corpus = load_corpus("time-machine")
    scores = Scorer.fit(make_model(name, order=3), corpus, "word").score(corpus.test)
    # Read as the beginning of the book, they cost 1.710 and 1.601 bits a character.
    assert -scores.log_prob / math.log(2) / scores.chars == pytest.approx(bits, abs=5e-4)


@pytest.mark.parametrize("name", ["uniform", "trigram", "kneser-ney", "rnn-scratch"])
def test_the_same_seed_gives_the_same_scores(name, ferry):
    one, other = (fitted(name, ferry).score(ferry.test) for _ in range(2))
    assert np.array_equal(one.nats, other.nats)


def test_check_model_fits_a_model_of_ones_own():
    assert check_model(Uniform()) == {}


@dataclass(kw_only=True, eq=False)
class Broken(Uniform):
    """Uniform, but for what ``how`` says."""

    how: str = "sums"

    def _log_probs(self, tokens):
        found = super()._log_probs(tokens)
        if self.how == "ahead":
            found[:-1] += np.where(tokens.ids[1:] % 2, -1.0, 0.0)
        if self.how == "random":
            found -= np.random.default_rng().random(len(found))
        if self.how == "nan":
            found[0] = np.nan
        if self.how == "above":
            found[0] = 0.1
        return found[:-1] if self.how == "short" else found

    def _next_log_probs(self, contexts, bos):
        return super()._next_log_probs(contexts, bos) + (0.1 if self.how == "sums" else 0)


@pytest.mark.parametrize(
    ("how", "law"),
    [
        ("sums", "sums to one"),
        ("ahead", "causal"),
        ("random", "deterministic"),
        ("nan", "at most one"),
        ("above", "at most one"),
        ("short", "shape"),
    ],
)
def test_a_model_that_breaks_a_law_is_found_out(how, law):
    model = Broken(how=how).fit(np.arange(12).repeat(20) % 12, vocab_size=12)
    tokens = Tokens.of(np.random.default_rng(0).integers(0, 12, 100))
    assert law in broken_laws(model, tokens)


@pytest.mark.parametrize("law", LAWS)
def test_a_model_that_breaks_a_law_after_300_tokens_is_found_out(law):
    ids = np.random.default_rng(0).integers(0, 12, 2000).astype(np.int32)
    model = LateCheat(how=law).fit(ids, vocab_size=12)
    starts = np.array([0, 700]) if law == "documents apart" else np.zeros(1, dtype=np.int64)
    assert law in broken_laws(model, Tokens(ids, starts))
    if law != "documents apart":
        assert not broken_laws(model, Tokens.of(ids[:290]))


def test_an_adaptive_model_that_reads_ahead_is_found_out():
    ids = np.random.default_rng(0).integers(0, 12, 2000).astype(np.int32)
    model = LateCheat(how="reads ahead").fit(ids, vocab_size=12)
    assert "causal" in broken_laws(model, Tokens(ids, np.array([0, 500, 900])))


@dataclass(kw_only=True, eq=False)
class Reading(Uniform):
    """Uniform; counts the tokens that it is made to read, those before a distribution included."""

    kind: str = "documents"
    read: int = 0

    @property
    def traits(self):
        return Traits(adaptive=self.kind != "documents")

    def _log_probs(self, tokens):
        self.read += len(tokens)
        return super()._log_probs(tokens)

    def _next_log_probs(self, contexts, bos):
        self.read += sum(map(len, contexts))
        return super()._next_log_probs(contexts, bos)


class ReadingOn(Reading):
    def _next_after(self, tokens):
        self.read += len(tokens)
        return self._next_log_probs([[]], -1)[0]


@pytest.mark.parametrize("starts", [[0], [0, 50_000, 52_000, 99_000]])
@pytest.mark.parametrize("model", [Reading(), Reading(kind="candidates"), ReadingOn(kind="foretelling")])
def test_the_laws_read_about_as_much_as_scoring_the_text_does(model, starts):
    tokens = Tokens(np.arange(100_000, dtype=np.int32) % 60, np.array(starts))
    model.fit(tokens.ids, vocab_size=60)
    scored = model.log_probs(tokens)
    model.read = 0
    assert not broken_laws(model, tokens, scored=scored)
    assert model.read < 1.3 * len(tokens)


def test_scores_that_the_model_does_not_give_break_a_law():
    tokens = Tokens.of(np.arange(2000, dtype=np.int32) % 12)
    model = Uniform().fit(tokens.ids, vocab_size=12)
    assert not broken_laws(model, tokens, scored=model.log_probs(tokens))
    assert "one distribution" in broken_laws(model, tokens, scored=model.log_probs(tokens) / 2)


@pytest.mark.parametrize("how", ["one distribution", "causal"])
def test_a_late_cheat_is_not_certified(how, flow):
    scorer = Scorer.fit(LateCheat(how=how), flow)
    assert certify(scorer, flow)
    assert certify(Scorer.fit(Uniform(), flow), flow) is None


MIXED = {"of": "kneser-ney,cache"}


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("kneser-ney", {"order": 1}),
        ("kneser-ney", {"order": 8}),
        ("infini-gram", {"adaptive": True}),
        ("context-mixing", {"adaptive": True}),
        ("bit-mixing", {"adaptive": True}),
        ("bit-mixing", {"adaptive": True, "of": "cache,bigram", "read_valid": True}),
        ("context-mixing", {"lines": False, "orders": "0,2,6"}),
        ("rnn", SMALL["rnn"] | {"context": "reset"}),
        ("rnn", SMALL["rnn"] | {"context": "fixed:3"}),
        ("lstm", SMALL["lstm"] | {"dynamic": 0.05, "dynamic_steps": 7}),
        ("mixture", MIXED),
        ("mixture", MIXED | {"weights": "by-context"}),
        ("mixture", MIXED | {"pooling": "geometric"}),
        ("mixture", MIXED | {"pooling": "geometric", "weights": "by-entropy"}),
        ("mixture", {"of": "context-mixing,bigram", "read_valid": True, "weights": "per-order"}),
    ],
)
def test_token_by_token_is_what_it_is_at_once(name, options, ferry):
    model = make_model(name, **options)
    labels = model.traits.components
    scorer = Scorer.fit(model, ferry, components=[Scorer.fit(make_model(label), ferry) for label in labels])
    tokens = scorer.encode(ferry.test).tokens.head(240)
    assert len(tokens.starts) > 3
    rows, again = (stepwise(scorer.model, tokens) for _ in range(2))
    assert np.array_equal(rows, again)
    atol = 10 * scorer.model.traits.precision
    np.testing.assert_allclose(np.exp(rows), np.exp(scorer.model.distributions(tokens)), rtol=0, atol=atol)
    # What is read at once leaves the same behind as what is read token by token.
    stepper = scorer.model.stepper(tokens.bos)
    for document in tokens.documents()[:3]:
        stepper.begin()
        stepper.read(document)
    stepper.begin()
    np.testing.assert_allclose(
        np.exp(stepper.distribution()), np.exp(rows[tokens.starts[3]]), rtol=0, atol=atol
    )


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("cache", {}),
        ("context-mixing", {"adaptive": True}),
        ("bit-mixing", {"adaptive": True}),
        ("lstm", SMALL["lstm"] | {"dynamic": 0.01}),
        ("odd_models:Counting", {}),
    ],
)
def test_an_adaptive_model_foretells_what_it_scores_over_documents(name, options, ferry):
    scorer = Scorer.fit(make_model(name, **options), ferry)
    tokens = scorer.encode(ferry.test).tokens.head(240)
    assert len(tokens.starts) > 3
    scores, rows = scorer.model.log_probs(tokens), scorer.model.distributions(tokens)
    np.testing.assert_allclose(rows[np.arange(len(tokens)), tokens.ids], scores, atol=1e-6)
    for t in (0, int(tokens.starts[1]), int(tokens.starts[2]) + 21, len(tokens) - 1):
        np.testing.assert_allclose(scorer.model.next_log_probs(tokens.before(t)), rows[t], atol=1e-6)
    assert (
        np.abs(scores - np.concatenate([scorer.model.log_probs(d) for d in tokens.documents()])).max() > 1e-3
    )


def test_wrong_numbers_are_refused_and_rounding_is_not():
    ids = np.arange(12)
    for how in ("nan", "above"):
        with pytest.raises(InputError, match="its numbers are wrong"):
            Broken(how=how).fit(ids, vocab_size=12).log_probs(ids)
    with pytest.raises(InputError, match="above 1"):
        Broken(how="sums").fit([0], vocab_size=1).next_log_probs([])
    sure = Uniform().fit([0], vocab_size=1)
    sure._log_probs = lambda tokens: np.full(len(tokens), 1e-15)
    assert sure.log_probs([0, 0]).tolist() == [0, 0]


def test_registered_names_make_subclasses_with_options():
    for name in MODELS:
        needed = {
            "arpa": {"file": "x"},
            "mixture": {"of": "a,b"},
            "word-char": {"of": "a,b"},
            "hugging-face": {"path": "x"},
            "gguf": {"path": "x"},
            "server": {"url": "http://127.0.0.1:9/v1"},
        }
        model = make_model(name, **needed.get(name, {}))
        assert isinstance(model, LanguageModel)
        assert model.name == name
