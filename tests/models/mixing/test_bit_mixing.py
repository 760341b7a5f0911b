"""Context mixing in bits against a slow one that keeps everything in dictionaries."""

import math
from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmbench.errors import InputError
from lmbench.models import make_model
from lmbench.models.laws import broken_laws
from lmbench.models.mixing.bit_contexts import (
    CONTEXTS,
    ORDERS,
    SELECTORS,
    begin_document,
    empty_place,
    go_on,
    look,
)
from lmbench.models.mixing.bit_memory import OWN, SETS, correction_sizes, empty_memory
from lmbench.models.mixing.bit_mixing import _with_room
from lmbench.models.mixing.bit_slots import history_after, history_of_run
from lmbench.models.mixing.decisions import OTHER, decisions_of, kinds_of
from lmbench.text.canonical import CanonicalText
from lmbench.text.tokens import Tokens, encode
from lmbench.text.units import unit_named
from lmbench.text.vocab import build_vocab

LINES = [
    "The cat (a cat) sat on the mat, 12 times.",
    "  The dog: it sat on the mat; and then the cat sat.",
    'It said "sat" and "mat" on the mat, on the mat.',
    "",
    "  The dog: it sat on the cat; and then the mat sat.",
]
TEXT = "\n".join(LINES * 2) + "\n"


def fitted(train=TEXT, **options):
    unit = unit_named("char")
    canonical = CanonicalText.of([train])
    vocab = build_vocab(canonical, unit)
    model = make_model("bit-mixing", **options)
    model.vocabulary(vocab)
    tokens = encode(canonical, unit, vocab).tokens
    return model.fit(tokens, tokens.head(40), len(vocab), np.random.default_rng(0)), tokens, vocab


# The tree ------------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 50), min_size=1, max_size=30), st.randoms(use_true_random=False))
@settings(max_examples=30, deadline=None)
def test_ways_through_the_tree_are_a_complete_prefix_code(counts, random):
    kinds = np.array([random.randrange(4) for _ in counts])
    tree = decisions_of(np.array(counts), kinds, "")
    assert sum(0.5 ** int(n) for n in tree.length) == 1
    ways = set()
    for symbol in range(len(counts)):
        for depth in range(tree.length[symbol]):
            decision = tree.path[symbol, depth]
            assert tree.depth[decision] == depth
            if depth:
                assert tree.above[decision] == tree.path[symbol, depth - 1] < decision
                assert tree.turn[decision] == tree.bit[symbol, depth - 1]
        ways.add(tuple(tree.bit[symbol, : tree.length[symbol]]))
    assert len(ways) == len(counts)


def test_symbols_of_a_kind_hang_together():
    symbols = " \naebcAB01(.,x"
    kinds = kinds_of(list(symbols), len(symbols), 0, 1)
    tree = decisions_of(np.ones(len(symbols)), kinds, list(symbols))
    for group in ("\n ", "ae", "bcx", "AB", "01"):
        members = [symbols.index(c) for c in group]
        # All that lie under the last decision that the members share are the members.
        shared = max(
            set.intersection(*({int(d) for d in tree.path[i] if d >= 0} for i in members)),
            key=lambda d: tree.depth[d],
        )
        under = [symbols[i] for i in range(len(symbols)) if shared in tree.path[i]]
        assert set(under) == set(group)


def test_without_spellings_the_separator_and_the_ends_of_lines_are_told_apart():
    assert kinds_of((), 4, 2, 1).tolist() == [OTHER, 1, 0, OTHER]


# Histories of bits ---------------------------------------------------------------------------------


def test_a_history_forgets_what_is_contradicted():
    run = 0
    for _ in range(20):
        run = history_after(run, 1)
    assert run == history_of_run(20, 1) == (20 << 4) | 15
    # One 0: of twenty ones six are left, and the last four bits are 1110.
    assert history_after(run, 0) == (1 << 10) | (6 << 4) | 0b1110
    # Of seven ones 2 + (7 - 2) // 2 = 4.
    assert history_after(history_of_run(7, 1), 0) == (1 << 10) | (4 << 4) | 0b1110
    assert history_after(history_of_run(2, 0), 1) == (2 << 10) | (1 << 4) | 1


# Contexts ------------------------------------------------------------------------------------------


