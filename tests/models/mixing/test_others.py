"""Context mixing in bits that hears other models."""

import numpy as np
import pytest

from lmbench.errors import InputError
from lmbench.models import make_model
from lmbench.models.laws import broken_laws
from lmbench.models.mixing.decisions import OTHER, decisions_of
from lmbench.models.mixing.others import said_in_training, said_of
from lmbench.models.smoothing.context_tree import ContextTree
from lmbench.text.tokens import Tokens

V = 12
SPECS = {
    "infini-gram": {"adaptive": True},
    "context-mixing": {"adaptive": True},
    "lstm": {"hidden": 8, "epochs": 1, "dynamic": 0.001},
    "witten-bell": {},
}


def text(seed, length=600):
    ids = 1 + np.cumsum(np.random.default_rng(seed).choice([1, 2, 5], length)) % (V - 1)
    return Tokens(ids.astype(np.int32), np.array([0, length // 3]))


def others(labels=tuple(SPECS), train=None):
    return [make_model(name, **SPECS[name]).fit(train or text(0), text(1, 200), V) for name in labels]


def mixed(labels=tuple(SPECS), parts=None, **options):
    model = make_model("bit-mixing", of=labels, adaptive=True, **options)
    return model.fit(text(0), text(1, 200), V, components=parts or others(labels))


def tree():
    return decisions_of(np.bincount(text(0).ids, minlength=V), np.full(V, OTHER), ())


def test_log_odds_of_a_decision_are_of_sums_of_probabilities():
    parts, tokens, ways = others(("witten-bell", "infini-gram")), text(2, 50), tree()
    said = said_of(parts, tokens, np.array([0, 7, 49]), ways)
    assert said.shape == (3, V - 1, 2)
    for e, part in enumerate(parts):
        for i, row in enumerate(np.exp(part.distributions(tokens, [0, 7, 49]))):
            for decision in range(V - 1):
                sums = [0.0, 0.0]
                for symbol in range(V):
                    for depth in range(ways.length[symbol]):
                        if ways.path[symbol, depth] == decision:
                            sums[ways.bit[symbol, depth]] += row[symbol]
                expected = np.clip(np.log(sums[1] / sums[0]), -12, 12)
                assert said[i, decision, e] == pytest.approx(expected, abs=1e-4)


def test_an_impossible_symbol_is_said_to_be_unlikely():
    unigram = make_model("unigram", eps=0).fit([1, 1, 2], vocab_size=4)
    said = said_of([unigram], Tokens.of([1]), np.array([0]), decisions_of(np.ones(4), np.zeros(4, int), ()))
    assert np.isfinite(said).all()
    assert np.abs(said).max() == 12


@pytest.mark.parametrize("name", ["infini-gram", "context-mixing"])
def test_what_was_said_of_the_training_text_rests_on_what_stood_before(name):
    train = text(0, 300)
    model = others((name,), train)[0]
    rows = np.concatenate(list(model.retraced(train, 300)))
    np.testing.assert_allclose(np.exp(rows).sum(axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(np.concatenate(list(model.retraced(train, 70))), rows, atol=1e-6)
    ids = train.ids.copy()
    ids[120:] = 1 + (ids[120:] + 3) % (V - 1)
    changed = np.concatenate(list(model.retraced(Tokens(ids, train.starts), 70)))
    np.testing.assert_allclose(changed[:121], rows[:121], atol=1e-6)
    assert np.abs(changed[121:] - rows[121:]).max() > 0.1
    # At first nothing is known: all symbols are alike.
    np.testing.assert_allclose(rows[0], -np.log(V), atol=1e-5)


def test_an_infini_gram_retraces_what_a_shorter_text_would_have_said():
    train = text(0, 60)
    model = others(("infini-gram",), train)[0]
    rows = np.concatenate(list(model.retraced(train, 25)))
    for t in (5, 20, 21, 59):
        before = train.before(t)
        model.ids, model.starts = before.ids[:0], before.starts[:0]
        model.tree, model.first = ContextTree.empty(len(before) + 8), 0
        model.reading = None
        np.testing.assert_allclose(model.next_log_probs(before), rows[t], atol=1e-12)


def test_models_that_know_their_text_only_as_a_whole_are_silent_in_training():
    heard, parts = said_in_training(others(), text(0), 250, tree())
    parts = list(parts)
    assert heard.tolist() == [True, True, False, False]
    assert [part.shape for part in parts] == [(250, V - 1, 4), (250, V - 1, 4), (100, V - 1, 4)]
    assert not any(part[:, :, 2:].any() for part in parts)
    assert all(part[:, :, :2].any() for part in parts)


@pytest.mark.parametrize("read_valid", [False, True])
def test_keeps_the_laws_beside_others_and_its_bits_when_saved(read_valid):
    model = mixed(read_valid=read_valid)
    assert broken_laws(model, text(2, 80)) == {}
    assert model.notes[0].startswith("weights at first lstm ")
    assert (model.notes[-1] == "it has read the held-out text too") == read_valid
    other = make_model("bit-mixing", of=tuple(SPECS), adaptive=True, read_valid=read_valid)
    other.restore(model.state(), V)
    assert np.array_equal(other.log_probs(text(3)), model.log_probs(text(3)))
    further = model.read_on(text(3))
    assert further.log_probs(text(3)).sum() > model.log_probs(text(3)).sum()
    assert np.array_equal(other.log_probs(text(3)), model.log_probs(text(3)))


@pytest.mark.parametrize("heard", [True, False])
def test_one_that_knows_what_comes_is_believed(heard):
    class Oracle(type(make_model("uniform"))):
        def _distributions(self, tokens, places):
            rows = np.full((len(places), V), np.log(0.2 / (V - 1)))
            rows[np.arange(len(places)), tokens.ids[places]] = np.log(0.8)
            return rows

        def retraced(self, train, size):
            return (self._distributions(p, np.arange(len(p))) for p in train.pieces(size)) if heard else None

    alone = make_model("bit-mixing", adaptive=True).fit(text(0), text(1, 200), V).log_probs(text(2)).mean()
    model = mixed(("oracle",), [Oracle().fit(text(0), vocab_size=V)])
    assert alone < -1
    assert model.log_probs(text(2)).mean() > np.log(0.8) - 0.1


def test_what_cannot_be_heard_is_refused():
    with pytest.raises(InputError, match="adaptive=true"):
        make_model("bit-mixing", of=("bigram",))
    with pytest.raises(InputError, match="name each once"):
        make_model("bit-mixing", of=("bigram", "bigram"), adaptive=True)
    narrow = make_model("uniform").fit([1, 2, 1], vocab_size=3)
    with pytest.raises(InputError, match="3 tokens in its vocabulary"):
        mixed(("uniform",), [narrow])
    model, parts = make_model("bit-mixing", of=("uniform",), adaptive=True), others(("witten-bell",))
    with pytest.raises(InputError, match="held-out"):
        model.fit(text(0), None, V, components=parts)
