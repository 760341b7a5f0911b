"""The command line of the contract: what it prints, where, and with what status."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from paths import GOLDEN, ROOT

from lmbench.cli import main
from lmbench.models import MODELS

TRAIN, TEST = str(GOLDEN / "ferry.train.txt"), str(GOLDEN / "ferry.test.txt")
LINES = ["--unit", "word", "--documents", "line"]


@pytest.fixture
def call(capsys, monkeypatch, tmp_path):
    """Runs a command in an empty folder; returns status, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("LMBENCH_DATA", raising=False)

    def run(*argv):
        status = main([str(a) for a in argv])
        return status, *capsys.readouterr()

    return run


def test_score_prints_one_json_object_with_the_keys_of_the_contract(call):
    status, out, _ = call(
        "score", "--model", "kneser-ney", "-o", "order=3", "--train", TRAIN, "--test", TEST, *LINES, "--json"
    )
    found = json.loads(out)
    assert status == 0
    keys = [
        "model",
        "options",
        "unit",
        "normalise",
        "documents",
        "signature",
        "vocab_size",
        "tokens",
        "oov",
        "chars",
        "bytes",
        "words",
        "log_prob",
        "perplexity",
        "perplexity_excluding_oov",
        "spelling_log_prob",
        "bits_per_char",
        "bits_per_byte",
        "bits_per_word",
        "ci95",
        "fit_seconds",
        "score_seconds",
        "parameters",
        "model_bytes",
    ]
    assert set(keys) <= set(found)
    assert found["perplexity"] == pytest.approx(np.exp(-found["log_prob"] / found["tokens"]))
    bits = -(found["log_prob"] + found["spelling_log_prob"]) / np.log(2)
    assert found["bits_per_char"] == pytest.approx(bits / found["chars"])
    assert found["bits_per_word"] == pytest.approx(bits / found["words"])
    # KenLM's figures for this model and text (golden/kenlm.json, o3): 92 tokens, 5 unknown.
    assert (found["tokens"], found["oov"]) == (92, 5)
    # With kenlm_counts=false: the third digit.
    assert found["perplexity"] == pytest.approx(21.056582922329834, rel=1e-2)


def test_tokens_file_partitions_the_text(call, tmp_path):
    status, *_ = call(
        "score",
        "--model",
        "bigram",
        "-o",
        "eps=1",
        "--train",
        TRAIN,
        "--test",
        TEST,
        *LINES,
        "--tokens",
        "t.tsv",
    )
    assert status == 0
    head, *rows = (tmp_path / "t.tsv").read_text().splitlines()
    assert head == "start\tend\ttoken\tlog_prob\toov\tspelling"
    text, at = Path(TEST).read_text(), 0
    for row in rows:
        start, end, token, log_prob, oov, spelling = row.split("\t")
        assert int(start) == at
        at = int(end)
        assert text[int(start) : at].lstrip(" ").replace("\n", "\\n") == token
        assert float(log_prob) <= 0
        assert (float(spelling) < 0) == (oov == "1")
    assert at == len(text)


def test_fit_then_score_and_generate(call):
    options = ("--model", "trigram", "--train", TRAIN, "--unit", "char")
    assert call("fit", *options, "--save", "m.lmb")[0] == 0
    one = json.loads(call("score", *options, "--test", TEST, "--json")[1])
    status, out, _ = call("score", "--load", "m.lmb", "--test", TEST, "--json")
    other = json.loads(out)
    assert status == 0
    assert one["log_prob"] == other["log_prob"]
    texts = [
        call("generate", "--load", "m.lmb", "--prompt", "the ", "--length", 30, "--seed", s)[1]
        for s in (1, 1, 2)
    ]
    assert texts[0] == texts[1] != texts[2]
    assert texts[0].startswith("the ")
    assert len(texts[0]) == 4 + 30 + 1


def test_text_is_held_out_where_a_model_needs_it_and_the_output_says_so(call):
    _, _, err = call("score", "--model", "trigram", "--train", TRAIN, "--test", TEST)
    assert "last tenth" in err
    _, _, err = call("score", "--model", "trigram", "-o", "eps=1,1,1", "--train", TRAIN, "--test", TEST)
    assert "last tenth" not in err


def test_a_corpus_brings_its_own_split(call):
    status, out, _ = call("score", "--model", "bigram", "--train", "python-docs", "--json")
    assert status == 0
    assert json.loads(out)["chars"] > 20_000


