"""How time and memory grow with the text, beside KenLM's lmplz: a table in Markdown.

    python tests/benchmarks/scale.py [--millions 1,4,16,64] [--orders 3,5] [--limit 1GB] [--tasks fit,score,zipf,run] [--folder DIR]

The text is written by a source: lines of 25 words. Half of the words are drawn by Zipf-Mandelbrot's law, p(r) ~ 1 / (r + 2.7), over 50,000
common words; four in ten by the same law from a table of ranks that the word before turns; one in ten from a tail without end,
p(rank > r) ~ r^-0.6, so that new words never cease to come (Heaps' law, with the exponent 0.6). Each row is a process of its own, whose CPU
time (user and system, of all its processes) and peak memory the system tells; an exponent is the slope of the CPU time in the words, between a size and the one
before it. ``run`` is a whole run (three models of order 3, or with --suite NAME that suite's) with its report; beside it stands
what of its time went into models: fitting, scoring and storing them. lmplz (on PATH, or --lmplz) is given the same limit by -S.

In brackets is how much of the CPU time was the system's. On a virtual machine the first touch of a page of memory, which most pages of the files
of a work folder are, may cost ten times what touching it again costs, and large texts touch more of them: --warm GB writes and deletes
so much first.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

COMMON, LINE, BLOCK = 50_000, 25, 1_000_000
OWN = [sys.executable, "-m", "lmbench"]
LINES = ["--unit", "word", "--documents", "line", "--normalise", "none"]


def block_of_words(number: int, seed: int = 1) -> np.ndarray:
    """(BLOCK,) int64: the ranks of a million words of the source."""
    rng = np.random.default_rng([seed, number])
    p = 1 / (np.arange(COMMON) + 1 + 2.7)
    words = np.searchsorted(np.cumsum(p / p.sum()), rng.random(BLOCK)).astype(np.int64)
    kind = rng.random(BLOCK)
    kind[::LINE] = 0  # the first word of a line follows none
    rare = kind > 0.9
    words[rare] = COMMON + (rng.random(rare.sum()) ** (-1 / 0.6)).astype(np.int64)
    turns = (kind > 0.5) & ~rare
    at = np.flatnonzero(turns & ~np.append(False, turns[:-1]))
    while len(at):  # the first word of each stretch that follows its predecessor, then the second, ...
        words[at] = (words[at] + words[at - 1] * 7919) % COMMON
        at = at[at + 1 < BLOCK] + 1
        at = at[turns[at]]
    return words


def write_text(path: Path, millions: int, seed: int = 1) -> None:
    """So many millions of words."""
    with open(path, "w") as stream:
        for number in range(millions):
            ranks, which = np.unique(block_of_words(number, seed), return_inverse=True)
            names = np.array([_name(rank) for rank in ranks.tolist()])
            for line in names[which].reshape(-1, LINE).tolist():
                stream.write(" ".join(line) + "\n")


def written_apart(path: Path, millions: int, seed: int = 1) -> None:
    """``write_text`` in a process of its own: what this one holds would count as its children's memory, until they run."""
    subprocess.run([sys.executable, __file__, "--write", path, str(millions), str(seed)], check=True)


def _name(rank: int) -> str:
    name = ""
    rank += 1
    while rank:
        rank, letter = divmod(rank - 1, 26)
        name = chr(97 + letter) + name
    return name


