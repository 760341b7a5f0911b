"""Extremes in saved models: those that once did wrong, and one in many of the whole sweep (``sweep.py``)."""

import zlib

import fuzz
import pytest
import sweep
from readers import saved_scores
from saved_models import MODELS, saved

# Of the inputs of the sweep one in so many is tried here; of large files one in four times so many.
SHARE = 200
FOUND = {
    "uniform": ["facts/normalise='\\n'", "facts/unit='byte'", "vocab/1='\\n'"],
    "uniform-byte": ["vocab/1='\\u202e'", "vocab/15='-1'"],
    "pieces": [
        "unit.tokenizer/model/unk_token='1e-320'",
        "unit.tokenizer/model/vocab/é=2147483647",
        "unit.tokenizer/model/dropout=0.5",
        "model.backoffs.1.values first=-inf",
    ],
    "byte-pieces": ["vocab/2='fixed:1'"],
    "witten-bell": ["model.backoffs.1 first=0.0"],
    "infini-gram": ["model.settings all=-1e+300"],
    "cache": ["model.unigrams first=1.7e+308", "model.unigrams last=1.7e+308"],
    "context-mixing-adaptive": [
        "facts/reserved=7",
        "model.marks last=9223372036854775807",
        "model.weights.B all=7.5",
        "model.weights.runs all=10000.0",
    ],
    "word-char": ["model.1.state.backoffs.1 first=0.0"],
    "mixture-geometric": [
        "model.gate.values last=1.7e+308",
        "model.gate.values first=1.7e+308",
        "model.gate.mean first=1.7e+308",
    ],
    "mixture-read": [
        "model.weights all=1.7e+308",
        "model.1.about/vocab_size=128",
        "model.1.about/vocab_size=4294967296",
    ],
}


@pytest.fixture(scope="module")
def files():
    return {name: data for kind in MODELS for name, data in saved(kind).items()}


@pytest.mark.parametrize(("name", "change"), [(name, one) for name, ones in FOUND.items() for one in ones])
def test_what_once_did_wrong(files, name, change):
    (build,) = [build for found, build in sweep.swept(files[name]) if found == change]
    found = fuzz.fault(sweep.check, build(), seconds=0)
    assert found is None, found


@pytest.mark.parametrize("name", [*(name for models in MODELS.values() for name in models), "arpa"])
def test_extremes_in_a_saved_model_are_refused_or_stood(files, name, tmp_path):
    data = files[name]
    assert saved_scores(sweep.rebuilt(*sweep.opened(data)), tmp_path) == saved_scores(data, tmp_path)
    share = SHARE if len(data) < 500_000 else 4 * SHARE
    tried = 0
    for change, build in sweep.swept(data):
        if zlib.crc32(change.encode()) % share == 0:
            found = fuzz.fault(sweep.check, build(), seconds=0)
            assert found is None, f"{change}: {found}"
            tried += 1
    assert tried
