"""Context mixing against counting in dictionaries, and what it makes of a book."""

import math
import os
import subprocess
import sys
from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from lmbench.errors import InputError
from lmbench.models import make_model
from lmbench.models.laws import broken_laws, check_model
from lmbench.models.mixing.context_table import ContextTable, numbered
from lmbench.models.mixing.contexts import symbol_classes
from lmbench.models.mixing.log_linear import log_softmax, newton
from lmbench.models.mixing.reading import BATCH, Teaching
from lmbench.models.monitor import Monitor
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


def slow_lines(document, t, alphabet):
    """The contexts of words without case and of lines, as tuples."""
    past = list(document[:t])
    words, marks = [()], ()
    for symbol in past:
        if alphabet.letters[symbol]:
            words[-1] += (int(alphabet.folded[symbol]),)
        else:
            words += [()] if words[-1] else []
            marks += () if symbol == alphabet.separator else (symbol,)
        marks = () if symbol == alphabet.newline else marks
    word, one, two = [*reversed(words), (), ()][:3]
    lines = [[]]
    for symbol in past:
        lines[-1].append(symbol)
        if symbol == alphabet.newline:
            lines.append([])
    *before, line = lines
    above = [s for s in before[-1] if s != alphabet.newline] if before else []
    column = len(line)
    upper = [above[i] if i < len(above) else -1 for i in (column, column + 1)]
    first = line[0] if line else -1
    two_back, latest = [alphabet.newline, alphabet.newline, *past][-2:]
    return [
        (word, one),
        (word, latest),
        (word, one, two),
        (upper[0], min(column, 120), latest),
        (upper[0], latest, two_back),
        (*upper, word),
        (marks, word),
        (first, word, min(column, 3)),
        (one, two, latest),
    ]


class SlowMixing:
    """The same model with dictionaries and loops, its weights given."""

    def __init__(self, model, train, bos):
        self.orders, self.times, self.weights = model.orders, model.times, model.weights
        self.alphabet, self.adaptive, self.bos = model.contexts.alphabet, model.adaptive, bos
        self.bases = model.contexts.bases
        self.tables = [defaultdict(Counter) for _ in self.bases]
        self.latest = [
            {} for _ in self.bases
        ]  # of each context: the last symbol, how often in a row, at which token
        self.now = 0
        for document in train:
            for t in range(len(document)):
                self.learn(document, t)

    def contexts(self, document, t):
        alphabet = self.alphabet
        contexts, place = slow_contexts(
            document, t, self.orders, alphabet.separator, self.bos, alphabet.classes
        )
        if self.bos != NOTHING:
            contexts += slow_lines(document, t, alphabet)
        return contexts, place

    def learn(self, document, t, times=1):
        contexts, _ = self.contexts(document, t)
        for i, (table, latest, context) in enumerate(zip(self.tables, self.latest, contexts, strict=True)):
            # Below the longest order, once for each longer context; decided before the longer one counts, which comes later.
            if i + 1 >= len(self.orders) or not self.tables[i + 1][contexts[i + 1]][document[t]]:
                table[context][document[t]] += times
            symbol, run, _ = latest.get(context, (None, 0, 0))
            latest[context] = (document[t], run + 1 if symbol == document[t] else 1, self.now)
        self.now += 1

    def row(self, document, t):
        contexts, place = self.contexts(document, t)
        rows, evidence, gains, depth = [], [], np.zeros(V), 0
        for i, (table, context, base) in enumerate(zip(self.tables, contexts, self.bases, strict=True)):
            lower = np.full(V, 1 / V) if base < 0 else rows[base]
            counts = np.array([table[context][w] for w in range(V)])
            discounts = np.choose(np.minimum(counts, 3), [0, 0.6, 1.0, 1.3])
            total, kinds = counts.sum(), (counts > 0).sum()
            rows.append((counts - discounts + discounts.sum() * lower) / total if total else lower)
            age = 1
            if total:
                symbol, run, when = self.latest[i][context]
                age = self.now - when if self.adaptive else 1
                far = sum(age >= 32 * 4**power for power in range(7))
                gains[symbol] += self.weights.runs[i, far * 4 + sum(run >= r for r in (2, 3, 6))]
                depth = i if i < len(self.orders) else depth
            entropy = -(rows[-1] * np.log(rows[-1])).sum()
            evidence += [
                np.log1p(total),
                np.log1p(kinds),
                total == 0,
                kinds == 1,
                counts.max() / max(total, 1),
            ]
            evidence += [entropy, np.log(age)]
        marks = [float(i == depth) for i in range(len(self.orders))] + [float(i == place) for i in range(8)]
        mean, spread, A, a, B, b, _ = (np.float64(w) for w in self.weights)
        z = (np.array([*evidence, *marks], dtype=float) - mean) / spread
        return log_softmax((np.tanh(z @ A + a) @ B + b) @ np.log(rows) + gains)

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
        model.log_probs(tokens_of(test, bos)), slow.log_probs(test), rtol=1e-4, atol=1e-5
    )


