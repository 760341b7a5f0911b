"""Counts as files: a model of them is the model of the text, whatever form they are in and however many files they are."""

import gzip
import json
import random
import re
from collections import Counter

import numpy as np
import pytest

import lmbench as lb
from lmbench.cli import main
from lmbench.counts.files import counted, google_lines, lines_of, read_counts, together, write_counts
from lmbench.counts.ngrams import count_ngrams
from lmbench.errors import InputError
from lmbench.text.canonical import canonical_text

chance = random.Random(3)
WORDS = [
    "the",
    "ferry",
    "leaves",
    "at",
    "nine",
    "and",
    "captain",
    "sings",
    "while",
    "rain",
    "falls",
    "on",
    "an",
    "old",
    "quiet",
    "river",
    "école",
    "船",
]


def lines(number):
    # Squared, so that some words are frequent; now and then an empty line.
    drawn = [
        [WORDS[int(len(WORDS) * chance.random() ** 2)] for _ in range(chance.randrange(9))]
        for _ in range(number)
    ]
    return "".join(" ".join(words) + "\n" for words in drawn)


ONE, OTHER, HELD = lines(300), lines(200), lines(40)
WORDED = ("--unit", "word", "--documents", "line")


def by_hand(text, order):
    """The obvious way, with SRILM's marks."""
    n = Counter()
    for line in text.splitlines():
        words = ["<s>", *line.split(), "</s>"]
        for k in range(1, order + 1):
            n.update(" ".join(words[i : i + k]) for i in range(len(words) - k + 1))
    return n


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, text in (("one", ONE), ("other", OTHER), ("both", ONE + OTHER), ("held", HELD)):
        (tmp_path / name).write_text(text)
    return tmp_path


def count(*argv):
    assert main(["counts", *map(str, argv)]) == 0


def test_lines_are_those_of_the_obvious_program(folder, capsys):
    count("one", "--orders", "1,2,3,4")
    written = capsys.readouterr().out.splitlines()
    assert dict(line.split("\t") for line in written) == {w: str(n) for w, n in by_hand(ONE, 4).items()}
    assert len(written) == len(by_hand(ONE, 4))
    count("one", "--orders", "2", "--format", "google")
    google = capsys.readouterr().out.splitlines()
    assert google == sorted(google, key=str.encode)
    renamed = {
        re.sub("</?s>", lambda m: m[0].upper(), w): str(n) for w, n in by_hand(ONE, 2).items() if " " in w
    }
    assert dict(line.split("\t") for line in google) == renamed


@pytest.mark.parametrize(
    ("model", "options"),
    [
        ("kneser-ney", {"order": 4}),
        ("kneser-ney", {"order": 3, "discounts": "tune", "prune": "0,1"}),
        ("kneser-ney", {"order": 3, "vocab_size": 9}),
        ("witten-bell", {"order": 3}),
        ("absolute-discounting", {"order": 4}),
        ("jelinek-mercer", {"order": 3}),
        ("laplace", {"order": 2}),
        ("trigram", {"eps": "1,0.5,0.1"}),
        ("katz", {"order": 3}),
        ("stupid-backoff", {"order": 3}),
    ],
)
@pytest.mark.parametrize("form", ["one file", "two files", "packed", "google"])
def test_a_model_of_counts_is_that_of_the_text(folder, model, options, form):
    made = {
        "one file": ["both.counts"],
        "two files": ["a.counts", "b.counts"],
        "packed": ["c.gz"],
        "google": ["g"],
    }
    for text, place, more in {
        "one file": [("both", "both.counts", [])],
        "two files": [("one", "a.counts", []), ("other", "b.counts", [])],
        "packed": [("both", "c.gz", [])],
        "google": [("both", "g", ["--format", "google"])],
    }[form]:
        count(text, "--orders", "1,2,3,4", "--out", place, *more)
    corpus = lb.Corpus.from_files("both", "held", documents="line")
    fitted = lb.Scorer.fit(lb.make_model(model, **options), corpus, "word")
    counts = read_counts(made[form])
    again = lb.Scorer.of_counts(lb.make_model(model, **options), counts, corpus)
    assert again.vocab.tokens == fitted.vocab.tokens
    assert sorted(again.types) == sorted(fitted.types)
    state, other = fitted.model.state(), again.model.state()
    assert state.keys() == other.keys()
    assert all(np.array_equal(state[name], other[name]) for name in state)
    assert again.model.notes == fitted.model.notes


