"""Count models against their formulas, written as recursions over tuples, and against NLTK where it has them."""

from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nltk.lm import AbsoluteDiscountingInterpolated, WittenBellInterpolated
from nltk.util import everygrams
from scipy.optimize import minimize
from slow_counts import V, begun, documents_of, symbols_before, tokens_of

from lmbench.counts.ngrams import count_ngrams
from lmbench.errors import InputError
from lmbench.models import make_model
from lmbench.models.laws import broken_laws, check_model
from lmbench.models.smoothing.jelinek_mercer import learn_weights
from lmbench.text.canonical import canonical_text
from lmbench.text.tokens import Tokens, encode
from lmbench.text.units import unit_named
from lmbench.text.vocab import NOTHING, build_vocab


class Slow:
    """Counts of every n-gram and of every context, as tuples; one virtual ``bos`` before each document."""

    def __init__(self, documents, order, vocab_size, bos):
        self.order, self.vocab_size = order, vocab_size
        self.grams, self.after = Counter(), defaultdict(Counter)
        for document in documents:
            symbols, first = begun(bos, document)
            for t in range(first, len(symbols)):
                for k in range(min(order, t + 1)):
                    self.grams[symbols[t - k : t + 1]] += 1
                    self.after[symbols[t - k : t]][symbols[t]] += 1

    def total(self, context):
        return sum(self.after[context].values())

    def types(self, context):
        return len(self.after[context])

    def counts(self, k):
        return Counter(n for gram, n in self.grams.items() if len(gram) == k)

    def lower(self, word, context):
        return self.p(word, context[1:]) if context else 1 / self.vocab_size

    def rows(self, documents, bos):
        for document in documents:
            symbols, first = begun(bos, document)
            for t in range(first, len(symbols)):
                yield self.p(symbols[t], symbols[max(0, t - self.order + 1) : t])


class SlowWittenBell(Slow):
    def p(self, word, context):
        n, t = self.total(context), self.types(context)
        if n == 0:
            return self.lower(word, context)
        return (self.after[context][word] + t * self.lower(word, context)) / (n + t)


class SlowAbsolute(Slow):
    def p(self, word, context):
        n = self.total(context)
        if n == 0:
            return self.lower(word, context)
        seen = self.counts(len(context) + 1)
        d = seen[1] / (seen[1] + 2 * seen[2]) if seen[1] and seen[2] else 0.5
        own = max(self.after[context][word] - d, 0)
        return (own + d * self.types(context) * self.lower(word, context)) / n


class SlowStupid(Slow):
    def p(self, word, context):
        if self.after[context][word]:
            return self.after[context][word] / self.total(context)
        if not context:
            return 0.4 / self.vocab_size
        return (0.4 if self.total(context) else 1) * self.p(word, context[1:])


class SlowKatz(Slow):
    cutoff = 7

    def ratio(self, r, k):
        cutoff = self.cutoff
        if r > cutoff:
            return 1.0
        n = self.counts(k)
        if all(n[i] for i in range(1, cutoff + 2)):
            rest = (cutoff + 1) * n[cutoff + 1] / n[1]
            turing = [(i + 1) * n[i + 1] / (i * n[i]) for i in range(1, cutoff + 1)]
            if rest < 1 and all(rest < t < 1 for t in turing):
                return (turing[r - 1] - rest) / (1 - rest)
        d = n[1] / (n[1] + 2 * n[2]) if n[1] and n[2] else 0.5
        return (r - d) / r

    def p(self, word, context):
        least = 2 if len(context) >= 2 else 1
        seen = {w: n for w, n in self.after[context].items() if n >= least}
        if not self.after[context]:
            return self.lower(word, context)
        kept = {w: n * self.ratio(n, len(context) + 1) for w, n in seen.items()}
        if len(seen) == self.vocab_size:
            return kept[word] / sum(kept.values())
        total = self.total(context)
        if sum(kept.values()) >= total:
            total += 1
        if word in seen:
            return kept[word] / total
        unseen = sum(self.lower(w, context) for w in range(self.vocab_size) if w not in seen)
        return (1 - sum(kept.values()) / total) / unseen * self.lower(word, context)


SLOW = {
    "witten-bell": SlowWittenBell,
    "absolute-discounting": SlowAbsolute,
    "stupid-backoff": SlowStupid,
    "katz": SlowKatz,
}


@pytest.mark.parametrize("name", SLOW)
@settings(deadline=None, max_examples=50)
@given(documents_of, documents_of, st.integers(1, 4), symbols_before)
def test_probabilities_follow_the_formula(name, train, test, order, bos):
    model = make_model(name, order=order).fit(tokens_of(train, bos), vocab_size=V)
    expected = list(SLOW[name](train, order, V, bos).rows(test, bos))
    np.testing.assert_allclose(np.exp(model.log_probs(tokens_of(test, bos))), expected, rtol=1e-9)


def zipf_text(length, vocab_size, seed=0):
    """Words that repeat a little, most of them rare."""
    rng = np.random.default_rng(seed)
    words = rng.zipf(1.3, length) % vocab_size
    return np.where(rng.random(length) < 0.3, np.roll(words, 3), words).astype(np.int32)


