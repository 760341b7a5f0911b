"""What the worst inputs cost: ``python tests/siege/costs.py FOLDER [--sizes BYTES,BYTES] [--task NAME]... [--input NAME]...``.

Every task is given inputs that ask the most of it, at two sizes, each in a process of its own. A row says what the larger took: seconds of the
processor, bytes of memory a byte of the input beyond what the task takes of an input of a few bytes, and the power of the input's length by
which the seconds grew from the smaller to the larger (1: linear). The bounds: no power above ``POWER``, no more than ``MEMORY`` bytes a byte.
"""

from __future__ import annotations

import argparse
import gzip
import io
import json
import math
import os
import resource
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
MEMORY = 200.0  # bytes a byte
POWER = 1.35  # n log n from 1 MB to 8 MB is a power of 1.10; what is measured has noise
LEAST = 0.5  # seconds beyond the start; of less, no power is told


# Inputs: n bytes of each ---------------------------------------------------------------------------------


def distinct_words(size: int) -> bytes:
    """Words that no other is, ten a line."""
    words = [f"{i:x}" for i in range(size // 5)]
    return " ".join(f"{word}\n" if i % 10 == 9 else word for i, word in enumerate(words)).encode()[:size]


def plain(size: int) -> bytes:
    """What is not bad at all: few words, short lines."""
    line = b"the ferry waits for the tide and the tide waits for nobody\n"
    return (line * (size // len(line) + 1))[:size]


def numbers(size: int) -> bytes:
    return b"".join(b"%d\n" % (i * 7919) for i in range(size // 8))[:size]


TEXTS: dict[str, Callable[[int], bytes]] = {
    "plain text": plain,
    "one word": lambda size: b"a" * size,
    "distinct words": distinct_words,
    "one line": lambda size: distinct_words(size).replace(b"\n", b" "),
    "line feeds": lambda size: b"\n" * size,
    "spaces": lambda size: b" " * size,
    "words of one letter": lambda size: (b"a " * (size // 2 + 1))[:size],
    "combining marks": lambda size: b"e" + "\u0301".encode() * (size // 2),
    "numbers": numbers,
    "wide characters": lambda size: "".join(chr(0x10000 + i % 0x8000) for i in range(size // 4)).encode(),
}


def deep_toml(size: int) -> bytes:
    return b"a = " + b"[" * (size // 2) + b"]" * (size // 2)


def dotted_toml(size: int) -> bytes:
    return b"[" + b"a." * (size // 2) + b"a]\n"


def deep_json(size: int) -> bytes:
    return b"[" * (size // 2) + b"]" * (size // 2)


def long_number(size: int) -> bytes:
    return b'{"a": ' + b"9" * size + b"}"


def suite(size: int) -> bytes:
    row = '[[models]]\nmodel = "bigram"\nlabel = "m%d"\n'
    head = 'name = "s"\ncorpora = ["t.txt"]\n'
    return (head + "".join(row % i for i in range(size // (len(row) + 4)))).encode()


def results(size: int) -> bytes:
    """A finished run of very many rows."""
    sys.path[:0] = [str(HERE.parent / "helpers")]
    import msgspec
    import report_example

    tree = json.loads(msgspec.json.encode(report_example.example()))
    tree["comparisons"], tree["across"] = [], None
    row = tree["results"][0]
    length = len(json.dumps(row))
    tree["results"] = [{**row, "label": f"m{i}"} for i in range(size // length + 1)]
    tree["corpora"] = tree["corpora"][:1]
    return json.dumps(tree).encode()


def arpa(size: int) -> bytes:
    """Very many words, as n-grams of one word."""
    count = size // 12
    rows = "".join(f"-6\tw{i:x}\n" for i in range(count))
    head = f"\\data\\\nngram 1={count + 3}\n\n\\1-grams:\n-1\t<unk>\n0\t<s>\n-1\t</s>\n"
    return (head + rows + "\n\\end\\\n").encode()


def scores(size: int) -> bytes:
    """What another program says of a text of very many tokens."""
    rows = "".join(f"{i}\t{i + 1}\t-1.0\ta\t0\t0.0\n" for i in range(size // 24))
    return b"start\tend\tlog_prob\ttoken\toov\tspelling\n" + rows.encode()


FILES: dict[str, Callable[[int], bytes]] = {
    "deep TOML": deep_toml,
    "a long dotted key": dotted_toml,
    "a suite of many rows": suite,
    "deep JSON": deep_json,
    "a long number": long_number,
    "results of many rows": results,
    "an ARPA file of many words": arpa,
    "a table of many tokens": scores,
}


def gzipped(size: int) -> bytes:
    return gzip.compress(b"a" * (size * 900), 9)


def zipped(size: int) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        archive.writestr("t.txt", b"a" * (size * 900))
    return stream.getvalue()


BOMBS: dict[str, Callable[[int], bytes]] = {"a gzip bomb": gzipped, "a zip bomb": zipped}

# Tasks: a command that is given an input ---------------------------------------------------------------------

# name: the command, FILE being the input; which inputs
TASKS: dict[str, tuple[str, dict[str, Callable[[int], bytes]]]] = {
    "read": ("corpora show FILE.txt", TEXTS),
    "read packed": ("corpora show FILE.gz", {"a gzip bomb": gzipped}),
    "read zip": ("corpora show FILE.zip", {"a zip bomb": zipped}),
    "zipf by word": ("zipf FILE.txt --json", TEXTS),
    "zipf by char": ("zipf FILE.txt --unit char --json", TEXTS),
    "counts": ("counts FILE.txt --out counts", TEXTS),
    "fit by word": ("fit --model kneser-ney --unit word --train FILE.txt --save m --quiet", TEXTS),
    "fit by char": ("fit --model kneser-ney --train FILE.txt --save m --quiet", TEXTS),
    "fit by pieces": ("fit --model kneser-ney -o order=2 --unit subword:size=400 --train FILE.txt --save m --quiet", TEXTS),
    "score by word": ("score --load word.lm --test FILE.txt --quiet", TEXTS),
    "score by char": ("score --load char.lm --test FILE.txt --quiet", TEXTS),
    "score lines": ("score --load lines.lm --test FILE.txt --each line --quiet", TEXTS),
    "surprisal": ("surprisal --load char.lm FILE.txt --quiet", TEXTS),
    "rank": ("rank --load char.lm FILE.txt", TEXTS),
    "run": ("run s.toml --jobs 1 --out run --quiet", TEXTS),
    "suite": ("run FILE.toml --out run --quiet", {k: FILES[k] for k in ("deep TOML", "a long dotted key")}),
    "narrowed suite": ("run FILE.toml --model none --out run --quiet", {k: FILES[k] for k in ("a suite of many rows",)}),
    "corpus description": ("corpora show FILE.toml", {k: FILES[k] for k in ("deep TOML", "a long dotted key")}),
    "results": ("export FILE", {k: FILES[k] for k in ("deep JSON", "a long number", "results of many rows")}),
    "JSON lines": ("corpora show FILE.jsonl", {k: FILES[k] for k in ("deep JSON", "a long number")}),
    "saved model": ("next --load FILE.lm", {k: FILES[k] for k in ("deep JSON", "a long number")}),
    "ARPA": ("next --load FILE.arpa", {"an ARPA file of many words": arpa}),
    "pruning": ("prune FILE.arpa --entropy 1e-7 --save o.arpa", {"an ARPA file of many words": arpa}),
    "scores": ("score --scores FILE.tsv --test scored.txt", {"a table of many tokens": scores}),
}  # fmt: skip
SMALL = "the ferry waits for the tide\nand the tide waits for nobody\n" * 40
SUITE = """name = "s"
corpora = [{name = "t", train = "FILE.txt"}]
[[models]]
model = "kneser-ney"
options = {order = 3}
[[models]]
model = "witten-bell"
unit = "word"
options = {order = 2}
"""


@dataclass(frozen=True)
class Cost:
    """What one task took of one input: its status, seconds of the processor, bytes of memory."""

    status: int
    seconds: float
    memory: int
    said: str


def prepared(folder: Path) -> None:
    """The models that texts are scored with, and the suite."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "small.txt").write_text(SMALL)
    for name, more in {"char": "", "word": "--unit word", "lines": "--documents line"}.items():
        line = f"fit --model kneser-ney -o order=3 --train small.txt --save {name}.lm --quiet {more}"
        assert cost(line.split(), folder).status == 0
    (folder / "s.toml").write_text(SUITE)


def spare() -> int:
    """Bytes that a command may take: of what the machine has free, three quarters."""
    rows = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    return int(rows["MemAvailable"].split()[0]) * 768


def cost(argv: list[str], folder: Path, seconds: int = 1800, memory: int = 0) -> Cost:
    """Runs a command in a process of its own; it is ended where it takes more than so many seconds or bytes (0: ``spare``)."""
    memory = memory or spare()
    with open(folder / "said", "w+b") as said:
        if not (child := os.fork()):
            _replaced(argv, folder, said.fileno(), seconds, memory)
        _, status, used = os.wait4(child, 0)
        said.seek(0)
        text = said.read().decode("utf-8", "replace")
    return Cost(os.waitstatus_to_exitcode(status), used.ru_utime + used.ru_stime, used.ru_maxrss << 10, text)


def _replaced(argv: list[str], folder: Path, said: int, seconds: int, memory: int) -> None:
    """This process becomes the command."""
    try:
        os.dup2(said, 1)
        os.dup2(said, 2)
        os.chdir(folder)
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
        paths = {"PYTHONPATH": str(HERE.parents[1]), "OMP_NUM_THREADS": "1"}
        os.execve(sys.executable, [sys.executable, "-m", "lmbench", *argv], {**os.environ, **paths})
    finally:
        os._exit(99)


def given(name: str, make: Callable[[int], bytes], size: int, folder: Path) -> tuple[list[str], int]:
    """The command of a task on an input of so many bytes, and how many it has been."""
    argv = TASKS[name][0].split()
    data = make(size)
    if name == "run":
        (folder / "FILE.txt").write_bytes(data)
    elif name == "results":
        (folder / "FILE").mkdir(exist_ok=True)
        (folder / "FILE" / "results.json").write_bytes(data)
    else:
        (folder / next(word for word in argv if word.startswith("FILE"))).write_bytes(data)
    if name == "scores":
        (folder / "scored.txt").write_bytes(b"a" * (size // 24))
    return argv, len(data)


@dataclass(frozen=True)
class Row:
    """A task and an input. bytes: of the larger input. memory: bytes a byte. power: of the growth of the seconds, or nan."""

    task: str
    input: str
    bytes: int
    status: int
    seconds: float
    memory: float
    power: float
    said: str

    @property
    def wrong(self) -> str:
        """Which bound it breaks; '' where none."""
        if self.status not in (0, 1, 2) or "Traceback" in self.said:
            return f"status {self.status}"
        if self.memory > MEMORY:
            return "memory"
        return "time" if self.power > POWER else ""


def row(task: str, kind: str, sizes: tuple[int, int], folder: Path) -> Row:
    """What a task took of an input, at two sizes."""
    make = TASKS[task][1][kind]
    start = cost(*_(task, make, 400, folder))
    costs, lengths = [], []
    for size in sizes:
        argv, length = given(task, make, size, folder)
        costs.append(cost(argv, folder))
        lengths.append(length)
    took = [max(1e-9, one.seconds - start.seconds) for one in costs]
    power = math.log(took[1] / took[0]) / math.log(lengths[1] / lengths[0]) if took[0] > LEAST else math.nan
    memory = (costs[1].memory - start.memory) / lengths[1]
    last = costs[1]
    return Row(task, kind, lengths[1], last.status, last.seconds, memory, power, last.said)


def _(task: str, make: Callable[[int], bytes], size: int, folder: Path) -> tuple[list[str], Path]:
    return given(task, make, size, folder)[0], folder


def table(rows: list[Row]) -> str:
    lines = [
        f"{'task':<18} {'input':<26} {'bytes':>11} {'status':>6} {'seconds':>8} {'bytes/byte':>10} {'power':>6}"
    ]
    for one in rows:
        power = "-" if math.isnan(one.power) else f"{one.power:.2f}"
        lines.append(
            f"{one.task:<18} {one.input:<26} {one.bytes:>11,} {one.status:>6} {one.seconds:>8.1f} {one.memory:>10.1f} "
            f"{power:>6}  {one.wrong}".rstrip()
        )
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sizes", default="1000000,8000000")
    parser.add_argument("--task", action="append", choices=list(TASKS))
    parser.add_argument("--input", action="append", choices=[*TEXTS, *FILES, *BOMBS])
    asked = parser.parse_args()
    small, large = (int(float(size)) for size in asked.sizes.split(","))
    prepared(asked.folder)
    rows = []
    for task in asked.task or TASKS:
        for kind in asked.input or TASKS[task][1]:
            if kind in TASKS[task][1]:
                rows.append(row(task, kind, (small, large), asked.folder))
                print(
                    table(rows[-1:]).split("\n")[1],
                    rows[-1].said[-200:].strip().split("\n")[-1][:100]
                    if rows[-1].status or rows[-1].wrong
                    else "",
                    flush=True,
                )
    wrong = [one for one in rows if one.wrong]
    print(f"{len(rows)} inputs, {len(wrong)} beyond the bounds")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
