"""Contexts of any length, against dictionaries of all substrings."""

import time
from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmbench.errors import InputError
from lmbench.models import make_model
from lmbench.models.laws import broken_laws
from lmbench.models.smoothing.context_tree import SETTINGS
from lmbench.models.smoothing.infini_gram import bits_of
from lmbench.text.canonical import CanonicalText, canonical_text
from lmbench.text.tokens import Tokens, encode
from lmbench.text.units import unit_named
from lmbench.text.vocab import build_vocab

V = 3
documents_of = st.lists(st.lists(st.integers(0, V - 1), min_size=1, max_size=14), min_size=1, max_size=4)


def tokens_of(documents, bos=1):
    starts = np.cumsum([0, *map(len, documents[:-1])])
    return Tokens(np.concatenate(documents).astype(np.int32), starts, bos)


class Slow:
    """Every substring is a context of its own; what the model says, written down."""

    def __init__(self, bos, chosen):
        self.bos, self.chosen = bos, chosen
        self.counts = defaultdict(dict)
        self.texts = []
        if bos >= 0:
            self.counts[()][bos] = 1
            self.texts.append((bos,))

    def beginning(self):
        return (self.bos,) if self.bos >= 0 else ()

    def learn(self, past, symbol):
        """A token counts after every context that it is new to, and after the longest that it is not new to."""
        for k in range(len(past) + 1):
            followers = self.counts[past[k:]]
            followers[symbol] = followers.get(symbol, 0) + 1
            if followers[symbol] > 1:
                break

    def before(self, context):
        """What has stood before a context wherever it occurred; None for a beginning."""
        size = len(context)
        return {
            text[i - 1] if i else None
            for text in self.texts
            for i in range(len(text) - size + 1)
            if text[i : i + size] == context
        }

    def branching(self, context):
        before = self.before(context)
        return not context or len(before) > 1 or None in before

    def chain(self, past):
        """(context whose counts are used, its length as matched, whether it was cut short), the longest first."""
        matched = next(past[k:] for k in range(len(past) + 1) if self.before(past[k:]) or k == len(past))
        longest = matched
        while not self.branching(longest):
            longest = (*self.before(longest), *longest)
        contexts = [(longest, len(matched), len(longest) > len(matched))]
        shorter = (matched[k:] for k in range(1, len(matched) + 1))
        contexts += [(context, len(context), False) for context in shorter if self.branching(context)]
        return contexts

    def distribution(self, past):
        p = np.full(V, 1 / V)
        chain = self.chain(past)
        lower = [size for _, size, _ in chain[1:]] + [0]
        for (context, size, cut), below in reversed(list(zip(chain, lower, strict=True))):
            counts = self.counts.get(context, {})
            if not counts:
                continue
            total, kinds = sum(counts.values()), len(counts)
            d = self.discount(size, total, kinds, max(size - below - 1, 0), cut)
            # 1, 2 and 3 or more sightings give away so many discounts.
            away = [0, 1, 2 / (1 + np.exp(-self.chosen[-2])), 3 / (1 + np.exp(-self.chosen[-1]))]
            kept = np.array([counts.get(x, 0) - d * away[min(counts.get(x, 0), 3)] for x in range(V)])
            p = (kept + d * sum(away[min(n, 3)] for n in counts.values()) * p) / total
        return p

    def discount(self, size, total, kinds, step, cut):
        def place(value, bounds):
            return sum(value >= bound for bound in bounds) - 1

        lengths, ratios = [0, 1, 2, 3, 4, 5, 6, 7, 9, 12, 16, 24, 40], [0, 1.01, 1.5, 2, 3, 5, 10, 30]
        kind = [None, None, 4, 5, 5, 6, 6, 6, 6][kinds] if kinds <= 8 else 7
        if kinds == 1:
            kind = {1: 0, 2: 1, 3: 2, 4: 2}.get(total, 3)
        places = [place(size, lengths), 13 + kind, 21 + place(step, lengths), 34 + cut]
        places.append(36 + place(total / kinds, ratios))
        return 1 / (1 + np.exp(-sum(self.chosen[i] for i in places)))

    def read(self, documents, learns, scored=True):
        rows = []
        for document in documents:
            past = self.beginning()
            if learns:
                self.texts.append(past)
            for symbol in document:
                if scored:
                    rows.append(self.distribution(past))
                if learns:
                    self.learn(past, symbol)
                past = (*past, symbol)
                if learns:
                    self.texts[-1] = past
        return np.array(rows)