def test_katz_uses_the_good_turing_ratios_where_it_can():
    rng = np.random.default_rng(0)
    text = 5 + rng.lognormal(5, 1.7, 40_000).astype(np.int32) % 8000
    text[::2] = rng.integers(0, 5, 20_000)
    model = make_model("katz", order=2, cutoff=5).fit(text, vocab_size=9000)
    assert model.notes == []
    slow = SlowKatz([text.tolist()], 2, 9000, NOTHING)
    slow.cutoff = 5
    test = text[:40]
    slow.counts = {k: slow.counts(k) for k in (1, 2)}.__getitem__  # counted once
    words = [w for w in set(test.tolist()) if slow.after[()][w]][:5]
    found = np.exp(model.next_log_probs([[w] for w in words]))
    for row, context in zip(found, words, strict=True):
        seen = list(slow.after[context,])[:10]
        expected = [slow.p(w, (context,)) for w in seen]
        np.testing.assert_allclose(row[seen], expected, rtol=1e-9)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-10)


def test_katz_says_when_the_ratios_are_unusable():
    model = make_model("katz", order=1).fit([1, 2, 3, 1], vocab_size=5)
    # n1 = 2, n2 = 1, n3.. = 0: D = 2/(2 + 2) = 1/2.  p(1) = 1.5/4, p(2) = p(3) = 0.5/4; 1.5/4 is left for 0 and 4.
    np.testing.assert_allclose(np.exp(model.next_log_probs([])), np.array([0.75, 1.5, 0.5, 0.5, 0.75]) / 4)
    assert "order 1" in model.notes[0]


def test_a_bigram_of_witten_and_bell_by_hand():
    # Train 1 2 1 2 1 after the virtual 0, V = 3. Unigrams: n = 5, t = 2: p(1) = (3 + 2/3)/7, p(2) = (2 + 2/3)/7.
    # After 1: n = 2, t = 1: p(2|1) = (2 + p(2))/3. After 0: n = 1, t = 1: p(1|0) = (1 + p(1))/2.
    model = make_model("witten-bell", order=2).fit(Tokens.of([1, 2, 1, 2, 1], 0), vocab_size=3)
    p1, p2 = (3 + 2 / 3) / 7, (2 + 2 / 3) / 7
    found = model.log_probs(Tokens.of([1, 2], 0))
    np.testing.assert_allclose(np.exp(found), [(1 + p1) / 2, (2 + p2) / 3], rtol=1e-14)
    # The same text after nothing: neither its first token nor one after the unknown 0 has a context.
    model = make_model("witten-bell", order=2).fit([1, 2, 1, 2, 1], vocab_size=3)
    found = model.log_probs([1, 2, 0, 1])
    np.testing.assert_allclose(np.exp(found), [p1, (2 + p2) / 3, 2 / 3 / 7 / 3, p1], rtol=1e-14)


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("witten-bell", lambda: WittenBellInterpolated(3)),
        ("absolute-discounting", lambda: AbsoluteDiscountingInterpolated(3, discount=0.75)),
    ],
)
def test_each_step_of_interpolation_is_nltks(name, make):
    """NLTK ends its recursion in relative frequencies, this project in the uniform: the steps above are the same."""
    text = zipf_text(300, 12).tolist()
    options = {"discounts": 0.75} if name == "absolute-discounting" else {}
    model = make_model(name, order=3, **options).fit(text, vocab_size=12)
    other = make()
    # The virtual 0 before the text begins bigrams and trigrams but is no unigram; NLTK counts what it is given.
    grams = [g for g in everygrams([0, *text], max_len=3) if g != (0,)] + [(0,)] * text.count(0)
    other.fit([[tuple(map(str, g)) for g in grams]], vocabulary_text=[str(w) for w in range(12)])
    for t in range(2, 60):
        context = text[t - 2 : t]
        row, lower = (
            np.exp(model.next_log_probs(text[:t])),
            np.exp(model.next_log_probs(text[1:t]) if False else 0),
        )
        del lower
        shorter = row_after(model, context[1:])
        for word in range(12):
            alpha, gamma = other.estimator.alpha_gamma(str(word), tuple(map(str, context)))
            assert row[word] == pytest.approx(alpha + gamma * shorter[word], rel=1e-12)


def row_after(model, context):
    """The distribution after a context of one word, by the table itself."""
    table = model.table
    p = table.probs[1] * table.backoffs[1][context[0]]
    begin, end = (int(x[0]) for x in table.children(1, np.array(context)))
    p[table.words[2][begin:end]] = table.probs[2][begin:end]
    return p


