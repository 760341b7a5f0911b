"""Mixtures: their weights, their sums, and what is refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from lmbench.errors import InputError
from lmbench.models import make_model
from lmbench.models.base import LanguageModel
from lmbench.models.laws import broken_laws
from lmbench.models.mixing.gate import STRENGTH, Gate
from lmbench.models.mixing.log_linear import newton
from lmbench.models.mixing.weights import learn_weights
from lmbench.text.canonical import canonical_text
from lmbench.text.tokens import Tokens, encode
from lmbench.text.units import unit_named
from lmbench.text.vocab import Vocab, build_vocab

V = 12


def text(seed, length=600):
    return 1 + np.cumsum(np.random.default_rng(seed).choice([1, 2, 5], length)) % (V - 1)


def mixed(*labels, **options):
    model = make_model("mixture", of=labels, **options)
    parts = [make_model(label).fit(text(0), text(1), V) for label in labels]
    return model.fit(text(0), text(1), V, components=parts)


def test_weights_by_hand():
    # Two components, p = 0.9 and 0.1 on three tokens in four, 0.1 and 0.9 on the fourth: with w the first's weight,
    # 3 ln(0.1 + 0.8 w) + ln(0.9 - 0.8 w) is highest where 3 (0.9 - 0.8 w) = 0.1 + 0.8 w, so w = 2.6 / 3.2.
    p = np.array([[0.9, 0.9, 0.9, 0.1], [0.1, 0.1, 0.1, 0.9]])
    np.testing.assert_allclose(learn_weights(np.log(p)), [2.6 / 3.2, 0.6 / 3.2], atol=1e-6)


@settings(deadline=None)
@given(st.integers(2, 4), st.integers(1, 30), st.integers(0, 10_000))
def test_weights_are_the_likeliest(models, tokens, seed):
    p = np.random.default_rng(seed).uniform(0.01, 1, (models, tokens))
    found = learn_weights(np.log(p))
    assert found.sum() == pytest.approx(1, abs=1e-12)

    def loss(w):
        return -np.log(w @ p).mean()

    best = minimize(
        loss,
        np.full(models, 1 / models),
        bounds=[(0, 1)] * models,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1},
        tol=1e-12,
    )
    # In nats; where two are nearly alike the way is slow, and matters little.
    assert loss(found) <= best.fun + 1e-3


def test_impossible_tokens_do_not_spoil_the_weights():
    with np.errstate(divide="ignore"):
        log_p = np.log([[0.5, 0.0, 0.0], [0.25, 0.5, 0.0]])
    assert np.isfinite(learn_weights(log_p)).all()
    np.testing.assert_array_equal(learn_weights(np.full((2, 3), -np.inf)), [0.5, 0.5])


@pytest.mark.parametrize("pooling", ["linear", "geometric"])
@pytest.mark.parametrize("labels", [("uniform", "witten-bell"), ("kneser-ney", "cache", "context-mixing")])
def test_laws(labels, pooling):
    model = mixed(*labels, pooling=pooling)
    assert broken_laws(model, Tokens.of(text(2))) == {}
    sums = np.exp(model.next_log_probs([text(3, n) for n in range(1, 30)])).sum(axis=1)
    np.testing.assert_allclose(sums, 1, atol=1e-12)
    assert model.traits.adaptive == ("cache" in labels)


def test_probabilities_are_weighted_sums():
    model = mixed("uniform", "witten-bell")
    a, b = (np.exp(c.log_probs(text(4))) for c in model.components)
    expected = model.weights[0] * a + model.weights[1] * b
    np.testing.assert_allclose(np.exp(model.log_probs(text(4))), expected, rtol=1e-12)


def test_geometric_probabilities_are_weighted_products():
    model = mixed("kneser-ney", "cache", "context-mixing", pooling="geometric")

    def scores(weights, text):
        """Slowly: token by token, from each component's distribution after the tokens before."""
        found = []
        for t in range(len(text)):
            product = np.ones(V)
            for w, c in zip(weights, model.components, strict=True):
                product *= np.exp(c.next_log_probs(text[:t])) ** w
            found.append(np.log(product[text[t]] / product.sum()))
        return np.array(found)

    np.testing.assert_allclose(model.log_probs(text(4, 60)), scores(model.weights, text(4, 60)), rtol=1e-9)
    valid = text(6, 60)
    model.fit(text(0), valid, V, components=model.components)

    def loss(weights):
        return -scores(weights, valid).sum() + 0.5 * ((weights - 1 / 3) ** 2).sum()

    best = minimize(loss, np.full(3, 1 / 3), tol=1e-6)
    assert loss(model.weights) == pytest.approx(best.fun, abs=1e-3)


