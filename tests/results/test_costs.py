"""What quality costs: rates from what a fit has measured, time of all parts, and the best for each cost."""

import subprocess
import sys

import numpy as np
import pytest

from lmbench.models import make_model
from lmbench.results.costs import best_for
from lmbench.results.schema import Result
from lmbench.scoring.evaluation import costs_of, fit_run
from lmbench.scoring.run import Facts


def test_rates_follow_from_what_was_measured() -> None:
    # 1000 tokens in 2 s are 500 a second; times 300 operations 150,000; of 600,000 a quarter
    found = costs_of(
        {"training_flops": 300, "training_tokens": 1000, "training_seconds": 2.0, "peak_flops": 6e5}
    )
    assert (found["tokens_per_second"], found["flops_per_second"], found["share_of_peak"]) == (
        500,
        1.5e5,
        0.25,
    )
    assert costs_of({}) == {}
    at_once = {"training_flops": 3, "training_tokens": 0, "training_seconds": 0.0, "peak_flops": 1.0}
    assert costs_of(at_once) == at_once


def test_a_network_tells_its_costs_and_a_count_model_has_none(ferry) -> None:
    small = {"hidden": 8, "epochs": 2, "batch": 4, "steps": 8, "patience": "none"}
    scorer, run = fit_run(make_model("rnn-scratch", **small), ferry)
    vocab, tokens = len(scorer.vocab), len(scorer.encode(ferry.train).tokens)
    # H² + HV weights meet each token, two operations forwards and four backwards
    assert run.facts.training_flops == 6 * (8 * 8 + 8 * vocab)
    assert 0.8 * 2 * tokens <= run.facts.training_tokens <= 2 * tokens  # an epoch may begin a little later
    assert 0 < run.facts.training_seconds <= run.facts.fit_seconds
    assert run.facts.flops_per_second == pytest.approx(
        run.facts.training_flops * run.facts.training_tokens / run.facts.training_seconds
    )
    assert run.facts.peak_flops > 1e8
    assert run.facts.arithmetic in ("float32", "bfloat16")
    assert fit_run(make_model("bigram"), ferry)[1].facts.training_flops is None


def test_the_time_of_a_mixture_is_that_of_its_parts_too() -> None:
    assert Facts(fit_seconds=1.0, parts={"a": 2.0, "b": 4.0}).total_fit_seconds == 7.0
    assert Facts(fit_seconds=1.0).total_fit_seconds == 1.0
    assert Facts().total_fit_seconds is None


def test_the_front_against_every_pair() -> None:
    rng = np.random.default_rng(0)
    made = [
        Result(corpus="c", label=str(i), bits_per_char=float(b), total_fit_seconds=float(s))
        for i, (b, s) in enumerate(rng.integers(0, 12, (60, 2)))
    ]
    rows, _ = best_for(made)
    kept = [row for row in rows if "total_fit_seconds" in row.best_for]
    points = {(row.total_fit_seconds, row.bits_per_char) for row in rows}
    undominated = {p for p in points if not any(q != p and q[0] <= p[0] and q[1] <= p[1] for q in points)}
    assert {(row.total_fit_seconds, row.bits_per_char) for row in kept} == undominated
    assert len(kept) == len(undominated)  # of equal ones, one
    assert all("score_seconds" not in row.best_for for row in rows)


def test_of_several_seeds_the_mean_stands_in_the_front_and_what_has_no_rank_in_none() -> None:
    seeds = [Result(corpus="c", label="a", seed=s, bits_per_char=1.0, parameters=5) for s in (0, 1)]
    mean = Result(corpus="c", label="a", bits_per_char=1.0, parameters=5, seeds=[0, 1])
    cheap = Result(corpus="c", label="b", bits_per_char=0.5, parameters=1, unranked_reason="it peeks")
    rows, means = best_for([*seeds, cheap], [mean])
    assert [row.best_for for row in rows] == [[], [], []]
    assert [row.best_for for row in means] == [["parameters"]]


def test_what_learns_from_the_test_text_takes_no_place_from_what_stands_still() -> None:
    still = Result(corpus="c", label="a", bits_per_char=1.0, parameters=5)
    learning = Result(corpus="c", label="b", bits_per_char=0.5, parameters=1, adaptive=True)
    assert [row.best_for for row in best_for([still, learning])[0]] == [["parameters"], ["parameters"]]


def test_no_library_for_networks_is_loaded_where_only_counts_run(tmp_path) -> None:
    (tmp_path / "s.toml").write_text('name = "s"\ncorpora = ["golden-mean"]\n[[models]]\nmodel = "bigram"\n')
    code = (
        "import sys; from lmbench.cli import main;"
        f"main(['run', {str(tmp_path / 's.toml')!r}, '--out', {str(tmp_path / 'run')!r}, '--jobs', '1']);"
        "print([m for m in ('torch', 'lmbench.models.neural.network') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("[]")
