"""A long text scored piece by piece against the same text scored whole: every number, every token."""

import gzip
import itertools
import json
import random

import pytest

from lmbench.cli import main, stream
from lmbench.comparing import stretches
from lmbench.corpora import shards
from lmbench.corpora.corpus import Corpus
from lmbench.corpora.streaming import batches_of_documents
from lmbench.models import make_model
from lmbench.scoring.scorer import Scorer
from lmbench.scoring.streaming import can_stream
from lmbench.text.canonical import canonical_text

TIMES = {"score_seconds"}


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    """Lines of words, in which some are unknown to a model of the first; a packed file without a last line feed; rows; runs of blanks."""
    folder, chance = tmp_path_factory.mktemp("texts"), random.Random(2)

    def line(words):
        return " ".join(chance.choice(words) for _ in range(chance.randrange(1, 14)))

    known, more = (["cook", "smith", "sailor", "widow", "stranger", "é€", "<s>"], ["miller", "judge", "Köln"])
    (folder / "train.txt").write_text("\n".join(line(known) for _ in range(800)) + "\n")
    lines = [line(known + more) + "  x" * (i == 70) for i in range(700)]
    (folder / "plain.txt").write_text("\n".join(lines) + "\n\n")
    with gzip.open(folder / "packed.txt.gz", "wt") as packed:
        packed.write("\n".join(lines[:500]))
    rows = [
        json.dumps({"text": f"{one}\n{other}" + "\n" * (len(one) % 2)})
        for one, other in itertools.pairwise(lines)
    ]
    (folder / "rows.jsonl").write_text("\n".join(rows))
    return folder


def scored(capsys, *arguments):
    assert main(["score", "--json", *map(str, arguments)]) == 0
    captured = capsys.readouterr()
    return json.loads(captured.out), captured.err


@pytest.mark.parametrize("name", ["plain.txt", "packed.txt.gz", "rows.jsonl"])
@pytest.mark.parametrize("documents", ["line", "stream"])
@pytest.mark.parametrize("unit", ["word", "char"])
def test_pieces_give_the_numbers_of_the_whole(texts, tmp_path, monkeypatch, capsys, unit, documents, name):
    fit = f"fit --model kneser-ney -o order=3 --unit {unit} --documents {documents} --normalise whitespace --quiet --save"
    assert main([*fit.split(), str(tmp_path / "model"), "--train", str(texts / "train.txt")]) == 0
    capsys.readouterr()
    asked = "--load", tmp_path / "model", "--test", texts / name, "--tokens"
    whole, said = scored(capsys, *asked, tmp_path / "whole.tsv")
    monkeypatch.setattr(stream, "BRIEF", 0)
    monkeypatch.setattr(shards, "_BATCH", 3000)
    monkeypatch.setattr(
        shards, "batches_of_documents", lambda files, field: batches_of_documents(files, field, 3000)
    )
    pieces, heard = scored(capsys, *asked, tmp_path / "pieces.tsv")
    assert (tmp_path / "pieces.tsv").read_text() == (tmp_path / "whole.tsv").read_text()
    assert heard == said
    assert pieces.keys() == whole.keys()
    for key in pieces.keys() - TIMES:
        rounded = isinstance(whole[key], float) or (
            key.startswith(("ci95_", "ci95", "prediction")) and isinstance(whole[key], list)
        )
        assert pieces[key] == (pytest.approx(whole[key], rel=1e-9) if rounded else whole[key]), key


@pytest.mark.parametrize("name", ["plain.txt", "packed.txt.gz", "rows.jsonl"])
@pytest.mark.parametrize(("documents", "unit"), [("line", "word"), ("stream", "word"), ("stream", "char")])
@pytest.mark.parametrize("ending", ["tsv", "parquet"])
def test_stretches_anywhere_give_the_bits_of_stretches_in_turn(
    texts, tmp_path, monkeypatch, capsys, unit, documents, name, ending
):
    fit = f"fit --model kneser-ney -o order=4 --unit {unit} --documents {documents} --normalise whitespace --quiet --save"
    assert main([*fit.split(), str(tmp_path / "model"), "--train", str(texts / "train.txt")]) == 0
    capsys.readouterr()
    asked = "--load", tmp_path / "model", "--test", texts / name, "--tokens"
    whole, said = scored(capsys, *asked, tmp_path / f"whole.{ending}")
    monkeypatch.setattr(stream, "BRIEF", 0)
    monkeypatch.setattr(stream, "STRETCH", 2000)
    monkeypatch.setattr(shards, "_BATCH", 700)
    monkeypatch.setattr(stretches, "_LEAD", 2)
    monkeypatch.setattr(
        shards, "batches_of_documents", lambda files, field: batches_of_documents(files, field, 3000)
    )
    here, heard = scored(capsys, *asked, tmp_path / f"here.{ending}")
    apart, _ = scored(capsys, *asked, tmp_path / f"apart.{ending}", "--work", tmp_path / "work")
    assert heard == said
    assert {k: v for k, v in apart.items() if k not in TIMES} == {
        k: v for k, v in here.items() if k not in TIMES
    }
    assert {k for k in here if type(here[k]) is int and here[k] != whole[k]} == set()
    assert apart["bits_per_char"] == pytest.approx(whole["bits_per_char"], rel=1e-12)
    assert apart["ci95"] == pytest.approx(whole["ci95"], rel=1e-9)
    if ending == "tsv":
        assert (tmp_path / "apart.tsv").read_bytes() == (tmp_path / "here.tsv").read_bytes()
        assert (tmp_path / "apart.tsv").read_bytes() == (tmp_path / "whole.tsv").read_bytes()
        return
    from pyarrow import parquet

    one, other = (parquet.read_table(tmp_path / f"{way}.parquet") for way in ("apart", "whole"))
    assert one.equals(other)


