"""Texts that commands read, and command lines."""

from __future__ import annotations

import atexit
import functools
import gzip
import hashlib
import json
import os
import random
import shutil
import tempfile
import unittest.mock
from collections.abc import Callable
from pathlib import Path
from typing import Any

import readers
from damage import HOSTILE, NUMBERS, damaged_bytes
from good_files import LINES as GOOD_TEXT
from good_files import archive, plain_files
from promises import command, is_folder_outside
from result_kinds import TEXT

from lmbench.bench.suite import CorpusSpec, ModelSpec, Suite
from lmbench.bench.suite_file import to_toml


def texts() -> dict[str, bytes]:
    rows = "".join(json.dumps({"text": line, "body": 1}) + "\n" for line in TEXT.split("\n"))
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


LINES = (
    "score --model trigram --train t.txt --test u.txt --unit char --json",
    "score --model kneser-ney -o order=3 -o discounts=auto --train t.txt --test u.txt --normalise letters --tokens o.tsv",
    "score --load model --test u.txt --verify 20",
    "score --load model --test - --each line --format jsonl",
    "score --load model --given the --test u.txt",
    "fit --model witten-bell --train t.txt --unit word --save out",
    "fit --model bigram -o eps=1,1 --unit word --unk <unk> --train t.txt --save out.arpa --json",
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
    "run s.toml --out run --jobs 1 --quiet --fail-if-worse run2 --tolerance 0.01",
    "run s.toml --cluster inproc://x --work w --quiet",
    "fit --model kneser-ney -o order=2 --unit word --train t.txt --work w --jobs 1 --save out --quiet",
    "fit --model witten-bell -o order=2 --unit word --counts c.tsv --save out",
    "fit --model witten-bell --unit word --vocab t.txt --unk the --train t.txt --save out",
    "fit --model witten-bell -o order=2 --unit subword:size=60,kind=bpe,level=char --train t.txt --save out",
    "score --scores c.tsv --test t.txt",
    "surprisal --load model t.txt --punctuation joined --end space --format jsonl",
    "surprisal --model bigram --train t.txt u.txt --out o.tsv",
    "rank --load model --pairs pairs.tsv --json",
    "mix --load model --load words --tune t.txt --save out",
    "domains --load a=model --load b=words texts --per word --reference a --against u.txt",
    "harness-tasks pairs.tsv --out o --name n --group g",
    "counts t.txt --orders 1,2 --format google --out o",
    "counts --counts c.tsv --counts c.tsv --orders 1,2 --out o.gz",
    "runs .",
    "history . --out o.svg --tolerance 0.1",
    "watch run --once",
    "diff run run2 --html o.html --markdown --tolerance 0.1",
    "export run --wide --format typst --metric word --errors interval --caption c --label l",
    "study markov --corpus long.txt -o unit=byte --out st --quiet",
    "study tails --corpus long.txt -o unit=char --seed 1 --out st --quiet",
    "study words --corpus long.txt --out st --quiet",
    "study size --corpus long.txt -o unit=char -o order=2 --out st --quiet",
    "study sequence --csv x.csv --column x --out st --quiet",
    "run s.toml --corpus t.txt --model bigram --out again --seed 1 --jobs 1 --verify 5 --fresh --trust-code --trust-paths --open --json --quiet",
    "run text.jsonl --field text --normalise letters --documents line --model unigram --model bigram --seeds 1 --out again --jobs 1 --quiet",
    "init text.jsonl --field text --normalise letters --documents line --out new.toml --force",
    "suites --json",
    "power --difference 0.1 --corpus text.jsonl --field text --json --quiet",
    "score --counts c.tsv --model witten-bell -o order=2 --unit word --test u.txt --json --quiet",
    "score --model jelinek-mercer -o order=2 --train t.txt --valid plain.txt --test u.txt --unit word --unk the --vocab vocab.txt --seed 1 --trust-code",
    "score --model laplace --min-count 2 --unit word --train long.jsonl --test domains.jsonl --field text --documents line --normalise sentences --tokens o.parquet",
    "score --load words --test u.txt --work w --jobs 1 --tokens o.tsv --trust-code",
    "score --load words --test u.txt --cluster inproc://x",
    "score --load words --test text.jsonl --field text --each document --format tsv --unk low",
    "score --scores tokens.jsonl --test plain.txt --documents line --normalise none",
    "fit --model jelinek-mercer -o order=2 --min-count 2 --unit word --normalise sentences --documents line --train long.jsonl --field text --valid text.csv --seed 1 --save out --json",
    "fit --model mlp -o hidden=3 -o epochs=1 -o embedding=2 --train t.txt --valid u.txt --seed 1 --save out --quiet",
    "fit --model kneser-ney -o order=2 --unit word --train t.txt --work w --cluster inproc://x --save out",
    "fit --model kneser-ney -o order=2 -o memory_limit=1MB --unit word --documents line --train plain.txt --train u.txt --save out.arpa.gz",
    "counts text.jsonl --field text --normalise letters --orders 2 --format srilm --out o.gz --json",
    "mix --load model --load half --tune text.jsonl --field text --normalise letters --documents line -o pooling=arithmetic --save out --json --quiet --trust-code",
    "mix --load m.arpa --load words.arpa --tune t.txt --save out.arpa",
    "prune m.arpa --entropy 1e-7 --save o.arpa.gz --strict --json",
    "rank --load model --load other=half --pairs pairs.jsonl --group UID --json --trust-code",
    "rank --load model --choices choices.jsonl --group gold --between , --premise the",
    "rank --samples answers.jsonl --samples b=answers.jsonl --json",
    "next --load m.arpa --prompt the --top 3 --json --trust-code",
    "surprisal --model jelinek-mercer -o order=2 --train text.jsonl --valid u.txt --unit word --unk the --vocab vocab.txt --normalise letters --seed 1 t.txt --quiet",
    "surprisal --model bigram -o eps=1,1 --unit word --min-count 2 --train t.txt u.txt",
    "surprisal --counts c.tsv --model witten-bell -o order=2 --unit word t.txt --out o.parquet",
    "surprisal --load model --load b=half text.jsonl --field text --documents line --out o.jsonl --format jsonl --trust-code",
    "domains --load model text.jsonl --field text --domain text --per char --normalise whitespace --json --trust-code",
    "harness-tasks text.jsonl --documents line --field text --out o --name n",
    "harness-tasks choices.jsonl --group gold --out o",
    "generate --load half --trust-code",
    "zipf text.jsonl --field text --normalise letters --documents line --unit char --orders 1 --plot z.svg --json",
    "zipf t.txt --unit word --orders 1,2 --plot z.png --work w --jobs 1",
    "zipf t.txt --cluster inproc://x",
    "study markov --corpus long.jsonl --field text -o unit=char --out st --json --quiet",
    "study",
    "corpora list --json",
    "corpora show text.jsonl --field text --json",
    "corpora show d.toml --json",
    "corpora fetch d.toml",
    "corpora add d.toml t.txt",
    "corpora add z.toml z.zip",
    "models lstm --json",
    "diff run run2",
    "runs run --json",
    "open run",
    "watch run --every 0.2",
    "watch half-done --once",
    "history . --out o.png --json",
    "export run --format pdf --out o",
    "export old --format markdown --columns cost --out o.md",
)
# What takes seconds: of these the sweep alone tries each option.
SLOW_LINES = (
    "run b.toml --out again --jobs 1 --quiet",
    "run b.toml --out half-done --jobs 1 --quiet",
    "study sequence --csv x.csv --column x --full --out st --quiet",
)
# What is not tried: what goes to the network, and what takes long because it was asked to.
_LONG = {
    "fetch",
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


# The studies that take no training of a network.
_STUDIES = {"sequence", "markov", "tails", "words", "size"}


def command_lines() -> dict[str, bytes]:
    return {str(i): line.replace(" ", "\0").encode() for i, line in enumerate(LINES)}


def damaged_line(data: bytes, rng: random.Random) -> bytes:
    words = data.split(b"\0")
    every = [word for line in LINES for word in line.split()]
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


# Each row of another kind than the small suite's: a network, of which two rows have one fit; others' scores; a question; divisions.
_RICH = """name = "b"
studies = ["markov"]
splits = 2
seeds = [1, 2]
verify = 5
zipf_orders = [1]
samples = {prompt = "the ", chars = 5, temperatures = [0.5]}
external = [{file = "tokens.tsv", label = "other", unit = "word"}]
corpora = [{name = "t", train = "t.txt", test = "u.txt", valid = "plain.txt", documents = "line"}]
[[models]]
model = "rnn-scratch"
options = {hidden = 2, epochs = 1}
seeds = [1]
[[models]]
model = "rnn-scratch"
label = "dynamic"
options = {hidden = 2, epochs = 1, dynamic = 0.001}
seeds = [1]
[[models]]
model = "bigram"
unit = "word"
options = {eps = [1.0, 1.0]}
"""


@functools.cache
def prepared() -> Path:
    """A folder with all that the command lines name."""
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    for name, text in plain_files().items():
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "t.txt").write_text(TEXT)
    (folder / "u.txt").write_text(TEXT[::-1][:300])
    (folder / "plain.txt").write_text("\n".join(GOOD_TEXT))
    (folder / "m.arpa").write_text(readers.ARPA, encoding="utf-8")
    suite = Suite(
        "s", [CorpusSpec("t", train="t.txt")], [ModelSpec("uniform"), ModelSpec("bigram")], zipf_orders=(1,)
    )
    (folder / "s.toml").write_text(to_toml(suite))
    (folder / "b.toml").write_text(_RICH)
    packed, described = archive()
    (folder / "z.zip").write_bytes(packed)
    (folder / "z.toml").write_text(described)
    digest = hashlib.sha256((folder / "t.txt").read_bytes()).hexdigest()
    (folder / "d.toml").write_text(
        f"title = 'd'\n[[files]]\nname = 't.txt'\nsha256 = '{digest}'\nurl = 'https://127.0.0.1:9/t'\n"
    )
    (folder / "texts").mkdir()
    for name in ("a.txt", "b.txt"):
        (folder / "texts" / name).write_text(f"{name} {TEXT[:400]}")
    (folder / "x.csv").write_text("t,x\n" + "".join(f"{i},{i * 37 % 101}\n" for i in range(200)))
    (folder / "long.txt").write_text(_long())
    (folder / "long.jsonl").write_text(plain_files()["text.jsonl"] * 4)
    for line in (
        "fit --model witten-bell --train t.txt --save model",
        "fit --model witten-bell -o order=2 --train t.txt --save half",
        "fit --model witten-bell --train t.txt --unit word --save words",
        "fit --model witten-bell -o order=2 --train plain.txt --unit word --documents line --save words.arpa",
        "score --model bigram -o eps=1,1 --unit word --documents line --train t.txt --test u.txt --tokens tokens.tsv",
        "counts t.txt --orders 1,2 --out c.tsv",
        "run s.toml --out run --jobs 1 --quiet",
        "run s.toml --out run2 --jobs 1 --quiet",
    ):
        assert command(line.split(), folder) == 0, line
    _age(folder)
    return folder


