"""Mixtures of models with vocabularies of their own, weights that depend on contexts, and mixtures written as n-grams."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmbench.corpora.corpus import Corpus, Documents
from lmbench.errors import InputError
from lmbench.models import make_model
from lmbench.models.laws import broken_laws
from lmbench.models.mixing.weights import STRENGTH, Weights, groups
from lmbench.scoring.combining import mix
from lmbench.scoring.scorer import Scorer
from lmbench.scoring.verification import verify
from lmbench.text.canonical import canonical_text
from lmbench.text.tokens import Tokens

ONE = "the ferry left at nine\nthe ferryman came late\nthe ferry left late\n" * 5
OTHER = "the choir sang at night\nthe ferry horn sang\na choir left\n" * 5
TUNE = "the choir left at nine\nthe ferry sang\nthe horn came late\nthe dragon left\n"


def scorer_of(text, unit="word", model="witten-bell", **options):
    corpus = Corpus.of(Documents([text]), 0.0, 0.0, documents="line")
    return Scorer.fit(make_model(model, **{"order": 3, **options}), corpus, unit)


@pytest.fixture(scope="module")
def parts():
    return [scorer_of(ONE), scorer_of(OTHER, order=2)]


@pytest.mark.parametrize("unit", ["word", "char"])
def test_a_part_over_all_words_charges_texts_of_them_as_before(unit):
    parts = [scorer_of(ONE, unit), scorer_of(OTHER, unit)]
    mixed = mix(parts, TUNE)
    text = canonical_text(["the choir sang\nthe ferryman horn\n"], "none", "line")
    for part, inside in zip(parts, mixed.model.components, strict=True):
        nats = inside.log_probs(mixed.encode(text).tokens)
        assert nats.tolist() == pytest.approx(part.score(text).nats.tolist(), rel=1e-12)
        rows = inside.distributions(mixed.encode(text).tokens)
        np.testing.assert_allclose(np.exp(rows).sum(axis=1), 1, atol=1e-12)


@pytest.mark.parametrize("weights", ["fixed", "per-order", "by-context"])
def test_the_laws_hold_and_texts_decode(parts, weights, tmp_path):
    mixed = mix(parts, TUNE, weights=weights)
    text = canonical_text(["the ferry sang at night\nthe zebra left\n\na horn\n"], "none", "line")
    assert broken_laws(mixed.model, mixed.encode(text).tokens) == {}
    assert verify(mixed, text).holds
    mixed.save(tmp_path / "m")
    again = Scorer.load(tmp_path / "m", check=True)
    assert again.score(text).nats.tolist() == mixed.score(text).nats.tolist()
    assert again.model.options()["weights"] == weights
    best = min(part.score(canonical_text([TUNE], "none", "line")).bits_per_char for part in parts)
    assert mixed.score(TUNE).bits_per_char < best


def test_a_suite_s_mixture_takes_a_model_of_another_toolkit(tmp_path):
    theirs = scorer_of(OTHER)
    theirs.save(tmp_path / "theirs.arpa")
    corpus = Corpus.of(
        Documents([ONE]), Documents([TUNE]), Documents(["the choir left late\n"]), documents="line"
    )
    ours = Scorer.fit(make_model("witten-bell", order=2), corpus, "word")
    arpa = Scorer.fit(make_model("arpa", file=str(tmp_path / "theirs.arpa")), corpus, "word")
    mixed = Scorer.fit(make_model("mixture", of="ours,arpa"), corpus, "word", components=[ours, arpa])
    assert {"choir", "ferryman"} <= set(mixed.vocab.tokens)
    assert mixed.score(corpus.test).bits_per_char < min(
        s.score(corpus.test).bits_per_char for s in (ours, arpa)
    )
    assert broken_laws(mixed.model, mixed.encode(corpus.test).tokens) == {}


# Weights -------------------------------------------------------------------------------------------


def test_weights_of_a_group_are_the_likeliest_under_their_prior():
    rng = np.random.default_rng(0)
    log_probs = np.log(rng.dirichlet([1, 1, 1], size=400)).T
    which = rng.integers(0, 4, 400) * 7
    weights = Weights.learnt(log_probs, [np.zeros(400, dtype=np.int64), which])
    around = weights.values[0][0]
    for group, w in zip(weights.names[1], weights.values[1], strict=True):
        p = np.exp(log_probs[:, which == group])

        def objective(w, p=p):
            return np.log(w @ p).sum() + STRENGTH * (around * np.log(w)).sum()

        for _ in range(20):
            other = np.abs(w + 0.02 * rng.normal(size=3))
            assert objective(w) >= objective(other / other.sum()) - 1e-6
    # A group that was not met has the weights of the group around it.
    unmet = weights.at([np.zeros(2, dtype=np.int64), np.array([3, 7])])
    np.testing.assert_array_equal(unmet[0], around)
    assert (unmet[1] != around).all()


documents_of = st.lists(st.lists(st.integers(1, 3), min_size=1, max_size=8), min_size=1, max_size=3)


@settings(deadline=None, max_examples=60)
@given(documents_of, documents_of, st.integers(-1, 3))
def test_what_is_known_of_contexts_is_what_the_training_text_had(train, test, bos):
    def tokens_of(documents):
        starts = np.cumsum([0, *map(len, documents[:-1])])
        return Tokens(np.concatenate(documents).astype(np.int32), starts, bos)

    model = make_model("witten-bell", order=3).fit(tokens_of(train), vocab_size=4)
    followers = {}
    for document in train:
        padded = [bos] * (bos >= 0) + document
        for t in range(bos >= 0, len(padded)):
            for k in (1, 2):
                if t >= k:
                    followers.setdefault(tuple(padded[t - k : t]), set()).add(padded[t])
    orders, kinds = model.seen(tokens_of(test))
    expected = []
    for document in test:
        padded = [bos] * (bos >= 0) + document
        for t in range(bos >= 0, len(padded)):
            known = [k for k in (1, 2) if t >= k and tuple(padded[t - k : t]) in followers]
            longest = max(known, default=0)
            expected.append((longest, len(followers[tuple(padded[t - longest : t])]) if longest else 0))
    assert list(zip(orders.tolist(), kinds.tolist(), strict=True)) == expected
    levels = groups("by-context", [model, make_model("uniform").fit([1], vocab_size=4)], tokens_of(test))
    assert [len(level) for level in levels] == [len(expected)] * 3


@pytest.mark.parametrize(("kind", "most"), [("per-order", 16), ("by-context", 9)])
def test_every_model_tells_groups_apart(kind, most):
    class Seen:
        def __init__(self, order, kinds):
            self.order, self.kinds = order, kinds

        def seen(self, tokens):
            return np.full(len(tokens), self.order), np.full(len(tokens), self.kinds)

    text = Tokens.of([0])
    for number in (most, most + 1):
        rows = [[Seen(15, 999) for _ in range(number)] for _ in range(3)]
        rows[1][0], rows[2][0] = Seen(14, 999), Seen(15, 0)
        names = [int(groups(kind, models, text)[-1][0]) for models in rows]
        assert (len(set(names)) == 2 + (kind == "by-context")) == (number == most)
        labels = [f"m{i}" for i in range(number)]
        if number == most:
            make_model("mixture", of=labels, weights=kind)
        else:  # of the first, 64 bits leave nothing
            with pytest.raises(InputError, match=f"of {most} models at most, not {number}"):
                make_model("mixture", of=labels, weights=kind)


def test_options_that_do_not_go_together():
    with pytest.raises(InputError, match="weights=per-order is of pooling=linear"):
        make_model("mixture", of="a,b", pooling="geometric", weights="per-order")


# As n-grams ----------------------------------------------------------------------------------------

A = """\\data\\
ngram 1=4
ngram 2=1

