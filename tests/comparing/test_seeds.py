"""Several seeds: which rows have them, one row of the leaderboard of each, and every seed's results kept."""

from dataclasses import dataclass

import numpy as np
import pytest
from small_suites import FERRY, TINY, Log, results_in, suite_of

from lmbench import report
from lmbench.bench.cells import cells_of
from lmbench.bench.runner import measure_suite
from lmbench.bench.suite import ModelSpec, Suite
from lmbench.bench.suite_file import load_suite, to_toml
from lmbench.errors import InputError
from lmbench.models.uniform import Uniform
from lmbench.report.ranking import rows as ranked
from lmbench.scoring.evaluation import evaluate
from lmbench.scoring.stored_run import load_run


def test_several_seeds_are_one_row_of_the_leaderboard_and_each_is_kept(tmp_path):
    suite = suite_of(("rnn-scratch", "rnn", "char", TINY), ("uniform",), seeds=(0, 1, 2))
    outcome, found = results_in(tmp_path, suite)
    each = [r for r in found.results if r.label == "rnn"]
    assert [(r.label, r.seed) for r in found.results] == [
        ("rnn", 0),
        ("rnn", 1),
        ("rnn", 2),
        ("uniform", 0),
    ]
    (mean,) = found.over_seeds
    bits = [r.bits_per_char for r in each]
    assert mean.bits_per_char == pytest.approx(np.mean(bits))
    assert mean.bits_per_char_sd == pytest.approx(np.std(bits, ddof=1))
    assert mean.perplexity == pytest.approx(np.prod([r.perplexity for r in each]) ** (1 / 3))
    assert mean.fit_seconds == pytest.approx(np.mean([r.fit_seconds for r in each]))
    assert (mean.seeds, mean.bits_per_char_of_seeds) == ([0, 1, 2], bits)
    assert mean.bits_per_char_unseen == pytest.approx(np.mean([r.bits_per_char_unseen for r in each]))
    assert mean.ci95[0] < mean.bits_per_char < mean.ci95[1]
    shown = {row.name: row for row in ranked(found, "ferry")}
    assert set(shown) == {"rnn", "uniform"}
    assert shown["rnn"].result.bits_per_char_sd == mean.bits_per_char_sd
    assert [(c.a, c.b) for c in found.comparisons] in ([("rnn", "uniform")], [("uniform", "rnn")])
    assert {p.name for p in (tmp_path / "scores" / "ferry").iterdir()} == {
        *("rnn.npz", "rnn@1.npz", "rnn@2.npz", "uniform.npz")
    }
    files = report.leaderboard_csv(found).splitlines()
    assert len(files) == 3
    assert any(line.endswith(",0 1 2") for line in files)
    markdown = report.leaderboard_markdown(found, "ferry")
    assert f"{np.mean(bits):.3f} ± {np.std(bits, ddof=1):.3f}" in markdown
    assert outcome.scorer_of(outcome.runs[2]).about["seed"] == 2


def test_more_seeds_later_keep_the_first(tmp_path):
    rows = [("rnn-scratch", "rnn", "char", TINY)]
    logs = [Log(), Log()]
    measure_suite(suite_of(*rows), tmp_path, watch=logs[0])
    measure_suite(suite_of(*rows, seeds=(0, 1)), tmp_path, watch=logs[1])
    assert [log.fresh for log in logs] == [["rnn"], ["rnn"]]
    assert load_run(tmp_path / "scores" / "ferry" / "rnn@1.npz").seed == 1


def seeds_by_label(suite):
    found = {}
    for cell in cells_of(suite, FERRY):
        found.setdefault(cell.label, []).append((cell.seed, *(part.seed for part in cell.components)))
    return found


def test_seeds_are_for_what_depends_on_them():
    rows = [
        ModelSpec("bigram"),
        ModelSpec("rnn-scratch", "a", options=TINY),
        ModelSpec("rnn-scratch", "b", options=TINY, seeds=(5,)),
        ModelSpec("mixture", "counts", options={"of": ["bigram", "bigram2"]}),
        ModelSpec("mixture", "both", options={"of": ["bigram", "a"]}),
        ModelSpec("mixture", "three", options={"of": ["a", "b", "bigram"]}, seeds=(1, 5)),
    ]
    rows.insert(1, ModelSpec("bigram", "bigram2"))
    suite = Suite(name="s", corpora=[FERRY], models=rows, seeds=(0, 1))
    assert seeds_by_label(suite) == {
        "bigram": [(0,)],
        "bigram2": [(0,)],
        "a": [(0,), (1,)],
        "b": [(5,)],
        "counts": [(0, 0, 0)],
        "both": [(0, 0, 0), (1, 0, 1)],
        "three": [(1, 1, 5, 0), (5, 0, 5, 0)],
    }
    two = suite.narrowed([], ["b", "bigram"], 7, 2)
    assert seeds_by_label(two) == {"bigram": [(7,)], "b": [(7,), (8,)]}


def test_seeds_in_a_suite_are_a_number_or_a_list(tmp_path):
    path = tmp_path / "s.toml"
    text = "name = 's'\ncorpora = ['ptb']\nseeds = 2\n[[models]]\nmodel = 'lstm'\nseeds = {}\n"
    path.write_text(text.format("3"))
    suite = load_suite(str(path))
    assert (suite.seeds, suite.models[0].seeds) == ((0, 1), (0, 1, 2))
    path.write_text(to_toml(suite))
    assert load_suite(str(path)) == suite
    for wrong, said in (("0", "1 to 1000"), ("[1, 1]", "twice"), ("'a'", "seeds"), ("true", "seeds")):
        path.write_text(text.format(wrong))
        with pytest.raises(InputError, match=f"s.toml.*{said}"):
            load_suite(str(path))


@dataclass(kw_only=True, eq=False)
class Secretive(Uniform):
    """Draws, and does not say so."""

    def _fit(self, train, valid, rng, monitor):
        rng.random()


def test_a_fit_that_draws_in_secret_is_noted(ferry):
    assert "seeded=True" in evaluate(Secretive(), ferry).facts.notes[0]
    assert evaluate(Uniform(), ferry).facts.notes == []