@pytest.mark.parametrize(
    ("label", "options"),
    [
        ("context-mixing", {"adaptive": True}),
        ("rnn", {"hidden": 8, "epochs": 1}),
        ("lstm", {"hidden": 8, "epochs": 1, "dynamic": 0.001}),
        ("gru", {"hidden": 8, "epochs": 1, "context": "fixed:5"}),
        ("transformer", {"hidden": 8, "epochs": 1, "context": "reset", "steps": 16}),
    ],
)
def test_distributions_are_those_of_every_prefix(label, options):
    model = make_model(label, **options).fit(text(0), text(1), V)
    tokens = Tokens(text(2, 50).astype(np.int32), np.array([0, 20]))
    if model.traits.adaptive:  # what was learnt from the first document is known only in a text as a whole
        tokens = Tokens.of(text(2, 50))
    rows = model.distributions(tokens)
    np.testing.assert_allclose(
        rows, LanguageModel._distributions(model, tokens, np.arange(len(tokens))), atol=1e-4
    )
    np.testing.assert_allclose(rows[np.arange(50), tokens.ids], model.log_probs(tokens), atol=1e-9)
    some = np.array([0, 3, 19, 20, 21, 49])
    np.testing.assert_allclose(model.distributions(tokens, some), rows[some], atol=1e-6)


def test_a_geometric_pool_holds_an_impossible_token_for_unlikely():
    model = make_model("mixture", of="unigram,uniform", pooling="geometric")
    parts = [
        make_model(m, **o).fit([1, 1], vocab_size=3) for m, o in (("unigram", {"eps": 0}), ("uniform", {}))
    ]
    model.fit([1, 1], [1, 1], 3, components=parts)
    assert np.isfinite(model.log_probs([2])).all()
    with pytest.raises(InputError, match="pooling=linear"):
        model.vocabulary(Vocab([str(i) for i in range(5000)]))


def test_a_token_impossible_for_one_is_possible_for_the_mixture():
    model = make_model("mixture", of="unigram,uniform")
    parts = [
        make_model(m, **o).fit([1, 1], vocab_size=3) for m, o in (("unigram", {"eps": 0}), ("uniform", {}))
    ]
    model.fit([1, 1], [1, 2], 3, components=parts)
    assert np.isfinite(model.log_probs([2])).all()


@pytest.mark.parametrize("pooling", ["linear", "geometric"])
@pytest.mark.parametrize("labels", [("bigram", "witten-bell"), ("kneser-ney", "cache")])
def test_saved_and_restored_bit_for_bit(labels, pooling):
    model = mixed(*labels, pooling=pooling)
    other = make_model("mixture", of=labels, pooling=pooling)
    other.restore(model.state(), V)
    assert other.log_probs(text(5)).tolist() == model.log_probs(text(5)).tolist()
    assert other.traits.adaptive == model.traits.adaptive


def test_a_mixture_of_a_mixture_is_restored():
    inner = mixed("bigram", "witten-bell")
    model = make_model("mixture", of="inner,uniform")
    parts = [inner, make_model("uniform").fit(text(0), vocab_size=V)]
    model.fit(text(0), text(1), V, components=parts)
    other = make_model("mixture", of="inner,uniform")
    other.restore(model.state(), V)
    assert other.log_probs(text(5)).tolist() == model.log_probs(text(5)).tolist()


def test_what_cannot_be_mixed_is_refused():
    for of in ("", "a,", "a,a"):
        with pytest.raises(InputError, match="of"):
            make_model("mixture", of=of)
    with pytest.raises(InputError, match="not probabilities"):
        mixed("uniform", "stupid-backoff")
    with pytest.raises(InputError, match="fitted first"):
        make_model("mixture", of="uniform,bigram").fit(text(0), text(1), V)
    model = make_model("mixture", of="uniform")
    parts = [make_model("uniform").fit([1], vocab_size=2)]
    with pytest.raises(InputError, match="vocabulary"):
        model.fit(text(0), text(1), V, components=parts)


