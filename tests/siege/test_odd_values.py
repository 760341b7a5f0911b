"""Values that nobody thought of, in command lines, options and files: what trying all of them (``exhaustive.py``) has shown."""

import contextlib
import io
import json
import os

import numpy as np
import pytest
import torch
from good_files import archive
from paths import GOLDEN

from lmbench.bench.suite_file import load_suite
from lmbench.cli import main
from lmbench.comparing.power import needs
from lmbench.corpora.corpus import Corpus
from lmbench.errors import InputError, number_of
from lmbench.models import make_model
from lmbench.models.shared_fit import SharedFit
from lmbench.models.smoothing.arpa_file import read_arpa
from lmbench.report.axis import Axis
from lmbench.results.file import read_results
from lmbench.scoring.generation import shape_distribution
from lmbench.scoring.harness_tasks import read_judged
from lmbench.scoring.samples_file import samples_scores
from lmbench.scoring.scorer import Scorer
from lmbench.storage.archived import archived_arrays
from lmbench.storage.files import read_bytes, read_text
from lmbench.storage.mapped import open_arrays, write_arrays
from lmbench.storage.unpacking import zip_archive
from lmbench.studies.answers import read_study
from lmbench.text.vocab import Lexicon, Vocab

TEXT = str(GOLDEN / "ferry.train.txt")


# Of command lines --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("argv", "remedy"),
    [
        (["score", "--model", "uniform", "--train", TEXT, "--tokens", "x/" * 2500], "name another file"),
        (["score", "--each", "y" * 500], "(see `lmbench score --help`)"),
    ],
)
def test_a_refusal_has_at_most_299_characters_and_keeps_its_remedy(argv, remedy, capsys):
    assert main(argv) == 2
    said = capsys.readouterr().err.splitlines()[-1].removeprefix("lmbench: ")
    assert len(said) == 299
    assert said.endswith(remedy)


@pytest.mark.parametrize(
    "read", [read_text, read_bytes, read_arpa, lambda name: Lexicon(file=name).of(Vocab(), "word")]
)
def test_what_no_file_is_called_is_refused(read):
    with pytest.raises(InputError, match=r"^'a\\x00b' is no file's name: "):
        read("a\0b")


def test_an_unknown_token_that_goes_on_in_the_next_line_is_refused(capsys):
    argv = ["score", "--model", "bigram", "-o", "eps=1,1", "--train", TEXT, "--unit", "word"]
    assert main([*argv, "--unk", "\ne"]) == 2
    assert "unk='\\ne' holds a line feed" in capsys.readouterr().err
    assert main([*argv, "--unk", "\n"]) == 0


def test_the_standard_input_is_read_once(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"the tide waits\n" * 20)))
    assert read_text("-").startswith("the tide")
    (tmp_path / "s.toml").write_text(
        "name = 's'\n[[corpora]]\nname = 't'\ntrain = '-'\n[[models]]\nmodel = 'uniform'\n"
    )
    assert main(["run", str(tmp_path / "s.toml"), "--out", str(tmp_path / "r")]) == 2
    assert "has been read already" in capsys.readouterr().err


@pytest.mark.parametrize("truth", [-(2.0**63), 2.0**63, -1e100, 0.0])
def test_an_axis_is_drawn_around_any_number(truth):
    axis = Axis([], truth)
    assert axis.low < truth < axis.high
    assert "nan" not in axis.head()


def test_a_temperature_of_next_to_nothing_is_that_of_the_likeliest():
    shaped = shape_distribution(np.log([0.2, 0.5, 0.3]), 1e-320)
    assert shaped.tolist() == [0, 1, 0]


def test_a_difference_that_no_text_resolves_is_refused():
    for difference in (0.0, 1e-320, 1e-10, float("nan")):
        with pytest.raises(InputError, match="from 1e-09 on"):
            needs([], Corpus.of(TEXT).text("test"), difference)


@pytest.mark.parametrize("said", ["x", "-1", "1e308", "0.5", "\u0663", "9" * 5000])
def test_a_variable_that_is_no_number_is_refused(said, monkeypatch, capsys):
    monkeypatch.setenv("WORLD_SIZE", said)
    assert main(["run", "nothing.toml"]) == 2
    assert "WORLD_SIZE=" in capsys.readouterr().err
    monkeypatch.setenv("WORLD_SIZE", "")
    assert number_of("WORLD_SIZE", 1) == 1


def test_options_that_are_empty_lists_or_beyond_counting(tmp_path):
    corpus = Corpus.of(TEXT)
    kept = [Scorer.fit(make_model("kneser-ney", prune=prune), corpus, "word") for prune in ((), (0,))]
    first, other = (scorer.score(corpus.text("test")).log_probs for scorer in kept)
    np.testing.assert_array_equal(first, other)
    for name, options in (
        ("jelinek-mercer", {"buckets": 2**31}),
        ("katz", {"cutoff": 2**31}),
        ("lstm", {"embedding": -1}),
        ("lstm", {"lr": 1e308}),
        ("mingru", {"widening": 1e-320}),
        ("rnn-scratch", {"dynamic": 1e308}),
        ("rnn-scratch", {"context": f"fixed:{'9' * 5000}"}),
        ("arpa", {"file": "a\0b"}),
        ("arpa", {"file": "\ud800"}),
    ):
        with pytest.raises(InputError):
            Scorer.fit(make_model(name, **options), corpus, "word")


