"""The speller: a distribution over exactly the tokens that a vocabulary lacks."""

import base64
import itertools
import math
import sys
from collections import Counter

import numpy as np
import pytest
from paths import GOLDEN

from lmbench.errors import InputError
from lmbench.models import make_model
from lmbench.scoring.range_coder import Decoder, Encoder
from lmbench.scoring.scorer import Scorer
from lmbench.scoring.speller import BOUNDARY, NEW, ORDER, Speller, WordSpeller
from lmbench.scoring.verification import verify
from lmbench.text.canonical import canonical_text
from lmbench.text.tokens import Tokens, encode
from lmbench.text.units import unit_named
from lmbench.text.vocab import Vocab, build_vocab

SCALARS = [chr(c) for c in range(sys.maxunicode + 1) if not 0xD800 <= c < 0xE000]
TYPES = ["a", "b", "ab", "aba", "bb", "abba", "bab", ""]


def symbol_prob_by_recursion(types, word, end):
    """p(symbol | word so far) by the formula of the docstring, from lists of strings."""
    letters = sorted(set("".join(types)))

    def grams(n):
        """Every n-gram of '^word$' that does not cross the start, '^' counted as a context only."""
        found = Counter()
        for t in types:
            marked = "^" + t + "$"
            for at in range(1, len(marked)):
                if at - (n - 1) >= 0:
                    found[marked[at - n + 1 : at + 1]] += 1
        return found

    def p(symbol, history):
        counts = {g[-1]: n for g, n in grams(len(history) + 1).items() if g[:-1] == history}
        shorter = p(symbol, history[1:]) if history else 1 / (len(letters) + 2)
        followers, total = len(counts), sum(counts.values())
        return (counts.get(symbol, 0) + followers * shorter) / (total + followers) if total else shorter

    marked = "^" + "".join(c if c in letters else "?" for c in word)
    return p(end, marked[-(ORDER - 1) :])


def word_prob_by_recursion(types, word):
    """With '?' for a character never seen, without its spelling."""
    symbols = [*word, "$"]
    return math.prod(symbol_prob_by_recursion(types, word[:i], c) for i, c in enumerate(symbols))


def test_words_spelled_some_at_a_time_cost_the_same(monkeypatch):
    asked = ["", "a", "zoo", "bb", "abc", "\n"]
    whole = Speller.fit(Vocab(TYPES), "word", [*TYPES, "zoo", "é"])
    monkeypatch.setattr("lmbench.scoring.speller._TOGETHER", 2)
    parts = Speller.fit(Vocab(TYPES), "word", [*TYPES, "zoo", "é"])
    assert isinstance(whole, WordSpeller)
    assert isinstance(parts, WordSpeller)
    assert np.array_equal(parts.masses, whole.masses)
    assert parts.covered == whole.covered
    assert np.array_equal(parts.log_probs(asked), whole.log_probs(asked))


def test_character_model_is_witten_bell_on_types():
    speller = Speller.fit(Vocab(), "word", TYPES)
    words = ["", "a", "ba", "abab", "abbabb", "a?", "?b?"]
    spelt = [word.replace("?", "\u4e2d") for word in words]
    new = [word.count("?") * speller.new.log_probs_by_length[2] for word in words]  # three bytes
    expected = [math.log(word_prob_by_recursion(TYPES, word)) for word in words]
    got = speller.log_probs(spelt)
    # The token "\n" takes 1/(8 + 2) beside the words; the vocabulary covers nothing.
    np.testing.assert_allclose(got, np.array(expected) + new + math.log(0.9), rtol=1e-12)


