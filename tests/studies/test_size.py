"""The study of smaller models on a text that a known source wrote."""

import numpy as np
import pytest

from lmbench.corpora.corpus import Corpus, divide
from lmbench.corpora.sources import make_source
from lmbench.errors import InputError
from lmbench.studies import run_study
from lmbench.text.canonical import CanonicalText


def made(length):
    text = CanonicalText.of(
        [make_source("zipf-mandelbrot", types=300).generate(length, np.random.default_rng(2))]
    )
    return Corpus("made", *divide(text, (0.8, 0.1, 0.1)))


def test_smaller_files_cost_what_their_scores_say():
    study = run_study("size", made(60_000), order=3)
    table = study.table.set_index(["way", "setting"])
    whole = table.loc[("whole", "")]
    assert whole["cost"] == 0
    assert whole["share"] == 1
    # The mean over blocks of nearly equal length is nearly the difference of the whole text's bits.
    assert table["cost"].to_numpy() == pytest.approx(
        (table["bits_per_char"] - whole["bits_per_char"]).to_numpy(), abs=2e-3
    )
    assert (table["low"] <= table["cost"]).all()
    assert (table["cost"] <= table["high"]).all()
    by_count = table.loc["by count"]
    assert by_count["numbers"].is_monotonic_decreasing
    assert by_count["bytes"].max() < whole["bytes"]
    assert table.loc[("rounded", "8 bits"), "share"] < 0.6
    assert abs(table.loc[("rounded", "32 bits"), "cost"]) < 1e-5
    assert len(study.sentences) == 6


def test_too_short_a_text_is_refused():
    with pytest.raises(InputError, match="at least"):
        run_study("size", made(500))
