"""Texts of words with carriage returns, tabs, runs of blanks, marks: read as KenLM's query reads them, never silently."""

import json

import pytest

from lmbench.cli import main
from lmbench.corpora.corpus import Corpus
from lmbench.corpora.inputs import Documents
from lmbench.corpora.words import lines_of_words, remarks
from lmbench.text.oddities import oddities

TRAIN = "the ferry leaves at nine\nthe captain sings\n" * 20
TEST = "the captain leaves\nthe ferry sings at nine\n"


def spoilt(kind, text):
    return {
        "cr": text.replace("\n", "\r\n"),
        "tab": text.replace(" ", "\t"),
        "run": text.replace(" ", "  "),
        "edge": "".join(f" {line} \n" for line in text.splitlines()),
        "nul": "".join(line.replace(" ", "\0", 1) for line in text.splitlines(keepends=True)),
        "ends": "".join(f"<s> {line} </s>\n" for line in text.splitlines()),
        "mark": text.replace(" ", " </s> <s> "),
        "wide": text.replace(" ", "\xa0"),
    }[kind]


@pytest.mark.parametrize(
    ("kind", "count"),
    [("cr", 2), ("tab", 6), ("run", 6), ("edge", 2), ("nul", 2), ("ends", 4), ("mark", 12), ("wide", 6)],
)
def test_each_kind_is_counted_and_shown(kind, count):
    found = {oddity.kind: oddity for oddity in oddities(spoilt(kind, TEST))}
    assert found[kind].count == count
    assert found[kind].example.strip("\n ")[:3] in spoilt(kind, TEST)
    assert oddities(TEST) == []


@pytest.mark.parametrize("pair", ["  ", " \n", "\n ", "\t ", "\n\t"])
def test_blanks_across_two_pieces_of_a_text_are_met(monkeypatch, pair):
    """Pieces of five characters: the pair stands in one, on the edge, in the next."""
    monkeypatch.setattr("lmbench.text.oddities._PIECE", 5)
    for before in range(1, 10):
        assert oddities("x" * before + pair + "é\n")
    assert oddities("é xx\nx\n\nxxx x xxxxxxxxxx\n") == []


@pytest.mark.parametrize("kind", ["cr", "tab", "run", "edge", "nul", "ends"])
@pytest.mark.parametrize("where", ["train", "test", "both"])
def test_blanks_divide_words_and_it_is_said(tmp_path, capsys, kind, where):
    """The figure is that of the clean text, whichever of the texts has them."""
    figures = []
    for bad in (False, True):
        for name, text in (("train", TRAIN), ("test", TEST)):
            text = spoilt(kind, text) if bad and where in (name, "both") else text
            (tmp_path / name).write_bytes(text.encode())
        argv = ["score", "--model", "witten-bell", "-o", "order=3", "--unit", "word", "--documents", "line"]
        argv += ["--train", str(tmp_path / "train"), "--test", str(tmp_path / "test"), "--json"]
        assert main(argv) == 0
        out, err = capsys.readouterr()
        figures.append(json.loads(out)["perplexity"])
        assert ("the texts are read with --normalise " in err) is bad
    assert figures[0] == pytest.approx(figures[1], rel=1e-12)


def test_who_asks_for_every_character_gets_them_and_a_remark(tmp_path, capsys):
    for name, text in (("train", TRAIN), ("test", spoilt("cr", TEST))):
        (tmp_path / name).write_bytes(text.encode())
    argv = ["score", "--model", "bigram", "-o", "eps=1", "--unit", "word", "--documents", "line"]
    argv += [
        "--train",
        str(tmp_path / "train"),
        "--test",
        str(tmp_path / "test"),
        "--normalise",
        "none",
        "--json",
    ]
    assert main(argv) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["normalise"] == "none"
    assert "2 carriage returns" in err


def test_a_loaded_model_says_it_of_the_text_once(tmp_path, capsys):
    (tmp_path / "train").write_text(TRAIN)
    (tmp_path / "test").write_bytes(spoilt("cr", TEST).encode())
    words = ["--unit", "word", "--documents", "line"]
    model = str(tmp_path / "m")
    assert (
        main(
            [
                "fit",
                "--model",
                "bigram",
                "-o",
                "eps=1",
                "--train",
                str(tmp_path / "train"),
                *words,
                "--save",
                model,
            ]
        )
        == 0
    )
    capsys.readouterr()
    assert main(["score", "--load", model, "--test", str(tmp_path / "test")]) == 0
    assert capsys.readouterr().err.count("carriage returns") == 1


def test_marks_and_wide_blanks_are_left_and_told_of():
    for kind in ("mark", "wide"):
        corpus = Corpus.of(Documents([TRAIN]), 0.0, Documents([spoilt(kind, TEST)]), documents="line")
        read, notes = lines_of_words(corpus)
        assert read is corpus
        assert len(notes) == len(remarks(corpus)) == 1
