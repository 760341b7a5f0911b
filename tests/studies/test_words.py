"""The study of words' ends, beside the rows that it is made of."""

import numpy as np
import pytest
from small_studies import plain

from lmbench.corpora.corpus import Corpus, divide
from lmbench.corpora.sources import make_source
from lmbench.errors import InputError
from lmbench.models import make_model
from lmbench.scoring.scorer import Scorer
from lmbench.scoring.surprisal import surprisal
from lmbench.studies import run_study
from lmbench.text.canonical import CanonicalText


def made(length):
    text = CanonicalText.of(
        [make_source("zipf-mandelbrot", types=300).generate(length, np.random.default_rng(2))]
    )
    return Corpus("made", *divide(text, (0.8, 0.1, 0.1)))


def test_the_table_holds_means_and_correlations_of_the_words():
    corpus = made(40_000)
    study = run_study("words", corpus)
    table = study.table.set_index(["by", "class"])
    whole = table.loc[("all", "")]
    by = {
        unit: surprisal(
            Scorer.fit(make_model("kneser-ney", order=order), corpus, unit), corpus.text("test").text
        )
        for unit, order in (("char", 6), ("word", 3))
    }
    words = {unit: rows[rows.text.str.strip() != ""] for unit, rows in by.items()}
    assert whole["words"] == len(words["char"])
    assert whole["bits_char"] == pytest.approx(words["char"].bits.mean())
    assert whole["moved"] == pytest.approx((words["char"].bits - words["char"].uncorrected).mean())
    assert whole["r"] == pytest.approx(words["char"].bits.corr(words["word"].bits))
    assert whole["r_uncorrected"] == pytest.approx(words["char"].uncorrected.corr(words["word"].bits))
    assert whole["r_gained_low"] < whole["r"] - whole["r_uncorrected"] < whole["r_gained_high"]
    for kind in ("frequency", "length"):
        classes = table.loc[kind]
        assert 0.9 * whole["words"] < classes["words"].sum() <= whole["words"]
        assert (classes["moved_q05"] <= classes["moved"]).all()
    assert len(study.sentences) == 4
    assert plain(study) == plain(run_study("words", corpus))


def test_too_short_a_text_is_refused():
    with pytest.raises(InputError, match="at least"):
        run_study("words", made(500))
