"""Sources against what is known of them by hand, by enumeration and by long samples."""

import itertools
import math
from collections import Counter

import numpy as np
import pytest

from lmbench.corpora.chains import HiddenMarkov, MarkovChain
from lmbench.corpora.grammars import Grammar
from lmbench.corpora.sources import SOURCES, make_source, markov
from lmbench.errors import InputError

LENGTH = 100_000


def rng(seed=0):
    return np.random.default_rng(seed)


def string_probability(source: HiddenMarkov, text: str) -> float:
    """P(text) from the stationary state, one path after another: slow and obvious."""
    states = range(len(source.stationary))
    total = 0.0
    for path in itertools.product(states, repeat=len(text) + 1):
        p = source.stationary[path[0]]
        for a, s, t in zip(text, path, path[1:], strict=False):
            p *= source.moves[source.alphabet.index(a), s, t]
        total += p
    return total


def block_entropy(source: HiddenMarkov, n: int) -> float:
    p = [string_probability(source, "".join(s)) for s in itertools.product(source.alphabet, repeat=n)]
    assert sum(p) == pytest.approx(1)
    return -sum(x * math.log2(x) for x in p if x > 0)


def measured_bits(text: str, order: int) -> float:
    """Bits a character under the text's own counts with ``order`` characters of context."""
    grams = Counter(text[i : i + order + 1] for i in range(len(text) - order))
    contexts = Counter()
    for gram, n in grams.items():
        contexts[gram[:order]] += n
    total = sum(grams.values())
    return -sum(n * math.log2(n / contexts[gram[:order]]) for gram, n in grams.items()) / total


@pytest.mark.parametrize("name", SOURCES)
def test_every_source_writes_the_asked_length_and_repeats_itself_for_a_seed(name):
    source = make_source(name)
    low, high = source.entropy_rate
    assert 0 < low <= high < 5
    assert source.generate(1000, rng(1)) == source.generate(1000, rng(1)) != source.generate(1000, rng(2))
    assert [len(source.generate(n, rng())) for n in (0, 1, 77)] == [0, 1, 77]


@pytest.mark.parametrize("name", ["golden-mean", "even-process"])
def test_the_two_processes_have_two_thirds_of_a_bit(name):
    # State A (share 2/3) chooses with one bit, state B (share 1/3) has no choice: 2/3 · 1 + 1/3 · 0.
    source = make_source(name)
    assert source.stationary == pytest.approx([2 / 3, 1 / 3])
    assert source.entropy_rate == pytest.approx((2 / 3, 2 / 3))


def test_their_texts_obey_their_rules():
    assert "bb" not in make_source("golden-mean").generate(LENGTH, rng(3))
    runs = make_source("even-process").generate(LENGTH, rng(3)).split("a")[1:-1]
    assert all(len(run) % 2 == 0 for run in runs)


def test_golden_mean_has_order_one_and_even_process_has_no_order():
    golden = make_source("golden-mean").conditional_entropies(8)
    assert golden[1:] == pytest.approx([2 / 3] * 7)
    even = np.array(make_source("even-process").conditional_entropies(12))
    assert np.all(even > 2 / 3 + 1e-4)  # the known positive gap of every n-gram
    assert np.all(np.diff(even) <= 1e-12)


@pytest.mark.parametrize("name", ["golden-mean", "even-process", "hidden-markov"])
def test_conditional_entropies_agree_with_enumeration_of_strings_and_paths(name):
    source = make_source(name)
    blocks = [0.0] + [block_entropy(source, n) for n in (1, 2, 3, 4)]
    assert source.conditional_entropies(4) == pytest.approx(np.diff(blocks))


def test_bounds_of_a_hidden_source_are_close_and_in_order():
    low, high = make_source("hidden-markov").entropy_rate
    assert low < high < low + 1e-4
    text = make_source("hidden-markov").generate(LENGTH, rng(4))
    assert measured_bits(text, 3) == pytest.approx(
        make_source("hidden-markov").conditional_entropies(4)[3], abs=0.01
    )


def test_markov_of_order_zero_is_independent_draws():
    source = markov(order=0, symbols=3, table=5)
    p = source.moves[:, 0, 0]
    assert source.entropy_rate[0] == pytest.approx(-sum(p * np.log2(p)))


@pytest.mark.parametrize("order", [1, 2, 3])
def test_a_markov_text_has_the_chains_entropy_at_its_order_and_more_below(order):
    source = markov(order=order, symbols=3, table=6)
    text = source.generate(LENGTH, rng(6))
    rate = source.entropy_rate[0]
    # −log2 p has a deviation below 1.5 bits: 4 standard errors are 4 · 1.5 / √100000 ≈ 0.02.
    assert measured_bits(text, order) == pytest.approx(rate, abs=0.02)
    entropies = np.array(source.conditional_entropies(order + 3))
    assert np.all(np.diff(entropies) < 1e-12)
    assert entropies[order:] == pytest.approx([rate] * 3)


# Grammars ------------------------------------------------------------------------------------------


def test_a_grammar_of_two_words_by_hand():
    # A sentence is "a" (p 1/4) or "bb" (3/4): 0.8113 bits over 1/4 · 2 + 3/4 · 3 = 2.75 characters.
    source = Grammar({"S": [(0.25, ["a"]), (0.75, ["bb"])]})
    assert source.entropy_rate[0] == pytest.approx((0.25 * 2 + 0.75 * math.log2(4 / 3)) / 2.75)
    assert set(source.generate(300, rng()).split("\n")[:-1]) == {"a", "bb"}