@pytest.mark.parametrize("number", ["9" * 5000, "0x" + "f" * 5000, "[1, {a = 0x" + "1" * 2000 + "}]"])
def test_numbers_of_thousands_of_digits_are_refused(number, tmp_path, capsys):
    """Which Python neither reads nor prints."""
    (tmp_path / "s.toml").write_text(f"name = 's'\nseeds = {number}\n")
    for read in (Corpus.of, load_suite):
        with pytest.raises(InputError, match="more than a thousand digits"):
            read(str(tmp_path / "s.toml"))
    (tmp_path / "c.tsv").write_text(f"the\t{'9' * 5000}\n")
    (tmp_path / "log").write_text(
        f"calculating perplexity over {'9' * 5000} chunks, n_ctx=1\nFinal estimate: PPL = 1\n"
    )
    for line in (
        f"counts --counts {tmp_path}/c.tsv --out o",
        f"score --scores {tmp_path}/log --test {TEXT}",
        f"run {tmp_path}/s.toml --verify {'9' * 5000}",
    ):
        assert main(line.split()) == 2
    assert "n_ctx tokens" in capsys.readouterr().err


# Of files ----------------------------------------------------------------------------------------------------


def test_a_device_has_no_end_and_is_not_read():
    for device in ("/dev/zero", "/dev/full"):
        with pytest.raises(InputError, match="is a device, which may have no end"):
            read_text(device)


def test_pipes_that_nobody_writes_into_are_not_waited_for(tmp_path):
    for name in ("s.toml", "study.json", "scores.npz"):
        os.mkfifo(tmp_path / name)
    with pytest.raises(InputError, match="no ordinary file"):
        load_suite(str(tmp_path / "s.toml"))
    assert read_study(tmp_path / "study.json", "key") is None
    with pytest.raises(ValueError, match="no ordinary file"):
        archived_arrays(tmp_path / "scores.npz")


def test_results_of_an_earlier_version_with_numbers_beyond_reading(tmp_path):
    name = f"share_of_test_{'9' * 5000}_grams_of_words_seen_in_train"
    corpus = {"name": "t", "contamination": {name: 0.5, "share_of_test_3_grams_of_words_seen_in_train": 0.25}}
    (tmp_path / "results.json").write_text(
        json.dumps({"schema_version": 1, "suite": "s", "corpora": [corpus], "results": [], "over_seeds": []})
    )
    (overlap,) = read_results(tmp_path).corpora[0].contamination
    assert (overlap.length, overlap.share) == (3, 0.25)


@pytest.mark.parametrize("number", ["1e400", "9" * 400])
def test_samples_with_numbers_beyond_reading_are_refused(number, tmp_path):
    row = f'{{"doc_id": {number}, "doc": {{}}, "acc": 1, "arguments": [["a\\n"]], "resps": [[-{number}]]}}\n'
    (tmp_path / "s.jsonl").write_text(row * 2 if number == "1e400" else row)
    with pytest.raises(InputError, match="line 1"):
        samples_scores(tmp_path / "s.jsonl", Corpus.of("golden-mean").text("test"))
    if number == "1e400":
        with pytest.raises(InputError, match="line 1 is no row"):
            read_judged(tmp_path / "s.jsonl")


def test_an_archive_whose_members_begin_before_it_is_damaged():
    packed, _ = archive()
    for at in range(packed.index(b"PK\x05\x06"), len(packed)):
        damaged = packed[:at] + b"\xff" + packed[at + 1 :]
        with contextlib.suppress(InputError), zip_archive(io.BytesIO(damaged), "z.zip") as opened:
            for name in opened.namelist():
                opened.read(name)


# What a stopped run leaves -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [{"notes": 3}, {"notes": None}, {"seconds": -1}, {"history": "x"}, {"random": "{"}, {"random": "[1]"}, {"random": '{"a": 1}'}],
)  # fmt: skip
def test_a_fit_that_is_shared_and_damaged_is_done_anew(wrong, tmp_path):
    corpus = Corpus.of(TEXT)
    fitted = Scorer.fit(make_model("rnn-scratch", hidden=2, epochs=1), corpus, "char").model
    shared, rng = SharedFit(tmp_path / "fit", "key", "rnn"), np.random.default_rng(1)
    shared.keep(fitted, rng, 1.0)
    model = make_model("rnn-scratch", hidden=2, epochs=1)
    model.vocab_size = fitted.vocab_size
    assert shared.take(model, np.random.default_rng(2))
    facts, arrays = open_arrays(tmp_path / "fit")
    write_arrays(tmp_path / "fit", {k: v.all() for k, v in arrays.items()}, {**facts, **wrong})
    after = np.random.default_rng(2)
    assert not shared.take(model, after)
    assert after.random() == np.random.default_rng(2).random()


@pytest.mark.parametrize("number", [np.nan, -np.inf, 3e38])
def test_a_fit_that_is_shared_and_has_learnt_no_numbers_is_done_anew(number, tmp_path):
    fitted = Scorer.fit(make_model("rnn-scratch", hidden=2, epochs=1), Corpus.of(TEXT), "char").model
    with torch.no_grad():
        fitted.network.W_hq[1, 2] = number
    shared, model = SharedFit(tmp_path / "fit", "key", "rnn"), make_model("rnn-scratch", hidden=2, epochs=1)
    shared.keep(fitted, np.random.default_rng(1), 1.0)
    model.vocab_size = fitted.vocab_size
    assert not shared.take(model, np.random.default_rng(2))
