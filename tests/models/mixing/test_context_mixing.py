"""Context mixing against counting in dictionaries, and what it makes of a book."""

import math
from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from lmbench.errors import InputError
from lmbench.models import make_model
from lmbench.models.laws import broken_laws, check_model
from lmbench.models.mixing.contexts import bases_of, symbol_classes
from lmbench.models.mixing.log_linear import gate_loss, learn_gate, log_softmax, newton
from lmbench.models.mixing.sparse_counts import SparseCounts, counts_before, first_pairs
from lmbench.text.canonical import CanonicalText, canonical_text
from lmbench.text.tokens import Tokens, encode
from lmbench.text.units import unit_named
from lmbench.text.vocab import NOTHING, Vocab, build_vocab

V = 4
documents_of = st.lists(st.lists(st.integers(0, V - 1), min_size=1, max_size=12), min_size=1, max_size=4)


def tokens_of(documents, bos=1):
    starts = np.cumsum([0, *map(len, documents[:-1])])
    return Tokens(np.concatenate(documents).astype(np.int32), starts, bos)


def slow_contexts(document, t, orders, separator, bos, classes):
    """The contexts of token t as tuples; a word is what stands between separators, the beginning counts as one."""
    past = [bos, *document[:t]]
    words = [[]]
    for symbol in past[1:]:
        words[-1].append(symbol)
        if symbol == separator:
            words.append([])
    words = [(), (), (), *map(tuple, words)]
    now, one, two, three = words[-1], words[-2], words[-3], words[-4]
    place = min(len(now), 7)
    contexts = [tuple(past[max(0, len(past) - k) :]) for k in orders]
    contexts += [now, one + now, (now, two), two + one + now, (one[-4:] + now,), (now, three), (one, place)]
    padded = [bos] * 8 + past
    contexts += [tuple(padded[-k] for k in gap) for gap in ((2, 3, 4), (1, 3, 4), (1, 3, 4, 5), (1, 2, 4, 5))]
    of = dict(enumerate(classes)) | {NOTHING: math.nan}  # what is no symbol has a class of its own
    contexts += [(*padded[:-3:-1], *(str(of[s] % 2) for s in padded[-3:-9:-1]))]
    contexts += [(padded[-1], *(str(of[s]) for s in padded[-2:-9:-1]))]
    return contexts, place


class SlowMixing:
    """The same model with dictionaries and loops, its weights given."""

    def __init__(self, model, train, bos):
        self.orders, self.times, self.gate = model.orders, model.times, model.gate
        self.classes = model.contexts.classes
        self.bases = bases_of(model.orders, True, True)
        self.separator, self.adaptive, self.bos = model.contexts.separator, model.adaptive, bos
        self.tables = [defaultdict(Counter) for _ in self.bases]
        for document in train:
            for t in range(len(document)):
                self.learn(document, t)

    def contexts(self, document, t):
        return slow_contexts(document, t, self.orders, self.separator, self.bos, self.classes)

    def learn(self, document, t, times=1):
        contexts, _ = self.contexts(document, t)
        for i, (table, context) in enumerate(zip(self.tables, contexts, strict=True)):
            # Below the longest order, once for each longer context.
            if i + 1 >= len(self.orders) or not self.tables[i + 1][contexts[i + 1]][document[t]]:
                table[context][document[t]] += times

    def row(self, document, t):
        contexts, place = self.contexts(document, t)
        found, known, entropies, depth = [], [], [], 0
        for i, (table, context, base) in enumerate(zip(self.tables, contexts, self.bases, strict=True)):
            lower = np.full(V, 1 / V) if base < 0 else found[base]
            counts = np.array([table[context][w] for w in range(V)])
            discounts = np.choose(np.minimum(counts, 3), [0, 0.6, 1.0, 1.3])
            total, kinds = counts.sum(), (counts > 0).sum()
            found.append((counts - discounts + discounts.sum() * lower) / total if total else lower)
            known += [np.log1p(total), np.log1p(kinds), total == 0, kinds == 1, counts.max() / max(total, 1)]
            entropies.append(-(found[-1] * np.log(found[-1])).sum())
            if total and i < len(self.orders):
                depth = i
        marks = [float(i == depth) for i in range(len(self.orders))] + [float(i == place) for i in range(8)]
        z = (np.array([*known, *entropies, *marks], dtype=float) - self.gate.mean) / self.gate.spread
        weights = np.tanh(z @ self.gate.A + self.gate.a) @ self.gate.B + self.gate.b
        return log_softmax(weights @ np.log(found))

    def log_probs(self, documents):
        scores = []
        for document in documents:
            for t in range(len(document)):
                scores.append(self.row(document, t)[document[t]])
                if self.adaptive:
                    self.learn(document, t, self.times)
        return scores


