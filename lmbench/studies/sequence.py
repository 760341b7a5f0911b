"""How far ahead can a sequence be predicted? (Dive into Deep Learning, 8.1)

A noisy sine, x_t = sin(0.01 t) + 0.2 N(0, 1) for t = 1..1000, or a column of the user's own. Models learn from the first
60% to predict one step; they predict k steps by taking their own predictions for what they have not seen.
"""

from __future__ import annotations

import csv as csv_files
import io
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from lmbench.charts.chart import Chart, Panel, Series
from lmbench.corpora.corpus import Corpus
from lmbench.errors import InputError
from lmbench.models.monitor import Monitor
from lmbench.storage.files import read_text
from lmbench.studies.study import Study, at_least, small_torch

LENGTH, TRAIN = 1000, 600
STEP = 0.01  # radians a step
STEPS = (1, 4, 16, 64)
TAUS = (4, 16, 64)
SEEDS = 5
HIDDEN = 10
LATENT = 16  # units of the recurrent model's state
WINDOW = 64  # steps that its gradients go back

# A predictor takes values up to the origins and gives the next ``ahead`` ones:
# (series (T,), origins (B,) how many values are known, ahead) -> (B, ahead)
Predictor = Callable[[np.ndarray, np.ndarray, int], np.ndarray]


def run(
    corpus: Corpus | None,
    *,
    seed: int = 0,
    full: bool = False,
    monitor: Monitor,
    csv: str | None = None,
    column: str | None = None,
    noise: float = 0.2,
) -> Study:
    """The corpus is not used. csv, column: a file and the name of a column of numbers in place of the sine.

    noise: standard deviation of the sine's noise. full: 20 seeds (noise and weights) in place of 5.
    """
    seeds = 4 * SEEDS if full else SEEDS
    given = None if csv is None else read_column(csv, column)
    name = "the noisy sine" if given is None else f"column {column or 'one'} of {csv}"
    length = LENGTH if given is None else len(given)
    train = length * TRAIN // LENGTH
    steps = [k for k in STEPS if 4 * k <= length - train]
    errors: dict[str, list[list[float]]] = {}
    first: tuple[np.ndarray, dict[str, Predictor]] | None = None
    for number in range(seeds):
        rng = np.random.default_rng([seed, number])
        x = _sine(length) + noise * rng.standard_normal(length) if given is None else given
        predictors = fitted_predictors(x, train, rng, monitor, number, seeds, given is None)
        first = first or (x, predictors)
        for label, row in _errors(x, predictors, train, steps, given is None).items():
            errors.setdefault(label, []).append(row)
    assert first is not None
    table = _table(errors, steps, length - train, seeds)
    charts = [
        _book_chart(*first, train, steps, name),
        _error_chart(table, noise if given is None else None, name),
    ]
    return Study.of(table, charts, _sentences(table, steps, length - train, name), {"noise": noise})


def _sine(length: int) -> np.ndarray:
    """(length,) without noise."""
    return np.asarray(np.sin(STEP * np.arange(1, length + 1)))


def _errors(
    x: np.ndarray, predictors: dict[str, Predictor], train: int, steps: Sequence[int], sine: bool
) -> dict[str, list[float]]:
    """label: root mean squared errors for each of ``steps``, over the same targets, and of a free run to the end."""
    targets = np.arange(train + steps[-1], len(x))
    rows = {}
    for label, predict in predictors.items():
        rows[label] = [rmse(predict(x, targets - k + 1, k)[:, -1], x[targets]) for k in steps]
        rows[label].append(rmse(predict(x, np.array([train]), len(x) - train)[0], x[train:]))
    if sine:
        clean = _sine(len(x))
        rows[FLOOR] = [rmse(clean[targets], x[targets])] * len(steps) + [rmse(clean[train:], x[train:])]
    return rows


def _table(errors: dict[str, list[list[float]]], steps: Sequence[int], free: int, seeds: int) -> Any:
    """A row a model and task: mean and deviation over the seeds."""
    import pandas as pd

    tasks = [*(("k steps ahead", k) for k in steps), ("free run", free)]
    rows = []
    for label, of_seeds in errors.items():
        for (task, k), values in zip(tasks, np.transpose(of_seeds), strict=True):
            row = {"model": label, "task": task, "k": k, "rmse": float(np.mean(values))}
            rows.append(row | {"rmse_sd": float(np.std(values, ddof=1)), "seeds": seeds})
    return pd.DataFrame(rows)