def test_jelinek_mercer_weights_are_the_likeliest():
    train, valid = Tokens.of(zipf_text(3000, 30)), Tokens.of(zipf_text(400, 30, seed=5))
    counts = count_ngrams(train, 2, 30)
    slow = Slow([train.ids.tolist()], 2, 30, 0)

    def loss(logits):
        weights = 1 / (1 + np.exp(-logits))
        total = 0.0
        for t, word in enumerate(valid.ids.tolist()):
            context = ((0, *valid.ids.tolist())[t],)
            p = weights[0] * slow.after[()][word] / slow.total(()) + (1 - weights[0]) / 30
            if n := slow.total(context):
                p = weights[1] * slow.after[context][word] / n + (1 - weights[1]) * p
            total -= np.log(p)
        return total - np.log(weights).sum() - np.log(1 - weights).sum()  # one token each way

    expected = 1 / (1 + np.exp(-minimize(loss, np.zeros(2), tol=1e-6).x))
    found = learn_weights(counts, valid, buckets=1)[:, 0]
    np.testing.assert_allclose(found, expected, atol=0.01)


def test_jelinek_mercer_interpolates_by_its_weights():
    train, valid = zipf_text(500, 10), zipf_text(200, 10, seed=5)
    model = make_model("jelinek-mercer", order=2, buckets=4).fit(train, valid, vocab_size=10)
    weights = learn_weights(count_ngrams(Tokens.of(train), 2, 10), Tokens.of(valid), 4)
    slow = Slow([train.tolist()], 2, 10, NOTHING)
    for context in range(10):
        n = slow.total((context,))
        high = weights[1, min(int(np.log2(n)), 3)] if n else 0.0
        for word in range(10):
            low = weights[0, 3] * slow.after[()][word] / 500 + (1 - weights[0, 3]) / 10
            own = slow.after[context,][word] / n if n else 0.0
            found = np.exp(model.next_log_probs([[context]])[0, word])
            assert found == pytest.approx(high * own + (1 - high) * low, rel=1e-12)


@pytest.mark.parametrize(("order", "perplexity"), [(3, 165.2), (5, 162.3)])
def test_katz_on_the_penn_treebank_is_as_published(order, perplexity, data_folder):
    """Mikolov 2012, Statistical Language Models Based on Neural Networks: Good–Turing of SRILM."""
    if not (data_folder / "ptb").is_dir():
        pytest.skip("needs ptb/ptb.*.txt")
    unit = unit_named("word")
    texts = [
        canonical_text([(data_folder / "ptb" / f"ptb.{split}.txt").read_text()], "whitespace", "line")
        for split in ("train", "test")
    ]
    vocab = build_vocab(texts[0], unit)
    train, test = (encode(t, unit, vocab).tokens for t in texts)
    model = make_model("katz", order=order).fit(train, vocab_size=len(vocab))
    assert np.exp(-model.log_probs(test).mean()) == pytest.approx(perplexity, abs=0.3)


@pytest.mark.parametrize(
    "name", ["witten-bell", "absolute-discounting", "jelinek-mercer", "katz", "stupid-backoff"]
)
def test_laws(name):
    broken = check_model(make_model(name))
    one_word = make_model(name).fit([0], [0], vocab_size=1)
    broken |= broken_laws(one_word, Tokens.of([0, 0]))
    beyond = make_model(name, order=9).fit([1, 2], [1], vocab_size=4)
    broken |= broken_laws(beyond, Tokens.of([1, 2, 3, 0, 1, 2]))
    assert set(broken) == ({"sums to one"} if name == "stupid-backoff" else set())


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("witten-bell", {"order": 0}),
        ("absolute-discounting", {"discounts": "0.5,2"}),
        ("absolute-discounting", {"discounts": "0"}),
        ("jelinek-mercer", {"buckets": 0}),
        ("katz", {"cutoff": 0}),
        ("katz", {"min_counts": "1,3,2"}),
        ("katz", {"min_counts": "2"}),
        ("stupid-backoff", {"alpha": 1.5}),
    ],
)
def test_impossible_options_are_refused(name, options):
    with pytest.raises(InputError, match=next(iter(options))):
        make_model(name, **options)


def test_a_context_of_many_tokens_is_looked_up_once_a_length(monkeypatch):
    """Not once for each length and each place in it, which took half a minute of a sample at order 127."""
    ids = np.random.default_rng(0).integers(0, 3, 200)
    model = make_model("kneser-ney", order=60).fit(ids, vocab_size=3)
    asked, opened = [], []
    find, children = type(model.table).find, type(model.table).children
    monkeypatch.setattr(type(model.table), "find", lambda *args: asked.append(args[1]) or find(*args))
    (row,) = model.next_log_probs([ids[:100]])
    assert asked == list(range(1, 60))
    assert row[ids[100]] == pytest.approx(model.log_probs(ids)[100])
    monkeypatch.setattr(
        type(model.table), "children", lambda *args: opened.append(args[1]) or children(*args)
    )
    np.testing.assert_allclose(model.next_log_probs(ids[:100]), row, rtol=1e-12)
    # Token by token: at most once for each of the last 59 and each length up to it.
    assert len(opened) <= 59 * 60 / 2
    stepper = model.stepper()
    stepper.begin()
    stepper.read(ids[:100])
    opened.clear()
    stepper.read(ids[100:101])
    assert len(opened) <= 59