@settings(deadline=None, max_examples=60)
@given(
    documents_of,
    documents_of,
    st.booleans(),
    st.integers(NOTHING, V - 1),
    st.sampled_from([(0, 1, 2), (1, 3), (2,)]),
    st.integers(1, 3),
)
def test_probabilities_are_those_of_slow_counting(train, test, adaptive, bos, orders, times):
    model = make_model("context-mixing", orders=orders, adaptive=adaptive, times=times)
    model.fit(tokens_of(train, bos), vocab_size=V)
    slow = SlowMixing(model, train, bos)
    np.testing.assert_allclose(
        model.log_probs(tokens_of(test, bos)), slow.log_probs(test), rtol=1e-9, atol=1e-12
    )


@settings(deadline=None, max_examples=30)
@given(documents_of, documents_of, st.integers(1, 5))
def test_segments_do_not_show(train, test, step):
    model = make_model("context-mixing", adaptive=True).fit(tokens_of(train), vocab_size=V)
    whole = model.log_probs(tokens_of(test))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lmbench.models.mixing.context_mixing._CELLS", step * V)
        np.testing.assert_allclose(model.log_probs(tokens_of(test)), whole, rtol=1e-12)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, V - 1)), max_size=40), st.integers(0, 40))
def test_sparse_counts_are_counts(pairs, cut):
    keys = np.array([k for k, _ in pairs], dtype=np.uint64)
    symbols = np.array([s for _, s in pairs], dtype=np.int32)
    counts = SparseCounts.of(keys[:cut], symbols[:cut], V).add(keys[cut:], symbols[cut:])
    expected = Counter(pairs)
    rows = counts.rows(np.arange(7, dtype=np.uint64))
    assert rows.tolist() == [[expected[k, s] for s in range(V)] for k in range(7)]
    chosen = symbols != 2
    before = counts_before(keys, symbols, chosen, V) if len(pairs) else np.zeros((0, V))
    first = first_pairs(keys, symbols)
    for t, (k, _) in enumerate(pairs):
        assert first[t] == ((k, pairs[t][1]) not in pairs[:t])
        assert before[t].tolist() == [Counter(pairs[:t])[k, s] * (s != 2) for s in range(V)]


def test_weights_are_where_the_penalised_likelihood_is_highest():
    rng = np.random.default_rng(0)
    features = log_softmax(rng.normal(size=(300, 3, 5)))
    ids, prior = rng.integers(0, 5, 300), np.array([0.2, 0.3, 0.5])

    def loss(w):
        rows = log_softmax(np.einsum("k,tkv->tv", w, features))
        return -rows[np.arange(300), ids].sum() + 0.5 * 2.0 * ((w - prior) ** 2).sum()

    expected = minimize(loss, prior, tol=1e-10).x
    np.testing.assert_allclose(newton(features, ids, prior, 2.0), expected, atol=2e-4)


def test_gradients_of_the_gate_are_those_of_small_steps():
    rng = np.random.default_rng(0)
    features, z = log_softmax(rng.normal(size=(6, 3, 5))), rng.normal(size=(6, 4))
    ids, mask = rng.integers(0, 5, 6), rng.integers(0, 2, (6, 7)) * 1.25
    weights = [rng.normal(size=shape) for shape in ((4, 7), (7,), (7, 3), (3,))]
    _, gradients = gate_loss(weights, features, z, ids, mask)
    for p, gradient in zip(weights, gradients, strict=True):
        for at in np.ndindex(p.shape):
            kept, ends = p[at], []
            for step in (1e-6, -1e-6):
                p[at] = kept + step
                ends.append(gate_loss(weights, features, z, ids, mask)[0])
            p[at] = kept
            assert gradient[at] == pytest.approx((ends[0] - ends[1]) / 2e-6, abs=1e-8)