def contexts_of(ids, alphabet):
    """(T, CONTEXTS) hashes and (T, SELECTORS) numbers at each token of a document."""
    place = _with_room(empty_place(len(alphabet.kinds)), len(ids))
    begin_document(place)
    keys, chosen = np.zeros(CONTEXTS, dtype=np.uint64), np.zeros(SELECTORS, dtype=np.int64)
    result = []
    for symbol in ids:
        look(place, alphabet, keys, chosen)
        result.append((keys.copy(), chosen.copy()))
        go_on(place, alphabet, symbol, chosen[-1], True)
    return [np.array(column) for column in zip(*result, strict=True)]


def slow_contexts(text, t):
    """Some of the contexts, as tuples, by their places."""
    past, line = text[:t], text[:t].split("\n")
    folded = past.lower()
    size = len(folded) - len(folded.rstrip("abcdefghijklmnopqrstuvwxyz0123456789"))
    word = folded[len(folded) - size :]
    above = line[-2] if len(line) > 1 else ""
    column = len(line[-1])
    opened = above[column : column + 1]
    one = past[-1:]
    found = {k: past[-n:] if n else "" for k, n in enumerate([0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 16, 20, 24])}
    found[ORDERS] = (word, one.lower())
    found[ORDERS + 10] = past[-3:-1]
    found[ORDERS + 19] = (column, one)
    found[ORDERS + 20] = (opened, one)
    found[ORDERS + 21] = (opened, one, column)
    found[ORDERS + 22] = (opened, above[column + 1 : column + 2], word)
    found[ORDERS + 24] = (line[-1][:1], one)
    found[ORDERS + 29] = line[-1]
    return found


def test_contexts_are_the_same_where_what_stands_before_is():
    model, tokens, _ = fitted()
    keys, _ = contexts_of(tokens.ids, model.alphabet)
    slow = [slow_contexts(TEXT, t) for t in range(len(TEXT))]
    assert len({tuple(row) for row in keys.T}) == CONTEXTS
    for k in slow[0]:
        numbers = {}
        groups = defaultdict(set)
        for t, contexts in enumerate(slow):
            groups[contexts[k]].add(int(keys[t, k]))
            numbers[int(keys[t, k])] = contexts[k]
        assert all(len(group) == 1 for group in groups.values()), k
        assert len(numbers) == len(groups), k


# The whole -----------------------------------------------------------------------------------------

REPRESENTATIVES = [0, 1, 2, 3, 4, 6, 11, 24]
SIZES = (5, 9, 16)


def eighth(n):
    return next((i for i, end in enumerate((1, 2, 3, 4, 5, 8, 16)) if n < end), 7)


def odds(p):
    return math.log((int(p * 4095.99) + 0.5) / (4095.5 - int(p * 4095.99)))


def squash(x):
    return 1 / (1 + math.exp(-x))


def crowded(number, size):
    """A context's place in a table that is too small for all."""
    number %= 1 << 64
    return ((number ^ number >> 29) >> 8) % size


