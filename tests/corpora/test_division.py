"""Texts divided: documents dealt whole and by a seed, copies on one side, none too large a part of the test text."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmbench.corpora.corpus import Corpus, load_corpus
from lmbench.corpora.division import MOST_OF_TEST, deal, divide
from lmbench.corpora.duplicates import near_duplicates
from lmbench.corpora.inputs import Documents
from lmbench.text.canonical import CanonicalText

WORDS = [
    "river",
    "ferry",
    "bell",
    "lamp",
    "captain",
    "stranger",
    "quiet",
    "old",
    "small",
    "waits",
    "sings",
    "turns",
    "sleeps",
    "over",
    "under",
    "beside",
]


def essays(count, rng, low=200, high=2000):
    return [" ".join(rng.choice(WORDS, int(rng.integers(low, high) // 6))) + f" {i}\n" for i in range(count)]


def alike_by_all_windows(a, b, width=32):
    """The definition, window by window."""
    one, other = (
        {text[i : i + width] for i in range(len(text) - width + 1)}
        for text in (" ".join(t.lower().split()) for t in (a, b))
    )
    return bool(one and other) and len(one & other) >= 0.5 * min(len(one), len(other))


@pytest.mark.parametrize("seed", range(5))
def test_no_document_is_more_than_an_eighth_of_the_test_text(seed):
    texts = essays(150, np.random.default_rng(seed))
    corpus = Corpus.of(Documents(texts), seed=seed)
    parts = [part.documents() for part in (corpus.train, corpus.valid, corpus.test)]
    assert sorted(d for part in parts for d in part) == sorted(texts)
    total = sum(map(len, texts))
    for part in parts[1:]:
        size = sum(map(len, part))
        assert 0.095 * total <= size <= 0.12 * total
        assert max(map(len, part)) * MOST_OF_TEST <= size
    assert [texts.index(d) for d in parts[0]] == sorted(texts.index(d) for d in parts[0])  # in order


def test_another_seed_deals_otherwise_and_the_same_seed_alike():
    texts = essays(100, np.random.default_rng(0))
    tests = [Corpus.of(Documents(texts), seed=seed).test.text for seed in (0, 0, 1)]
    assert tests[0] == tests[1] != tests[2]


def test_near_duplicates_stand_on_one_side():
    rng = np.random.default_rng(1)
    texts = essays(60, rng, 400, 900)
    copies = [t[:150] + "CHANGED" + t[150:] for t in texts[:30]] + [
        t[: len(t) * 2 // 3] + "\n" for t in texts[30:40]
    ]
    corpus = Corpus.of(Documents([*texts, *copies]), seed=3)
    sides = {
        d: n for n, part in enumerate((corpus.train, corpus.valid, corpus.test)) for d in part.documents()
    }
    for one, other in zip(texts, copies, strict=False):
        assert sides[one] == sides[other]


def test_near_duplicates_are_those_of_the_definition():
    rng = np.random.default_rng(2)
    texts = essays(25, rng, 50, 400)
    texts += [t[: len(t) // 2] + "x" + t[len(t) // 3 :] for t in texts[:10]] + [
        "short",
        "Short ",
        "other",
        "",
    ]
    owner = near_duplicates(texts)
    parent = list(range(len(texts)))
    for i in range(len(texts)):
        for j in range(i):
            same = " ".join(texts[i].lower().split()) == " ".join(texts[j].lower().split())
            if same or alike_by_all_windows(texts[i], texts[j]):
                parent = [parent[j] if p == parent[i] else p for p in parent]
    expected = np.array(parent)
    assert np.array_equal(owner[:, None] == owner, expected[:, None] == expected)


def test_a_few_documents_are_dealt_or_cut_and_it_is_said_which():
    rng = np.random.default_rng(3)
    few = Corpus.of(Documents(essays(3, rng)))
    assert few.info["division"].startswith("cut in order")
    ten = Corpus.of(Documents(essays(10, rng, 900, 1000)))
    assert len(ten.test.starts) == 1
    assert "one of them is 100% of the test text" in ten.info["division"]


def test_copies_alone_cannot_be_dealt():
    assert deal(["the same text in every document, again and again\n"] * 20, 0.1, 0.1) is None


def test_documents_of_lines_are_dealt_as_documents():
    texts = [f"one {i}\ntwo {i}\nthree {i} and a good deal more\n" for i in range(100)]
    corpus = Corpus.of(Documents(texts), documents="line")
    assert len(corpus.test.starts) == 3 * len({line.split()[1] for line in corpus.test.text.splitlines()})
    assert "dealt whole" in corpus.info["division"]


def test_the_embedded_corpus_has_many_topics_in_its_test_text():
    test = load_corpus("python-docs").test
    lengths = np.diff([*test.starts, test.chars])
    assert lengths.max() * MOST_OF_TEST <= test.chars
    assert len(lengths) >= 20


@pytest.mark.parametrize("mode", ["stream", "line"])
def test_equal_parts_are_tested_on_in_turn(mode):
    text = "".join(f"line {i} of a text that is cut\n" for i in range(400))
    corpus = Corpus.of(Documents([text]), documents=mode)
    tests = []
    for k in range(4):
        other = corpus.divided_anew(k, 4)
        assert other.train.chars + other.valid.chars + other.test.chars == len(text)
        assert abs(other.test.chars / len(text) - 0.25) < 0.01
        assert abs(other.valid.chars / len(text) - 0.075) < 0.01
        tests.append(other.test.text)
    assert "".join(tests) == text


def test_documents_are_dealt_anew():
    texts = essays(120, np.random.default_rng(4))
    corpus = Corpus.of(Documents(texts))
    others = [corpus.divided_anew(k, 3) for k in range(3)]
    assert len({other.test.text for other in [corpus, *others]}) == 4
    for other in others:
        assert sorted(other.whole().documents()) == sorted(texts)
        assert "dealt anew" in other.info["division"]


def divided_document_by_document(documents, fractions):
    """Where each document is looked at; None where there are too few."""
    lines = all(d.count("\n") <= 1 for d in documents)
    cuts = np.cumsum(fractions)[:-1]
    ends = np.cumsum([1 if lines else len(d) for d in documents])
    bounds = [0, *(int(np.searchsorted(ends, int(c * ends[-1]), side="right")) for c in cuts), len(documents)]
    few = len(documents) < len(fractions) * (1 if lines else 3) or len(set(bounds)) < len(bounds)
    return None if few else [documents[a:b] for a, b in pairwise(bounds)]


@given(
    st.lists(st.lists(st.text("ab", max_size=4), min_size=1, max_size=2), min_size=1, max_size=30),
    st.booleans(),
    st.sampled_from([(0.8, 0.1, 0.1), (0.5, 0.5), (0.9, 0.0, 0.1)]),
)
def test_documents_in_order_are_divided_as_if_each_were_looked_at(made, ended, fractions):
    documents = ["\n".join(lines) + "\n" for lines in made]
    documents[-1] = documents[-1] if ended else documents[-1] + "a"
    expected = divided_document_by_document(documents, fractions)
    parts = divide(CanonicalText.of(documents), fractions)
    assert "".join(part.text for part in parts) == "".join(documents)
    if expected is not None:
        assert [part.documents() for part in parts] == expected