def test_a_gate_finds_out_which_distribution_to_believe():
    rng = np.random.default_rng(0)
    ids = rng.integers(0, 4, 4000)
    right = np.log(np.where(np.arange(4) == ids[:, None], 0.7, 0.1))
    wrong = np.log(np.full((4000, 4), 0.25)) + rng.normal(size=(4000, 4))
    first = rng.random(4000) < 0.5
    features = log_softmax(np.stack([np.where(f[:, None], right, wrong) for f in (first, ~first)], axis=1))
    gate = learn_gate(features.astype(np.float32), first[:, None].astype(float), ids, rng)
    weights = gate.weights(np.array([[0.0], [1.0]]))
    assert (weights[1, 0] > 0.9, weights[1, 1] < 0.1) == (True, True)
    assert (weights[0, 1] > 0.9, weights[0, 0] < 0.1) == (True, True)


def test_classes_tell_vowels_from_consonants():
    text = "banana kolibri tomate domino karamela " * 20
    symbols = sorted(set(text))
    classes = symbol_classes(np.array([symbols.index(s) for s in text]), len(symbols)) % 2
    vowels = {s for s, c in zip(symbols, classes, strict=True) if c == classes[symbols.index("a")]}
    assert vowels >= set("aeio")
    assert not vowels & set("bnkltmdr")
    assert symbol_classes(np.zeros(1, dtype=int), 1).tolist() == [0]


@pytest.mark.parametrize(
    "options", [{}, {"adaptive": True}, {"words": False, "orders": (0, 2, 5)}, {"gaps": False}]
)
def test_laws(options):
    assert check_model(make_model("context-mixing", **options)) == {}


@pytest.mark.parametrize("adaptive", [False, True])
def test_laws_on_several_vocabularies_of_one_and_two(adaptive):
    for vocab_size in (1, 2):
        model = make_model("context-mixing", adaptive=adaptive).fit([vocab_size - 1], vocab_size=vocab_size)
        ids = np.arange(9, dtype=np.int32) % vocab_size
        assert broken_laws(model, Tokens.of(ids)) == {}


def test_saved_and_restored_bit_for_bit():
    text = np.random.default_rng(0).integers(0, 9, 500)
    model = make_model("context-mixing", adaptive=True).fit(text, vocab_size=9)
    other = make_model("context-mixing", adaptive=True)
    other.restore(model.state(), 9)
    assert other.log_probs(text[::-1]).tolist() == model.log_probs(text[::-1]).tolist()


def test_an_adaptive_model_learns_what_it_reads():
    rng = np.random.default_rng(0)
    twice = [np.tile(rng.integers(1, 20, 50), 2) for _ in range(21)]
    model = make_model("context-mixing", adaptive=True).fit(np.concatenate(twice[1:]), vocab_size=20)
    first, second = np.split(model.log_probs(twice[0]), 2)
    assert second[5:].mean() > first.mean() + 1  # nat


@pytest.mark.parametrize("orders", ["", "3,1", "1,1", "-1,2"])
def test_impossible_orders_are_refused(orders):
    with pytest.raises(InputError):
        make_model("context-mixing", orders=orders)


def test_large_vocabularies_are_refused():
    with pytest.raises(InputError, match="characters or bytes"):
        make_model("context-mixing").vocabulary(Vocab([str(i) for i in range(5000)]))


def test_beats_ppmd_on_the_time_machine(data_folder):
    """The letters of the book as one stream, 80/10/10. PPMd of order 6 spends 1.859 bits, having read 90% and adapting."""
    path = data_folder / "timemachine.txt"
    if not path.exists():
        pytest.skip("needs timemachine.txt")
    text = canonical_text([path.read_text(encoding="utf-8-sig")], "letters", "stream").text
    a, b = int(len(text) * 0.8), int(len(text) * 0.9)
    unit = unit_named("char")
    vocab = build_vocab(CanonicalText.of([text[:a]]), unit)
    train, test = (encode(CanonicalText.of([t]), unit, vocab).tokens for t in (text[:a], text[b:]))
    model = make_model("context-mixing").fit(train, vocab_size=len(vocab))
    assert -model.log_probs(test).mean() / np.log(2) == pytest.approx(1.795, abs=0.005)
    model.adaptive = True
    assert -model.log_probs(test).mean() / np.log(2) == pytest.approx(1.765, abs=0.005)