def test_stretches_that_are_done_are_not_done_again(texts, tmp_path, monkeypatch, capsys):
    fit = "fit --model bigram -o eps=1 --quiet --save"
    assert main([*fit.split(), str(tmp_path / "model"), "--train", str(texts / "train.txt")]) == 0
    capsys.readouterr()
    monkeypatch.setattr(stream, "STRETCH", 2000)
    asked = "--load", tmp_path / "model", "--test", texts / "plain.txt", "--work", tmp_path / "work"
    score, done = stretches.score_stretch, []

    def counted(*arguments):
        done.append(arguments[2])
        if len(done) == 3:
            raise KeyboardInterrupt
        score(*arguments)

    monkeypatch.setattr(stretches, "score_stretch", counted)
    assert main(["score", *map(str, asked)]) == 130
    capsys.readouterr()
    scored(capsys, *asked)
    assert len(done) == len(set(map(repr, done))) + 1
    assert list((tmp_path / "work").iterdir()) == []


def test_processes_score_as_this_one_does(texts, tmp_path, monkeypatch, capsys):
    fit = "fit --model witten-bell -o order=3 --unit word --quiet --save"
    assert main([*fit.split(), str(tmp_path / "model"), "--train", str(texts / "train.txt")]) == 0
    capsys.readouterr()
    monkeypatch.setattr(stream, "BRIEF", 0)
    monkeypatch.setattr(stream, "STRETCH", 4000)
    asked = "--load", tmp_path / "model", "--test", texts / "plain.txt"
    here, apart = scored(capsys, *asked)[0], scored(capsys, *asked, "--jobs", "2")[0]
    assert {k: v for k, v in apart.items() if k not in TIMES} == {
        k: v for k, v in here.items() if k not in TIMES
    }


def test_what_is_not_divided_is_refused(texts, tmp_path, capsys):
    fit = "fit --model cache --unit word --quiet --save"
    assert main([*fit.split(), str(tmp_path / "model"), "--train", str(texts / "train.txt")]) == 0
    asked = ["score", "--load", str(tmp_path / "model"), "--test", str(texts / "plain.txt"), "--jobs", "2"]
    assert main(asked) == 2
    assert "is not divided" in capsys.readouterr().err
    assert main([*asked, "--each", "line"]) == 2
    assert "without --each" in capsys.readouterr().err


def test_parquet_of_pieces_is_that_of_the_whole(texts, tmp_path, monkeypatch, capsys):
    from pyarrow import parquet

    fit = "fit --model bigram -o eps=1 --quiet --save"
    assert main([*fit.split(), str(tmp_path / "model"), "--train", str(texts / "train.txt")]) == 0
    capsys.readouterr()
    asked = "--load", tmp_path / "model", "--test", texts / "plain.txt", "--tokens"
    scored(capsys, *asked, tmp_path / "whole.parquet")
    monkeypatch.setattr(stream, "BRIEF", 0)
    monkeypatch.setattr(shards, "_BATCH", 3000)
    scored(capsys, *asked, tmp_path / "pieces.parquet")
    whole, pieces = (parquet.read_table(tmp_path / f"{name}.parquet") for name in ("whole", "pieces"))
    assert pieces.equals(whole)
    signature = parquet.read_metadata(tmp_path / "pieces.parquet").metadata[b"lmbench"]
    assert signature == parquet.read_metadata(tmp_path / "whole.parquet").metadata[b"lmbench"]


def test_what_a_piece_does_not_tell_is_scored_whole():
    def scorer(name, documents="stream", normalise="none", **options):
        corpus = Corpus(
            "c", canonical_text(["a b\n" * 9], normalise, documents), None, None, normalise, documents
        )
        return Scorer.fit(make_model(name, **options), corpus, "word")

    assert can_stream(scorer("witten-bell"))
    assert can_stream(scorer("uniform", "line"))
    assert not can_stream(scorer("witten-bell", normalise="letters"))
    assert not can_stream(scorer("cache", "line"))
