"""What may come to lmbench from outside, kind by kind: good examples, ways to damage them, and what holds of every one.

Whatever the input, a command ends with a status of 0 to 2 or 130, and what is wrong with it is one printable line; a reader
returns or raises ``InputError`` of one such line. No other exception, no warning of numpy's, no hang.
"""

from __future__ import annotations

import contextlib
import functools
import io
import json
import math
import os
import random
import shutil
import sys
import tempfile
import warnings
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import readers
import report_example
import tomli_w
from readers import NUMBERS, arpa_scores, assert_line, damaged_arpa, damaged_saved, saved_scores

from lmbench import report
from lmbench.bench.runner import measure_suite
from lmbench.bench.suite import CorpusSpec, ModelSpec, Suite
from lmbench.bench.suite_file import load_suite, to_toml
from lmbench.cli import main
from lmbench.corpora.corpus import Corpus
from lmbench.errors import InputError
from lmbench.report import page
from lmbench.results.diff import diff_runs
from lmbench.results.file import read_results, write_results
from lmbench.results.views import Views
from lmbench.scoring.evaluation import evaluate
from lmbench.scoring.run import load_run, save_run
from lmbench.scoring.token_file import external_run, write_tokens

TEXT = "the ferry waits for the tide\nand the tide for nobody\nthe bell rings twice at <unk> noon é\n" * 8
HOSTILE = (
    *(
        "",
        " ",
        "\n",
        "\0",
        "\x1b[31m",
        "\u202e",
        "\ud800",
        "é",
        "ﬁ",
        "\u0301",
        "a" * 300,
        "-",
        "--",
        "..",
        "../x",
        "/",
        "/dev/null",
    ),
    *(
        "<script>",
        "\\write18{x}",
        "=1+1",
        "|",
        "`x`",
        "%s",
        "{0}",
        "*",
        "[",
        "~",
        "CON",
        "nul.txt",
        "a\tb",
        ":",
        "x:",
        ":X",
        "os:path",
    ),
    *(
        "evil:X",
        "word",
        "char",
        "byte",
        "line",
        "stream",
        "nan",
        "inf",
        "-inf",
        "1e400",
        "0x10",
        "1_000",
        "٣",
        "true",
        "none",
        ",",
    ),
    *(
        "1,2",
        "0",
        "-1",
        "2",
        "7",
        "1e9",
        "999999999999999999999",
        "9223372036854775807",
        "0.5",
        "tune",
        "auto",
        "uniform",
        "kneser-ney",
    ),
)
VALUES = (
    *HOSTILE, *NUMBERS, 0.5, -1.5, 1e308, math.inf, -math.inf, math.nan, True, False, [], [[]], {}, [1, "a"], {"a": {"b": 1}}, {"": 0},
)  # fmt: skip


@dataclass(frozen=True)
class Kind:
    """seeds: good inputs. damage: another input made of one. check: raises where an input is not stood (in a folder of its own)."""

    seeds: Callable[[], Mapping[str, bytes]]
    damage: Callable[[bytes, random.Random], bytes]
    check: Callable[[bytes, Path], object]


# What holds ----------------------------------------------------------------------------------------------


