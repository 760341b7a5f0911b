"""The sequence study where the right answers are known: noise-free sines, straight formulas, a user's own column."""

import numpy as np
import pytest

from lmbench.errors import InputError
from lmbench.studies import run_study, sequence
from lmbench.studies.sequence import autoregressive, fitted_predictors, read_column, rmse

T = np.arange(1, 1001)


@pytest.fixture(autouse=True)
def light(monkeypatch):
    monkeypatch.setattr(sequence, "SEEDS", 2)
    monkeypatch.setattr(sequence, "TAUS", (4, 16))
    monkeypatch.setattr(sequence, "_recurrent", lambda z, rng: lambda s, at, k: np.zeros((len(at), k)))


def predictors(x):
    from lmbench.models.monitor import Monitor

    return fitted_predictors(x, 600, np.random.default_rng(0), Monitor(), 0, 1, True)


def test_without_noise_the_recurrence_is_exact_and_tomorrow_is_not_today():
    x = np.sin(0.01 * T)
    found = predictors(x)
    origins = np.arange(650, 900)
    for k in (1, 16, 64):
        truth = x[origins + k - 1]
        assert rmse(found["AR(2) recurrence"](x, origins, k)[:, -1], truth) < 1e-9
        assert rmse(found["linear, τ = 4"](x, origins, k)[:, -1], truth) < 1e-6
        # sin(a + d) - sin(a) = 2 cos(a + d / 2) sin(d / 2)
        today = found["tomorrow as today"](x, origins, k)[:, -1]
        assert truth - today == pytest.approx(2 * np.cos(0.01 * (origins + k / 2)) * np.sin(0.005 * k))


def test_with_noise_the_recurrence_multiplies_it():
    # x̂ = 2 cos(d) x_{t-1} - x_{t-2} carries 4 cos² + 1 = 5 times the variance, and the target its own.
    table = run_study("sequence", None).table.set_index(["model", "k"])["rmse"]
    assert table["AR(2) recurrence", 1] == pytest.approx(0.2 * np.sqrt(6), rel=0.1)
    assert table["the signal itself", 16] == pytest.approx(0.2, rel=0.1)  # 672 draws: ± 0.2 / √1344 = 0.005
    assert table["tomorrow as today", 1] == pytest.approx(0.2 * np.sqrt(2), rel=0.1)
    assert table["the signal itself", 1] < table["linear, τ = 16", 1] < table["tomorrow as today", 1]
    assert table["MLP, τ = 4", 1] < table["tomorrow as today", 1]


def test_predictions_use_only_what_lies_before_them():
    x = np.sin(0.01 * T) + 0.2 * np.random.default_rng(1).standard_normal(1000)
    found = predictors(x)
    changed = x.copy()
    changed[700:] += 5
    for label, predict in found.items():
        same = predict(x, np.array([700]), 20)
        assert predict(changed, np.array([700]), 20) == pytest.approx(same), label


def test_predictions_are_fed_back_step_by_step():
    double = autoregressive(lambda w: 2 * w[:, -1], 1)
    assert double(np.array([3.0, 5.0]), np.array([1, 2]), 3).tolist() == [[6, 12, 24], [10, 20, 40]]


def test_the_study_repeats_itself_for_a_seed(monkeypatch):
    monkeypatch.setattr(sequence, "TAUS", (4,))
    one, two = run_study("sequence", None, seed=3), run_study("sequence", None, seed=3)
    assert one.table.equals(two.table)
    assert one.sentences == two.sentences
    assert not one.table.equals(run_study("sequence", None, seed=4).table)


def test_the_latent_state_model_learns_a_noise_free_sine(monkeypatch):
    monkeypatch.undo()
    x = np.sin(0.3 * T)
    predict = sequence._recurrent(x[:600], np.random.default_rng(0))
    origins = np.arange(650, 900)
    today = rmse(x[origins - 1], x[origins])
    assert rmse(predict(x, origins, 1)[:, 0], x[origins]) < today / 2


def test_a_users_column(tmp_path):
    file = tmp_path / "own.csv"
    values = 50 + 10 * np.sin(0.3 * np.arange(300))
    file.write_text("day,load\n" + "".join(f"{i},{v}\n" for i, v in enumerate(values)))
    assert read_column(str(file), "load") == pytest.approx(values)
    study = run_study("sequence", None, csv=str(file), column="load")
    table = study.table.set_index(["model", "k"])["rmse"]
    assert table["linear, τ = 4", 16] < 1e-6  # a sine obeys a linear recurrence
    assert "AR(2) recurrence" not in study.table["model"].to_numpy()
    assert "load" in study.sentences[0]


@pytest.mark.parametrize(
    ("content", "column", "said"),
    [
        ("a,b\n1,2\n", None, "--column"),
        ("a,b\n1,2\n", "c", "a, b"),
        ("a\n1\nx\n", "a", "line 3"),
        ("a\n1\nnan\n", "a", "line 3"),
        ("a\n1\n2\n", "a", "200"),
    ],
)
def test_bad_columns_are_refused_with_the_place(tmp_path, content, column, said):
    file = tmp_path / "bad.csv"
    file.write_text(content)
    with pytest.raises(InputError, match=said):
        read_column(str(file), column)