FLOOR = "the signal itself"
TODAY = "tomorrow as today"
RECURRENCE = "AR(2) recurrence"


def read_column(path: str, column: str | None) -> np.ndarray:
    """(T,) float64, T ≥ 200: a column of a CSV file with a header. Raises InputError with the line that is wrong."""
    rows = list(csv_files.reader(io.StringIO(read_text(path))))
    header = [name.strip() for name in rows[0]] if rows else []
    if column is None:
        if len(header) != 1:
            raise InputError(f"{path} has columns {', '.join(header)}; name one with --column")
        column = header[0]
    if column not in header:
        raise InputError(f"{path} has no column {column!r}; its columns are {', '.join(header)}")
    values = []
    for number, row in enumerate(rows[1:], 2):
        if not row:
            continue
        try:
            values.append(float(row[header.index(column)]))
        except (ValueError, IndexError):
            raise InputError(f"{path}, line {number}: column {column} does not hold a number") from None
        if not np.isfinite(values[-1]):
            raise InputError(
                f"{path}, line {number}: {values[-1]} in column {column}; fill or drop such lines"
            )
    at_least(f"values in column {column}", len(values), 200)
    return np.array(values)


def rmse(predicted: np.ndarray, truth: np.ndarray) -> float:
    with np.errstate(over="ignore"):
        return float(min(np.sqrt(np.mean((predicted - truth) ** 2)), 1e300))


# Models --------------------------------------------------------------------------------------------


def fitted_predictors(
    x: np.ndarray,
    train: int,
    rng: np.random.Generator,
    monitor: Monitor,
    done: int,
    seeds: int,
    sine: bool,
) -> dict[str, Predictor]:
    """label: predictor, each fitted to the first ``train`` values (scaled to mean 0, deviation 1 for a user's column)."""
    mean, scale = (0.0, 1.0) if sine else (float(x[:train].mean()), float(x[:train].std()) or 1.0)
    z = (x[:train] - mean) / scale
    taus = [tau for tau in TAUS if 4 * tau <= train]
    predictors: dict[str, Predictor] = {
        TODAY: lambda s, origin, k: np.repeat(s[origin - 1][:, None], k, axis=1)
    }
    if sine:
        twice = 2 * np.cos(STEP)  # sin(a + d) = 2 cos(d) sin(a) - sin(a - d)
        predictors[RECURRENCE] = autoregressive(lambda w: twice * w[:, -1] - w[:, -2], 2)
    for i, tau in enumerate(taus):
        monitor.progress(done + i / (len(taus) + 1), seeds, f"seed {done + 1}, τ = {tau}")
        windows = np.lib.stride_tricks.sliding_window_view(z, tau + 1)
        predictors[f"linear, τ = {tau}"] = scaled(autoregressive(_linear(windows), tau), mean, scale)
        predictors[f"MLP, τ = {tau}"] = scaled(autoregressive(_mlp(windows, rng), tau), mean, scale)
    monitor.progress(done + len(taus) / (len(taus) + 1), seeds, f"seed {done + 1}, latent state")
    predictors["RNN (latent state)"] = scaled(_recurrent(z, rng), mean, scale)
    return predictors


def autoregressive(step: Callable[[np.ndarray], np.ndarray], tau: int) -> Predictor:
    """step: (B, tau) -> (B,) the next value of each window; further ones follow from its own predictions."""

    def predict(series: np.ndarray, origins: np.ndarray, ahead: int) -> np.ndarray:
        window = np.stack([series[origins - tau + i] for i in range(tau)], axis=1)
        with np.errstate(over="ignore", invalid="ignore"):
            for _ in range(ahead):
                window = np.concatenate([window, step(window[:, -tau:])[:, None]], axis=1)
        return window[:, tau:]

    return predict


def scaled(predict: Predictor, mean: float, scale: float) -> Predictor:
    return lambda s, origin, k: predict((s - mean) / scale, origin, k) * scale + mean


