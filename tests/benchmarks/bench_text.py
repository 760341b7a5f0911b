"""Reading of raw text, of lines and of ARPA files beside KenLM, as a table in Markdown.

    python tests/benchmarks/bench_text.py --data DIR [--megabytes 1,10,100] [--runs 3] > table.md

DIR holds ptb/ptb.train.txt (default: the folder that LMBENCH_DATA names), from whose pairs of words longer texts are drawn. KenLM's
lmplz, build_binary and query must be on PATH. Seconds are the processor's, of all threads, medians of runs in turn, so that other work on the
machine matters little; query's are without its start, those of whole commands with it.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from lmbench.storage.files import read_text
from lmbench.text.canonical import canonical_text
from lmbench.text.tokens import encode
from lmbench.text.units import unit_named
from lmbench.text.vocab import Vocab

MODEL = 40  # megabytes of text whose trigrams make an ARPA file of some 105 MB
Measured = tuple[float, float]


def process(command: Sequence[str | Path], source: Path | None = None, sink: Path | None = None) -> Measured:
    """Processor seconds and peak memory (MB) of a program."""
    with open(source or os.devnull, "rb") as stdin, open(sink or os.devnull, "wb") as stdout:
        running = subprocess.Popen(
            [str(part) for part in command], stdin=stdin, stdout=stdout, stderr=subprocess.DEVNULL
        )
        _, status, usage = os.wait4(running.pid, 0)
    running.returncode = os.waitstatus_to_exitcode(status)
    if running.returncode:
        raise SystemExit(f"{command[0]} failed with status {running.returncode}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def medians(runs: int, *jobs: Callable[[], Measured]) -> list[Measured]:
    """For each job, the median seconds and megabytes; the jobs take turns."""
    results = [[job() for job in jobs] for _ in range(runs)]
    columns = zip(*results, strict=True)
    return [
        (statistics.median(s for s, _ in c), statistics.median(m for _, m in c)) for c in map(list, columns)
    ]


def apart(function: Callable[..., Any], *arguments: object) -> Any:
    """What a function returns in a process of its own: a program started later has this one's peak of memory for its own."""
    with ProcessPoolExecutor(1) as pool:
        return pool.submit(function, *arguments).result()


def draw(ptb: Path, folder: Path, sizes: Sequence[int]) -> None:
    """Writes texts of so many megabytes."""
    text = drawn(ptb, 1_100_000 * max(sizes))
    for size in sizes:
        (folder / f"{size}.txt").write_bytes(text[: text.rfind(b"\n", 0, size * 10**6) + 1])
    (folder / "few.txt").write_bytes(text[: text.rfind(b"\n", 0, 3000) + 1])


def drawn(ptb: Path, size: int) -> bytes:
    """About ``size`` bytes of lines in which each word follows one that it followed in the Penn Treebank."""
    rng, chains = np.random.default_rng(0), 20_000
    words = read_text(ptb / "ptb.train.txt").replace("<unk>", "unk").replace("\n", " \n ").split(" ")
    words = [word for word in words if word]
    types = list(dict.fromkeys(words))
    place = {word: i for i, word in enumerate(types)}
    ids = np.array([place[word] for word in words])
    order = np.argsort(ids, kind="stable")
    begins = np.searchsorted(ids[order], np.arange(len(types) + 1))
    now = rng.integers(0, len(ids) - 1, chains)
    steps = []
    for _ in range(size // chains // 5):
        following = ids[now + 1]
        steps.append(following)
        room = begins[following + 1] - begins[following]
        now = np.minimum(
            order[begins[following] + (rng.random(chains) * room).astype(np.int64)], len(ids) - 2
        )
    text = " ".join([types[i] for i in np.stack(steps).T.ravel().tolist()])
    return text.replace(" \n ", "\n").replace("\n ", "\n").replace(" \n", "\n").encode()


def reading(path: Path, words: Path) -> tuple[float, float, int]:
    """From a file to ids in the vocabulary of another: processor seconds; and how many words there are."""
    vocab = Vocab(read_text(words).split())
    began = time.process_time()
    text = canonical_text([read_text(path)], "whitespace", "line")
    encode(text, unit_named("word"), vocab)
    return time.process_time() - began, 0.0, text.words


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=os.environ.get("LMBENCH_DATA"))
    parser.add_argument("--megabytes", default="1,10,100")
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    ours: list[str | Path] = [sys.executable, "-m", "lmbench", "score", "--load"]
    with tempfile.TemporaryDirectory() as name:
        folder, sizes = Path(name), [int(size) for size in arguments.megabytes.split(",")]
        apart(draw, arguments.data / "ptb", folder, sorted({*sizes, MODEL}))
        arpa, binary, saved = folder / "m.arpa", folder / "m.bin", folder / "m.lm"
        process(
            ["lmplz", "-o", "3", "-S", "500M", "-T", folder, "--discount_fallback"],
            folder / f"{MODEL}.txt",
            arpa,
        )
        process(["build_binary", arpa, binary])
        fit = ["fit", "--model", "arpa", "-o", f"file={arpa}", "--unit", "word", "--documents", "line"]
        process([*ours[:3], *fit, "--normalise", "sentences", "--save", saved])
        known = folder / f"{min(sizes)}.txt"
        print("| | KenLM | lmbench | ratio |\n|---|--:|--:|--:|")
        start = medians(arguments.runs, lambda: process(["query", "-v", "summary", binary]))[0][0]
        for size in sizes:
            path = folder / f"{size}.txt"
            words = apart(reading, path, known)[2]
            (theirs, _), (own, _) = medians(
                arguments.runs,
                lambda path=path: process(["query", "-v", "summary", binary], path),  # type: ignore[misc]
                lambda path=path: apart(reading, path, known)[:2],  # type: ignore[misc]
            )
            rates = [words / seconds / 1e6 for seconds in (theirs - start, own)]
            print(
                f"| read and number {size} MB | {rates[0]:.1f} M words/s | {rates[1]:.1f} M words/s | {rates[1] / rates[0]:.2f} |"
            )
        for size in sizes:
            path = folder / f"{size}.txt"
            (theirs, mb), (own, own_mb) = medians(
                arguments.runs,
                lambda path=path: process(["query", "-v", "sentence", binary], path, folder / "out"),  # type: ignore[misc]
                lambda path=path: process(
                    [*ours, saved, "--test", path, "--each", "line"], None, folder / "out"
                ),  # type: ignore[misc]
            )
            print(
                f"| a row a line of {size} MB | {theirs:.2f} s, {mb:.0f} MB | {own:.2f} s, {own_mb:.0f} MB | {own / theirs:.2f} |"
            )
        (theirs, mb), (own, own_mb) = medians(
            arguments.runs,
            lambda: process(["query", "-v", "summary", arpa], folder / "few.txt"),
            lambda: process([*ours, arpa, "--test", folder / "few.txt"]),
        )
        size = arpa.stat().st_size // 10**6
        print(
            f"| read an ARPA file of {size} MB | {theirs:.2f} s, {mb:.0f} MB | {own:.2f} s, {own_mb:.0f} MB | {own / theirs:.2f} |"
        )


if __name__ == "__main__":
    main()