def test_of_a_corpus_the_test_part_is_scored(call, tmp_path):
    make = "--model", "kneser-ney", "--train", "golden-mean"
    assert call("fit", *make, "--save", "m")[0] == 0
    own = json.loads(call("score", *make, "--json")[1])
    loaded = json.loads(call("score", "--load", "m", "--test", "golden-mean", "--json")[1])
    assert loaded["signature"] == own["signature"]
    assert loaded["bits_per_char"] == own["bits_per_char"]
    other = json.loads(
        call("score", "--model", "uniform", "--train", TEST, "--test", "golden-mean", "--json")[1]
    )
    assert other["chars"] == own["chars"]
    rows = call("score", "--load", "m", "--test", "golden-mean", "--each", "line")[1].splitlines()
    assert [row.split("\t")[2] for row in rows[1:]] == [str(own["chars"] + 1)]
    for argv, said in (
        (("--jobs", "2"), "are of a text in files"),
        (("--given", "0"), "--given needs --test FILE"),
    ):
        status, _, line = call("score", "--load", "m", "--test", "golden-mean", *argv)
        assert status == 2
        assert said in line


def test_zipf(call, tmp_path):
    status, out, _ = call("zipf", TRAIN, "--json", "--plot", "z.png")
    found = json.loads(out)["zipf"]
    assert status == 0
    assert [row["order"] for row in found] == [1, 2, 3]
    words = Path(TRAIN).read_text().split()
    assert (found[0]["tokens"], found[0]["types"]) == (len(words), len(set(words)))
    assert (tmp_path / "z.png").read_bytes()[:4] == b"\x89PNG"
    assert "1-grams" in call("zipf", TRAIN)[1]


def test_run_study_and_diff(call, tmp_path):
    (tmp_path / "s.toml").write_text(
        f'name = "s"\ncorpora = [{{name = "ferry", train = "{TRAIN}", test = "{TEST}", documents = "line"}}]\n'
        '[[models]]\nmodel = "uniform"\n[[models]]\nmodel = "trigram"\n'
    )
    status, out, _ = call("run", "s.toml", "--jobs", 1)
    assert status == 0
    assert "trigram" in out
    folder = tmp_path / "reports" / "s"
    for name in (
        "report.html",
        "report.md",
        "results.json",
        "results.csv",
        "suite.toml",
        "scores/ferry/trigram.npz",
    ):
        assert (folder / name).is_file(), name
    assert call("run", folder / "suite.toml", "--out", "again", "--jobs", 1)[0] == 0
    status, out, _ = call("diff", folder, "again", "--json")
    moved = json.loads(out)["models"]
    assert status == 0
    assert [row["difference_bits_per_char"] for row in moved] == [0, 0]
    assert (
        call("run", "s.toml", "--out", "third", "--model", "uniform", "--jobs", 1, "--fail-if-worse", folder)[
            0
        ]
        == 0
    )
    gate = ("run", "s.toml", "--out", "fourth", "--jobs", 1, "--fail-if-worse")
    for baseline, said in (("nowhere", "holds no scores"), ("fourth", "the folder of this run")):
        status, _, err = call(*gate, baseline)
        assert (status, said in err) == (2, True)
    (tmp_path / "renamed.toml").write_text(
        (tmp_path / "s.toml")
        .read_text()
        .replace('"uniform"', '"uniform"\nlabel = "other"')
        .replace("trigram", "bigram")
    )
    status, _, err = call("run", "renamed.toml", "--out", "fifth", "--jobs", 1, "--fail-if-worse", folder)
    assert status == 2
    assert "nothing of this run stands in" in err
    assert not (tmp_path / "fourth").exists()  # all of it is said before anything is trained
    assert not (tmp_path / "fifth").exists()
    assert call("run", "s.toml", "--tolerance", 0.1)[0] == 2
    status, out, _ = call("study")
    assert status == 0
    assert "zipf" in out


def test_the_gate_fails_for_what_lost_and_for_what_does_not_compare(call, tmp_path):
    def suite(model, test, label="best"):
        (tmp_path / "g.toml").write_text(
            f'name = "g"\ncorpora = [{{name = "ferry", train = "{TRAIN}", test = "{test}", documents = "line"}}]\n'
            f'[[models]]\nmodel = "{model}"\nlabel = "{label}"\n'
        )

    suite("trigram", TEST)
    assert call("run", "g.toml", "--out", "before", "--jobs", 1)[0] == 0
    suite("uniform", TEST)
    status, _, err = call("run", "g.toml", "--out", "after", "--jobs", 1, "--fail-if-worse", "before")
    assert status == 1
    assert "worse than before: ferry best by" in err
    status, _, err = call(
        "run", "g.toml", "--out", "after", "--jobs", 1, "--fail-if-worse", "before", "--tolerance", 9
    )
    assert status == 0
    assert "not worse than before beyond noise: 1 model" in err
    assert "worse" in call("diff", "before", "after")[1]
    assert "by hardly anything" in call("diff", "before", "after", "--tolerance", 9)[1]
    (tmp_path / "another.txt").write_text(Path(TEST).read_text() + "and a line more\n")
    suite("trigram", tmp_path / "another.txt")
    status, _, err = call("run", "g.toml", "--out", "other", "--jobs", 1, "--fail-if-worse", "before")
    assert status == 1
    assert "nothing was compared with before (best: not comparable: different text" in err


