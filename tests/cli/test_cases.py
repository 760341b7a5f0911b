"""Small texts that once gave wrong figures, with what KenLM's lmplz and query say of them: all made up."""

import json
import re

import numpy as np
import pytest

import lmbench as lb
from lmbench.cli import main
from lmbench.scoring.speller import Speller
from lmbench.text.vocab import Lexicon, Vocab
from tests.helpers.paths import GOLDEN

CASES = GOLDEN / "cases"
PLAIN, TEST = ((CASES / name).read_text() for name in ("plain.train", "plain.test"))
PERPLEXITY = (
    16.7209  # of plain.test under plain3.arpa, which lmplz wrote, and under a trigram model of plain.train
)
CHARGED = (
    4.5539  # bits per character of oov.test under either, unknown words spelt by the words of plain.train
)
LINES = ("--unit", "word", "--documents", "line")


def crlf(text):
    return text.replace("\n", "\r\n")


def with_first(blank):
    return lambda text: "".join(line.replace(" ", blank, 1) for line in text.splitlines(keepends=True))


def marked(text):
    return "".join(f"<s> {line} </s>\n" for line in text.splitlines())


@pytest.fixture
def score(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def run(*argv, train=None, test=None):
        for name, text in (("train", train), ("test", test)):
            if text is not None:
                (tmp_path / name).write_bytes(text.encode())
                argv = (*argv, f"--{name}", name)
        status = main(["score", *map(str, argv), *LINES, "--json"])
        out, err = capsys.readouterr()
        assert status == 0, err
        return json.loads(out), err

    return run


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (crlf, "carriage returns"),
        (with_first("  "), "runs of spaces"),
        (with_first("\t"), "tabs"),
        (with_first(" \0 "), "zero bytes"),
        (marked, "sentence marks"),
        (lambda text: marked(with_first("\t")(text)), "tabs"),
    ],
)
@pytest.mark.parametrize("model", ["arpa", "kneser-ney"])
def test_a_spoilt_text_has_the_figure_of_the_clean_one(score, model, spoil, said):
    options = {"arpa": f"file={CASES / 'plain3.arpa'}", "kneser-ney": "order=3"}
    train = spoil(PLAIN) if model == "kneser-ney" else None
    row, err = score("--model", model, "-o", options[model], train=train, test=spoil(TEST))
    assert row["perplexity"] == pytest.approx(PERPLEXITY, abs=5e-5)
    assert row["oov"] == 0
    assert re.search(rf"test text: [0-9,]+ .*{said}", err)