def _linear(windows: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Least squares with a constant."""
    design = np.column_stack([windows[:, :-1], np.ones(len(windows))])
    weights = np.linalg.lstsq(design, windows[:, -1], rcond=None)[0]
    return lambda w: w @ weights[:-1] + weights[-1]


def _mlp(windows: np.ndarray, rng: np.random.Generator) -> Callable[[np.ndarray], np.ndarray]:
    """The book's network: τ–10–1, ReLU, Xavier, squared loss, Adam 0.01, minibatches of 16, 5 epochs."""
    import torch
    from torch import nn

    with small_torch(rng):
        hidden, out = nn.Linear(windows.shape[1] - 1, HIDDEN), nn.Linear(HIDDEN, 1)
        for layer in (hidden, out):
            nn.init.xavier_uniform_(layer.weight)
        net = nn.Sequential(hidden, nn.ReLU(), out)
        data = torch.tensor(windows, dtype=torch.float32)
        optimiser = torch.optim.Adam(net.parameters(), lr=0.01)
        for _ in range(5):
            for rows in np.array_split(rng.permutation(len(data)), max(1, len(data) // 16)):
                batch = data[rows]
                loss = ((net(batch[:, :-1])[:, 0] - batch[:, -1]) ** 2).mean()
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
    first, bias, second, last = (p.detach().double().numpy() for p in net.parameters())
    return lambda w: np.maximum(w @ first.T + bias, 0) @ second[0] + last[0]


def _recurrent(z: np.ndarray, rng: np.random.Generator) -> Predictor:
    """h_t = tanh(W_x x_t + W_h h_{t-1} + b), x̂_{t+1} = v · h_t + c: the latent autoregressive model of 8.1.2.

    Trained on windows of 64 steps drawn at random, the state started at 0, by Adam 0.01 on squared loss.
    """
    import torch
    from torch import nn

    window = min(WINDOW, len(z) // 2)
    with small_torch(rng):
        cell, out = nn.RNN(1, LATENT), nn.Linear(LATENT, 1)
        data = torch.tensor(z, dtype=torch.float32)
        optimiser = torch.optim.Adam([*cell.parameters(), *out.parameters()], lr=0.01)
        for _ in range(200):
            starts = rng.integers(0, len(z) - window, size=16)
            batch = data[torch.as_tensor(starts[None, :] + np.arange(window + 1)[:, None])]
            states, _ = cell(batch[:-1, :, None])
            loss = ((out(states)[..., 0] - batch[1:]) ** 2).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()

    w_x, w_h, b_x, b_h, v, c = (p.detach().double().numpy() for p in [*cell.parameters(), *out.parameters()])

    def advance(state: np.ndarray, value: np.ndarray) -> np.ndarray:
        return np.tanh(value[:, None] * w_x[:, 0] + state @ w_h.T + b_x + b_h)

    def predict(series: np.ndarray, origins: np.ndarray, ahead: int) -> np.ndarray:
        state = np.zeros((1, LATENT))
        states = []
        for value in series[: origins.max()]:
            state = advance(state, value[None])
            states.append(state[0])
        now = np.stack(states)[origins - 1]
        predictions = []
        for _ in range(ahead):
            predictions.append(now @ v[0] + c[0])
            now = advance(now, predictions[-1])
        return np.stack(predictions, axis=1)

    return predict


# What is shown -------------------------------------------------------------------------------------


def _book_chart(
    x: np.ndarray, predictors: dict[str, Predictor], train: int, steps: Sequence[int], name: str
) -> Chart:
    label = next(k for k in predictors if k.startswith("MLP"))
    predict, tau = predictors[label], int(label.split()[-1])
    t = np.arange(1, len(x) + 1)
    origins = np.arange(tau, len(x))
    free = predict(x, np.array([train]), len(x) - train)[0]
    data = Series("data", t.tolist(), x.tolist(), "points", key="")
    left = [
        data,
        Series("one step", t[origins].tolist(), predict(x, origins, 1)[:, 0].tolist(), "line"),
        Series(f"free run from {train}", t[train:].tolist(), free.tolist(), "line"),
    ]
    right = [data]
    for k in sorted(steps, reverse=True):  # the nearest on top
        origins_of_k = np.arange(tau, len(x) - k + 1)
        right.append(
            Series(
                f"k = {k}",
                t[origins_of_k + k - 1].tolist(),
                predict(x, origins_of_k, k)[:, -1].tolist(),
                "line",
            )
        )
    fold = [(float(train), "training ends")]
    later = np.arange(train + steps[-1], len(x))
    one, far = (rmse(predict(x, later - k + 1, k)[:, -1], x[later]) for k in (1, steps[-1]))
    grown = far / one if one else float("inf")
    return Chart(
        "sequence",
        f"The {label} network on {name}: predictions of the next value, of its own course from step {train} on, and k "
        "steps ahead.",
        [
            Panel(
                "One step ahead it follows; left to itself it stalls"
                if _stalls(free, x[train:])
                else "One step and free run",
                "step t",
                "x",
                left,
                vertical=fold,
            ),
            Panel(
                f"{steps[-1]} steps ahead the error is {grown:.1f} times that of one",
                "step t",
                "x",
                right,
                vertical=fold,
            ),
        ],
        same_scales=True,
    )


def _stalls(free: np.ndarray, truth: np.ndarray) -> bool:
    """Whether a free run hardly moves where the truth does."""
    return bool(free[len(free) // 2 :].std() < truth[len(truth) // 2 :].std() / 5)


def _error_chart(table: Any, noise: float | None, name: str) -> Chart:
    panels: dict[str, list[Series]] = {"linear": [], "networks": []}
    ahead = table[table["task"] == "k steps ahead"]
    best: dict[str, tuple[float, str]] = {}
    for label, rows in ahead.groupby("model", sort=False):
        if label == FLOOR:
            continue
        mean, sd = rows["rmse"], rows["rmse_sd"]
        band = rows.assign(low=(mean - sd).clip(lower=mean / 3), high=mean + sd)
        series = Series.of(str(label), band, "k", "rmse", band=("low", "high"))
        network = str(label).startswith(("MLP", "RNN"))
        kinds = [
            kind for kind, fits in (("networks", network or label == TODAY), ("linear", not network)) if fits
        ]
        for kind in kinds:
            panels[kind].append(series)
            if label != TODAY:
                best[kind] = min(best.get(kind, (float("inf"), "")), (float(mean.iloc[-1]), str(label)))
    floor = [(noise, "noise floor")] if noise else []
    far = int(ahead["k"].max())
    return Chart(
        "sequence-error",
        f"Error against how many steps ahead, on the part of {name} that was not learnt from (bands: ± 1 sd over seeds). "
        "Left: linear models. Right: networks.",
        [
            Panel(
                f"{far} steps ahead the best {what}: {best[kind][1].removeprefix('linear, ')}",
                "steps ahead k",
                "root mean squared error",
                panels[kind],
                "log",
                "log",
                horizontal=floor,
            )
            for kind, what in (("linear", "linear model"), ("networks", "network"))
        ],
        same_scales=True,
    )


def _sentences(table: Any, steps: Sequence[int], free: int, name: str) -> list[str]:
    def of(model: str, k: int) -> tuple[float, float]:
        row = table[(table["model"] == model) & (table["k"] == k)].iloc[0]
        return float(row["rmse"]), float(row["rmse_sd"])

    models = [m for m in table["model"].unique() if m != FLOOR]
    far = steps[-1]
    best = {k: min(models, key=lambda m: of(m, k)[0]) for k in (1, far, free)}
    floor = f", where the noise alone is {of(FLOOR, 1)[0]:.3f}" if FLOOR in table["model"].to_numpy() else ""
    mlp = next(m for m in models if m.startswith("MLP"))
    grown = of(mlp, far)[0] / of(mlp, 1)[0]
    sentences = [
        f"One step ahead on {name}, {best[1]} errs least: {of(best[1], 1)[0]:.3f} ± {of(best[1], 1)[1]:.3f} over seeds, against "
        f"{of(TODAY, 1)[0]:.3f} for tomorrow as today{floor}.",
        f"The book's network ({mlp}) errs {of(mlp, 1)[0]:.3f} one step ahead and {of(mlp, far)[0]:.3f} {far} steps ahead, "
        f"{grown:.1f} times as much; there {best[far]} is best with {of(best[far], far)[0]:.3f}.",
        f"Run free for {free} steps, {mlp} errs {of(mlp, free)[0]:.3f} ± {of(mlp, free)[1]:.3f}, the model with a latent state "
        f"{of('RNN (latent state)', free)[0]:.3f}, and the best, {best[free]}, {of(best[free], free)[0]:.3f}.",
    ]
    if RECURRENCE in models:
        sentences.append(
            f"The recurrence x_t = 2 cos({STEP}) x_(t-1) - x_(t-2), exact without noise, passes it on with √5 times its size: it "
            f"errs {of(RECURRENCE, 1)[0]:.3f} one step ahead and {of(RECURRENCE, far)[0]:.1f} {far} steps ahead."
        )
    return sentences