def test_a_recursive_grammar_by_hand():
    # n words "a" with p = (1/2)^n: entropy Σ n 2^-n = 2 bits, 2 words of 2 characters on average.
    source = Grammar({"S": [(0.5, ["a"]), (0.5, ["a", "S"])]})
    assert source.entropy_rate[0] == pytest.approx(2 / 4)


def test_the_small_grammar_is_unambiguous_and_its_rate_is_that_of_its_sentences():
    source = make_source("grammar")

    def derivations(symbols, p, depth):
        """Every string of at most ``depth`` expansions with its probability, one entry a derivation."""
        for i, symbol in enumerate(symbols):
            if symbol in source.rules:
                if depth:
                    for q, expansion in source.rules[symbol]:
                        yield from derivations(
                            [*symbols[:i], *expansion, *symbols[i + 1 :]], p * q, depth - 1
                        )
                return
        yield " ".join(symbols), p

    one_word = {
        k: v if len(v[0][1]) > 1 or k in ("NAME", "VERBS") else v[:1] for k, v in source.rules.items()
    }
    object.__setattr__(source, "rules", one_word)  # one word a class keeps the enumeration small
    texts = [text for text, _ in derivations(["S"], 1.0, 22)]
    assert len(texts) == len(set(texts)) > 100


def test_grammar_rate_agrees_with_the_mean_surprise_of_sampled_sentences():
    source = make_source("zipf-mandelbrot", types=50, alpha=1.2, line=3)
    p = {words[0]: p for p, words in source.rules["W"]}
    text = source.generate(LENGTH, rng(7))
    words = text.split()[:-1]
    bits = np.array([-math.log2(p[w]) for w in words])
    error = 4 * bits.std() / math.sqrt(len(bits)) * len(bits) / LENGTH
    assert bits.sum() / LENGTH == pytest.approx(source.entropy_rate[0], abs=2 * error)
    assert all(len(line.split(" ")) == 3 for line in text.split("\n")[:-1])


def test_words_of_the_zipf_source_are_distinct():
    words = [w for _, (w,) in make_source("zipf-mandelbrot", types=11_000).rules["W"]]
    assert len(set(words)) == 11_000


# Chains --------------------------------------------------------------------------------------------


def test_marginals_agree_with_enumeration_of_paths():
    chain = MarkovChain(rng(8).dirichlet(np.ones(3), size=3))
    start = np.array([0.2, 0.5, 0.3])
    rows = chain.marginals(start, 4)
    for k in range(5):
        by_hand = np.zeros(3)
        for path in itertools.product(range(3), repeat=k + 1):
            p = start[path[0]]
            for i, j in itertools.pairwise(path):
                p *= chain.transition[i, j]
            by_hand[path[-1]] += p
        assert rows[k] == pytest.approx(by_hand)
        assert start @ chain.k_step(k) == pytest.approx(by_hand)


def test_stationary_distribution_and_entropy_rate_of_a_chain_by_hand():
    # Balance: π0 · 0.1 = π1 · 0.3, so π = (3/4, 1/4).
    chain = MarkovChain(np.array([[0.9, 0.1], [0.3, 0.7]]))
    assert chain.stationary == pytest.approx([0.75, 0.25])

    def h(p):
        return -p * math.log2(p) - (1 - p) * math.log2(1 - p)

    assert chain.entropy_rate == pytest.approx(0.75 * h(0.1) + 0.25 * h(0.3))
    assert chain.marginals(np.array([0.0, 1.0]), 200)[-1] == pytest.approx(chain.stationary)


def test_periodic_and_transient_states_are_no_trouble_but_two_closed_sets_are():
    assert MarkovChain(np.array([[0.0, 1.0], [1.0, 0.0]])).stationary == pytest.approx([0.5, 0.5])
    assert MarkovChain(np.array([[0.5, 0.5], [0.0, 1.0]])).stationary == pytest.approx([0, 1])
    with pytest.raises(InputError, match="2 sets of states"):
        _ = MarkovChain(np.eye(2)).stationary


def test_a_chain_is_fitted_from_counts_within_documents():
    ids = np.array([0, 1, 1, 0, 2, 1])
    chain = MarkovChain.from_ids(ids, 3, starts=np.array([0, 3]))  # pairs 01 11 | 02 21
    assert chain.transition == pytest.approx(np.array([[0, 0.5, 0.5], [0, 1, 0], [0, 1, 0]]))
    smooth = MarkovChain.from_ids(ids, 3, starts=np.array([0, 3]), eps=1)
    assert smooth.transition[1] == pytest.approx([1 / 6, 4 / 6, 1 / 6])  # (n + 1/3) / (1 + 1)
    assert MarkovChain.from_counts(np.zeros((2, 2))).transition == pytest.approx(np.full((2, 2), 0.5))


# Errors --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("golden", {}, "golden-mean"),
        ("markov", {"ordre": 2}, "order"),
        ("markov", {"order": 2.5}, "Expected `int`, got `float`"),
        ("markov", {"order": 9, "symbols": 9}, "1024"),
        ("golden-mean", {"p": "half"}, "p='half' of source golden-mean: Expected `float`"),
        ("even-process", {"p": 2}, "p=2 of source even-process: Expected `float` <= 1"),
    ],
)
def test_wrong_sources_are_refused_with_the_remedy(name, options, said):
    with pytest.raises(InputError, match=said):
        make_source(name, **options)