@settings(deadline=None, max_examples=30)
@given(documents_of, documents_of, documents_of, st.booleans(), st.sampled_from([(0, 1, 2), (2,)]))
def test_held_out_text_is_counted_as_if_it_had_stood_in_the_training_text(
    train, valid, test, adaptive, orders
):
    model = make_model("context-mixing", orders=orders, adaptive=adaptive, read_valid=True)
    model.fit(tokens_of(train), tokens_of(valid), vocab_size=V)
    slow = SlowMixing(model, [*train, *valid], 1)
    np.testing.assert_allclose(model.log_probs(tokens_of(test)), slow.log_probs(test), rtol=1e-4, atol=1e-5)
    other = make_model("context-mixing", orders=orders, adaptive=adaptive).restore(model.state(), V)
    assert other.log_probs(tokens_of(test)).tolist() == model.log_probs(tokens_of(test)).tolist()


def test_gradients_are_those_of_small_steps():
    """At rates of 0 the weights stay, and Adam's first running mean is a tenth of the gradient of the mean over a batch."""
    rng = np.random.default_rng(0)
    document = rng.integers(0, V, BATCH).astype(np.int32)
    model = make_model("context-mixing", orders=(0, 1, 3), adaptive=True, times=1)
    model.fit(tokens_of([np.tile(document, 3)]), vocab_size=V, rng=rng)
    for array in model.weights[2:]:
        array += rng.normal(0, 0.3, array.shape).astype(np.float32)
    tokens, nothing = tokens_of([document]), ContextTable.empty(len(model.contexts.bases))
    text, model.table = numbered(*model.contexts.keys(tokens), tokens.ids, V, nothing)
    moments = np.zeros((2, sum(a.size for a in model.weights[2:6])), dtype=np.float32)
    teaching = Teaching((0.0, 0.0), (0.0, 0.0), 0.0, moments, np.zeros(1, dtype=np.int64))
    model._learn(text, nothing, BATCH, teaching, rng, Monitor())
    gradients = np.split(moments[0] * 10, np.cumsum([a.size for a in model.weights[2:5]]))
    for array, gradient in zip(model.weights[2:6], gradients, strict=True):
        for entry in rng.choice(array.size, 3):
            kept, ends = array.flat[entry], []
            for small in (1e-2, -1e-2):
                array.flat[entry] = kept + small
                ends.append(-np.mean(SlowMixing(model, [], 1).log_probs([document])))
            array.flat[entry] = kept
            assert gradient[entry] == pytest.approx((ends[0] - ends[1]) / 2e-2, rel=0.01, abs=2e-4)


def test_weights_find_out_which_context_to_believe():
    """Symbols that follow from the one before the last: the mixture comes near what that context alone knows, 0.47 bits."""
    rng = np.random.default_rng(0)
    ids = list(rng.integers(0, 4, 2))
    for _ in range(6000):
        ids.append((ids[-2] + 1) % 4 if rng.random() < 0.95 else int(rng.integers(0, 4)))
    model = make_model("context-mixing", orders=(0, 1, 2), words=False).fit(ids[:4000], vocab_size=4)
    expected = -(0.9625 * np.log2(0.9625) + 0.0375 * np.log2(0.0125))
    assert -model.log_probs(ids[4000:]).mean() / np.log(2) == pytest.approx(expected, abs=0.04)


@pytest.mark.parametrize("changes", [{"first": [0, 1]}, {"symbols": [9]}, {"numbers": [-1]}, {"total": [7]}])
def test_tables_that_do_not_fit_together_are_refused(changes):
    model = make_model("context-mixing", orders=(0, 1)).fit([1, 2, 1, 2, 1, 1, 0, 2], vocab_size=3)
    state = model.state()
    for name, values in changes.items():
        state[name] = np.append(state[name][: -len(values)], values).astype(state[name].dtype)
    with pytest.raises(InputError):
        make_model("context-mixing", orders=(0, 1)).restore(state, 3)


def test_weights_are_where_the_penalised_likelihood_is_highest():
    rng = np.random.default_rng(0)
    features = log_softmax(rng.normal(size=(300, 3, 5)))
    ids, prior = rng.integers(0, 5, 300), np.array([0.2, 0.3, 0.5])

    def loss(w):
        rows = log_softmax(np.einsum("k,tkv->tv", w, features))
        return -rows[np.arange(300), ids].sum() + 0.5 * 2.0 * ((w - prior) ** 2).sum()

    expected = minimize(loss, prior, tol=1e-10).x
    np.testing.assert_allclose(newton(features, ids, prior, 2.0), expected, atol=2e-4)


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


def test_a_kept_compilation_gives_the_bits_of_a_fresh_one(tmp_path):
    code = "import numpy as np; from lmbench.models import make_model;"
    code += "text = np.random.default_rng(0).integers(0, 60, 3000) % 37;"
    code += "print(make_model('context-mixing').fit(text, vocab_size=37).log_probs(text).sum().hex())"
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    runs = [
        subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
        )
        for _ in range(2)
    ]
    assert runs[0].stdout == runs[1].stdout


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


def test_counts_that_32_bits_do_not_hold_are_refused():
    for times in (0, -1, 101, 2**31, 2**63 - 1):
        with pytest.raises(InputError, match=f"times={times} must be from 1 to 100"):
            make_model("context-mixing", adaptive=True, times=times)
    text = np.tile([1, 2, 3, 2], 200)
    model = make_model("context-mixing", adaptive=True, times=100, orders=(0, 1)).fit(text, vocab_size=4)
    assert model.log_probs(text)[-100:].min() > np.log(0.9)


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
    for adaptive, expected in ((False, 1.797), (True, 1.757)):
        model = make_model("context-mixing", adaptive=adaptive).fit(train, vocab_size=len(vocab))
        assert -model.log_probs(test).mean() / np.log(2) == pytest.approx(expected, abs=0.005)