@pytest.mark.parametrize("covered", [[], ["a", "ab", "\n"], TYPES])
def test_all_strings_make_one(covered):
    vocab = Vocab(Counter(covered))
    speller = Speller.fit(vocab, "word", TYPES)
    assert isinstance(speller, WordSpeller)
    # All words of up to 7 of the alphabet {a, b, any new character}, '?' standing for the sum of all new ones.
    length = 7
    words = ["".join(w) for n in range(length + 1) for w in itertools.product("ab?", repeat=n)]
    words = [w for w in words if w not in covered]
    share = np.array([w.count("?") * speller.new.log_probs_by_length[2] for w in words])
    p = np.exp(speller.log_probs([w.replace("?", "\u4e2d") for w in words]) - share)
    # Longer words: the probability of each beginning of length 8, not stopped before.
    symbols = np.array(list(itertools.product([NEW, 2, 3], repeat=length + 1)))
    begun = Tokens(symbols.ravel().astype(np.int32), np.arange(0, symbols.size, length + 1), BOUNDARY)
    steps = speller.model.log_probs(begun).reshape(symbols.shape)
    longer = math.fsum(np.exp(steps.sum(axis=1))) * math.exp(speller.rest)
    newline = 0.0 if "\n" in covered else math.exp(speller.log_probs(["\n"])[0])
    assert math.fsum(p) + longer + newline == pytest.approx(1, abs=1e-12)
    assert longer > 1e-6  # so the sum above could have missed it
    # The characters that '?' stands for: every scalar value but a, b, the space and the line feed.
    new = [c for c in SCALARS if c not in "ab \n"]
    assert math.fsum(np.exp(speller.log_probs(new))) == pytest.approx(p[words.index("?")], rel=1e-9)


@pytest.mark.parametrize("types", [None, ["a", "b", "c", "é", "中", "\n", " "]])
def test_all_characters_make_one(types):
    vocab = Vocab(Counter(["a", "b", " "]))
    speller = Speller.fit(vocab, "char", types)
    outside = [c for c in SCALARS if c not in "ab "]
    assert math.fsum(np.exp(speller.log_probs(outside))) == pytest.approx(1, abs=1e-9)


def test_left_out_character_by_hand():
    # S = 2 of the training characters are left out: each 1/3; the rest share 1/3 by UTF-8 length. Seen: a b c é,
    # three of one byte, one of two: weights 4 2 1 1 of 8; 128 - 3 one-byte characters are left.
    speller = Speller.fit(Vocab(Counter("ab")), "char", ["a", "b", "c", "é"])
    np.testing.assert_allclose(np.exp(speller.log_probs(["c", "é"])), 1 / 3)
    np.testing.assert_allclose(np.exp(speller.log_probs(["z"])), 1 / 3 * 4 / 8 / 125)
    np.testing.assert_allclose(np.exp(speller.log_probs(["\U0001f600"])), 1 / 3 * 1 / 8 / 1048576)


def test_bytes_left_are_alike():
    speller = Speller.fit(Vocab(Counter(["a", "<0xE2>"])), "byte")
    np.testing.assert_allclose(speller.log_probs(["b", "<0xE3>"]), -math.log(254))


@pytest.mark.parametrize("unit", ["word", "char"])
def test_surrogates_are_impossible(unit):
    assert Speller.fit(Vocab(Counter("abc")), unit).log_probs(["\ud800"])[0] == -math.inf


def test_any_word_can_be_spelt():
    words = ["😀", "中文", "", "naïve", "x" * 500, "\t", "<unk>", "\n"]
    nats = Speller.fit(Vocab(Counter(["the", "cat"])), "word").log_probs(words)
    assert np.isfinite(nats).all()
    assert (nats < 0).all()


def test_the_order_of_types_changes_nothing():
    vocab = Vocab(Counter(["the", "cat"]))
    for unit, types in [("word", TYPES), ("char", list("hello")), ("byte", list("ab"))]:
        speller = Speller.fit(vocab, unit, types)
        probes = ["q", "h"]
        shuffled = Speller.fit(vocab, unit, types[::-1] + types[:1])
        np.testing.assert_array_equal(shuffled.log_probs(probes), speller.log_probs(probes))


LONG = base64.b64encode(np.random.default_rng(0).bytes(600)).decode()  # some 4,800 bits


