"""Two processes that train one network: the weights of one process, written once."""

import os
import subprocess
import sys

import numpy as np
import pytest
from paths import ROOT

from lmbench.cli import main
from lmbench.scoring.scorer import Scorer

OPTIONS = [
    "hidden=12",
    "batch=7",
    "steps=9",
    "epochs=2",
    "dropout=0",
    "weight_drop=0",
    "direct=2",
    "arithmetic=float32",
    "device=cpu",
]
FIT = ["fit", "--model", "lstm", "--unit", "char", *(word for option in OPTIONS for word in ("-o", option))]


@pytest.fixture
def text(tmp_path):
    rng = np.random.default_rng(3)
    words = [f"w{i}" for i in range(20)]
    lines = [" ".join(rng.choice(words, size=int(rng.integers(1, 9)))) for _ in range(150)]
    (tmp_path / "train.txt").write_text("\n".join(lines[:130]) + "\n")
    (tmp_path / "valid.txt").write_text("\n".join(lines[130:]) + "\n")
    return ["--train", str(tmp_path / "train.txt"), "--valid", str(tmp_path / "valid.txt")]


@pytest.mark.parametrize("documents", ["stream", "line"])
def test_two_processes_learn_what_one_does(tmp_path, text, documents):
    command = [*FIT, *text, "--documents", documents, "--save"]
    assert main([*command, str(tmp_path / "one"), "--quiet"]) == 0
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    made = subprocess.run(
        [*torchrun, "-m", "lmbench", *command, str(tmp_path / "two")],
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert made.returncode == 0, made.stderr
    assert made.stdout.count("fitted in") == 1
    one, two = (Scorer.load(tmp_path / name).model for name in ("one", "two"))
    assert [record["valid_bits"] for record in two.history] == pytest.approx(
        [record["valid_bits"] for record in one.history], abs=1e-6
    )
    for name, weights in one.state().items():
        assert np.allclose(two.state()[name], weights, rtol=0, atol=1e-6), name
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "train.txt", "two", "valid.txt"]


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ([*FIT, "-o", "time_limit=5", "--save", "m"], "time_limit is of one process"),
        (["run", "default"], "torchrun is for `lmbench fit`"),
    ],
)
def test_what_several_processes_cannot_is_one_line(tmp_path, text, monkeypatch, capsys, command, told):
    from lmbench.models.neural import training

    class Two(training.Ranks):
        def __init__(self):
            self.number, self.count = 0, 2

    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr(training, "Ranks", Two)
    monkeypatch.chdir(tmp_path)
    assert main([*command, *(text if command[0] == "fit" else [])]) == 2
    assert told in capsys.readouterr().err