@pytest.mark.parametrize("documents", ["line", "stream"])
def test_weights_at_the_ends_of_sentences_are_never_used(score, documents, tmp_path, capsys):
    text = re.sub(r"(?m)^(\S+\t\S+ </s>\t)0$", r"\1-0.3", (CASES / "plain3.arpa").read_text())
    assert text.count("</s>\t-0.3") > 9
    (tmp_path / "weights.arpa").write_text(text)
    argv = ["score", "--model", "arpa", "-o", "file=weights.arpa", "--unit", "word", "--documents", documents]
    assert main([*argv, "--test", str(CASES / "plain.test"), "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["perplexity"] == pytest.approx(PERPLEXITY, abs=5e-5)
    assert err == ""


@pytest.mark.parametrize("train", [None, "x\n", PLAIN, "今天天气很好\n我们去公园\n"])
def test_unknown_words_of_an_arpa_file_cost_the_same_beside_any_text(score, train):
    argv = ("--model", "arpa", "-o", f"file={CASES / 'plain3.arpa'}", "--test", CASES / "oov.test")
    assert score(*argv, train=train)[0]["bits_per_char"] == pytest.approx(CHARGED, abs=5e-5)


def test_rows_of_tokens_make_the_same_figure(score, tmp_path):
    argv = ("--model", "kneser-ney", "-o", "order=3", "--test", CASES / "oov.test")
    row, _ = score(*argv, "--tokens", "o.tsv", train=PLAIN)
    assert row["bits_per_char"] == pytest.approx(CHARGED, abs=5e-5)
    text = lb.Corpus.from_files("train", test=CASES / "oov.test", documents="line")
    again = lb.external_run("o.tsv", text, "theirs", unit="word", vocab_size=row["vocab_size"])
    assert again.scores.bits_per_char == pytest.approx(row["bits_per_char"], rel=1e-12)


def test_no_interval_reaches_below_nothing(score):
    row, _ = score("--model", "kneser-ney", "-o", "order=3", train=PLAIN, test="he\n")
    assert row["ci95"] in (None, [None, None]) or row["ci95"][0] >= 0


# A word that is the unknown one; a vocabulary that is given ------------------------------------------


def test_a_text_with_unknown_words_goes_to_arpa_and_back(score, tmp_path, capsys):
    text = (CASES / "unk_in_text.train").read_text()
    assert (
        main(
            [
                "fit",
                "--model",
                "kneser-ney",
                "--train",
                str(CASES / "unk_in_text.train"),
                *LINES,
                "--save",
                "x.arpa",
            ]
        )
        == 2
    )
    assert "--unk '<unk>'" in capsys.readouterr().err
    row, err = score("--model", "kneser-ney", "--unk", "<unk>", train=text, test="the night <unk> of <unk>\n")
    assert "unk=<unk>: 90 of 2,709 training tokens" in err
    assert row["oov"] == 2
    argv = ["fit", "--model", "kneser-ney", "--train", "train", *LINES, "--unk", "<unk>", "--save", "x.arpa"]
    assert main(argv) == 0
    assert main(["fit", *argv[1:-1], "x.lm"]) == 0
    capsys.readouterr()
    from_arpa, from_file = lb.load_model("x.arpa"), lb.load_model("x.lm")
    lines = (tmp_path / "test").read_text()
    assert from_arpa.score(lines).log_prob == pytest.approx(row["log_prob"], rel=1e-6)
    assert from_file.score(lines).log_prob == row["log_prob"]
    assert from_file.score(lines).spelling_log_prob == row["spelling_log_prob"]
    assert lb.load_model("x.arpa", unk="<unk>").score(lines).spelling_log_prob == pytest.approx(
        2 * np.log(1 / 2)
    )
    with pytest.raises(lb.InputError, match="a word like others"):
        lb.load_model("x.arpa", unk="the")
    # Each is the one that all 90 were: ln(91/92), next to nothing.
    assert row["spelling_log_prob"] == pytest.approx(2 * np.log(91 / 92))


def test_the_unknown_word_and_the_words_spelt_are_one_distribution():
    vocab = Vocab(["a", "b"])
    speller = Speller.fit(vocab, "char", ["a", "b", "?"], unk="?", unk_share=0.75)
    rest = [chr(c) for c in range(0x110000) if chr(c) not in "ab" and not 0xD800 <= c < 0xE000]
    assert np.exp(speller.log_probs(rest)).sum() == pytest.approx(1)
    assert speller.log_probs(["?"])[0] == pytest.approx(np.log(0.75))


def test_the_unknown_word_is_coded_in_what_it_costs(score, capsys):
    text = (CASES / "unk_in_text.train").read_text()
    argv = ("--model", "witten-bell", "--unk", "<unk>", "--verify", "60")
    row, _ = score(*argv, train=text, test="the <unk> of zebras\nthe night\n")
    assert row["verified"]["holds"]


@pytest.mark.parametrize("model", ["kneser-ney", "witten-bell", "bigram", "jelinek-mercer"])
def test_a_vocabulary_is_given_to_any_model(score, tmp_path, model):
    (tmp_path / "words").write_text("the 17\nof\t3\n<s>\n\nnight\r\nzebra\n<UNK>\nthe\n")
    row, err = score(
        "--model", model, "--vocab", "words", train=PLAIN, test="the zebra of night\nthe house\n"
    )
    assert row["vocab_size"] == 6  # <unk>, the, of, night, zebra, and the line feed
    assert row["oov"] == 1
    assert re.search(r"vocabulary words: 6 types; [0-9,]+ of [0-9,]+ training tokens are outside it", err)


@pytest.mark.parametrize("model", ["kneser-ney", "witten-bell"])
def test_rare_words_are_unknown_to_any_model(score, model):
    train, test = "a b a\nb c\nd a\n", "a c d b\ne\n"
    row, err = score("--model", model, "--min-count", "2", train=train, test=test)
    assert row["vocab_size"] == 4  # <unk>, a, b, and the line feed
    assert row["oov"] == 3
    assert "min_count=2: 4 types; 2 of 10 training tokens are rarer" in err
    every, _ = score("--model", model, "--min-count", "1", train=train, test=test)
    plain, _ = score("--model", model, train=train, test=test)
    assert every["bits_per_char"] == plain["bits_per_char"]


def test_a_vocabulary_of_a_file_has_no_least_count():
    with pytest.raises(lb.InputError, match="says which tokens are known; leave min_count out"):
        Lexicon(file="words", min_count=2)
    with pytest.raises(lb.InputError, match="min_count=-1"):
        Lexicon(min_count=-1)


def test_what_is_no_vocabulary_is_said(tmp_path, capsys):
    (tmp_path / "none").write_text("<s>\n</s>\n")
    argv = ["score", "--model", "bigram", "-o", "eps=1", "--train", str(CASES / "plain.train")]
    argv += ["--test", str(CASES / "plain.test"), *LINES]
    for words, said in (
        (tmp_path / "none", "has no tokens; give one a line"),
        (tmp_path / "not", "cannot read"),
    ):
        assert main([*argv, "--vocab", str(words)]) == 2
        assert said in capsys.readouterr().err
    assert (
        main(
            [*argv[:1], "--model", "arpa", "-o", f"file={CASES / 'plain3.arpa'}", *argv[-6:], "--unk", "the"]
        )
        == 2
    )
    assert "unk=the is a word like others in the vocabulary of arpa" in capsys.readouterr().err


def test_rows_of_a_suite_have_them(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "words").write_text("the\nof\nnight\n")
    head = (
        f'name = "s"\n[[corpora]]\nname = "c"\ndocuments = "line"\ntrain = "{CASES / "unk_in_text.train"}"\n'
    )
    (tmp_path / "s.toml").write_text(
        head
        + '[[models]]\nmodel = "witten-bell"\nlabel = "a"\nunit = "word"\n'
        + '[[models]]\nmodel = "witten-bell"\nlabel = "b"\nunit = "word"\nunk = "<unk>"\n'
        + '[[models]]\nmodel = "witten-bell"\nlabel = "c"\nunit = "word"\nvocab = "words"\n'
        + '[[models]]\nmodel = "witten-bell"\nlabel = "d"\nunit = "word"\nmin_count = 60\n'
    )
    results = lb.run_suite("s.toml")
    plain, unk, vocab, frequent = sorted(results.results, key=lambda row: row.label)
    assert unk.vocab_size == plain.vocab_size - 1
    assert vocab.vocab_size == 5
    corpus = lb.Corpus.of(str(CASES / "unk_in_text.train"), documents="line")
    kept = sum(n >= 60 or word == "\n" for word, n in corpus.vocab("word").token_freqs)
    assert frequent.vocab_size == kept + 1 < plain.vocab_size
    run = lb.evaluate(lb.make_model("witten-bell"), corpus, "word", min_count=60)
    assert run.scores.bits_per_char == frequent.bits_per_char
    # The word costs as much as a word like others: nothing of what it stands for is asked for.
    assert unk.bits_per_char == pytest.approx(plain.bits_per_char, rel=0.01)
    (tmp_path / "s.toml").write_text(head + '[[models]]\nmodel = "bigram"\nvocab = "nowhere"\n')
    with pytest.raises(lb.InputError, match=r"models\[0\]: cannot read nowhere"):
        lb.run_suite("s.toml")


def test_without_either_the_vocabulary_is_the_same():
    vocab = Vocab(["a", "b"])
    assert Lexicon().of(vocab, "word") is vocab