@pytest.mark.parametrize(
    "word", [LONG, "😀" * 300, "中文沒有空格" * 100, "ferry" * 200, "", "\n", LONG[:-1], LONG + "x", "naïve"]
)
@pytest.mark.parametrize(
    "covered", [["the", "ferry"], ["the", "\n", "ferry", LONG], ["the", LONG, LONG[:100]]]
)
def test_a_word_is_coded_in_the_bits_that_it_costs(word, covered):
    # Many cost more than 1,022 bits, so that their probability is below any number; where the vocabulary has LONG, most
    # of what begins like it is taken out.
    if word in covered:
        return
    speller = Speller.fit(Vocab(Counter(covered)), "word", [*covered, "waits", "old"])
    encoder = Encoder()
    assert speller.code(encoder, word) == word
    data = encoder.finish()
    assert speller.code(Decoder(data), None) == word
    claimed = -speller.log_probs([word])[0] / math.log(2)
    assert claimed - 8 <= 8 * len(data) <= claimed + 16


@pytest.mark.parametrize(("unit", "types"), [("char", "abcé中"), ("char", "ab"), ("byte", "ab")])
def test_a_character_is_coded_in_the_bits_that_it_costs(unit, types):
    speller = Speller.fit(Vocab(Counter("ab")), unit, list(types))
    tokens = (
        ["c", "<0xE2>", "\n"]
        if unit == "byte"
        else ["c", "é", "中", "😀", "\n", "\U0010ffff", "\ue000", "\x00"]
    )
    encoder = Encoder()
    for token in tokens:
        speller.code(encoder, token)
    data = encoder.finish()
    decoder = Decoder(data)
    assert [speller.code(decoder, None) for _ in tokens] == tokens
    claimed = -speller.log_probs(tokens).sum() / math.log(2)
    assert claimed - 8 <= 8 * len(data) <= claimed + 16


def test_nothing_to_learn_from():
    nats = Speller.fit(Vocab(), "word", []).log_probs(["", "ab", "\n"])
    # No alphabet: end and escape, 1/2 each; "\n" has 1/2 of all; each character is one of 128 - 2 one-byte ones.
    one = math.log(1 / 2) + math.log(1 / 4 / 126)
    np.testing.assert_allclose(nats, [math.log(1 / 4), 2 * one + math.log(1 / 4), math.log(1 / 2)])
    assert len(Speller.fit(Vocab(), "word").log_probs([])) == 0


def test_unknown_unit():
    with pytest.raises(InputError, match="unit"):
        Speller.fit(Vocab(), "syllable")


def scorer_of_size(train, size):
    """A Kneser–Ney bigram of words whose vocabulary holds the most frequent ``size`` - 1 and <unk>."""
    word = unit_named("word")
    types = build_vocab(train, word)
    vocab = Vocab(Counter(dict(types.token_freqs)), max_size=size)
    model = make_model("kneser-ney", order=2).fit(encode(train, word, vocab).tokens, vocab_size=len(vocab))
    return Scorer(model, word, vocab, "none", "line", types.tokens[1:])


def test_a_smaller_vocabulary_flatters_perplexity_and_pays_in_bits():
    # A vocabulary of one leaves nothing to foresee and everything to spell. In between bits may fall too: a full
    # vocabulary never saw <unk> in training. What each size claims is what its file takes.
    train, test = (
        canonical_text([(GOLDEN / f"ferry.{part}.txt").read_text()], "none", "line")
        for part in ("train", "test")
    )
    perplexities, bits = [], []
    for size in (None, 100, 30, 10, 3, 1):
        scorer = scorer_of_size(train, size)
        scores = scorer.score(test)
        perplexities.append(scores.perplexity)
        bits.append(scores.bits_per_char)
        assert verify(scorer, test).holds
    assert perplexities == sorted(perplexities, reverse=True)
    assert perplexities[-1] == pytest.approx(1)  # every token is <unk>, as foreseen
    assert bits[-1] > min(bits) + 0.1


def test_an_unknown_word_foreseen_can_buy_bits(data_folder):
    # 4,000 words hold every word of the training text: <unk> never came, and is charged dearly when it does.
    lines = (data_folder / "timemachine.txt").read_text().splitlines(keepends=True)
    train, test = canonical_text(lines[:2500], "none", "line"), canonical_text(lines[2500:], "none", "line")
    full, small, tiny = (scorer_of_size(train, size) for size in (None, 1000, 3))
    bits = [scorer.score(test).bits_per_char for scorer in (full, small, tiny)]
    assert bits[1] < bits[0] < bits[2]
    assert verify(small, test, 300).holds
