"""Texts that a process has read, and when it reads them anew."""

from dataclasses import replace
from pathlib import Path

import pytest

from lmbench.bench.cells import cells_of
from lmbench.bench.outcome import corpus_of, load
from lmbench.bench.suite import CorpusSpec, ModelSpec, Suite


@pytest.mark.parametrize("train", ["t.txt", "*.txt", "d.toml", ("t.txt",), "."])
def test_a_text_that_has_changed_is_read_anew(train, tmp_path, monkeypatch):
    """In one process, by the same relative path: another folder, another file of that name, another content."""
    spec = CorpusSpec("t", train=train)
    suite = Suite("s", [spec], [ModelSpec("uniform")], splits=4)
    split = replace(cells_of(suite, spec)[0], split=1)
    for folder, text in (("a", "the tide waits\n"), ("b", "the bell rings\n"), ("b", "rain on the ferry\n")):
        (tmp_path / folder).mkdir(exist_ok=True)
        monkeypatch.chdir(tmp_path / folder)
        Path("t.txt").write_text(text * 40)
        if train == "d.toml":
            Path(train).write_text('title = "t"\n[[files]]\nname = "t.txt"\n')
        if train != ".":
            assert load(spec).train.text.startswith(text)
            assert load(spec) is load(spec)
        assert text.strip() in load(spec).whole().text
        assert text.strip() in corpus_of(split, suite).whole().text
