"""Models of counts, mixtures and networks on texts that hardly are any: a figure or one line, without a warning."""

import warnings

import pytest

from lmbench.cli import main
from lmbench.models import grouped_models

TEXTS = {
    "one symbol": "a" * 400,
    "two symbols": "ab" * 40 + "aabb" * 60 + "b" * 90,
    "one word": "ferry" * 60,
    "emoji": "😀🎉👨‍👩‍👧 🇫🇷 👍🏽\n" * 40,
    "line feeds": "\n" * 200,
    "two tokens": "ab",
}
SMALL = "-o hidden=4 -o epochs=1 -o steps=8 -o batch=4"
ROWS = {
    **{name: f"--model {name}" for name in (*grouped_models()["of counts"], "cache", "context-mixing", "bit-mixing")},
    "mixture": "--model mixture -o of=bigram,kneser-ney",
    "geometric mixture": "--model mixture -o of=bigram,witten-bell -o pooling=geometric -o weights=by-entropy",
    "word-char": "--model word-char -o of=kneser-ney,kneser-ney",
    "discounts that are chosen": "--model kneser-ney -o discounts=tune",
    "words": "--model kneser-ney --unit word",
    "bits of bytes": "--model bit-mixing --unit byte",
    **{name: f"--model {name} {SMALL}" for name in grouped_models()["networks"] if "d2l" not in name},  # which fix their sizes
    "transformer": f"--model transformer {SMALL} -o heads=2 -o layers=1",
    "a network of words": f"--model lstm {SMALL} --unit word",
}  # fmt: skip


@pytest.mark.parametrize("row", ROWS)
def test_a_text_that_hardly_is_one_is_scored_or_refused_in_one_line(tmp_path, monkeypatch, capsys, row):
    monkeypatch.chdir(tmp_path)
    for name, text in TEXTS.items():
        (tmp_path / "t.txt").write_text(text)
        (tmp_path / "u.txt").write_text(text[: len(text) // 3 + 1])
        line = f"score {ROWS[row]} --train t.txt --test u.txt --verify 20"
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            status = main(line.split())
        said = capsys.readouterr()
        assert status == 0 or (status, row) == (2, "word-char"), (name, said.err)
        assert (
            status == 0
            or said.err.splitlines()[-1] == "lmbench: the held-out text has no word that ends; give more"
        )
        assert status == 2 or row == "stupid-backoff" or "decoded to the same text" in said.out