def test_lists(call):
    shown = dict(line.split(" ", 1) for line in call("models")[1].splitlines() if line)
    assert {"kneser-ney", "lstm"} <= shown.keys()
    listed = [shown[name] for name in MODELS]
    assert len(set(listed)) == len(listed)  # no two models are told alike
    assert "order" in call("models", "laplace")[1]
    assert "python-docs" in call("corpora", "list")[1]
    assert json.loads(call("corpora", "show", "python-docs", "--json")[1])["name"] == "python-docs"


WRONG = [
    (("score", "--model", "trigrm", "--train", TRAIN, "--test", TEST), "trigram"),
    (("score", "--model", "trigram", "-o", "esp=1", "--train", TRAIN, "--test", TEST), "eps"),
    (("score", "--model", "trigram", "-o", "eps", "--train", TRAIN, "--test", TEST), "KEY=VALUE"),
    (("score", "--model", "laplace", "-o", "order=0", "--train", TRAIN, "--test", TEST), "order"),
    (("score", "--model", "laplace", "-o", "order=two", "--train", TRAIN, "--test", TEST), "integer"),
    (
        ("score", "--model", "laplace", "-o", "order=1000000000", "--train", TRAIN, "--test", TEST),
        "999 at most",
    ),
    (("score", "--model", "laplace", "-o", "name=x", "--train", TRAIN, "--test", TEST), "unknown option"),
    (("score", "--model", "laplace", "-o", "eps=x\ny", "--train", TRAIN, "--test", TEST), "eps=x\\ny is not"),
    (("score", "--train", TRAIN, "--test", TEST), "--model"),
    (("score", "--model", "bigram", "--test", TEST), "--train"),
    (("score", "--model", "bigram", "--train", "nothing.txt", "--test", TEST), "nothing.txt"),
    (("score", "--model", "bigram", "--train", TRAIN, "--test", TRAIN), "only one of them"),
    (("score", "--model", "bigram", "--train", "ptb"), "lmbench corpora fetch ptb"),
    (("score", "--model", "bigram", "--train", "empty.txt", "--test", TEST), "empty"),
    (("score", "--model", "bigram", "--train", "binary.txt", "--test", TEST), "binary"),
    (("score", "--model", "bigram", "--train", "latin.txt", "--test", TEST), "offset 1"),
    (
        ("score", "--model", "bigram", "--train", "digits.txt", "--test", TEST, "--normalise", "letters"),
        "empty after",
    ),
    (("score", "--model", "bigram", "--train", TRAIN, "--test", TEST, "--unit", "sentence"), "char"),
    (("score", "--model", "no.such:Model", "--train", TRAIN, "--test", TEST), "cannot load"),
    (("score", "--model", "broken:Model", "--train", TRAIN, "--test", TEST), "broken.py, line 1"),
    (("score", "--model", "lmbench.models:LanguageModel", "--train", TRAIN, "--test", TEST), "lacks _fit"),
    (("score", "--load", "nothing.lmb", "--test", TEST), "no such model file"),
    (("score", "--load", TRAIN, "--test", TEST), "not a model"),
    (("score", "--load", "nothing.lmb", "--model", "bigram", "--test", TEST), "leave --model"),
    (("score", "--load", "model.arpa", "--test", TEST), "cannot read model.arpa"),
    (("fit", "--model", "bigram", "--train", TRAIN, "--save", "no/such/folder/m"), "folder"),
    (("fit", "--model", "bigram", "--train", TRAIN, "--save", "."), "it is a directory"),
    (("fit", "--model", "bigram", "--train", TRAIN, "--save", ""), "without a name"),
    (("generate", "--load", "latin.txt"), "not a model"),
    (("run", "nothing.toml"), "no such suite"),
    (("run", "--corpus", "nothing"), "unknown corpus"),
    (("run", "--model", "nothing"), "unknown model label"),
    (("run", "--jobs", "0"), "jobs"),
    (("zipf", TRAIN, "--orders", "0"), "--orders"),
    (("study", "nothing"), "unknown study"),
    (("corpora", "fetch", "nothing"), "unknown corpus"),
    (("corpora", "add", "ptb", "latin.txt"), "no checksum fits"),
    (("models", "nothing"), "unknown model"),
    (("diff", "one", "other"), "holds no scores"),
    (("nothing",), "unknown command"),
]