class Slow:
    """The model, with dictionaries for tables, and every number found anew."""

    def __init__(self, tree, keys, chosen, ids, size, given):
        self.tree, self.keys, self.chosen, self.ids, self.size = tree, keys, chosen, ids, size
        self.given = given
        first = np.append(np.full(OWN, 0.02), np.full(given.shape[2], 0.3))
        self.nodes, self.roots, self.heads = {}, {}, {}
        self.maps = {}
        self.weights = defaultdict(first.copy)
        self.second = defaultdict(lambda: np.full(SETS, 1 / SETS))
        self.matches = [[0, 0, 0] for _ in SIZES]  # end, length, steps since one broke

    def map(self, name, first):
        return self.maps.setdefault(name, [first, 0])

    def towards(self, name, hit):
        pair = self.maps[name]
        pair[1] += 1
        pair[0] += (hit - pair[0]) / min(pair[1] + 1.5, 255)

    def symbol(self, t):
        """ln p of token t."""
        total, lessons = 0.0, []
        for depth in range(self.tree.length[self.ids[t]]):
            decision, bit = int(self.tree.path[self.ids[t], depth]), int(self.tree.bit[self.ids[t], depth])
            p, lesson = self.decide(t, decision, depth, bit)
            total += math.log(p if bit else 1 - p)
            lessons.append(lesson)
        for lesson in lessons:
            lesson()
        self.keep(t)
        return total

    def turns(self, symbol, depth, decision):
        """How a symbol would decide; None where it is on another way."""
        return int(self.tree.bit[symbol, depth]) if self.tree.path[symbol, depth] == decision else None

    def decide(self, t, decision, depth, bit):
        inputs, asked, order = [], [], 0
        for k, key in enumerate(self.keys[t].tolist()):
            parts = [0.0] * 4
            if key in self.roots:
                symbol, run, when, several = self.roots[key]
                order = k + 1 if k < ORDERS else order
                if (key, decision) in self.nodes:
                    p, _, zeros, ones, last = self.nodes[key, decision]
                    kind = (eighth(zeros), eighth(ones), last)
                    n0, n1 = REPRESENTATIVES[kind[0]], REPRESENTATIVES[kind[1]]
                    h = self.map(("history", k, kind), (n1 + 0.4) / (n0 + n1 + 0.8))[0]
                    parts[:3] = odds(h), odds(p), (h - 0.5) * 4
                    asked.append((("history", k, kind), bit))
                turn = self.turns(symbol, depth, decision)
                if turn is not None:
                    length = next((i for i, end in enumerate((2, 3, 4, 6, 10, 20, 60)) if run < end), 7)
                    far = next((i for i in range(7) if t - when < 16 * 5**i), 7)
                    name = ("run", k, length, far, several)
                    parts[3] = odds(self.map(name, 0.9)[0]) * (1 if turn else -1)
                    asked.append((name, turn == bit))
            inputs += parts
        longest, says, size = None, 0, 0
        for q, (end, n, broken) in enumerate(self.matches):
            parts = [0.0, 0.0]
            if n:
                turn = self.turns(self.ids[end], depth, decision)
                longest, size, says = q, n, 0 if turn is None else 1 + turn
                if turn is not None:
                    step = n if n < 16 else 16 + (n - 16) // 8 if n < 80 else 24 + min((n - 80) // 32, 7)
                    name = ("match", q, step, broken > 0)
                    p = self.map(name, 0.9)[0]
                    parts = [odds(p) * (1 if turn else -1), (p - 0.5) * 4 * (1 if turn else -1)]
                    asked.append((name, turn == bit))
            inputs += parts
        inputs = np.array([*inputs, 0.4, *self.given[t, decision].tolist()])
        length = 0
        if longest is not None:
            length = (
                size - 4
                if size < 16
                else next((i for i, e in enumerate((24, 32, 64, 200), 12) if size < e), 15)
            )
        chosen, match = self.chosen[t].tolist(), (length, says)
        by = [
            match,
            decision,
            chosen[0],
            chosen[2],
            (order, min(depth, 15)),
            *[chosen[i] for i in (3, 5, 4, 6, 1)],
        ]
        rows = [self.weights[s, name] for s, name in enumerate(by)]
        sums = np.array([np.clip(w @ inputs, -12, 12) for w in rows])
        mixers = [self.second["decision", decision], self.second["match", match]]
        both = [float(np.clip(w @ sums, -12, 12)) for w in mixers]
        place = (sum(both) / 2 + 12) * 32 / 24
        bucket = min(int(place), 31)
        part = place - bucket
        spread = decision * 0xD6E8FEB86659FD93 + (chosen[0] + 1) * 0x9E3779B97F4A7C15
        further = spread + (chosen[1] + 1) * 0xBF58476D1CE4E5B9
        sizes = correction_sizes(self.size).tolist()
        tables = [decision, crowded(spread, sizes[1]), crowded(further, sizes[2]), (match, min(depth, 15))]
        corrected = 0.0
        for a, name in enumerate(tables):
            near = [self.map(("table", a, name, i), squash(i * 0.75 - 12))[0] for i in (bucket, bucket + 1)]
            corrected += near[0] * (1 - part) + near[1] * part
            asked.append((("table", a, name, bucket + (part >= 0.5)), bit))
        p = squash(sum(both) / 2) / 2 + corrected / 8

        def learn():
            rate = 0.0005 + 0.0035 / (1 + t / 20_000)
            for w, x in zip(rows, sums, strict=True):
                w += (bit - squash(x)) * rate * inputs
            for w, x in zip(mixers, both, strict=True):
                w += (bit - squash(x)) * 0.001 * sums
            for name, hit in asked:
                self.towards(name, hit)

        return min(max(p, 2e-6), 1 - 2e-6), learn

    def keep(self, t):
        symbol = int(self.ids[t])
        for key in self.keys[t].tolist():
            for depth in range(self.tree.length[symbol]):
                name, bit = (key, int(self.tree.path[symbol, depth])), int(self.tree.bit[symbol, depth])
                p, n, zeros, ones, last = self.nodes.get(name, (0.5, 0, 0, 0, 0))
                counts = [zeros, ones]
                counts[bit] = min(counts[bit] + 1, 63)
                other = counts[1 - bit]
                counts[1 - bit] = other if other < 3 else (2 + (other - 2) // 2 if other < 12 else 6)
                p += (bit - p) / min(n + 1.5, 60)
                self.nodes[name] = (p, min(n + 1, 63), *counts, (last * 2 + bit) % 16)
            last, run, _, several = self.roots.get(key, (symbol, 0, 0, False))
            several = several or last != symbol
            self.roots[key] = (symbol, run + 1 if last == symbol else 1, t, several)
        for q, least in enumerate(SIZES):
            end, n, broken = self.matches[q]
            if n and self.ids[end] == symbol:
                end, n = end + 1, n + 1
            else:
                broken, n = 8 if n else broken, 0
            if t + 1 >= least:
                name = (q, tuple(self.ids[t + 1 - least : t + 1]))
                if not n and name in self.heads:
                    end = self.heads[name]
                    n = next(
                        i for i in range(65) if i in (64, end) or self.ids[end - 1 - i] != self.ids[t - i]
                    )
                self.heads[name] = t + 1
            self.matches[q] = [end, n, max(broken - 1, 0)]


@pytest.mark.parametrize("others", [0, 2])
def test_a_text_scores_as_with_dictionaries(others):
    text = TEXT[:330]
    model, tokens, vocab = fitted(text)
    keys, chosen = contexts_of(tokens.ids, model.alphabet)
    shape = (len(tokens), len(vocab) - 1, others)
    given = np.random.default_rng(0).normal(0, 2, shape).astype(np.float32)
    slow = Slow(model.tree, keys, chosen, tokens.ids, len(vocab), given)
    expected = [slow.symbol(t) for t in range(len(tokens))]
    # A table with room for all, where nothing is given up.
    place, memory = _with_room(empty_place(len(vocab)), len(tokens)), empty_memory(len(vocab), 5000, others)
    memory.weights[:, OWN : OWN + others] = 0.3
    scores = model._read(tokens, given, place, memory, learns=True, scored=True)[0]
    # In single precision a number may fall into the next step of a table.
    apart = np.abs(scores - expected)
    assert apart.max() < 0.01
    assert (apart < 1e-4).mean() > 0.98


@pytest.mark.parametrize("adaptive", [False, True])
def test_keeps_the_laws_on_a_text_of_lines(adaptive):
    model, tokens, _ = fitted(adaptive=adaptive)
    ids = np.concatenate([tokens.ids[:90], tokens.ids[200:260]])
    assert broken_laws(model, Tokens(ids, np.array([0, 40, 90]), tokens.bos)) == {}


def test_learns_from_what_it_scores_and_stays_as_it_was():
    model, tokens, _ = fitted(TEXT[:100], adaptive=True)
    before = model.log_probs(tokens)
    assert np.array_equal(model.log_probs(tokens), before)
    further = model.read_on(tokens)
    assert further.log_probs(tokens).sum() > before.sum()
    assert np.array_equal(model.log_probs(tokens), before)


def test_saved_and_read_back_it_is_the_same():
    model, tokens, _ = fitted(adaptive=True)
    other = make_model("bit-mixing", adaptive=True).restore(model.state(), model.vocab_size)
    assert np.array_equal(other.log_probs(tokens), model.log_probs(tokens))


@pytest.mark.parametrize("value", ["largest", "smallest"])
def test_damage_of_any_number_is_found_or_leaves_a_distribution(value):
    model, tokens, _ = fitted(TEXT[:100])
    state = model.state()
    rng = np.random.default_rng(0)
    for name, array in state.items():
        limits = np.iinfo(array.dtype) if array.dtype.kind in "iu" else np.finfo(array.dtype)
        damaged = array.copy()
        place = rng.integers(array.size)
        damaged.reshape(-1)[place] = limits.max if value == "largest" else limits.min
        try:
            other = make_model("bit-mixing", adaptive=True).restore(state | {name: damaged}, model.vocab_size)
        except InputError:
            continue
        sums = np.exp(other.distributions(tokens.head(60), [0, 30, 59])).sum(axis=1)
        np.testing.assert_allclose(sums, 1.0, atol=1e-9, err_msg=name)


@pytest.mark.parametrize(
    "name", ["roots.places", "roots.entries", "tree.path", "place.text", "memory.weights"]
)
def test_damage_is_found_before_compiled_code_meets_it(name):
    model, _, _ = fitted(TEXT[:100])
    state = dict(model.state())
    array = state[name].copy()
    array.reshape(-1)[0] = np.iinfo(array.dtype).max if array.dtype.kind in "iu" else np.nan
    state[name] = array
    with pytest.raises(InputError):
        make_model("bit-mixing").restore(state, model.vocab_size)
