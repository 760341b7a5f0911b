"""What results hold of a run beyond its scores."""

import numpy as np
import pytest

import lmbench as lb
from lmbench.corpora import make_source
from lmbench.corpora.corpus import Corpus
from lmbench.corpora.inputs import Documents
from lmbench.results import results_of
from lmbench.results.texts import TextFacts


def test_what_models_spend_above_the_source_is_paired_with_it():
    corpus = lb.Corpus.of(make_source("golden-mean"), length=20_000, name="gm")
    runs = [lb.evaluate(lb.make_model(name), corpus) for name in ("uniform", "bigram")]
    results, _ = results_of({"gm": corpus}, runs, zipf_orders=[])
    # After a, a or b with 1/2 each, one bit; after b only a, for nothing.
    written = "".join(corpus.text(part).text for part in ("train", "valid", "test"))
    chars = corpus.text("test").chars
    spent = written[-chars - 1 : -1].count("a") / chars
    assert results.corpora[0].source_bits_per_char == pytest.approx(spent, abs=2 / chars)
    by_label = {row.label: row for row in results.results}
    for row in by_label.values():
        assert row.regret_bits_per_char == pytest.approx(
            row.bits_per_char - results.corpora[0].source_bits_per_char
        )
        assert row.ci95_regret[0] <= row.regret_bits_per_char <= row.ci95_regret[1]
    # The bigram knows the source up to what it learnt; uniform spends far more, and its paired interval is clear of 0.
    assert abs(by_label["bigram"].regret_bits_per_char) < 0.01 < by_label["uniform"].ci95_regret[0]


def test_a_text_of_no_known_source_has_no_regret():
    words = " ".join(f"w{n % 17}" for n in np.random.default_rng(0).integers(0, 99, 3000).tolist())
    corpus = lb.Corpus.of(lb.Documents([words]), name="plain")
    results, _ = results_of({"plain": corpus}, [lb.evaluate(lb.make_model("bigram"), corpus)], zipf_orders=[])
    assert results.corpora[0].source_bits_per_char is None
    assert (results.results[0].regret_bits_per_char, results.results[0].ci95_regret) == (None, None)


def test_intervals_of_bits_a_word_reckon_with_words_as_they_lie():
    # Long words in one half and short ones in the other: a character's share of a word is not the same everywhere.
    words = " ".join(["abcdefghijkl"] * 500 + ["ab"] * 3000)
    corpus = lb.Corpus.of(lb.Documents([words]), name="plain", test=0.5)
    run = lb.evaluate(lb.make_model("unigram"), corpus)
    results, _ = results_of({"plain": corpus}, [run], zipf_orders=[])
    row = results.results[0]
    scale = row.chars / row.words
    assert row.ci95_bits_per_word[0] <= row.bits_per_word <= row.ci95_bits_per_word[1]
    assert row.ci95_bits_per_word != pytest.approx([end * scale for end in row.ci95])


def test_zipf_s_law_is_of_characters_where_blanks_do_not_divide_words():
    rng = np.random.default_rng(0)
    chinese = "".join(chr(0x4E00 + c) for c in rng.zipf(1.6, 20_000) % 3000)
    lines = "\n".join("  " + chinese[i : i + 40] for i in range(0, len(chinese), 40))
    texts = {"chinese": lines, "words": " ".join(f"w{i % 97}" for i in rng.zipf(1.6, 20_000))}
    corpora = {name: Corpus.of(Documents([text]), name=name) for name, text in texts.items()}
    facts = [TextFacts.of(name, corpus, [1, 2]) for name, corpus in corpora.items()]
    laws, charts = ([x for one in facts for x in getattr(one, kind)] for kind in ("zipf", "charts"))
    assert {(law.corpus, law.unit) for law in laws} == {("chinese", "char"), ("words", "word")}
    assert charts[0].caption.startswith("Char n-grams of chinese")


def test_what_is_worth_telling_is_what_is_asked():
    corpus = lb.load_corpus("golden-mean")
    runs = [
        lb.evaluate(lb.make_model(name), corpus) for name in ("bigram", "unigram")
    ]  # a quarter of a bit apart
    usual, generous = (results_of({"golden-mean": corpus}, runs, worthwhile=w)[0] for w in (0.005, 2.0))
    assert (usual.worthwhile, generous.worthwhile) == (0.005, 2.0)
    assert usual.comparisons[0].p_equivalence > 0.5
    assert generous.comparisons[0].p_equivalence < 0.05
