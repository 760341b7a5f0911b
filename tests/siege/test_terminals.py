"""What files and models say to a terminal: nothing that it would obey, whatever the command."""

import io
import json
import re
from pathlib import Path

import pytest

from lmbench.bench.run import run_suite
from lmbench.bench.suite import CorpusSpec, ModelSpec, Suite
from lmbench.cli import main
from lmbench.cli.options import echo_text

ORDER = "\x1b]0;x\x07\u202e"


def test_what_a_model_writes_gives_a_terminal_no_orders(monkeypatch, capsys):
    text = "a\tb\nc\x1b[31m\u202e"
    echo_text(text)
    assert capsys.readouterr().out.endswith("\u202e\n")  # click leaves colours out where there is no terminal
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr("sys.stdout", terminal)
    echo_text(text)
    assert terminal.getvalue() == "a\tb\nc\\x1b[31m\\u202e\n"


@pytest.mark.parametrize(
    "line",
    [
        "score --load m --test ORDER.txt",
        "score --load m --test ORDER.txt --json",
        "score --load m --test t.txt --each line",
        "score --load m --given theORDER --test t.txt",
        "surprisal --load m t.txt",
        "rank --load m t.txt",
        "next --load m --prompt the --top 9",
        "generate --load m --length 30",
        "counts t.txt --orders 1,2",
        "zipf ORDER.txt",
        "corpora show d.toml",
        "corpora show ORDER.txt",
        "domains --load m d.jsonl",
    ],
)
def test_no_command_gives_a_terminal_orders_of_a_text_s(folder_of_orders, line, monkeypatch):
    terminal = io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True)
    terminal.isatty = lambda: True
    monkeypatch.chdir(folder_of_orders)
    monkeypatch.setattr("sys.stdout", terminal)
    assert main([word.replace("ORDER", ORDER) for word in line.split()]) == 0
    said = terminal.buffer.getvalue().decode()
    assert said
    assert not re.search("[\u202e\x07]", said)


MODEL = f"""from lmbench.models.uniform import Uniform


class X(Uniform):
    def _fit(self, *given):
        super()._fit(*given)
        self.notes.append({ORDER!r})

    @property
    def context_policy(self):
        return {ORDER!r}
"""


@pytest.mark.parametrize(
    "line",
    [
        "score --model orders:X --train t.txt",
        "fit --model orders:X --train t.txt --save m",
        "run s.toml --jobs 1",
        "score --load m --test t.txt --trust-code",
        "models orders:X",
    ],
)
def test_what_a_model_notes_gives_a_terminal_no_orders(folder_of_notes, line, monkeypatch):
    """As one of a server or a GGUF file does, whose names others chose."""
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
    out.isatty = err.isatty = lambda: True
    monkeypatch.chdir(folder_of_notes)
    monkeypatch.syspath_prepend(str(folder_of_notes))
    monkeypatch.setattr("sys.stdout", out)
    monkeypatch.setattr("sys.stderr", err)
    assert main(line.split()) == 0
    assert not re.search("[\u202e\x07]", (out.buffer.getvalue() + err.buffer.getvalue()).decode())


@pytest.fixture(scope="module")
def folder_of_notes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("notes")
    (folder / "t.txt").write_text("the tide waits\n" * 60)
    (folder / "orders.py").write_text(MODEL)
    head = "name = 's'\ncorpora = ['t.txt']\nzipf_orders = []\n"
    (folder / "s.toml").write_text(f"{head}[[models]]\nmodel = 'orders:X'\nlabel = 'm'\n")
    return folder


@pytest.mark.parametrize(
    "line",
    [
        *("runs", "runs --json", "history --out h.svg", "history --json --out h.svg"),
        *("diff ONE OTHER", "diff ONE OTHER --json", "diff ONE OTHER --markdown", "export ONE --format pdf", "watch ONE --once"),
        *("fit --model unigram --train t.txt --save mORDER --json", "models --json", "corpora show ORDER.txt --json"),
    ],
)  # fmt: skip
def test_no_folder_s_name_gives_a_terminal_orders(folder_of_runs, line, monkeypatch):
    """Not in JSON either, which escapes some of them by itself; into a file it goes as it is."""
    monkeypatch.chdir(folder_of_runs)
    names = {
        "ORDER": ORDER + "\x9b",
        **dict(zip(("ONE", "OTHER"), sorted(map(str, Path("reports").iterdir())), strict=True)),
    }
    argv = [re.sub("ORDER|ONE|OTHER", lambda m: names[m[0]], word) for word in line.split()]
    said = {}
    for terminal in (True, False):
        out = io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True)
        out.isatty = lambda terminal=terminal: terminal
        monkeypatch.setattr("sys.stdout", out)
        assert main(argv) == 0
        said[terminal] = out.buffer.getvalue().decode()
    assert said[True]
    assert not re.search("[\x07\u202e\x9b]", said[True])
    if "--json" in line:
        one, other = map(json.loads, (said[True], said[False]))
        assert one.keys() == other.keys()
        assert "models" in line or "\u202e" in said[False]


@pytest.fixture(scope="module")
def folder_of_runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    for name in ("t.txt", f"{ORDER}\x9b.txt"):
        (folder / name).write_text("the tide waits\n" * 60)
    text = CorpusSpec("t", train=str(folder / "t.txt"))
    for number in (1, 2):
        suite = Suite(f"s{number}", [text], [ModelSpec("uniform", "m")], zipf_orders=())
        run_suite(suite, folder / "reports" / f"{number}{ORDER}\x9b")
    return folder


@pytest.fixture(scope="module")
def folder_of_orders(tmp_path_factory):
    folder = tmp_path_factory.mktemp("orders")
    (folder / "t.txt").write_text(f"the {ORDER} waits\nthe {ORDER} rings\nand the tide\n" * 5)
    (folder / f"{ORDER}.txt").write_text(f"the {ORDER} waits\n" * 9)
    quoted = json.dumps(ORDER)
    (folder / "d.toml").write_text(f"title = {quoted}\nhomepage = {quoted}\n[[files]]\nname = 't.txt'\n")
    rows = [{"text": f"the {ORDER}", "domain": f"{ORDER}{i % 2}"} for i in range(6)]
    (folder / "d.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    order = ["--unit", "word", "--documents", "line", "-o", "order=2"]
    fit = ["fit", "--model", "witten-bell", *order, "--quiet"]
    assert main([*fit, "--train", str(folder / "t.txt"), "--save", str(folder / "m")]) == 0
    return folder
