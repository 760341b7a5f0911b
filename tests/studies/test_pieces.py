"""The study of word pieces on a text that a known source wrote."""

import numpy as np
import pytest
from small_studies import plain

from lmbench.corpora.corpus import Corpus, divide
from lmbench.corpora.sources import make_source
from lmbench.errors import InputError
from lmbench.scoring.scorer import Scorer
from lmbench.studies import run_study
from lmbench.studies.pieces import stretches
from lmbench.text.canonical import CanonicalText, canonical_text


def made(length):
    text = make_source("zipf-mandelbrot", types=300).generate(length, np.random.default_rng(2))
    return Corpus("made", *divide(CanonicalText.of([text]), (0.8, 0.1, 0.1)))


def test_sums_lie_below_the_customary_tokenization_and_above_nothing():
    study = run_study("pieces", made(30_000), samples=5)
    table = study.table
    assert table["pieces"].tolist()[0] == "char"
    assert table["pieces"].tolist()[-1] == "word"
    of_pieces = table[table["size"].notna()]
    assert set(of_pieces["pieces"]) == {"bpe", "unigram"}
    assert (of_pieces["summed"] < of_pieces["customary"]).all()
    assert (of_pieces["summed"] > 0.9 * of_pieces["customary"]).all()
    assert (of_pieces["stretches_summed"] < of_pieces["stretches_customary"]).all()
    assert (of_pieces["effective_samples"].between(1, 5)).all()
    best = of_pieces.nsmallest(1, "valid").iloc[0]
    assert f"{best['bits_per_char']:.3f} bits" in " ".join(study.sentences)
    assert plain(run_study("pieces", made(30_000), samples=5)) == plain(study)
    # What stands in the table is what the unit gives anywhere.
    corpus = made(30_000)
    unit = f"subword:kind={best['pieces']},level=char,size={int(best['size'])}"
    from lmbench.models import make_model

    scorer = Scorer.fit(make_model("kneser-ney", order=3), corpus, unit)
    assert scorer.score(corpus.text("test")).bits_per_char == pytest.approx(best["bits_per_char"])


def test_of_long_orders_only_the_estimate_is_given():
    study = run_study("pieces", made(30_000), samples=2, order=4, level="byte")
    assert study.table["summed"].isna().all()
    assert "as those of" not in study.sentences[-1]


def test_stretches_are_the_text_cut_before_blanks():
    text = canonical_text(["the ferry " * 30 + "x" * 200 + " left\nand came back"], "none", "stream")
    cut = stretches(text, 40)
    assert "".join(cut) == text.text
    assert max(map(len, cut)) == 40
    assert all(piece[0] in " \nx" for piece in cut[1:])


def test_too_short_a_text_is_refused():
    with pytest.raises(InputError, match="at least 10,000 characters of training text"):
        run_study("pieces", made(9_000))