def fitted(train, valid, chosen=None, bos=1, **options):
    model = make_model("infini-gram", **options).fit(tokens_of(train, bos), tokens_of(valid, bos), V)
    if chosen is not None:
        model.settings = chosen
    return model


@settings(max_examples=25, deadline=None)
@given(documents_of, documents_of, st.booleans(), st.sampled_from([1, -1]), st.integers(0, 9))
def test_is_what_dictionaries_of_all_substrings_say(train, test, adaptive, bos, seed):
    chosen = np.random.default_rng(seed).normal(0, 1, SETTINGS)
    model = fitted(train, train, chosen, bos, adaptive=adaptive)
    slow = Slow(bos, chosen)
    slow.read(train, learns=True, scored=False)
    expected = slow.read(test, adaptive)
    tokens = tokens_of(test, bos)
    np.testing.assert_allclose(np.exp(model.distributions(tokens)), expected, atol=1e-12)
    # Token by token, as a decoder asks, and from another text in between.
    for t in range(len(tokens)):
        np.testing.assert_allclose(np.exp(model._after(tokens.before(t))), expected[t], atol=1e-12)
        if t == 3:
            model._after(tokens_of([[2, 2, 1]], bos))
    picked = expected[np.arange(len(tokens)), tokens.ids]
    np.testing.assert_allclose(np.exp(model.log_probs(tokens)), picked, atol=1e-12)


def test_the_arithmetic_of_two_contexts():
    """After 0 1, all discounts one half. The empty context has seen 0 and 1 once each, what follows 0 is 1, once."""
    model = fitted([[0, 1]], [[0]], np.zeros(SETTINGS), bos=-1)
    empty = [(1 - 0.5) / 2 + 2 * 0.5 / 2 / 3, (1 - 0.5) / 2 + 2 * 0.5 / 2 / 3, 2 * 0.5 / 2 / 3]
    after = [0.5 * empty[0], (1 - 0.5) / 1 + 0.5 * empty[1], 0.5 * empty[2]]
    np.testing.assert_allclose(np.exp(model.next_log_probs([[], [0], [2]])), [empty, after, empty])


def test_derivatives_are_differences():
    rng = np.random.default_rng(3)
    model = fitted([rng.integers(0, V, 200).tolist()], [[0, 1]])
    evidence = model._evidence(tokens_of([rng.integers(0, V, 80).tolist()]))
    chosen, slope = rng.normal(0, 0.5, SETTINGS), np.zeros(SETTINGS)
    bits_of(evidence, chosen, V, slope)
    for i in range(SETTINGS):
        step = 1e-5 * (np.arange(SETTINGS) == i)
        above, below = (bits_of(evidence, chosen + s, V, np.zeros(SETTINGS)) for s in (step, -step))
        assert slope[i] == pytest.approx((above - below) / 2e-5, abs=1e-5)


def sayings(seed, length):
    """Long sayings, each as a whole or not at all, between single letters."""
    rng = np.random.default_rng(7)
    said = [rng.integers(0, 6, 30).tolist() for _ in range(12)]
    chance = np.random.default_rng(seed)
    made = []
    while len(made) < length:
        made += said[chance.integers(12)] + chance.integers(0, 6, chance.integers(1, 8)).tolist()
    return Tokens.of(made)


def bits(model, test):
    return -model.log_probs(test).sum() / np.log(2) / len(test)


