"""Suites, runs of them, and descriptions of corpora."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

import readers
from promises import assert_no_model_broke, is_folder_outside, refused
from result_kinds import TEXT

from lmbench.bench.runner import measure_suite
from lmbench.bench.suite import CorpusSpec, ModelSpec, SampleSpec, Suite
from lmbench.bench.suite_file import load_suite, to_toml
from lmbench.corpora.corpus import Corpus
from lmbench.errors import InputError

# A suite with every key there is.
FULL = """name = "full"
title = "t"
cost = "c"
worthwhile = 0.01
verify = 5
splits = 0
studies = []
zipf_orders = [1, 2]
seeds = [1, 2]
samples = {prompt = "the ", chars = 5, temperatures = [0.5, 1.0]}
external = [{file = "scores.tsv", label = "other", corpus = "t", unit = "word", vocab_size = 9}]
[[corpora]]
name = "t"
train = ["text.txt", "more.csv"]
valid = "valid.txt"
test = "scored.txt"
normalise = "whitespace"
documents = "line"
field = "text"
[[models]]
model = "kneser-ney"
label = "kn"
unit = "word"
options = {order = 2, discounts = "auto", bits = 8}
seeds = [1]
unk = "low"
vocab = "vocab.txt"
[[models]]
model = "bigram"
unit = "subword:size=40,kind=bpe,level=char"
min_count = 2
label = "pieces"
[[models]]
model = "mixture"
options = {of = ["kn", "pieces"], weights = "fixed"}
"""


def suites() -> dict[str, bytes]:
    built_in = Path(sys.modules["lmbench"].__file__ or "").parent / "suites"
    small = Suite(
        "small",
        [CorpusSpec("t", train="text.txt", valid=0.1, test=0.2, normalise="letters", documents="line")],
        [
            ModelSpec("bigram", options={"eps": [1.0, 1.0]}),
            ModelSpec("kneser-ney", "kn", "word", {"order": 3}, (1, 2)),
        ],
        seeds=(0, 1),
        splits=2,
        samples=SampleSpec(chars=40),
    )
    return {path.stem: path.read_bytes() for path in sorted(built_in.glob("*.toml"))} | {
        "small": to_toml(small).encode(),
        "full": FULL.encode(),
    }


def check_suite(data: bytes, folder: Path) -> object:
    (folder / "text.txt").write_text(TEXT)
    (folder / "vocab.txt").write_text("the\nferry\n")
    (folder / "s.toml").write_bytes(data)

    def read() -> Suite:
        suite = load_suite(str(folder / "s.toml"), trust_paths=True)
        (folder / "again.toml").write_text(to_toml(suite), encoding="utf-8")
        assert load_suite(str(folder / "again.toml"), trust_paths=True) == suite or "nan" in repr(suite)
        return suite.narrowed([], [suite.models[-1].label], 3, 2)

    with contextlib.chdir(folder):
        return refused(read)


def check_run(data: bytes, folder: Path) -> object:
    """A suite is run, where it is small enough."""
    (folder / "text.txt").write_text(TEXT)
    (folder / "s.toml").write_bytes(data)
    try:
        suite = load_suite(str(folder / "s.toml"), trust_paths=True)
    except InputError:
        return None
    small = all(
        spec.train in ("text.txt", "./text.txt") or "text.txt" in str(spec.train)
        for spec in suite.corpus_specs()
    )
    fast = all(row.model in readers.FAST for row in suite.models)
    places = [getattr(spec, part) for spec in suite.corpus_specs() for part in ("train", "valid", "test")]
    files = [file for place in places for file in (place if isinstance(place, tuple) else (place,)) if file]
    if (
        small
        and not any(is_folder_outside(str(file), folder) for file in files)
        and fast
        and suite.verify != "all"
        and suite.verify < 50
        and len(suite.seeds) < 5
        and suite.splits < 5
        and suite.samples.chars < 300
        and len(suite.samples.temperatures) < 5
        and not suite.studies
    ):
        with contextlib.chdir(folder):
            measured = refused(lambda: measure_suite(suite, folder / "run").results())
            assert_no_model_broke(folder)
            return measured
    return None


def descriptions() -> dict[str, bytes]:
    files = "title = 't'\nlicence = 'l'\nnormalise = 'letters'\ndocuments = 'line'\nvalid = 0.1\ntest = 0.2\n"
    made = {
        name: f"title = 't'\n[source]\nkind = '{name}'\nlength = 2000\nseed = 1\n{more}".encode()
        for name, more in {
            "zipf-mandelbrot": "types = 50\nalpha = 1.0\nb = 2.7\nline = 10\n",
            "markov": "order = 1\nsymbols = 4\nconcentration = 0.5\ntable = 0\n",
            "golden-mean": "p = 0.5\n",
            "even-process": "p = 0.5\n",
            "hidden-markov": "stay = 0.9\npurity = 0.85\n",
            "grammar": "clause = 0.3\n",
        }.items()
    }
    one = f"{files}[[files]]\nname = 'text.txt'\nurl = 'https://example.org/t'\nsha256 = '00'\nrole = ''\n"
    three = files + "".join(
        f"[[files]]\nname = '{part}.txt'\nrole = '{part}'\n" for part in ("train", "valid", "test")
    )
    return {
        "one": one.encode(),
        "bare": f"{files}[[files]]\nname = 'text.txt'\n".encode(),
        "three": three.encode(),
    } | made


def check_description(data: bytes, folder: Path) -> object:
    for name in ("text", "train", "valid", "test"):
        (folder / f"{name}.txt").write_text(TEXT + name)
    (folder / "d.toml").write_bytes(data)
    return refused(lambda: Corpus.of(str(folder / "d.toml")).describe())
