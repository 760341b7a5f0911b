"""Results, stored runs, and what other programs have said of a text."""

from __future__ import annotations

import functools
import io
import json
import os
import tempfile
import unittest.mock
from pathlib import Path
from typing import Any

import jinja2
import report_example
from promises import refused
from rich.console import Console

from lmbench import report
from lmbench.corpora.corpus import Corpus
from lmbench.models import make_model
from lmbench.report import page
from lmbench.report.columns import columns_named
from lmbench.results.diff import diff_runs
from lmbench.results.file import read_results, write_results
from lmbench.results.views import Views
from lmbench.scoring.evaluation import evaluate
from lmbench.scoring.stored_run import load_run, save_run
from lmbench.scoring.token_file import external_run, write_tokens
from lmbench.text.units import unit_named

TEXT = "the ferry waits for the tide\nand the tide for nobody\nthe bell rings twice at <unk> noon é\n" * 8


def results() -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as folder:
        write_results(report_example.example(), Path(folder))
        full = Path(folder, "results.json").read_bytes()
    tree = json.loads(full)
    tree["results"] = tree["results"][:3]
    tree["comparisons"] = tree["comparisons"][:2]
    return {"full": full, "few": json.dumps(tree).encode()}


def check_results(data: bytes, folder: Path) -> object:
    (folder / "results.json").write_bytes(data)

    def shown() -> None:
        read = read_results(folder)
        names = [corpus.name for corpus in read.corpora]
        report.leaderboard_csv(read)
        for name in names:
            for columns in map(columns_named, ("leaderboard", "cost")):
                report.leaderboard_latex(read, name, columns)
                report.leaderboard_markdown(read, name, columns)
        stream = io.StringIO()
        Console(file=stream, width=120).print(report.terminal_table(read))
        assert "\x1b" not in stream.getvalue()
        page.html(read, [], Views())
        page.markdown(read, {}, [], Views())

    def compiled(*asked: Any, **named: Any) -> Any:
        return _templates.compiled(*asked, **named)

    with unittest.mock.patch.object(jinja2.Environment, "compile", compiled):
        return refused(shown)


class Templates(dict[tuple[Any, ...], Any]):
    """Jinja's templates, compiled once a process: they are the same for every input, and take longer than all the rest."""

    def __init__(self) -> None:
        self._compile = jinja2.Environment.compile

    def compiled(self, environment: jinja2.Environment, source: Any, *more: Any, **named: Any) -> Any:
        key = (source, environment.autoescape)
        if key not in self:
            self[key] = self._compile(environment, source, *more, **named)
        return self[key]


_templates = Templates()


@functools.cache
def _runs() -> tuple[Any, ...]:
    text = Corpus.of(_text_file(), name="t", documents="line")
    return tuple(evaluate(_model(name), text, "word", label=name) for name in ("uniform", "bigram"))


def _model(name: str) -> Any:
    return make_model(name, **({"eps": "1,1"} if name == "bigram" else {}))


@functools.cache
def _text_file() -> str:
    handle, path = tempfile.mkstemp(suffix=".txt")
    with os.fdopen(handle, "w") as stream:
        stream.write(TEXT)
    return path


def stored() -> dict[str, bytes]:
    found = {}
    for run in _runs():
        with tempfile.TemporaryDirectory() as folder:
            save_run(run, Path(folder, "r.npz"), "key")
            found[run.label] = Path(folder, "r.npz").read_bytes()
    return found


def check_stored(data: bytes, folder: Path) -> object:
    for side in ("a", "b"):
        (folder / side / "scores" / "t").mkdir(parents=True, exist_ok=True)
        for run, name in zip(_runs(), ("uniform", "bigram"), strict=True):
            save_run(run, folder / side / "scores" / "t" / f"{name}.npz", "key")
    (folder / "b" / "scores" / "t" / "bigram.npz").write_bytes(data)
    refused(lambda: load_run(folder / "b" / "scores" / "t" / "bigram.npz", "key"))
    return refused(lambda: diff_runs(folder / "a", folder / "b"))


def score_files() -> dict[str, bytes]:
    found = {}
    for run in _runs():
        with tempfile.TemporaryDirectory() as folder:
            corpus = Corpus.of(_text_file(), name="t", documents="line")
            write_tokens(Path(folder, "t.tsv"), run, corpus.text("test"), unit_named("word"))
            found[run.label] = Path(folder, "t.tsv").read_bytes()
    return found


def check_scores(data: bytes, folder: Path) -> object:
    (folder / "t.tsv").write_bytes(data)
    corpus = Corpus.of(_text_file(), name="t", documents="line")
    run = refused(lambda: external_run(folder / "t.tsv", corpus))
    if run is not None:
        assert (run.scores.log_probs <= 0).all()  # type: ignore[attr-defined]
    return run