def _long() -> str:
    """Words as texts have them: few often, many once."""
    chance = random.Random(1)
    words = [f"w{int(chance.paretovariate(0.9))}" for _ in range(2500)]
    return "\n".join(" ".join(words[at : at + 9]) for at in range(0, len(words), 9))


def _age(folder: Path) -> None:
    """A run of an earlier version's results, and one that was stopped in the middle of a training."""
    (folder / "old").mkdir()
    tree = json.loads((folder / "run" / "results.json").read_text())
    tree["schema_version"] = 1
    shutil.copy(
        folder / "t.txt", folder / "run"
    )  # beside its suite, which else would lead out of this folder
    for row in (*tree["results"], *tree["over_seeds"]):
        row["resampled"] = row.pop("ci95_method")
    for corpus in tree["corpora"]:
        corpus["contamination"] = {"share_of_test_3_grams_of_words_seen_in_train": 0.5}
    (folder / "old" / "results.json").write_text(json.dumps(tree))
    with unittest.mock.patch.object(Path, "unlink"):  # what is kept to go on with stays
        assert command(["run", "b.toml", "--out", "half-done", "--jobs", "1", "--quiet"], folder) == 0
    for name in ("t.txt", "u.txt", "plain.txt", "tokens.tsv"):
        shutil.copy(folder / name, folder / "half-done")
    for path in (
        *folder.glob("half-done/scores/t/*n*"),
        *folder.glob("half-done/re*"),
        *folder.glob("half-done/models"),
        *folder.glob("half-done/figures/*g"),
    ):
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def lay_out(folder: Path, copy: Callable[[Any, Any], object] = os.link) -> None:
    """All that is prepared, in a folder; as links, since commands write no file in its place."""
    for path in prepared().iterdir():
        place = folder / path.name
        shutil.copytree(path, place, copy_function=copy) if path.is_dir() else copy(path, place)


def check_line(data: bytes, folder: Path) -> object:
    argv = [word.decode("utf-8", "surrogateescape") for word in data.split(b"\0")] if data else []
    long = _LONG - _STUDIES if argv[:1] == ["study"] else _LONG
    if (
        long & {*argv, *(word.split("=")[-1] for word in argv)}
        or (argv[:1] == ["run"] and "s.toml" not in argv)
        or (
            argv[:1] == ["study"]
            and not (_STUDIES & {*argv} and {"t.txt", "u.txt", "long.txt", "x.csv"} & {*argv})
        )
        or _takes_long(argv)
        or any(is_folder_outside(word, folder) for word in argv)
    ):
        return None
    lay_out(folder)
    return command(argv, folder, b"the tide\nwaits\n")


def _takes_long(argv: list[str]) -> bool:
    """Whether so many tokens, seeds or lines are asked for that nobody would call it a hang."""
    try:
        return any(10_000 < abs(float(word.split("=")[-1].replace(",", ""))) < 2**53 for word in argv)
    except ValueError:
        numbers = [word.split("=")[-1].replace("_", "") for word in argv]
        return any(10_000 < int(word) < 2**53 for word in numbers if word.isdecimal() and len(word) < 20)
