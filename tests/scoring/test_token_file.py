"""Scores from other programs: checked against the text, compared with models, never ranked."""

import csv
import json

import numpy as np
import pytest
from paths import GOLDEN

import lmbench as lb
from lmbench.bench.runner import measure_suite
from lmbench.bench.suite import CorpusSpec, ExternalSpec, ModelSpec, Suite
from lmbench.bench.suite_file import load_suite, to_toml
from lmbench.cli import main
from lmbench.errors import InputError
from lmbench.models import make_model
from lmbench.report.ranking import rows
from lmbench.scoring.token_file import external_run
from lmbench.text.canonical import canonical_text

TRAIN, TEST = str(GOLDEN / "ferry.train.txt"), str(GOLDEN / "ferry.test.txt")
FERRY = CorpusSpec("ferry", documents="line", train=TRAIN, test=TEST)


def corpus_of(test, documents="stream"):
    texts = [canonical_text([raw], "none", documents) for raw in ("a bc\na bc d\n", test)]
    return lb.Corpus("small", texts[0], None, texts[1], "none", documents)


def table(path, *lines, header="start\tend\ttoken\tlog_prob\toov"):
    path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize("unit", ["char", "word", "byte"])
def test_what_score_writes_is_read_back_to_the_same_bits(tmp_path, unit, capsys):
    file = tmp_path / "mine.tsv"
    argv = ["score", "--model", "bigram", "--train", TRAIN, "--test", TEST, "--documents", "line", "--json"]
    assert main([*argv, "--unit", unit, "--tokens", str(file)]) == 0
    corpus = FERRY.load()
    whole = lb.Corpus.from_files(TRAIN, None, TEST, documents="line", name="ferry")
    model = lb.evaluate(make_model("bigram"), whole, unit)
    read = external_run(file, corpus)
    assert read.label == "mine"
    assert np.array_equal(read.scores.log_probs, model.scores.log_probs)
    assert np.array_equal(read.scores.ends, model.scores.ends)
    assert np.array_equal(read.scores.starts, model.scores.starts)
    assert np.array_equal(read.scores.spelling, model.scores.spelling)
    assert read.scores.bits_per_char == model.scores.bits_per_char
    assert model.scores.oov.any() == (unit == "word")  # so that something was spelled
    # The columns alone say the figure that the command prints.
    rows = list(csv.DictReader(file.open(encoding="utf-8"), delimiter="\t", quoting=csv.QUOTE_NONE))
    nats = sum(float(row["log_prob"]) + float(row["spelling"]) for row in rows)
    printed = json.loads(capsys.readouterr().out)["bits_per_char"]
    assert -nats / np.log(2) / printed == pytest.approx(int(rows[-1]["end"]))


def test_unknown_words_without_a_spelling_of_their_own_are_spelled_here(tmp_path):
    # Without knowing which words the program's vocabulary holds: dearer than with it, never cheaper.
    model = lb.evaluate(
        make_model("bigram"), lb.Corpus.from_files(TRAIN, None, TEST, documents="line"), "word"
    )
    ends, nats, oov = model.scores.ends, model.scores.log_probs, model.scores.oov.astype(int)
    rows = zip(
        model.scores.starts_of_tokens.tolist(), ends.tolist(), nats.tolist(), oov.tolist(), strict=True
    )
    lines = [f"{start}\t{end}\t\t{nats}\t{oov}" for start, end, nats, oov in rows]
    read = external_run(table(tmp_path / "x.tsv", *lines), FERRY.load())
    assert read.scores.spelling_log_prob <= model.scores.spelling_log_prob < 0


def test_the_bits_are_those_of_the_file(tmp_path):
    # ln 1/2 twice over six characters: 2 bits / 6
    file = table(
        tmp_path / "x.tsv", f"0\t4\t\t{float(np.log(0.5))!r}\t0", f"4\t6\t d\t{float(np.log(0.5))!r}\t0"
    )
    run = external_run(file, corpus_of("a bc d"))
    assert run.scores.bits_per_char == pytest.approx(2 / 6, rel=1e-15)
    assert "sum to 1" in run.facts.unranked_reason


def test_an_own_spelling_is_taken_and_columns_may_stand_in_any_order(tmp_path):
    file = table(tmp_path / "x.tsv", "-1\t-2.5\t1\t6\t0", header="log_prob\tspelling\toov\tend\tstart")
    run = external_run(file, corpus_of("a bc d"), unit="word", vocab_size=7)
    assert run.scores.nats.tolist() == [-3.5]
    assert run.scores.oov.tolist() == [True]
    assert run.scores.vocab_size == 7