def test_the_command_line_learns_from_counts(folder, capsys):
    figures = []
    for name in ("one", "other"):
        count(name, "--out", f"{name}.counts")
    for given in (
        ["--train", "one", "--train", "other"],
        ["--counts", "one.counts", "--counts", "other.counts"],
    ):
        argv = [
            "score",
            "--model",
            "kneser-ney",
            "-o",
            "order=3",
            *given,
            "--test",
            "held",
            *WORDED,
            "--json",
        ]
        capsys.readouterr()
        assert main(argv) == 0
        figures.append(json.loads(capsys.readouterr().out))
    assert figures[0]["perplexity"] == figures[1]["perplexity"]
    assert figures[0]["bits_per_char"] == figures[1]["bits_per_char"]
    argv = [
        "fit",
        "--model",
        "witten-bell",
        "-o",
        "order=2",
        "--counts",
        "one.counts",
        "--unit",
        "word",
        "--save",
        "m.lm",
    ]
    assert main(argv) == 0
    assert main(["score", "--load", "m.lm", "--test", "held"]) == 0


def test_counts_are_added_up(folder, capsys):
    count("one", "--out", "a")
    count("other", "--counts", "a", "--out", "sum", "--json")
    facts = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [row["order"] for row in facts["orders"]] == [1, 2, 3]
    assert dict(line.split("\t") for line in (folder / "sum").read_text().splitlines()) == {
        w: str(n) for w, n in by_hand(ONE + OTHER, 3).items()
    }
    parts = [counted(canonical_text([t], "none", "line"), 3) for t in (ONE, OTHER)]
    whole = counted(canonical_text([ONE + OTHER], "none", "line"), 3)
    assert sorted(lines_of(together(parts))) == sorted(lines_of(whole))
    assert google_lines(together(parts), 2) == google_lines(whole, 2)


def test_an_unknown_word_in_the_counts_is_the_unknown_one(folder):
    text = ONE.replace("captain", "<unk>")
    (folder / "gaps").write_text(text)
    count("gaps", "--out", "gaps.counts")
    corpus = lb.Corpus.from_files("gaps", "held", documents="line")
    run, other = (
        lb.evaluate(
            lb.make_model("kneser-ney", order=3),
            lb.Corpus.from_files("gaps", test="held", documents="line"),
            "word",
            **given,
        )
        for given in ({"unk": "<unk>"}, {"counts": read_counts("gaps.counts")})
    )
    assert run.scores.log_prob == other.scores.log_prob
    assert run.scores.spelling_log_prob == other.scores.spelling_log_prob
    assert corpus.valid.text == HELD


def test_rare_ngrams_that_were_left_out_are_told_of(folder):
    """Google leaves out what stands fewer than 40 times: Kneser and Ney then count the neighbours that are there."""
    counts = counted(canonical_text([ONE], "none", "line"), 3)
    kept = [line for line in lines_of(counts) if int(line.split("\t")[1]) >= 3]
    (folder / "cut").write_text("".join(line + "\n" for line in kept))
    cut = read_counts("cut")
    vocab = cut.vocab()
    ngrams, notes = cut.ngrams(vocab, 3)
    assert len(notes) == 2
    assert all("rare ones were left out" in note for note in notes)
    there = {line.split("\t")[0] for line in kept}
    for k in (1, 2):
        for ids, left in zip(ngrams.ngrams(k).tolist(), ngrams.left_types(k).tolist(), strict=True):
            words = " ".join(vocab.to_tokens(ids))
            if "\n" in words or vocab.to_tokens(ids)[0] == "<unk>":
                continue
            neighbours = sum(gram.split(" ", 1)[1] == words for gram in there if gram.count(" ") == k)
            assert left == max(1, neighbours)
    scorer = lb.Scorer.of_counts(
        lb.make_model("kneser-ney", order=3), cut, lb.Corpus.from_files("one", documents="line")
    )
    assert np.exp(scorer.model.next_log_probs([vocab["the"]])).sum() == pytest.approx(1)


