"""The same seed gives the same bits: across jobs, threads, hash seeds and processes; networks on as many threads; other processors nearly."""

import io
import os
import subprocess
import sys

import kill
import numpy as np
import pytest
from leavings import contents, difference
from paths import ROOT

HEAD = "name = 's'\ncorpora = [{name = 't', train = 't.txt', documents = 'line'}]\nzipf_orders = []\nseeds = [3]\n"
COUNTS = """
[[models]]
model = "kneser-ney"
options = {order = 3}
[[models]]
model = "witten-bell"
unit = "word"
[[models]]
model = "cache"
[[models]]
model = "context-mixing"
[[models]]
model = "mixture"
options = {of = ["kneser-ney", "cache"]}
"""
NETWORK = """
[[models]]
model = "rnn-scratch"
options = {hidden = 8, epochs = 1}
"""
CODE = (
    "import sys; from pathlib import Path; from lmbench.bench import load_suite\n"
    "from lmbench.bench.runner import measure_suite\n"
    "if __name__ == '__main__': measure_suite(load_suite('s.toml'), Path('out'), jobs=int(sys.argv[1]))\n"
)


def left(folder, rows, jobs, threads, hashes, **more):
    """What a run of its own process leaves, times left out."""
    folder.mkdir()
    for name, text in (("t.txt", kill.TEXT), ("s.toml", HEAD + rows), ("go.py", CODE)):
        (folder / name).write_text(text)
    space = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": str(threads), "PYTHONHASHSEED": hashes}
    space["OPENBLAS_NUM_THREADS"] = "1"  # as in the command
    space |= more
    subprocess.run([sys.executable, "go.py", str(jobs)], cwd=folder, env=space, check=True, timeout=100)
    return {name: content for name, content in contents(folder).items() if name != "out/suite.toml"}


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    return left(tmp_path_factory.mktemp("first") / "run", COUNTS + NETWORK, 1, 1, "0")


def test_models_of_counts_are_the_same_bits_whatever_the_jobs_threads_and_hashes(first, tmp_path):
    again = left(tmp_path / "run", COUNTS, 2, 2, "77")
    assert len(again) == 2 * 5 + 1  # a model and its scores each, and the facts of the text
    assert difference({name: first[name] for name in again}, again) == ""


def test_with_fewer_instructions_counts_are_the_same_bits_and_scores_to_a_rounding(
    first, tmp_path, monkeypatch
):
    """As on an older processor of the same architecture, where numpy and BLAS work out logarithms and products otherwise."""
    found = np.show_config(mode="dicts")["SIMD Extensions"].get("found", [])
    monkeypatch.setenv("NPY_DISABLE_CPU_FEATURES", " ".join(found))
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Prescott")
    again = left(tmp_path / "run", COUNTS.replace('[[models]]\nmodel = "context-mixing"\n', ""), 1, 1, "0")
    assert sum(name.endswith(".npz") for name in again) == 4
    for name, content in again.items():
        if name.endswith(("kneser-ney.safetensors", "witten-bell-word.safetensors", "cache.safetensors")):
            assert content == first[name], name
        elif name.endswith(".npz"):
            (one, _), (other, _) = first[name], content
            assert one["ends.npy"] == other["ends.npy"]
            nats, others = (np.load(io.BytesIO(each["log_probs.npy"])) for each in (one, other))
            assert np.abs(nats - others).max() < 1e-12, name


def test_who_compiles_gets_the_bits_of_who_finds_it_compiled(tmp_path):
    """Sums whose order is left to a compiler come out otherwise where it sees them in other surroundings."""
    rows = '[[models]]\nmodel = "bit-mixing"\n[[models]]\nmodel = "context-mixing"\noptions = {adaptive = true}\n'
    one, other = (
        left(tmp_path / str(n), rows, 1, 1, "0", NUMBA_CACHE_DIR=str(tmp_path / "compiled")) for n in range(2)
    )
    assert list((tmp_path / "compiled").rglob("*.nbc"))
    assert difference(one, other) == ""


def test_a_network_is_the_same_bits_on_as_many_threads(first, tmp_path):
    again = left(tmp_path / "run", NETWORK, 1, 1, "5")
    scores = "out/scores/t/rnn-scratch.npz"
    assert first[scores] == again[scores]