def test_characters_of_several_bytes_may_have_empty_spans(tmp_path):
    file = table(tmp_path / "x.tsv", "0\t0\t<0xC3>\t-1\t0", "0\t1\t<0xA9>\t-2\t0")
    assert external_run(file, corpus_of("é")).scores.log_prob == -3


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["0\t4\t\t-1\t0"], "end at character 4, the test text has 6"),
        (["0\t4\t\t-1\t0", "5\t6\t\t-1\t0"], "line 3: characters 5 to 6 after 4"),
        (["0\t4\t\t-1\t0", "4\t3\t\t-1\t0"], "line 3: characters 4 to 3"),
        (["0\t6\t\t0.5\t0"], "line 2: log_prob 0.5"),
        (["0\t6\t\tnan\t0"], "line 2: log_prob nan"),
        (["0\t6\t\t-inf\t0"], "line 2: log_prob -inf"),
        (["0\t6\t\tx\t0"], "line 2: log_prob 'x' is not a number"),
        (["0\t6\t\t-1\t2"], "oov 2"),
        (["0\t6.5\t\t-1\t0"], "end 6.5"),
        (["0\t4\ta bd\t-1\t0", "4\t6\t\t-1\t0"], "token 'a bd' stands where the text has 'a bc'"),
        (["0\t6\t\t-1\t1"], "more than one word"),
        (["0\t6\t-1"], "3 columns, not 5"),
        ([], "no tokens"),
    ],
)
def test_a_file_that_does_not_fit_the_text_is_refused(tmp_path, lines, said):
    with pytest.raises(InputError, match=said.replace(".", r"\.")):
        external_run(table(tmp_path / "x.tsv", *lines), corpus_of("a bc d"))


def test_a_missing_column_is_named(tmp_path):
    with pytest.raises(InputError, match="no column 'log_prob'"):
        external_run(table(tmp_path / "x.tsv", header="start\tend\tlogprob"), corpus_of("a bc d"))


def test_no_token_runs_across_documents(tmp_path):
    corpus = corpus_of("a\nbc\n", "line")
    with pytest.raises(InputError, match="begins at character 2"):
        external_run(table(tmp_path / "x.tsv", "0\t3\t\t-1\t0", "3\t5\t\t-1\t0"), corpus)
    fits = external_run(table(tmp_path / "y.tsv", "0\t2\t\t-1\t0", "2\t5\t\t-1\t0"), corpus)
    assert fits.scores.starts.tolist() == [0, 1]


def test_a_suite_compares_it_with_models_but_does_not_rank_it(tmp_path):
    file = tmp_path / "other.tsv"
    argv = ["score", "--model", "trigram", "--train", TRAIN, "--test", TEST, "--documents", "line", "--json"]
    assert main([*argv, "--tokens", str(file)]) == 0
    suite = Suite("small", [FERRY], [ModelSpec("uniform")], [ExternalSpec(str(file))])
    outcome = measure_suite(suite, tmp_path / "out")
    found, _ = outcome.results()
    assert [(row.label, row.rank) for row in rows(found, "ferry")] == [("uniform", 1), ("other", None)]
    pair = found.comparisons[0]
    assert (pair.a, pair.b) == ("uniform", "other")
    assert pair.difference_bits_per_char > 1  # a trigram and a uniform model are far apart
    assert (tmp_path / "out/scores/ferry/other.npz").is_file()
    again = load_suite(str(tmp_path / "out/suite.toml"))
    assert to_toml(again) == to_toml(suite)
    assert again.narrowed([], ["uniform"], None).external == []
    assert [r.label for r in again.narrowed([], ["other"], None).external] == ["other"]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("file = 'x.tsv'", "external.0..corpus is missing"),
        ("file = 'x.tsv'\ncorpus = 'ptc'", "external.0..corpus"),
        ("file = 'x.tsv'\ncorpus = 'ptb'\nlabel = 'uniform'", "twice"),
    ],
)
def test_a_wrong_row_of_a_suite_is_named(tmp_path, row, said):
    path = tmp_path / "s.toml"
    path.write_text(
        f"name = 's'\ncorpora = ['ptb', 'time-machine']\n[[models]]\nmodel = 'uniform'\n[[external]]\n{row}\n"
    )
    with pytest.raises(InputError, match=said):
        load_suite(str(path))
