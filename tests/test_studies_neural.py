"""Studies that train networks, on sources whose entropy rate is known, and their formulas against autograd."""

import numpy as np
import pytest
from test_studies import corpus_of

from lmbench.sources import make_source
from lmbench.studies import paired_interval, run_study, sampling

# sampling ------------------------------------------------------------------------------------------


def test_where_one_character_tells_all_both_samplings_reach_the_truth(monkeypatch):
    # Golden Mean: what comes next depends on the last character alone, so carrying the state on gains nothing.
    budget = {
        "hidden": 8,
        "batch": 8,
        "steps": 10,
        "epochs": 4,
        "max_tokens": 6000,
        "patience": None,
        "lr": 2.0,
    }
    monkeypatch.setattr(sampling, "BUDGET", budget | {"scale": 0.3})
    monkeypatch.setattr(sampling, "SEEDS", 2)
    corpus = corpus_of(make_source("golden-mean"), 6000)
    study = run_study("sampling", corpus)
    assert len(study.table) == 4
    # 600 test characters, deviation of −log2 p about 0.5: 3 · 0.5 / √600 = 0.06
    assert study.table["bits_per_char"].to_numpy() == pytest.approx(2 / 3, abs=0.07)
    assert abs(study.facts["random_minus_sequential_bits_per_char"][0]) < 0.02


def test_paired_interval_is_students():
    # Differences 1, 2, 3: mean 2, deviation 1, t(0.975; 2) = 4.3027, half width 4.3027 / √3 = 2.4841.
    assert paired_interval(np.array([1.0, 2.0, 3.0])) == pytest.approx((2, 2 - 2.4841, 2 + 2.4841), abs=1e-4)