@pytest.mark.parametrize(
    ("argv", "said"), WRONG, ids=[" ".join(map(str, w[0])).replace(str(GOLDEN), "") for w in WRONG]
)
def test_what_is_wrong_is_one_line_with_status_2(call, tmp_path, argv, said):
    (tmp_path / "empty.txt").write_text("")
    (tmp_path / "binary.txt").write_bytes(b"a\0b" * 20)
    (tmp_path / "latin.txt").write_bytes(b"a\xe9 b")
    (tmp_path / "digits.txt").write_text("1 2 3\n")
    (tmp_path / "broken.py").write_text("class Model(: pass\n")
    before = {p: p.stat().st_size for p in tmp_path.rglob("*")}
    status, out, err = call(*argv)
    assert status == 2
    assert out == ""
    assert said in err
    assert len(err.splitlines()) == 1
    assert {p: p.stat().st_size for p in tmp_path.rglob("*")} == before  # nothing half-written


@pytest.mark.parametrize("unit", ["char", "word", "byte"])
@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("word", "word"),
        ("one line of text\n", "another line\n"),
        ("a b a b\n" * 20, "x y z\n"),  # unseen symbols alone
        ("时间 机器 是 一本 书\n" * 9, "时间 旅行者 🚀\n"),
        ("\ufeffwith a mark\r\nand line ends\r\n" * 9, "with\r\nends"),
    ],
)
def test_odd_texts_are_scored(call, tmp_path, unit, train, test):
    (tmp_path / "train.txt").write_text(train, newline="")
    (tmp_path / "test.txt").write_text(test + " " if test == train else test, newline="")
    for model in ("uniform", "kneser-ney", "witten-bell"):
        status, out, err = call(
            "score", "--model", model, "--train", "train.txt", "--test", "test.txt", "--unit", unit, "--json"
        )
        assert status == 0, err
        assert json.loads(out)["bits_per_char"] > 0


def test_a_prompt_that_the_model_s_texts_could_not_hold_is_said(call, tmp_path):
    (tmp_path / "train.txt").write_text("the old ferry waits and the river runs " * 20)
    given = ("--train", "train.txt", "--normalise", "letters", "--save", "m", "-o", "eps=1,1,1")
    assert call("fit", "--model", "trigram", *given)[0] == 0
    status, _, err = call("generate", "--load", "m", "--prompt", "The", "--length", "3")
    assert (status, "would read 'the'" in err) == (0, True)
    assert call("generate", "--load", "m", "--prompt", "the", "--length", "3")[2] == ""
    assert call("generate", "--load", "m", "--temperature", "inf")[0] == 2


def test_a_claim_that_the_file_does_not_keep_exits_with_1(call, tmp_path):
    (tmp_path / "train.txt").write_text("a b c a b\n" * 50)
    (tmp_path / "test.txt").write_text("a b b a c\n" * 50)
    given = ("--train", "train.txt", "--test", "test.txt", "--documents", "line", "--verify")
    status, out, _ = call("score", "--model", "odd_models:Peeking", *given)
    assert (status, "LONGER THAN CLAIMED" in out) == (1, True)
    status, out, err = call("score", "--model", "odd_models:Peeking", *given, "--json")
    assert (status, json.loads(out)["verified"]["holds"]) == (1, False)
    assert "odd_models:Peeking may not be ranked: token " in err
    assert "but next_log_probs says" in json.loads(out)["unranked_reason"]
    status, out, _ = call("score", "--model", "cache", *given)  # it reads on from line to line
    assert (status, out.splitlines()[-1].endswith("decoded to the same text")) == (0, True)


def test_an_order_beyond_the_text_is_told_once(call, tmp_path):
    (tmp_path / "train.txt").write_text("a b c")
    # Katz drops what it discounts to 0.
    for model, longest in (("kneser-ney", 3), ("absolute-discounting", 3), ("katz", 2)):
        given = ("--model", model, "-o", "order=30", "--train", "train.txt", "--test", str(TEST))
        status, _, err = call("score", *given, "--unit", "word", "--json")
        assert status == 0
        assert [line for line in err.splitlines() if "order=" in line] == [
            f"{model}: there are n-grams of order {longest} at most, though order=30 was asked for"
        ]
        assert "order 4:" not in err


def test_the_module_and_the_script_are_the_same_command():
    for command in ([sys.executable, "-m", "lmbench", "run"], [sys.executable, "run_bench.py"]):
        found = subprocess.run(
            [*command, "nothing.toml"], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert found.returncode == 2
        assert found.stderr.startswith("lmbench: no such suite")
