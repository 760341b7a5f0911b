"""Kneser–Ney against KenLM: every token, every n-gram of the ARPA files, perplexities of whole corpora."""

import functools
import json

import numpy as np
import pytest
from ferry import encoded, ferry
from hypothesis import given, settings
from hypothesis import strategies as st
from paths import GOLDEN
from slow_counts import V, begun, documents_of, slow_counts, symbols_before, tokens_of

from lmbench.counts.ngrams import count_ngrams
from lmbench.errors import InputError
from lmbench.models import make_model
from lmbench.models.smoothing.kneser_ney import chen_goodman, tune
from lmbench.text.canonical import canonical_text
from lmbench.text.vocab import Vocab

FIGURES = json.loads((GOLDEN / "kenlm.json").read_text())
FERRY = {figures["name"]: figures for figures in FIGURES["ferry"]}
OPTIONS = {
    "": {},
    "--interpolate_unigrams 0": {"interpolate_unigrams": False},
    "--vocab_pad 1000": {"vocab_pad": 1000},
    "--prune 0 1 1": {"prune": "0,1,1"},
}


@pytest.mark.parametrize("name", FERRY)
def test_every_token_of_the_ferry_as_kenlm_scores_it(name):
    train, test = ferry()
    figures = FERRY[name]
    model = make_model(
        "kneser-ney", order=figures["order"], kenlm_counts=True, **OPTIONS[figures["options"]]
    ).fit(train.tokens, vocab_size=len(train.vocab))
    found = model.log_probs(test.tokens) / np.log(10)
    rows = [line.split("\t") for line in (GOLDEN / f"ferry.{name}.tokens.tsv").read_text().splitlines()[1:]]
    # An empty line is a sentence for KenLM too; </s> is our \n.
    assert [row[0] for row in rows] == ["</s>" if t == "\n" else t for t in test.surface()]
    np.testing.assert_allclose(found, [float(row[2]) for row in rows], atol=1e-5)
    assert np.exp(-model.log_probs(test.tokens).mean()) == pytest.approx(
        figures["ppl_including_oov"], rel=1e-6
    )
    sizes = [n + (k == 1) for k, n in enumerate(model.table.sizes) if k]
    assert sizes == figures["ngrams"]  # KenLM counts <s> as a word of its own


def read_arpa(path):
    """{words: (log10 p, log10 backoff)} of a well-formed ARPA file."""
    entries = {}
    for line in path.read_text().splitlines():
        fields = line.split("\t")
        if len(fields) > 1:
            entries[tuple(fields[1].split(" "))] = (float(fields[0]), float(fields[2]) if fields[2:] else 0.0)
    return entries


@pytest.mark.parametrize(("name", "order"), [("o3", 3), ("o5.fallback", 5)])
def test_every_ngram_of_the_arpa_file(name, order):
    train, _ = ferry()
    model = make_model("kneser-ney", order=order, kenlm_counts=True).fit(
        train.tokens, vocab_size=len(train.vocab)
    )
    golden = read_arpa(GOLDEN / f"ferry.{name}.arpa")
    table, names, checked = model.table, train.vocab.tokens, 0
    for k in range(1, order + 1):
        for rank, ids in enumerate(table.ngrams(k).tolist()):
            words = [names[i] for i in ids]
            backoff = table.backoffs[k][rank] if k < order else 1.0
            as_context = ["<s>", *words[1:]] if words[0] == "\n" else words
            if words[-1] == "\n":  # </s>, never a context; the context <s> is never predicted
                as_word = tuple([*as_context[:-1], "</s>"] if k > 1 else ["</s>"])
                assert golden[as_word] == (pytest.approx(np.log10(table.probs[k][rank]), abs=2e-6), 0)
                checked += 1
                if k > 1:
                    assert backoff == 1
                    continue
                assert golden["<s>",] == (0, pytest.approx(np.log10(backoff), abs=2e-6))
            else:
                expected = (np.log10(table.probs[k][rank]), np.log10(backoff))
                assert golden[tuple(as_context)] == pytest.approx(expected, abs=2e-6)
            checked += 1
    assert checked == len(golden)