def measured(command: Sequence[str | Path], stdin: Path | None = None) -> tuple[float, float, float]:
    """CPU seconds, those of them in the system, and peak memory in MB of a program and those that it starts."""
    with open(stdin or os.devnull, "rb") as source:
        running = subprocess.Popen([str(c) for c in command], stdin=source, stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(running.pid, 0)
    running.returncode = os.waitstatus_to_exitcode(status)
    if running.returncode:
        raise SystemExit(f"{command[0]} failed with status {running.returncode}")
    return usage.ru_utime + usage.ru_stime, usage.ru_stime, usage.ru_maxrss / 1024


def warmed(folder: Path, size: int) -> None:
    """Writes so many GB to a file, and deletes it: pages that the machine has not had from its host yet it has afterwards."""
    with tempfile.NamedTemporaryFile(dir=folder) as stream:
        for _ in range(size * 1000):
            stream.write(bytes(1_000_000))


def rows_of(
    folder: Path, millions: int, orders: Sequence[int], options: argparse.Namespace
) -> dict[str, tuple[float, float, float]]:
    """What ``measured`` says of each task at one size."""
    text, test = folder / f"{millions}.txt", folder / "test.txt"
    written_apart(text, millions)
    rows = {}
    tasks = options.tasks.split(",")
    for order in orders if "fit" in tasks else ():
        model = folder / f"{order}.model"
        fit = [
            "fit",
            "--model",
            "kneser-ney",
            "-o",
            f"order={order}",
            "--train",
            text,
            *LINES,
            "--quiet",
            "--save",
            model,
        ]
        limit = ["-o", f"memory_limit={options.limit}"]
        rows[f"fit, order {order}, {options.limit}"] = measured([*OWN, *fit, *limit])
        if millions <= options.in_memory:
            rows[f"fit, order {order}, no limit"] = measured([*OWN, *fit])
        if options.lmplz:
            lmplz = [
                options.lmplz,
                "-o",
                order,
                "-S",
                options.limit.replace("GB", "G").replace("MB", "M"),
                "-T",
                folder,
            ]
            rows[f"lmplz, order {order}, {options.limit}"] = measured(
                [*lmplz, "--discount_fallback", "--arpa", os.devnull], text
            )
        if "score" in tasks and order == orders[0]:
            command = ["score", "--load", model, "--test", test, "--json"]
            rows[f"score {test.stat().st_size / 1e6:.0f} MB, order {order}"] = measured([*OWN, *command])
        model.unlink()
    if "zipf" in tasks:
        rows["zipf, orders 1 to 3"] = measured([*OWN, "zipf", text, "--json"])
    if "run" in tasks:
        facts = folder / "models"
        whole = measured(
            [sys.executable, __file__, "--run", options.suite, text, test, folder / "run", facts]
        )
        name = f"run, models of {options.suite}" if options.suite else "run, 3 models of order 3"
        rows[name] = whole
        cpu, system = map(float, facts.read_text().split())
        rows[f"of which in models ({name})"] = (cpu, system, whole[2])  # the memory is that of all
    text.unlink()
    return rows


def run_suite_here(suite: str, train: str, test: str, out: str, facts: str) -> None:
    """A whole run of a suite's models (default: three of order 3) in this process; ``facts``: the CPU seconds that models took of it."""
    from lmbench.bench import runner
    from lmbench.bench.run import run_suite
    from lmbench.bench.suite import CorpusSpec, ModelSpec, Suite
    from lmbench.bench.suite_file import load_suite

    three = ("kneser-ney", "witten-bell", "absolute-discounting")
    models = [ModelSpec(model=model, unit="word", options={"order": 3}) for model in three]
    corpus = CorpusSpec(name="scale", train=train, test=test, documents="line")
    models = load_suite(suite).models if suite else models
    spent, measure = np.zeros(2), runner.measure

    def now():
        used = resource.getrusage(resource.RUSAGE_SELF)
        return np.array([used.ru_utime + used.ru_stime, used.ru_stime])

    def timed(*cell):
        began = now()
        run = measure(*cell)
        np.add(spent, now() - began, out=spent)
        return run

    runner.measure = timed
    run_suite(Suite(name="scale", corpora=[corpus], models=models, zipf_orders=[1]), out, fresh=True)
    Path(facts).write_text(" ".join(map(str, spent)))


def main() -> None:
    if sys.argv[1:2] == ["--run"]:
        return run_suite_here(*sys.argv[2:])
    if sys.argv[1:2] == ["--write"]:
        return write_text(Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--millions", default="1,4,16")
    parser.add_argument("--orders", default="3,5")
    parser.add_argument("--limit", default="1GB")
    parser.add_argument("--test-millions", type=int, default=2, help="words of the text that is scored")
    parser.add_argument("--tasks", default="fit,score,zipf,run")
    parser.add_argument(
        "--in-memory",
        type=int,
        default=16,
        help="millions of words up to which there is a row without a limit",
    )
    parser.add_argument("--warm", type=int, default=0, metavar="GB", help="memory to touch first")
    parser.add_argument("--suite", default="", help="whose models ``run`` takes")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--lmplz", default=shutil.which("lmplz"))
    options = parser.parse_args()
    sizes, orders = ([int(n) for n in text.split(",")] for text in (options.millions, options.orders))
    table: dict[str, list[tuple[float, float, float]]] = {}
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        warmed(Path(name), options.warm)
        written_apart(Path(name) / "test.txt", options.test_millions, seed=2)
        for millions in sizes:
            for row, cell in rows_of(Path(name), millions, orders, options).items():
                table.setdefault(row, []).append(cell)
            print(
                json.dumps({"millions": millions, **{row: cells[-1] for row, cells in table.items()}}),
                file=sys.stderr,
            )
    print(
        f"{os.cpu_count()} processors, numpy {np.__version__}; CPU seconds (in the system), peak memory, exponent\n"
    )
    print("| | " + " | ".join(f"{n} M words" for n in sizes) + " |\n|---" + "|---" * len(sizes) + "|")
    for row, cells in table.items():
        shown = []
        for place, (cpu, system, mb) in enumerate(cells):
            slope = (
                math.log(cpu / cells[place - 1][0]) / math.log(sizes[place] / sizes[place - 1])
                if place
                else None
            )
            shown.append(
                f"{cpu:.1f} s ({system:.1f}), {mb:,.0f} MB" + ("" if slope is None else f", {slope:.2f}")
            )
        print(f"| {row} | " + " | ".join(shown + [""] * (len(sizes) - len(shown))) + " |")


if __name__ == "__main__":
    main()