def test_long_contexts_are_believed_as_much_as_held_out_text_says():
    train, valid, test = sayings(1, 6000), sayings(2, 2000), sayings(3, 3000)
    cost = {
        name: bits(make_model(name, **options).fit(train, valid, 6), test)
        for name, options in {
            "infini-gram": {},
            "kneser-ney": {"order": 8, "discounts": "tune"},
            "witten-bell": {"order": 8},
        }.items()
    }
    assert cost["infini-gram"] < min(cost["kneser-ney"], cost["witten-bell"]) - 0.01


def test_learns_what_it_reads_only_where_it_is_adaptive():
    rng = np.random.default_rng(0)
    train, valid, once = (rng.integers(0, V, n).tolist() for n in (400, 200, 300))
    twice = tokens_of([once, once])
    for adaptive in (False, True):
        model = fitted([train], [valid, valid] if adaptive else [valid], adaptive=adaptive)
        first, second = np.split(model.log_probs(twice), 2)
        np.testing.assert_array_equal(
            model.log_probs(twice), np.append(first, second)
        )  # and forgets it again
        assert (second.mean() > first.mean() + 0.2) == adaptive


def test_reads_the_held_out_text_as_more_documents_where_it_is_asked_to():
    rng = np.random.default_rng(0)
    train, valid, test = (rng.integers(0, V, n).tolist() for n in (300, 150, 200))
    alone = fitted([train], [valid])
    asked = fitted([train], [valid], read_valid=True)
    both = fitted([train, valid], [valid], alone.settings)
    tokens = tokens_of([test])
    for model in (asked, alone.read_on(tokens_of([valid]))):
        np.testing.assert_array_equal(model.log_probs(tokens), both.log_probs(tokens))
    assert not np.array_equal(alone.log_probs(tokens), both.log_probs(tokens))


@pytest.mark.parametrize("adaptive", [False, True])
def test_a_text_of_one_letter_is_read_in_reasonable_time_and_keeps_the_laws(adaptive):
    """Its contexts nest as deep as the text is long; a prediction rests on the longest and the empty one."""
    train = Tokens(np.zeros(20_000, dtype=np.int32), np.array([0]), 1)
    model = make_model("infini-gram", adaptive=adaptive).fit(train, train.head(500), 2)
    begun = time.process_time()
    scores = model.log_probs(train.head(5000))
    assert time.process_time() - begun < 20
    assert -scores.sum() / np.log(2) < 10
    assert broken_laws(model, train.head(300), np.random.default_rng(0)) == {}


def test_needs_held_out_text():
    with pytest.raises(InputError, match="held-out"):
        make_model("infini-gram").fit([0, 1, 0], vocab_size=2)


def test_a_damaged_file_is_refused():
    model = fitted([[0, 1, 2, 0]], [[0, 1]])
    good = model._state()
    for name, wrong in {
        "ids": np.array([0, 5], dtype=np.int32),
        "starts": np.array([3, 1]),
        "bos": np.array([9]),
        "settings": np.full(SETTINGS, np.nan),
    }.items():
        with pytest.raises(InputError, match="fit the model anew"):
            model._restore({**good, name: wrong})


def test_beats_ppmd_on_held_out_text_of_the_time_machine(data_folder):
    """PPMd of order 6, which learns as it reads, spends 1.814 bits there after the training text; Kneser–Ney of order 7 more than 1.85."""
    path = data_folder / "timemachine.txt"
    if not path.exists():
        pytest.skip("needs timemachine.txt")
    text = canonical_text([path.read_text(encoding="utf-8-sig")], "letters", "stream").text
    a, b = int(len(text) * 0.8), int(len(text) * 0.9)
    unit = unit_named("char")
    vocab = build_vocab(CanonicalText.of([text[:a]]), unit)
    train, valid = (encode(CanonicalText.of([t]), unit, vocab).tokens for t in (text[:a], text[a:b]))
    for adaptive, expected in ((False, 1.803), (True, 1.770)):
        model = make_model("infini-gram", adaptive=adaptive).fit(train, valid, len(vocab))
        assert bits(model, valid) == pytest.approx(expected, abs=0.003)