@functools.cache
def corpus(path, kind):
    """A corpus as lines of words, encoded as for KenLM: train and test."""
    if kind == "ptb":
        texts = [
            canonical_text([(path / f"ptb.{s}.txt").read_text()], "whitespace", "line").text
            for s in ("train", "test")
        ]
        return encoded(*texts)
    lines = canonical_text([path.read_text()], "letters", "line").text.splitlines()
    if kind == "words":
        return encoded(
            *("\n".join(part) + "\n" for part in (lines[: 2848 * 8 // 10], lines[2848 * 9 // 10 :]))
        )
    stream = " ".join(lines).replace(" ", "_")
    n = len(stream)
    return encoded(*(" ".join(part) + "\n" for part in (stream[: n * 8 // 10], stream[n * 9 // 10 :])))


@pytest.mark.parametrize(
    ("corpus_name", "kind", "figures"),
    [
        pytest.param(name, kind, figures, id=f"{key}-{figures['order']}")
        for key, name, kind in (
            ("ptb", "ptb", "ptb"),
            ("time-machine.words", "timemachine.txt", "words"),
            ("time-machine.chars", "timemachine.txt", "chars"),
        )
        for figures in FIGURES[key]
    ],
)
def test_perplexities_of_whole_corpora(data_folder, corpus_name, kind, figures):
    train, test = corpus(data_folder / corpus_name, kind)
    assert len(test.tokens) == figures["tokens"]
    model = make_model("kneser-ney", order=figures["order"], kenlm_counts=True).fit(
        train.tokens, vocab_size=len(train.vocab)
    )
    log10 = model.log_probs(test.tokens) / np.log(10)
    assert query_perplexity(log10, test.tokens) == pytest.approx(figures["ppl_including_oov"], rel=5e-7)
    known = np.where(test.oov, 0, log10)
    excluding = query_perplexity(known, test.tokens) ** (len(known) / (~test.oov).sum())
    assert excluding == pytest.approx(figures["ppl_excluding_oov"], rel=5e-7)


def query_perplexity(log10, tokens):
    """As ``query`` prints it: it adds up each line in single precision.

    On a line of 17,344 characters that loses 1.2e-5 of the perplexity, which is no difference of the models:
    its own -v word figures, added in double precision, give ours.
    """
    lines = np.split(log10.astype(np.float32), tokens.starts[1:])
    total = sum(float(np.add.accumulate(line)[-1]) for line in lines)
    return 10 ** (-total / len(tokens))


class SlowKneserNey:
    """The formula by recursion over tuples, with given discounts; prune: counts up to which n-grams are dropped."""

    def __init__(self, documents, order, bos, vocab_size, discounts, prune):
        self.vocab_size, self.discounts = vocab_size, discounts
        raw = slow_counts(documents, order, bos)
        self.a = {}
        for gram in raw:
            if len(gram) == order:
                self.a[gram] = raw[gram]
            else:
                starting = len(gram) > 1 or bos < 0  # by themselves, without a left neighbour
                begins = sum(begun(bos, d)[0][: len(gram)] == gram for d in documents) if starting else 0
                self.a[gram] = sum(len(g) == len(gram) + 1 and g[1:] == gram for g in raw) + begins
        self.kept = {g for g in raw if len(g) == 1 or raw[g] > prune[len(g) - 1]}

    def discount(self, gram):
        if gram not in self.kept:
            return self.a[gram]
        return [0, *self.discounts[len(gram) - 1]][min(self.a[gram], 3)]

    def p(self, word, context):
        lower = self.p(word, context[1:]) if context else 1 / self.vocab_size
        following = [g for g in self.a if len(g) == len(context) + 1 and g[:-1] == context and self.a[g]]
        total = sum(self.a[g] for g in following)
        if total == 0:
            return lower
        gamma = sum(self.discount(g) for g in following) / total
        gram = (*context, word)
        own = (self.a[gram] - self.discount(gram)) / total if gram in following else 0
        return own + gamma * lower


@settings(max_examples=40)
@given(
    documents_of,
    documents_of,
    st.integers(1, 4),
    symbols_before,
    st.sampled_from([(0,), (0, 0, 1), (0, 1, 2)]),
)
def test_probabilities_follow_the_formula(train, test, order, bos, prune):
    prune = prune[:order]
    thresholds = [prune[min(k, len(prune) - 1)] for k in range(order)]
    discounts = [(0.3 + 0.1 * k, 0.9, 1.7 - 0.2 * k) for k in range(order)]
    flat = [d for triple in discounts for d in triple]
    single, model = (
        make_model("kneser-ney", order=order, discounts=flat, prune=prune, bits=bits).fit(
            tokens_of(train, bos), vocab_size=V
        )
        for bits in (32, 64)
    )
    slow = SlowKneserNey(train, order, bos, V, discounts, thresholds)
    expected, contexts = [], []
    for document in test:
        symbols, first = begun(bos, document)
        for t in range(first, len(symbols)):
            expected.append(slow.p(symbols[t], symbols[max(0, t - order + 1) : t]))
            contexts.append(np.array(document[: t - first], dtype=int))
    np.testing.assert_allclose(np.exp(model.log_probs(tokens_of(test, bos))), expected, rtol=1e-12)
    np.testing.assert_allclose(np.exp(single.log_probs(tokens_of(test, bos))), expected, rtol=1e-6)
    rows = np.exp(model.next_log_probs(contexts, bos))
    np.testing.assert_allclose(rows.sum(axis=1), 1, rtol=1e-12)
    np.testing.assert_allclose(rows[np.arange(len(rows)), [w for d in test for w in d]], expected, rtol=1e-12)


def test_discounts_by_hand():
    # n1..n4 = 8, 4, 2, 1: Y = 8/16; D1 = 1 − 2·½·4/8 = ½, D2 = 2 − 3·½·2/4 = 1.25, D3 = 3 − 4·½·1/2 = 2.
    assert chen_goodman(np.array([5, 8, 4, 2, 1]))[0].tolist() == [0, 0.5, 1.25, 2]


@pytest.mark.parametrize(
    ("n", "fault"), [([0, 8, 4, 0, 1], "n3 = 0"), ([0, 0, 4, 1, 1], "n1 = 0"), ([0, 1, 1, 9, 1], "D2 = -7")]
)
def test_unusable_discounts_are_diagnosed(n, fault):
    assert chen_goodman(np.array(n))[1].startswith(fault)


def test_fallback_is_noted_and_used():
    model = make_model("kneser-ney", order=2, fallback="0.4,0.5,0.6").fit([1, 2, 1, 2, 3], vocab_size=4)
    assert [note.split(";")[1] for note in model.notes] == [" used 0.4, 0.5, 0.6"] * 2
    assert model.notes[0].startswith("order 1: discounts unusable because n3 = 0")


@pytest.mark.parametrize("text", ["a", "aa", "ab" * 10])
def test_discounts_of_orders_longer_than_the_text_need_no_tuning(text):
    """Two symbols and order=999: each round of tuning went through a million pairs of orders without an n-gram."""
    ids = ["<unk>", "a", "b"]
    train = np.array([ids.index(c) for c in text])
    short, long = (
        make_model("kneser-ney", order=order, discounts="tune").fit(train, train[:2], 3)
        for order in (len(text) + 1, 300)
    )
    assert np.array_equal(short.log_probs(train), long.log_probs(train))


def test_tuned_discounts_are_at_the_top_of_the_held_out_likelihood():
    train, test = ferry()
    size = len(train.vocab)
    tuned = make_model("kneser-ney", order=3, discounts="tune").fit(
        train.tokens, test.tokens, vocab_size=size
    )
    counts = count_ngrams(train.tokens, 3, size)
    found = tune([np.array([0, 0.5, 1, 1.5])] * 3, counts, test.tokens)
    flat = np.concatenate([d[1:] for d in found])

    def likelihood(discounts):
        model = make_model("kneser-ney", order=3, discounts=discounts.tolist()).fit(
            train.tokens, vocab_size=size
        )
        return model.log_probs(test.tokens).sum()

    best = likelihood(flat)
    assert tuned.log_probs(test.tokens).sum() == pytest.approx(best, abs=1e-3)
    for i in range(9):
        for change in (-0.05, 0.05):
            near = flat.copy()
            near[i] = np.clip(near[i] + change, 1e-4, i % 3 + 1)
            assert likelihood(near) < best + 1e-3


def test_a_smaller_vocabulary_keeps_the_most_frequent_and_the_line_feed():
    train, _ = ferry()
    model = make_model("kneser-ney", vocab_size=20)
    vocab = model.vocabulary(train.vocab)
    assert vocab.tokens == train.vocab.tokens[:20]
    assert vocab.newline
    assert model.options()["vocab_size"] == 20
    tiny = Vocab(["a", "a", "b", "b", "\n", "c"])
    assert make_model("kneser-ney", vocab_size=3).vocabulary(tiny).tokens == ["<unk>", "a", "\n"]
    with pytest.raises(InputError, match="not a vocabulary"):
        make_model("kneser-ney", vocab_size=1).vocabulary(tiny)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"order": 0}, "order=0"),
        ({"discounts": "0.5,1"}, "give 3 or 15 numbers"),
        ({"discounts": "1.5,1,1"}, "D1 in 0..1"),
        ({"fallback": "0.5"}, "give 3 numbers"),
        ({"prune": "1"}, "the first 0"),
        ({"prune": "0,2,1"}, "do not fall"),
        ({"order": 2, "prune": "0,0,1"}, "at most 2"),
        ({"bits": 48}, "bits=48"),
        ({"prune_entropy": "-1"}, "prune_entropy=-1"),
    ],
)
def test_impossible_options_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        make_model("kneser-ney", **options)


@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize("text", [[1], [1, 1, 1, 1, 1, 1], [0, 0], [1, 2, 3]])
def test_tiny_texts(text, bits):
    model = make_model("kneser-ney", order=4, bits=bits).fit(text)
    assert np.isfinite(model.log_probs(text)).all()
    model.restore(model.state(), model.vocab_size)
    assert np.exp(model.next_log_probs(text)).sum() == pytest.approx(1, abs=model.traits.precision)
    assert model.traits.precision == {32: 1e-6, 64: 1e-12}[bits]


def test_a_text_scored_in_pieces_scores_as_whole(monkeypatch):
    train, test = ferry()
    model = make_model("kneser-ney", order=4).fit(train.tokens, vocab_size=len(train.vocab))
    whole = model.log_probs(test.tokens).tolist()
    for size in (1, 2, 7, 50):
        monkeypatch.setattr("lmbench.models.smoothing.table._PIECE", size)
        assert model.log_probs(test.tokens).tolist() == whole


@pytest.mark.parametrize(
    "options",
    [{}, {"prune": "0,0,1"}, {"bits": 64}, {"bits": 8}, {"bits": 4, "prune_entropy": 1e-4}, {"order": 1}],
)
def test_saved_and_restored_bit_for_bit(options):
    train, test = ferry()
    model = make_model("kneser-ney", **{"order": 4} | options).fit(train.tokens, vocab_size=len(train.vocab))
    other = make_model("kneser-ney", **{"order": 4} | options)
    other.restore(model.state(), model.vocab_size)
    other.vocab_size = len(train.vocab)
    assert other.log_probs(test.tokens).tolist() == model.log_probs(test.tokens).tolist()


@pytest.mark.parametrize("bits", [2, 8])
def test_rounded_probabilities_take_few_values_and_still_sum_to_one(bits):
    train, test = ferry()
    size = len(train.vocab)
    model = make_model("kneser-ney", order=4, bits=bits).fit(train.tokens, vocab_size=size)
    rows = np.exp(model.next_log_probs([test.tokens.ids[:n] for n in range(80)], train.tokens.bos))
    np.testing.assert_allclose(rows.sum(axis=1), 1, rtol=1e-12)
    for k in (2, 3, 4):
        assert len(np.unique(model.table.probs[k])) <= 2**bits
    exact = make_model("kneser-ney", order=4, bits=64).fit(train.tokens, vocab_size=size)
    cost = -(model.log_probs(test.tokens) - exact.log_probs(test.tokens)).mean() / np.log(2)
    assert abs(cost) < {2: 0.3, 8: 0.01}[bits]


@pytest.mark.parametrize("options", [{}, {"prune": (0, 0, 1)}, {"prune_entropy": 1e-4}])
def test_single_precision_costs_nothing_that_can_be_seen(options):
    train, test = ferry()
    size = len(train.vocab)
    single, double = (
        make_model("kneser-ney", order=4, bits=bits, **options).fit(train.tokens, vocab_size=size)
        for bits in (32, 64)
    )
    assert {column.dtype for column in (*single.table.probs, *single.table.backoffs)} == {
        np.dtype(np.float32)
    }
    np.testing.assert_allclose(single.log_probs(test.tokens), double.log_probs(test.tokens), atol=1e-6)
    assert single.model_bytes < 0.75 * double.model_bytes