def test_a_cache_beside_kneser_ney_on_the_penn_treebank(data_folder):
    """Mikolov & Zweig 2012 report 141.2 for the 5-gram and 125.7 with a cache, on the test set."""
    folder = data_folder / "ptb"
    if not folder.is_dir():
        pytest.skip("needs ptb/ptb.*.txt")
    unit = unit_named("word")
    texts = [
        canonical_text([(folder / f"ptb.{split}.txt").read_text()], "whitespace", "line")
        for split in ("train", "valid", "test")
    ]
    vocab = build_vocab(texts[0], unit)
    train, valid, test = (encode(t, unit, vocab).tokens for t in texts)
    model = make_model("mixture", of="kneser-ney,cache")
    parts = [make_model(label).fit(train, valid, len(vocab)) for label in model.of]
    model.fit(train, valid, len(vocab), components=parts)
    assert np.exp(-model.log_probs(test).mean()) == pytest.approx(121.0, abs=0.5)


def test_components_that_can_read_the_held_out_text_after_the_weights_were_learnt():
    labels = ["bigram", "context-mixing"]
    before, model = (mixed(*labels, read_valid=read) for read in (False, True))
    np.testing.assert_array_equal(model.weights, before.weights)
    assert model.notes[-1] == "then context-mixing read the held-out text too"
    own = make_model("context-mixing", read_valid=True).fit(text(0), text(1), V)
    expected = model.weights @ np.exp([before.components[0].log_probs(text(2)), own.log_probs(text(2))])
    np.testing.assert_allclose(model.log_probs(text(2)), np.log(expected), atol=1e-9)


def test_a_mixture_of_which_none_can_go_on_reading_is_refused():
    with pytest.raises(InputError, match="no model that is mixed can go on"):
        mixed("bigram", "unigram", read_valid=True)


def test_weights_by_entropy_are_where_the_penalised_likelihood_is_highest():
    rng = np.random.default_rng(0)
    rows = rng.normal(0, 2, (400, 2, 5))
    rows -= np.log(np.exp(rows).sum(axis=2, keepdims=True))
    ids, weights = rng.integers(0, 5, 400), np.array([0.7, 0.2])
    gate = Gate.learnt(rows, ids, weights)
    entropies = -(np.exp(rows) * rows).sum(axis=2)
    z = ((entropies - entropies.mean(axis=0)) / entropies.std(axis=0)).clip(-4, 4)
    prior = np.array([[0.7, 0, 0], [0.2, 0, 0]])

    def loss(values):
        values = values.reshape(2, 3)
        scores = np.einsum("tk,tkv->tv", values[:, 0] + z @ values[:, 1:].T, rows)
        log_probs = scores[np.arange(400), ids] - np.log(np.exp(scores).sum(axis=1))
        return -log_probs.sum() + STRENGTH / 2 * ((values - prior) ** 2).sum()

    expected = minimize(loss, prior.ravel(), tol=1e-10).x.reshape(2, 3)
    np.testing.assert_allclose(gate.values, expected, atol=1e-3)


def test_a_mixture_by_entropy_keeps_the_laws_and_its_bits_when_saved():
    model = mixed("bigram", "kneser-ney", pooling="geometric", weights="by-entropy")
    assert broken_laws(model, Tokens.of(text(2, 60).astype(np.int32))) == {}
    other = make_model("mixture", of="bigram,kneser-ney", pooling="geometric", weights="by-entropy")
    other.restore(model.state(), V)
    assert other.log_probs(text(3)).tolist() == model.log_probs(text(3)).tolist()


def test_a_gate_takes_back_what_a_model_claims_too_much_where_it_is_sure():
    """One is right in seven tokens of ten, whether it says 0.97 or 0.7: no fixed weight suits both. The other has nothing to say."""
    rng = np.random.default_rng(0)
    ids = rng.integers(0, 4, 3000)
    guess = np.where(rng.random(3000) < 0.7, ids, (ids + rng.integers(1, 4, 3000)) % 4)
    claim = np.where(rng.random((3000, 1)) < 0.5, 0.97, 0.7)
    one = np.where(np.arange(4) == guess[:, None], claim, (1 - claim) / 3)
    rows = np.log(np.stack([one, rng.dirichlet(np.full(4, 9.0), 3000)], axis=1))
    weights = newton(rows, ids, np.array([0.5, 0.5]), 1.0)
    gate = Gate.learnt(rows, ids, weights)

    def bits(w):
        scores = np.einsum("tk,tkv->tv", w, rows)
        return -(scores[np.arange(3000), ids] - np.log(np.exp(scores).sum(axis=1))).mean() / np.log(2)

    assert bits(gate.weights(rows)) < bits(np.repeat(weights[None], 3000, axis=0)) - 0.05