def test_counts_that_do_not_agree_are_told_of(folder):
    (folder / "odd").write_text(
        "a\t1\nb\t5\n</s>\t2\na b\t4\nb c\t2\nb </s>\t2\n<s> a\t4\na b </s>\t1\nb a </s> b\t1\n</s> <s> a\t7\n"
    )
    with pytest.raises(InputError, match="of up to 4 words; give -o order=4 or less"):
        read_counts("odd").ngrams(read_counts("odd").vocab(), 5)
    counts = read_counts("odd")
    ngrams, notes = counts.ngrams(counts.vocab(), 3)
    said = " ".join(notes)
    assert "1 3-grams across the ends of sentences, such as '</s> <s> a', left out" in said
    assert "have counts below those of longer ones that contain them" in said
    vocab = counts.vocab()
    assert ngrams.counts[1][vocab["a"]] == 4
    assert ngrams.counts[1][vocab["c"]] == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a\t1\na b\t2\tc\n", "line 2 is not an n-gram, a tab and its count: 'a b"),
        ("a\t1\nb\n", "line 2"),
        ("a\t1\n\nb\t-2\n", "line 3"),
        ("a\t1.5\n", "line 1"),
        ("a  b\t1\n", "line 1"),
        ("\t1\n", "line 1"),
        ("a\t1\t\n", "line 1"),
        ("a\t99999999999999999999\n", "line 1"),
        ("a b\t1\n", "none of 1-grams"),
        ("\n\n", "has no counts"),
        ("", "has no counts|is empty"),
    ],
)
def test_what_are_no_counts_is_one_line(tmp_path, text, said):
    (tmp_path / "c").write_text(text)
    with pytest.raises(InputError, match=said):
        read_counts(tmp_path / "c")


def test_files_in_pieces_are_the_same(tmp_path, monkeypatch):
    counts = counted(canonical_text([ONE], "none", "line"), 3)
    write_counts(tmp_path / "c.gz", counts)
    assert gzip.decompress((tmp_path / "c.gz").read_bytes()).decode().splitlines() == list(lines_of(counts))
    whole = read_counts(tmp_path / "c.gz")
    monkeypatch.setattr("lmbench.counts.files._BLOCK", 61)
    pieces = read_counts(tmp_path / "c.gz")
    assert (pieces.words, pieces.digest) == (whole.words, whole.digest)
    assert all(np.array_equal(a, b) for a, b in zip(pieces.rows, whole.rows, strict=True))
    (tmp_path / "bad").write_text("".join(f"{line}\n" for line in lines_of(counts)) + "last line\n")
    with pytest.raises(InputError, match=f"bad line {sum(map(len, counts.rows)) + 1} is not"):
        read_counts(tmp_path / "bad")


def test_what_learns_from_more_than_counts_says_so(folder, capsys):
    count("one", "--out", "c")
    for model, options, said in (
        ("lstm", [], "lstm learns from a text, not from counts"),
        ("jelinek-mercer", ["-o", "order=3"], "give --valid FILE"),
        ("kneser-ney", ["-o", "order=3", "-o", "kenlm_counts=true"], "needs the text itself"),
        ("kneser-ney", [], "of up to 3 words; give -o order=3 or less"),
    ):
        argv = ["score", "--model", model, *options, "--counts", "c", "--test", "held", *WORDED]
        assert main(argv) == 2
        assert re.search(said, capsys.readouterr().err)
    assert main(["score", "--model", "kneser-ney", "--counts", "c", "--test", "held"]) == 2
    assert "--unit word" in capsys.readouterr().err
    (folder / "marks").write_text("a <s> b\n")
    assert main(["counts", "marks"]) == 2
    assert "the word <s>, which files of counts reserve" in capsys.readouterr().err
    assert main(["counts"]) == 2
    assert "give a text to count" in capsys.readouterr().err


def test_what_is_counted_is_what_is_counted_of_tokens():
    corpus = lb.Corpus.of(lb.Documents([ONE]), 0.0, 0.0, documents="line")
    encoded = corpus.encoded("word", "train")
    expected = count_ngrams(encoded.tokens, 3, len(encoded.vocab))
    counts = counted(corpus.train, 3)
    found, notes = counts.ngrams(counts.vocab(), 3)
    assert notes == []
    for column in ("words", "begins", "counts", "suffixes"):
        for a, b in zip(getattr(found, column), getattr(expected, column), strict=True):
            assert a.dtype == b.dtype
            np.testing.assert_array_equal(a, b)
