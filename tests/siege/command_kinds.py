"""Texts that commands read, and command lines."""

from __future__ import annotations

import functools
import gzip
import json
import random
import shutil
import tempfile
from pathlib import Path

import readers
from damage import HOSTILE, NUMBERS, damaged_bytes
from promises import command
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


_LINES = (
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
    "domains --load a=model --load b=words . --per word --reference a --against u.txt",
    "harness-tasks pairs.tsv --out o --name n --group g",
    "counts t.txt --orders 1,2 --format google --out o",
    "counts --counts c.tsv --counts c.tsv --orders 1,2 --out o.gz",
    "runs .",
    "history . --out o.svg --tolerance 0.1",
    "watch run --once",
    "diff run run2 --html o.html --markdown --tolerance 0.1",
    "export run --wide --format typst --metric word --errors interval --caption c --label l",
    "study sequence --csv x.csv --column x --out st --quiet",
    "study markov --corpus long.txt -o unit=byte --out st --quiet",
    "study tails --corpus long.txt -o unit=word --seed 1 --out st --quiet",
    "study words --corpus long.txt --out st --quiet",
    "study size --corpus long.txt -o unit=char -o order=2 --out st --quiet",
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
def prepared() -> Path:
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
    command(
        ["fit", "--model", "witten-bell", "--train", "t.txt", "--unit", "word", "--save", "words"], folder
    )
    command(["counts", "t.txt", "--orders", "1,2", "--out", "c.tsv"], folder)
    (folder / "pairs.tsv").write_text("the tide waits\ttide the waits\nthe bell rings\trings bell the\n")
    (folder / "long.txt").write_text(TEXT * 16)
    (folder / "x.csv").write_text("t,x\n" + "".join(f"{i},{i * 37 % 101}\n" for i in range(200)))
    for out in ("run", "run2"):
        command(["run", "s.toml", "--out", out, "--jobs", "1", "--quiet"], folder)
    return folder


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
        or any(_is_folder_outside(word, folder) for word in argv)
    ):
        return None
    for path in prepared().iterdir():
        place = folder / path.name
        shutil.copytree(path, place, dirs_exist_ok=True) if path.is_dir() else shutil.copy(path, place)
    return command(argv, folder, b"the tide\nwaits\n")


def _is_folder_outside(word: str, folder: Path) -> bool:
    """Whether all that lies in another folder would be read, which is as much as there is."""
    try:
        place = (folder / word.split("=")[-1]).resolve()
        return place.is_dir() and not place.is_relative_to(folder.resolve())
    except (OSError, ValueError):
        return False


def _takes_long(argv: list[str]) -> bool:
    """Whether so many tokens, seeds or lines are asked for that nobody would call it a hang."""
    try:
        return any(10_000 < abs(float(word.split("=")[-1].replace(",", ""))) < 2**53 for word in argv)
    except ValueError:
        numbers = [word.split("=")[-1].replace("_", "") for word in argv]
        return any(10_000 < int(word) < 2**53 for word in numbers if word.isdecimal())