def refused(check: Callable[[], object]) -> object:
    """What a reader returns; None where it refuses in one printable line."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        try:
            return check()
        except InputError as error:
            assert_line(str(error))
    return None


def command(argv: list[str], folder: Path, stdin: bytes = b"") -> int:
    """The status of a command, run in a folder, whose errors are single printable lines."""
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", "surrogateescape", newline="") for _ in range(2))
    kept = sys.stdin
    try:
        sys.stdin = io.TextIOWrapper(io.BytesIO(stdin), "utf-8")
        with (
            warnings.catch_warnings(),
            contextlib.chdir(folder),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            warnings.simplefilter("error", RuntimeWarning)
            try:
                status = main(argv)
            except SystemExit as ended:
                status = ended.code if isinstance(ended.code, int) else 1
    finally:
        sys.stdin = kept
    assert status in (0, 1, 2, 130), f"status {status}"
    for stream in (out, err):
        stream.flush()
    said = err.buffer.getvalue().decode("utf-8", "replace")
    if status == 2 and not said.startswith("Usage"):
        lines = [line for line in said.split("\n") if line.startswith("lmbench: ")]
        assert len(lines) == 1, f"not one line: {said[:300]!r}"
        assert lines[0].isprintable(), f"does not print: {lines[0]!r}"
        assert len(lines[0]) < 400, f"a message of {len(lines[0])} characters"
    assert "\x1b" not in said, f"an escape is printed: {said[:300]!r}"
    return status


# Damage --------------------------------------------------------------------------------------------------


def damaged_bytes(data: bytes, rng: random.Random) -> bytes:
    """Bytes with some lost, doubled, exchanged or made up."""
    for _ in range(rng.choice((1, 1, 2, 5))):
        at = rng.randrange(len(data) + 1)
        end = min(len(data), at + rng.choice((1, 1, 2, 8, 100)))
        other = rng.randrange(len(data) + 1)
        odd = rng.choice(HOSTILE).encode("utf-8", "surrogatepass")
        pieces = (
            b"",
            odd,
            rng.randbytes(rng.choice((1, 2, 8))),
            data[other : other + rng.randrange(60)],
            b"\n",
            data[at:end] * 2,
        )
        data = data[:at] + rng.choice(pieces) + data[rng.choice((at, end)) :]
    return data


def _change(tree: Any, rng: random.Random) -> None:
    """Changes, drops, copies or adds one value, however deep it lies."""
    while isinstance(tree, (dict, list)) and tree:
        key = rng.choice(list(tree)) if isinstance(tree, dict) else rng.randrange(len(tree))
        if isinstance(tree[key], (dict, list)) and tree[key] and rng.random() < 0.75:
            tree = tree[key]
            continue
        match rng.randrange(6):
            case 0:
                del tree[key]
            case 1 if isinstance(tree[key], (int, float)):
                tree[key] = rng.choice(
                    (-tree[key], tree[key] * 10, tree[key] + 1, tree[key] / 2, float(tree[key]))
                )
            case 2 if isinstance(tree, dict):
                tree[rng.choice((rng.choice(HOSTILE), rng.choice(list(tree)), "extra"))] = tree[key]
            case 3 if isinstance(tree, list):
                tree.append(json.loads(json.dumps(tree[key])))
            case 4 if isinstance(tree[key], str):
                at = rng.randrange(len(tree[key]) + 1)
                tree[key] = tree[key][:at] + rng.choice(HOSTILE) + tree[key][at + rng.randrange(3) :]
            case _:
                tree[key] = rng.choice(VALUES)
        return


def _changed(data: bytes, rng: random.Random, read: Any, write: Any) -> bytes:
    if rng.random() < 0.2:
        return damaged_bytes(data, rng)
    try:
        tree = read(data)
    except (ValueError, RecursionError):  # damaged already
        return damaged_bytes(data, rng)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        _change(tree, rng)
    try:
        return bytes(write(tree))
    except (TypeError, ValueError, UnicodeError):
        return damaged_bytes(data, rng)


def damaged_toml(data: bytes, rng: random.Random) -> bytes:
    import tomllib

    return _changed(
        data,
        rng,
        lambda d: tomllib.loads(d.decode()),
        lambda t: tomli_w.dumps(t).encode("utf-8", "surrogatepass"),
    )


def damaged_json(data: bytes, rng: random.Random) -> bytes:
    return _changed(data, rng, json.loads, lambda t: json.dumps(t).encode())


def damaged_lines(data: bytes, rng: random.Random) -> bytes:
    """A table of tabs with cells or rows changed."""
    if rng.random() < 0.3:
        return damaged_bytes(data, rng)
    rows = [line.split(b"\t") for line in data.split(b"\n")]
    for _ in range(rng.choice((1, 1, 2, 4))):
        row = rng.choice(rows)
        match rng.randrange(5):
            case 0:
                rows.remove(row)
                rows = rows or [[b""]]
            case 1:
                rows.insert(rng.randrange(len(rows)), list(rng.choice(rows)))
            case 2:
                row.append(rng.choice(HOSTILE).encode("utf-8", "replace"))
            case _:
                row[rng.randrange(len(row)) if row else 0 : 1] = [
                    rng.choice(HOSTILE).encode("utf-8", "replace")
                ]
    return b"\n".join(map(b"\t".join, rows))


# Suites, descriptions, results, stored runs, scores ---------------------------------------------------------


def suites() -> dict[str, bytes]:
    built_in = Path(sys.modules["lmbench"].__file__ or "").parent / "suites"
    small = Suite(
        "small",
        [CorpusSpec("t", train="text.txt", valid=0.1, test=0.2, normalise="letters", documents="line")],
        [
            ModelSpec("bigram", options={"eps": [1.0, 1.0]}),
            ModelSpec("kneser-ney", "kn", "word", {"order": 3}, (1, 2)),
        ],
        seeds=(0, 1),
        splits=2,
    )
    return {path.stem: path.read_bytes() for path in built_in.glob("*.toml")} | {
        "small": to_toml(small).encode()
    }


def check_suite(data: bytes, folder: Path) -> object:
    (folder / "text.txt").write_text(TEXT)
    (folder / "s.toml").write_bytes(data)

    def read() -> Suite:
        suite = load_suite(str(folder / "s.toml"), trust_paths=True)
        (folder / "again.toml").write_text(to_toml(suite), encoding="utf-8")
        assert load_suite(str(folder / "again.toml"), trust_paths=True) == suite or "nan" in repr(suite)
        return suite.narrowed([], [suite.models[-1].label], 3, 2)

    return refused(read)


def check_run(data: bytes, folder: Path) -> object:
    """A suite is run, where it is small enough."""
    (folder / "text.txt").write_text(TEXT)
    (folder / "s.toml").write_bytes(data)
    try:
        suite = load_suite(str(folder / "s.toml"), trust_paths=True)
    except InputError:
        return None
    small = all(
        spec.train in ("text.txt", "./text.txt") or "text.txt" in str(spec.train)
        for spec in suite.corpus_specs()
    )
    fast = all(row.model in readers.FAST for row in suite.models)
    if (
        small
        and fast
        and suite.verify < 50
        and len(suite.seeds) < 5
        and suite.splits < 5
        and not suite.studies
    ):
        with contextlib.chdir(folder):
            return refused(lambda: measure_suite(suite, folder / "run").results())
    return None


def descriptions() -> dict[str, bytes]:
    files = "title = 't'\nlicence = 'l'\nnormalise = 'letters'\ndocuments = 'line'\nvalid = 0.1\ntest = 0.2\n"
    made = {
        name: f"title = 't'\n[source]\nkind = '{name}'\nlength = 2000\nseed = 1\n{more}".encode()
        for name, more in {
            "zipf-mandelbrot": "types = 50\nalpha = 1.0\nb = 2.7\nline = 10\n",
            "markov": "order = 1\nsymbols = 4\nconcentration = 0.5\ntable = 0\n",
            "golden-mean": "p = 0.5\n",
            "even-process": "p = 0.5\n",
            "hidden-markov": "stay = 0.9\npurity = 0.85\n",
            "grammar": "clause = 0.3\n",
        }.items()
    }
    one = f"{files}[[files]]\nname = 'text.txt'\nurl = 'https://example.org/t'\nsha256 = '00'\nrole = ''\n"
    three = files + "".join(
        f"[[files]]\nname = '{part}.txt'\nrole = '{part}'\n" for part in ("train", "valid", "test")
    )
    return {
        "one": one.encode(),
        "bare": f"{files}[[files]]\nname = 'text.txt'\n".encode(),
        "three": three.encode(),
    } | made


def check_description(data: bytes, folder: Path) -> object:
    for name in ("text", "train", "valid", "test"):
        (folder / f"{name}.txt").write_text(TEXT + name)
    (folder / "d.toml").write_bytes(data)
    return refused(lambda: Corpus.of(str(folder / "d.toml")).describe())


def results() -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as folder:
        write_results(report_example.example(), Path(folder))
        full = Path(folder, "results.json").read_bytes()
    tree = json.loads(full)
    tree["results"] = tree["results"][:3]
    tree["comparisons"] = tree["comparisons"][:2]
    return {"full": full, "few": json.dumps(tree).encode()}


def check_results(data: bytes, folder: Path) -> object:
    from rich.console import Console

    (folder / "results.json").write_bytes(data)

    def shown() -> None:
        read = read_results(folder)
        names = [corpus.name for corpus in read.corpora]
        from lmbench.report.columns import columns_named

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

    return refused(shown)


@functools.cache
def _runs() -> tuple[Any, ...]:
    text = Corpus.of(_text_file(), name="t", documents="line")
    return tuple(evaluate(_model(name), text, "word", label=name) for name in ("uniform", "bigram"))


def _model(name: str) -> Any:
    from lmbench.models import make_model

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


def damaged_npz(data: bytes, rng: random.Random) -> bytes:
    if rng.random() < 0.25:
        return damaged_bytes(data, rng)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    for _ in range(rng.choice((1, 1, 2))):
        name = rng.choice(list(members))
        try:
            array = np.load(io.BytesIO(members[name]))
        except (ValueError, EOFError, OSError):
            continue
        match rng.randrange(7):
            case 0:
                del members[name]
                if not members:
                    break
                continue
            case 1:
                members[rng.choice(("extra.npy", "about.npy", "ends.npy", "x"))] = members[name]
                continue
            case 2:
                members[name] = damaged_bytes(members[name], rng)
                continue
            case 3 if name == "about.npy":
                array = np.frombuffer(damaged_json(array.tobytes(), rng), dtype=np.uint8)
            case 4:
                array = array[: rng.randrange(len(array) + 1)] if array.ndim else array
            case 5:
                kind = rng.choice(("f4", "i8", "u1", "c16", "U3", "f8", "?", "M8[s]", "S2"))
                with warnings.catch_warnings(), contextlib.suppress(ValueError, TypeError, OverflowError):
                    warnings.simplefilter("ignore")
                    array = array.astype(kind)
            case _:
                array = array.copy()
                if array.size:
                    with contextlib.suppress(ValueError, OverflowError, TypeError):
                        array.flat[rng.randrange(array.size)] = rng.choice(
                            (np.nan, np.inf, 1.0, -1, 2**62, -(2**62), 0)
                        )
                if rng.random() < 0.2:
                    array = array.reshape(1, -1)
        stream = io.BytesIO()
        np.save(stream, array)
        members[name] = stream.getvalue()
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


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
            from lmbench.text.units import unit_named

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


# Texts and command lines ------------------------------------------------------------------------------------


def texts() -> dict[str, bytes]:
    rows = "".join(json.dumps({"text": line, "body": 1}) + "\n" for line in TEXT.split("\n"))
    import gzip

    return {
        "plain": TEXT.encode(),
        "two": b"ab" * 300,
        "one": b"a" * 400,
        "lines": b"\n" * 200,
        "words": " ".join(f"w{i}" for i in range(300)).encode(),
        "marks": ("e" + "\u0301" * 40 + " ").encode() * 12,
        "rows": rows.encode(),
        "packed": gzip.compress(TEXT.encode(), mtime=0),
        "wide": "渡船九点开，无论下雨与否。\n".encode() * 20,
    }


_COMMANDS = (
    "zipf t --json",
    "zipf t --unit char --orders 1,2",
    "corpora show t",
    "score --model kneser-ney -o discounts=tune --train t",
    "score --model kneser-ney --train t --unit word --verify 30",
    "score --model witten-bell --train t --unit byte --verify 30 --documents line",
    "score --model katz --train t --unit word --normalise letters",
    "score --model jelinek-mercer --train t",
    "score --model laplace --train t --json",
    "score --model context-mixing --train t",
    "score --model cache --train t --unit word",
    "score --model bigram --train t --each line",
    "score --model bigram --train t --unit word --given the --test t",
    "score --model absolute-discounting --train t --documents line --tokens tokens.tsv",
    "power --difference 0.1 --corpus t",
)


def check_text(data: bytes, folder: Path) -> object:
    chance = random.Random(data)
    name = "t.jsonl" if data[:1] == b"{" else "t.txt"
    (folder / name).write_bytes(data)
    argv = [name if word == "t" else word for word in chance.choice(_COMMANDS).split()]
    return command(argv, folder)


_LINES = (
    "score --model trigram --train t.txt --test u.txt --unit char --json",
    "score --model kneser-ney -o order=3 -o discounts=auto --train t.txt --test u.txt --normalise letters --tokens o.tsv",
    "score --load model --test u.txt --verify 20",
    "score --load model --test - --each line --format jsonl",
    "score --load model --given the --test u.txt",
    "fit --model witten-bell --train t.txt --unit word --save out",
    "fit --model bigram -o eps=1,1 --train t.txt --save out.arpa --json",
    "rank --load model u.txt --json",
    "next --load model --prompt the --top 3",
    "generate --load model --prompt the --length 20 --temperature 0.7 --top-k 3 --top-p 0.9 --seed 1",
    "zipf t.txt --unit word --orders 1,2 --json",
    "corpora list",
    "corpora show t.txt",
    "corpora add ptb t.txt",
    "models kneser-ney",
    "models --json",
    "suites",
    "init t.txt --out new.toml --force",
    "diff run run2 --json",
    "export run --format latex --columns label,bits --corpus t",
    "export run --format csv --out o.csv",
    "prune m.arpa --entropy 0.01 --save o.arpa",
    "power --difference 0.1 --corpus t.txt",
    "run s.toml --out again --jobs 1 --quiet --model bigram --seeds 2",
)
# What is not tried: what goes to the network, and what takes long because it was asked to.
_LONG = {
    "fetch",
    "study",
    "python-docs",
    "default",
    "neural",
    "shakespeare",
    "book",
    "seeds",
    "words",
    "--full",
    "--length=1e9",
}


def command_lines() -> dict[str, bytes]:
    return {str(i): line.replace(" ", "\0").encode() for i, line in enumerate(_LINES)}


def damaged_line(data: bytes, rng: random.Random) -> bytes:
    words = data.split(b"\0")
    every = [word for line in _LINES for word in line.split()]
    for _ in range(rng.choice((1, 1, 2, 3))):
        at = rng.randrange(len(words)) if words else 0
        odd = (
            rng.choice((rng.choice(HOSTILE), rng.choice(every), str(rng.choice(NUMBERS)))).encode(
                "utf-8", "surrogatepass"
            )
            if rng.random() < 0.9
            else b"\xff\xfe"
        )
        match rng.randrange(5):
            case 0 if words:
                del words[at]
            case 1:
                words.insert(at, odd.replace(b"\0", b""))
            case 2 if words:
                words[at] = odd.replace(b"\0", b"")
            case 3 if words and b"=" in words[at]:
                words[at] = words[at].partition(b"=")[0] + b"=" + odd.replace(b"\0", b"")
            case _:
                if words:
                    words[at] = damaged_bytes(words[at], rng).replace(b"\0", b"")
    return b"\0".join(words)


@functools.cache
def _prepared() -> Path:
    """A folder with all that the command lines name."""
    folder = Path(tempfile.mkdtemp())
    (folder / "t.txt").write_text(TEXT)
    (folder / "u.txt").write_text(TEXT[::-1][:300])
    (folder / "m.arpa").write_text(readers.ARPA, encoding="utf-8")
    suite = Suite(
        "s", [CorpusSpec("t", train="t.txt")], [ModelSpec("uniform"), ModelSpec("bigram")], zipf_orders=(1,)
    )
    (folder / "s.toml").write_text(to_toml(suite))
    command(["fit", "--model", "witten-bell", "--train", "t.txt", "--save", "model"], folder)
    for out in ("run", "run2"):
        command(["run", "s.toml", "--out", out, "--jobs", "1", "--quiet"], folder)
    return folder


def check_line(data: bytes, folder: Path) -> object:
    argv = [word.decode("utf-8", "surrogateescape") for word in data.split(b"\0")] if data else []
    if (
        _LONG & {*argv, *(word.split("=")[-1] for word in argv)}
        or (argv[:1] == ["run"] and "s.toml" not in argv)
        or _takes_long(argv)
    ):
        return None
    for path in _prepared().iterdir():
        place = folder / path.name
        shutil.copytree(path, place, dirs_exist_ok=True) if path.is_dir() else shutil.copy(path, place)
    return command(argv, folder, b"the tide\nwaits\n")


def _takes_long(argv: list[str]) -> bool:
    """Whether so many tokens, seeds or lines are asked for that nobody would call it a hang."""
    try:
        return any(10_000 < abs(float(word.split("=")[-1].replace(",", ""))) < 2**53 for word in argv)
    except ValueError:
        numbers = [word for word in argv if word.split("=")[-1].replace("_", "").isdigit()]
        return any(10_000 < int(word.split("=")[-1]) < 2**53 for word in numbers)


KINDS: dict[str, Kind] = {
    "arpa": Kind(lambda: {"small": readers.ARPA.encode()}, damaged_arpa, arpa_scores),
    "count-model": Kind(lambda: readers.saved("count"), damaged_saved, saved_scores),
    "neural-model": Kind(lambda: readers.saved("neural"), damaged_saved, saved_scores),
    "suite": Kind(suites, damaged_toml, check_suite),
    "suite-run": Kind(lambda: {"small": suites()["small"]}, damaged_toml, check_run),
    "description": Kind(descriptions, damaged_toml, check_description),
    "results": Kind(results, damaged_json, check_results),
    "stored-run": Kind(stored, damaged_npz, check_stored),
    "scores": Kind(score_files, damaged_lines, check_scores),
    "text": Kind(texts, damaged_bytes, check_text),
    "command-line": Kind(command_lines, damaged_line, check_line),
}