\\1-grams:
-1\t<unk>
-99\t<s>\t-0.3010299956639812
-0.5228787452803376\t</s>
-0.2218487496163564\ta

\\2-grams:
-0.09691001300805639\t<s> a

\\end\\
"""  # p: <unk> .1, </s> .3, a .6; after <s>: a .8, others half of that
B = """\\data\\
ngram 1=4
ngram 2=1

\\1-grams:
-0.6989700043360187\t<unk>
-99\t<s>\t-0.17609125905568124
-0.3979400086720376\t</s>
-0.3979400086720376\tb

\\2-grams:
-0.22184874961635637\t<s> b

\\end\\
"""  # p: <unk> .2, </s> .4, b .4; after <s>: b .6, others two thirds of that


def test_a_static_mixture_by_hand(tmp_path):
    for name, text in (("a", A), ("b", B)):
        (tmp_path / f"{name}.arpa").write_text(text)
    a, b = (Scorer.load(tmp_path / f"{name}.arpa") for name in "ab")
    mixed = mix([a, b], "a b\nb\na\n")
    model = mixed.model
    model.weights = np.array([0.25, 0.75])
    model.grouped = Weights(model.grouped.names, (model.weights[None],))
    b_of_a, a_of_b = (math.exp(s.speller.log_probs([w])[0]) for s, w in ((a, "b"), (b, "a")))
    p_a, p_b = 0.25 * 0.6 + 0.75 * 0.2 * a_of_b, 0.25 * 0.1 * b_of_a + 0.75 * 0.4
    first_a = 0.25 * 0.8 + 0.75 * (2 / 3) * 0.2 * a_of_b
    first_b = 0.25 * 0.5 * 0.1 * b_of_a + 0.75 * 0.6
    weight = (1 - first_a - first_b) / (1 - p_a - p_b)
    ids = dict(zip(mixed.vocab.tokens, range(4), strict=True))
    mixed.save(tmp_path / "m.arpa")
    static = Scorer.load(tmp_path / "m.arpa")
    assert set(static.vocab.tokens) == set(ids)
    row = np.exp(static.model.next_log_probs([], static.vocab.newline))
    there = {word: row[static.vocab.encode([word])[0]] for word in ("a", "b", "\n")}
    assert there["a"] == pytest.approx(first_a, rel=1e-9)
    assert there["b"] == pytest.approx(first_b, rel=1e-9)
    assert there["\n"] == pytest.approx(weight * (0.25 * 0.3 + 0.75 * 0.4), rel=1e-9)
    assert row.sum() == pytest.approx(1, abs=1e-9)
    after = np.exp(static.model.next_log_probs(static.vocab.encode(["a"]), static.vocab.newline))
    assert after[static.vocab.encode(["a"])[0]] == pytest.approx(p_a, rel=1e-9)


@pytest.mark.parametrize("weights", ["fixed", "by-context"])
def test_a_static_mixture_says_at_every_n_gram_what_the_mixture_says_and_sums_to_one(
    parts, weights, tmp_path
):
    mixed = mix(parts, TUNE, weights=weights)
    static = mixed.model.backed_off()
    for k, rows in enumerate(static.ngrams(), 1):
        apart = Tokens(rows.ravel(), np.arange(len(rows)) * k, -1)
        ours, theirs = (model.log_probs(apart)[k - 1 :: k] for model in (static, mixed.model))
        np.testing.assert_allclose(ours, theirs, rtol=1e-12)
        sets = [part.ngrams()[k - 1] for part in mixed.model.components if len(part.ngrams()) >= k]
        union = {tuple(row) for ngrams in sets for row in ngrams.tolist()}
        assert set(map(tuple, rows.tolist())) == union
    text = canonical_text(["the ferry sang at night\nthe zebra left\n"], "none", "line")
    assert broken_laws(static, mixed.encode(text).tokens) == {}
    mixed.save(tmp_path / "m.arpa")
    written = Scorer.load(tmp_path / "m.arpa")
    assert written.score(text).log_probs.sum() == pytest.approx(
        static.log_probs(mixed.encode(text).tokens).sum(), rel=1e-9
    )


# What is refused -----------------------------------------------------------------------------------


def test_models_that_do_not_go_together_are_refused_in_one_line(parts, tmp_path):
    with pytest.raises(InputError, match="give another"):
        mix(parts[:1], TUNE)
    with pytest.raises(InputError, match="models by word, byte are not mixed"):
        mix([parts[0], scorer_of(ONE, "byte")], TUNE)
    with pytest.raises(InputError, match="text to learn the weights on is empty"):
        mix(parts, "")
    stream = Scorer.fit(make_model("witten-bell"), Corpus.of(Documents([ONE]), 0.0, 0.0), "word")
    with pytest.raises(
        InputError, match="read texts differently \\(documents line, stream\\); say which by --documents"
    ):
        mix([parts[0], stream], TUNE)
    assert mix([parts[0], stream], TUNE, documents="line").documents == "line"
    corpus = Corpus.of(Documents([ONE]), 0.0, 0.0, documents="line")
    uniform = Scorer.fit(make_model("uniform"), corpus, "word")
    with pytest.raises(InputError, match=r"save it to another name than \.arpa"):
        mix([parts[0], uniform], TUNE).save(tmp_path / "m.arpa")


def test_pieces_have_to_be_the_same_ones(tmp_path):
    one, other = (scorer_of(text, "subword:size=60") for text in (ONE, OTHER))
    with pytest.raises(InputError, match="cut words into other pieces"):
        mix([one, other], TUNE)
    one.save(tmp_path / "one")
    again = scorer_of(OTHER, f"subword:file={tmp_path / 'one'}")
    assert verify(mix([one, again], TUNE), canonical_text([TUNE], "none", "line")).holds
